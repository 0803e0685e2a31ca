"""Correlation over the values that both sides have, in float64: the exact path for few columns.

Here come the training trajectories with a gap, those that don't vary, those whose squares float32
doesn't hold, and every comparison with an incomplete reference. A missing value, of either side,
drops its checkpoint; a difference needs both its ends. Trajectories are rows here, so that a sample
is contiguous.
"""

import math

import numpy as np
from numba import njit, types

from ltc_kernels.algebra import CONSTANT_TOLERANCE, MINIMUM_VALUES

_ROWS = types.Array(types.float64, 2, "C", readonly=True)
_INDEX = types.Array(types.int64, 1, "C", readonly=True)


@njit(nogil=True, cache=True)
def _largest(trajectory):
    """Largest finite magnitude, the scale that rounding is measured by."""
    largest = 0.0
    for value in trajectory:
        if math.isfinite(value):
            largest = max(largest, abs(value))
    return largest


@njit(nogil=True, cache=True)
def _pearson(x, y, lag, rounding_x, rounding_y):
    """Pearson correlation of ``v[t] - lag * v[t - lag]``: of values (lag 0) or differences (1)."""
    count = 0
    sum_x = 0.0
    sum_y = 0.0
    for t in range(lag, len(x)):
        a = x[t] - lag * x[t - lag]
        b = y[t] - lag * y[t - lag]
        if math.isfinite(a) and math.isfinite(b):
            count += 1
            sum_x += a
            sum_y += b
    if count < MINIMUM_VALUES:
        return math.nan
    mean_x = sum_x / count
    mean_y = sum_y / count
    square_x = 0.0
    square_y = 0.0
    product = 0.0
    for t in range(lag, len(x)):
        a = x[t] - lag * x[t - lag] - mean_x
        b = y[t] - lag * y[t - lag] - mean_y
        if math.isfinite(a) and math.isfinite(b):
            square_x += a * a
            square_y += b * b
            product += a * b
    spread_x = math.sqrt(square_x)
    spread_y = math.sqrt(square_y)
    limit = math.sqrt(count)
    if spread_x <= rounding_x * limit or spread_y <= rounding_y * limit:
        return math.nan
    return product / spread_x / spread_y


@njit(
    types.void(_ROWS, _ROWS, _INDEX, types.intp, types.Array(types.float32, 1, "C")),
    nogil=True,
    cache=True,
)
def correlate_rows(rows, references, groups, lag, out):
    """``out[i]``: the correlation of ``rows[i]`` with ``references[groups[i]]``, or NaN."""
    rounding = np.empty(len(references))
    for group in range(len(references)):
        rounding[group] = CONSTANT_TOLERANCE * _largest(references[group])
    for i in range(len(rows)):
        group = groups[i]
        own = CONSTANT_TOLERANCE * _largest(rows[i])
        out[i] = _pearson(rows[i], references[group], lag, own, rounding[group])


@njit(
    types.void(
        _ROWS,
        _ROWS,
        _INDEX,
        _INDEX,
        types.intp,
        types.Array(types.float64, 1, "C"),
        types.Array(types.int64, 1, "C"),
    ),
    nogil=True,
    cache=True,
)
def add_pairs(rows, val, begins, ends, lag, sums, counts):
    """Add the defined correlations of ``rows[i]`` with ``val[begins[i]:ends[i]]``."""
    rounding = np.empty(len(val))
    for m in range(len(val)):
        rounding[m] = CONSTANT_TOLERANCE * _largest(val[m])
    for i in range(len(rows)):
        own = CONSTANT_TOLERANCE * _largest(rows[i])
        for m in range(begins[i], ends[i]):
            correlation = _pearson(rows[i], val[m], lag, own, rounding[m])
            if not math.isnan(correlation):
                sums[i] += correlation
                counts[i] += 1
