"""The search for the best k: products that leave the registers only to enter a heap.

A task owns some queries and goes over all samples of a tile with them, so that heaps need no locks
and limits are as tight as they can be. Samples may come in any order.

There are one or two ends: the products, and where asked for, their negatives. ``limits`` [end,
query] hold the value that a product must exceed, just below that of the worst entry; ``values`` and
``found`` are the heaps of all ends and queries, one after the other.
"""

import numpy as np
from numba import njit, types

from ltc_kernels.algebra import CONSTANT_TOLERANCE
from ltc_kernels.cpu.heaps import NOBODY, offer
from ltc_kernels.cpu.masked import _largest, _pearson
from ltc_kernels.cpu.product import (
    QUERIES,
    any_above,
    any_outside,
    any_reachable_above,
    any_reachable_outside,
    keep_largest,
    lowest_bit,
    mask_above,
    products,
    store_products,
)
from ltc_kernels.cpu.simd import LANES, ZERO, load, splat

BLOCKS = 16  # of a tile, that a group of queries meets before the next: heaps stay in the cache

_TILE = types.Array(types.float32, 3, "C", readonly=True)
_SAMPLES = types.Array(types.int64, 1, "C", readonly=True)
_ROWS = types.Array(types.float64, 2, "C", readonly=True)
_RESTS = types.Array(types.float32, 2, "C", readonly=True)
_LIMITS = types.Array(types.float32, 2, "C")
_VALUES = types.Array(types.float32, 1, "C")
_FOUND = types.Array(types.int64, 1, "C")


@njit(inline="always")
def _raise(limits, end, query, reached):
    """Let in what is as good as the worst entry: the sample decides then."""
    limits[end, query] = max(limits[end, query], np.nextafter(reached, np.float32(-np.inf)))


@njit(inline="always")
def _enter(mask, sign, row, samples, first, limits, values, found, end, query, start, size):
    """Offer the lanes of ``mask`` to the heap of a query that begins at ``start``."""
    while mask:
        lane = lowest_bit(mask)
        mask &= mask - np.uint64(1)
        reached = offer(values, found, start, size, sign * row[lane], samples[first + lane])
        _raise(limits, end, query, reached)


@njit(nogil=True, cache=True)
def _offer_block(scratch, samples, first, group, size, limits, values, found):
    """Offer the products in ``scratch`` [place, lane] to the heaps of a group of queries."""
    one = np.float32(1)
    for place in range(QUERIES):
        query = group * QUERIES + place
        start = query * size
        row = scratch[place]
        mask = mask_above(load(scratch, place, 0), limits[0, query])
        _enter(mask, one, row, samples, first, limits, values, found, 0, query, start, size)
        if len(limits) == 2:
            start += len(values) // 2
            mask = mask_above(splat(ZERO) - load(scratch, place, 0), limits[1, query])
            _enter(mask, -one, row, samples, first, limits, values, found, 1, query, start, size)


@njit(
    types.void(
        _TILE, _SAMPLES, _TILE, types.intp, _LIMITS, _VALUES, _FOUND, types.intp, types.intp
    ),
    nogil=True,
    cache=True,
)
def search(tile, samples, queries, size, limits, values, found, begin, end):
    """Offer a tile to the heaps of the groups ``begin`` to ``end`` of queries."""
    scratch = np.empty((QUERIES, LANES), np.float32)
    both = len(limits) == 2
    highs = limits[0]
    lows = limits[len(limits) - 1]
    for first_block in range(0, len(tile), BLOCKS):
        for group in range(begin, end):
            for block in range(first_block, min(first_block + BLOCKS, len(tile))):
                sums = products(tile, block, queries, group)
                if both:
                    some = any_outside(sums, highs, lows, group * QUERIES)
                else:
                    some = any_above(sums, highs, group * QUERIES)
                if some:
                    store_products(sums, scratch, 0, 0)
                    first = block * LANES
                    _offer_block(scratch, samples, first, group, size, limits, values, found)


