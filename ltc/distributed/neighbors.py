"""`ltc.neighbors` on a cluster: a task searches a range of chunks, others merge what is found.

Results of a few ranges are merged as soon as they are there, then a few of these, and so on, on the
workers: a tree whose root comes to the client, the k best of each query. What is found doesn't
depend on the tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tqdm.auto import tqdm

from ltc.devices import choose_device
from ltc.distributed.cluster import StoreTicket, check_client, chunk_ranges, count_threads
from ltc.distributed.tasks import Call, Tasks
from ltc.distributed.workers import NO_BAR, on_worker
from ltc.lost_losses import warn_of_lost_losses
from ltc.queries import (
    Found,
    NeighborPlan,
    Neighbors,
    Queries,
    merge,
    plan_neighbors,
    read_queries,
    search,
)
from ltc.store import Store, open_store

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from distributed import Client, Future
    from numpy.typing import ArrayLike, NDArray

__all__ = ["neighbors_on_cluster"]

MERGED_AT_ONCE: Final = 4  # of what may be 64 MB each


@dataclass(frozen=True)
class Prepared:
    """What the searches of one pass have in common; made by a task, sent to each worker once.

    Attributes
    ----------
    ticket : StoreTicket
        The store.
    rows : list of int
        Positions of the checkpoints.
    queries : Queries
        The validation samples.
    place : str
        The device that a worker of this cluster has: all are to use theirs of that name.
    """

    ticket: StoreTicket
    rows: list[int]
    queries: Queries
    place: str


def neighbors_on_cluster(
    run: str | os.PathLike[str] | Store,
    client: Client,
    queries: slice | ArrayLike | None,
    *,
    k: int,
    within: str,
    signal: str,
    checkpoints: slice | Sequence[int] | None,
    device: str,
    progress: bool,
) -> Neighbors:
    """See `ltc.neighbors`, whose arguments these are."""
    connected = check_client(client)
    store = run if isinstance(run, Store) else open_store(run)
    plan = plan_neighbors(store, queries, k, within, signal, checkpoints)
    rankings = plan.empty_rankings()
    with (
        Tasks(connected, "neighbors") as tasks,
        tqdm(
            total=len(plan.passes) * store.num_train,
            desc="neighbors",
            unit=" samples",
            unit_scale=True,
            disable=not progress,
        ) as bar,
    ):
        for places in plan.passes:
            found, missing_val = _search(tasks, connected, plan, places, device, bar)
            plan.enter(rankings, places, found)
            missing = {"train": found.missing, "val": missing_val}
            warn_of_lost_losses(store, plan.rows, missing, stacklevel=4)
    return Neighbors(plan.queries, *rankings, plan.metadata())


def _search(
    tasks: Tasks,
    client: Client,
    plan: NeighborPlan,
    places: NDArray[np.int64],
    device: str,
    bar: Any,
) -> tuple[Found, int]:
    """One pass over the store; what was found, and how many losses of the queries are missing."""
    store = plan.store
    ticket = StoreTicket.of(store)
    shared = {key: value for key, value in vars(plan).items() if key not in ("store", "passes")}
    prepared = tasks.submit(
        Call("preparing queries", prepare_task, (ticket, shared, places, device))
    )
    ranges = chunk_ranges([slice(0, store.num_train)], store.chunk_samples, count_threads(client))
    calls = (
        Call(
            f"searching samples {each.start} to {each.stop - 1}",
            search_task,
            (prepared, each),
        )
        for each in ranges
    )
    tree = _Tree(tasks)
    for call, future in tasks.completed(calls):
        samples = call.arguments[1]
        tree.add(future)
        bar.update(samples.stop - samples.start)
    root = tree.root()
    missing = tasks.submit(Call("counting", count_task, (prepared,)))
    found, missing_val = tasks.results("merging neighbours", [root, missing])
    for each in (root, missing, prepared):
        tasks.release(each)
    return found, missing_val


class _Tree:
    """Results that wait to be merged, by the height that they have in the tree."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._levels: list[list[Future]] = []

    def add(self, future: Future, level: int = 0) -> None:
        """Take a result; merge as many as belong together."""
        while len(self._levels) <= level:
            self._levels.append([])
        self._levels[level].append(future)
        if len(self._levels[level]) == MERGED_AT_ONCE:
            together, self._levels[level] = self._levels[level], []
            self.add(self._merged(together), level + 1)

    def root(self) -> Future:
        """Merge all that is left."""
        left = [future for level in self._levels for future in level]
        while len(left) > 1:
            left = [self._merged(left[:MERGED_AT_ONCE]), *left[MERGED_AT_ONCE:]]
        return left[0]

    def _merged(self, futures: list[Future]) -> Future:
        if len(futures) == 1:
            return futures[0]
        merged = self._tasks.submit(Call("merging neighbours", merge_task, (futures,)))
        for each in futures:
            self._tasks.release(each)
        return merged


def prepare_task(
    ticket: StoreTicket, shared: dict[str, Any], places: NDArray[np.int64], device: str
) -> Prepared:
    """Read the queries, on one worker for all."""
    place = choose_device(device, pairs=True)
    with on_worker("cpu"):
        plan = NeighborPlan(**shared, store=ticket.open(), passes=[])
        return Prepared(ticket, plan.rows, read_queries(plan, places), place)


def search_task(prepared: Prepared, samples: slice) -> Found:
    """Search a range of whole chunks."""
    place = choose_device(prepared.place, pairs=True)
    with on_worker(place):
        store = prepared.ticket.open()
        within = prepared.queries.classes is not None
        classes = store.labels("train", samples) if within else None
        return search(store, prepared.rows, prepared.queries, classes, place, NO_BAR, samples)


def merge_task(parts: list[Found]) -> Found:
    """Merge what was found in different ranges."""
    return merge(parts)


def count_task(prepared: Prepared) -> int:
    """Return how many losses of the queries are missing."""
    return prepared.queries.missing
