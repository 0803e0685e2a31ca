"""Sums of losses per group, checkpoint by checkpoint: for the mean trajectories of references.

A float16 is looked up in a table of all of them, half a megabyte of which recorded losses touch
little; that is as fast as converting, and needs no care for where vectors end. Each sum is added up
in the order of the samples, so that it is the same to the last bit however they are divided into
calls.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from ltc_kernels.cpu.threads import for_ranges, thread_count

_NUMBERS = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64)
_NUMBERS[~np.isfinite(_NUMBERS)] = np.nan

_ROW = types.Array(types.float64, 1, "C")
_COUNTS = types.Array(types.int64, 1, "C")
_GROUPS = types.Array(types.int32, 1, "C", readonly=True)


@njit(
    types.void(types.Array(types.uint16, 1, "A", readonly=True), _GROUPS, _ROW, _ROW, _COUNTS),
    nogil=True,
    cache=True,
)
def _add_halves(bits: Any, groups: Any, numbers: Any, sums: Any, missing: Any) -> None:
    for i in range(bits.size):
        group = np.uint32(groups[i])
        value = numbers[bits[i]]
        if np.isnan(value):
            missing[group] += 1
        else:
            sums[group] += value


@njit(
    types.void(types.Array(types.float32, 1, "A", readonly=True), _GROUPS, _ROW, _COUNTS),
    nogil=True,
    cache=True,
)
def _add_floats(losses: Any, groups: Any, sums: Any, missing: Any) -> None:
    for i in range(losses.size):
        group = np.uint32(groups[i])
        if np.isfinite(losses[i]):
            sums[group] += losses[i]
        else:
            missing[group] += 1


def add_group_sums(
    losses: NDArray[Any],
    groups: NDArray[np.int32],
    sums: NDArray[np.float64],
    missing: NDArray[np.int64],
) -> None:
    """See `ltc_kernels.add_group_sums`."""

    def add(begin: int, end: int) -> None:
        for t in range(begin, end):
            if losses.dtype == np.float16:
                _add_halves(losses[t].view(np.uint16), groups, _NUMBERS, sums[t], missing[t])
            else:
                _add_floats(losses[t], groups, sums[t], missing[t])

    for_ranges(add, len(losses), max(-(-len(losses) // thread_count()), 1))
