"""A tile of training samples times a tile of queries: moments and products in one pass.

With z the centred signal of a sample and u the unit signal of a query, r = z . u / |z|. A program
takes a block of terms after another: it reads the losses as they are stored, centres them in
float32, adds their squares, splits them in two parts of float16, and multiplies those with the two
parts of the weights on tensor cores: high with low, low with high, high with high. The product of
the low parts is below 2^-22 of the result and left out. At the end the sums are divided by the
norm.

Tensor cores add products by cutting off what is below the last place of the largest of them, the
accumulator included: always towards zero. One accumulator over all terms is off by 2e-4 at 4096
recorded checkpoints, where most of the sum comes from the first ones, and by more than the contract
allows at 90. So every block of 32 terms has an accumulator of its own, whose products come smallest
first, and those are added in float32, rounded to nearest; beyond 256 terms in two steps, by spans
of 8 blocks. Squares are added in the same order, and their spans with compensation (Kahan 1965).

Work per loss and query: three multiply-adds on tensor cores and a thirty-second of an addition; per
loss and tile of 128 queries: about twelve operations to make its parts.
"""

from typing import Any, Final

import triton
import triton.language as tl

from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.pairs_plan import SPAN, ProductPlan, is_long, plan_product
from ltc_kernels.gpu.pairs_queries import SCALE_EXPONENT, Queries
from ltc_kernels.gpu.pairs_terms import (
    TERM_DIVISIBLE,
    TERM_TYPES,
    Samples,
    load_terms,
    term_rows,
)
from ltc_kernels.gpu.targets import Target, target_of

# What every kernel with this product in it takes, beside losses.
PRODUCT_TYPES: Final = {
    "weights": "*fp16",
    "shifts": "*fp32",
    "num_queries": "i32",
    "weights_stride": "i64",
    "weights_part": "i64",
    "shifts_part": "i64",
    **TERM_TYPES,
}
PRODUCT_DIVISIBLE: Final = TERM_DIVISIBLE | {
    "losses",
    "weights",
    "shifts",
    "weights_stride",
    "weights_part",
    "shifts_part",
}


@triton.jit
def add_blocks(
    losses,  # [T, N]
    rows,  # fields of `TermRows`
    weights,  # [2, rows, weights_stride]
    weights_stride,
    weights_part,  # elements from the high parts to the low ones
    o_m,  # [BM]
    o_n,  # [BN]
    shift,  # [BN]
    scale,  # [BN]
    begin,
    end,
    BT: tl.constexpr,
):
    """Products [BM, BN] and squares [BN] over the blocks of terms from ``begin`` to ``end``."""
    p_weights = weights + o_m.to(tl.int64)[:, None] * weights_stride + tl.arange(0, BT)[None, :]
    products = tl.zeros((o_m.shape[0], o_n.shape[0]), tl.float32)
    squares = tl.zeros((BT, o_n.shape[0]), tl.float32)
    for i_t in range(begin, end):
        b, m_t = load_terms(losses, rows, i_t, o_n, BT)
        b = tl.where(m_t, (b - shift[None, :]) * scale[None, :], 0.0)
        high = b.to(tl.float16)
        low = (b - high.to(tl.float32)).to(tl.float16)
        squares += b * b
        w_high = tl.load(p_weights + i_t * BT)  # [BM, BT]
        w_low = tl.load(p_weights + weights_part + i_t * BT)
        part = tl.dot(w_high, low)
        part = tl.dot(w_low, high, part)
        part = tl.dot(w_high, high, part)
        products += part
    return products, tl.sum(squares, axis=0)


@triton.jit
def correlate_tile(
    losses,
    rows,
    weights,
    weights_stride,
    weights_part,
    shifts,  # [2, num_loaded]
    shifts_part,  # elements from the shifts to the scales
    o_m,
    o_n,
    BT: tl.constexpr,
    SPAN: tl.constexpr,
    LONG: tl.constexpr,
    UNIT: tl.constexpr,
):
    """Correlations [BM, BN]; NaN where a sample or a query has none."""
    num_terms, num_loaded, _, _, _, _ = rows
    m_n = o_n < num_loaded
    shift = tl.load(shifts + o_n, mask=m_n, other=0.0)
    scale = tl.load(shifts + shifts_part + o_n, mask=m_n, other=float("nan"))
    num_blocks = tl.cdiv(num_terms, BT)
    sides = (losses, rows, weights, weights_stride, weights_part, o_m, o_n, shift, scale)
    if LONG:
        products = tl.zeros((o_m.shape[0], o_n.shape[0]), tl.float32)
        squares = tl.zeros((o_n.shape[0],), tl.float32)
        lost = tl.zeros((o_n.shape[0],), tl.float32)
        for i_s in range(0, num_blocks, SPAN):
            end = tl.minimum(i_s + SPAN, num_blocks)
            some, more = add_blocks(*sides, i_s, end, BT)
            products += some
            more -= lost
            sums = squares + more
            lost = (sums - squares) - more
            squares = sums
    else:
        products, squares = add_blocks(*sides, 0, num_blocks, BT)
    return products * (UNIT / tl.sqrt(squares))[None, :]


