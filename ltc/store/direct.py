"""Uncompressed chunks of a local store, read into place.

The bytes of such a chunk are its values and their checksum, so a row of a tile can be the target of
the read itself. That is as fast as zarrs, needs no import that takes as long as scoring, and lets
the rows of a tile lie apart.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
from zarr.codecs import BytesCodec, Crc32cCodec
from zarr.storage import LocalStore

from ltc.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from zarr.abc.store import Store as ZarrStore
    from zarr.core.metadata import ArrayV3Metadata

__all__ = ["DirectReader"]

READERS = 2  # at a time: a disk wants more than one request, a file cache is content with one
_CHECKSUM_BYTES = 4


class DirectReader:
    """Reads chunks [1, n] of float16 values that are stored as bytes and a CRC-32C.

    Parameters
    ----------
    root : Path
        The store's directory.
    chunk_samples : int
        n.
    """

    def __init__(self, root: Path, chunk_samples: int) -> None:
        self._root = root
        self._length = chunk_samples
        self._scratch = threading.local()

    @classmethod
    def of(
        cls, metadata: ArrayV3Metadata, store: ZarrStore, chunk_samples: int
    ) -> DirectReader | None:
        """Return a reader for an array, None where its chunks are stored in another way."""
        stored_so = (
            [type(codec) for codec in metadata.codecs] == [BytesCodec, Crc32cCodec]
            and metadata.dtype.to_native_dtype() == np.dtype("<f2")
            and metadata.ndim == len(("checkpoint", "sample"))
        )
        # A checksum in Python would be slower than zarrs; preadv isn't everywhere.
        can_read = google_crc32c.implementation == "c" and hasattr(os, "preadv")
        if not (stored_so and can_read and isinstance(store, LocalStore)):
            return None
        return cls(store.root, chunk_samples)

    def read(self, pieces: Iterable[tuple[str, int, NDArray[np.float16]]]) -> None:
        """Read ranges of chunks, several at a time; one whose chunk isn't there becomes NaN.

        Parameters
        ----------
        pieces : iterable of (key, start, out)
            Of a chunk, the values from ``start`` on go to ``out``, which is contiguous.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        """
        wanted = list(pieces)
        if len(wanted) <= READERS:
            self._read_all(wanted)
            return
        # Threads of their own for each call: a pool that is kept would not survive a fork.
        with ThreadPoolExecutor(READERS, thread_name_prefix="ltc-chunk") as pool:
            for share in [pool.submit(self._read_all, wanted[k::READERS]) for k in range(READERS)]:
                share.result()

    def _read_all(self, pieces: Sequence[tuple[str, int, NDArray[np.float16]]]) -> None:
        for piece in pieces:
            self._read(*piece)

    def _read(self, key: str, start: int, out: NDArray[np.float16]) -> None:
        try:
            file = os.open(self._root / key, os.O_RDONLY)
        except FileNotFoundError:
            out.fill(np.nan)
            return
        whole = len(out) == self._length
        values = out if whole else self._buffer()
        checksum = bytearray(_CHECKSUM_BYTES)
        try:
            complete = _fill(file, values.view(np.uint8), checksum)
        finally:
            os.close(file)
        found = google_crc32c.value(values.view(np.uint8))
        if not complete or found != int.from_bytes(checksum, "little"):
            raise StoreCorruptError(
                f"{key}: the chunk was changed after it was written (its checksum differs)"
            )
        if not whole:
            out[:] = values[start : start + len(out)]

    def _buffer(self) -> NDArray[np.float16]:
        """Room for one chunk, of each thread its own."""
        if not hasattr(self._scratch, "values"):
            self._scratch.values = np.empty(self._length, np.float16)
        values: NDArray[np.float16] = self._scratch.values
        return values


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
    return len(checksum) == _CHECKSUM_BYTES
