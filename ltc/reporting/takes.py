"""What each strategy would take of each class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.reporting.classes import count_by_score
from ltc.scores import Scores
from ltc_kernels import thread_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.reporting.classes import Classes
    from ltc.reporting.dynamics import Dynamics
    from ltc.selection.plan import Balance, Strategy

__all__ = ["Taken", "take_all"]

# Each with whether it has a cutoff, the baseline first.
STRATEGIES: Final[tuple[tuple[Strategy, bool], ...]] = (
    ("random", False),
    ("random", True),
    ("top", False),
    ("stratified", True),
    ("beta", False),
    ("coverage", True),
)


@dataclass(frozen=True, eq=False)
class Taken:
    """What one strategy takes.

    Attributes
    ----------
    strategy : str
        Its name for :meth:`ltc.Scores.select`.
    cutoff : float
        The share of each class that it sets aside.
    histogram : int64 array [C, 40]
        Defined scores of the samples that it takes of each class, with shares in proportion to the
        sizes of the classes.
    mean : float64 array [C]
        Mean score of these; NaN where there are none.
    balanced, free : int64 array [C]
        How many samples of each class it takes, with such shares, and from one ranking of all.
    """

    strategy: str
    cutoff: float
    histogram: NDArray[np.int64]
    mean: NDArray[np.float64]
    balanced: NDArray[np.int64]
    free: NDArray[np.int64]

    @property
    def title(self) -> str:
        """Its name and its cutoff, if it has one."""
        return f"{self.strategy}, cutoff {self.cutoff:g}" if self.cutoff else self.strategy


def take_all(
    scores: Scores,
    classes: Classes,
    *,
    fraction: float,
    cutoff: float,
    dynamics: Dynamics | None = None,
    clusters: NDArray[np.int32] | None = None,
) -> tuple[Taken, ...]:
    """Select with every strategy that there is everything for, by class and from one ranking.

    Parameters
    ----------
    scores : Scores
        Of all samples.
    classes : Classes
        Of these scores.
    fraction, cutoff : float
        As for :meth:`ltc.Scores.select`.
    dynamics : Dynamics, optional
        For ``"beta"``, which draws by DUAL's scores and not by `scores`.
    clusters : int32 array [N], optional
        For ``"coverage"``.
    """

    def take(strategy: Strategy, cut: float) -> Taken:
        ranked, confidence = scores, None
        if strategy == "beta" and dynamics is not None and dynamics.dual is not None:
            ranked, confidence = Scores(dynamics.dual, scores.labels), dynamics.confidence

        def indices(balance: Balance) -> NDArray[np.int64]:
            return ranked.select(
                fraction=fraction,
                balance=balance,
                strategy=strategy,
                cutoff=cut,
                clusters=clusters if strategy == "coverage" else None,
                confidence=confidence,
            ).indices

        free = indices(None)
        chosen = free if scores.labels is None else indices("class")
        return _taken(strategy, cut, scores.values, classes, chosen, free)

    lacking = set()
    if dynamics is None or dynamics.dual is None:
        lacking.add("beta")
    if clusters is None:
        lacking.add("coverage")
    shown = [
        (strategy, cutoff if has_cutoff else 0.0)
        for strategy, has_cutoff in STRATEGIES
        if strategy not in lacking and (cutoff or (strategy, has_cutoff) != ("random", True))
    ]
    with ThreadPoolExecutor(max_workers=min(2, thread_count())) as pool:  # memory for two at most
        return tuple(pool.map(take, *zip(*shown, strict=True)))


def _taken(
    strategy: str,
    cutoff: float,
    scores: NDArray[np.float32],
    classes: Classes,
    chosen: NDArray[np.int64],
    free: NDArray[np.int64],
) -> Taken:
    values, codes = scores[chosen].astype(np.float64), classes.codes[chosen]
    defined = ~np.isnan(values)
    counts = np.bincount(codes[defined], minlength=classes.number)
    sums = np.bincount(codes[defined], weights=values[defined], minlength=classes.number)
    return Taken(
        strategy=strategy,
        cutoff=cutoff,
        histogram=count_by_score(values[defined], codes[defined], classes.number),
        mean=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        balanced=np.bincount(codes, minlength=classes.number),
        free=np.bincount(classes.codes[free], minlength=classes.number),
    )
