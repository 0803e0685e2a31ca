"""The nearest of a group's centres: squared distances to all of them at once, sample by sample.

Centres lie side by side at each checkpoint, so that one loss meets a vector of them. No distance
depends on how sums are split among vectors or threads: the result is the same to the last bit.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ltc_kernels.cpu.threads import for_ranges

AT_ONCE = 4096  # samples of a task


@njit(nogil=True, cache=True)
def _find(
    values: Any, centres: Any, groups: Any, begin: Any, end: Any, nearest: Any, squares: Any
) -> None:
    """Of samples `begin` to `end`; values [T, N], centres [C, T, K]."""
    distances = np.empty(centres.shape[2], np.float32)
    for i in range(begin, end):
        group = np.uint32(groups[i])
        for k in range(distances.size):
            distances[k] = 0
        for t in range(np.uint32(len(values))):
            value = values[t, np.uint64(i)]
            if np.isfinite(value):
                for k in range(np.uint32(distances.size)):
                    gap = value - centres[group, t, k]
                    distances[k] += gap * gap
        for k in range(distances.size):
            # A centre that there isn't is NaN; where nothing is observed, all are equally near.
            if centres[group, 0, k] == centres[group, 0, k] and not distances[k] >= squares[i]:
                squares[i] = distances[k]
                nearest[i] = k


def nearest_centres(
    values: NDArray[np.float32], centres: NDArray[np.float32], groups: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """See `ltc_kernels.nearest_centres`."""
    nearest = np.full(values.shape[1], -1, np.int32)
    squares = np.full(values.shape[1], np.nan, np.float32)
    side_by_side = np.ascontiguousarray(centres.transpose(0, 2, 1))

    def find(begin: int, end: int) -> None:
        _find(values, side_by_side, groups, begin, end, nearest, squares)

    for_ranges(find, values.shape[1], AT_ONCE)
    return nearest, squares
