"""The steps of a run on a cluster: tasks, requests, bytes, and how long what bounds them takes.

What happens at the same time takes as long as the slowest of it: computing, at the rates measured
on this machine; the network of each worker; the object store, which answers so many requests a
second and each of them only after a while; and the scheduler, which has something to do for each
task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ltc.distributed.cluster import chunk_ranges
from ltc.distributed.selection import FAN_IN
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.planning import search_seconds, task_bytes
from ltc.store.fetching import FETCHED_AT_ONCE
from ltc.store.format import CHUNK_SAMPLES
from ltc.store.objects import AT_ONCE

if TYPE_CHECKING:
    from ltc.planning import Plan
    from ltc.rates import Rates

__all__ = ["SMALL_OBJECTS", "Conditions", "Sizes", "Step", "plan_steps"]

PASSES: Final = 6  # of a selection: sizes, a cutoff and its members, shares and theirs, indices
SMALL_OBJECTS: Final = 29  # of a commit: metadata of arrays that grow, records, the root
OPENING: Final = 16  # requests of a worker that opens a store: metadata, checkpoints
SELECTING: Final = 32 * 2**20  # bytes of a task: a chunk of scores and labels, what is made of them
SELECTED: Final = 8  # bytes of a sample that a pass of a selection reads: score and label


@dataclass(frozen=True)
class Conditions:
    """What is not measured here, and has to be said or is assumed.

    Attributes
    ----------
    network : float
        Gigabits a second between a worker and the object store.
    latency : float
        Seconds until an answer begins. Amazon says 0.1 to 0.2 of S3 [1]_.
    reads, writes : float
        Requests a second that the store answers. Amazon promises 5,500 and 3,500 for each prefix
        and divides one that is busier, so that it can be more [1]_.
    scheduler : float
        Seconds that Dask's scheduler takes for a task; assumed.

    References
    ----------
    .. [1] Amazon S3 User Guide, "Best practices design patterns: optimizing Amazon S3 performance"
    """

    network: float = 10.0
    latency: float = 0.1
    reads: float = 5500.0
    writes: float = 3500.0
    scheduler: float = 1e-3

    def __post_init__(self) -> None:
        """Check that they are positive numbers."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ArgumentTypeError(f"{name} must be a number, got {value!r}")
            if not 0 < value < float("inf"):
                raise ArgumentValueError(f"{name} must be positive and finite, got {value}")


@dataclass(frozen=True)
class Step:
    """One thing to be done with a run.

    Attributes
    ----------
    name : str
        What.
    tasks, gets, puts : int
        Tasks of the scheduler, objects read and objects written.
    moved : int
        Bytes read and written, by all workers.
    memory : int
        Bytes of a worker, beside the process itself.
    limits : dict of str to float
        Seconds that it takes at least, by what bounds it.
    """

    name: str
    tasks: int
    gets: int
    puts: int
    moved: int
    memory: int
    limits: dict[str, float]

    @property
    def seconds(self) -> float:
        """What the slowest takes."""
        return max(self.limits.values())

    @property
    def bound(self) -> str:
        """What is the slowest."""
        return max(self.limits, key=self.limits.__getitem__)


