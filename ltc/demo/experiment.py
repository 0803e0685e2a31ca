"""The comparison: coresets of every strategy, size and seed, with right labels and with wrong ones.

For each seed the data are split anew, a model is trained on all of the training split and recorded,
and its losses are scored. A new model then trains on each coreset, with the same initial weights
and for as many iterations as the first one. The test split is looked at once per model, after its
last iteration.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import ltc
from ltc.demo.data import Data, Source, load
from ltc.demo.train import Recipe, Recording, one_thread, record, train_and_test
from ltc.errors import ArgumentValueError

__all__ = ["Part", "Plan", "Row", "Run", "compare"]


Strategy = Literal["random", "top", "stratified"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


@dataclass(frozen=True)
class Row:
    """One way to choose a coreset."""

    strategy: Strategy
    cutoff: float


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    dataset, directory
        What :func:`ltc.demo.data.load` takes.
    recipe : Recipe
        How every model is trained.
    seeds : int
        Repetitions: 0..seeds-1.
    sizes : tuple of float
        Coreset sizes, as fractions of the training split.
    cutoff : float
        The share of each class, lowest scores first, that half of the rows set aside.
    out : Path
        Where the stores go.
    workers : int
        Processes that train at the same time.
    progress : bool
        Show progress bars on stderr.

    Raises
    ------
    ArgumentValueError
        A number is out of range.
    """

    dataset: str
    directory: Path | None
    recipe: Recipe
    seeds: int
    sizes: tuple[float, ...]
    cutoff: float
    out: Path
    workers: int
    progress: bool

    def __post_init__(self) -> None:
        """Check every number."""
        for name, value, smallest in (
            ("seeds", self.seeds, 1),
            # With fewer checkpoints there is no score.
            ("epochs", self.recipe.epochs, 4),
            ("workers", self.workers, 1),
        ):
            if value < smallest:
                raise ArgumentValueError(f"{name} must be at least {smallest}, got {value}")
        for name, share in (("cutoff", self.cutoff), *(("sizes", size) for size in self.sizes)):
            if not 0 < share < 1:
                raise ArgumentValueError(f"{name} must be between 0 and 1, got {share}")
        if not self.sizes:
            raise ArgumentValueError("sizes must not be empty, got ()")

    @property
    def rows(self) -> tuple[Row, ...]:
        """All strategies without and with the cutoff, the random baseline first."""
        return tuple(Row(name, cutoff) for name in STRATEGIES for cutoff in (0.0, self.cutoff))

    @property
    def source(self) -> Source:
        """The data set, loaded once per process."""
        return _source(self.dataset, self.directory)


@dataclass(frozen=True)
class Run:
    """One recorded run, its scores and the coresets chosen by them.

    Attributes
    ----------
    labels, flipped, ids : int64, bool and int64 array [N]
        Of the training split, as in :class:`ltc.demo.data.Split`. The pictures are not kept.
    val_labels : int64 array [M]
        Labels of the validation split.
    num_test : int
        Samples in the test split.
    recording : Recording
        Losses in float32, test accuracy and times.
    scores : ltc.Scores
        From the store, with the default signal and reference.
    later_scores : ltc.Scores
        The same, of the checkpoints after the one before training.
    coresets : dict
        Row and size -> int64 array [k], positions in the training split.
    """

    labels: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    ids: NDArray[np.int64]
    val_labels: NDArray[np.int64]
    num_test: int
    recording: Recording
    scores: ltc.Scores
    later_scores: ltc.Scores
    coresets: dict[tuple[Row, float], NDArray[np.int64]]


@dataclass(frozen=True)
class Part:
    """The results at one share of flipped labels.

    Attributes
    ----------
    flip : float
        The share.
    runs : list of Run
        One per seed.
    accuracy : dict
        Row and size -> float64 array [seeds], accuracy on the test split.
    """

    flip: float
    runs: list[Run]
    accuracy: dict[tuple[Row, float], NDArray[np.float64]]

    @property
    def everything(self) -> NDArray[np.float64]:
        """Accuracy of the models trained on the whole training split, float64 [seeds]."""
        return np.array([run.recording.accuracy for run in self.runs])


@dataclass(frozen=True)
class _Job:
    """One model to train on a coreset; equal jobs have equal results."""

    dataset: str
    directory: Path | None
    recipe: Recipe
    flip: float
    seed: int
    samples: bytes  # int64 positions, so that jobs can be compared


def compare(plan: Plan, flips: Sequence[float]) -> list[Part]:
    """Record, score and select for every share of flipped labels and seed; train on every coreset.

    Stores of an earlier call with the same `plan.out` are replaced.
    """
    cases = [(flip, seed) for flip in flips for seed in range(plan.seeds)]
    with one_thread():
        recorded = tqdm(cases, "Recording", disable=not plan.progress)
        runs = {(flip, seed): _run(plan, flip, seed) for flip, seed in recorded}
    jobs = {
        (case, cell): _Job(plan.dataset, plan.directory, plan.recipe, *case, samples.tobytes())
        for case, run in runs.items()
        for cell, samples in run.coresets.items()
    }
    accuracies = _train_all(jobs.values(), plan)
    return [
        Part(
            flip,
            [runs[flip, seed] for seed in range(plan.seeds)],
            {
                (row, size): np.array(
                    [accuracies[jobs[(flip, seed), (row, size)]] for seed in range(plan.seeds)]
                )
                for row in plan.rows
                for size in plan.sizes
            },
        )
        for flip in flips
    ]


def _run(plan: Plan, flip: float, seed: int) -> Run:
    data = _data(plan.dataset, plan.directory, flip, seed)
    store = plan.out / f"flip-{flip:g}-seed-{seed}.zarr"
    shutil.rmtree(store, ignore_errors=True)
    recording = record(data, plan.recipe, seed, store)
    scores = ltc.score(store)
    coresets = {
        (row, size): scores.select(
            fraction=size, strategy=row.strategy, cutoff=row.cutoff, seed=seed
        ).indices
        for row in plan.rows
        for size in plan.sizes
    }
    train = data.train
    return Run(
        labels=train.labels,
        flipped=train.flipped,
        ids=train.ids,
        val_labels=data.val.labels,
        num_test=len(data.test.labels),
        recording=recording,
        scores=scores,
        later_scores=ltc.score(store, checkpoints=slice(1, None)),
        coresets=coresets,
    )


def _train_all(jobs: Iterable[_Job], plan: Plan) -> dict[_Job, float]:
    """Return the test accuracy of each job; equal ones are trained once."""
    unique = list(dict.fromkeys(jobs))
    with ExitStack() as stack:
        results: Iterator[float]
        if plan.workers == 1:
            results = map(_train, unique)
        else:
            # A fork would copy the state of thread pools without their threads.
            pool = ProcessPoolExecutor(plan.workers, mp_context=get_context("spawn"))
            results = stack.enter_context(pool).map(_train, unique)
        progress = tqdm(results, "Training on coresets", len(unique), disable=not plan.progress)
        return dict(zip(unique, progress, strict=True))


def _train(job: _Job) -> float:
    data = _data(job.dataset, job.directory, job.flip, job.seed)
    samples = np.frombuffer(job.samples, np.int64).copy()  # a tensor needs memory it may write
    with one_thread():
        return train_and_test(data, job.recipe, job.seed, samples)


@lru_cache(maxsize=1)
def _source(dataset: str, directory: Path | None) -> Source:
    return load(dataset, directory)


@lru_cache(maxsize=1)
def _data(dataset: str, directory: Path | None, flip: float, seed: int) -> Data:
    return _source(dataset, directory).split(seed, flip=flip)
