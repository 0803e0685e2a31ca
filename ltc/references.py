"""References from the validation split, streamed from the store in tiles."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ltc.store import Store
from ltc_kernels import PreparedPairs, prepare_pairs
from ltc_kernels.algebra import Signal

BYTES_PER_LOSS = 40  # a stored loss beside its float64 value, mask, centred value and unit value


def mean_references(
    store: Store, rows: Sequence[int], groups: NDArray[np.int32], num_groups: int, *, memory: int
) -> tuple[NDArray[np.float64], int]:
    """Mean validation trajectory of each group over the samples observed (CLD, arXiv 2508.20230).

    Parameters
    ----------
    store : Store
        Where the losses are.
    rows : sequence of int
        Positions of the checkpoints, T of them.
    groups : ndarray of int32, shape (M,)
        Group of each validation sample, 0..C-1.
    num_groups : int
        C.
    memory : int
        Bytes that a tile and what is made of it may take.

    Returns
    -------
    means : ndarray of float64, shape (C, T)
        NaN where no sample of the group was observed.
    missing : int
        Losses that are missing, of M * T.
    """
    sums = np.zeros((len(rows), num_groups))
    counts = np.zeros((len(rows), num_groups), dtype=np.int64)
    for begin, losses in val_tiles(store, rows, memory=memory):
        group = groups[begin : begin + losses.shape[1]]
        for t, stored in enumerate(losses):
            observed = np.isfinite(stored)
            # One addition after the other, so that the size of a tile doesn't show in the last bit.
            np.add.at(sums[t], group[observed], stored[observed].astype(np.float64))
            counts[t] += np.bincount(group[observed], minlength=num_groups)
    with np.errstate(invalid="ignore"):  # 0 / 0: no sample of the group was observed
        means = np.ascontiguousarray((sums / counts).T)
    return means, len(rows) * store.num_val - int(counts.sum())


def pair_references(
    store: Store,
    rows: Sequence[int],
    groups: NDArray[np.int32],
    num_groups: int,
    *,
    signal: Signal,
    memory: int,
) -> Iterator[PreparedPairs]:
    """Every validation sample as a reference of its group, tile by tile; see `mean_references`."""
    for begin, losses in val_tiles(store, rows, memory=memory):
        group = groups[begin : begin + losses.shape[1]]
        yield prepare_pairs(losses, group, num_groups, signal=signal)


def val_tiles(
    store: Store, rows: Sequence[int], *, memory: int
) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """First sample and losses, shape (T, n), of consecutive tiles of the validation split."""
    step = max(memory // (BYTES_PER_LOSS * max(len(rows), 1)), 1)
    for begin in range(0, store.num_val, step):
        samples = slice(begin, min(begin + step, store.num_val))
        yield begin, store.read("val", samples=samples, checkpoints=list(rows))
