"""The best k of each query: heaps whose root is the entry that the next better one replaces.

Entries are a value and a sample, and of two entries with equal values the one with the lower
sample is better. An empty place holds minus infinity and ``NOBODY``, worse than every entry. The
arrays of results are the heaps themselves, so that they take no memory of their own. Heaps lie one
after the other in flat arrays: a view of one would be counted, atomically, for every entry.
"""

import numpy as np
from numba import njit, types

NOBODY = np.int64(2**63 - 1)  # a sample after all others


@njit(inline="always")
def _is_worse(value, sample, other_value, other_sample):
    return value < other_value or (value == other_value and sample > other_sample)


@njit(nogil=True, cache=True)
def _settle(values, samples, start, size, value, sample):
    """Put an entry in place of the root of a heap of ``size``, and restore the order below it."""
    place = start
    child = start + 1
    end = start + size
    while child < end:
        other = child + 1
        if other < end and _is_worse(values[other], samples[other], values[child], samples[child]):
            child = other
        if not _is_worse(values[child], samples[child], value, sample):
            break
        values[place] = values[child]
        samples[place] = samples[child]
        place = child
        child = start + 2 * (place - start) + 1
    values[place] = value
    samples[place] = sample


@njit(nogil=True, cache=True)
def offer(values, samples, start, size, value, sample):
    """Replace the root at ``start`` if the entry is better; return the root's value."""
    if _is_worse(values[start], samples[start], value, sample):
        _settle(values, samples, start, size, value, sample)
    return values[start]


@njit(
    types.void(
        types.Array(types.float32, 1, "C"),
        types.Array(types.int64, 1, "C"),
        types.intp,
        types.intp,
        types.intp,
    ),
    nogil=True,
    cache=True,
)
def sort_heaps(values, samples, size, begin, end):
    """Sort the heaps ``begin`` to ``end``, best first; mark empty places with NaN and -1."""
    for start in range(begin * size, end * size, size):
        for last in range(start + size - 1, start, -1):
            value, sample = values[last], samples[last]
            values[last], samples[last] = values[start], samples[start]
            _settle(values, samples, start, last - start, value, sample)
        for place in range(start, start + size):
            if samples[place] == NOBODY:
                values[place] = np.nan
                samples[place] = -1
