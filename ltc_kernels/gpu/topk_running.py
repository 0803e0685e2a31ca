"""The best few of each query while products are formed: up to 64, and no product reaches memory.

A program owns some queries and a split of the samples, and goes over those tile by tile. The limit
of each query, the worst of the best so far, stays in registers; the best themselves, as keys, and
everything that handles them are in memory and touched only when a product exceeds a limit. Then the
rows of the tile that hold one are laid down in memory and taken up again a few at a time: the
registers of the product are all in use, and most rows have nothing to offer. From a row comes its
largest product, then the next, until the limit, which rises as they enter, excludes the rest.

Both ends are served by one product: the largest, and the largest of the negatives. A limit of
infinity closes an end. Samples of equal correlation come by index: tiles ascend, so that only what
exceeds a limit may enter, and within a tile the lower column comes first.
"""

from typing import Any, Final

import torch
import triton
import triton.language as tl

from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.pairs_plan import is_long, plan_product
from ltc_kernels.gpu.pairs_product import (
    PRODUCT_DIVISIBLE,
    PRODUCT_TYPES,
    correlate_tile,
    place_of_program,
    product_arguments,
    product_constants,
)
from ltc_kernels.gpu.pairs_queries import Queries
from ltc_kernels.gpu.pairs_terms import Samples
from ltc_kernels.gpu.targets import Target, target_of
from ltc_kernels.gpu.topk_keys import empty_keys, key_of, value_of

MOST: Final = 64  # neighbours that a program keeps
ROWS: Final = 8  # of a tile, that are taken up at once
SPARE_REGISTERS: Final = 80  # of a thread, for what is done with the correlations
PROGRAMS_PER_PROCESSOR: Final = 2


@triton.jit
def next_best(r, value, column):
    """Largest entry of each row that comes after ``value`` at ``column``, and its column."""
    o_c = tl.arange(0, r.shape[1])[None, :]
    later = (r < value[:, None]) | ((r == value[:, None]) & (o_c > column[:, None]))
    return tl.max(tl.where(later, r, float("-inf")), axis=1, return_indices=True)


@triton.jit
def offer(r, first, keys, limits, o_list, m_list, K: tl.constexpr):
    """Let the entries of ``r`` [R, BN] that exceed the limits of their lists into these."""
    limit = tl.load(limits + o_list, mask=m_list, other=float("inf"))
    p_keys = keys + o_list[:, None] * K + tl.arange(0, K)[None, :]
    held = tl.load(p_keys, mask=m_list[:, None], other=0)  # [R, K]
    value = tl.full(limit.shape, float("inf"), tl.float32)
    column = tl.full(limit.shape, -1, tl.int32)
    value, column = next_best(r, value, column)
    enters = value > limit
    while tl.max(enters.to(tl.int32), axis=0) > 0:
        worst = tl.min(held, axis=1)[:, None]
        key = key_of(value, first + column)[:, None]
        held = tl.where((held == worst) & enters[:, None], key, held)
        limit = tl.maximum(limit, value_of(tl.min(held, axis=1)))
        value, column = next_best(r, value, column)
        enters = value > limit
    tl.store(p_keys, held, mask=m_list[:, None])
    tl.store(limits + o_list, limit, mask=m_list)


