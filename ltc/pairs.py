"""`neighbors` and `correlation`: single validation samples, explained by training samples."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from ltc.class_search import ClassSearch
from ltc.devices import choose_device, on_device, to_host
from ltc.errors import ArgumentValueError
from ltc.lost_losses import warn_of_lost_losses
from ltc.score_plan import usable_checkpoints
from ltc.store import Store, open_store
from ltc.store.picking import pick_samples
from ltc_kernels import count_missing, pair_correlation, query_slices
from ltc_kernels.checks import check_k, check_signal

Within = Literal["all", "class"]
WITHIN: Final[tuple[str, ...]] = get_args(Within)
TILE_MEMORY: Final = 100 * 10**6  # bytes of training losses in memory, being read and at work
BYTES_PER_SAMPLE: Final = 32  # of a tile, beside the losses: its index, and its place by class


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


def neighbors(
    run: str | os.PathLike[str] | Store,
    queries: slice | ArrayLike | None = None,
    *,
    k: int = 10,
    within: str = "all",
    signal: str = "difference",
    checkpoints: slice | Sequence[int] | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Neighbors:
    """Find the training samples most aligned and most in conflict with validation samples.

    Exact: every training sample is compared with every query, in one pass over the store for some
    tens of thousands of queries. Takes less than 256 MB beside the result.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    queries : slice or array of int, optional
        Validation samples, in any order; all by default.
    k : int
        How many of each kind, 1..1024.
    within : {"all", "class"}
        Look among all training samples, or among those of the query's class.
    signal : {"difference", "loss"}
        Correlate consecutive differences of the losses, or the losses.
    checkpoints : slice or sequence of int, optional
        Positions of the checkpoints to use, unique and ascending; all by default.
    device : str
        Where to compute: ``"cpu"``, or a GPU, ``"cuda"`` or ``"cuda:1"`` and so on, ROCm's too.
        ``"auto"`` is a GPU where one is usable, else the CPU.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Neighbors

    Warns
    -----
    UserWarning
        Losses that were recorded are lost; they count as missing.

    Raises
    ------
    StoreError
        Not a store, a lost chunk of labels, or a changed chunk.
    ArgumentValueError, ArgumentTypeError, ArgumentIndexError
        An argument that doesn't fit the store, or fewer than three signal values.
    BackendUnavailableError
        A device that can't be used.

    Examples
    --------
    >>> import tempfile
    >>> from ltc import write_store
    >>> train = np.array([[3, 3, 1], [2, 3, 2], [1, 1, 2], [0.5, 2, 1]], dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_store(folder + "/run.zarr", train, train[:, :1])
    ...     found = neighbors(folder + "/run.zarr", queries=[0], k=2)
    >>> found.aligned.indices, found.conflicting.indices
    (array([[0, 1]]), array([[2, 1]]))
    """
    plan = _plan(run, signal, checkpoints, device)
    size = check_k(k)
    if within not in WITHIN:
        raise ArgumentValueError(f"within must be one of {', '.join(WITHIN)}, got {within!r}")
    picked = _positions("queries", slice(None) if queries is None else queries, plan.store.num_val)
    classes = _classes(plan.store) if within == "class" else None
    shape = (len(picked), size)
    rankings = _empty_ranking(shape), _empty_ranking(shape)
    # Queries of one class beside each other, so that a pass over the store meets few classes.
    by_class = np.argsort(classes.val[picked], kind="stable") if classes else np.arange(shape[0])
    parts = list(query_slices(np.empty((len(plan.rows), len(picked)), dtype=np.float16), size))
    with tqdm(
        total=len(parts) * plan.store.num_train,
        desc="neighbors",
        unit=" samples",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        for part in parts:
            places = by_class[part]
            for some, results in _search(plan, picked[places], size, classes, bar):
                for ranking, (values, indices) in zip(rankings, results, strict=True):
                    ranking.values[places[some]] = values
                    ranking.indices[places[some]] = indices
    return Neighbors(picked, *rankings, _metadata(plan, within))


def correlation(
    run: str | os.PathLike[str] | Store,
    queries: slice | ArrayLike,
    samples: slice | ArrayLike,
    *,
    signal: str = "difference",
    checkpoints: slice | Sequence[int] | None = None,
    device: str = "auto",
) -> NDArray[np.float32]:
    """Correlate some validation samples with some training samples: a dense matrix.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    queries, samples : slice or array of int
        Validation samples and training samples, in any order.
    signal, checkpoints, device
        As in `neighbors`.

    Returns
    -------
    ndarray of float32, shape (M, n)
        NaN where undefined.

    Warns
    -----
    UserWarning
        As in `neighbors`.

    Raises
    ------
    StoreError, ArgumentValueError, ArgumentTypeError, ArgumentIndexError, BackendUnavailableError
        As in `neighbors`.

    Examples
    --------
    >>> import tempfile
    >>> from ltc import write_store
    >>> train = np.array([[3, 3, 1], [2, 3, 2], [1, 1, 2], [0.5, 2, 1]], dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_store(folder + "/run.zarr", train, train[:, :1])
    ...     correlation(folder + "/run.zarr", [0], slice(None)).round(3)
    array([[ 1.   , 0.756, -0.866]], dtype=float32)
    """
    plan = _plan(run, signal, checkpoints, device)
    asked = _positions("queries", queries, plan.store.num_val)
    val = _read(plan, "val", asked)
    picked = _positions("samples", samples, plan.store.num_train)
    once = _first_of_each(picked)
    matrix = np.empty((val.shape[1], len(picked)), dtype=np.float32)
    missing = {"train": 0, "val": count_missing(val[:, _first_of_each(asked)])}
    on = partial(on_device, name=plan.device)
    queries_there = on(val)
    step = max(TILE_MEMORY // (2 * len(plan.rows)), 1)
    for begin in range(0, len(picked), step):
        losses = _read(plan, "train", picked[begin : begin + step])
        missing["train"] += count_missing(losses[:, once[begin : begin + step]])
        found = pair_correlation(on(losses), queries_there, signal=plan.signal)
        matrix[:, begin : begin + step] = to_host(found)
    warn_of_lost_losses(plan.store, plan.rows, missing)
    return matrix


def _empty_ranking(shape: tuple[int, int]) -> Ranking:
    return Ranking(np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan, dtype=np.float32))


@dataclass(frozen=True)
class _Plan:
    """What both functions take, checked against the store."""

    store: Store
    signal: Literal["loss", "difference"]
    rows: list[int]
    left_out: list[int]
    device: str


@dataclass(frozen=True)
class _Classes:
    """Labels of both splits."""

    train: NDArray[np.int32]
    val: NDArray[np.int32]


def _plan(
    run: str | os.PathLike[str] | Store,
    signal: str,
    checkpoints: slice | Sequence[int] | None,
    device: str,
) -> _Plan:
    place = choose_device(device, pairs=True)
    store = run if isinstance(run, Store) else open_store(run)
    checked = check_signal(signal)
    rows, left_out = usable_checkpoints(store, checked, checkpoints)
    return _Plan(store, checked, rows, left_out, place)


def _classes(store: Store) -> _Classes:
    train, val = store.labels("train"), store.labels("val")
    if train is None or val is None:
        raise ArgumentValueError('within "class" needs labels, and the store has none')
    return _Classes(train, val)


def _positions(name: str, samples: slice | ArrayLike, size: int) -> NDArray[np.int64]:
    picked = pick_samples(samples, size, name)
    return np.arange(picked.start, picked.stop) if isinstance(picked, slice) else picked


def _first_of_each(positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which positions are there for the first time; what is missing of a sample counts once."""
    first = np.zeros(len(positions), dtype=np.bool_)
    first[np.unique(positions, return_index=True)[1]] = True
    return first


def _read(plan: _Plan, split: str, samples: NDArray[np.int64]) -> NDArray[np.float16]:
    """Losses [T, n]; neighbours are read as a slice, which is faster."""
    if len(samples) and (np.diff(samples) == 1).all():
        span = slice(int(samples[0]), int(samples[-1]) + 1)
        return plan.store.read(split, samples=span, checkpoints=plan.rows)
    return plan.store.read(split, samples=samples, checkpoints=plan.rows)


def _search(
    plan: _Plan, queries: NDArray[np.int64], k: int, classes: _Classes | None, bar: Any
) -> Iterator[tuple[NDArray[np.int64], list[tuple[Any, Any]]]]:
    """One pass over the store; yield places within ``queries`` and what was found for them."""
    val = _read(plan, "val", queries)
    missing = {"train": 0, "val": count_missing(val[:, _first_of_each(queries)])}
    search = ClassSearch(
        val,
        k,
        signal=plan.signal,
        device=plan.device,
        classes=None if classes is None else (classes.train, classes.val[queries]),
    )
    for losses in search.run(plan.store, plan.rows, memory=TILE_MEMORY):
        missing["train"] += count_missing(losses)
        bar.update(losses.shape[1])
    warn_of_lost_losses(plan.store, plan.rows, missing, stacklevel=4)
    yield from search.results()


def _metadata(plan: _Plan, within: str) -> dict[str, Any]:
    checkpoints = plan.store.checkpoints
    return {
        "signal": plan.signal,
        "within": within,
        "committed": plan.store.committed,
        "checkpoints": [float(checkpoints[t]) for t in plan.rows],
        "left_out": [float(checkpoints[t]) for t in plan.left_out],
        "store": plan.store.path,
    }
