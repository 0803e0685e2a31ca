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
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from zarr.core.buffer import Buffer

    from ltc.store.format import Document

__all__ = ["CONFIG", "EncodedChunk", "Encoder", "encode"]

CONFIG = ArrayConfig(order="C", write_empty_chunks=True)
"""zarr's settings for arrays, whatever the user's are."""


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

    async def encode(self, values: NDArray[Any], first_row: int = 0) -> list[EncodedChunk]:
        """Return the chunks that hold `values`, which start at a chunk's first element.

        Parameters
        ----------
        values : array
            Whole chunks, or up to the end of the array; what is missing of a chunk is filled.
        first_row : int
            Where `values` starts along the first dimension.
        """
        chunk = self._spec.shape
        first = (first_row // chunk[0], *([0] * (len(chunk) - 1)))
        counts = [-(-n // c) for n, c in zip(values.shape, chunk, strict=True)]
        keys, buffers = [], []
        for position in itertools.product(*map(range, counts)):
            part = values[
                tuple(slice(p * c, (p + 1) * c) for p, c in zip(position, chunk, strict=True))
            ]
            coordinates = tuple(f + p for f, p in zip(first, position, strict=True))
            keys.append(f"{self._path}/{self._metadata.encode_chunk_key(coordinates)}")
            buffers.append(NDBuffer.from_numpy_array(self._whole(part)))
        encoded = await self._pipeline.encode([(buffer, self._spec) for buffer in buffers])
        # No codec of this format makes None of a chunk; zarr's signature allows for it.
        return [EncodedChunk(k, b) for k, b in zip(keys, encoded, strict=True) if b is not None]

    def _whole(self, part: NDArray[Any]) -> NDArray[Any]:
        if part.shape == self._spec.shape:
            return np.ascontiguousarray(part)
        whole = np.full(self._spec.shape, self._spec.fill_value, dtype=part.dtype)
        whole[tuple(slice(n) for n in part.shape)] = part
        return whole


def encode(parts: Iterable[tuple[Encoder, NDArray[Any]]], first_row: int = 0) -> list[EncodedChunk]:
    """Encode values of several arrays, all from the same row on, as :meth:`Encoder.encode` does."""

    async def encode_all() -> list[list[EncodedChunk]]:
        coroutines = (encoder.encode(values, first_row) for encoder, values in parts)
        return await asyncio.gather(*coroutines)

    return list(itertools.chain.from_iterable(sync(encode_all())))