@triton.jit
def running_kernel(
    losses,
    weights,
    shifts,
    keys,  # [2, num_queries, num_splits, K]: the best of each end, and free places
    limits,  # [2, num_queries, num_splits]: what a product must exceed
    tiles,  # [programs, BM, BN]: rows that hold something
    hits,  # [programs, BM]: which
    num_samples,
    num_splits,
    num_queries,
    weights_stride,
    weights_part,
    shifts_part,
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
    K: tl.constexpr,
    R: tl.constexpr,
):
    """Keep the best of both ends, for a tile of queries over a split of the samples."""
    rows = (num_terms, num_loaded, stride, term_offset, base_offset, base_stride)
    sides = (losses, rows, weights, weights_stride, weights_part, shifts, shifts_part)
    i_m, i_s = place_of_program(num_queries, BM)
    o_b = tl.arange(0, BM)
    o_c = tl.arange(0, BN)
    o_m = i_m * BM + o_b
    m_m = o_m < num_queries
    i_program = tl.program_id(0).to(tl.int64)
    p_tile = tiles + i_program * (BM * BN)
    p_hits = hits + i_program * BM
    first_list = (i_m * BM).to(tl.int64) * num_splits + i_s
    other_end = num_queries.to(tl.int64) * num_splits
    o_list = first_list + o_b * num_splits
    high_limit = tl.load(limits + o_list, mask=m_m, other=float("inf"))
    low_limit = tl.load(limits + other_end + o_list, mask=m_m, other=float("inf"))
    for i_n in range(i_s, tl.cdiv(num_samples, BN), num_splits):
        o_n = i_n * BN + o_c
        r = correlate_tile(*sides, o_m, o_n, BT, SPAN, LONG, UNIT)
        r = tl.where((o_n < num_samples)[None, :], r, float("nan"))
        high = tl.max(tl.where(r == r, r, float("-inf")), axis=1)
        low = tl.max(tl.where(r == r, 0.0 - r, float("-inf")), axis=1)
        hit = (high > high_limit) | (low > low_limit)
        group = tl.max(tl.where(hit, o_b // R, -1), axis=0)
        if group >= 0:
            tl.store(p_tile + o_b[:, None] * BN + o_c[None, :], r, mask=hit[:, None])
            tl.store(p_hits + o_b, hit.to(tl.int32))
            tl.debug_barrier()  # others take up what a thread lays down
            while group >= 0:
                o_r = group * R + tl.arange(0, R)
                m_r = tl.load(p_hits + o_r) != 0
                p_rows = p_tile + o_r[:, None] * BN + o_c[None, :]
                b = tl.load(p_rows, mask=m_r[:, None], other=float("nan"))
                o_own = first_list + o_r * num_splits
                first = i_n * BN
                offer(b + 0.0, first, keys, limits, o_own, m_r, K)
                offer(0.0 - b, first, keys, limits, other_end + o_own, m_r, K)
                hit = hit & (o_b // R < group)
                group = tl.max(tl.where(hit, o_b // R, -1), axis=0)
            tl.debug_barrier()
            high_limit = tl.load(limits + o_list, mask=m_m, other=float("inf"))
            low_limit = tl.load(limits + other_end + o_list, mask=m_m, other=float("inf"))


def keep_best(samples: Samples, queries: Queries, limits: Any, k: int) -> Any:
    """Keys of the best ``k`` of each split of the samples, beyond ``limits`` [2, M].

    Returns
    -------
    tensor of int64, shape (2, M, candidates)
        Of the largest, then of the smallest, negated; their places are columns of the samples.
        Many hold nobody.
    """
    device = limits.device
    target = target_of(device)
    form = _specialise(samples.dtype, is_long(samples.num_terms), target)
    block_queries, block_samples = form.constants["BM"], form.constants["BN"]
    tiles_m = -(-queries.size // block_queries)
    tiles_n = -(-samples.size // block_samples)
    splits = min(-(-PROGRAMS_PER_PROCESSOR * target.multiprocessors // tiles_m), tiles_n)
    programs = tiles_m * splits
    lists = (2, queries.size, splits)
    keys = torch.empty((*lists, MOST), dtype=torch.int64, device=device)
    keys.copy_(empty_keys(k, MOST, device))
    form.launch(
        (programs, 1, 1),
        device,
        keys=keys,
        limits=limits[:, :, None].expand(lists).contiguous(),
        tiles=torch.empty((programs, block_queries, block_samples), device=device),
        hits=torch.empty((programs, block_queries), dtype=torch.int32, device=device),
        num_samples=samples.size,
        num_splits=splits,
        **product_arguments(samples, queries),
    )
    return keys.view(2, queries.size, splits * MOST)


def specialisations(target: Target) -> list[Specialisation]:
    """Return every form that ships."""
    return [
        _specialise(dtype, long, target) for dtype in ("fp16", "fp32") for long in (False, True)
    ]


def _specialise(dtype: str, long: bool, target: Target) -> Specialisation:
    plan = plan_product(long, dtype, target, spare=SPARE_REGISTERS)
    return Specialisation(
        name=f"pair_topk, k up to {MOST}, {dtype}{', long' if long else ''}",
        kernel=running_kernel,
        types={
            "losses": f"*{dtype}",
            **PRODUCT_TYPES,
            "keys": "*i64",
            "limits": "*fp32",
            "tiles": "*fp32",
            "hits": "*i32",
            "num_samples": "i64",
            "num_splits": "i32",
        },
        constants={**product_constants(plan), "K": MOST, "R": ROWS},
        divisible=PRODUCT_DIVISIBLE | {"keys", "limits", "tiles", "hits"},
        num_warps=plan.num_warps,
        num_stages=plan.num_stages,
        enable_fp_fusion=True,
    )
