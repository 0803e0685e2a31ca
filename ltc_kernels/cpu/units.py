"""Unit signals of training samples: centred and of norm 1, in blocks for the matrix product.

A correlation is the product of two unit signals. Those of validation samples are made in float64
(`ltc_kernels.algebra`); those of the training samples here, in float32 and as
`ltc_kernels.cpu.group` does it: centred before they are squared, relative to the last value, with
sums over ``TILE`` checkpoints that are added with compensation. Work: four passes over a few
columns that stay in the first-level cache, which is little beside a product with many queries.

A sample is NaN in all terms, so that no comparison with it holds, where something is missing,
nothing varies, or float32 doesn't hold the squares.
"""

import numpy as np
from numba import njit, types

from ltc_kernels.cpu.compensated import add
from ltc_kernels.cpu.group import LARGEST, SMALLEST, STEADY
from ltc_kernels.cpu.simd import (
    LANES,
    TILE,
    ZERO,
    fma,
    keep_between,
    load,
    splat,
    sqrt,
    store,
)


@njit(nogil=True, cache=True)
def _unit_differences(losses, i, out):
    num_checkpoints = losses.shape[0]
    last = load(losses, num_checkpoints - 1, i)
    count = splat(np.float32(num_checkpoints - 1))
    drift = (last - load(losses, 0, i)) / count
    squares = splat(ZERO)
    lost = splat(ZERO)
    previous = load(losses, 0, i)
    for begin in range(1, num_checkpoints, TILE):
        part = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            current = load(losses, t, i)
            centred = current - previous - drift
            previous = current
            part = fma(centred, centred, part)
            store(centred, out, t - 1, 0)
        squares, lost = add(squares, part, lost)
    steady = fma(drift * drift, count * splat(STEADY), splat(SMALLEST))
    _scale(out, keep_between(sqrt(squares), squares, steady, splat(LARGEST)))


@njit(nogil=True, cache=True)
def _unit_losses(losses, i, out):
    num_checkpoints = losses.shape[0]
    last = load(losses, num_checkpoints - 1, i)
    total = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        part = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            part = part + (load(losses, t, i) - last)
        total = total + part
    mean = total / splat(np.float32(num_checkpoints))  # relative to the last value
    squares = splat(ZERO)
    lost = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        part = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            centred = load(losses, t, i) - last - mean
            part = fma(centred, centred, part)
            store(centred, out, t, 0)
        squares, lost = add(squares, part, lost)
    _scale(out, keep_between(sqrt(squares), squares, splat(SMALLEST), splat(LARGEST)))


@njit(inline="always")
def _scale(out, norm):
    """Divide by the norm, NaN where there is none."""
    factor = splat(np.float32(1.0)) / norm
    for t in range(out.shape[0]):
        store(load(out, t, 0) * factor, out, t, 0)


def _pack_units(losses, differences, begin, tile):
    """Fill every block of ``tile`` [block, term, lane] with samples from ``begin`` on."""
    for block in range(tile.shape[0]):
        if differences:
            _unit_differences(losses, begin + block * LANES, tile[block])
        else:
            _unit_losses(losses, begin + block * LANES, tile[block])


def _signature(bits):
    return types.void(
        types.Array(bits, 2, "A", readonly=True),
        types.boolean,
        types.intp,
        types.Array(types.float32, 3, "C"),
    )


pack_units = njit([_signature(types.uint16), _signature(types.float32)], nogil=True, cache=True)(
    _pack_units
)
