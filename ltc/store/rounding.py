"""How a loss that is recorded becomes a stored float16.

The rule of `ltc_kernels.round_losses`, in NumPy alone: a process that trains compiles no kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LARGEST", "to_stored"]

LARGEST: Final = 65504.0
"""The largest finite float16; a finite loss beyond it is stored as this, with its sign."""

_MAGNITUDE: Final = np.uint16(0x7FFF)  # a float16 without its sign
_LARGEST_BITS: Final = np.uint16(0x7BFF)  # LARGEST; infinity and NaN come after it


def to_stored(losses: NDArray[Any]) -> tuple[NDArray[np.float16], int, int]:
    """Round losses to the values that a store holds.

    A finite loss beyond float16 becomes 65504 with its sign; an infinite one or NaN becomes NaN,
    which means missing.

    Parameters
    ----------
    losses : float16, float32 or float64 array, any shape
        Not changed.

    Returns
    -------
    stored : float16 array, the shape of `losses`
        A new array.
    clipped : int
        How many finite losses lie beyond float16.
    nonfinite : int
        How many losses are infinite or NaN.

    Raises
    ------
    ArgumentTypeError
        `losses` has another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> to_stored(np.array([0.5, 1e6, np.inf, np.nan], np.float32))
    (array([5.00e-01, 6.55e+04,      nan,      nan], dtype=float16), 1, 2)
    """
    if losses.dtype.kind != "f" or losses.dtype.itemsize > 8:
        raise ArgumentTypeError(f"losses must be float16, float32 or float64, got {losses.dtype}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        stored = np.array(losses, dtype=np.float16, order="C")
    # Whatever needs a second look has rounded to the largest magnitude or beyond it, and is rare.
    special = (stored.view(np.uint16) & _MAGNITUDE) >= _LARGEST_BITS
    if not special.any():
        return stored, 0, 0
    # Of many missing values none is picked out; large ones stay few.
    nonfinite = ~np.isfinite(losses)
    np.copyto(stored, np.float16(np.nan), where=nonfinite)
    large = special & ~nonfinite
    values = losses[large].astype(np.float64)
    stored[large] = values.clip(-LARGEST, LARGEST)
    clipped = int(np.count_nonzero(np.abs(values) > LARGEST))
    return stored, clipped, int(np.count_nonzero(nonfinite))
