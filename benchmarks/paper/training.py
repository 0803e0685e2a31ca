"""Training from scratch, on everything or on a coreset, and what comes out of it.

A coreset is trained on for as many epochs as everything is (``"epochs"``: it costs its share of the
time) or for as many iterations as everything, or as a larger coreset (``"iterations"``: all sizes
cost the same, and it shows what samples are worth when training is long enough).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.paper.data import Data, Split
from benchmarks.paper.models import build
from ltc.errors import ArgumentValueError

Match: TypeAlias = Literal["epochs", "iterations"]
MATCHES: tuple[Match, ...] = get_args(Match)
TEST_BATCH = 1000


@dataclass(frozen=True)
class Recipe:
    """How every model is trained: Adam, its learning rate falling to zero along a cosine."""

    epochs: int
    batch_size: int
    learning_rate: float

    def steps(self, samples: int) -> int:
        """Return the number of iterations of one epoch."""
        return -(-samples // self.batch_size)


RECIPES = {
    "digits": Recipe(epochs=30, batch_size=50, learning_rate=6e-3),
    "fashion-mnist": Recipe(epochs=10, batch_size=100, learning_rate=6e-3),
    "cifar-100": Recipe(epochs=30, batch_size=100, learning_rate=3e-3),
    "imagenet": Recipe(epochs=30, batch_size=250, learning_rate=3e-3),
}


@dataclass(frozen=True, eq=False)
class Tested:
    """What a model does on the test split.

    Attributes
    ----------
    accuracy : float
        0..1.
    class_accuracy : float64 [C]
        Of the samples of each class; NaN for a class that has none there.
    predictions : int64 [n]
        The class with the highest logit.
    """

    accuracy: float
    class_accuracy: NDArray[np.float64]
    predictions: NDArray[np.int64]


class Trainer:
    """A model, its optimiser and what is left of its iterations.

    Parameters
    ----------
    data : Data
        Its training split is trained on.
    architecture : str
        One of :data:`benchmarks.paper.models.ARCHITECTURES`.
    recipe : Recipe
        How.
    seed : int
        For the initial weights and the order of the samples.
    samples : int64 [k], optional
        Positions in the training split; None: all of it.
    match : {"epochs", "iterations"}
        What training has in common with that on everything.
    share : float
        With matched iterations: they are those of this share of everything, 0..1.
    """

    def __init__(
        self,
        data: Data,
        architecture: str,
        recipe: Recipe,
        seed: int,
        samples: NDArray[np.int64] | None = None,
        match: Match = "epochs",
        share: float = 1.0,
    ) -> None:
        if match not in MATCHES:
            raise ArgumentValueError(f"match must be one of {', '.join(MATCHES)}, got {match!r}")
        images, labels = data.train.images, data.train.labels
        if samples is not None:
            if not len(samples):
                raise ArgumentValueError("samples must not be empty")
            images, labels = images[samples], labels[samples]
        self._images, self._labels = _tensor(images), torch.from_numpy(labels)
        self._white = data.white
        self._steps = recipe.steps(len(labels))
        whole = recipe.steps(max(1, round(share * len(data.train))))
        self.iterations = recipe.epochs * (self._steps if match == "epochs" else whole)
        self.remaining = self.iterations
        self._generator = torch.Generator().manual_seed(seed)
        self.model = build(architecture, images.shape[1:], len(data.classes), seed)
        self._optimizer = torch.optim.Adam(
            self.model.parameters(), lr=recipe.learning_rate, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, self.iterations
        )

    @property
    def learning_rate(self) -> float:
        """That of the next step; 0 after the last."""
        return float(self._schedule.get_last_lr()[0])

    def batches(self) -> Iterator[Tensor]:
        """Yield each sample once, in batches of nearly equal size, while iterations remain."""
        order = torch.randperm(len(self._labels), generator=self._generator)
        yield from order.tensor_split(self._steps)[: self.remaining]

    def step(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Train on a batch; return its logits [B, C] and losses [B], from before the step."""
        logits = self.model(_bright(self._images[index], self._white))
        losses = nn.functional.cross_entropy(logits, self._labels[index], reduction="none")
        self._optimizer.zero_grad()
        losses.mean().backward()
        self._optimizer.step()
        self._schedule.step()
        self.remaining -= 1
        return logits.detach(), losses.detach()


def fit(
    data: Data,
    architecture: str,
    recipe: Recipe,
    seed: int,
    samples: NDArray[np.int64] | None = None,
    match: Match = "epochs",
    share: float = 1.0,
) -> nn.Sequential:
    """Train a new model and return it; the parameters are those of `Trainer`."""
    trainer = Trainer(data, architecture, recipe, seed, samples, match, share)
    while trainer.remaining:
        for index in trainer.batches():
            trainer.step(index)
    return trainer.model


def batches(split: Split, white: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield ``(inputs, targets, index)``, in order, as a loader over an `IndexedDataset` does."""
    count = len(split)
    for index in torch.arange(count).tensor_split(-(-count // TEST_BATCH)):
        rows = slice(int(index[0]), int(index[-1]) + 1)
        inputs = _bright(_tensor(split.images[rows]), white)
        yield inputs, torch.from_numpy(split.labels[rows]), index


@torch.no_grad()
def logits(model: nn.Module, split: Split, white: int) -> Tensor:
    """Return what a model says of every sample, float32 [n, C]."""
    return torch.cat([model(inputs) for inputs, _, _ in batches(split, white)])


def evaluate(model: nn.Module, data: Data) -> Tested:
    """Test a trained model on the test split."""
    split, classes = data.test, len(data.classes)
    predictions = logits(model, split, data.white).argmax(1).numpy()
    right = predictions == split.labels
    sizes = np.bincount(split.labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        each = np.bincount(split.labels, right, minlength=classes) / sizes
    return Tested(float(right.mean()), each, predictions)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread: quickest for batches this small, and reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    # A memory map is read only, and a tensor must not be.
    return torch.from_numpy(images if images.flags.writeable else images.copy())


def _bright(images: Tensor, white: int) -> Tensor:
    return images.float().div_(white)
