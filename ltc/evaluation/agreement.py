"""How well two scores, or two selections by them, agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation.arrays import any_array, check_same_shape, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MEASURES = ("share", "jaccard")


def rank_agreement(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's rank correlation of two scores of the same samples.

    Parameters
    ----------
    a, b : numbers [N]
        Scores; NaN where undefined. Infinite ones are ranked as they are.

    Returns
    -------
    float
        In -1..1, over the samples that are defined in both; equal scores share their mean rank.
        NaN where fewer than two samples are, or where one side gives them all the same score.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Not two arrays of numbers of the same length.

    Examples
    --------
    >>> from ltc import evaluation
    >>> evaluation.rank_agreement([0.1, 0.2, 0.3, np.nan], [3, 7, 5, 9])
    0.5
    """
    first, second = numbers("a", a, ("sample",)), numbers("b", b, ("sample",))
    check_same_shape("b", second, "a", first)
    defined = ~(np.isnan(first) | np.isnan(second))
    return spearman(first[defined], second[defined])


def overlap(a: ArrayLike, b: ArrayLike, *, measure: Literal["share", "jaccard"] = "share") -> float:
    """Return how much two selections have in common.

    Parameters
    ----------
    a, b : int [k], or str [k]
        Indices or ids of the selected samples, in any order, each once. The two need not be of the
        same size.
    measure : {"share", "jaccard"}
        What the number of samples in both is divided by. ``"share"``: the size of the smaller
        selection. Of two random selections of k out of N samples it is k/N on average.
        ``"jaccard"``: the number of samples in either.

    Returns
    -------
    float
        In 0..1; NaN where a selection is empty.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A selection is no such array, has a sample twice, or the measure is another.

    Examples
    --------
    >>> from ltc import evaluation
    >>> evaluation.overlap([0, 2, 4, 6], [4, 5, 6, 7])
    0.5
    >>> round(evaluation.overlap([0, 2, 4, 6], [4, 5, 6, 7], measure="jaccard"), 3)
    0.333
    """
    if measure not in _MEASURES:
        raise ArgumentValueError(
            f"measure must be one of {', '.join(map(repr, _MEASURES))}, got {measure!r}"
        )
    first, second = _selection("a", a), _selection("b", b)
    if not (first.size and second.size):
        return float("nan")
    if (first.dtype.kind in "iu") != (second.dtype.kind in "iu"):
        raise ArgumentTypeError(
            f"b must hold indices or ids as a does, {first.dtype}, got {second.dtype}"
        )
    both = np.intersect1d(first, second, assume_unique=True).size
    smaller = min(first.size, second.size)
    return both / (smaller if measure == "share" else first.size + second.size - both)


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the correlation of the ranks, equal values sharing theirs; NaN if either is constant.

    Parameters
    ----------
    a, b : float [n]
        Without NaN.

    Examples
    --------
    >>> a, b = np.array([1, 2, 3, 3], np.float32), np.array([9, 7, 8, 1], np.float32)
    >>> round(spearman(a, b), 4)
    -0.6325
    """
    if not a.size:
        return float("nan")
    deviations = [ranks(values) - (values.size - 1) / 2 for values in (a, b)]
    norm = np.sqrt(np.prod([np.square(deviation).sum() for deviation in deviations]))
    # Rounding alone could carry equal or opposite orders beyond 1.
    return float(np.clip(deviations[0] @ deviations[1] / norm, -1, 1)) if norm else float("nan")


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value, from 0; equal values share the mean of theirs.

    Examples
    --------
    >>> ranks(np.array([5, 1, 5, 0]))
    array([2.5, 1. , 2.5, 0. ])
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, values.size])
    found = np.empty(values.size)
    found[order] = np.repeat(starts + (sizes - 1) / 2, sizes)
    return found


def _selection(name: str, values: ArrayLike) -> NDArray[Any]:
    array = any_array(name, values)
    if array.ndim != 1:
        raise ArgumentValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    if not array.size:
        return array  # an empty list has no dtype of its own
    if array.dtype.kind not in "iuUTO":
        hint = "; np.flatnonzero(mask) gives indices" if array.dtype.kind == "b" else ""
        raise ArgumentTypeError(f"{name} must hold indices or ids, got {array.dtype}{hint}")
    if array.dtype.kind == "O" and not all(isinstance(each, str) for each in array):
        raise ArgumentTypeError(f"{name} must hold indices or ids, got objects that are no strings")
    if np.unique(array).size < array.size:
        raise ArgumentValueError(f"{name} must hold each sample once, got one that is there twice")
    return array
