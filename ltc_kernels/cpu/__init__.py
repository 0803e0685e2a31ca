"""The kernels on the CPU, compiled by Numba; NumPy in and out, checked by the caller."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.algebra import (
    MINIMUM_VALUES,
    PreparedPairs,
    PreparedReferences,
    Signal,
    signal_length,
)
from ltc_kernels.cpu.group import correlate
from ltc_kernels.cpu.masked import add_pairs, correlate_rows
from ltc_kernels.cpu.missing import count_missing
from ltc_kernels.cpu.simd import LANES
from ltc_kernels.cpu.threads import for_ranges, thread_count

__all__ = ["count_missing", "group_correlation", "pair_sums"]

MOST_SAMPLES = 65536  # of a task; shorter rows read the memory more slowly, by a third at 8192
LEAST_SAMPLES = 4096  # of a task; fewer aren't worth the hand-over to a thread
TASKS_PER_THREAD = 4  # at least, where that leaves enough for each: threads end together
BATCH_BYTES = 4 * 2**20  # of columns that a thread widens to float64 at once
TASK_LOSSES = 4 * 2**20  # that a task compares pair by pair: an interrupt waits for tasks


def group_correlation(
    losses: NDArray[Any], references: PreparedReferences, groups: NDArray[np.int32]
) -> NDArray[np.float32]:
    """See `ltc_kernels.group_correlation`."""
    scores = _weighted_correlation(losses, references.weights, groups, references.signal)
    again = np.flatnonzero(np.isnan(scores))
    again = again[references.defined[groups[again]]]
    lag = int(references.signal == "difference")

    def redo(begin: int, end: int) -> None:
        columns = again[begin:end]
        found = np.empty(len(columns), dtype=np.float32)
        rows = rows_of(losses, columns)
        correlate_rows(rows, references.trajectories, groups[columns].astype(np.int64), lag, found)
        scores[columns] = found

    for_ranges(redo, len(again), batch_columns(losses))
    return scores


def pair_sums(
    losses: NDArray[Any], pairs: PreparedPairs, groups: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """See `ltc_kernels.pair_sums`."""
    fast = _weighted_correlation(losses, pairs.weights, groups, pairs.signal)
    slow = np.isnan(fast)
    sums = np.where(slow, 0.0, fast).astype(np.float64)
    counts = np.where(slow, 0, pairs.counts[groups])
    begins = np.where(slow, pairs.starts[groups], pairs.incomplete_starts[groups])
    ends = pairs.starts[groups + 1]
    open_columns = np.flatnonzero(begins < ends)
    lag = int(pairs.signal == "difference")

    def add(begin: int, end: int) -> None:
        columns = open_columns[begin:end]
        rows, part_sums, part_counts = rows_of(losses, columns), sums[columns], counts[columns]
        add_pairs(
            rows, pairs.trajectories, begins[columns], ends[columns], lag, part_sums, part_counts
        )
        sums[columns], counts[columns] = part_sums, part_counts

    compared = len(losses) * int((ends - begins)[open_columns].sum())
    at_once = TASK_LOSSES * len(open_columns) // max(compared, 1)
    for_ranges(add, len(open_columns), min(max(at_once, 1), batch_columns(losses)))
    return sums, counts


def _weighted_correlation(
    losses: NDArray[Any], weights: NDArray[np.float32], groups: NDArray[np.int32], signal: Signal
) -> NDArray[np.float32]:
    """``(C S x) . weights[g] / |C S x|``, or NaN where the fast path has no answer."""
    num_checkpoints, num_train = losses.shape
    scores = np.full((1, max(num_train, LANES)), np.nan, dtype=np.float32)
    if signal_length(num_checkpoints, signal) < MINIMUM_VALUES or num_train == 0:
        return scores[0, :num_train]
    if num_train < LANES:
        losses = np.pad(losses, ((0, 0), (0, LANES - num_train)))
        groups = np.pad(groups, (0, LANES - num_train))
    bits = losses.view(np.uint16) if losses.dtype == np.float16 else losses

    def task(begin: int, end: int) -> None:
        correlate(bits, weights, groups, signal == "difference", begin, end, scores)

    share = losses.shape[1] // (TASKS_PER_THREAD * thread_count())
    for_ranges(task, losses.shape[1], min(max(share, LEAST_SAMPLES), MOST_SAMPLES))
    return scores[0, :num_train]


def batch_columns(losses: NDArray[Any]) -> int:
    """Columns whose float64 values fill ``BATCH_BYTES``."""
    return max(BATCH_BYTES // (8 * max(len(losses), 1)), 1)


def rows_of(losses: NDArray[Any], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Trajectories of a few samples as float64 rows, shape (n, T)."""
    return np.ascontiguousarray(losses[:, columns].T, dtype=np.float64)
