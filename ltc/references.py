"""References from the validation split, streamed from the store in tiles."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ltc.store import Store
from ltc_kernels import PreparedPairs, add_group_sums, prepare_pairs
from ltc_kernels.algebra import Signal

STORED_BYTES = 2  # of a loss
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
    missing = np.zeros((len(rows), num_groups), dtype=np.int64)
    for begin, losses in val_tiles(store, rows, memory=memory, bytes_per_loss=STORED_BYTES):
        add_group_sums(losses, groups[begin : begin + losses.shape[1]], sums, missing)
    observed = np.bincount(groups, minlength=num_groups) - missing
    with np.errstate(invalid="ignore"):  # 0 / 0: no sample of the group was observed
        means = np.ascontiguousarray((sums / observed).T)
    return means, int(missing.sum())


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
    for begin, losses in val_tiles(store, rows, memory=memory, bytes_per_loss=BYTES_PER_LOSS):
        group = groups[begin : begin + losses.shape[1]]
        yield prepare_pairs(losses, group, num_groups, signal=signal)


def pairs_width(num_checkpoints: int, memory: int) -> int:
    """Validation samples that `pair_references` prepares at a time."""
    return _width(num_checkpoints, memory, BYTES_PER_LOSS)


def val_tiles(
    store: Store, rows: Sequence[int], *, memory: int, bytes_per_loss: int
) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """First sample and losses, shape (T, n), of consecutive tiles of the validation split."""
    step = _width(len(rows), memory, bytes_per_loss)
    for begin in range(0, store.num_val, step):
        samples = slice(begin, min(begin + step, store.num_val))
        yield begin, store.read("val", samples=samples, checkpoints=list(rows))


def _width(num_checkpoints: int, memory: int, bytes_per_loss: int) -> int:
    return max(memory // (bytes_per_loss * max(num_checkpoints, 1)), 1)
