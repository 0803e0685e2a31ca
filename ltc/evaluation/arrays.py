"""What the functions of `ltc.evaluation` are given, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def numbers(name: str, values: ArrayLike, shape: Sequence[str]) -> NDArray[np.float64]:
    """Return real numbers as float64.

    Parameters
    ----------
    name : str
        What the error calls them.
    values : array_like
        Integers or floats.
    shape : sequence of str
        The name of each axis.

    Raises
    ------
    ArgumentTypeError
        They are no real numbers.
    ArgumentValueError
        They have another number of axes.

    Examples
    --------
    >>> numbers("scores", [1, 2], ("sample",))
    array([1., 2.])
    """
    array = any_array(name, values)
    if array.dtype.kind not in "iuf":
        raise ArgumentTypeError(f"{name} must be real numbers, got {array.dtype}")
    _check_axes(name, array, shape)
    return array.astype(np.float64)


def marks(name: str, values: ArrayLike, shape: Sequence[str]) -> NDArray[np.bool_]:
    """Return an array of bool; the arguments are those of `numbers`."""
    array = any_array(name, values)
    if array.dtype.kind != "b":
        raise ArgumentTypeError(f"{name} must be bool, got {array.dtype}")
    _check_axes(name, array, shape)
    return array


def classes(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Return the class of each sample, int64 [N]."""
    array = any_array(name, values)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name} must be integers, got {array.dtype}")
    _check_axes(name, array, ("sample",))
    return array.astype(np.int64)


def check_same_shape(name: str, array: NDArray[Any], other_name: str, other: NDArray[Any]) -> None:
    """Refuse arrays of different shapes."""
    if array.shape != other.shape:
        raise ArgumentValueError(
            f"{name} must have the shape of {other_name}, {other.shape}, got {array.shape}"
        )


def any_array(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return an array of any dtype and shape, but no ragged one."""
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ArgumentValueError(f"{name} must be an array: {error}") from error


def _check_axes(name: str, array: NDArray[Any], shape: Sequence[str]) -> None:
    if array.ndim != len(shape):
        raise ArgumentValueError(
            f"{name} must have shape [{', '.join(shape)}], got shape {array.shape}"
        )
