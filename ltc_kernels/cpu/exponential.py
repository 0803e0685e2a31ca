"""The probability exp(-x) of a loss, and what it lacks to one, for vectors of float32.

With n the integer nearest to -x / ln 2, and r = -x - n ln 2 in two steps that round once,

    p = 2^n (1 + e)        1 - p = (1 - 2^n) - 2^n e        e = exp(r) - 1, |r| <= ln 2 / 2

where e is its Taylor series to r^7, off by 5e-9 at most. So both are right to a few units in their
own last place: p where a sample is hopeless, 1 - p where it is learned, as most are at the end of
training. There the difference of two float32 near one would hold nothing.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from ltc_kernels.cpu.simd import LANES, ZERO, fma, lanes, splat, where_below

ONE = np.float32(1.0)
LARGEST = np.float32(87.0)  # beyond it p is less than 2e-38, and 2^n no normal number
STEPS = np.float32(-1 / np.log(2))
SHIFT = np.float32(1.5 * 2**23)  # added to a float32 it leaves no place for a fraction
LOG2_UPPER = np.float32(0.693359375)  # 9 bits of ln 2, whose product with n is exact
LOG2_LOWER = np.float32(np.log(2) - 0.693359375)
TAYLOR = tuple(np.float32(1 / factor) for factor in (5040, 720, 120, 24, 6, 2))


@intrinsic
def _power_of_two(typing_context: Any, shifted: Any) -> Any:
    """``2 ** n``, for ``n + SHIFT``, whose last bits are n's."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = ir.VectorType(ir.IntType(32), LANES)
        bits = builder.bitcast(arguments[0], words)
        exponent = builder.shl(bits, ir.Constant(words, [23] * LANES))
        biased = builder.add(exponent, ir.Constant(words, [127 << 23] * LANES))
        return builder.bitcast(biased, arguments[0].type)

    return lanes(lanes), generate


@njit(inline="always")
def probability(loss):
    """``exp(-loss)`` and ``1 - exp(-loss)``; NaN stays NaN."""
    limit = splat(LARGEST)
    limited = where_below(limit, loss, limit, loss)
    shifted = fma(limited, splat(STEPS), splat(SHIFT))
    n = shifted - splat(SHIFT)
    rest = fma(n, splat(-LOG2_UPPER), splat(ZERO) - limited)
    rest = fma(n, splat(-LOG2_LOWER), rest)
    series = splat(TAYLOR[0])
    series = fma(series, rest, splat(TAYLOR[1]))
    series = fma(series, rest, splat(TAYLOR[2]))
    series = fma(series, rest, splat(TAYLOR[3]))
    series = fma(series, rest, splat(TAYLOR[4]))
    series = fma(series, rest, splat(TAYLOR[5]))
    less = fma(rest * rest, series, rest)
    power = _power_of_two(shifted)
    scaled = power * less
    return power + scaled, (splat(ONE) - power) - scaled
