"""The nearest of a group's centres: squared distances of a block of samples to one after the other.

Samples are taken in the order of their groups, so that a block meets the same centres: its values
stay in the first-level cache, and a centre's value is in all lanes. A block may end before its
group does, or have lanes that belong to the next and count for nothing. Each lane adds up its own
distance, checkpoint by checkpoint: the result is the same to the last bit, whatever the block and
the threads.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ltc_kernels.cpu.simd import LANES, ZERO, fma, load, splat, store, where_finite
from ltc_kernels.cpu.threads import for_ranges

AT_ONCE = 4096  # samples of a task


@njit(nogil=True, cache=True)
def _distance(values: Any, centre: Any, first: Any) -> Any:
    """Squared distances of LANES complete columns from a centre."""
    total = splat(ZERO)
    for t in range(len(centre)):
        gap = load(values, t, first) - splat(centre[t])
        total = fma(gap, gap, total)
    return total


@njit(nogil=True, cache=True)
def _observed_distance(values: Any, centre: Any, first: Any) -> Any:
    """The same over the values that are finite."""
    total = splat(ZERO)
    for t in range(len(centre)):
        value = load(values, t, first)
        gap = where_finite(value, value - splat(centre[t]), splat(ZERO))
        total = fma(gap, gap, total)
    return total


@njit(nogil=True, cache=True)
def _are_complete(values: Any, first: Any, lanes: Any) -> Any:
    """Whether all values of LANES columns are finite; ``lanes`` [1, LANES] is overwritten."""
    rest = splat(ZERO)
    for t in range(len(values)):
        value = load(values, t, first)
        rest = rest + (value - value)  # zero, or NaN
    store(rest, lanes, 0, 0)
    return not np.isnan(lanes).any()


@njit(nogil=True, cache=True)
def _find(
    values: Any, centres: Any, groups: Any, begin: Any, end: Any, nearest: Any, squares: Any
) -> None:
    """Of samples `begin` to `end`, in the order of groups; values [T, N], N at least LANES."""
    lanes = np.empty((1, LANES), np.float32)
    while begin < end:
        group = groups[begin]
        stop = begin + 1
        while stop < min(begin + LANES, end) and groups[stop] == group:
            stop += 1
        first = min(begin, values.shape[1] - LANES)
        complete = _are_complete(values, first, lanes)
        for k in range(centres.shape[1]):
            centre = centres[group, k]
            if np.isnan(centre[0]):  # there is none
                continue
            if complete:
                store(_distance(values, centre, first), lanes, 0, 0)
            else:
                store(_observed_distance(values, centre, first), lanes, 0, 0)
            for i in range(begin, stop):
                square = lanes[0, i - first]
                if not square >= squares[i]:  # NaN before the first
                    squares[i] = square
                    nearest[i] = k
        begin = stop


def nearest_centres(
    values: NDArray[np.float32], centres: NDArray[np.float32], groups: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See `ltc_kernels.nearest_centres`."""
    size = values.shape[1]
    order = None
    if (groups[1:] < groups[:-1]).any():
        order = np.argsort(groups, kind="stable")
        values, groups = np.take(values, order, axis=1), groups[order]
    if size < LANES:
        values = np.pad(values, ((0, 0), (0, LANES - size)))
    values, centres = np.ascontiguousarray(values), np.ascontiguousarray(centres)
    nearest = np.full(size, -1, np.int32)
    squares = np.full(size, np.nan, np.float32)

    def find(begin: int, end: int) -> None:
        _find(values, centres, groups, begin, end, nearest, squares)

    for_ranges(find, size, AT_ONCE)
    if order is not None:
        places = np.argsort(order)
        nearest, squares = nearest[places], squares[places]
    return nearest, squares
