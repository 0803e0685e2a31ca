"""A plain PyTorch training loop, with a recorder and without.

The recorder costs a few lines of `record`: a checkpoint before the first step, `update` in each
step, `evaluate` and `commit` at the end of an epoch. Everything else is what a loop has anyway.

The checkpoint before training matters. Most of what a network learns of an easy data set it learns
in the first epoch, and without it that part of the trajectory is missing: on Fashion-MNIST, with
some labels flipped, the scores then hardly tell these from the others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import ltc
from ltc.demo.data import Data, Split

__all__ = [
    "RECIPES",
    "Recipe",
    "Recording",
    "default_workers",
    "one_thread",
    "record",
    "train_and_test",
]


EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: Adam, the learning rate falling to zero along a cosine.

    Attributes
    ----------
    epochs : int
        Passes over the whole training split. A coreset gets the same number of iterations.
    batch_size : int
        Samples in a batch, at most.
    learning_rate : float
        At the start.
    network : str
        What `build_network` builds, in words.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    network: str

    def iterations(self, num_train: int) -> int:
        """Return the number of optimiser steps of a run on `num_train` samples."""
        return self.epochs * _batches(num_train, self.batch_size)


RECIPES = {
    "digits": Recipe(
        epochs=30, batch_size=50, learning_rate=3e-3, network="one hidden layer of 128 units"
    ),
    "fashion-mnist": Recipe(
        epochs=12,
        batch_size=250,
        learning_rate=3e-3,
        network="two strided convolutions and a hidden layer of 64 units",
    ),
}


@dataclass(frozen=True)
class Recording:
    """What a recorded run leaves beside its store.

    Attributes
    ----------
    accuracy : float
        On the test split, after the last epoch.
    train_losses, val_losses : float32 array [T, N], [T, M]
        The recorded losses in the precision of training, to see what storing them in float16 loses.
    pass_losses : float32 array [T, N]
        Training losses from passes of their own at the same checkpoints, to see how far those of
        the training steps are from them.
    seconds : dict of str to float
        ``training``: the whole loop, recording included; ``update``, ``evaluate`` and ``commit``:
        the recorder's own timers.
    """

    accuracy: float
    train_losses: NDArray[np.float32]
    val_losses: NDArray[np.float32]
    pass_losses: NDArray[np.float32]
    seconds: dict[str, float]


def record(data: Data, recipe: Recipe, seed: int, store: Path) -> Recording:
    """Train on the whole training split and record it into `store`, which must not exist.

    Checkpoint 0, before training, comes from a pass over both splits. After that, training losses
    are those of the training steps; validation losses come from a pass at the end of each epoch.
    """
    trainer = _Trainer(data.train, recipe, recipe.iterations(len(data.train.labels)), seed)
    train, val = _tensors(data.train), _tensors(data.val)
    train_losses = np.empty((recipe.epochs + 1, len(data.train.labels)), np.float32)
    val_losses = np.empty((recipe.epochs + 1, len(data.val.labels)), np.float32)
    pass_losses = np.empty_like(train_losses)
    train_losses[0], val_losses[0] = (_losses(trainer.model, *split) for split in (train, val))
    pass_losses[0] = train_losses[0]
    aside = 0.0
    start = perf_counter()
    with ltc.Recorder(
        store,
        train_labels=data.train.labels,
        val_labels=data.val.labels,
        train_ids=data.train.ids,
        val_ids=data.val.ids,
    ) as recorder:
        recorder.evaluate("train", trainer.model, _eval_batches(*train))
        recorder.evaluate("val", trainer.model, _eval_batches(*val))
        recorder.commit(0)
        for epoch in range(1, recipe.epochs + 1):
            for index in trainer.batches():
                losses = trainer.step(index)
                recorder.update("train", index, losses=losses, loss="cross-entropy")
                train_losses[epoch, index.numpy()] = losses.numpy()
            recorder.evaluate("val", trainer.model, _eval_batches(*val))
            recorder.commit(epoch)

            pause = perf_counter()
            val_losses[epoch] = _losses(trainer.model, *val)
            pass_losses[epoch] = _losses(trainer.model, *train)
            aside += perf_counter() - pause
        training = perf_counter() - start - aside
    return Recording(
        accuracy=_accuracy(trainer.model, data.test),
        train_losses=train_losses,
        val_losses=val_losses,
        pass_losses=pass_losses,
        seconds={"training": training, **recorder.seconds},
    )


def train_and_test(
    data: Data, recipe: Recipe, seed: int, samples: NDArray[np.int64] | None = None
) -> float:
    """Train from scratch on some samples of the training split and return the test accuracy.

    The number of iterations is that of a run on the whole split.

    Parameters
    ----------
    data : Data
        The split data set.
    recipe : Recipe
        How to train.
    seed : int
        For the initial weights and the order of the samples.
    samples : int64 array [k], optional
        Positions in the training split; None: all of it.
    """
    iterations = recipe.iterations(len(data.train.labels))
    trainer = _Trainer(data.train, recipe, iterations, seed, samples)
    while trainer.remaining:
        for index in trainer.batches():
            trainer.step(index)
    return _accuracy(trainer.model, data.test)


def default_workers() -> int:
    """Return how many single-threaded trainings this process's cores carry at the same time."""
    return torch.get_num_threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread: quickest for batches this small, and reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Trainer:
    """A model, its optimiser and what is left of its iterations."""

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        iterations: int,
        seed: int,
        samples: NDArray[np.int64] | None = None,
    ) -> None:
        self._images, self._labels = _tensors(split, samples)
        self._batch_size = recipe.batch_size
        self._generator = torch.Generator().manual_seed(seed)
        self.remaining = iterations
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = build_network(split.images.shape[-1])
        self._optimizer = torch.optim.Adam(
            self.model.parameters(), lr=recipe.learning_rate, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, iterations)

    def batches(self) -> Iterator[Tensor]:
        """Yield each sample once, in batches of nearly equal size, while iterations remain."""
        size = len(self._labels)
        order = torch.randperm(size, generator=self._generator)
        yield from order.tensor_split(_batches(size, self._batch_size))[: self.remaining]

    def step(self, index: Tensor) -> Tensor:
        """Train on a batch and return its losses, float32 [B], from before the step."""
        logits = self.model(self._images[index])
        losses = nn.functional.cross_entropy(logits, self._labels[index], reduction="none")
        self._optimizer.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()
        self.remaining -= 1
        return losses.detach()


def build_network(width: int) -> nn.Sequential:
    """Return a small network for pictures of 8 x 8 or 28 x 28 pixels and ten classes."""
    if width == 8:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def _batches(size: int, batch_size: int) -> int:
    return -(-size // batch_size)


def _tensors(split: Split, samples: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    if samples is None:
        return images, labels
    chosen = torch.from_numpy(samples)
    return images[chosen], labels[chosen]


def _eval_batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield ``(inputs, targets, index)``, as a loader over an `IndexedDataset` does."""
    for index in torch.arange(len(labels)).tensor_split(_batches(len(labels), EVALUATION_BATCH)):
        yield images[index], labels[index], index


@torch.no_grad()
def _losses(model: nn.Module, images: Tensor, labels: Tensor) -> NDArray[np.float32]:
    batches = [
        nn.functional.cross_entropy(model(inputs), targets, reduction="none")
        for inputs, targets, _ in _eval_batches(images, labels)
    ]
    return torch.cat(batches).numpy()


@torch.no_grad()
def _accuracy(model: nn.Module, split: Split) -> float:
    images, labels = _tensors(split)
    found = torch.cat([model(inputs).argmax(1) for inputs, _, _ in _eval_batches(images, labels)])
    return float((found == labels).double().mean())
