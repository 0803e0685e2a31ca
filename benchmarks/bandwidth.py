"""The floor of a kernel that is bound by memory: reading the same bytes once, as a stream."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from ltc_kernels.cpu.simd import LANES, ZERO, load, splat, store
from ltc_kernels.cpu.threads import for_ranges, thread_count


@njit(
    types.void(
        types.Array(types.float32, 2, "C", readonly=True),
        types.intp,
        types.intp,
        types.Array(types.float32, 2, "C"),
    ),
    nogil=True,
)
def _read(words, begin, end, out):
    """Add up ``words[0, begin:end]`` in two vectors of registers."""
    first = splat(ZERO)
    second = splat(ZERO)
    for i in range(begin, end - 2 * LANES + 1, 2 * LANES):
        first = first + load(words, 0, i)
        second = second + load(words, 0, i + LANES)
    store(first + second, out, 0, 0)


def reader(array: NDArray[Any]) -> Callable[[], None]:
    """Return a function that reads every byte of the array once, with all threads."""
    words = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    words = words[: len(words) // 4 * 4].view(np.float32)[None]
    share = -(-words.shape[1] // thread_count())

    def part(begin: int, end: int) -> None:
        _read(words, begin, end, np.empty((1, LANES), dtype=np.float32))

    return lambda: for_ranges(part, words.shape[1], share)
