"""Pairs with a gap on either side: correlations over the values that both have, in float64.

A program compares some samples with some queries, term by term: in a first pass it counts what both
have and finds the means, in a second the centred squares and products, as
`ltc_kernels.cpu.masked` does. Work per pair and checkpoint: some twenty operations, a dozen of
them in float64; losses come from the caches.
"""

from typing import Any, Final

import triton
import triton.language as tl

from ltc_kernels.algebra import CONSTANT_TOLERANCE, MINIMUM_VALUES
from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.pairs_terms import Samples
from ltc_kernels.gpu.targets import Target
from ltc_kernels.gpu.topk_candidates import append

BLOCK_QUERIES: Final = 16
BLOCK_SAMPLES: Final = 64
WARPS: Final = 4
REGISTERS: Final = {"maxnreg": 224}  # of a thread: for fewer, ptxas would put some into memory
SIDE_TYPES: Final = {
    "val": "*fp32",
    "queries": "*i64",
    "num_queries": "i32",
    "val_stride": "i64",
    "columns": "*i64",
    "num_columns": "i32",
    "stride": "i64",
    "num_checkpoints": "i32",
    "lag": "i32",
}
CONSTANTS: Final = {
    "BM": BLOCK_QUERIES,
    "BN": BLOCK_SAMPLES,
    "LEAST": MINIMUM_VALUES,
    "TOLERANCE": CONSTANT_TOLERANCE,
}


@triton.jit
def load_row(losses, stride, i_t, o, m):
    """Losses of some trajectories at one checkpoint, float64."""
    p = losses + stride.to(tl.int64) * i_t + o
    return tl.load(p, mask=m, other=float("nan")).to(tl.float64)


@triton.jit
def load_term(losses, stride, i_t, lag, o, m):
    """Signal values at one checkpoint, and whether they are there."""
    last = load_row(losses, stride, i_t, o, m)
    b = tl.where(lag > 0, last - load_row(losses, stride, i_t - lag, o, m), last)
    return b, tl.abs(b) < float("inf")


@triton.jit
def correlate_masked(
    losses,
    stride,
    o_n,  # [BN]: columns
    m_n,
    val,
    val_stride,
    o_m,  # [BM]
    m_m,
    num_checkpoints,
    lag,
    LEAST: tl.constexpr,
    TOLERANCE: tl.constexpr,
):
    """Correlations [BM, BN] over what both sides have, float32; NaN where there is none."""
    like = tl.zeros((o_m.shape[0], o_n.shape[0]), tl.float64)
    largest_x = tl.zeros(o_n.shape, tl.float64)
    largest_y = tl.zeros(o_m.shape, tl.float64)
    count = tl.zeros(like.shape, tl.int32)
    mean_x, mean_y = like, like
    for i_t in range(num_checkpoints):
        x = tl.abs(load_row(losses, stride, i_t, o_n, m_n))
        y = tl.abs(load_row(val, val_stride, i_t, o_m, m_m))
        largest_x = tl.maximum(largest_x, tl.where(x < float("inf"), x, 0.0))
        largest_y = tl.maximum(largest_y, tl.where(y < float("inf"), y, 0.0))
    for i_t in range(lag, num_checkpoints):
        x, m_x = load_term(losses, stride, i_t, lag, o_n, m_n)
        y, m_y = load_term(val, val_stride, i_t, lag, o_m, m_m)
        m = m_x[None, :] & m_y[:, None]
        count += m.to(tl.int32)
        mean_x += tl.where(m, x[None, :], 0.0)
        mean_y += tl.where(m, y[:, None], 0.0)
    mean_x /= count.to(tl.float64)
    mean_y /= count.to(tl.float64)
    square_x, square_y, product = like, like, like
    for i_t in range(lag, num_checkpoints):
        x, m_x = load_term(losses, stride, i_t, lag, o_n, m_n)
        y, m_y = load_term(val, val_stride, i_t, lag, o_m, m_m)
        m = m_x[None, :] & m_y[:, None]
        dx = tl.where(m, x[None, :] - mean_x, 0.0)
        dy = tl.where(m, y[:, None] - mean_y, 0.0)
        square_x += dx * dx
        square_y += dy * dy
        product += dx * dy
    norm_x, norm_y = tl.sqrt(square_x), tl.sqrt(square_y)
    rounding = TOLERANCE * tl.sqrt(count.to(tl.float64))
    varies = (norm_x > rounding * largest_x[None, :]) & (norm_y > rounding * largest_y[:, None])
    r = tl.where(varies & (count >= LEAST), product / norm_x / norm_y, float("nan"))
    return r.to(tl.float32)


