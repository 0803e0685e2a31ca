"""A directory of losses: one file per split and checkpoint.

    losses/
      train/epoch_0.npz  train/epoch_1.npz  ...
      val/epoch_0.npz    val/epoch_1.npz    ...

The last number in a file's name is the checkpoint. An ``.npz`` file has the arrays ``index``,
positions in the split in any order, and ``loss``; a sample that isn't among them is missing, one
that comes more than once has the mean of its losses. An ``.npy`` file has the losses of all
samples, in their order. ``labels.npy`` and ``ids.npy`` beside them are optional. Files whose name
begins with a dot are none of these.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tqdm.auto import tqdm

from ltc.errors import SourceFormatError
from ltc.importers.arrays import open_archive, read_array
from ltc.importers.buckets import SPARSEST
from ltc.importers.source import Indexed, mean_record
from ltc.store.format import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ltc.importers.source import Checkpoint
    from ltc.store.writer import SplitRecord

__all__ = ["read_folder"]

SUFFIXES: Final = (".npz", ".npy")
OTHERS: Final = ("labels.npy", "ids.npy")


def read_folder(path: Path, sizes: dict[str, int], *, progress: bool) -> Indexed:
    """Look through a directory of losses.

    Parameters
    ----------
    path : Path
        The directory.
    sizes : dict of str to int
        The number of samples of each split that it is known of.
    progress : bool
        Show a progress bar while the losses are read.

    Raises
    ------
    SourceFormatError
        It is not as described, or a file in it isn't.
    """
    splits = {split: _Split.find(path / split) for split in SPLITS}
    found = {split: each.size(sizes.get(split)) for split, each in splits.items()}
    numbers = sorted(splits["train"].files.keys() | splits["val"].files.keys())
    for split, each in splits.items():
        if lacking := len(numbers) - len(each.files):
            warnings.warn(
                f"{path / split}: there is no file for {lacking} of {len(numbers)} checkpoints; "
                "scores leave these out",
                stacklevel=2,
            )

    def rows() -> Iterator[Checkpoint]:
        for number in tqdm(numbers, desc="import", unit=" checkpoint", disable=not progress):
            train, val = (splits[split].record(number, found[split]) for split in SPLITS)
            yield number, train, val

    others = {
        f"{split}_{name}": values
        for split, each in splits.items()
        for name, values in (("labels", each.labels), ("ids", each.ids))
        if values is not None
    }
    return Indexed(found["train"], found["val"], rows, others)


@dataclass(frozen=True)
class _Split:
    """The files of one split."""

    path: Path
    files: dict[float, Path]
    labels: NDArray[Any] | None
    ids: NDArray[Any] | None

    @classmethod
    def find(cls, path: Path) -> _Split:
        if not path.is_dir():
            raise SourceFormatError(f"{path.parent}: must have the directories train and val")
        files: dict[float, Path] = {}
        others: dict[str, NDArray[Any]] = {}
        for each in sorted(path.iterdir()):
            if each.name in OTHERS:
                with each.open("rb") as file:
                    others[each.stem] = read_array(str(each), file)
            elif not each.name.startswith("."):
                number = _number(each)
                if number in files:
                    raise SourceFormatError(
                        f"{each}: no two files may have the same number, {number:g}; "
                        f"{files[number].name} has it, too"
                    )
                files[number] = each
        if not files:
            raise SourceFormatError(f"{path}: must have at least one file of losses, got none")
        return cls(path, files, others.get("labels"), others.get("ids"))

    def size(self, known: int | None) -> int:
        """Return the number of samples: what is known, or what the files tell."""
        for values in (self.labels, self.ids):
            known = len(values) if known is None and values is not None else known
        if known is not None:
            return known
        size = number = 0
        for file in self.files.values():
            index, losses = _losses(file)
            if not losses.size:
                continue
            size = max(size, losses.size if index is None else int(index.max()) + 1)
            number += losses.size
            if size > SPARSEST * number:
                raise SourceFormatError(
                    f"{file}: index must be a position in {self.path.name}, of which there are "
                    f"{number:,} losses up to this file, got {size - 1}"
                )
        if size < 1:
            raise SourceFormatError(f"{self.path}: must have at least one loss, got none")
        return size

    def record(self, number: float, size: int) -> SplitRecord:
        """Read one file, if there is one for this checkpoint."""
        file = self.files.get(number)
        if file is None:
            return mean_record(np.empty(0, np.int64), np.empty(0), size)
        index, losses = _losses(file)
        if index is None:
            if losses.size != size:
                raise SourceFormatError(
                    f"{file}: must have {size:,} losses, one per sample, got {losses.size:,}"
                )
            index = np.arange(size)
        outside = (index < 0) | (index >= size)
        if outside.any():
            position = int(outside.argmax())
            raise SourceFormatError(
                f"{file}: index must lie in 0..{size - 1}, got {index[position]} at position "
                f"{position}"
            )
        return mean_record(index.astype(np.int64), losses, size)


def _number(file: Path) -> float:
    numbers = re.findall(r"\d+(?:\.\d+)?", file.stem)
    if file.suffix.lower() not in SUFFIXES or not numbers:
        raise SourceFormatError(
            f"{file}: a file must be {' or '.join(OTHERS)}, or end in .npz or .npy and have the "
            "number of its checkpoint in its name"
        )
    return float(numbers[-1])


def _losses(file: Path) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """Return index and losses of one checkpoint; no index where it has all samples in order."""
    if file.suffix.lower() == ".npy":
        with file.open("rb") as opened:
            index, losses = None, read_array(str(file), opened)
    else:
        index, losses = _indexed_losses(file)
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise SourceFormatError(
                f"{file}: index must hold integers [sample], got shape {index.shape} of "
                f"{index.dtype}"
            )
        if index.shape != losses.shape:
            raise SourceFormatError(
                f"{file}: loss must have one entry per index, shape {index.shape}, got "
                f"{losses.shape}"
            )
    if losses.ndim != 1 or losses.dtype.kind != "f":
        raise SourceFormatError(
            f"{file}: losses must be floating-point numbers [sample], got shape {losses.shape} of "
            f"{losses.dtype}"
        )
    return index, losses


def _indexed_losses(file: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    arrays = {}
    with open_archive(file) as archive:
        if sorted(archive.namelist()) != ["index.npy", "loss.npy"]:
            names = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
            raise SourceFormatError(f"{file}: must have the arrays index and loss, got {names}")
        for name in archive.namelist():
            with archive.open(name) as member:
                arrays[name] = read_array(f"{file}: {name}", member)
    return arrays["index.npy"], arrays["loss.npy"]
