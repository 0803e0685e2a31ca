"""What ``ltc plan --workers`` estimates beside a run on a `LocalCluster` and an S3 server.

The server is on the loopback interface, and what is assumed of network, object store and scheduler
is measured of it before: a request and a chunk at a time, and many at once. Workers have a thread
each, and rates are those of a process that uses one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import get_task_stream

import ltc
from benchmarks import inputs, machine
from benchmarks.local_cluster import begin_peak, started
from benchmarks.object_store import BUCKET, Counts, serve
from benchmarks.results import Table
from ltc.distributed.steps import Conditions
from ltc.planning import format_bytes, format_seconds
from ltc.rates import SEARCHED
from ltc.store.fetching import FETCHED_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

    from benchmarks.object_store import ObjectStore

WORKERS = 2
ASKED = 400  # requests for a rate
CHUNK = 2 * 262_144  # bytes of an object for the network's
ALONE = 20  # requests one after another, for the latency
RUN, FIRST = f"s3://{BUCKET}/run.zarr", f"s3://{BUCKET}/first.zarr"
CORESET = f"s3://{BUCKET}/coreset"
TINY = inputs.Size(5, 3_000, 100, 10)
# What a process with one thread says of machines like itself.
PROGRAM = """
import json, sys
from dataclasses import asdict
from ltc.distributed.planning import plan_cluster
from ltc.distributed.steps import Conditions
from ltc.rates import measure_rates
sizes, workers, conditions = json.loads(sys.argv[1])
plan = plan_cluster(*sizes, measure_rates(sizes[2]), workers, Conditions(**conditions))
steps = [asdict(step) | {"seconds": step.seconds, "bound": step.bound} for step in plan.steps]
print(json.dumps([plan.run.store, plan.objects, steps]))
"""


def run(size_name: str = "imagenet-1k") -> Table:
    """Record a run of this size at a server, and do with it what is planned."""
    with serve() as server, server.in_environment():
        recording = record(server, inputs.SIZES[size_name])
        with started(WORKERS) as client:
            return compare(client, server, recording)


@dataclass(frozen=True)
class Found:
    """What a step took: tasks, requests and bytes, memory of a worker, seconds."""

    tasks: int
    counts: Counts
    memory: float
    seconds: float


@dataclass(frozen=True)
class Recording:
    """A run at a server, what it took to record it, and objects and bytes that it has there."""

    store: ltc.Store
    found: Found
    objects: int
    size: int


def record(server: ObjectStore, size: inputs.Size) -> Recording:
    """Record a run, and open it."""
    losses = {split: inputs.losses(size, split) for split in ("train", "val")}
    labels = {f"{split}_labels": inputs.labels(size, split) for split in losses}
    before, took = server.counts(), 0.0
    with ltc.Recorder(RUN, **labels, storage_options=server.options) as recorder:
        for t in range(size.checkpoints):
            for split, values in losses.items():
                recorder.update(split, np.arange(values.shape[1]), losses=values[t])
            begin = time.perf_counter()
            recorder.commit(t)
            took += time.perf_counter() - begin
    found = Found(0, server.counts() - before, float("nan"), took)
    store = ltc.open_store(RUN, storage_options=server.options)
    return Recording(store, found, *server.stored())


def compare(client: Client, server: ObjectStore, recording: Recording) -> Table:
    """Run the steps of a plan on a cluster that has done nothing yet; estimates beside them."""
    store = recording.store
    sizes = (store.num_train, store.num_val, store.committed)
    workers = len(client.nthreads())
    conditions = measure_conditions(server, workers)
    stored, objects, steps = _planned(sizes, workers, conditions)
    _warm_up(client, server)
    calls: dict[str, Callable[[], object]] = {
        "score": lambda: ltc.score(store, save="planned", client=client),
        "neighbors": lambda: ltc.neighbors(store, k=SEARCHED, client=client),
        "select": lambda: ltc.select(
            store, scores="planned", fraction=0.1, output=CORESET, client=client
        ),
    }
    measured = {"all commits": recording.found}
    for name, call in calls.items():
        measured[name] = _measured(client, server, call)
    table = Table(
        "ltc plan --workers {} of {:,} + {:,} samples x {}: estimated, and measured on".format(
            workers, *sizes
        )
        + " a LocalCluster",
        ["step", "tasks", "requests", "moved", "memory of a worker", "time", "ratio", "bound by"],
    )
    for step in steps:
        _add(table, step, measured[step["name"]])
    table.note(
        f"The store: {format_bytes(stored)} in {objects:,} objects estimated, "
        f"{format_bytes(recording.size)} in {recording.objects:,} found. Of two figures the first "
        "is the estimate. Ratio: time measured over estimated. Memory is by how much resident "
        "memory has grown, at most, where nothing was imported any more."
    )
    table.note(
        f"Measured of the server, and given to the plan: {conditions.network:.1f} Gb/s for each of "
        f"{workers} workers, {1e3 * conditions.latency:.2g} ms until an answer, "
        f"{conditions.reads:,.0f} reads and {conditions.writes:,.0f} writes a second. Assumed: "
        f"{1e3 * conditions.scheduler:g} ms of the scheduler for a task. The plan lets all of them "
        f"work at the same time; here they share {os.cpu_count()} processors with the server."
    )
    return table


def measure_conditions(server: ObjectStore, workers: int) -> Conditions:
    """Ask a server, as workers do, and share what it can do out among them."""
    from obstore.store import S3Store

    store = S3Store(BUCKET, prefix="probe", client_options={"allow_http": True}, **server.options)
    return asyncio.run(_ask(store, workers))


async def _ask(store: Any, workers: int) -> Conditions:
    small, chunk = b"0", bytes(CHUNK)

    async def put(number: int, data: bytes = small) -> None:
        await store.put_async(f"{len(data)}-{number}", data, mode="overwrite")

    async def get(number: int, data: bytes = small) -> None:
        answer = await store.get_async(f"{len(data)}-{number}")
        await answer.bytes_async()

    async def rate(request: Callable[..., Any], data: bytes, at_once: int) -> float:
        """Requests a second, so many at once."""
        count = ASKED if at_once > 1 else ALONE
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                await request(number, data)

        begin = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return count / (time.perf_counter() - begin)

    at_once = FETCHED_AT_ONCE * workers
    writes = await rate(put, small, at_once)
    await rate(put, chunk, at_once)
    return Conditions(
        network=8e-9 * CHUNK * await rate(get, chunk, at_once) / workers,
        latency=1 / await rate(get, small, 1),
        reads=await rate(get, small, at_once),
        writes=writes,
    )


def _planned(
    sizes: tuple[int, int, int], workers: int, conditions: Conditions
) -> tuple[int, int, list[dict[str, Any]]]:
    """Bytes and objects of the store, and the steps, as one thread plans them."""
    arguments = json.dumps([sizes, workers, asdict(conditions)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, arguments],
        env=os.environ | {"NUMBA_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    stored, objects, steps = json.loads(done.stdout)
    return stored, objects, steps


def _warm_up(client: Client, server: ObjectStore) -> None:
    """Let every worker import, compile and ask, whatever the run will need."""
    losses = {split: inputs.losses(TINY, split) for split in ("train", "val")}
    labels = {f"{split}_labels": inputs.labels(TINY, split) for split in losses}
    ltc.write_store(FIRST, *losses.values(), **labels, storage_options=server.options)

    def work() -> None:
        ltc.score(FIRST)
        ltc.neighbors(FIRST)

    client.run(work)
    store = ltc.open_store(FIRST)
    ltc.score(store, save="kept", client=client)
    ltc.neighbors(store, client=client)
    ltc.select(store, fraction=0.1, output=CORESET, client=client)


def _measured(client: Client, server: ObjectStore, call: Callable[[], object]) -> Found:
    before, memory = server.counts(), client.run(begin_peak)
    with get_task_stream(client) as stream:
        begin = time.perf_counter()
        call()
        took = time.perf_counter() - begin
    counts, peaks = server.counts() - before, client.run(machine.peak_memory)
    grown = max(1e6 * peaks[worker] - memory[worker] for worker in peaks)
    return Found(len(stream.data), counts, grown, took)


def _add(table: Table, step: dict[str, Any], found: Found) -> None:
    """Estimated, and what was measured behind a slash."""
    counts = found.counts
    measured = "-" if np.isnan(found.memory) else format_bytes(found.memory)
    table.add(
        step["name"],
        f"{step['tasks']:,} / {found.tasks:,}",
        f"{step['gets'] + step['puts']:,} / {counts.gets + counts.puts + counts.others:,}",
        f"{format_bytes(step['moved'])} / {format_bytes(counts.moved)}",
        f"{format_bytes(step['memory'])} / {measured}",
        f"{format_seconds(step['seconds'])} / {format_seconds(found.seconds)}",
        f"{found.seconds / step['seconds']:.2f}",
        step["bound"],
    )
