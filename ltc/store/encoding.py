"""Values to chunks.

Writing only encodes here: who writes decides in which order, and how, the bytes get to their
places.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from zarr.core.array_spec import ArrayConfig
from zarr.core.buffer.cpu import NDBuffer, buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from zarr.core.buffer import Buffer

    from ltc.store.format import Document

__all__ = ["CONFIG", "EncodedChunk", "Encoder", "encode"]

CONFIG = ArrayConfig(order="C", write_empty_chunks=True)
"""zarr's settings for arrays, whatever the user's are."""

# Compressing occupies several threads; the records of a commit are fewer than these.
_ENCODED_AT_ONCE = 16


class EncodedChunk(NamedTuple):
    """The bytes of one chunk and the key they belong to."""

    key: str
    data: Buffer


class Encoder:
    """Cuts the values of one array into chunks and encodes them.

    Parameters
    ----------
    path : str
        The array's place in the store.
    document : dict
        Its metadata.
    """

    def __init__(self, path: str, document: Document) -> None:
        self._path = path
        self._metadata = ArrayV3Metadata.from_dict(document)
        self._spec = self._metadata.get_chunk_spec((), CONFIG, buffer_prototype)
        self._pipeline = BatchedCodecPipeline.from_codecs(self._metadata.codecs)

    def cut(
        self, values: NDArray[Any], first_row: int = 0, first_sample: int = 0
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the key and the values of each chunk of `values`, which start a chunk.

        Parameters
        ----------
        values : array
            Whole chunks, or up to the end of the array; what is missing of a chunk is filled.
        first_row, first_sample : int
            Where `values` starts along the first dimension, and along the second if there is one.
        """
        chunk = self._spec.shape
        first = [n // c for n, c in zip((first_row, first_sample), chunk, strict=False)]
        counts = [-(-n // c) for n, c in zip(values.shape, chunk, strict=True)]
        for position in itertools.product(*map(range, counts)):
            part = values[
                tuple(slice(p * c, (p + 1) * c) for p, c in zip(position, chunk, strict=True))
            ]
            coordinates = tuple(f + p for f, p in zip(first, position, strict=True))
            key = f"{self._path}/{self._metadata.encode_chunk_key(coordinates)}"
            yield key, self._whole(part)

    async def encode(self, key: str, values: NDArray[Any]) -> EncodedChunk:
        """Encode one chunk of those that :meth:`cut` yields."""
        (data,) = await self._pipeline.encode([(NDBuffer.from_numpy_array(values), self._spec)])
        if data is None:  # no codec of this format makes that of a chunk; zarr's types allow for it
            raise RuntimeError(f"{key}: zarr encoded a chunk to nothing")
        return EncodedChunk(key, data)

    def _whole(self, part: NDArray[Any]) -> NDArray[Any]:
        if part.shape == self._spec.shape:
            return np.ascontiguousarray(part)
        whole = np.full(self._spec.shape, self._spec.fill_value, dtype=part.dtype)
        whole[tuple(slice(n) for n in part.shape)] = part
        return whole


def encode(
    parts: Iterable[tuple[Encoder, NDArray[Any]]], first_row: int = 0, first_sample: int = 0
) -> Iterator[EncodedChunk]:
    """Encode values of several arrays, all from the same place on, a few chunks at a time.

    Whoever takes the chunks one by one never has more than those few in memory.
    """
    pieces = (
        (encoder, key, values)
        for encoder, array in parts
        for key, values in encoder.cut(array, first_row, first_sample)
    )
    while some := list(itertools.islice(pieces, _ENCODED_AT_ONCE)):
        yield from sync(_encode_together(some))


async def _encode_together(
    pieces: Sequence[tuple[Encoder, str, NDArray[Any]]],
) -> list[EncodedChunk]:
    return await asyncio.gather(*(encoder.encode(key, values) for encoder, key, values in pieces))
