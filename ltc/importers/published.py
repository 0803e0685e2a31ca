"""The files of the script that was published with the papers.

It pickles a dict: ``tr_loss`` and ``val_loss`` are lists of one list per epoch, with the loss of
every sample in the order of an evaluation that doesn't shuffle; ``tr_lbl`` and ``val_lbl`` are the
labels in the same order, again for every epoch; ``epoch`` numbers the epochs. A second pickle, of
the split, tells for each position in these lists which sample of the data set it is:
``train_indices`` and ``val_indices``.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ltc.errors import SourceFormatError
from ltc.importers.pickles import Array, Listed, read_pickle
from ltc.importers.source import Arrays
from ltc.importers.spool import Rows, Segment, split_rows
from ltc.tables import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ltc.importers.spool import Spool

__all__ = ["read_losses", "read_split_file"]


def read_losses(file: IO[bytes], spool: Spool, *, progress: bool) -> Arrays:
    """Read the pickle of losses.

    Parameters
    ----------
    file : binary file
        Stays open for as long as the losses are read.
    spool : Spool
        Takes the numbers of lists.
    progress : bool
        Show a progress bar.

    Raises
    ------
    SourceFormatError
        It is none, or its lists don't fit together.
    """
    found = _Dict(file, spool, progress=progress)
    train, val = found.matrix("tr_loss"), found.matrix("val_loss")
    if len(train) != len(val):
        raise found.error(
            f"val_loss must have as many epochs as tr_loss, {len(train)}, got {len(val)}"
        )
    others = {}
    if "tr_lbl" in found.value or "val_lbl" in found.value:
        others["train_labels"] = found.labels("tr_lbl", train)
        others["val_labels"] = found.labels("val_lbl", val)
    if "epoch" in found.value:
        others["checkpoints"] = found.epochs(len(train))
    return Arrays(Rows(train), Rows(val), others)


def read_split_file(file: IO[bytes], spool: Spool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the indices in the data set of the training and the validation samples.

    Raises
    ------
    SourceFormatError
        It is no pickle of a split.
    """
    found = _Dict(file, spool, progress=False)
    return found.integers("train_indices"), found.integers("val_indices")


class _Dict:
    """The dict in a pickle, and what it must have under its keys."""

    def __init__(self, file: IO[bytes], spool: Spool, *, progress: bool) -> None:
        self._file = file
        self._spool = spool
        self.value = read_pickle(file, spool, progress=progress)
        if not isinstance(self.value, dict):
            raise self.error(f"the pickle must hold a dict, got {_kind(self.value)}")

    def matrix(self, key: str) -> list[list[Segment]]:
        """Return the pieces of each epoch's numbers, of which all epochs have as many."""
        rows = self._rows(key)
        sizes = [sum(piece.count for piece in row) for row in rows]
        if not rows or not sizes[0]:
            raise self.error(f"{key} must have at least one epoch and one sample")
        for epoch, size in enumerate(sizes):
            if size != sizes[0]:
                raise self.error(
                    f"{key}[{epoch}] must have as many samples as {key}[0], {sizes[0]:,}, got "
                    f"{size:,}"
                )
        return rows

    def labels(self, key: str, losses: list[list[Segment]]) -> NDArray[Any]:
        """Return the labels, which must be the same in all epochs: then the order is, too."""
        rows = self.matrix(key)
        size = sum(piece.count for piece in losses[0])
        first = _whole(rows[0])
        if first.dtype.kind not in "iu" or first.size != size:
            raise self.error(
                f"{key}[0] must have an integer for each of {size:,} samples, got {first.size:,} "
                f"of {first.dtype}"
            )
        for epoch, row in enumerate(rows):
            differs = first != _whole(row)
            if differs.any():
                sample = int(differs.argmax())
                raise self.error(
                    f"{key}[{epoch}] must be {key}[0], which tells that the order of the samples "
                    f"is the same in every epoch, got {_whole(row)[sample]} in place of "
                    f"{first[sample]} at position {sample}"
                )
        return first

    def epochs(self, number: int) -> NDArray[Any]:
        """Return what the epochs are called."""
        values = _whole(self._pieces("epoch", self._of("epoch")))
        if values.size != number or (np.diff(values) <= 0).any():
            raise self.error(
                f"epoch must have {number} ascending numbers, one per epoch of tr_loss, got "
                f"{values.size}: {shortened(values.tolist())}"
            )
        return values

    def integers(self, key: str) -> NDArray[Any]:
        """Return a list of integers."""
        values = _whole(self._pieces(key, self._of(key)))
        if values.dtype.kind not in "iu":
            raise self.error(f"{key} must hold integers, got {values.dtype}")
        return values

    def error(self, message: str) -> SourceFormatError:
        return SourceFormatError(f"{self._file.name}: {message}")

    def _of(self, key: str) -> Any:
        if key not in self.value:
            keys = ", ".join(map(repr, self.value)) or "none"
            raise self.error(f"the dict must have the key {key!r}, got {keys}")
        return self.value[key]

    def _rows(self, key: str) -> list[list[Segment]]:
        value = self._of(key)
        if isinstance(value, Array) and len(value.shape) == 2 and value.elements is not None:
            return split_rows(value.elements, value.shape, value.order, self._spool)
        if isinstance(value, Listed | tuple):
            items = value.parts if isinstance(value, Listed) else value
            return [self._pieces(f"{key}[{epoch}]", item) for epoch, item in enumerate(items)]
        raise self.error(
            f"{key} must be a list of one list per epoch, or an array of shape [epoch, sample], "
            f"got {_kind(value)}"
        )

    def _pieces(self, what: str, value: Any) -> list[Segment]:
        """Return where the numbers of a list, a tuple or an array [sample] are."""
        if isinstance(value, Array) and len(value.shape) == 1 and value.elements is not None:
            return [value.elements]
        if isinstance(value, tuple):
            value = Listed(self._spool, value)
        if not isinstance(value, Listed):
            raise self.error(f"{what} must be a list or an array of numbers, got {_kind(value)}")
        for number, piece in enumerate(value.parts):
            if not isinstance(piece, Segment):
                position = sum(part.count for part in value.parts[:number])
                raise self.error(f"{what}[{position}] must be a number, got {_kind(piece)}")
        return value.parts


def _whole(pieces: Sequence[Segment]) -> NDArray[Any]:
    return np.concatenate([piece.read() for piece in pieces]) if pieces else np.empty(0)


def _kind(value: object) -> str:
    """Say what a value is, in the words of whoever pickled it."""
    if isinstance(value, Listed):
        return "a list"
    if isinstance(value, Segment):
        return "numbers"
    if isinstance(value, Array):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"
