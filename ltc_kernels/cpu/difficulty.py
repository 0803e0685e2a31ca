"""Scores of difficulty on the CPU: blocks of complete trajectories, then the incomplete ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.cpu import LEAST_SAMPLES, MOST_SAMPLES, TASKS_PER_THREAD, batch_columns, rows_of
from ltc_kernels.cpu.difficulty_blocks import describe
from ltc_kernels.cpu.difficulty_rows import describe_rows
from ltc_kernels.cpu.simd import LANES
from ltc_kernels.cpu.threads import for_ranges, thread_count
from ltc_kernels.difficulty_kinds import FORGETTING, KINDS, MEAN, OF_LOSSES, WINDOWED
from ltc_kernels.difficulty_kinds import fewest_values as fewest

__all__ = ["difficulty"]


def difficulty(
    losses: NDArray[Any], kinds: tuple[str, ...], window: int, certain: tuple[float, float]
) -> NDArray[np.float32]:
    """See `ltc_kernels.difficulty`."""
    num_checkpoints, num_samples = losses.shape
    described = np.full((len(KINDS), max(num_samples, LANES)), np.nan, dtype=np.float32)
    if num_checkpoints and num_samples:
        _describe_blocks(losses, kinds, window, certain, described)
        for row, kind in enumerate(KINDS):
            if num_checkpoints < fewest(kind, window):
                described[row] = np.nan
    described = described[:, :num_samples]
    again = np.flatnonzero(~np.isfinite(described[MEAN]))

    def redo(begin: int, end: int) -> None:
        columns = again[begin:end]
        found = np.empty((len(columns), len(KINDS)), dtype=np.float32)
        describe_rows(rows_of(losses, columns), window, *certain, found)
        described[:, columns] = found.T

    if num_checkpoints:
        for_ranges(redo, len(again), batch_columns(losses))
    return described[[KINDS.index(kind) for kind in kinds]]


def _describe_blocks(
    losses: NDArray[Any],
    kinds: tuple[str, ...],
    window: int,
    certain: tuple[float, float],
    described: NDArray[np.float32],
) -> None:
    """Fill the rows that are asked for, with NaN for a sample of which something is missing."""
    wanted = set(kinds) - set(OF_LOSSES) - set(FORGETTING)
    windows = bool(wanted & set(WINDOWED)) and window <= len(losses)
    probabilities = 2 if windows else int(bool(wanted))
    forgetting = bool(set(kinds) & set(FORGETTING))
    right, wrong = _in_float32(certain)
    if losses.shape[1] < LANES:
        losses = np.pad(losses, ((0, 0), (0, LANES - losses.shape[1])))
    bits = losses.view(np.uint16) if losses.dtype == np.float16 else losses

    def task(begin: int, end: int) -> None:
        describe(bits, window, right, wrong, probabilities, forgetting, begin, end, described)

    share = losses.shape[1] // (TASKS_PER_THREAD * thread_count())
    for_ranges(task, losses.shape[1], min(max(share, LEAST_SAMPLES), MOST_SAMPLES))


def _in_float32(certain: tuple[float, float]) -> tuple[np.float32, np.float32]:
    """Bounds that divide all float32 as the given ones do: below the first, above the second."""
    right, wrong = np.float32(certain[0]), np.float32(certain[1])
    if float(right) < certain[0]:
        right = np.nextafter(right, np.float32(np.inf))
    if float(wrong) > certain[1]:
        wrong = np.nextafter(wrong, np.float32(-np.inf))
    return right, wrong
