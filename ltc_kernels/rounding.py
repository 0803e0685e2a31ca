"""How a loss becomes the float16 that a store holds."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ltc_kernels import reference as float64_reference
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError

BACKENDS: Final = ("auto", "reference", "cpu")
DTYPES: Final = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


def round_losses(
    losses: NDArray[np.floating[Any]], *, backend: str = "auto"
) -> tuple[NDArray[np.float16], int, int]:
    """Round losses to float16, as a store holds them.

    A finite loss beyond float16 becomes 65504 with its sign; an infinite one or NaN becomes NaN,
    which means missing.

    Parameters
    ----------
    losses : ndarray of float16, float32 or float64, any shape
        Not changed.
    backend : {"auto", "reference", "cpu"}
        ``"reference"`` is the definition in float64 NumPy.

    Returns
    -------
    stored : ndarray of float16, the shape of `losses`
        A new array.
    clipped : int
        How many finite losses lie beyond float16.
    missing : int
        How many losses are infinite or NaN.

    Raises
    ------
    ArgumentTypeError
        Another dtype.
    ArgumentValueError
        An unknown backend.

    Examples
    --------
    >>> round_losses(np.array([0.5, 1e6, np.inf, np.nan], np.float32))
    (array([5.00e-01, 6.55e+04,      nan,      nan], dtype=float16), 1, 2)
    """
    if backend not in BACKENDS:
        raise ArgumentValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    array = np.asarray(losses)
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        raise ArgumentTypeError(f"losses must be float16, float32 or float64, got {array.dtype}")
    if backend == "reference":
        return float64_reference.round_losses(array)
    from ltc_kernels.cpu import rounding

    return rounding.round_losses(np.ascontiguousarray(array, dtype=native))