@dataclass(frozen=True)
class Sizes:
    """What the steps have in common.

    Attributes
    ----------
    num_train, num_val, num_checkpoints : int
        N, M and T.
    workers, threads : int
        Machines, and threads of each.
    """

    num_train: int
    num_val: int
    num_checkpoints: int
    workers: int
    threads: int

    @property
    def train_chunks(self) -> int:
        """Chunks of a checkpoint of the training split, and of each array of its samples."""
        return -(-self.num_train // CHUNK_SAMPLES)

    @property
    def val_chunks(self) -> int:
        """The same of the validation split."""
        return -(-self.num_val // CHUNK_SAMPLES)

    @property
    def chunks(self) -> int:
        """Those of both splits."""
        return self.train_chunks + self.val_chunks

    def tasks(self, threads: int) -> int:
        """Ranges of whole chunks that a pass is divided into, for so many threads."""
        width = min(self.num_train, CHUNK_SAMPLES)
        return len(chunk_ranges([slice(0, self.num_train)], width, threads))


def plan_steps(sizes: Sizes, run: Plan, rates: Rates, assumed: Conditions) -> tuple[Step, ...]:
    """Return the steps of a run: recording, scoring, neighbours, selecting.

    Parameters
    ----------
    sizes : Sizes
        Of the run and of the cluster.
    run : Plan
        For one machine.
    rates : Rates
        Of this machine.
    assumed : Conditions
        Of all else.
    """
    return (
        _recording(sizes, run, assumed),
        _scoring(sizes, rates, assumed),
        _searching(sizes, run, rates, assumed),
        _selecting(sizes, rates, assumed),
    )


def _recording(sizes: Sizes, run: Plan, assumed: Conditions) -> Step:
    """All commits, by the one process that writes."""
    commits, puts = sizes.num_checkpoints, sizes.chunks + SMALL_OBJECTS
    turns = -(-puts // AT_ONCE)
    moved = 2 * CHUNK_SAMPLES * sizes.chunks * commits
    return Step(
        "all commits",
        tasks=0,
        gets=0,
        puts=commits * puts,
        moved=moved,
        memory=run.recording,
        limits={
            "computing": run.commits,
            "network": _transfer(moved, 1, assumed),
            "writes": commits * puts / assumed.writes,
            "answers": commits * turns * assumed.latency,
        },
    )


def _scoring(sizes: Sizes, rates: Rates, assumed: Conditions) -> Step:
    each = rates.score_sample + sizes.num_checkpoints * rates.score_loss
    alone = rates.score + sizes.num_val * each  # references, by one worker for all
    return _step(
        "score",
        sizes,
        assumed,
        tasks=1 + sizes.tasks(sizes.workers * sizes.threads),
        gets=_loss_chunks(sizes) + sizes.workers * OPENING,
        puts=sizes.train_chunks + sizes.tasks(sizes.workers * sizes.threads),
        moved=_loss_bytes(sizes) + 4 * sizes.num_train,
        memory=sizes.threads * task_bytes(sizes.num_train, sizes.num_checkpoints),
        computing=alone + sizes.num_train * each / sizes.workers,
    )


def _searching(sizes: Sizes, run: Plan, rates: Rates, assumed: Conditions) -> Step:
    """Neighbours of all queries: each worker searches its share, and results are merged."""
    share = -(-sizes.num_train // sizes.workers)
    each = rates.score_sample + sizes.num_checkpoints * rates.score_loss
    tasks = sizes.tasks(sizes.workers * sizes.threads)
    return _step(
        "neighbors",
        sizes,
        assumed,
        tasks=tasks + _merges(tasks),
        gets=_loss_chunks(sizes) + sizes.workers * OPENING,
        puts=0,
        moved=_loss_bytes(sizes),
        memory=sizes.threads * run.neighbors,
        computing=share * each + search_seconds(share, sizes.num_val, rates),
    )


def _selecting(sizes: Sizes, rates: Rates, assumed: Conditions) -> Step:
    tasks = sizes.tasks(1)  # a block for each, whatever the cluster
    return _step(
        "select",
        sizes,
        assumed,
        tasks=PASSES * (tasks + _merges(tasks)),
        gets=PASSES * (2 * sizes.train_chunks + tasks) + sizes.workers * OPENING,
        puts=tasks,
        moved=PASSES * SELECTED * sizes.num_train,
        memory=sizes.threads * SELECTING,
        computing=PASSES * sizes.num_train * rates.selection_sample / sizes.workers,
    )


def _step(
    name: str,
    sizes: Sizes,
    assumed: Conditions,
    *,
    tasks: int,
    gets: int,
    puts: int,
    moved: int,
    memory: int,
    computing: float,
) -> Step:
    """What all workers do at the same time."""
    at_once = FETCHED_AT_ONCE * sizes.threads * sizes.workers
    limits = {
        "computing": computing,
        "network": _transfer(moved, sizes.workers, assumed),
        "reads": gets / assumed.reads,
        "writes": puts / assumed.writes,
        "answers": (gets + puts) / at_once * assumed.latency,
        "scheduler": tasks * assumed.scheduler,
    }
    return Step(name, tasks, gets, puts, moved, memory, limits)


def _loss_chunks(sizes: Sizes) -> int:
    """Chunks of losses and labels of both splits."""
    return sizes.chunks * (sizes.num_checkpoints + 1)


def _loss_bytes(sizes: Sizes) -> int:
    return CHUNK_SAMPLES * sizes.chunks * (2 * sizes.num_checkpoints + 4)


def _transfer(moved: int, workers: int, assumed: Conditions) -> float:
    return 8 * moved / (assumed.network * 1e9) / workers


def _merges(tasks: int) -> int:
    return -(-(tasks - 1) // (FAN_IN - 1))
