"""Chunks from any store of zarr's, many at a time, as an object store wants to be asked.

A chunk that the store says isn't there is missing data. That it gave no answer is something else,
and its error passes through: it must never read as a missing loss.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from zarr.core.buffer.cpu import buffer_prototype

from ltc.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from numpy.typing import NDArray
    from zarr.abc.codec import CodecPipeline
    from zarr.abc.store import Store as ZarrStore
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

__all__ = ["FETCHED_AT_ONCE", "ChunkFetcher", "together"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

FETCHED_AT_ONCE: Final = 32
"""Chunks asked for at a time. An answer takes tens of milliseconds to begin, whatever its size."""

# What decoding raises on bytes that were changed: zarr, numcodecs.
_DECODING_ERRORS = (ValueError, RuntimeError)


class ChunkFetcher:
    """Fetches and decodes the chunks of one array.

    Of those that are fetched at the same time, at most `FETCHED_AT_ONCE` are in memory beside what
    they are read into.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Where the array is.
    spec : zarr.core.array_spec.ArraySpec
        What a chunk is.
    pipeline : zarr.abc.codec.CodecPipeline
        What decodes it.
    """

    def __init__(self, store: ZarrStore, spec: ArraySpec, pipeline: CodecPipeline) -> None:
        self._store = store
        self._spec = spec
        self._pipeline = pipeline

    async def read(
        self, pieces: Iterable[tuple[str, tuple[slice, ...], NDArray[Any]]]
    ) -> list[bool]:
        """Read parts of chunks; one whose chunk isn't there becomes the fill value.

        Parameters
        ----------
        pieces : iterable of (key, within, out)
            ``chunk[within]`` goes to ``out``.

        Returns
        -------
        list of bool
            Which chunks are there.

        Raises
        ------
        StoreCorruptError
            A chunk was changed.
        Exception
            The store gave no answer.
        """

        async def read(piece: tuple[str, tuple[slice, ...], NDArray[Any]]) -> bool:
            key, within, out = piece
            data = await self._store.get(key, buffer_prototype)
            if data is None:
                out[...] = self._spec.fill_value
            else:
                out[...] = (await self._decode(key, data))[within]
            return data is not None

        return await together(read, pieces)

    async def is_whole(self, key: str) -> bool | None:
        """Tell whether a chunk is as it was written, None if it isn't there."""
        data = await self._store.get(key, buffer_prototype)
        if data is None:
            return None
        try:
            await self._decode(key, data)
        except StoreCorruptError:
            return False
        return True

    async def _decode(self, key: str, data: Buffer) -> NDArray[Any]:
        try:
            (chunk,) = await self._pipeline.decode([(data, self._spec)])
            values: NDArray[Any] = chunk.as_numpy_array()  # type: ignore[union-attr]
        except _DECODING_ERRORS as error:
            raise StoreCorruptError(
                f"{key}: the chunk was changed after it was written (its checksum differs)"
            ) from error
        return values


async def together(
    function: Callable[[_Item], Awaitable[_Result]], items: Iterable[_Item]
) -> list[_Result]:
    """Await a function of every item, `FETCHED_AT_ONCE` of them at a time, and keep their order.

    The first error ends the others.
    """
    results: dict[int, _Result] = {}
    numbered = enumerate(items)  # shared: who is free takes the next

    async def work() -> None:
        for position, item in numbered:
            results[position] = await function(item)

    workers = [asyncio.ensure_future(work()) for _ in range(FETCHED_AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    except BaseException:
        for worker in workers:
            worker.cancel()
        raise
    return [results[position] for position in range(len(results))]
