"""One pass over all samples of some checkpoints, in tiles that several threads read in any order.

A tile of a local, uncompressed store may be as narrow as its reader likes: each byte is read once,
into place, and the checksum of a chunk is put together from those of its pieces when the last of
them has been read. Until then nobody knows that what was read is right: results that were made of
it count only when the sweep has ended without an error.
"""

from __future__ import annotations

import resource
import threading
from typing import TYPE_CHECKING, Final, Protocol

from ltc.store.column import Column, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ltc.store.pipeline import ArrayReader

__all__ = ["DecodingSweep", "DirectSweep", "Sweep", "can_sweep_directly"]

MOST_FILES: Final = 1024


class Sweep(Protocol):
    """Every sample of some rows of losses, once."""

    tiles: Sequence[slice]
    """Ranges of samples, ascending, none of which crosses the border of a chunk."""

    def read(self, number: int, out: NDArray[np.float16]) -> int:
        """Read one of the tiles, each of which is to be read once.

        Parameters
        ----------
        number : int
            Position in `tiles`.
        out : float16 array [row, sample]
            Written to; its rows are contiguous. NaN where a chunk is lost.

        Returns
        -------
        int
            How many losses are missing, those of lost chunks included.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        """


class DecodingSweep:
    """A sweep through whatever decodes the array's chunks; see :class:`Sweep`."""

    def __init__(
        self, reader: ArrayReader, rows: Sequence[int], width: int, samples: slice
    ) -> None:
        self._reader = reader
        self._rows = rows
        self.tiles: Sequence[slice] = _tiles(reader, samples, width)

    def read(self, number: int, out: NDArray[np.float16]) -> int:
        """See :meth:`Sweep.read`."""
        from ltc_kernels import count_missing

        self._reader.read_rows(self._rows, self.tiles[number], out)
        return count_missing(out)


def can_sweep_directly() -> bool:
    """Whether this processor reads pieces of chunks with compiled code."""
    try:
        import ltc.store.checked_rows  # noqa: F401
    except ImportError:
        return False
    return True


def most_files() -> int:
    """How many files may be kept open: half of what the system allows this process."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed // 2, MOST_FILES)


class DirectSweep:
    """A sweep that reads the bytes of chunks into place; see :class:`Sweep`.

    Parameters
    ----------
    root : str
        The store's directory.
    reader : ArrayReader
        Uncompressed losses there.
    rows : sequence of int
        Positions of the checkpoints.
    width : int
        Samples in a tile; the last of a chunk may have fewer.
    threads : int
        How many read at the same time.
    samples : slice
        Which samples, a range of whole chunks.
    """

    def __init__(
        self,
        root: str,
        reader: ArrayReader,
        rows: Sequence[int],
        width: int,
        threads: int,
        samples: slice,
    ) -> None:
        self.tiles: Sequence[slice] = _tiles(reader, samples, width)
        self._root = root
        self._reader = reader
        self._rows = rows
        self._width = width
        columns_at_once = 1 + -(-threads * width // reader.chunk_samples)
        # Beyond that, each file is opened for each of its pieces.
        self._keep_open = len(rows) * columns_at_once <= most_files()
        self._columns: dict[int, Column] = {}
        self._lock = threading.Lock()

    def read(self, number: int, out: NDArray[np.float16]) -> int:
        """See :meth:`Sweep.read`."""
        tile = self.tiles[number]
        place = tile.start // self._reader.chunk_samples
        with self._lock:
            column = self._columns.get(place) or self._begin(place)
        missing = column.read((tile.start - column.start) // self._width, out)
        with self._lock:
            column.left -= 1
            ended = column.left == 0
            if ended:
                del self._columns[place]
        if ended:
            column.close()
            column.check()
        return missing

    def close(self) -> None:
        """Close the files of chunks that were not read to their end."""
        while self._columns:
            self._columns.popitem()[1].close()

    def _begin(self, place: int) -> Column:
        """Open the chunks of all rows that hold the same samples."""
        chunk = self._reader.chunk_samples
        start = place * chunk
        samples = min(chunk, self._reader.num_samples - start)
        keys = [self._reader.key((row, place)) for row in self._rows]
        column = Column(
            self._root,
            keys,
            start=start,
            samples=samples,
            chunk_samples=chunk,
            width=self._width,
        )
        if self._keep_open:
            column.open()
        self._columns[place] = column
        return column


def _tiles(reader: ArrayReader, samples: slice, width: int) -> list[slice]:
    """Tiles of a range of whole chunks: those that the whole split has there."""
    begin, size = samples.start, samples.stop - samples.start
    tiles = cut(size, reader.chunk_samples, width)
    return [slice(begin + tile.start, begin + tile.stop) for tile in tiles]
