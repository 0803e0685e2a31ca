"""The accuracies that coresets were found to give, their intervals, and a table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ltc.evaluation.intervals import Interval, bootstrap_interval, paired_difference
from ltc.tables import columns, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.evaluation.comparison import Match
    from ltc.evaluation.intervals import Method


@dataclass(frozen=True, eq=False)
class AccuracyCurve:
    """Accuracy against coreset size; :func:`ltc.evaluation.accuracy_curve` makes one.

    Attributes
    ----------
    methods : tuple of str
        The baseline, ``"random"``, first.
    sizes : int64 [K]
        Samples in the coresets.
    num_samples : int
        Samples in all.
    match : {"iterations", "epochs"}
        What the trainings have in common.
    iterations : int64 [K]
        Steps of each training.
    accuracy : float64 [method, K, seed]
        In 0..1; NaN where a training failed.
    worst_class : float64 [method, K, seed] or None
        Accuracy in the class where it is lowest; None where the test labels weren't given.
    """

    methods: tuple[str, ...]
    sizes: NDArray[np.int64]
    num_samples: int
    match: Match
    iterations: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    worst_class: NDArray[np.float64] | None = None

    def interval(self, *, level: float = 0.95, method: Method = "percentile") -> Interval:
        """Return the mean accuracies over the seeds and their intervals, arrays [method, K].

        Parameters
        ----------
        level, method
            As for :func:`ltc.evaluation.bootstrap_interval`.
        """
        return bootstrap_interval(np.moveaxis(self.accuracy, -1, 0), level=level, method=method)

    def difference(self, *, level: float = 0.95, method: Method = "percentile") -> Interval:
        """Return by how much each method exceeds random subsets, seed by seed, arrays [method, K].

        Parameters
        ----------
        level, method
            As for :func:`ltc.evaluation.paired_difference`.
        """
        values = np.moveaxis(self.accuracy, -1, 0)
        baseline = np.broadcast_to(values[:, :1], values.shape)
        return paired_difference(values, baseline, level=level, method=method)

    def summary(self, *, level: float = 0.95) -> str:
        """Return a table for reading: by size, each method's accuracy and what it has over random.

        Parameters
        ----------
        level : float
            Of the intervals.
        """
        interval, difference = self.interval(level=level), self.difference(level=level)
        lines = [
            f"accuracy in %, mean of {counted(self.accuracy.shape[-1], 'seed')}; {self.match} "
            f"matched; intervals: {100 * level:g} %, bootstrap"
        ]
        for place, (size, steps) in enumerate(zip(self.sizes, self.iterations, strict=True)):
            share = f"{100 * size / self.num_samples:.3g} %"
            lines.append(f"{counted(size, 'sample')} ({share}), {counted(steps, 'iteration')}")
            rows = [["method", "mean", "interval", "over random", "interval"]]
            for row, name in enumerate(self.methods):
                cell = (row, place)
                rows.append([name, f"{100 * interval.estimate[cell]:.2f}", _ends(interval, cell)])
                over = f"{100 * difference.estimate[cell]:+.2f}"
                rows[-1] += [over, _ends(difference, cell)] if row else ["", ""]
            if self.worst_class is not None:
                rows[0].append("worst class")
                for row, cells in enumerate(rows[1:]):
                    cells.append(f"{100 * self.worst_class[row, place].mean():.2f}")
            lines += columns(rows, "<" + ">" * (len(rows[0]) - 1))
        return "\n".join(lines)


def _ends(interval: Interval, cell: tuple[int, int]) -> str:
    low, high = 100 * interval.low[cell], 100 * interval.high[cell]
    return "" if np.isnan(low) else f"{low:.2f} to {high:.2f}"
