"""What `neighbors` is asked for, the validation samples that it is about, and the search for them.

One machine searches all training samples, a worker of a cluster a range of whole chunks; the best
of all are the best of the ranges' best, in the same order and the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from ltc.class_search import ClassSearch
from ltc.errors import ArgumentValueError
from ltc.score_plan import usable_checkpoints
from ltc.store.picking import pick_samples
from ltc_kernels import count_missing, query_slices
from ltc_kernels.checks import check_k, check_signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ltc.store import Store
    from ltc_kernels.algebra import Signal

    End: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]

Within = Literal["all", "class"]
WITHIN: Final[tuple[str, ...]] = get_args(Within)
TILE_MEMORY: Final = 100 * 10**6  # bytes of training losses in memory, being read and at work


@dataclass(frozen=True)
class Ranking:
    """Training samples by their correlation with each query.

    Attributes
    ----------
    indices : ndarray of int64, shape (M, k)
        Samples, best first, equal ones by index; -1 where there are fewer than k.
    values : ndarray of float32, shape (M, k)
        Correlations, -1..1 up to rounding; NaN where there are fewer than k.
    """

    indices: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Neighbors:
    """What `neighbors` found.

    Attributes
    ----------
    queries : ndarray of int64, shape (M,)
        The validation samples, as asked for.
    aligned : Ranking
        The training samples of the highest correlations.
    conflicting : Ranking
        Those of the lowest, most negative first.
    metadata : dict
        ``signal``, ``within``, ``committed``, ``checkpoints`` and ``left_out`` (their values), and
        ``store``, its path.
    """

    queries: NDArray[np.int64]
    aligned: Ranking
    conflicting: Ranking
    metadata: dict[str, Any]


class Found(NamedTuple):
    """What a pass over training samples found for queries, and how many losses were missing there.

    ``aligned`` and ``conflicting`` are values and indices, each [m, k].
    """

    aligned: End
    conflicting: End
    missing: int


@dataclass(frozen=True)
class Queries:
    """Validation samples that one pass over the store is about.

    Attributes
    ----------
    losses : float16 array [T, m]
        Theirs.
    classes : int32 array [m], or None
        Theirs, to look among the training samples of the same class.
    k : int
        How many are looked for at each end.
    signal : {"difference", "loss"}
        What is correlated.
    missing : int
        How many losses are missing, those of a repeated query once.
    """

    losses: NDArray[np.float16]
    classes: NDArray[np.int32] | None
    k: int
    signal: Signal
    missing: int


@dataclass(frozen=True)
class NeighborPlan:
    """What `neighbors` was asked for, checked against the store.

    Attributes
    ----------
    store : Store
        Open for reading.
    signal, within : str
        What is correlated, and where to look.
    rows, left_out : list of int
        Positions of the checkpoints that are used, and of those without observations.
    queries : int64 array [M]
        Validation samples, as asked for.
    classes : int32 array [M], or None
        Theirs, where only their class is looked at.
    k : int
        How many of each kind.
    passes : list of int64 arrays
        Places among the queries that each pass over the store is about.
    """

    store: Store
    signal: Signal
    within: str
    rows: list[int]
    left_out: list[int]
    queries: NDArray[np.int64]
    classes: NDArray[np.int32] | None
    k: int
    passes: list[NDArray[np.int64]]

    def empty_rankings(self) -> tuple[Ranking, Ranking]:
        """Return room for what is found."""
        shape = len(self.queries), self.k
        return _empty_ranking(shape), _empty_ranking(shape)

    @staticmethod
    def enter(rankings: Sequence[Ranking], places: NDArray[np.int64], found: Found) -> None:
        """Put what a pass found into its place."""
        for ranking, (values, indices) in zip(rankings, found[:2], strict=True):
            ranking.values[places] = values
            ranking.indices[places] = indices

    def metadata(self) -> dict[str, Any]:
        """Return how neighbours were found, as JSON values."""
        checkpoints = self.store.checkpoints
        return {
            "signal": self.signal,
            "within": self.within,
            "committed": self.store.committed,
            "checkpoints": [float(checkpoints[t]) for t in self.rows],
            "left_out": [float(checkpoints[t]) for t in self.left_out],
            "store": self.store.path,
        }


def plan_neighbors(
    store: Store,
    queries: slice | ArrayLike | None,
    k: int,
    within: str,
    signal: str,
    checkpoints: slice | Sequence[int] | None,
) -> NeighborPlan:
    """Check the arguments of `neighbors` against the store."""
    checked = check_signal(signal)
    rows, left_out = usable_checkpoints(store, checked, checkpoints)
    size = check_k(k)
    if within not in WITHIN:
        raise ArgumentValueError(f"within must be one of {', '.join(WITHIN)}, got {within!r}")
    picked = positions("queries", slice(None) if queries is None else queries, store.num_val)
    classes = None
    if within == "class":
        labels = store.labels("val")
        if labels is None:
            raise ArgumentValueError('within "class" needs labels, and the store has none')
        classes = labels[picked]
    # Queries of one class beside each other, so that a pass over the store meets few classes.
    order = np.arange(len(picked)) if classes is None else np.argsort(classes, kind="stable")
    parts = query_slices(np.empty((len(rows), len(picked)), dtype=np.float16), size)
    passes = [order[part] for part in parts]
    return NeighborPlan(store, checked, within, rows, left_out, picked, classes, size, passes)


def read_queries(plan: NeighborPlan, places: NDArray[np.int64]) -> Queries:
    """Read the queries of one pass."""
    picked = plan.queries[places]
    losses = read_samples(plan.store, plan.rows, "val", picked)
    classes = None if plan.classes is None else plan.classes[places]
    missing = count_missing(losses[:, first_of_each(picked)])
    return Queries(losses, classes, plan.k, plan.signal, missing)


def search(
    store: Store,
    rows: Sequence[int],
    queries: Queries,
    classes: NDArray[np.int32] | None,
    place: str,
    bar: Any,
    samples: slice | None = None,
) -> Found:
    """Search training samples for the neighbours of queries.

    Parameters
    ----------
    store : Store
        Where they are.
    rows : sequence of int
        Positions of the checkpoints.
    queries : Queries
        From `read_queries`.
    classes : int32 array [n], or None
        Of the training samples that are searched.
    place : str
        ``"cpu"``, or the name of a GPU.
    bar : tqdm
        Shows the progress.
    samples : slice, optional
        A range of whole chunks; all by default.
    """
    of_both = None if classes is None or queries.classes is None else (classes, queries.classes)
    finder = ClassSearch(
        queries.losses, queries.k, signal=queries.signal, device=place, classes=of_both
    )
    missing = 0
    for losses in finder.run(store, rows, memory=TILE_MEMORY, samples=samples):
        missing += count_missing(losses)
        bar.update(losses.shape[1])
    rankings = [_empty_ranking((queries.losses.shape[1], queries.k)) for _ in range(2)]
    for places, results in finder.results():
        for ranking, (values, indices) in zip(rankings, results, strict=True):
            ranking.values[places] = values
            ranking.indices[places] = indices
    aligned, conflicting = ((each.values, each.indices) for each in rankings)
    return Found(aligned, conflicting, missing)


def merge(parts: Sequence[Found]) -> Found:
    """Return the best of what passes over different training samples have found.

    Best first, equal ones by index, padding last: the order of one pass over all of them.

    Examples
    --------
    >>> def found(value, index):
    ...     pair = np.array([[value]], np.float32), np.array([[index]])
    ...     return Found(pair, pair, 0)
    >>> best = merge([found(0.5, 7), found(0.5, 3), found(np.nan, -1)])
    >>> best.aligned[1], best.conflicting[1]
    (array([[3]]), array([[3]]))
    """
    return Found(
        _best([part.aligned for part in parts], -1),
        _best([part.conflicting for part in parts], 1),
        sum(part.missing for part in parts),
    )


def _best(ends: Sequence[End], sign: int) -> End:
    values = np.concatenate([each[0] for each in ends], axis=1)
    indices = np.concatenate([each[1] for each in ends], axis=1)
    k = ends[0][0].shape[1]
    order = np.lexsort((indices, sign * values), axis=1)[:, :k]  # NaN comes last
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(indices, order, axis=1)


def positions(name: str, samples: slice | ArrayLike, size: int) -> NDArray[np.int64]:
    """Return samples as positions; errors call them ``name``."""
    picked = pick_samples(samples, size, name)
    return np.arange(picked.start, picked.stop) if isinstance(picked, slice) else picked


def first_of_each(picked: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which positions are there for the first time; what is missing of a sample counts once."""
    first = np.zeros(len(picked), dtype=np.bool_)
    first[np.unique(picked, return_index=True)[1]] = True
    return first


def read_samples(
    store: Store, rows: Sequence[int], split: str, samples: NDArray[np.int64]
) -> NDArray[np.float16]:
    """Losses [T, n]; neighbours are read as a slice, which is faster."""
    if len(samples) and (np.diff(samples) == 1).all():
        span = slice(int(samples[0]), int(samples[-1]) + 1)
        return store.read(split, samples=span, checkpoints=rows)
    return store.read(split, samples=samples, checkpoints=rows)


def _empty_ranking(shape: tuple[int, int]) -> Ranking:
    return Ranking(np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan, dtype=np.float32))
