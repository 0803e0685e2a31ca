"""Chunks to values.

Uncompressed chunks on a local disk are read straight into place (`ltc.store.direct`), compressed
losses through `zarrs` (Rust). From elsewhere chunks are fetched and decoded by zarr's own codecs
(`ltc.store.fetching`). All of it is made for the array at hand, so the user's zarr configuration is
neither read nor changed for the choice.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from zarr.core.buffer.cpu import NDBuffer, buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import collect_aiterator, sync
from zarr.storage import LocalStore, StorePath

from ltc.errors import StoreCorruptError
from ltc.store.direct import DirectReader
from ltc.store.encoding import CONFIG
from ltc.store.fetching import ChunkFetcher, together
from ltc.store.metadata import check_metadata
from ltc.store.sweep import DecodingSweep, DirectSweep, can_sweep_directly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from zarr.abc.codec import CodecPipeline
    from zarr.abc.store import Store as ZarrStore
    from zarr.core.array_spec import ArraySpec

    from ltc.store.format import Document
    from ltc.store.sweep import Sweep

__all__ = [
    "ArrayReader",
    "ChunkState",
    "list_names",
    "read_bytes",
    "read_many",
    "read_together",
]

ChunkState = Literal["whole", "lost", "changed"]
# Of a chunk: its key, its row of the result, its range of the chunk's samples and of the result's.
_Piece: TypeAlias = tuple[str, int, slice, slice]

# What zarrs raises on bytes that were changed.
_DECODING_ERRORS = (ValueError, RuntimeError, OSError)
_STATES: Final[dict[bool | None, ChunkState]] = {True: "whole", None: "lost", False: "changed"}


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
        check_metadata(path, document, expected)
        self._store = store
        self.path = path
        self._document = document
        self._shape = tuple(expected["shape"])
        self._chunk_shape = tuple(expected["chunk_grid"]["configuration"]["chunk_shape"])
        self._direct = DirectReader.of(expected, store)

    @cached_property
    def _metadata(self) -> ArrayV3Metadata:
        """What zarr makes of the metadata: only for what is not read directly."""
        return ArrayV3Metadata.from_dict(self._document)

    @cached_property
    def _spec(self) -> ArraySpec:
        return self._metadata.get_chunk_spec((), CONFIG, buffer_prototype)

    @cached_property
    def _chunks(self) -> ChunkFetcher:
        codecs = BatchedCodecPipeline.from_codecs(self._metadata.codecs)
        return ChunkFetcher(self._store, self._spec, codecs)

    @cached_property
    def _pipeline(self) -> CodecPipeline | None:
        """What decodes losses of a local store, made when needed: zarrs takes long to import."""
        return _zarrs_pipeline(self._metadata, self._store)

    @property
    def num_samples(self) -> int:
        """The length of the last dimension."""
        return int(self._shape[-1])

    @property
    def direct(self) -> bool:
        """Whether its chunks are read from a disk into place."""
        return self._direct is not None

    @property
    def chunk_samples(self) -> int:
        """The length of a chunk along the last dimension."""
        return int(self._chunk_shape[-1])

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
            direct = {
                key: (key, within.start, out[position, without])
                for key, position, within, without in pieces
            }
            for key in self._direct.read(list(direct.values())):
                direct[key][-1].fill(np.nan)
        elif self._pipeline is not None:
            self._read_with_zarrs(self._pipeline, pieces, out)
        else:
            fetched = (
                (key, (slice(0, 1), within), out[position : position + 1, without])
                for key, position, within, without in pieces
            )
            sync(self._chunks.read(fetched))

    def _read_with_zarrs(
        self, pipeline: CodecPipeline, pieces: Sequence[_Piece], out: NDArray[Any]
    ) -> None:
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
        whole = out if out.flags.c_contiguous else np.empty_like(out, order="C")
        try:
            sync(pipeline.read(batch, NDBuffer.from_numpy_array(whole)))
        except _DECODING_ERRORS as error:
            self._name_changed([key for key, *_ in pieces], error)
            raise
        if whole is not out:
            out[:] = whole

    def _pieces(self, rows: Sequence[int], samples: slice) -> Iterator[_Piece]:
        """Key of each chunk, its row of the result, and its range within the chunk and without."""
        width = self.chunk_samples
        columns = range(samples.start // width, -(-samples.stop // width))
        for (position, row), column in itertools.product(enumerate(rows), columns):
            first = column * width
            start, stop = max(samples.start, first), min(samples.stop, first + width)
            within = slice(start - first, stop - first)
            without = slice(start - samples.start, stop - samples.start)
            yield self.key((row, column)), position, within, without

    def read_all(self, samples: slice | None = None) -> NDArray[Any]:
        """Read a one-dimensional array whole, or a range of it; no chunk of it may be lost.

        Raises
        ------
        StoreCorruptError
            A chunk is lost or was changed.
        """
        if self._direct is None:
            return sync(self.fetch_all(samples))
        out, parts = self._parts(self._direct.dtype, samples)
        self._check_found(self._direct.read([(k, begin, part) for k, begin, part in parts]))
        return out

    async def fetch_all(self, samples: slice | None = None) -> NDArray[Any]:
        """Read a one-dimensional array whole, or a range of it, as :meth:`read_all`."""
        out, parts = self._parts(self._spec.dtype.to_native_dtype(), samples)
        pieces = [(key, (slice(begin, begin + len(part)),), part) for key, begin, part in parts]
        present = await self._chunks.read(pieces)
        there = zip(parts, present, strict=True)
        self._check_found([key for (key, _, _), found in there if not found])
        return out

    def _parts(
        self, dtype: np.dtype[Any], samples: slice | None
    ) -> tuple[NDArray[Any], list[tuple[str, int, NDArray[Any]]]]:
        """Room for a range of a one-dimensional array, and of each chunk: key, begin, part."""
        (length,), (width,) = self._shape, self._chunk_shape
        start, stop, _ = (samples or slice(None)).indices(length)
        out = np.empty(max(stop - start, 0), dtype)
        parts = []
        for column in range(start // width, -(-stop // width) if out.size else 0):
            first, last = max(start, column * width), min(stop, (column + 1) * width)
            part = out[first - start : last - start]
            parts.append((self.key((column,)), first - column * width, part))
        return out, parts

    def _check_found(self, lost: Sequence[str]) -> None:
        if lost:
            raise StoreCorruptError(f"{lost[0]}: the chunk is lost")

    @cached_property
    def in_pieces(self) -> bool:
        """Whether a sweep reads tiles that are narrower than a chunk at no extra cost."""
        return self._direct is not None and can_sweep_directly()

    @contextmanager
    def sweep(
        self, rows: Sequence[int], width: int, threads: int, samples: slice
    ) -> Iterator[Sweep]:
        """Read losses from the first sample to the last, in tiles.

        Parameters
        ----------
        rows : sequence of int
            Positions along the first dimension.
        width : int
            Samples in a tile, at most; the border of a chunk is the border of a tile.
        threads : int
            How many will read at the same time.
        samples : slice
            A range of whole chunks.
        """
        if self._direct is None or not self.in_pieces:
            yield DecodingSweep(self, rows, width, samples)
            return
        sweep = DirectSweep(self._direct.root, self, rows, width, threads, samples)
        try:
            yield sweep
        finally:
            sweep.close()

    def keys(self) -> list[str]:
        """Return the keys of all chunks."""
        counts = [range(-(-n // c)) for n, c in zip(self._shape, self._chunk_shape, strict=True)]
        return [self.key(coordinates) for coordinates in itertools.product(*counts)]

    def states(self, keys: Sequence[str]) -> list[ChunkState]:
        """Look at chunks one by one: whole, lost, or changed since they were written."""
        return [_STATES[whole] for whole in sync(together(self._chunks.is_whole, keys))]

    def key(self, coordinates: tuple[int, ...]) -> str:
        """Return the key of a chunk."""
        return "/".join((self.path, "c", *map(str, coordinates)))

    def _name_changed(self, keys: Sequence[str], error: Exception) -> None:
        """Raise an error that names the first chunk that was changed, if there is one."""
        for key, state in zip(keys, self.states(keys), strict=True):
            if state == "changed":
                raise StoreCorruptError(
                    f"{key}: the chunk was changed after it was written (its checksum differs)"
                ) from error


def read_together(readers: Sequence[ArrayReader]) -> list[NDArray[Any]]:
    """Read one-dimensional arrays of a store whole; from afar all at the same time."""
    if all(reader.direct for reader in readers):
        return [reader.read_all() for reader in readers]
    return sync(together(ArrayReader.fetch_all, readers))


def list_names(store: ZarrStore, path: str) -> list[str]:
    """Return the names of what is directly below a path of a zarr store."""
    return list(collect_aiterator(store.list_dir(path)))


def read_bytes(store: ZarrStore, key: str) -> bytes | None:
    """Return an object of a zarr store, None if it isn't there."""
    if type(store) is LocalStore:  # a small file takes less time than a change of threads
        try:
            return (store.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
    data = sync(store.get(key, buffer_prototype))
    return None if data is None else data.to_bytes()


def read_many(store: ZarrStore, keys: Sequence[str]) -> dict[str, bytes | None]:
    """Return objects of a zarr store by their keys, None for those that aren't there."""

    async def read(key: str) -> bytes | None:
        data = await store.get(key, buffer_prototype)
        return None if data is None else data.to_bytes()

    return dict(zip(keys, sync(together(read, keys)), strict=True)) if keys else {}


def _zarrs_pipeline(metadata: ArrayV3Metadata, store: ZarrStore) -> CodecPipeline | None:
    # Of those that zarrs doesn't support, some make it warn and others make it raise.
    if not isinstance(store, LocalStore):
        return None
    try:
        from zarrs import ZarrsCodecPipeline
    except ImportError:
        return None  # no wheel for this platform; zarr's own pipeline reads the same values
    return ZarrsCodecPipeline.from_array_metadata_and_store(metadata, store)
