"""Reader of CIFAR-100 as published for Python: the pickles ``train``, ``test`` and ``meta``."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltc.demo.errors import DatasetFormatError, DatasetNotFoundError

Files = tuple[
    NDArray[np.uint8],
    NDArray[np.int64],
    NDArray[np.uint8],
    NDArray[np.int64],
    tuple[str, ...],
]
# All that these files are made of. A pickle can name any other function, and it would be called.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


def read(directory: Path) -> Files:
    """Return training images and labels, test images and labels, and the names of the classes.

    Images are uint8 [n, 3, 32, 32]; labels are the fine ones, int64 [n].

    Raises
    ------
    DatasetNotFoundError
        A file is not there.
    DatasetFormatError
        A file is not what its name says.
    """
    names = _contents(directory / "meta").get(b"fine_label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise DatasetFormatError(f"{directory / 'meta'} must name the fine labels")
    train, test = (_batch(directory / name, len(names)) for name in ("train", "test"))
    return *train, *test, tuple(name.decode("utf-8", "replace") for name in names)


def _batch(path: Path, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _contents(path)
    pixels, labels = content.get(b"data"), np.asarray(content.get(b"fine_labels", ()))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise DatasetFormatError(f"{path} must hold uint8 pixels under 'data'")
    if pixels.shape != (len(labels), 3 * 32 * 32) or not len(labels):
        raise DatasetFormatError(
            f"{path} must hold 3072 pixels for each of its {len(labels)} labels, "
            f"got shape {pixels.shape}"
        )
    if labels.dtype.kind != "i" or labels.min() < 0 or labels.max() >= classes:
        raise DatasetFormatError(f"{path} must hold labels in 0..{classes - 1}")
    return pixels.reshape(-1, 3, 32, 32), labels.astype(np.int64)


def _contents(path: Path) -> dict[Any, Any]:
    if not path.is_file():
        raise DatasetNotFoundError(
            f"cifar-100: {path} does not exist; --data takes the folder 'cifar-100-python' that "
            "the archive of the Python version holds"
        )
    with path.open("rb") as file:
        try:
            content = _Unpickler(file, encoding="bytes").load()
        # A damaged pickle can raise anything.
        except Exception as error:
            raise DatasetFormatError(f"{path} must be a pickle of arrays, got: {error}") from error
    if not isinstance(content, dict):
        raise DatasetFormatError(f"{path} must hold a dict, got {type(content).__name__}")
    return content


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Let nothing be called that is not needed."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
