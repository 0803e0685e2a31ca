"""Every training sample with every query: the whole matrix, or the best of each row.

Work: a multiply-add per pair and signal value, at the pace of the processor's multiply-adds; the
samples are widened and normalised once, tile by tile, and the queries once. A pair with a gap on
either side takes the exact path in float64, over the values that both have.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.algebra import MINIMUM_VALUES, Signal, signal_length
from ltc_kernels.cpu.bounds import Bounds, query_bounds, sorted_tile
from ltc_kernels.cpu.heaps import NOBODY, sort_heaps
from ltc_kernels.cpu.matrix import multiply, multiply_rows
from ltc_kernels.cpu.packing import Queries, Tile, as_rows, pack_queries, pack_tiles
from ltc_kernels.cpu.product import QUERIES
from ltc_kernels.cpu.search import estimate, search, search_bounded, search_rows
from ltc_kernels.cpu.simd import LANES
from ltc_kernels.cpu.threads import for_ranges, thread_count

ROW_BYTES: Final = 8 * 2**20  # of trajectories that are compared in float64 at once
TASKS_PER_THREAD: Final = 2
ESTIMATE_SHARE: Final = 64  # one sample in so many is looked at first, for limits to begin with,
LEAST_DEPTH: Final = 4  # if each lane then sees so many
LEAST_BLOCKS: Final = 64  # of a tile that is worth sorting
WORTHWHILE: Final = 0.9  # share of the products' cost that bounds must not exceed

Rows = NDArray[np.float64]
Places = NDArray[np.int64]


def pair_correlation(
    train: NDArray[Any], val: NDArray[Any], out: NDArray[np.float32], *, signal: Signal
) -> None:
    """See `ltc_kernels.pair_correlation`; ``out`` [M, N] is C-contiguous."""
    if signal_length(len(train), signal) < MINIMUM_VALUES:
        out.fill(np.nan)
    queries = pack_queries(val, signal=signal)
    for tile in pack_tiles(train, signal=signal):
        task = partial(multiply, tile.units, queries.units, tile.begin, out)
        _for_groups(queries, task)
        _for_incomplete(tile, train, queries, partial(multiply_rows, out, _lag(signal)))


class PairSearch:
    """See `ltc_kernels.PairSearch`; ``signs`` are 1 for the largest, -1 for the smallest.

    ``prune=False`` forms every product; the results are the same bits.
    """

    def __init__(
        self,
        val: NDArray[Any],
        k: int,
        *,
        signal: Signal,
        signs: tuple[int, ...],
        prune: bool = True,
    ) -> None:
        self._signs = signs
        self._size = k
        self._queries = pack_queries(val, signal=signal, sign=signs[0])
        self._order: Places | None = None
        self._bounds: Bounds | None = None
        bounded = query_bounds(self._queries) if prune else None
        if bounded is not None:
            self._bounds, self._order = bounded
            self._queries = self._queries.arranged(self._order)
        shape = (len(signs), self._queries.size, k)
        self._values = np.full(shape, -np.inf, dtype=np.float32)
        self._found = np.full(shape, NOBODY, dtype=np.int64)
        padded = len(self._queries.units) * QUERIES
        self._limits = np.full((len(signs), padded), -np.inf, dtype=np.float32)
        self._begun = False

    def add(self, train: NDArray[Any], samples: Places) -> None:
        """Offer more samples."""
        if not self._begun:
            self._estimate(train)
            self._begun = True
        queries = self._queries
        heaps = (self._size, self._limits, self._values.reshape(-1), self._found.reshape(-1))
        lag, sign = _lag(queries.signal), self._signs[0]
        for tile in pack_tiles(train, signal=queries.signal):
            own = samples[tile.begin : tile.end]
            if self._bounds is not None and len(tile.units) >= LEAST_BLOCKS:
                self._search_bounded(self._bounds, tile, own, heaps)
            else:
                _for_groups(queries, partial(search, tile.units, own, queries.units, *heaps))
            _for_incomplete(tile, train, queries, partial(search_rows, *heaps, lag, sign, samples))

    def _estimate(self, train: NDArray[Any]) -> None:
        """Begin with limits that a few of the samples, spread over all, guarantee."""
        queries = self._queries
        segments = -(-2 * self._size // LANES)
        depth = train.shape[1] // (segments * LANES * ESTIMATE_SHARE)
        if depth < LEAST_DEPTH:
            return
        count = segments * LANES * depth
        some = np.ascontiguousarray(train[:, :: train.shape[1] // count][:, :count])
        for tile in pack_tiles(some, signal=queries.signal):
            task = partial(estimate, tile.units, queries.units, self._size, depth, self._limits)
            _for_groups(queries, task)

    def _search_bounded(
        self, bounds: Bounds, tile: Tile, samples: Places, heaps: tuple[Any, ...]
    ) -> None:
        """Search a tile sorted along the axes; give the bounds up if they exclude too little."""
        queries = self._queries
        units, coordinates, rests, order = sorted_tile(tile.units, bounds)
        own = np.append(samples, np.zeros(len(order) - len(samples), dtype=np.int64))[order]
        others = (queries.units, bounds.coordinates, bounds.rests, bounds.margin)
        task: Callable[..., int] = partial(
            search_bounded, units, coordinates, rests, own, *others, *heaps
        )
        formed: list[int] = []
        _for_groups(queries, lambda begin, end: formed.append(task(begin, end)))
        share = sum(formed) / (len(units) * len(queries.units))
        if share + bounds.cost > WORTHWHILE:
            self._bounds = None

    def results(self) -> list[tuple[NDArray[np.float32], Places]]:
        """Values and samples [M, k] of each end, best first; the search ends."""
        step = max(-(-self._queries.size // thread_count()), 64)
        for sign, values, found in zip(self._signs, self._values, self._found, strict=True):
            task = partial(sort_heaps, values.reshape(-1), found.reshape(-1), self._size)
            for_ranges(task, self._queries.size, step)
            values *= np.float32(sign)
        if self._order is None:
            return list(zip(self._values, self._found, strict=True))
        back = np.argsort(self._order)
        return [(v[back], f[back]) for v, f in zip(self._values, self._found, strict=True)]


def _lag(signal: Signal) -> int:
    return int(signal == "difference")


def _for_groups(queries: Queries, task: Callable[[int, int], None]) -> None:
    """Call ``task`` for ranges of the groups of queries, in threads."""
    share = -(-len(queries.units) // (TASKS_PER_THREAD * thread_count()))
    for_ranges(task, len(queries.units), max(share, 1))


def _for_incomplete(
    tile: Tile, train: NDArray[Any], queries: Queries, task: Callable[..., None]
) -> None:
    """Call ``task(rows, places, val, queries, begin, end)`` for the pairs with a gap, in threads.

    Those are the incomplete samples with every query that is defined, and the complete ones with
    the queries that are not.
    """
    gaps = tile.begin + np.flatnonzero(~tile.complete)
    others = tile.begin + np.flatnonzero(tile.complete)
    defined = np.flatnonzero(queries.defined)
    incomplete = np.flatnonzero(queries.defined & ~queries.complete)
    for samples, chosen in ((gaps, defined), (others, incomplete)):
        if not len(chosen):
            continue
        for rows, places in _batches(train, samples):
            for val, some in _batches(queries.losses, chosen):
                share = max(-(-len(some) // (TASKS_PER_THREAD * thread_count())), 1)
                for_ranges(partial(task, rows, places, val, some), len(some), share)


def _batches(losses: NDArray[Any], places: Places) -> Iterator[tuple[Rows, Places]]:
    """Some trajectories as float64 rows, a few at a time, with their places."""
    step = max(ROW_BYTES // (8 * max(len(losses), 1)), 1)
    for begin in range(0, len(places), step):
        some = places[begin : begin + step]
        yield as_rows(losses[:, some]), some