@njit(
    types.int64(
        _TILE,
        _TILE,
        _RESTS,
        _SAMPLES,
        _TILE,
        _TILE,
        types.Array(types.float32, 1, "C", readonly=True),
        types.float32,
        types.intp,
        _LIMITS,
        _VALUES,
        _FOUND,
        types.intp,
        types.intp,
    ),
    nogil=True,
    cache=True,
)
def search_bounded(
    tile,
    coordinates,
    rests,
    samples,
    queries,
    query_coordinates,
    query_rests,
    margin,
    size,
    limits,
    values,
    found,
    begin,
    end,
):
    """As `search`, but form only products whose bound reaches a limit; return how many blocks."""
    scratch = np.empty((QUERIES, LANES), np.float32)
    reach = limits - margin  # of bounds; follows the limits
    formed = 0
    both = len(limits) == 2
    highs = limits[0]
    lows = limits[len(limits) - 1]
    for first_block in range(0, len(tile), BLOCKS):
        for group in range(begin, end):
            first = group * QUERIES
            for block in range(first_block, min(first_block + BLOCKS, len(tile))):
                sums = products(coordinates, block, query_coordinates, group)
                rest = load(rests, block, 0)
                if both:
                    some = any_reachable_outside(sums, rest, query_rests, reach[0], reach[1], first)
                else:
                    some = any_reachable_above(sums, rest, query_rests, reach[0], reach[0], first)
                if not some:
                    continue
                formed += 1
                sums = products(tile, block, queries, group)
                if both:
                    some = any_outside(sums, highs, lows, first)
                else:
                    some = any_above(sums, highs, first)
                if some:
                    store_products(sums, scratch, 0, 0)
                    _offer_block(
                        scratch, samples, block * LANES, group, size, limits, values, found
                    )
                    for side in range(len(limits)):
                        for query in range(first, first + QUERIES):
                            reach[side, query] = limits[side, query] - margin
    return formed


@njit(
    types.void(_TILE, _TILE, types.intp, types.intp, _LIMITS, types.intp, types.intp),
    nogil=True,
    cache=True,
)
def estimate(tile, queries, size, depth, limits, begin, end):
    """Raise the limits of the groups ``begin`` to ``end`` to what some of the samples guarantee.

    The largest product of each lane over ``depth`` blocks is one sample's, so that the best
    ``size`` of all samples reach the last of the best ``size`` of those maxima. The limit lies just
    below it: others may be as good.
    """
    segments = max(len(tile) // depth, 1)
    largest = np.empty((segments, QUERIES, LANES), np.float32)
    values = np.empty(size, np.float32)
    samples = np.empty(size, np.int64)
    for side in range(len(limits)):
        for group in range(begin, end):
            largest[:] = -np.inf
            for block in range(len(tile)):
                sums = products(tile, block, queries, group)
                keep_largest(sums, side == 1, largest, min(block // depth, segments - 1))
            for place in range(QUERIES):
                values[:] = -np.inf
                samples[:] = NOBODY
                for segment in range(segments):
                    for lane in range(LANES):
                        offer(values, samples, 0, size, largest[segment, place, lane], np.int64(0))
                query = group * QUERIES + place
                below = np.nextafter(values[0], np.float32(-np.inf))
                limits[side, query] = max(limits[side, query], below)


@njit(
    types.void(
        types.intp,
        _LIMITS,
        _VALUES,
        _FOUND,
        types.intp,
        types.float32,
        _SAMPLES,
        _ROWS,
        _SAMPLES,
        _ROWS,
        _SAMPLES,
        types.intp,
        types.intp,
    ),
    nogil=True,
    cache=True,
)
def search_rows(
    size, limits, values, found, lag, sign, samples, rows, places, val, queries, begin, end
):
    """Offer rows to the heaps of ``val[begin:end]``, over the values that both have, in float64.

    ``samples[places]`` and ``queries`` say which they are; ``sign``, 1 or -1, is that of the first
    end.
    """
    own = np.empty(len(rows))
    for i in range(len(rows)):
        own[i] = CONSTANT_TOLERANCE * _largest(rows[i])
    for m in range(begin, end):
        other = CONSTANT_TOLERANCE * _largest(val[m])
        for i in range(len(rows)):
            value = sign * np.float32(_pearson(rows[i], val[m], lag, own[i], other))
            if np.isnan(value):
                continue
            for side in range(len(limits)):
                start = queries[m] * size + side * (len(values) // 2)
                reached = offer(values, found, start, size, value, samples[places[i]])
                _raise(limits, side, queries[m], reached)
                value = -value
