"""Candidates: products beyond a limit, on their way through memory to the best of each query.

Where more neighbours are asked for than a program can keep, its epilogue writes every product that
reaches the limit of its query behind those that are there already, as a key. A second kernel
reduces what was found, by either kernel, to the best of each query, which also give the next limit:
it sorts as many keys at a time as it keeps, and merges them with those that it has.
"""

from typing import Any, Final

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
from ltc_kernels.gpu.topk_keys import NEVER, NOTHING, key_of, place_of, value_of

SPARE_REGISTERS: Final = 80  # of a thread, for what is done with the correlations
SIZES: Final = (64, 256, 1024)  # of what is kept, for which there are forms of the reduction
REDUCED_KEYS: Final = 1024  # that a program of the reduction keeps, of one query or of several
REDUCING_WARPS: Final = 8
REGISTERS: Final = {"maxnreg": 128}  # of a thread: for fewer, ptxas would put some into memory


@triton.jit
def append(r, enters, o_column, keys, counts, o_list, capacity):
    """Write the entries of ``r`` [BM, BN] that enter behind the keys of their lists [BM]."""
    p_counts = counts + o_list[:, None] + tl.zeros(r.shape, tl.int32)
    slot = tl.atomic_add(p_counts, 1, mask=enters, sem="relaxed")
    p = keys + o_list[:, None] * capacity + slot
    tl.store(p, key_of(r, o_column[None, :]), mask=enters & (slot < capacity))


@triton.jit
def collect_kernel(
    losses,
    weights,
    shifts,
    keys,  # [2, num_queries, capacity]
    counts,  # [2, num_queries]: how many reached the limit, even if more than there is room for
    limits,  # [2, num_queries]
    num_samples,
    capacity,
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
):
    """Collect what reaches the limits of both ends, from a tile of the product."""
    rows = (num_terms, num_loaded, stride, term_offset, base_offset, base_stride)
    sides = (losses, rows, weights, weights_stride, weights_part, shifts, shifts_part)
    i_m, i_n = place_of_program(num_queries, BM)
    o_m = i_m * BM + tl.arange(0, BM)
    o_n = i_n.to(tl.int64) * BN + tl.arange(0, BN)
    m_m = o_m < num_queries
    r = correlate_tile(*sides, o_m, o_n, BT, SPAN, LONG, UNIT)
    r = tl.where((o_n < num_samples)[None, :], r, float("nan"))
    high_limit = tl.load(limits + o_m, mask=m_m, other=float("inf"))
    low_limit = tl.load(limits + num_queries + o_m, mask=m_m, other=float("inf"))
    o_list = o_m.to(tl.int64)
    high = r >= high_limit[:, None]
    if tl.max(tl.max(high.to(tl.int32), axis=1), axis=0) > 0:
        append(r + 0.0, high, o_n, keys, counts, o_list, capacity)
    low = 0.0 - r >= low_limit[:, None]
    if tl.max(tl.max(low.to(tl.int32), axis=1), axis=0) > 0:
        append(0.0 - r, low, o_n, keys, counts, num_queries + o_list, capacity)


