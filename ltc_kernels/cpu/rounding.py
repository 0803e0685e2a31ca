"""Losses to float16, in plain integer arithmetic that vectorises on every processor.

A finite value is limited to the largest float16 before it is rounded, so no infinity arises on the
way. Rounding to nearest, ties to even, is an integer addition to the bits: half of the last place
that stays, less one, plus that place's own bit. Float16's subnormal numbers are whole multiples of
2^-24 and are rounded as such.
"""

from typing import Any, Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from ltc_kernels.cpu.threads import for_ranges

TASK: Final = 65536  # losses

_NAN: Final = np.uint16(0x7E00)
_INFINITY: Final = np.uint16(0x7C00)  # float16: its exponent bits, all set
_LARGEST: Final = 65504.0
_SMALLEST_NORMAL: Final = 2.0**-14
_STEP: Final = 2.0**-24  # between subnormal numbers


def _rounding(floats: Any, words: Any) -> Any:
    """Return the kernel for one type of losses, and unsigned integers of the same width."""
    info = np.finfo(floats)
    shift = words(info.nmant - 10)  # bits of the mantissa that float16 lacks
    below_half = words((1 << int(shift) - 1) - 1)
    bias = words(int(1 - info.minexp - 15) << 10)  # between the biases of the exponents
    magnitudes = words(np.iinfo(words).max >> 1)
    sign_shift, sign_bit, one = words(info.bits - 16), words(0x8000), words(1)
    infinity, largest, normal = (
        np.array(value, floats).view(words)[()] for value in (np.inf, _LARGEST, _SMALLEST_NORMAL)
    )
    threshold, scale, zero = floats(_SMALLEST_NORMAL), floats(1 / _STEP), floats(0)

    def round_all(values, bits, stored):  # type: ignore[no-untyped-def]
        clipped = missing = 0
        for i in range(bits.size):  # every step is cast: integers of two widths become the wider
            magnitude = words(bits[i] & magnitudes)
            limited = words(min(magnitude, largest))
            even = words(words(limited >> shift) & one)
            rounded = words(words(limited + words(below_half + even)) >> shift)
            size = abs(values[i])
            steps = np.rint(size * scale if size < threshold else zero)
            half = words(rounded - bias) if limited >= normal else words(steps)
            sign = words(words(bits[i] >> sign_shift) & sign_bit)
            undefined = magnitude >= infinity
            stored[i] = _NAN if undefined else np.uint16(half | sign)
            missing += undefined
            clipped += magnitude > largest
        return clipped - missing, missing

    signature = types.UniTuple(types.int64, 2)(  # type: ignore[no-untyped-call]
        *(
            types.Array(kind, 1, "C", readonly=True)
            for kind in (getattr(types, floats.__name__), getattr(types, words.__name__))
        ),
        types.Array(types.uint16, 1, "C"),
    )
    return njit(signature, nogil=True, cache=True)(round_all)


_round_singles = _rounding(np.float32, np.uint32)
_round_doubles = _rounding(np.float64, np.uint64)


@njit(
    types.int64(
        types.Array(types.uint16, 1, "C", readonly=True), types.Array(types.uint16, 1, "C")
    ),
    nogil=True,
    cache=True,
)
def _copy_halves(bits: Any, stored: Any) -> Any:
    """Float16 stays what it is, unless it is infinite."""
    missing = 0
    for i in range(bits.size):
        undefined = (bits[i] & _INFINITY) == _INFINITY
        stored[i] = _NAN if undefined else bits[i]
        missing += undefined
    return missing


def round_losses(losses: NDArray[Any]) -> tuple[NDArray[np.float16], int, int]:
    """See `ltc_kernels.round_losses`; contiguous, of native bytes."""
    stored = np.empty(losses.shape, dtype=np.float16)
    values, out = losses.reshape(-1), stored.reshape(-1).view(np.uint16)
    counts: list[tuple[int, int]] = []  # of clipped and of missing ones; append is atomic

    def task(begin: int, end: int) -> None:
        part, target = values[begin:end], out[begin:end]
        if part.dtype == np.float16:
            counts.append((0, _copy_halves(part.view(np.uint16), target)))
        elif part.dtype == np.float32:
            counts.append(_round_singles(part, part.view(np.uint32), target))
        else:
            counts.append(_round_doubles(part, part.view(np.uint64), target))

    for_ranges(task, values.size, TASK)
    return stored, sum(clipped for clipped, _ in counts), sum(missing for _, missing in counts)
