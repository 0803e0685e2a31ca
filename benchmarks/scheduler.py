"""What Dask's scheduler takes for a task: a run whose tasks wait instead of working on a range.

Tasks are submitted as those of real runs are, by `ltc.distributed.tasks`: a few for each thread at
a time, each with a range and with what all of them share. Where tasks don't wait at all, nothing
but administration is left; that is the time of a task that `ltc plan` reckons with. The scheduler
and the client are one process here, and one other is the worker: its threads stand for those of
many workers, as no more processes would fit two cores.
"""

import time

import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray

from benchmarks.results import Table
from benchmarks.timing import Timing
from ltc.distributed.planning import plan_cluster
from ltc.distributed.steps import Conditions
from ltc.distributed.tasks import Call, Tasks
from ltc.rates import measure_rates

TASKS = 100_000
WAIT = 0.5  # seconds of a task on average
THREADS = 256  # of the worker: what 64 machines of four cores have
PARTS = 10  # of a run, for the spread
IDLE = 2_000  # tasks that don't wait
LIMIT = 0.05  # of the time that waiting takes
PLANNED = {"num_train": 10**10, "num_val": 10**6, "num_checkpoints": 50, "workers": 64}


def share_task() -> str:
    """Return what tasks share."""
    return "shared"


def wait_task(_shared: str, samples: slice, seconds: float) -> slice:
    """Wait, in place of what is done with a range."""
    time.sleep(seconds)
    return samples


def run(tasks: int = TASKS, wait: float = WAIT) -> list[Table]:
    """Run tasks that don't wait and tasks that do; the shares of a planned run besides."""
    table = Table(
        f"Tasks of a worker with {THREADS} threads",
        ["tasks", "each waits", "all at least", "took", "for a task", "overhead", "limit"],
    )
    # Those of ranges of data aren't equally long, either.
    waits = np.random.default_rng(0).uniform(0.5, 1.5, tasks)
    waits *= wait / waits.mean()
    with (
        LocalCluster(n_workers=1, threads_per_worker=THREADS, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        _timed(client, np.zeros(5 * THREADS))  # imports, connects and starts threads
        idle = _timed(client, np.zeros(IDLE))
        waiting = _timed(client, waits)
    _add(table, np.zeros(IDLE), idle)
    _add(table, waits, waiting)
    table.note(
        f"For a task: medians and 20th to 80th percentiles of {PARTS} parts of a run, one after "
        "another; so is the spread of the overhead, which is what a run took longer than waiting."
    )
    measured = sum(idle) / IDLE
    table.note(
        f"A task that doesn't wait takes {1e3 * measured:.2f} ms of scheduler, client and worker "
        f"together; ltc plan reckons with {1e3 * Conditions().scheduler:g} ms."
    )
    return [table, _shares(measured)]


def _timed(client: Client, waits: NDArray[np.float64]) -> list[float]:
    """Run a task for each time to wait; return the seconds that each part of the run took."""
    parts, begin = [], time.perf_counter()
    with Tasks(client, "wait") as tasks:
        shared = tasks.submit(Call("sharing", share_task, ()))
        calls = (
            Call(f"waiting for sample {each}", wait_task, (shared, slice(each, each + 1), wait))
            for each, wait in enumerate(waits.tolist())
        )
        for ended, (_, future) in enumerate(tasks.completed(calls), 1):
            tasks.release(future)
            if ended * PARTS // waits.size > len(parts):
                now = time.perf_counter()
                parts.append(now - begin)
                begin = now
    return parts


def _add(table: Table, waits: NDArray[np.float64], parts: list[float]) -> None:
    least = waits.sum() / THREADS
    waited = at_least = overhead = limit = "-"
    if least:
        waited, at_least = f"{1e3 * waits.mean():.3g} ms", f"{least:.4g} s"
        over = Timing(tuple(PARTS * part / least - 1 for part in parts))
        low, high = 100 * over.quantile(0.2), 100 * over.quantile(0.8)
        overhead = f"{100 * (sum(parts) / least - 1):.2g} % ({low:.2g} to {high:.2g})"
        limit = f"{100 * LIMIT:g} %"
    table.add(
        f"{waits.size:,}",
        waited,
        at_least,
        f"{sum(parts):.4g} s",
        str(Timing(tuple(PARTS * part / waits.size for part in parts))),
        overhead,
        limit,
    )


def _shares(measured: float) -> Table:
    """What the scheduler has to do in a run for which it was made, beside how long that takes."""
    rates = measure_rates(PLANNED["num_checkpoints"])
    plan = plan_cluster(**PLANNED, rates=rates)
    table = Table(
        "Of a planned run of {num_train:,} + {num_val:,} samples x {num_checkpoints} with "
        "{workers} workers like this machine".format(**PLANNED),
        ["step", "tasks", "scheduler", "planned", "bound by", "share"],
    )
    for step in plan.steps:
        if step.tasks:
            seconds = step.tasks * measured
            table.add(
                step.name,
                f"{step.tasks:,}",
                f"{seconds:.3g} s",
                f"{step.seconds:.3g} s",
                step.bound,
                f"{100 * seconds / step.seconds:.2g} %",
            )
    table.note(
        "All that bounds a step works at the same time: the scheduler adds to it only where it is "
        "the slowest."
    )
    return table
