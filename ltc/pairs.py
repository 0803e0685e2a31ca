"""`neighbors` and `correlation`: single validation samples, explained by training samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from tqdm.auto import tqdm

from ltc.devices import choose_device, on_device, to_host
from ltc.lost_losses import warn_of_lost_losses
from ltc.queries import (
    TILE_MEMORY,
    Neighbors,
    Ranking,
    first_of_each,
    plan_neighbors,
    positions,
    read_queries,
    read_samples,
    search,
)
from ltc.score_plan import usable_checkpoints
from ltc.store import Store, open_store
from ltc_kernels import count_missing, pair_correlation
from ltc_kernels.checks import check_signal

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from distributed import Client
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Neighbors", "Ranking", "correlation", "neighbors"]


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
    client: Client | None = None,
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
    client : distributed.Client, optional
        Share the training samples out among the workers of a Dask cluster, who all reach the store;
        see `ltc.distributed`. The neighbours are the same bits.

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
    if client is not None:
        from ltc.distributed.neighbors import neighbors_on_cluster

        return neighbors_on_cluster(
            run,
            client,
            queries,
            k=k,
            within=within,
            signal=signal,
            checkpoints=checkpoints,
            device=device,
            progress=progress,
        )
    place = choose_device(device, pairs=True)
    store = run if isinstance(run, Store) else open_store(run)
    plan = plan_neighbors(store, queries, k, within, signal, checkpoints)
    classes = store.labels("train") if plan.classes is not None else None
    rankings = plan.empty_rankings()
    with tqdm(
        total=len(plan.passes) * store.num_train,
        desc="neighbors",
        unit=" samples",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        for places in plan.passes:
            prepared = read_queries(plan, places)
            found = search(store, plan.rows, prepared, classes, place, bar)
            plan.enter(rankings, places, found)
            missing = {"train": found.missing, "val": prepared.missing}
            warn_of_lost_losses(store, plan.rows, missing)
    return Neighbors(plan.queries, *rankings, plan.metadata())


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
    asked = positions("queries", queries, plan.store.num_val)
    val = read_samples(plan.store, plan.rows, "val", asked)
    picked = positions("samples", samples, plan.store.num_train)
    once = first_of_each(picked)
    matrix = np.empty((val.shape[1], len(picked)), dtype=np.float32)
    missing = {"train": 0, "val": count_missing(val[:, first_of_each(asked)])}
    on = partial(on_device, name=plan.device)
    queries_there = on(val)
    step = max(TILE_MEMORY // (2 * len(plan.rows)), 1)
    for begin in range(0, len(picked), step):
        losses = read_samples(plan.store, plan.rows, "train", picked[begin : begin + step])
        missing["train"] += count_missing(losses[:, once[begin : begin + step]])
        found = pair_correlation(on(losses), queries_there, signal=plan.signal)
        matrix[:, begin : begin + step] = to_host(found)
    warn_of_lost_losses(plan.store, plan.rows, missing)
    return matrix


@dataclass(frozen=True)
class _Plan:
    """What both functions take, checked against the store."""

    store: Store
    signal: Literal["loss", "difference"]
    rows: list[int]
    left_out: list[int]
    device: str


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
