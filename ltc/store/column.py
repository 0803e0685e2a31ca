"""The chunks of several checkpoints that hold the same samples, read piece by piece."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.store.checksums import combine
from ltc.store.direct import CHECKSUM_BYTES, aligned_rows, changed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Column", "cut"]

_BATCH: Final = 32  # rows that are opened, or read for their checksums alone, at a time
_BYTES: Final = 2  # of a value
_UNKNOWN, _LOST = -2, -1  # in place of a checksum


class Column:
    """Reads the pieces of chunks in any order, from any thread, and compares their checksums.

    Parameters
    ----------
    root : str
        The store's directory.
    keys : sequence of str
        Of the chunks, one a row.
    start, samples : int
        The first sample, and how many there are.
    chunk_samples : int
        How many values a chunk has. Those beyond the samples are in its checksum too.
    width : int
        Samples in a piece but the last.

    Attributes
    ----------
    left : int
        Number of pieces that are not read yet; whoever reads counts it down.
    """

    def __init__(
        self,
        root: str,
        keys: Sequence[str],
        *,
        start: int,
        samples: int,
        chunk_samples: int,
        width: int,
    ) -> None:
        pieces = cut(samples, samples, width)
        beyond = cut(chunk_samples - samples, chunk_samples, width)
        self.start = start
        self.left = len(pieces)
        self._root = root
        self._keys = keys
        self._width = width
        self._end = _BYTES * chunk_samples
        self._last = len(pieces) - 1
        self._pieces = [*pieces, *(slice(samples + s.start, samples + s.stop) for s in beyond)]
        self._open: NDArray[np.int32] | None = None  # files that are kept open
        self._stored = np.full(len(keys), _UNKNOWN, np.int64)
        self._found = np.zeros((len(self._pieces), len(keys)), np.uint32)
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open all files, and keep them open until :meth:`close`."""
        self._open = self._opened(range(len(self._keys)))

    def close(self) -> None:
        """Close the files that are kept open."""
        if self._open is not None:
            _close(self._open)
            self._open = None

    def read(self, piece: int, out: NDArray[np.float16]) -> int:
        """Read one of the pieces, each of which is to be read once.

        Parameters
        ----------
        piece : int
            Which.
        out : float16 array [row, sample]
            Written to; NaN where a chunk is lost.

        Returns
        -------
        int
            How many values aren't finite.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        """
        rows = len(self._keys)
        missing = self._read(piece, out, rows if self._open is not None else _BATCH)
        if piece == self._last:
            for beyond in range(piece + 1, len(self._pieces)):
                self._read(beyond, None, _BATCH)
        return missing

    def check(self) -> None:
        """Compare the checksums, when all pieces have been read.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        """
        sizes = [_BYTES * (piece.stop - piece.start) for piece in self._pieces]
        wrong = (self._stored != combine(self._found, sizes)) & (self._stored != _LOST)
        if wrong.any():
            raise changed(self._keys[int(wrong.argmax())])

    def _read(self, piece: int, out: NDArray[np.float16] | None, batch: int) -> int:
        """Read a piece, so many rows at a time; without `out`, only its checksums are of use."""
        size = self._pieces[piece].stop - self._pieces[piece].start
        missing = 0
        for begin in range(0, len(self._keys), batch):
            rows = range(begin, min(begin + batch, len(self._keys)))
            values = (
                aligned_rows(len(rows), size, np.float16) if out is None else out[begin : rows.stop]
            )
            with self._files(rows) as files:
                missing += self._read_rows(piece, rows, files, values)
        return missing

    def _read_rows(
        self, piece: int, rows: range, files: NDArray[np.int32], values: NDArray[np.float16]
    ) -> int:
        from ltc.store.checked_rows import FAILED, read_rows

        position = _BYTES * self._pieces[piece].start
        found = self._found[piece, rows.start : rows.stop]
        while True:
            missing, row = read_rows(files, position, values.view(np.uint16), found)
            if missing != FAILED:
                return int(missing)
            # The system's own words for what is wrong, unless nothing is any more.
            _read_through(files[row], position, values[row].nbytes, self._keys[rows[row]])

    @contextlib.contextmanager
    def _files(self, rows: range) -> Iterator[NDArray[np.int32]]:
        if self._open is not None:
            yield self._open[rows.start : rows.stop]
            return
        files = self._opened(rows)
        try:
            yield files
        finally:
            _close(files)

    def _opened(self, rows: range) -> NDArray[np.int32]:
        """Open files and read the checksums they end with; ``LOST`` where there is none."""
        from ltc.store.checked_rows import LOST

        files = np.full(len(rows), LOST, np.int32)
        try:
            for position, row in enumerate(rows):
                stored = _LOST
                with contextlib.suppress(FileNotFoundError):
                    file = files[position] = os.open(f"{self._root}/{self._keys[row]}", os.O_RDONLY)
                    stored = _checksum(file, self._end, self._keys[row])
                with self._lock:
                    if self._stored[row] not in (_UNKNOWN, stored):
                        raise changed(self._keys[row])  # or has come, or gone, between two pieces
                    self._stored[row] = stored
        except BaseException:
            _close(files)
            raise
        return files


def cut(num_samples: int, chunk_samples: int, width: int) -> list[slice]:
    """Return ranges of at most `width` samples, none of which crosses the border of a chunk.

    Examples
    --------
    >>> cut(10, 6, 4)
    [slice(0, 4, None), slice(4, 6, None), slice(6, 10, None)]
    """
    return [
        slice(begin, min(begin + width, start + chunk_samples, num_samples))
        for start in range(0, num_samples, max(chunk_samples, 1))
        for begin in range(start, min(start + chunk_samples, num_samples), width)
    ]


def _checksum(file: int, end: int, key: str) -> int:
    """The checksum that a chunk ends with, exactly at its end."""
    data = os.pread(file, CHECKSUM_BYTES + 1, end)
    if len(data) != CHECKSUM_BYTES:
        raise changed(key)
    return int.from_bytes(data, "little")


def _read_through(file: int, position: int, size: int, key: str) -> None:
    """Read what couldn't be read, for the error that says why."""
    while size:
        data = os.pread(file, size, position)
        if not data:
            raise changed(key)
        size -= len(data)
        position += len(data)


def _close(files: NDArray[np.int32]) -> None:
    for file in files.tolist():
        if file >= 0:
            os.close(file)
