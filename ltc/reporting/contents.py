"""Everything that a report says, gathered from the store before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from ltc.clustering import clusters
from ltc.errors import ArgumentValueError
from ltc.pairs import Neighbors, neighbors
from ltc.reporting.chosen import Courses, choose_extremes, choose_queries, references_of
from ltc.reporting.classes import Classes, describe_classes
from ltc.reporting.dynamics import Cells, Dynamics, cells_of, find_dynamics
from ltc.reporting.takes import Taken, take_all
from ltc.stability import Stability, stability
from ltc.validation import ValidationQuality, validation_quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ltc.reporting.arguments import ReportPlan

__all__ = ["Contents", "Queries", "Unavailable", "gather"]

EXTREMES: Final = 4  # samples of each kind
NEIGHBOURS: Final = 5  # of each kind and query
LOOKED_AT: Final = 20_000  # training samples among which those to look up are drawn
LOSSES: Final = 300_000  # of training samples that can be looked up
CLUSTERED: Final = 8_000_000  # losses of the largest run of which trajectories are clustered
STABILITY_SAMPLES: Final = 10_000
SEED: Final = 0

T = TypeVar("T")


@dataclass(frozen=True)
class Unavailable:
    """A part of the report that can't be, and why."""

    reason: str


@dataclass(frozen=True, eq=False)
class Queries:
    """Validation samples and what was found for them.

    Attributes
    ----------
    why : tuple of str
        Why each of them is shown.
    found : Neighbors
        Their neighbours.
    val, train : Courses
        Trajectories of the queries, and of all their neighbours.
    """

    why: tuple[str, ...]
    found: Neighbors
    val: Courses
    train: Courses


@dataclass(frozen=True, eq=False)
class Contents:
    """What there is to say.

    Attributes
    ----------
    plan : ReportPlan
        What was asked for.
    classes : Classes
        How the scores are spread.
    dynamics : Dynamics or Unavailable
        Places on the data map.
    cells : Cells or None
        Of the map; None where its marks are single samples, or there is no map.
    clusters : int32 array [N] or Unavailable
        Of trajectories, by class.
    taken : tuple of Taken
        What each strategy takes.
    courses : Courses
        Trajectories of samples drawn at random, and of all that the report shows one by one.
    typical : Courses
        Of those, the ones drawn at random: they stand for the whole split.
    extremes : dict of str to int64 array
        Training samples by kind.
    references : dict of int to float64 array [T]
        What each of these is seen beside.
    queries : Queries or Unavailable
        Single validation samples.
    stability : Stability or Unavailable
        How early the scores were settled.
    quality : ValidationQuality or Unavailable
        What is known of the validation split.
    val_median : float64 array [T]
        Median loss of the validation split.
    ids, labels : dict of str to array or None
        Of each split, as recorded.
    """

    plan: ReportPlan
    classes: Classes
    dynamics: Dynamics | Unavailable
    cells: Cells | None
    clusters: NDArray[np.int32] | Unavailable
    taken: tuple[Taken, ...]
    courses: Courses
    typical: Courses
    extremes: dict[str, NDArray[np.int64]]
    references: dict[int, NDArray[np.float64]]
    queries: Queries | Unavailable
    stability: Stability | Unavailable
    quality: ValidationQuality | Unavailable
    val_median: NDArray[np.float64]
    ids: dict[str, NDArray[Any] | None]
    labels: dict[str, NDArray[np.int32] | None]


