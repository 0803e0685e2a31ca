"""The data sets of the demonstration, and how they are split and given wrong labels.

The three splits are disjoint. Coresets are chosen from `train` by the losses of `train` and `val`;
`test` is looked at once, by a model that has finished training.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ltc.demo.errors import DatasetNotFoundError
from ltc.demo.idx import read_idx
from ltc.errors import ArgumentValueError

__all__ = ["DATASETS", "Data", "Source", "Split", "flip_labels", "load"]

DATASETS = ("digits", "fashion-mnist")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_FASHION_CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


@dataclass(frozen=True)
class Split:
    """Some samples of a data set.

    Attributes
    ----------
    images : float32 array [n, 1, height, width]
        Brightness, 0..1.
    labels : int64 array [n]
        The classes that a model is trained or tested with; some may have been flipped.
    ids : int64 array [n]
        The position of each sample in its source.
    flipped : bool array [n]
        Which labels were flipped.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    flipped: NDArray[np.bool_]


@dataclass(frozen=True)
class Data:
    """A data set, split for one seed."""

    train: Split
    val: Split
    test: Split


@dataclass(frozen=True)
class Source:
    """A data set as it was published.

    Attributes
    ----------
    name : str
        One of `DATASETS`.
    classes : tuple of str
        A name for each class.
    sizes : tuple of int
        Samples in ``train`` and ``val``, drawn from `images`.
    images, labels : uint8 array [n, height, width], int64 array [n]
        What is split.
    white : int
        The value in `images` that means full brightness.
    test_images, test_labels : the same, or None
        A test split that the publisher has set aside. None: the samples that `sizes` leaves over.
    """

    name: str
    classes: tuple[str, ...]
    sizes: tuple[int, int]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    white: int
    test_images: NDArray[np.uint8] | None = None
    test_labels: NDArray[np.int64] | None = None

    def split(self, seed: int, *, flip: float = 0.0) -> Data:
        """Split at random from `seed`, and flip a share of the labels of ``train`` and ``val``.

        The labels of ``test`` stay as they are.
        """
        rng = np.random.default_rng([seed, 0])
        order = rng.permutation(len(self.labels))
        ends = np.cumsum(self.sizes)
        train, val, rest = (self._take(part) for part in np.split(order, ends))
        test = rest
        if self.test_images is not None and self.test_labels is not None:
            ids = np.arange(len(self.test_labels))
            test = _split(self.test_images, self.test_labels, ids, self.white)
        rng = np.random.default_rng([seed, 1])
        count = len(self.classes)
        return Data(_flip(train, flip, count, rng), _flip(val, flip, count, rng), test)

    def _take(self, ids: NDArray[np.int64]) -> Split:
        return _split(self.images[ids], self.labels[ids], ids, self.white)


def load(dataset: str, directory: Path | None = None) -> Source:
    """Load one of `DATASETS`.

    Parameters
    ----------
    dataset : str
        ``"digits"``: 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships.
        ``"fashion-mnist"``: 70,000 pictures of clothes of 28 x 28 pixels.
    directory : Path, optional
        Where the four IDX files of ``"fashion-mnist"`` lie; by default where Debian's package
        ``dataset-fashion-mnist`` puts them.

    Raises
    ------
    ArgumentValueError
        `dataset` is none of them, or `directory` is given for ``"digits"``.
    DatasetNotFoundError
        The files are not there; the message says how to get them.
    DatasetFormatError
        A file is not IDX, or is cut off.

    Examples
    --------
    >>> data = load("digits").split(seed=0)
    >>> [len(split.labels) for split in (data.train, data.val, data.test)]
    [1000, 300, 497]
    """
    if dataset == "digits":
        if directory is not None:
            raise ArgumentValueError(
                f"data must not be given for 'digits', which scikit-learn ships, got {directory}"
            )
        return _digits()
    if dataset == "fashion-mnist":
        return _fashion_mnist(directory or FASHION_MNIST)
    raise ArgumentValueError(f"dataset must be one of {', '.join(DATASETS)}, got {dataset!r}")


def flip_labels(
    labels: NDArray[np.int64], share: float, classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give a share of the labels, rounded to whole samples, another class at random.

    Returns
    -------
    labels : int64 array [n]
        A copy, with the changes.
    flipped : bool array [n]
        Where they are.

    Examples
    --------
    >>> import numpy as np
    >>> labels, flipped = flip_labels(np.zeros(20, np.int64), 0.1, 10, np.random.default_rng(0))
    >>> int(flipped.sum()), bool((labels[flipped] != 0).all())
    (2, True)
    """
    flipped = np.zeros(len(labels), bool)
    chosen = rng.choice(len(labels), round(share * len(labels)), replace=False)
    flipped[chosen] = True
    changed = labels.copy()
    # A step of 1..classes-1 round the circle of classes never ends where it began.
    changed[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return changed, flipped


def _flip(split: Split, share: float, classes: int, rng: np.random.Generator) -> Split:
    labels, flipped = flip_labels(split.labels, share, classes, rng)
    return replace(split, labels=labels, flipped=flipped)


def _split(
    images: NDArray[np.uint8], labels: NDArray[np.int64], ids: NDArray[np.int64], white: int
) -> Split:
    bright = np.divide(images[:, None], white, dtype=np.float32)
    return Split(bright, labels, ids, np.zeros(len(labels), bool))


def _digits() -> Source:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Source(
        name="digits",
        classes=tuple(str(name) for name in digits.target_names),
        sizes=(1000, 300),
        images=digits.images.astype(np.uint8),
        labels=digits.target.astype(np.int64),
        white=16,
    )


def _fashion_mnist(directory: Path) -> Source:
    try:
        images, labels = _idx_pair(directory, "train")
        test_images, test_labels = _idx_pair(directory, "t10k")
    except DatasetNotFoundError as error:
        raise DatasetNotFoundError(
            f"fashion-mnist: {error}; on Debian or Ubuntu: apt-get install dataset-fashion-mnist; "
            "elsewhere: --data DIR with its four IDX files"
        ) from error
    held_out = len(labels) // 6
    return Source(
        name="fashion-mnist",
        classes=_FASHION_CLASSES,
        sizes=(len(labels) - held_out, held_out),
        images=images,
        labels=labels,
        white=255,
        test_images=test_images,
        test_labels=test_labels,
    )


def _idx_pair(directory: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = read_idx(directory, f"{part}-images-idx3-ubyte", ndim=3)
    labels = read_idx(directory, f"{part}-labels-idx1-ubyte", ndim=1)
    return images, labels.astype(np.int64)
