"""How the scores of each class are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.selection.ranking import numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BINS", "EDGES", "SHARES", "Classes", "count_by_score", "describe_classes"]

BINS: Final = 40
EDGES: Final = np.linspace(-1.0, 1.0, BINS + 1)
SHARES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Classes:
    """The scores of every class that has samples; one class without a name in a run without labels.

    Attributes
    ----------
    labels : int64 array [C]
        Ascending.
    codes : int32 array [N]
        Position in `labels` of each training sample.
    sizes, undefined : int64 array [C]
        Samples, and those among them without a score.
    mean : float64 array [C]
        Of the defined scores; NaN where there are none.
    quantiles : float64 array [C, 5]
        At `SHARES`.
    histogram : int64 array [C, 40]
        Defined scores between the `EDGES`.
    """

    labels: NDArray[np.int64]
    codes: NDArray[np.int32]
    sizes: NDArray[np.int64]
    undefined: NDArray[np.int64]
    mean: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @property
    def number(self) -> int:
        """How many classes."""
        return self.labels.size

    @property
    def order(self) -> NDArray[np.int64]:
        """Classes from the lowest median to the highest, those without scores last."""
        return np.argsort(self.quantiles[:, SHARES.index(0.5)], kind="stable")


def describe_classes(values: NDArray[np.float32], labels: NDArray[np.int32] | None) -> Classes:
    """Describe the scores of each class.

    Parameters
    ----------
    values : float32 array [N]
        Scores; NaN where undefined.
    labels : int32 array [N] or None
        Classes.

    Examples
    --------
    >>> found = describe_classes(np.array([0.5, 0.1, np.nan], np.float32), np.array([7, 7, 9]))
    >>> found.labels, found.sizes, found.undefined
    (array([7, 9]), array([2, 1]), array([0, 1]))
    >>> found.quantiles[0].round(2)
    array([0.12, 0.2 , 0.3 , 0.4 , 0.48])
    """
    names, codes = numbered(np.zeros(values.size, np.int32) if labels is None else labels)
    sizes = np.bincount(codes, minlength=names.size)
    if not sizes.all():  # labels that no sample has
        present = np.flatnonzero(sizes)
        codes = np.searchsorted(present, codes).astype(np.int32)
        names, sizes = names[present], sizes[present]
    defined = ~np.isnan(values)
    known, classes = values[defined].astype(np.float64), codes[defined]
    counts = np.bincount(classes, minlength=names.size)
    sums = np.bincount(classes, weights=known, minlength=names.size)
    return Classes(
        labels=names,
        codes=codes,
        sizes=sizes,
        undefined=sizes - counts,
        mean=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        quantiles=_quantiles(known, classes, counts),
        histogram=count_by_score(known, classes, names.size),
    )


def count_by_score(
    values: NDArray[np.floating], codes: NDArray[np.integer], number: int
) -> NDArray[np.int64]:
    """Count defined scores of each class between the `EDGES`; what lies on one counts above it.

    Examples
    --------
    >>> counts = count_by_score(np.array([-1.0, 0.0, 0.01, 1.0]), np.array([0, 0, 0, 1]), 2)
    >>> counts.shape, counts[0, [0, 20]], counts[1, -1]
    ((2, 40), array([1, 2]), np.int64(1))
    """
    places = np.clip((values.astype(np.float64) + 1) * (BINS / 2), 0, BINS - 1).astype(np.int64)
    places += codes.astype(np.int64) * BINS
    return np.bincount(places, minlength=number * BINS).reshape(number, BINS)


def _quantiles(
    values: NDArray[np.float64], codes: NDArray[np.int32], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Quantiles of each class, between neighbours in proportion, as NumPy's are."""
    ordered = values[np.lexsort((values, codes))]
    places = np.array(SHARES) * np.maximum(counts - 1, 0)[:, None]
    below = places.astype(np.int64)
    starts = (np.cumsum(counts) - counts)[:, None]
    if not ordered.size:
        return np.full(places.shape, np.nan)
    last = ordered.size - 1
    low = ordered[np.minimum(starts + below, last)]
    above = np.minimum(below + 1, np.maximum(counts - 1, 0)[:, None])
    high = ordered[np.minimum(starts + above, last)]
    found: NDArray[np.float64] = low + (places - below) * (high - low)
    found[counts == 0] = np.nan
    return found
