"""Data sets by name, split for one seed, with a share of wrong labels.

Pictures stay bytes, channels first: a batch becomes floats when it is trained on. Digits and
Fashion-MNIST are read and split as ``ltc demo`` does it, so that the two tell of the same samples.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper import cifar, imagenet
from ltc.demo import data as demo
from ltc.errors import ArgumentValueError

DATASETS = ("digits", "fashion-mnist", "cifar-100", "imagenet")


@dataclass(frozen=True, eq=False)
class Split:
    """Some samples: uint8 [n, channels, height, width], int64 [n], int64 [n], bool [n].

    `labels` are what a model is trained or tested with, those of `flipped` samples are wrong; `ids`
    are positions in the source.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    flipped: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.labels)

    def first(self, count: int) -> Self:
        """Return the first samples; a split is in random order, so they are any."""
        if not 0 < count <= len(self):
            raise ArgumentValueError(f"count must lie in 1..{len(self)}, got {count}")
        return replace(
            self,
            images=self.images[:count],
            labels=self.labels[:count],
            ids=self.ids[:count],
            flipped=self.flipped[:count],
        )


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, split for one seed. `white` is the byte of full brightness."""

    name: str
    classes: tuple[str, ...]
    white: int
    train: Split
    val: Split
    test: Split

    def first(self, train: int, val: int | None = None) -> Self:
        """Return it with fewer training and, where asked for, validation samples."""
        kept = self.val if val is None else self.val.first(val)
        return replace(self, train=self.train.first(train), val=kept)


@dataclass(frozen=True, eq=False)
class Source:
    """A data set as it was published.

    `sizes` are those of ``train`` and ``val``, both drawn from `images`. Without test images of
    its own it is tested with what they leave.
    """

    name: str
    classes: tuple[str, ...]
    white: int
    sizes: tuple[int, int]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    test_images: NDArray[np.uint8] | None = None
    test_labels: NDArray[np.int64] | None = None

    def split(self, seed: int, *, flip: float = 0.0) -> Data:
        """Split at random, and flip a share of the labels of ``train`` and ``val``."""
        order = np.random.default_rng([seed, 0]).permutation(len(self.labels))
        train, val, rest = (self._take(ids) for ids in np.split(order, np.cumsum(self.sizes)))
        if self.test_images is not None and self.test_labels is not None:
            ids = np.arange(len(self.test_labels))
            rest = Split(self.test_images, self.test_labels, ids, np.zeros(len(ids), bool))
        rng = np.random.default_rng([seed, 1])
        train, val = (self._flip(part, flip, rng) for part in (train, val))
        return Data(self.name, self.classes, self.white, train, val, rest)

    def _take(self, ids: NDArray[np.int64]) -> Split:
        return Split(self.images[ids], self.labels[ids], ids, np.zeros(len(ids), bool))

    def _flip(self, part: Split, share: float, rng: np.random.Generator) -> Split:
        labels, flipped = demo.flip_labels(part.labels, share, len(self.classes), rng)
        return replace(part, labels=labels, flipped=flipped)


def load(name: str, *, seed: int, flip: float = 0.0, directory: Path | None = None) -> Data:
    """Return one of `DATASETS`, split for a seed.

    `directory` is where the files are: not for digits, which scikit-learn ships; for Fashion-MNIST
    by default where Debian's package ``dataset-fashion-mnist`` puts them. The files are read once
    per process, and the latest split is kept.
    """
    if not 0 <= flip < 1:
        raise ArgumentValueError(f"flip must lie in 0..1, 1 excluded, got {flip}")
    return _split(name, directory, seed, flip)


@lru_cache(maxsize=1)
def source(name: str, directory: Path | None = None) -> Source:
    """Read one of `DATASETS`.

    Raises
    ------
    ArgumentValueError
        There is no such data set, or the directory is missing or not for this one.
    DatasetNotFoundError, DatasetFormatError
        A file is not there, or is not what its name says.
    """
    if name in demo.DATASETS:
        read = demo.load(name, directory)
        test = None if read.test_images is None else read.test_images[:, None]
        return Source(
            *(name, read.classes, read.white, read.sizes),
            *(read.images[:, None], read.labels, test, read.test_labels),
        )
    if name not in DATASETS:
        raise ArgumentValueError(f"dataset must be one of {', '.join(DATASETS)}, got {name!r}")
    if directory is None:
        raise ArgumentValueError(f"data must be the directory of the files of {name}, got none")
    read_files = cifar.read if name == "cifar-100" else imagenet.read
    images, labels, test_images, test_labels, classes = read_files(directory)
    held_out = len(labels) // 10
    sizes = (len(labels) - held_out, held_out)
    return Source(name, classes, 255, sizes, images, labels, test_images, test_labels)


@lru_cache(maxsize=1)
def _split(name: str, directory: Path | None, seed: int, flip: float) -> Data:
    return source(name, directory).split(seed, flip=flip)
