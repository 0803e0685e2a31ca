"""Models of random halves, and scores of pairs that are to foretell what those models say.

Every model of a half is asked about some validation samples, the queries: for the margin,
log(p / (1 - p)) of the right class. Scores of each training sample for each query come from models
that were trained once, on everything, and recorded.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import ltc
from benchmarks.paper.data import Data, Split, load
from benchmarks.paper.gradients import METHODS, Weights, gradient_scores, margin
from benchmarks.paper.jobs import Job, Work
from benchmarks.paper.models import SMALLEST
from benchmarks.paper.study import Study
from benchmarks.paper.training import (
    Recipe,
    Trainer,
    batches,
    evaluate,
    fit,
    logits,
    one_thread,
)
from ltc.atomic import atomic_file
from ltc.errors import ArgumentValueError

RANDOM = "random"
TRAJECTORIES = {"LTC on losses": "loss", "LTC on differences": "difference"}
ALL = (RANDOM, *TRAJECTORIES, *METHODS)
FEWEST = 3  # halves that have a rank correlation
SPLIT = 0  # seed of the split, which all models share
HALVES, RETRAINED = 5, 10_000  # seeds no recorded run has


@dataclass(frozen=True)
class Plan:
    """What is trained and asked.

    Attributes
    ----------
    dataset, directory, recipe : str, Path or None, Recipe
        The data set, where its files are, and how every model is trained.
    train, queries : int
        How many training and validation samples there are.
    subsets, repeats : int
        Random halves of the training samples, and models of each.
    seeds : int
        Models of all training samples, from which scores come.
    passed : int
        Checkpoints of TracIn.
    projection : int
        Directions of TRAK. On another split of the digits it was best with an eighth as many as
        samples, of an eighth, a quarter and a half.
    """

    dataset: str
    directory: Path | None
    recipe: Recipe
    train: int
    queries: int = 200
    subsets: int = 100
    repeats: int = 3
    seeds: int = 5
    passed: int = 5
    projection: int = 640

    @classmethod
    def of(cls, study: Study) -> Self:
        """Return that of a figure."""
        few = {"train": 1000, "projection": 128} if study.dataset == "digits" else {"train": 5000}
        return cls(study.dataset, study.directory, study.recipe, seeds=study.seeds, **few)

    @property
    def data(self) -> Data:
        """The samples; all of the validation split are queries."""
        whole = load(self.dataset, seed=SPLIT, directory=self.directory)
        return whole.first(self.train, self.queries)

    @property
    def name(self) -> str:
        """What the results of jobs depend on, beside the data set and the recipe."""
        return f"lds/{SMALLEST}/train-{self.train}/queries-{self.queries}"

    def output_name(self, subset: int, repeat: int) -> str:
        """How the job of one model of one half is called."""
        return f"{self.name}/subset-{subset}/repeat-{repeat}"

    def scores_name(self, seed: int) -> str:
        """How the job of the scores from one model is called, and where they lie."""
        return f"{self.name}/tracin-{self.passed}/trak-{self.projection}/seed-{seed}"


def half(plan: Plan, subset: int) -> NDArray[np.int64]:
    """Return the training samples of one half, ascending; the same for any number of halves."""
    rng = np.random.default_rng([HALVES, subset])
    return np.sort(rng.choice(plan.train, plan.train // 2, replace=False))


def jobs(plan: Plan, work: Work) -> list[Job]:
    """Return all that has to be done, what comes first first."""
    epochs = plan.recipe.epochs
    scored = [
        Job(
            plan.scores_name(seed),
            (3 + plan.passed + epochs * 2) * plan.train,
            partial(_scores, plan, work, seed),
        )
        for seed in range(plan.seeds)
    ]
    outputs = [
        Job(
            plan.output_name(subset, repeat),
            epochs * plan.train // 2,
            partial(_output, plan, subset, repeat),
        )
        for repeat in range(plan.repeats)
        for subset in range(plan.subsets)
    ]
    return scored + outputs


@dataclass(frozen=True, eq=False)
class Found:
    """The results of the jobs that have been done.

    Attributes
    ----------
    subsets : bool [S, N]
        Which training samples are in each half.
    outputs : float64 [S, R, Q]
        The margin of each query by each model of each half.
    scores : dict of float32 [seed, Q, N]
        By method, in the order of `ALL`.
    seconds : dict of float64 [seed]
        What a method took beyond training, and for trajectories beyond recording.
    recording : float64 [seed]
        What recording took, seconds.
    accuracies : float64 [seed]
        On the test split, of the models from which scores come.
    """

    subsets: NDArray[np.bool_]
    outputs: NDArray[np.float64]
    scores: dict[str, NDArray[np.float32]]
    seconds: dict[str, NDArray[np.float64]]
    recording: NDArray[np.float64]
    accuracies: NDArray[np.float64]


def found(plan: Plan, work: Work) -> Found:
    """Gather the results so far: of halves with all their models, and of seeds with scores.

    Raises
    ------
    ArgumentValueError
        There are too few to correlate.
    """
    halves = {
        subset: results
        for subset in range(plan.subsets)
        if (results := _results(work, [plan.output_name(subset, r) for r in range(plan.repeats)]))
    }
    done = {
        seed: results[0]
        for seed in range(plan.seeds)
        if (results := _results(work, [plan.scores_name(seed)]))
    }
    if len(halves) < FEWEST or not done:
        raise ArgumentValueError(
            f"work must have at least {FEWEST} halves and one model of everything, "
            f"got {len(halves)} and {len(done)}"
        )
    subsets = np.zeros((len(halves), plan.train), bool)
    for row, subset in zip(subsets, halves, strict=True):
        row[half(plan, subset)] = True
    scores: dict[str, list[NDArray[np.float32]]] = {method: [] for method in ALL}
    for seed in done:
        with np.load(_scores_path(plan, work, seed)) as arrays:
            for method in ALL:
                scores[method].append(arrays[method])
    return Found(
        subsets,
        np.array([[result["margins"] for result in results] for results in halves.values()]),
        {method: np.stack(values) for method, values in scores.items()},
        {method: np.array([each["seconds"][method] for each in done.values()]) for method in ALL},
        np.array([each["recording"] for each in done.values()]),
        np.array([each["accuracy"] for each in done.values()]),
    )


def _results(work: Work, names: list[str]) -> list[dict[str, Any]]:
    """Return the results of jobs; none unless all are done."""
    results = [work.result(name) for name in names]
    return [] if None in results else results


def _output(plan: Plan, subset: int, repeat: int) -> Mapping[str, Any]:
    """Train on one half and ask about the queries."""
    data, seed = plan.data, RETRAINED + subset * 100 + repeat
    with one_thread():
        model = fit(data, SMALLEST, plan.recipe, seed, half(plan, subset))
        said = margin(logits(model, data.val, data.white), torch.from_numpy(data.val.labels))
    return {"margins": said.double().tolist()}


def _scores_path(plan: Plan, work: Work, seed: int) -> Path:
    return work.path(f"{plan.scores_name(seed)}.npz")


def _scores(plan: Plan, work: Work, seed: int) -> Mapping[str, Any]:
    """Train on everything, recorded, and score the training samples for each query."""
    data = plan.data
    with one_thread(), TemporaryDirectory() as folder:
        run = Path(folder) / "run.zarr"
        weights, recording = _record(plan, data, seed, run)
        scores, seconds = {}, {}
        for method, score in _scorers(plan, data, seed, run, weights).items():
            start = time.perf_counter()
            scores[method] = score()
            seconds[method] = time.perf_counter() - start
        accuracy = evaluate(weights.model, data).accuracy
    path = _scores_path(plan, work, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        np.savez(file, **scores)
    return {"accuracy": accuracy, "recording": recording, "seconds": seconds}


def _scorers(
    plan: Plan, data: Data, seed: int, run: Path, weights: Weights
) -> dict[str, Callable[[], NDArray[np.float32]]]:
    """Return for each method what makes its scores, [Q, N]."""
    shape, everything = (plan.queries, plan.train), slice(None)
    normal = np.random.default_rng(seed).standard_normal
    scorers: dict[str, Callable[[], NDArray[np.float32]]] = {
        RANDOM: partial(normal, shape, np.float32)
    }
    for method, signal in TRAJECTORIES.items():
        scorers[method] = partial(
            ltc.correlation, run, everything, everything, signal=signal, device="cpu"
        )
    samples = _tensors(data.train, data.white), _tensors(data.val, data.white)
    for method in METHODS:
        scorers[method] = partial(
            gradient_scores, method, weights, *samples, projection=plan.projection, seed=seed
        )
    return scorers


def _record(plan: Plan, data: Data, seed: int, run: Path) -> tuple[Weights, float]:
    """Record both splits in passes at each checkpoint, and keep some of the weights.

    Return them, and the seconds that recording took.
    """
    trainer = Trainer(data, SMALLEST, plan.recipe, seed)
    kept = passed_epochs(plan.recipe.epochs, plan.passed)
    passed, rates = [], []
    labels = {"train_labels": data.train.labels, "val_labels": data.val.labels}
    with ltc.Recorder(run, **labels) as recorder:
        for epoch in range(plan.recipe.epochs + 1):
            if epoch:
                for index in trainer.batches():
                    trainer.step(index)
            if epoch in kept:
                passed.append(_copy(trainer.model))
                rates.append(trainer.learning_rate)
            recorder.evaluate("train", trainer.model, batches(data.train, data.white))
            recorder.evaluate("val", trainer.model, batches(data.val, data.white))
            recorder.commit(epoch)
    weights = Weights(trainer.model, _copy(trainer.model), passed, rates)
    return weights, sum(recorder.seconds.values())


def passed_epochs(epochs: int, count: int) -> list[int]:
    """Return the epochs after which TracIn takes gradients: the middles of equal parts of training.

    Never the last, at which the learning rate is zero; none twice.

    Examples
    --------
    >>> passed_epochs(30, 5)
    [3, 9, 15, 21, 27]
    """
    return sorted({int((part + 0.5) * epochs / count) for part in range(count)})


def _copy(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _tensors(split: Split, white: int) -> tuple[Tensor, Tensor]:
    parts = list(batches(split, white))
    return torch.cat([inputs for inputs, _, _ in parts]), torch.from_numpy(split.labels)