@triton.jit
def place_of_program(num_queries, BM: tl.constexpr):
    """Tile of queries, and of samples or which split of them: those share a tile of samples."""
    i_program = tl.program_id(0)
    num_m = tl.cdiv(num_queries, BM)
    return i_program % num_m, i_program // num_m


@triton.jit
def correlate_kernel(
    losses,
    weights,
    shifts,
    out,  # [num_queries, num_loaded], rows of `out_stride` elements
    num_queries,
    weights_stride,
    weights_part,
    shifts_part,
    out_stride,
    num_terms,
    num_loaded,
    stride,
    term_offset,
    base_offset,
    base_stride,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BT: tl.constexpr,
    SPAN: tl.constexpr,
    LONG: tl.constexpr,
    UNIT: tl.constexpr,
):
    """Write a tile of the whole matrix, and whatever fills up its rows."""
    rows = (num_terms, num_loaded, stride, term_offset, base_offset, base_stride)
    i_m, i_n = place_of_program(num_queries, BM)
    o_m = i_m * BM + tl.arange(0, BM)
    o_n = i_n.to(tl.int64) * BN + tl.arange(0, BN)
    sides = (losses, rows, weights, weights_stride, weights_part, shifts, shifts_part)
    r = correlate_tile(*sides, o_m, o_n, BT, SPAN, LONG, UNIT)
    p = out + o_m.to(tl.int64)[:, None] * out_stride + o_n[None, :]
    tl.store(p, r, mask=(o_m < num_queries)[:, None] & (o_n < num_loaded)[None, :])


def product_constants(plan: ProductPlan) -> dict[str, Any]:
    """What every kernel with this product in it is compiled for."""
    return {
        "BM": plan.block_queries,
        "BN": plan.block_samples,
        "BT": plan.block_terms,
        "SPAN": SPAN,
        "LONG": plan.long,
        "UNIT": 2.0**-SCALE_EXPONENT,
    }


def correlate(samples: Samples, queries: Queries, out: Any) -> None:
    """Write all correlations into ``out`` [M, N], a tile: its rows are filled up, too."""
    form = _specialise(samples.dtype, is_long(samples.num_terms), target_of(out.device))
    tiles_m = -(-queries.size // form.constants["BM"])
    tiles_n = -(-samples.size // form.constants["BN"])
    form.launch(
        (tiles_m * tiles_n, 1, 1),
        out.device,
        out=out,
        out_stride=out.stride(0),
        **product_arguments(samples, queries),
    )


def product_arguments(samples: Samples, queries: Queries) -> dict[str, Any]:
    """Arguments of every kernel with this product in it, `PRODUCT_TYPES`."""
    return {
        "losses": samples.losses,
        "weights": queries.weights,
        "shifts": samples.shifts,
        "num_queries": queries.size,
        "weights_stride": queries.weights.stride(1),
        "weights_part": queries.weights.stride(0),
        "shifts_part": samples.shifts.stride(0),
        **vars(term_rows(samples.losses, samples.signal)),
    }


def specialisations(target: Target) -> list[Specialisation]:
    """Return every form that ships."""
    return [
        _specialise(dtype, long, target) for dtype in ("fp16", "fp32") for long in (False, True)
    ]


def _specialise(dtype: str, long: bool, target: Target) -> Specialisation:
    plan = plan_product(long, dtype, target)
    return Specialisation(
        name=f"pair_correlation, {dtype}{', long' if long else ''}",
        kernel=correlate_kernel,
        types={"losses": f"*{dtype}", **PRODUCT_TYPES, "out": "*fp32", "out_stride": "i64"},
        constants=product_constants(plan),
        divisible=PRODUCT_DIVISIBLE | {"out", "out_stride"},
        num_warps=plan.num_warps,
        num_stages=plan.num_stages,
        enable_fp_fusion=True,
    )
