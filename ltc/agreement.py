"""How well two rankings agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["spearman"]


def spearman(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the correlation of the ranks, equal values sharing theirs; NaN if either is constant.

    Examples
    --------
    >>> a, b = np.array([1, 2, 3, 3], np.float32), np.array([9, 7, 8, 1], np.float32)
    >>> round(spearman(a, b), 4)
    -0.6325
    """
    ranks = [_ranks(values) for values in (a, b)]
    deviations = [rank - rank.mean() for rank in ranks]
    norm = np.sqrt(np.prod([np.square(deviation).sum() for deviation in deviations]))
    return float(deviations[0] @ deviations[1] / norm) if norm else float("nan")


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, values.size])
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(starts + (sizes - 1) / 2, sizes)
    return ranks
