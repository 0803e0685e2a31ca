"""Both sides of a product of pairs in the form that it consumes, and the samples it can't serve."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.algebra import MINIMUM_VALUES, Signal, signal_length, unit_signals
from ltc_kernels.cpu.product import QUERIES
from ltc_kernels.cpu.simd import LANES
from ltc_kernels.cpu.threads import for_ranges, thread_count
from ltc_kernels.cpu.units import pack_units

TILE_BYTES: Final = 8 * 2**20  # of unit signals of training samples: they stay in the caches
FLOAT64_BYTES: Final = 16 * 2**20  # of what is prepared at once in float64, before its temporaries
ALIGNMENT: Final = 64  # bytes: a load of 16 values crosses no cache line


@dataclass(frozen=True)
class Queries:
    """Validation samples as one side of a product.

    Attributes
    ----------
    signal : {"loss", "difference"}
        What is correlated.
    losses : ndarray of float16 or float32, shape (T, M)
        Their trajectories.
    units : ndarray of float32, shape (G, S, QUERIES)
        Unit signals in groups; NaN where not complete, not defined, or beyond the last.
    defined : ndarray of bool, shape (M,)
        Whether a query can have a correlation at all.
    complete : ndarray of bool, shape (M,)
        Whether its unit signal is there.
    """

    signal: Signal
    losses: NDArray[Any]
    units: NDArray[np.float32]
    defined: NDArray[np.bool_]
    complete: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of queries."""
        return len(self.defined)

    def rows(self) -> NDArray[np.float32]:
        """Unit signals, shape (M, S)."""
        length = self.units.shape[1]
        return self.units.transpose(0, 2, 1).reshape(-1, length)[: self.size]

    def arranged(self, order: NDArray[np.int64]) -> "Queries":
        """The same queries in another order."""
        return Queries(
            self.signal,
            self.losses[:, order],
            as_groups(self.rows()[order]),
            self.defined[order],
            self.complete[order],
        )


@dataclass(frozen=True)
class Tile:
    """Consecutive training samples as the other side.

    Attributes
    ----------
    begin, end : int
        Which.
    units : ndarray of float32, shape (B, S, LANES)
        Unit signals in blocks; NaN where not complete, not defined, or beyond the last.
    complete : ndarray of bool, shape (n,)
        Where nothing is missing.
    """

    begin: int
    end: int
    units: NDArray[np.float32]
    complete: NDArray[np.bool_]


def pack_queries(losses: NDArray[Any], *, signal: Signal, sign: int = 1) -> Queries:
    """Make the unit signals of validation samples, in float64, times ``sign``; losses [T, M]."""
    num_checkpoints, num_queries = losses.shape
    length = signal_length(num_checkpoints, signal)
    num_groups = -(-num_queries // QUERIES)
    units = aligned_empty((num_groups, length, QUERIES))
    defined = np.zeros(num_queries, dtype=np.bool_)
    complete = np.zeros(num_queries, dtype=np.bool_)
    step = QUERIES * max(FLOAT64_BYTES // (8 * QUERIES * max(num_checkpoints, 1)), 1)
    for begin in range(0, num_queries, step):
        some = slice(begin, min(begin + step, num_queries))
        rows, defined[some] = unit_signals(as_rows(losses[:, some]), signal=signal)
        complete[some] = ~np.isnan(rows).any(axis=1) & defined[some]
        units[begin // QUERIES : -(-some.stop // QUERIES)] = as_groups(sign * rows)
    return Queries(signal, losses, units, defined, complete)


def pack_tiles(losses: NDArray[Any], *, signal: Signal) -> Iterator[Tile]:
    """Make the unit signals of training samples [T, N], tile by tile; each is valid until the next.

    Nothing comes where the signal has too few values for any correlation.
    """
    num_checkpoints, num_samples = losses.shape
    length = signal_length(num_checkpoints, signal)
    if length < MINIMUM_VALUES or num_samples == 0:
        return
    most = max(TILE_BYTES // (4 * length * LANES), 1)
    buffer = aligned_empty((min(most, -(-num_samples // LANES)), length, LANES))
    for begin in range(0, num_samples, most * LANES):
        end = min(begin + most * LANES, num_samples)
        units = buffer[: -(-(end - begin) // LANES)]
        _fill(losses[:, begin:end], signal, units)
        yield Tile(begin, end, units, _mend(losses[:, begin:end], signal, units))


def _fill(losses: NDArray[Any], signal: Signal, units: NDArray[np.float32]) -> None:
    """The fast path: whole blocks in threads, then the last one, filled up with missing values."""
    bits = losses.view(np.uint16) if losses.dtype == np.float16 else losses
    differences = signal == "difference"
    whole, rest = divmod(losses.shape[1], LANES)

    def task(begin: int, end: int) -> None:
        pack_units(bits, differences, begin * LANES, units[begin:end])

    for_ranges(task, whole, max(-(-whole // (2 * thread_count())), 16))
    if rest:
        last = np.full((len(losses), LANES), np.nan, dtype=losses.dtype)
        last[:, :rest] = losses[:, whole * LANES :]
        last = last.view(np.uint16) if last.dtype == np.float16 else last
        pack_units(last, differences, 0, units[whole:])


def _mend(losses: NDArray[Any], signal: Signal, units: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Do in float64 what float32 couldn't; return which samples have no gap."""
    num_samples = losses.shape[1]
    complete = np.ones(num_samples, dtype=np.bool_)
    failed = np.flatnonzero(np.isnan(units[:, 0, :]).reshape(-1)[:num_samples])
    step = max(FLOAT64_BYTES // (8 * len(losses)), 1)
    for begin in range(0, len(failed), step):
        columns = failed[begin : begin + step]
        rows = as_rows(losses[:, columns])
        complete[columns] = np.isfinite(rows).all(axis=1)
        columns, rows = columns[complete[columns]], rows[complete[columns]]
        blocks, lanes = np.divmod(columns, LANES)
        units[blocks, :, lanes] = unit_signals(rows, signal=signal)[0]
    return complete


def as_groups(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Rows [M, S] as float32 groups [group, term, place], the last filled up with NaN."""
    num_rows, length = rows.shape
    num_groups = -(-num_rows // QUERIES)
    padded = np.full((num_groups * QUERIES, length), np.nan, dtype=np.float32)
    padded[:num_rows] = rows
    groups = aligned_empty((num_groups, length, QUERIES))
    groups[:] = padded.reshape(num_groups, QUERIES, length).transpose(0, 2, 1)
    return groups


def as_rows(losses: NDArray[Any]) -> NDArray[np.float64]:
    """Trajectories [T, n] as float64 rows [n, T]."""
    return np.ascontiguousarray(losses.T, dtype=np.float64)


def aligned_empty(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A new float32 array whose first element lies at a multiple of ``ALIGNMENT`` bytes."""
    size = int(np.prod(shape))
    spare = ALIGNMENT // 4
    memory = np.empty(size + spare, dtype=np.float32)
    offset = -memory.ctypes.data % ALIGNMENT // 4
    return memory[offset : offset + size].reshape(shape)
