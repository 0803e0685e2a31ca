"""How sure the model was of each training sample, and how much that changed: the data map.

Dataset Cartography (arXiv 2009.10795) places a sample by the mean over the checkpoints of p =
exp(-loss), upwards, and its standard deviation, across. Few samples are points; of more, those of a
cell of a grid are one mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.difficulty import difficulty
from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.difficulty_plan import Kind
    from ltc.reporting.arguments import ReportPlan

__all__ = [
    "CELLS",
    "MOST_POINTS",
    "SPREAD",
    "WINDOW",
    "Cells",
    "Dynamics",
    "cells_of",
    "find_dynamics",
]

SPREAD: Final = 0.5  # the largest standard deviation of values in 0..1
CELLS: Final = 40  # of the grid, each way
MOST_POINTS: Final = 4_000
WINDOW: Final = 10  # checkpoints, of DUAL's authors


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What the losses say of p.

    Attributes
    ----------
    confidence, variability : float32 array [N]
        Mean and standard deviation of p; NaN where undefined.
    dual : float32 array [N] or None
        Scores of DUAL; None where there are too few losses for its windows.
    """

    confidence: NDArray[np.float32]
    variability: NDArray[np.float32]
    dual: NDArray[np.float32] | None

    @property
    def defined(self) -> NDArray[np.int64]:
        """Samples that have a place on the map, ascending."""
        return np.flatnonzero(~np.isnan(self.variability))

    @property
    def as_points(self) -> bool:
        """Whether each sample is a mark of its own."""
        return self.defined.size <= MOST_POINTS


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of the grid that have samples.

    Attributes
    ----------
    columns, rows : int64 array [n]
        Place of each: variability across, confidence upwards, both from 0.
    number : int64 array [n]
        Samples in it.
    mean : float64 array [n]
        Their mean score; NaN where none has one.
    samples : int64 array [m]
        Those on the map, ascending.
    of : int64 array [m]
        The cell of each.
    """

    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    number: NDArray[np.int64]
    mean: NDArray[np.float64]
    samples: NDArray[np.int64]
    of: NDArray[np.int64]

    def by_class(self, codes: NDArray[np.int32], num_classes: int) -> NDArray[np.int64]:
        """Return how many samples of each class each cell has, [C, n]."""
        places = codes[self.samples] * np.int64(self.number.size) + self.of
        counts = np.bincount(places, minlength=num_classes * self.number.size)
        return counts.reshape(num_classes, self.number.size)


def find_dynamics(plan: ReportPlan) -> Dynamics:
    """Compute them in one pass over the store.

    Raises
    ------
    ArgumentValueError
        The losses are not known to be cross-entropy, or there are too few.
    """
    kinds: list[Kind] = ["confidence", "variability"]
    observed = sum(commit.train.observed > 0 for commit in plan.store.commits)
    if observed >= WINDOW:
        kinds.append("dual")
    found = difficulty(
        plan.store,
        kinds,
        window=WINDOW,
        loss=plan.loss,
        memory_limit=plan.memory_limit,
        progress=plan.progress,
    )
    confidence, variability = found["confidence"].values, found["variability"].values
    dual = found["dual"].values if "dual" in found else None
    if np.isnan(variability).all():
        raise ArgumentValueError("no training sample has losses at two checkpoints")
    if dual is not None and np.isnan(dual).all():
        dual = None
    return Dynamics(confidence, variability, dual)


def cells_of(dynamics: Dynamics, scores: NDArray[np.float32], number: int = CELLS) -> Cells:
    """Put samples into cells of a grid of so many each way; what lies on an edge counts above it.

    Parameters
    ----------
    dynamics : Dynamics
        Where each sample is.
    scores : float32 array [N]
        Of which each cell has a mean.
    number : int
        Cells each way.

    Examples
    --------
    >>> p, spread = np.array([0.1, 0.2, 0.9], np.float32), np.array([0.1, 0.2, 0.3], np.float32)
    >>> found = cells_of(Dynamics(p, spread, None), np.array([0.5, 0.7, np.nan], np.float32), 2)
    >>> found.columns, found.rows, found.number, found.mean.round(2)
    (array([0, 1]), array([0, 1]), array([2, 1]), array([0.6, nan]))
    """
    samples = dynamics.defined
    across = dynamics.variability[samples].astype(np.float64) / SPREAD
    upwards = dynamics.confidence[samples].astype(np.float64)
    places = [np.clip(each * number, 0, number - 1).astype(np.int64) for each in (across, upwards)]
    keys = places[0] * number + places[1]
    everywhere = np.bincount(keys, minlength=number * number)
    names = np.flatnonzero(everywhere)
    of = np.searchsorted(names, np.arange(number * number))[keys]
    values = scores[samples].astype(np.float64)
    known = ~np.isnan(values)
    counts = np.bincount(of[known], minlength=names.size)
    sums = np.bincount(of[known], weights=values[known], minlength=names.size)
    return Cells(
        columns=names // number,
        rows=names % number,
        number=everywhere[names],
        mean=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        samples=samples,
        of=of,
    )
