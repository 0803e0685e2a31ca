"""The steps of a run on a cluster: tasks, requests, bytes, and how long what bounds them takes.

What happens at the same time takes as long as the slowest of it: computing, at the rates measured
on this machine; the network of each worker; the object store, which answers so many requests a
second and each of them only after a while; and the scheduler, which has something to do for each
task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.class_search import BYTES_PER_SAMPLE
from ltc.distributed.cluster import chunk_ranges
from ltc.distributed.neighbors import MERGED_AT_ONCE
from ltc.distributed.selection import FAN_IN
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.planning import search_seconds, task_bytes, task_width
from ltc.queries import TILE_MEMORY
from ltc.rates import SEARCHED
from ltc.store.fetching import FETCHED_AT_ONCE
from ltc.store.format import CHUNK_SAMPLES
from ltc.store.objects import AT_ONCE
from ltc.tiles import tile_width
from ltc_kernels import query_slices

if TYPE_CHECKING:
    from ltc.planning import Plan
    from ltc.rates import Rates

__all__ = ["SMALL_OBJECTS", "Conditions", "Sizes", "Step", "plan_steps"]

PASSES: Final = 6  # of a selection: sizes, a cutoff and its members, shares and theirs, indices
SMALL_OBJECTS: Final = 29  # of a commit: metadata of arrays that grow, records, the root
OPENING: Final = 20  # requests of a worker that opens a store: metadata, checkpoints
ASKING: Final = 2  # of a task: whether the store is the same, before labels and losses are read,
ASKING_SCORES: Final = 4  # and, three of them for what describes scores, before these are
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

    @property
    def train_samples(self) -> int:
        """Samples that the chunks have room for: the last is as long as the others."""
        return self.train_chunks * min(self.num_train, CHUNK_SAMPLES)

    @property
    def val_samples(self) -> int:
        """The same of the validation split."""
        return self.val_chunks * min(self.num_val, CHUNK_SAMPLES)

    def times(self, width: int) -> int:
        """How often a chunk is read where tiles of this width are made of it, one at a time."""
        return -(-min(self.num_train, CHUNK_SAMPLES) // width)

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
    moved = 2 * (sizes.train_samples + sizes.val_samples) * commits
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
    tasks = sizes.tasks(sizes.workers * sizes.threads)
    times = sizes.times(task_width(sizes.num_train, sizes.num_checkpoints))
    labels = 4 * (sizes.train_samples + sizes.val_samples)
    return _step(
        "score",
        sizes,
        assumed,
        tasks=1 + tasks,
        gets=_loss_chunks(sizes, times) + sizes.chunks + sizes.workers * OPENING + tasks * ASKING,
        puts=sizes.train_chunks + tasks,
        moved=_loss_bytes(sizes, times) + labels + 4 * sizes.train_samples,
        memory=sizes.threads * task_bytes(sizes.num_train, sizes.num_checkpoints),
        computing=alone + sizes.num_train * each / sizes.workers,
    )


def _searching(sizes: Sizes, run: Plan, rates: Rates, assumed: Conditions) -> Step:
    """Neighbours of all queries: each worker searches its share, and results are merged."""
    share = -(-sizes.num_train // sizes.workers)
    each = rates.score_sample + sizes.num_checkpoints * rates.score_loss
    passes = _query_passes(sizes)
    tasks = sizes.tasks(sizes.workers * sizes.threads)
    width = tile_width(
        sizes.num_train,
        CHUNK_SAMPLES,
        sizes.num_checkpoints,
        memory=TILE_MEMORY,
        per_sample=BYTES_PER_SAMPLE,
    )
    times = passes * sizes.times(width)
    return _step(
        "neighbors",
        sizes,
        assumed,
        tasks=passes * (2 + tasks + _merges(tasks, MERGED_AT_ONCE)),
        gets=_loss_chunks(sizes, times) + passes * (sizes.workers * OPENING + tasks * ASKING),
        puts=0,
        moved=_loss_bytes(sizes, times),
        memory=sizes.threads * run.neighbors,
        computing=passes * share * each + search_seconds(share, sizes.num_val, rates),
    )


def _selecting(sizes: Sizes, rates: Rates, assumed: Conditions) -> Step:
    tasks = sizes.tasks(1)  # a block for each, whatever the cluster
    return _step(
        "select",
        sizes,
        assumed,
        tasks=PASSES * (1 + tasks) + (PASSES - 1) * _merges(tasks, FAN_IN),  # the last one writes
        gets=PASSES * (2 * sizes.train_chunks + tasks * ASKING_SCORES) + sizes.workers * OPENING,
        puts=tasks,
        moved=PASSES * SELECTED * sizes.train_samples,
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


def _loss_chunks(sizes: Sizes, times: int) -> int:
    """Chunks of losses that are read, those of the training split so many times."""
    return sizes.num_checkpoints * (times * sizes.train_chunks + sizes.val_chunks)


def _loss_bytes(sizes: Sizes, times: int) -> int:
    return 2 * sizes.num_checkpoints * (times * sizes.train_samples + sizes.val_samples)


def _transfer(moved: int, workers: int, assumed: Conditions) -> float:
    return 8 * moved / (assumed.network * 1e9) / workers


def _query_passes(sizes: Sizes) -> int:
    """Passes over the training samples that neighbours of all validation samples take."""
    queries = np.broadcast_to(np.float16(0), (sizes.num_checkpoints, sizes.num_val))
    return sum(1 for _ in query_slices(queries, SEARCHED))


def _merges(tasks: int, at_once: int) -> int:
    return -(-(tasks - 1) // (at_once - 1))
