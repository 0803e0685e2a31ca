"""How many losses are missing: bound by reading them once more, 2 bytes each."""

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from ltc_kernels.cpu.threads import for_ranges, thread_count

_NOT_FINITE = np.uint16(0x7C00)  # float16: exponent bits that are all set


_BLOCK = 1 << 15  # values that a 16-bit count can't overflow on


@njit(nogil=True, cache=True)
def _count_in_block(bits: Any) -> Any:
    """Count in 16 bits, so that a vector of counts is as wide as a vector of values."""
    count = np.uint16(0)
    for i in range(bits.size):  # from 0: no code for negative indices
        count = np.uint16(count + np.uint16((bits[i] & _NOT_FINITE) == _NOT_FINITE))
    return count


@njit(types.int64(types.Array(types.uint16, 1, "C", readonly=True)), nogil=True, cache=True)
def _count_not_finite(bits: Any) -> Any:
    total = 0
    for start in range(0, bits.size, _BLOCK):
        total += _count_in_block(bits[start : min(start + _BLOCK, bits.size)])
    return total


def count_missing(losses: NDArray[Any]) -> int:
    """See `ltc_kernels.count_missing`."""
    if losses.dtype != np.float16:
        return int(losses.size - np.isfinite(losses).sum())
    bits = losses.view(np.uint16)
    counts = [0] * len(bits)

    def count_rows(begin: int, end: int) -> None:
        for t in range(begin, end):
            counts[t] = _count_not_finite(bits[t])

    for_ranges(count_rows, len(bits), max(-(-len(bits) // thread_count()), 1))
    return sum(counts)
