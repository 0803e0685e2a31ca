"""A model trained on everything and recorded: what every selection starts from.

One run leaves two stores, so that recording modes can be compared: ``passes.zarr`` has the losses
of all training samples from a pass after each epoch, ``steps.zarr`` those that the training steps
had anyway. Checkpoint 0 is before training. What other papers' scores need and losses don't tell is
kept beside them: EL2N, forgetting events, and what the last layer sees.
"""

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import ltc
from benchmarks.paper.data import Data, load, source
from benchmarks.paper.jobs import Job, Work
from benchmarks.paper.training import Recipe, Trainer, batches, evaluate, one_thread


@dataclass(frozen=True)
class Case:
    """One recorded run: a data set, split and mislabelled by a seed, and an architecture.

    `directory` is where the files of the data set are, `flip` the share of wrong labels in its
    training and validation splits.
    """

    dataset: str
    directory: Path | None
    recipe: Recipe
    architecture: str
    flip: float
    seed: int

    @property
    def name(self) -> str:
        """How jobs call it; the data set and the recipe are the folder's."""
        return self.named(self.architecture)

    def named(self, architecture: str) -> str:
        """How jobs of another architecture on the same samples are called."""
        return f"{architecture}/flip-{self.flip:g}/seed-{self.seed}"

    @property
    def sizes(self) -> tuple[int, int]:
        """Samples of the training and of the validation split."""
        return source(self.dataset, self.directory).sizes

    @property
    def data(self) -> Data:
        """The data set as this run sees it."""
        return load(self.dataset, seed=self.seed, flip=self.flip, directory=self.directory)


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a recorded run left.

    Attributes
    ----------
    passes, steps : Path
        The stores: losses of passes after each epoch, and of the training steps.
    labels, flipped : int64 [N], bool [N]
        Of the training split.
    el2n : float32 [N]
        The length of the error vector (probabilities less the one-hot label), mean over passes
        after the first fifth of the epochs; Paul et al., arXiv 2107.07075, definition 2.2, from one
        initialisation where they average ten.
    forgetting : float32 [N]
        How often a sample that a training step found right was wrong in the next one; for one that
        was never right, one more than there are epochs; Toneva et al., arXiv 1812.05159, section 3.
    features : float32 [N, 64]
        What the last layer of the trained model sees.
    """

    passes: Path
    steps: Path
    labels: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    el2n: NDArray[np.float32]
    forgetting: NDArray[np.float32]
    features: NDArray[np.float32]


def recording_job(case: Case, work: Work) -> Job:
    """Return the job that records a run; its result has the accuracy of a model of everything."""
    epochs, (train, val) = case.recipe.epochs, case.sizes
    # A pass without gradients takes about a third of a training step's time.
    visits = epochs * train + (epochs + 1) * (train + 2 * val) // 3
    return Job(f"runs/{case.name}", visits, lambda: _record(case, work))


@lru_cache(maxsize=2)
def recorded(case: Case, work: Work) -> Recorded:
    """Return a run that has been recorded; the latest two are kept.

    Raises
    ------
    FileNotFoundError
        It hasn't been, or its folder was removed.
    """
    folder = work.path(f"runs/{case.name}")
    with np.load(folder / "beside.npz") as beside:
        arrays = {name: beside[name] for name in beside.files}
    return Recorded(folder / "passes.zarr", folder / "steps.zarr", **arrays)


def _record(case: Case, work: Work) -> Mapping[str, Any]:
    target = work.path(f"runs/{case.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with one_thread():
            result = _train(case, unfinished)
        # Of an earlier run that was killed before its result was written.
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return result


def _train(case: Case, folder: Path) -> Mapping[str, Any]:
    data, epochs = case.data, case.recipe.epochs
    trainer = Trainer(data, case.architecture, case.recipe, case.seed)
    beside = _Beside(len(data.train), epochs)
    splits = {
        "train_labels": data.train.labels,
        "val_labels": data.val.labels,
        "train_ids": data.train.ids,
        "val_ids": data.val.ids,
    }
    with (
        ltc.Recorder(folder / "passes.zarr", **splits) as passes,
        ltc.Recorder(folder / "steps.zarr", **splits) as steps,
    ):
        for epoch in range(epochs + 1):
            if epoch:
                for index in trainer.batches():
                    logits, losses = trainer.step(index)
                    steps.update("train", index, losses=losses)
                    beside.step(logits, index, data.train.labels)
            else:
                steps.evaluate("train", trainer.model, batches(data.train, data.white))
            early = 0 < epoch <= max(1, epochs // 5)
            step = beside.watched(early)
            passes.evaluate("train", trainer.model, batches(data.train, data.white), step=step)
            for recorder in (passes, steps):
                recorder.evaluate("val", trainer.model, batches(data.val, data.white))
                recorder.commit(epoch)
    tested = evaluate(trainer.model, data)
    np.savez(
        folder / "beside.npz",
        labels=data.train.labels,
        flipped=data.train.flipped,
        el2n=beside.el2n(),
        forgetting=beside.forgetting(),
        features=_features(trainer.model, data),
    )
    return {
        "accuracy": tested.accuracy,
        "class_accuracy": tested.class_accuracy.tolist(),
        "iterations": trainer.iterations,
    }


class _Beside:
    """What is added up beside the losses: error vectors of passes, and events of steps."""

    def __init__(self, samples: int, epochs: int) -> None:
        self._epochs = epochs
        self._errors = np.zeros(samples)
        self._passes = 0
        self._was_right = np.zeros(samples, bool)
        self._ever_right = np.zeros(samples, bool)
        self._forgotten = np.zeros(samples, np.int64)

    def step(self, logits: Tensor, index: Tensor, labels: NDArray[np.int64]) -> None:
        """Count what this training step has forgotten."""
        positions = index.numpy()
        right = logits.argmax(1).numpy() == labels[positions]
        self._forgotten[positions] += self._was_right[positions] & ~right
        self._was_right[positions] = right
        self._ever_right[positions] |= right

    def watched(self, early: bool) -> Any:
        """Return the step of a pass, which adds up error vectors if it is early."""
        self._passes += early

        def step(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            inputs, targets, index = batch
            logits = model(inputs)
            if early:
                error = logits.softmax(1)
                error[torch.arange(len(targets)), targets] -= 1
                self._errors[index.numpy()] += error.norm(dim=1).numpy()
            return nn.functional.cross_entropy(logits, targets, reduction="none"), index

        return step

    def el2n(self) -> NDArray[np.float32]:
        return (self._errors / self._passes).astype(np.float32)

    def forgetting(self) -> NDArray[np.float32]:
        never = self._epochs + 1
        return np.where(self._ever_right, self._forgotten, never).astype(np.float32)


@torch.no_grad()
def _features(model: nn.Sequential, data: Data) -> NDArray[np.float32]:
    parts = [model[:-1](inputs) for inputs, _, _ in batches(data.train, data.white)]
    return torch.cat(parts).numpy()
