"""Tiles of samples: how wide they may be, and reading the next one while the last is at work."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store import Store

SMALLEST_TILE: Final = 1024  # samples; reading fewer at a time decodes each chunk hundreds of times
BUFFERS: Final = 3  # one tile at work, one being read, one that a compressed tile is decoded to
ROW_PADDING: Final = 160  # samples; rows a power of two apart would share few sets of the caches
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


def parse_memory(memory_limit: str | int) -> int:
    """Bytes of a memory limit.

    Parameters
    ----------
    memory_limit : str or int
        Bytes, or a number with one of the units kB, MB, GB (powers of 1000), KiB, MiB, GiB (powers
        of 1024).

    Returns
    -------
    int

    Raises
    ------
    ArgumentValueError
        Not a positive amount in such a unit.
    ArgumentTypeError
        Neither a string nor an integer.

    Examples
    --------
    >>> parse_memory("512MB"), parse_memory("1.5 GiB"), parse_memory(4096)
    (512000000, 1610612736, 4096)
    """
    if isinstance(memory_limit, bool) or not isinstance(memory_limit, str | int):
        raise ArgumentTypeError(f"memory_limit must be a string or bytes, got {memory_limit!r}")
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?)B?\s*", str(memory_limit).upper())
    if match is None or match[2] not in _UNITS or float(match[1]) <= 0:
        raise ArgumentValueError(
            f'memory_limit must be a positive amount such as "512MB", got {memory_limit!r}'
        )
    return int(float(match[1]) * _UNITS[match[2]])


def tile_width(
    num_samples: int, chunk_samples: int, num_checkpoints: int, *, memory: int, per_sample: int
) -> int:
    """Samples of a tile: a whole chunk, or an equal part of one where memory is short.

    Parameters
    ----------
    num_samples, chunk_samples, num_checkpoints : int
        Sizes of the split, of a chunk of it, and of the selection.
    memory : int
        Bytes for the buffers that tiles are read into, and for what a kernel makes of one.
    per_sample : int
        Bytes that a kernel takes per sample of a tile.

    Returns
    -------
    int
        A tile never crosses the border of a chunk.

    Raises
    ------
    ArgumentValueError
        The memory doesn't hold the smallest tile.

    Examples
    --------
    >>> tile_width(1_281_167, 262_144, 90, memory=500_000_000, per_sample=32)
    262144
    >>> tile_width(1_281_167, 262_144, 90, memory=50_000_000, per_sample=32)
    65536
    """
    widest = min(num_samples, chunk_samples)
    bytes_per_sample = BUFFERS * 2 * num_checkpoints + per_sample
    left = memory - BUFFERS * 2 * num_checkpoints * ROW_PADDING
    affordable = max(left, 0) // bytes_per_sample
    smallest = min(SMALLEST_TILE, widest)
    if affordable < smallest:
        raise ArgumentValueError(
            f"memory_limit must hold the references and a tile of {smallest} samples, "
            f"{(smallest * bytes_per_sample - left) / 1e6:.1f} MB more than it does"
        )
    parts = -(-widest // max(affordable, 1)) if widest else 1
    return -(-widest // parts)


def read_tiles(
    store: Store, rows: Sequence[int], width: int
) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """First sample and losses, shape (T, n), of the tiles of the training split, in order.

    The array is valid until the next tile is asked for: a thread reads ahead into one of two
    buffers.
    """
    spans = [
        slice(begin, min(begin + width, border))
        for border, start in _chunks(store.num_train, store.chunk_samples)
        for begin in range(start, border, width)
    ]
    if not spans:
        return
    shape = (len(rows), width + ROW_PADDING)
    buffers = [np.empty(shape, dtype=np.float16) for _ in spans[:2]]

    def read(k: int) -> NDArray[np.float16]:
        tile = buffers[k % 2][:, : spans[k].stop - spans[k].start]
        return store.read("train", samples=spans[k], checkpoints=rows, out=tile)

    with ThreadPoolExecutor(1, thread_name_prefix="ltc-read") as reader:
        ahead = reader.submit(read, 0)
        for k, span in enumerate(spans):
            tile = ahead.result()
            if k + 1 < len(spans):
                ahead = reader.submit(read, k + 1)
            yield span.start, tile


def _chunks(num_samples: int, chunk_samples: int) -> list[tuple[int, int]]:
    """End and start of each chunk."""
    starts = range(0, num_samples, max(chunk_samples, 1))
    return [(min(start + chunk_samples, num_samples), start) for start in starts]
