"""Losses of one split that come in any order, sorted by checkpoint on the disk."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentValueError, SourceFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.importers.spool import Segment, Spool

__all__ = ["SPARSEST", "SplitBuckets"]

SPARSEST: Final = 100  # samples per loss that is there; beyond it an index is no position


class Bucket:
    """The losses of one split at one checkpoint, before they are put away."""

    __slots__ = ("labels", "lines", "losses", "samples", "segments")

    def __init__(self) -> None:
        self.segments: list[tuple[Segment, ...]] = []
        self.clear()

    def clear(self) -> None:
        self.samples, self.lines, self.labels = array("q"), array("q"), array("q")
        self.losses = array("d")


class SplitBuckets:
    """The samples and the buckets of one split.

    A sample has a number of its own until all are known: its index, or that of its id among the
    ids in the order in which they came.
    """

    def __init__(self, name: str, split: str, ids: Any) -> None:
        self._place = name
        self._split = split
        self._known_ids = ids is not None
        names = [] if ids is None else np.asarray(ids).tolist()
        self._numbers: dict[int | str, int] = {name: k for k, name in enumerate(names)}
        if len(self._numbers) != len(names):
            raise ArgumentValueError(
                f"{split}_ids must each be one sample's, got {len(names) - len(self._numbers):,} "
                "that are another's, too"
            )
        self._key = "id" if self._known_ids else None
        self._order: NDArray[np.int64] | None = None
        self.buckets: dict[float, Bucket] = {}
        self.size = 0
        self.labels: NDArray[np.int64] | None = None
        self.found_ids: NDArray[Any] | None = None

    def add(
        self,
        checkpoint: float,
        sample: tuple[str, int | str],
        loss: float,
        label: int | None,
        line: int,
    ) -> None:
        """Take what a line tells."""
        bucket = self.buckets.get(checkpoint)
        if bucket is None:
            bucket = self.buckets[checkpoint] = Bucket()
        bucket.samples.append(self._number(*sample))
        bucket.losses.append(loss)
        bucket.labels.append(-1 if label is None else label)
        bucket.lines.append(line)

    def put_away(self, spool: Spool) -> None:
        """Free the memory that the losses take."""
        for bucket in self.buckets.values():
            if bucket.samples:
                parts = (bucket.samples, bucket.losses, bucket.labels, bucket.lines)
                bucket.segments.append(tuple(spool.append(np.asarray(part)) for part in parts))
                bucket.clear()

    def finish(self, known_size: int | None) -> None:
        """Work out how many samples there are, their ids and their labels."""
        if not self.buckets:
            raise self._error(f"there must be losses of {self._split}, got none")
        if self._key == "id":
            self._finish_ids()
        else:
            self._finish_indices(known_size)
        self._finish_labels()

    def losses(self, checkpoint: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the indices and the losses at a checkpoint."""
        samples, losses, _, _ = self._read(checkpoint)
        return samples, losses

    def _number(self, key: str, name: int | str) -> int:
        if self._key is None:
            self._key = key
        if key != self._key:
            raise ValueError(
                f"samples of {self._split} must all be told by their {self._key}, as those before "
                f"are, got {key}"
            )
        if key == "index":
            if isinstance(name, str) or name < 0:
                raise ValueError(f"index must be an integer from 0, got {name!r}")
            return name
        number = self._numbers.get(name)
        if number is None:
            if self._known_ids:
                raise ValueError(f"id must be one of the ids of {self._split}, got {name!r}")
            number = self._numbers[name] = len(self._numbers)
        return number

    def _finish_ids(self) -> None:
        self.size = len(self._numbers)
        if self._known_ids:
            return
        names = list(self._numbers)
        kinds = {type(name) for name in names}
        if len(kinds) > 1:
            raise self._error(f"the ids of {self._split} must all be integers or all be strings")
        ordered = sorted(range(self.size), key=names.__getitem__)
        self.found_ids = np.array([names[k] for k in ordered])
        self._order = np.empty(self.size, np.int64)
        self._order[ordered] = np.arange(self.size)

    def _finish_indices(self, known_size: int | None) -> None:
        number, largest, line = 0, -1, 0
        for checkpoint in self.buckets:
            samples, _, _, lines = self._read(checkpoint)
            number += samples.size
            if samples.max() > largest:
                largest, line = int(samples.max()), int(lines[samples.argmax()])
        if known_size is not None and largest >= known_size:
            raise self._error(
                f"line {line:,}: index must lie in 0..{known_size - 1}, as there are {known_size} "
                f"samples of {self._split}, got {largest}"
            )
        if known_size is None and largest >= SPARSEST * number:
            raise self._error(
                f"line {line:,}: index must be a position in {self._split}, of which there are "
                f"{number:,} losses, got {largest}; a name of a sample is its id"
            )
        self.size = largest + 1 if known_size is None else known_size

    def _finish_labels(self) -> None:
        labels = np.full(self.size, -1, np.int64)
        for checkpoint in self.buckets:
            samples, _, found, lines = self._read(checkpoint)
            told = found >= 0
            samples, found, lines = samples[told], found[told], lines[told]
            new = labels[samples] < 0
            labels[samples[new]] = found[new]
            differs = labels[samples] != found
            if differs.any():
                k = int(differs.argmax())
                raise self._error(
                    f"line {lines[k]:,}: label must be the same for a sample throughout, got "
                    f"{found[k]} after {labels[samples[k]]}"
                )
        if (labels < 0).all():
            return
        if (labels < 0).any():
            raise self._error(
                f"every sample of {self._split} must have a label if one has, got none for sample "
                f"{int((labels < 0).argmax())}"
            )
        self.labels = labels

    def _read(self, checkpoint: float) -> list[NDArray[Any]]:
        """Return samples, losses, labels and lines of a checkpoint."""
        bucket = self.buckets.get(checkpoint)
        if bucket is None:
            return [np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0)]
        parts = [
            np.concatenate([segment.read() for segment in segments])
            for segments in zip(*bucket.segments, strict=True)
        ]
        if self._order is not None:
            parts[0] = self._order[parts[0]]
        return parts

    def _error(self, message: str) -> SourceFormatError:
        return SourceFormatError(f"{self._place}: {message}")
