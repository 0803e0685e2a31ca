"""Correlation with one row of weights per group, in one pass over the losses.

Bytes: every loss is read once from memory, 2 T + 4 bytes per sample with its group, and 4 are
written. Work per loss: a conversion, two subtractions and two multiply-adds for ``"difference"``;
``"loss"`` goes over the values twice, the second time from the first-level cache. The kernel is
bound by memory.

The signal is centred *before* it is squared or multiplied. The mean of the differences is known
beforehand, (last - first) / (T - 1); the mean of the losses is found in a first pass over the same
few columns, relative to the last value, so that a loss recorded before training, the outlier of its
row, doesn't set the scale. Nothing cancels later, neither at an offset nor in a steady drift.

Sums run over ``TILE`` checkpoints, and those sums are added with compensation (Kahan 1965): most of
a recorded trajectory's variance lies in its first checkpoints, and thousands of later ones would
each be rounded away against it. At 4096 recorded checkpoints that alone was an error of 1e-5.

A result is NaN where the fast path has no answer: something is missing, nothing varies, or float32
doesn't hold the squares. The caller does those columns again (`ltc_kernels.cpu.masked`).
"""

import numpy as np
from numba import njit, types

from ltc_kernels.cpu.compensated import add
from ltc_kernels.cpu.simd import (
    LANES,
    TILE,
    ZERO,
    fma,
    keep_between,
    load,
    prefetch,
    splat,
    sqrt,
    store,
    transpose_weights,
)

AHEAD = 4 * LANES  # samples from the block at work to the one asked for; 2 to 16 are alike
LARGEST = np.float32(1e36)  # a sum of squares beyond this may have overflowed,
SMALLEST = np.float32(1e-30)  # below this its terms may have been flushed
STEADY = np.float32(2.0**-12)  # below this share of the drift's square, differences' rounding shows


@njit(nogil=True, cache=True)
def _correlate_differences(losses, weights, groups, tile, uniform, i, out):
    num_checkpoints = losses.shape[0]
    group = groups[i]
    first = load(losses, 0, i)
    last = load(losses, num_checkpoints - 1, i)
    count = splat(np.float32(num_checkpoints - 1))
    drift = (last - first) / count
    previous = first
    squares = splat(ZERO)
    products = splat(ZERO)
    lost_squares = splat(ZERO)
    lost_products = splat(ZERO)
    for begin in range(1, num_checkpoints, TILE):
        if not uniform:
            for lane in range(0, LANES, TILE):
                transpose_weights(weights, groups, i + lane, begin - 1, tile, lane)
        part_squares = splat(ZERO)
        part_products = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            prefetch(losses, t, i + AHEAD)
            weight = splat(weights[group, t - 1]) if uniform else load(tile, t - begin, 0)
            current = load(losses, t, i)
            centred = current - previous - drift
            previous = current
            part_squares = fma(centred, centred, part_squares)
            part_products = fma(centred, weight, part_products)
        squares, lost_squares = add(squares, part_squares, lost_squares)
        products, lost_products = add(products, part_products, lost_products)
    steady = fma(drift * drift, count * splat(STEADY), splat(SMALLEST))
    correlation = products / sqrt(squares)
    store(keep_between(correlation, squares, steady, splat(LARGEST)), out, 0, i)


@njit(nogil=True, cache=True)
def _correlate_losses(losses, weights, groups, tile, uniform, i, out):
    num_checkpoints = losses.shape[0]
    group = groups[i]
    last = load(losses, num_checkpoints - 1, i)
    total = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        part = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            prefetch(losses, t, i + AHEAD)
            part = part + (load(losses, t, i) - last)
        total = total + part
    mean = total / splat(np.float32(num_checkpoints))  # relative to the last value
    squares = splat(ZERO)
    products = splat(ZERO)
    lost_squares = splat(ZERO)
    lost_products = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        if not uniform:
            for lane in range(0, LANES, TILE):
                transpose_weights(weights, groups, i + lane, begin, tile, lane)
        part_squares = splat(ZERO)
        part_products = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            weight = splat(weights[group, t]) if uniform else load(tile, t - begin, 0)
            centred = load(losses, t, i) - last - mean
            part_squares = fma(centred, centred, part_squares)
            part_products = fma(centred, weight, part_products)
        squares, lost_squares = add(squares, part_squares, lost_squares)
        products, lost_products = add(products, part_products, lost_products)
    correlation = products / sqrt(squares)
    store(keep_between(correlation, squares, splat(SMALLEST), splat(LARGEST)), out, 0, i)


def _correlate(losses, weights, groups, differences, begin, end, out):
    """Samples ``begin`` to ``end`` of ``out`` [1, N]; N is at least ``LANES``."""
    tile = np.empty((TILE, LANES), np.float32)
    for block in range(begin, end, LANES):
        # The last block overlaps the one before it: the same sums, the same bits.
        i = min(block, losses.shape[1] - LANES)
        group = groups[i]
        others = 0
        for lane in range(LANES):
            others += groups[i + lane] != group
        if differences:
            _correlate_differences(losses, weights, groups, tile, others == 0, i, out)
        else:
            _correlate_losses(losses, weights, groups, tile, others == 0, i, out)


def _signature(bits):
    return types.void(
        types.Array(bits, 2, "A", readonly=True),
        types.Array(types.float32, 2, "C", readonly=True),
        types.Array(types.int32, 1, "C", readonly=True),
        types.boolean,
        types.intp,
        types.intp,
        types.Array(types.float32, 2, "C"),
    )


correlate = njit([_signature(types.uint16), _signature(types.float32)], nogil=True, cache=True)(
    _correlate
)
