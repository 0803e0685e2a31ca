"""Numbers on disk while a source is being read, so that it never has to fit into memory."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["Rows", "Segment", "Spool", "split_rows"]

COPIED: Final = 1 << 20  # bytes of a stream at a time
TURNED: Final = 1 << 24  # bytes of a matrix whose columns are turned into rows together


@dataclass(frozen=True, slots=True)
class Segment:
    """Numbers that lie behind each other in a file.

    Attributes
    ----------
    file : file object
        Open for reading, with a descriptor.
    offset : int
        Where the first one begins, in bytes.
    count : int
        How many there are.
    dtype : np.dtype
        What they are.
    """

    file: IO[bytes]
    offset: int
    count: int
    dtype: np.dtype[Any]

    @property
    def end(self) -> int:
        """Where the last one ends, in bytes."""
        return self.offset + self.count * self.dtype.itemsize

    def part(self, start: int, count: int) -> Segment:
        """Return `count` of the numbers, from the one at `start` on."""
        return Segment(self.file, self.offset + start * self.dtype.itemsize, count, self.dtype)

    def read(self) -> NDArray[Any]:
        """Return the numbers.

        Raises
        ------
        OSError
            The file can't be read, or has become shorter.
        """
        values = np.empty(self.count, self.dtype)
        bytes_left, offset = values.view(np.uint8).data, self.offset
        while bytes_left:
            data = os.pread(self.file.fileno(), min(len(bytes_left), 1 << 24), offset)
            if not data:
                raise OSError(f"{self.file.name}: the file became shorter while it was read")
            bytes_left[: len(data)] = data
            bytes_left, offset = bytes_left[len(data) :], offset + len(data)
        return values


class Spool:
    """A file without a name, that numbers are put away in; gone when it is closed or dies with us.

    Parameters
    ----------
    folder : Path
        A directory on the disk that is to hold it.

    Attributes
    ----------
    file : file object
        The file.
    end : int
        Where the next numbers go, in bytes.

    Examples
    --------
    >>> with Spool(directory) as spool:
    ...     first = spool.append(np.array([1.5, 2.5]))
    ...     second = spool.append(np.array([7]))
    ...     first.read(), second.read()
    (array([1.5, 2.5]), array([7]))
    """

    def __init__(self, folder: Path) -> None:
        # A raw file: numbers come in large pieces, and are read back through the descriptor.
        self.file: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self.end = 0

    def __enter__(self) -> Spool:
        """Return the spool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the file."""
        self.file.close()

    def append(self, values: NDArray[Any]) -> Segment:
        """Put numbers away, one-dimensional ones; return where they are."""
        segment = Segment(self.file, self.end, values.size, values.dtype)
        left = np.ascontiguousarray(values).view(np.uint8).data
        while left:
            left = left[self.file.write(left) :]
        self.end = segment.end
        return segment

    def copy(self, stream: IO[bytes], most: int) -> int:
        """Put the bytes of a stream away, at most so many; return where they begin."""
        begin = self.end
        while data := stream.read(min(COPIED, begin + most - self.end)):
            self.append(np.frombuffer(data, np.uint8))
        return begin


class Rows:
    """Losses on disk, of which one checkpoint at a time is read: what `write_store` takes.

    Parameters
    ----------
    rows : sequence of sequences of Segment
        For each checkpoint, the pieces of its losses; all checkpoints have the same number of them.

    Attributes
    ----------
    shape : tuple of int
        Checkpoints and samples.
    dtype : np.dtype
        Of what is read: a float's that holds every value.
    """

    def __init__(self, rows: Sequence[Sequence[Segment]]) -> None:
        self._rows = rows
        self.shape = (len(rows), sum(segment.count for segment in rows[0]))
        common = np.result_type(*{segment.dtype for row in rows for segment in row})
        self.dtype = common if common.kind == "f" else np.dtype(np.float64)

    def __getitem__(self, t: int) -> NDArray[Any]:
        """Return the losses of a checkpoint."""
        row = np.empty(self.shape[1], self.dtype)
        begin = 0
        for segment in self._rows[t]:
            row[begin : begin + segment.count] = segment.read()
            begin += segment.count
        return row


def split_rows(
    elements: Segment, shape: tuple[int, int], order: str, spool: Spool
) -> list[list[Segment]]:
    """Return the pieces of each row of a matrix.

    Parameters
    ----------
    elements : Segment
        All of them.
    shape : tuple of int
        Rows and columns.
    order : {"C", "F"}
        Whether rows or columns lie together; columns are turned into rows block by block.
    spool : Spool
        Takes the turned ones.

    Examples
    --------
    >>> with Spool(directory) as spool:
    ...     elements = spool.append(np.arange(6))
    ...     rows = split_rows(elements, (2, 3), "F", spool)
    ...     [[piece.read() for piece in row] for row in rows]
    [[array([0, 2, 4])], [array([1, 3, 5])]]
    """
    rows, columns = shape
    if order == "C":
        return [[elements.part(t * columns, columns)] for t in range(rows)]
    pieces: list[list[Segment]] = [[] for _ in range(rows)]
    step = max(TURNED // max(rows * elements.dtype.itemsize, 1), 1)
    for begin in range(0, columns, step):
        width = min(step, columns - begin)
        block = elements.part(begin * rows, width * rows).read().reshape(width, rows)
        for row, values in zip(pieces, block.T, strict=True):
            row.append(spool.append(values))
    return pieces
