"""Uncompressed chunks of a local store, read into place.

The bytes of such a chunk are its values and their checksum, so a row of a tile can be the target of
the read itself, and a small array takes a read and no change of threads. That needs no import that
takes as long as scoring, and lets the rows of a tile lie apart.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import google_crc32c
import numpy as np
from zarr.storage import LocalStore

from ltc.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from zarr.abc.store import Store as ZarrStore

    from ltc.store.format import Document

__all__ = ["CHECKSUM_BYTES", "DirectReader", "aligned_rows", "changed"]

READERS = 2  # at a time: a disk wants more than one request, a file cache is content with one
CHECKSUM_BYTES = 4
_CODECS = ["bytes", "crc32c"]
_LINE = 64  # bytes of a cache line

Piece: TypeAlias = "tuple[str, int, NDArray[Any]]"
"""Of the chunk with this key, the values from a position on, and where they go; contiguous."""


class DirectReader:
    """Reads chunks that are stored as little-endian values and a CRC-32C.

    Attributes
    ----------
    root : str
        The store's directory.
    dtype : numpy.dtype
        Of the values.
    chunk_values : int
        Number of values in a chunk.
    """

    def __init__(self, root: str, dtype: np.dtype[Any], chunk_values: int) -> None:
        self.root = root
        self.dtype = dtype
        self.chunk_values = chunk_values
        self._scratch = threading.local()

    @classmethod
    def of(cls, document: Document, store: ZarrStore) -> DirectReader | None:
        """Return a reader for an array with these metadata, None if its chunks are otherwise."""
        stored_so = [codec["name"] for codec in document["codecs"]] == _CODECS
        # A checksum in Python would be slower than zarrs; preadv isn't everywhere.
        can_read = google_crc32c.implementation == "c" and hasattr(os, "preadv")
        if not (stored_so and can_read and sys.byteorder == "little"):
            return None
        if type(store) is not LocalStore:  # another kind of it may do more than read files
            return None
        chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
        return cls(str(store.root), np.dtype(document["data_type"]), int(np.prod(chunk)))

    def read(self, pieces: Sequence[Piece]) -> list[str]:
        """Read ranges of chunks, several at a time.

        Returns
        -------
        list of str
            The keys of chunks that aren't there; what was to hold them is as it was.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        """
        if len(pieces) <= READERS:
            return self._read_all(pieces)
        # Threads of their own for each call: a pool that is kept would not survive a fork.
        with ThreadPoolExecutor(READERS, thread_name_prefix="ltc-chunk") as pool:
            shares = [pool.submit(self._read_all, pieces[k::READERS]) for k in range(READERS)]
            return [key for share in shares for key in share.result()]

    def _read_all(self, pieces: Sequence[Piece]) -> list[str]:
        return [key for key, start, out in pieces if not self._read(key, start, out)]

    def _read(self, key: str, start: int, out: NDArray[Any]) -> bool:
        try:
            file = os.open(f"{self.root}/{key}", os.O_RDONLY)
        except FileNotFoundError:
            return False
        whole = len(out) == self.chunk_values
        values = out if whole else self._buffer()
        checksum = bytearray(CHECKSUM_BYTES)
        try:
            complete = _fill(file, values.view(np.uint8), checksum)
        finally:
            os.close(file)
        found = google_crc32c.value(values.view(np.uint8))
        if not complete or found != int.from_bytes(checksum, "little"):
            raise changed(key)
        if not whole:
            out[:] = values[start : start + len(out)]
        return True

    def _buffer(self) -> NDArray[Any]:
        """Room for one chunk, of each thread its own."""
        if not hasattr(self._scratch, "values"):
            self._scratch.values = aligned_rows(1, self.chunk_values, self.dtype)[0]
        values: NDArray[Any] = self._scratch.values
        return values


def changed(key: str) -> StoreCorruptError:
    """Return the error for a chunk that is not as it was written."""
    return StoreCorruptError(
        f"{key}: the chunk was changed after it was written (its checksum differs)"
    )


def aligned_rows(rows: int, columns: int, dtype: Any) -> NDArray[Any]:
    """Return an empty array whose rows begin on cache lines.

    The system copies from its file cache to there at 10 GB/s, and at 6 to where NumPy's own arrays
    begin, 16 bytes into a line. Rows lie an odd number of lines apart: a power of two would let
    them share few sets of the caches.

    Examples
    --------
    >>> tile = aligned_rows(2, 100, np.float16)
    >>> tile.shape, [row.ctypes.data % 64 for row in tile]
    ((2, 100), [0, 0])
    """
    kind = np.dtype(dtype)
    lines = -(-columns * kind.itemsize // _LINE) | 1
    memory = np.empty(rows * lines * _LINE + _LINE, np.uint8)
    begin = -memory.ctypes.data % _LINE
    whole = memory[begin : begin + rows * lines * _LINE].view(kind)
    array: NDArray[Any] = whole.reshape(rows, -1)[:, :columns]
    return array


def _fill(file: int, values: NDArray[np.uint8], checksum: bytearray) -> bool:
    """Read the whole file into both; False if it isn't exactly as long as they are."""
    length = len(values) + len(checksum)
    if os.fstat(file).st_size != length:
        return False
    done = 0
    while done < len(values):  # a read may stop short
        more = os.preadv(file, [values[done:].data, checksum], done)
        if more == 0:
            return False
        done += more
    if done < length:
        checksum[:] = os.pread(file, len(checksum), len(values))
    return len(checksum) == CHECKSUM_BYTES