def gather(plan: ReportPlan) -> Contents:
    """Read and compute everything."""
    store, scores = plan.store, plan.scores
    classes = describe_classes(scores.values, scores.labels)
    extremes = choose_extremes(scores.values, EXTREMES)
    shown = np.unique(np.concatenate(list(extremes.values())))
    dynamics = _available(lambda: find_dynamics(plan))
    found_clusters = _available(lambda: _clusters(plan))
    queries = _available(lambda: _queries(plan))
    looked_at = _draw(store.num_train, LOOKED_AT)
    typical = looked_at[_draw(looked_at.size, max(LOSSES // store.committed, 1))]
    courses = Courses.read(store, "train", np.concatenate((typical, shown)))
    return Contents(
        plan=plan,
        classes=classes,
        dynamics=dynamics,
        cells=_cells(dynamics, scores.values),
        clusters=found_clusters,
        taken=take_all(
            scores,
            classes,
            fraction=plan.fraction,
            cutoff=plan.cutoff,
            dynamics=dynamics if isinstance(dynamics, Dynamics) else None,
            clusters=None if isinstance(found_clusters, Unavailable) else found_clusters,
        ),
        courses=courses,
        typical=Courses(typical, courses.losses[:, np.searchsorted(courses.samples, typical)]),
        extremes=extremes,
        references=references_of(plan, shown),
        queries=queries,
        stability=_available(lambda: _stability(plan)),
        quality=_available(
            lambda: validation_quality(store, signal=_signal(plan), memory_limit=plan.memory_limit)
        ),
        val_median=_val_median(plan),
        ids={"train": scores.ids if scores.ids is not None else store.ids("train")}
        | {"val": store.ids("val")},
        labels={split: store.labels(split) for split in ("train", "val")},
    )


def _available(make: Callable[[], T]) -> T | Unavailable:
    """What a function returns, or why it can't."""
    try:
        return make()
    except ArgumentValueError as error:
        return Unavailable(str(error))


def _signal(plan: ReportPlan) -> str:
    return str(plan.scores.metadata.get("signal", "difference"))


def _cells(dynamics: Dynamics | Unavailable, values: NDArray[np.float32]) -> Cells | None:
    if isinstance(dynamics, Unavailable) or dynamics.as_points:
        return None
    return cells_of(dynamics, values)


def _clusters(plan: ReportPlan) -> NDArray[np.int32]:
    store = plan.store
    if store.num_train * store.committed > CLUSTERED:
        raise ArgumentValueError(
            f"clusters of {store.num_train:,} trajectories take longer than the rest of a report"
        )
    return clusters(
        store, signal=_signal(plan), memory_limit=plan.memory_limit, progress=plan.progress
    )


def _draw(size: int, most: int) -> NDArray[np.int64]:
    """Positions drawn at random, ascending; all if there are few."""
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(SEED).choice(size, most, replace=False, shuffle=False))


def _queries(plan: ReportPlan) -> Queries:
    if plan.queries is None:
        hard, typical = choose_queries(plan.store)
        chosen = np.concatenate((hard, typical))
        why = ("among the highest losses at the end",) * hard.size
        why += ("near the median loss at the end",) * typical.size
    else:
        chosen, why = plan.queries, ("asked for",) * plan.queries.size
    found = neighbors(
        plan.store,
        chosen,
        k=min(NEIGHBOURS, plan.store.num_train),
        signal=_signal(plan),
        device=plan.device,
        progress=plan.progress,
    )
    both = np.concatenate((found.aligned.indices, found.conflicting.indices), axis=None)
    return Queries(
        why,
        found,
        Courses.read(plan.store, "val", chosen),
        Courses.read(plan.store, "train", both[both >= 0]),
    )


def _stability(plan: ReportPlan) -> Stability:
    found = stability(
        plan.store,
        signal=_signal(plan),
        reference="mean" if plan.store.num_groups is None else "class-mean",
        fraction=plan.fraction or 0.1,
        samples=STABILITY_SAMPLES,
        memory_limit=plan.memory_limit,
        progress=plan.progress,
    )
    if np.isnan(found.correlation).all():
        raise ArgumentValueError(
            "scores must differ between two samples at least for a rank correlation"
        )
    return found


def _val_median(plan: ReportPlan) -> NDArray[np.float64]:
    """Median validation loss of at most as many samples as trajectories are kept of."""
    store = plan.store
    picked = _draw(store.num_val, max(LOSSES // store.committed, 1))
    return median(store.read("val", samples=picked))


def median(losses: NDArray[np.float16], share: float = 0.5) -> NDArray[np.float64]:
    """Return a quantile of each row over what was observed; NaN where nothing was."""
    found = np.full(losses.shape[0], np.nan)
    for t, row in enumerate(losses.astype(np.float64)):
        observed = row[~np.isnan(row)]
        if observed.size:
            found[t] = np.quantile(observed, share)
    return found