@triton.jit
def exchange_keys(
    keys, PAIRS: tl.constexpr, STEP: tl.constexpr, OF_RUN: tl.constexpr, DESCENDS: tl.constexpr
):
    """Bring keys [R, K] that are ``STEP`` apart in order, ``OF_RUN`` groups of them alike."""
    both = tl.reshape(keys, [keys.shape[0], PAIRS, 2, STEP])
    other = tl.sum(both, axis=2, keep_dims=True) - both  # modulo 2^64
    first = (tl.arange(0, 2) == 0)[None, None, :, None]
    descends = ((tl.arange(0, PAIRS) // OF_RUN % 2 == 1) | DESCENDS)[None, :, None, None]
    better, worse = tl.maximum(both, other), tl.minimum(both, other)
    return tl.reshape(tl.where(first == descends, better, worse), keys.shape)


@triton.jit
def merge_keys(keys, LOG_K: tl.constexpr, LOG_RUN: tl.constexpr, DESCENDS: tl.constexpr):
    """Sort runs of keys [R, K] that rise and then fall, or fall and then rise (Batcher 1968).

    Every other run comes to descend, so that two of them are such a run again; all do if asked to.
    """
    for i in tl.static_range(LOG_RUN):
        keys = exchange_keys(
            keys, 2 ** (LOG_K - LOG_RUN + i), 2 ** (LOG_RUN - 1 - i), 2**i, DESCENDS
        )
    return keys


@triton.jit
def reduce_kernel(
    best,  # [2, num_queries, K]: keys of the best so far, best first; their places are final
    limits,  # [2, num_queries]
    keys,  # [2, num_queries, capacity]: candidates, whose places are columns
    counts,  # [2, num_queries]: how many of those to look at
    places,  # [columns]: the places that columns stand for
    first_list,
    num_lists,  # from the first one
    capacity,
    k,
    R: tl.constexpr,
    LOG_K: tl.constexpr,
    NOTHING: tl.constexpr,
    NEVER: tl.constexpr,
):
    """Merge the candidates of some queries at one end into their best."""
    o_r = tl.program_id(0) * R + tl.arange(0, R)
    m_r = o_r < num_lists
    o_list = (first_list + o_r).to(tl.int64)
    o_k = tl.arange(0, 1 << LOG_K)[None, :]
    nothing = tl.full((R, 1 << LOG_K), NOTHING, tl.int64)
    p_best = best + o_list[:, None] * (1 << LOG_K) + o_k
    held = tl.load(p_best, mask=m_r[:, None], other=NOTHING)  # [R, K], descending
    end = tl.minimum(tl.load(counts + o_list, mask=m_r, other=0), capacity)
    for begin in range(0, tl.max(end, axis=0), 1 << LOG_K):
        o_key = begin + o_k
        p_keys = keys + o_list[:, None] * capacity + o_key
        key = tl.load(p_keys, mask=o_key < end[:, None], other=NOTHING)
        somebody = (value_of(key) > float("-inf")) & (key != NEVER)
        column = tl.where(somebody, place_of(key), 0)
        place = tl.load(places + column, mask=somebody, other=0)
        key = tl.where(somebody, key + column - place, nothing)
        for i in tl.static_range(LOG_K):
            key = merge_keys(key, LOG_K, i + 1, False)
        # The larger ones of a descending and an ascending list are the best of both, in such a run.
        held = merge_keys(tl.maximum(held, key), LOG_K, LOG_K, True)
    tl.store(p_best, held, mask=m_r[:, None])
    worst = tl.max(tl.where(o_k == k - 1, held, nothing), axis=1)
    tl.store(limits + o_list, value_of(worst), mask=m_r)


def collect(samples: Samples, queries: Queries, limits: Any, keys: Any, counts: Any) -> None:
    """Add what reaches ``limits`` [2, M] to ``keys`` [2, M, capacity] and ``counts`` [2, M].

    The places of the keys are columns of the samples. A count may exceed the capacity: keys are
    lost then.
    """
    device = limits.device
    form = _specialise_collecting(samples.dtype, is_long(samples.num_terms), target_of(device))
    tiles_m = -(-queries.size // form.constants["BM"])
    tiles_n = -(-samples.size // form.constants["BN"])
    form.launch(
        (tiles_m * tiles_n, 1, 1),
        device,
        keys=keys,
        counts=counts,
        limits=limits,
        num_samples=samples.size,
        capacity=keys.shape[2],
        **product_arguments(samples, queries),
    )


def reduce_candidates(
    best: Any, limits: Any, keys: Any, counts: Any, places: Any, k: int, ends: slice
) -> None:
    """Merge candidates into the best [2, M, K] of some ends, and set their limits [2, M].

    A limit becomes the value of the ``k``-th best, or stays -inf while there are fewer.
    """
    num_ends, num_queries, size = best.shape
    begin, end, _ = ends.indices(num_ends)
    form = _specialise_reducing(size)
    num_lists = (end - begin) * num_queries
    form.launch(
        (-(-num_lists // form.constants["R"]), 1, 1),
        best.device,
        best=best,
        limits=limits,
        keys=keys,
        counts=counts,
        places=places,
        first_list=begin * num_queries,
        num_lists=num_lists,
        capacity=keys.shape[2],
        k=k,
    )


def specialisations(target: Target) -> list[Specialisation]:
    """Return every form that ships."""
    return [
        *(
            _specialise_collecting(dtype, long, target)
            for dtype in ("fp16", "fp32")
            for long in (False, True)
        ),
        *map(_specialise_reducing, SIZES),
    ]


def _specialise_collecting(dtype: str, long: bool, target: Target) -> Specialisation:
    plan = plan_product(long, dtype, target, spare=SPARE_REGISTERS)
    return Specialisation(
        name=f"pair_topk, any k, {dtype}{', long' if long else ''}",
        kernel=collect_kernel,
        types={
            "losses": f"*{dtype}",
            **PRODUCT_TYPES,
            "keys": "*i64",
            "counts": "*i32",
            "limits": "*fp32",
            "num_samples": "i64",
            "capacity": "i32",
        },
        constants=product_constants(plan),
        divisible=PRODUCT_DIVISIBLE | {"keys", "counts", "limits"},
        num_warps=plan.num_warps,
        num_stages=plan.num_stages,
        enable_fp_fusion=True,
    )


def _specialise_reducing(size: int) -> Specialisation:
    return Specialisation(
        name=f"reduction of candidates to {size}",
        kernel=reduce_kernel,
        types={
            "best": "*i64",
            "limits": "*fp32",
            "keys": "*i64",
            "counts": "*i32",
            "places": "*i64",
            "first_list": "i32",
            "num_lists": "i32",
            "capacity": "i32",
            "k": "i32",
        },
        constants={
            "R": REDUCED_KEYS // size,
            "LOG_K": size.bit_length() - 1,
            "NOTHING": NOTHING,
            "NEVER": NEVER,
        },
        divisible=frozenset({"best", "limits", "keys", "counts", "places"}),
        num_warps=REDUCING_WARPS,
        enable_fp_fusion=False,
        options=REGISTERS,
    )
