"""Scoring and neighbours on a Dask cluster of this machine, beside one process that has it alone.

The workers of a `LocalCluster` are processes of one thread each; the scheduler is in the process of
the client. One process with a thread for each core and the cluster take turns, on the same store.
So does what is left of a run whose tasks do nothing: as many of them, which depend on each other in
the same way. That is the time of scheduler, client and messages, whatever the size of the data.

Stores are on a disk, in its cache, and on an S3 server on the loopback interface. A larger one has
workers whose memory Dask limits: it kills those that take more.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import ltc
from benchmarks import cluster_plan, inputs, machine, scale, scoring
from benchmarks.local_cluster import MEMORY, begin_peak, started
from benchmarks.object_store import serve
from benchmarks.results import Table
from benchmarks.timing import Timing, measure
from ltc.distributed.cluster import chunk_ranges, count_threads
from ltc.distributed.tasks import Call, Tasks
from ltc_kernels import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

WORKERS = (1, 2, 4)
ROUNDS = 15
FEW_ROUNDS = 5  # where one takes long
LIMIT = 0.85  # of the speed of one process, with
LIMITED = 2  # workers, at
LIMITED_SIZE = "imagenet-1k"
QUERIES = 256
LARGE = {  # with --size: training samples, checkpoints and classes of what memory is limited for
    "smallest": (300_000, 5, 10),
    "cifar-100": (1_000_000, 90, 1000),
    "imagenet-1k": scale.SIZES["ImageNet-21k"],
}
ALONE, CLUSTER, KEPT_ALONE, KEPT, EMPTY = (
    "one process",
    "cluster",
    "one process, kept",
    "cluster, kept",
    "tasks that do nothing",
)


@dataclass(frozen=True)
class Measured:
    """What a cluster of some workers took, by name, and the most memory of one of them."""

    workers: int
    timings: dict[str, Timing]
    peak: float
    restarts: int


def run(size_name: str = "imagenet-1k", rounds: int = ROUNDS) -> list[Table]:
    """Measure scoring on a disk and at a server, a larger store, and neighbours."""
    size, few = inputs.SIZES[size_name], min(rounds, FEW_ROUNDS)
    with tempfile.TemporaryDirectory() as folder, serve() as server, server.in_environment():
        remote = cluster_plan.record(server, size).store
        disk = ltc.open_store(scoring.write(folder, size))
        large = ltc.open_store(scale.write(Path(folder, "large"), *LARGE[size_name]))
        scored, scored_large, searched = _scoring(disk), _scoring(large), _neighbors(disk)
        limited = size_name == LIMITED_SIZE
        for workers in WORKERS:
            with started(workers) as client:
                limit = limited and workers == LIMITED
                _add_scoring(scored, "disk", _measured_scoring(client, disk, rounds), limit=limit)
                _add_scoring(scored, "S3 server", _measured_scoring(client, remote, few))
                _add_scoring(scored_large, "disk", _measured_scoring(client, large, few))
                _add_neighbors(searched, client, disk, few)
    return [scored, scored_large, searched]


def _measured_scoring(client: Client, store: ltc.Store, rounds: int) -> Measured:
    return _measured(
        client,
        {
            ALONE: lambda: ltc.score(store),
            CLUSTER: lambda: ltc.score(store, client=client),
            KEPT_ALONE: lambda: ltc.score(store, save="alone"),
            KEPT: lambda: ltc.score(store, save="cluster", client=client),
            EMPTY: lambda: do_nothing(client, store),
        },
        rounds,
    )


def _measured(client: Client, calls: dict[str, Callable[[], object]], rounds: int) -> Measured:
    """Time calls in turns; workers that were there before must be there afterwards."""
    before = client.run(begin_peak)
    timings = measure(calls, rounds=rounds)
    peaks = client.run(machine.peak_memory)
    return Measured(len(before), timings, max(peaks.values()), len(before.keys() - peaks.keys()))


def _scoring(store: ltc.Store) -> Table:
    table = Table(
        f"ltc.score, {store.num_train:,} + {store.num_val:,} samples x {store.committed}",
        [
            "store",
            "workers",
            ALONE,
            CLUSTER,
            "speed",
            "limit",
            KEPT_ALONE,
            KEPT,
            "speed, kept",
            EMPTY,
            "its share",
            "peak memory of a worker",
        ],
    )
    table.note(
        f"One process has {thread_count()} threads, a worker one. Speed is that of the cluster "
        "over that of one process: the ratio of the medians, and 20th to 80th percentile of turns."
    )
    table.note(
        f'"{EMPTY}" is the time of scheduler, client and messages: as many tasks that depend on '
        "each other as in a run. Its share is that of the run of the cluster. What is called for "
        "the first time on a worker isn't counted."
    )
    table.note(
        f'"Kept" is with save=. Each worker has a memory limit of {MEMORY}, and Dask kills it '
        "beyond. Peak memory is all that was resident, libraries included."
    )
    return table


def _add_scoring(table: Table, place: str, found: Measured, *, limit: bool = False) -> None:
    timings = found.timings
    share = timings[EMPTY].median / timings[CLUSTER].median
    table.add(
        place,
        str(found.workers),
        str(timings[ALONE]),
        str(timings[CLUSTER]),
        _speed(timings[ALONE], timings[CLUSTER]),
        f"at least {LIMIT}" if limit else "",
        str(timings[KEPT_ALONE]),
        str(timings[KEPT]),
        _speed(timings[KEPT_ALONE], timings[KEPT]),
        str(timings[EMPTY]),
        f"{100 * share:.0f} %",
        _memory(found),
    )


def _memory(found: Measured) -> str:
    return f"{found.peak:.0f} MB" + (f", {found.restarts} killed" if found.restarts else "")


def _speed(alone: Timing, cluster: Timing) -> str:
    """Speed of the cluster over that of one process, with the spread of turns."""
    turns = np.divide(alone.seconds, cluster.seconds)
    low, high = np.quantile(turns, [0.2, 0.8])
    return f"{alone.median / cluster.median:.2f} ({low:.2f} to {high:.2f})"


def do_nothing(client: Client, store: ltc.Store) -> None:
    """Run the tasks of scoring, but that they do nothing."""
    ranges = chunk_ranges([slice(0, store.num_train)], store.chunk_samples, count_threads(client))
    with Tasks(client, "nothing") as tasks:
        prepared = tasks.submit(Call("preparing", nothing_task, (None, None)))
        calls = (Call("nothing", nothing_task, (prepared, each)) for each in ranges)
        for _ in tasks.gathered(calls):
            pass


def nothing_task(_prepared: object, samples: object) -> object:
    """Return what the task was told of."""
    return samples


def _neighbors(store: ltc.Store) -> Table:
    queries = min(QUERIES, store.num_val)
    return Table(
        f"ltc.neighbors of {queries} queries, {store.num_train:,} samples x {store.committed}",
        ["store", "workers", ALONE, CLUSTER, "speed", "peak memory of a worker"],
    )


def _add_neighbors(table: Table, client: Client, store: ltc.Store, rounds: int) -> None:
    queries = np.arange(min(QUERIES, store.num_val))
    found = _measured(
        client,
        {
            ALONE: lambda: ltc.neighbors(store, queries),
            CLUSTER: lambda: ltc.neighbors(store, queries, client=client),
        },
        rounds,
    )
    alone, together = found.timings[ALONE], found.timings[CLUSTER]
    workers, speed = str(found.workers), _speed(alone, together)
    table.add("disk", workers, str(alone), str(together), speed, _memory(found))