@triton.jit
def masked_kernel(
    losses,  # [T, N], rows of `stride` elements
    val,  # [T, num_queries], rows of `val_stride` elements
    columns,  # [num_columns]: of the losses
    queries,  # [num_queries]: rows of the matrix
    out,
    num_columns,
    num_queries,
    stride,
    val_stride,
    num_checkpoints,
    lag,
    out_stride,
    BM: tl.constexpr,
    BN: tl.constexpr,
    LEAST: tl.constexpr,
    TOLERANCE: tl.constexpr,
):
    """Write single elements of the matrix of correlations."""
    num_m = tl.cdiv(num_queries, BM)
    o_m = tl.program_id(0) % num_m * BM + tl.arange(0, BM)
    o_n = tl.program_id(0) // num_m * BN + tl.arange(0, BN)
    m_m, m_n = o_m < num_queries, o_n < num_columns
    column = tl.load(columns + o_n, mask=m_n, other=0)
    row = tl.load(queries + o_m, mask=m_m, other=0)
    train_side = (losses, stride, column, m_n)
    val_side = (val, val_stride, o_m, m_m)
    r = correlate_masked(*train_side, *val_side, num_checkpoints, lag, LEAST, TOLERANCE)
    p = out + row[:, None] * out_stride + column[None, :]
    tl.store(p, r, mask=m_m[:, None] & m_n[None, :])


@triton.jit
def collect_masked_kernel(
    losses,
    val,
    columns,
    queries,  # [num_queries]: lists of candidates
    keys,  # [2, num_lists, capacity]
    counts,  # [2, num_lists]
    limits,  # [2, num_lists]
    num_columns,
    num_queries,
    num_lists,
    capacity,
    stride,
    val_stride,
    num_checkpoints,
    lag,
    BM: tl.constexpr,
    BN: tl.constexpr,
    LEAST: tl.constexpr,
    TOLERANCE: tl.constexpr,
):
    """Collect what reaches the limits of both ends."""
    num_m = tl.cdiv(num_queries, BM)
    o_m = tl.program_id(0) % num_m * BM + tl.arange(0, BM)
    o_n = tl.program_id(0) // num_m * BN + tl.arange(0, BN)
    m_m, m_n = o_m < num_queries, o_n < num_columns
    column = tl.load(columns + o_n, mask=m_n, other=0)
    o_list = tl.load(queries + o_m, mask=m_m, other=0)
    train_side = (losses, stride, column, m_n)
    val_side = (val, val_stride, o_m, m_m)
    r = correlate_masked(*train_side, *val_side, num_checkpoints, lag, LEAST, TOLERANCE)
    limit = tl.load(limits + o_list, mask=m_m, other=float("inf"))
    append(r + 0.0, r >= limit[:, None], column, keys, counts, o_list, capacity)
    o_list += num_lists
    limit = tl.load(limits + o_list, mask=m_m, other=float("inf"))
    append(0.0 - r, 0.0 - r >= limit[:, None], column, keys, counts, o_list, capacity)


def correlate_pairs(samples: Samples, columns: Any, val: Any, queries: Any, out: Any) -> None:
    """Write ``out[queries, columns]``: some of the samples with trajectories ``val`` [T, m]."""
    _specialise(samples.dtype).launch(
        _programs(columns, queries),
        out.device,
        out=out,
        out_stride=out.stride(0),
        **_arguments(samples, columns, val, queries),
    )


def collect_pairs(
    samples: Samples, columns: Any, val: Any, queries: Any, limits: Any, keys: Any, counts: Any
) -> None:
    """Add what reaches ``limits`` to ``keys``; see `ltc_kernels.gpu.topk_candidates.collect`."""
    _specialise_collecting(samples.dtype).launch(
        _programs(columns, queries),
        limits.device,
        keys=keys,
        counts=counts,
        limits=limits,
        num_lists=keys.shape[1],
        capacity=keys.shape[2],
        **_arguments(samples, columns, val, queries),
    )


def _programs(columns: Any, queries: Any) -> tuple[int, int, int]:
    return -(-len(queries) // BLOCK_QUERIES) * -(-len(columns) // BLOCK_SAMPLES), 1, 1


def _arguments(samples: Samples, columns: Any, val: Any, queries: Any) -> dict[str, Any]:
    return {
        "losses": samples.losses,
        "val": val,
        "columns": columns,
        "queries": queries,
        "num_columns": len(columns),
        "num_queries": len(queries),
        "stride": samples.losses.stride(0),
        "val_stride": val.stride(0),
        "num_checkpoints": len(samples.losses),
        "lag": int(samples.signal == "difference"),
    }


def specialisations(target: Target) -> list[Specialisation]:  # noqa: ARG001  # the same for all
    """Return every form that ships."""
    forms = (_specialise, _specialise_collecting)
    return [specialise(dtype) for specialise in forms for dtype in ("fp16", "fp32")]


def _specialise(dtype: str) -> Specialisation:
    return Specialisation(
        name=f"pairs with gaps, {dtype}",
        kernel=masked_kernel,
        types={"losses": f"*{dtype}", **SIDE_TYPES, "out": "*fp32", "out_stride": "i64"},
        constants=CONSTANTS,
        divisible=frozenset({"stride"}),
        num_warps=WARPS,
        enable_fp_fusion=True,
        options=REGISTERS,
    )


def _specialise_collecting(dtype: str) -> Specialisation:
    return Specialisation(
        name=f"candidates with gaps, {dtype}",
        kernel=collect_masked_kernel,
        types={
            "losses": f"*{dtype}",
            **SIDE_TYPES,
            "keys": "*i64",
            "counts": "*i32",
            "limits": "*fp32",
            "num_lists": "i32",
            "capacity": "i32",
        },
        constants=CONSTANTS,
        divisible=frozenset({"stride"}),
        num_warps=WARPS,
        enable_fp_fusion=True,
        options=REGISTERS,
    )
