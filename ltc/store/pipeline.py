"""Chunks to values.

Uncompressed losses on a local disk are read straight into place (`ltc.store.direct`). Other reading
goes through `zarrs` (Rust) where it supports the store, through zarr's own codec pipeline
elsewhere; either is made for the array at hand, so the user's zarr configuration is neither read
nor changed for the choice.
"""

from __future__ import annotations

import asyncio
import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from zarr.core.buffer.cpu import NDBuffer, buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import collect_aiterator, sync
from zarr.storage import LocalStore, StorePath

from ltc.errors import StoreCorruptError, StoreFormatError
from ltc.store.direct import DirectReader
from ltc.store.encoding import CONFIG

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from zarr.abc.codec import CodecPipeline
    from zarr.abc.store import Store as ZarrStore

    from ltc.store.format import Document

__all__ = ["ArrayReader", "ChunkState", "check_metadata", "list_names", "read_bytes"]

_T = TypeVar("_T")
ChunkState = Literal["whole", "lost", "changed"]

# What decoding raises on bytes that were changed: zarr and numcodecs, zarrs, a failing disk.
_DECODING_ERRORS = (ValueError, RuntimeError, OSError)
# How many chunks `states` holds in memory at a time.
_CHECKED_AT_ONCE = 16


class ArrayReader:
    """Reads one array of a store.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Where the array is.
    path : str
        Its place there.
    expected : dict
        The metadata it must have. Its first dimension may be longer, where that counts checkpoints.

    Raises
    ------
    StoreFormatError
        The array isn't there, or its metadata says something else.
    """

    def __init__(self, store: ZarrStore, path: str, document: Document, expected: Document) -> None:
        self._store = store
        self.path = path
        self._metadata = check_metadata(path, document, expected)
        self._shape = tuple(expected["shape"])
        self._spec = self._metadata.get_chunk_spec((), CONFIG, buffer_prototype)
        self._zarr_pipeline = BatchedCodecPipeline.from_codecs(self._metadata.codecs)
        self._direct = DirectReader.of(self._metadata, store, self.chunk_samples)

    @cached_property
    def _pipeline(self) -> CodecPipeline:
        """What decodes losses; made when it is needed, because zarrs takes long to import."""
        return _zarrs_pipeline(self._metadata, self._store) or self._zarr_pipeline

    @property
    def chunk_samples(self) -> int:
        """The length of a chunk along the last dimension."""
        return self._spec.shape[-1]

    def read_rows(self, rows: Sequence[int], samples: slice, out: NDArray[Any]) -> None:
        """Read whole rows of a two-dimensional array, or one range of samples of each.

        A chunk that isn't there leaves the fill value.

        Parameters
        ----------
        rows : sequence of int
            Positions along the first dimension, in any order.
        samples : slice
            Start and stop along the second dimension, within the array; step 1.
        out : array [len(rows), samples.stop - samples.start]
            Of the array's dtype, its rows contiguous; written to.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        """
        if not out.size:
            return
        pieces = list(self._pieces(rows, samples))
        if self._direct is not None:
            self._direct.read(
                (key, within.start, out[position, without])
                for key, position, within, without in pieces
            )
            return
        batch = [
            (
                StorePath(self._store, key),
                self._spec,
                (slice(0, 1), within),
                (slice(position, position + 1), without),
                False,
            )
            for key, position, within, without in pieces
        ]
        keys = [key for key, *_ in pieces]
        whole = out if out.flags.c_contiguous else np.empty_like(out, order="C")
        self._run(self._pipeline.read(batch, NDBuffer.from_numpy_array(whole)), keys)
        if whole is not out:
            out[:] = whole

    def _pieces(
        self, rows: Sequence[int], samples: slice
    ) -> Iterator[tuple[str, int, slice, slice]]:
        """Key of each chunk, its row of the result, and its range within the chunk and without."""
        width = self._spec.shape[1]
        columns = range(samples.start // width, -(-samples.stop // width))
        for (position, row), column in itertools.product(enumerate(rows), columns):
            first = column * width
            start, stop = max(samples.start, first), min(samples.stop, first + width)
            within = slice(start - first, stop - first)
            without = slice(start - samples.start, stop - samples.start)
            yield self._key((row, column)), position, within, without

    def read_all(self) -> NDArray[Any]:
        """Read a one-dimensional array whole, none of whose chunks may be lost.

        Raises
        ------
        StoreCorruptError
            A chunk is lost or was changed.
        """
        (length,), (width,) = self._shape, self._spec.shape
        keys = self.keys()
        out = np.empty(length, self._spec.dtype.to_native_dtype())
        batch = [
            (
                StorePath(self._store, key),
                self._spec,
                (slice(0, min(width, length - start)),),
                (slice(start, min(start + width, length)),),
                False,
            )
            for key, start in zip(keys, range(0, length, width), strict=True)
        ]
        present = self._run(self._read_if_present(keys, batch, out), keys)
        if lost := [key for key, there in zip(keys, present, strict=True) if not there]:
            raise StoreCorruptError(f"{lost[0]}: the chunk is lost")
        return out

    def keys(self) -> list[str]:
        """Return the keys of all chunks."""
        counts = [range(-(-n // c)) for n, c in zip(self._shape, self._spec.shape, strict=True)]
        return [self._key(coordinates) for coordinates in itertools.product(*counts)]

    def states(self, keys: Sequence[str]) -> list[ChunkState]:
        """Look at chunks one by one: whole, lost, or changed since they were written."""
        found: list[ChunkState] = []
        for start in range(0, len(keys), _CHECKED_AT_ONCE):
            some = keys[start : start + _CHECKED_AT_ONCE]
            found += sync(_gather(self._state(key) for key in some))
        return found

    def _key(self, coordinates: tuple[int, ...]) -> str:
        return f"{self.path}/{self._metadata.encode_chunk_key(coordinates)}"

    def _run(self, reading: Coroutine[Any, Any, _T], keys: Sequence[str]) -> _T:
        try:
            return sync(reading)
        except _DECODING_ERRORS as error:
            for key, state in zip(keys, self.states(keys), strict=True):
                if state == "changed":
                    raise StoreCorruptError(
                        f"{key}: the chunk was changed after it was written (its checksum differs)"
                    ) from error
            raise

    async def _read_if_present(
        self, keys: Sequence[str], batch: list[Any], out: NDArray[Any]
    ) -> list[bool]:
        present = await _gather(self._store.exists(key) for key in keys)
        if all(present):
            await self._zarr_pipeline.read(batch, NDBuffer.from_numpy_array(out))
        return present

    async def _state(self, key: str) -> ChunkState:
        try:
            data = await self._store.get(key, buffer_prototype)
            if data is None:
                return "lost"
            await self._zarr_pipeline.decode([(data, self._spec)])
        except _DECODING_ERRORS:
            return "changed"
        return "whole"


def list_names(store: ZarrStore, path: str) -> list[str]:
    """Return the names of what is directly below a path of a zarr store."""
    return list(collect_aiterator(store.list_dir(path)))


def read_bytes(store: ZarrStore, key: str) -> bytes | None:
    """Return an object of a zarr store, None if it isn't there."""
    data = sync(store.get(key, buffer_prototype))
    return None if data is None else data.to_bytes()


async def _gather(coroutines: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    return await asyncio.gather(*coroutines)


def _zarrs_pipeline(metadata: ArrayV3Metadata, store: ZarrStore) -> CodecPipeline | None:
    # Of those that zarrs doesn't support, some make it warn and others make it raise.
    if not isinstance(store, LocalStore):
        return None
    try:
        from zarrs import ZarrsCodecPipeline
    except ImportError:
        return None  # no wheel for this platform; zarr's own pipeline reads the same values
    return ZarrsCodecPipeline.from_array_metadata_and_store(metadata, store)


def check_metadata(path: str, document: Document, expected: Document) -> ArrayV3Metadata:
    """Return an array's metadata, which must be as expected.

    Parameters
    ----------
    path : str
        The array's place, for messages.
    document : dict
        The metadata found.
    expected : dict
        What it must be. Where the first dimension counts checkpoints, there may be more of them.

    Raises
    ------
    StoreFormatError
        It isn't.
    """
    try:
        metadata = ArrayV3Metadata.from_dict(document)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreFormatError(f"{path}/zarr.json: {error}") from error
    found, wanted = metadata.to_dict(), ArrayV3Metadata.from_dict(expected).to_dict()
    for field in ("data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs"):
        if found[field] != wanted[field]:
            raise StoreFormatError(f"{path}: {field} must be {wanted[field]}, got {found[field]}")
    (rows, *others), (least, *sizes) = metadata.shape, expected["shape"]
    growing = expected["dimension_names"][0] == "checkpoint"
    if others != sizes or rows < least or (rows > least and not growing):
        raise StoreFormatError(
            f"{path}: shape must be {tuple(expected['shape'])}, got {metadata.shape}"
        )
    return metadata
