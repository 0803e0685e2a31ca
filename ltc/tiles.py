"""Tiles of samples: how wide they may be, who reads them, and who computes on them."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store import Store
from ltc.store.direct import aligned_rows
from ltc.store.sweep import Sweep
from ltc_kernels import as_this_thread, count_missing, work_alone

SMALLEST_TILE: Final = 1024  # samples; reading fewer at a time decodes each chunk hundreds of times
BUFFERS: Final = 3  # one tile at work, two being read; or one, and one that it is decoded to
ROW_PADDING: Final = 64  # samples, at most, from the end of a row to the next
SHARED_TILE: Final = 6_000_000  # bytes; the calls for a smaller one take longer, by a tenth at half
TILES_PER_THREAD: Final = 4  # at least, so that threads end together
SMALLEST_SHARED: Final = 8192  # samples; system calls for shorter rows cost more than copying them
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


@dataclass(frozen=True)
class Tiling:
    """How one pass over the training split is divided.

    Attributes
    ----------
    width : int
        Samples of a tile.
    threads : int
        How many tiles are at work at the same time, each in a thread of its own; 1 where a tile has
        all threads to itself.
    """

    width: int
    threads: int


def plan_tiling(
    num_samples: int,
    chunk_samples: int,
    num_checkpoints: int,
    *,
    threads: int,
    memory: int,
    per_sample: int,
) -> Tiling:
    """Choose tiles for threads that each read one and compute on it, then take the next.

    Parameters
    ----------
    num_samples, chunk_samples, num_checkpoints, memory, per_sample : int
        As for `tile_width`.
    threads : int
        How many there may be.

    Returns
    -------
    Tiling
        Tiles of a few megabytes, narrower where memory is short.

    Raises
    ------
    ArgumentValueError
        The memory doesn't hold the smallest tile.

    Examples
    --------
    >>> plan_tiling(1_281_167, 262_144, 90, threads=2, memory=500_000_000, per_sample=160)
    Tiling(width=32768, threads=2)
    >>> plan_tiling(1_281_167, 262_144, 90, threads=16, memory=30_000_000, per_sample=160)
    Tiling(width=5462, threads=16)
    """
    widest = min(num_samples, chunk_samples)
    most = min(num_samples // (TILES_PER_THREAD * threads), SHARED_TILE // (2 * num_checkpoints))
    wanted = max(most, SMALLEST_SHARED)
    for count in range(min(threads, -(-num_samples // wanted)), 1, -1):
        left = memory // count - 2 * num_checkpoints * ROW_PADDING
        affordable = max(left, 0) // (2 * num_checkpoints + per_sample)
        if affordable >= SMALLEST_TILE:
            parts = -(-widest // min(wanted, affordable))
            return Tiling(-(-widest // parts), count)
    width = tile_width(
        num_samples, chunk_samples, num_checkpoints, memory=memory, per_sample=per_sample
    )
    return Tiling(width, 1)


def share_tiles(
    store: Store,
    rows: Sequence[int],
    tiling: Tiling,
    work: Callable[[int, NDArray[np.float16], int], None],
    samples: slice | None = None,
) -> None:
    """Call ``work(begin, losses, missing)`` for every tile of the training split.

    Where `tiling` has several threads, each of them reads a tile and works on it while it is in the
    cache, in any order, and kernels that it calls use no other thread. Otherwise the tiles come in
    order, the next being read meanwhile.

    Parameters
    ----------
    store : Store
        Where the losses are.
    rows : sequence of int
        Positions of the checkpoints.
    tiling : Tiling
        From `plan_tiling`.
    work : callable
        Gets the first sample of a tile, its losses, shape (T, n), valid during the call, and how
        many of them are missing. What it makes of them is only known to be right when this function
        returns: checksums are of whole chunks.
    samples : slice, optional
        A range of whole chunks; all by default.
    """
    if tiling.threads == 1:
        for begin, losses in read_tiles(store, rows, tiling.width, samples=samples):
            work(begin, losses, count_missing(losses))
        return
    stopped = threading.Event()
    with store.sweep("train", rows, tiling.width, threads=tiling.threads, samples=samples) as sweep:
        numbers = iter(range(len(sweep.tiles)))  # shared: who is free takes the next

        def share() -> None:
            work_alone(stopped)
            _work_through(sweep, numbers, len(rows), tiling.width, work, stopped)

        with ThreadPoolExecutor(tiling.threads, thread_name_prefix="ltc-tile") as pool:
            shares = [pool.submit(share) for _ in range(tiling.threads)]
            try:
                for done in as_completed(shares):
                    done.result()
            finally:
                stopped.set()  # after an error or Control-C, nobody begins another tile


def work_through_tiles(
    store: Store,
    rows: Sequence[int],
    width: int,
    work: Callable[[int, NDArray[np.float16], int], None],
    samples: slice,
) -> None:
    """Call ``work(begin, losses, missing)`` for the tiles of a range, in the calling thread alone.

    As `share_tiles`, for a caller that is one of several who share a store out among themselves.
    """
    with store.sweep("train", rows, width, samples=samples) as sweep:
        numbers = iter(range(len(sweep.tiles)))
        _work_through(sweep, numbers, len(rows), width, work, threading.Event())


def _work_through(
    sweep: Sweep,
    numbers: Iterator[int],
    num_checkpoints: int,
    width: int,
    work: Callable[[int, NDArray[np.float16], int], None],
    stopped: threading.Event,
) -> None:
    """Read tiles and work on each, as long as there are numbers."""
    buffer = aligned_rows(num_checkpoints, width, np.float16)
    for number in numbers:
        if stopped.is_set():
            return
        tile = sweep.tiles[number]
        losses = buffer[:, : tile.stop - tile.start]
        missing = sweep.read(number, losses)
        work(tile.start, losses, missing)


def read_tiles(
    store: Store,
    rows: Sequence[int],
    width: int,
    *,
    allocate: Callable[[int, int], NDArray[np.float16]] | None = None,
    samples: slice | None = None,
) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """First sample and losses, shape (T, n), of the tiles of the training split, in order.

    The array is valid until the next tile is asked for: other threads read ahead. What is made of
    the tiles is only known to be right when the iterator has ended: checksums are of whole chunks.
    ``allocate(T, width)`` makes the arrays that tiles are read into, with rows of at least
    ``width``; by default they are where the processor likes them. ``samples`` is a range of whole
    chunks, by default all.
    """
    # Decoding a chunk takes a second buffer, and all threads.
    readers = BUFFERS - 1 if store.in_pieces("train") else 1
    with store.sweep("train", rows, width, threads=readers, samples=samples) as sweep:
        count = len(sweep.tiles)
        allocate = allocate or _aligned
        free = [allocate(len(rows), width) for _ in range(min(count, readers + 1))]

        def read(number: int, buffer: NDArray[np.float16]) -> NDArray[np.float16]:
            tile = sweep.tiles[number]
            losses = buffer[:, : tile.stop - tile.start]
            sweep.read(number, losses)
            return losses

        with ThreadPoolExecutor(
            readers, thread_name_prefix="ltc-read", initializer=as_this_thread()
        ) as pool:
            ahead = deque(pool.submit(read, k, free[k]) for k in range(min(count, readers)))
            try:
                for number in range(count):
                    losses = ahead.popleft().result()
                    if (following := number + readers) < count:
                        ahead.append(pool.submit(read, following, free[following % len(free)]))
                    yield sweep.tiles[number].start, losses
            finally:
                for waiting in ahead:
                    waiting.cancel()


def _aligned(num_checkpoints: int, width: int) -> NDArray[np.float16]:
    rows: NDArray[np.float16] = aligned_rows(num_checkpoints, width, np.float16)
    return rows
