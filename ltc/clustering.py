"""`clusters`: training samples whose losses take a similar course, found by k-means in each class.

Centres are fitted to some samples of each class, which are held in memory; one more pass over the
store tells for every sample which centre it is nearest to. A missing value counts in no distance
and in no centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tqdm.auto import tqdm

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.lost_losses import warn_of_lost_losses
from ltc.score_plan import usable_checkpoints
from ltc.selection.draws import waiting_times
from ltc.selection.ranking import first_of_each, stable_order
from ltc.selection.shares import equal_shares
from ltc.store import Store, open_store
from ltc.tiles import parse_memory, read_tiles, tile_width
from ltc_kernels import add_group_sums, count_missing, nearest_centres
from ltc_kernels.checks import check_signal

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ltc_kernels.algebra import Signal

__all__ = ["clusters"]

FITTED: Final = 32  # samples for each cluster, at most, that its centre is fitted to
ROUNDS: Final = 10  # of k-means, at most: ten more gain a ten-thousandth of the squares
TILE_BYTES: Final = 40_000_000  # of what is made of a tile; larger arrays are slower to get
BYTES_PER_CENTRE_VALUE: Final = 28  # sums and counts in float64, centres twice in float32
BYTES_PER_SAMPLE: Final = 64  # of those in memory, beside their signal


def clusters(
    run: str | os.PathLike[str] | Store,
    *,
    per_class: int = 20,
    signal: str = "difference",
    checkpoints: slice | Sequence[int] | None = None,
    seed: int = 0,
    memory_limit: str | int = "512MB",
    progress: bool = False,
) -> NDArray[np.int32]:
    """Cluster the training samples of each class by the course of their losses.

    For ``scores.select(strategy="coverage", clusters=...)``, which takes samples from all of them.
    k-means (Lloyd) from centres that k-means++ chooses; that trajectories of losses tell kinds of
    samples apart is the idea of S2L (arXiv 2403.07384).

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    per_class : int
        Clusters in each class; fewer where the class has fewer different trajectories. Without
        labels, all samples are one class.
    signal : {"difference", "loss"}
        Cluster by consecutive differences of the losses, or by the losses.
    checkpoints : slice or sequence of int, optional
        Positions of the checkpoints to use, unique and ascending; all by default.
    seed : int
        The same seed gives the same clusters.
    memory_limit : str or int
        Bytes beyond results and labels (8 bytes per sample), such as ``"512MB"``. Centres are
        fitted to at most 32 samples for each cluster, drawn at random from the class, and to fewer
        where that much doesn't hold them. Drawing them takes 45 bytes per training sample for a
        moment, even where that is more.
    progress : bool
        Show a progress bar.

    Returns
    -------
    int32 array [N]
        The cluster of each training sample; those of class c are ``c * per_class`` and up.

    Warns
    -----
    UserWarning
        Losses that were recorded are lost; they count as missing.

    Raises
    ------
    StoreError
        Not a store, a lost chunk of labels, or a changed chunk.
    ArgumentValueError, ArgumentTypeError
        An argument that doesn't fit the store, or fewer than three signal values.

    Examples
    --------
    >>> import ltc
    >>> early, late = [3, 1, 1, 1, 1], [3, 3, 3, 3, 1]
    >>> train = np.array([early, late, early, late, late], np.float32).T
    >>> run = directory / "run.zarr"
    >>> ltc.write_store(run, train, train[:, :1], train_labels=[0, 0, 0, 0, 1], val_labels=[0])
    >>> ltc.clusters(run, per_class=2)
    array([0, 1, 0, 1, 2], dtype=int32)
    """
    store = run if isinstance(run, Store) else open_store(run)
    plan = _plan(store, per_class, signal, checkpoints, seed, parse_memory(memory_limit))
    found = np.empty(store.num_train, np.int32)
    with tqdm(
        total=2 * store.num_train,
        desc="cluster",
        unit=" samples",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        centres = _fitted_centres(plan, bar)
        missing = 0
        for begin, losses in read_tiles(store, plan.rows, plan.width):
            groups = plan.groups[begin : begin + losses.shape[1]]
            nearest, _ = nearest_centres(_signals(losses, plan.signal), centres, groups)
            # A class of which nothing was observed has no centre: it is one cluster.
            found[begin : begin + groups.size] = groups * per_class + np.maximum(nearest, 0)
            missing += count_missing(losses)
            bar.update(groups.size)
    warn_of_lost_losses(store, plan.rows, {"train": missing})
    return found


@dataclass(frozen=True, eq=False)
class _Plan:
    """What `clusters` was asked for, checked."""

    store: Store
    per_class: int
    signal: Signal
    rows: list[int]
    seed: int
    groups: NDArray[np.int32]  # [N], in 0..C-1
    num_groups: int
    affordable: int  # samples that memory holds for fitting
    width: int  # of a tile


def _plan(
    store: Store,
    per_class: Any,
    signal: str,
    checkpoints: slice | Sequence[int] | None,
    seed: Any,
    memory: int,
) -> _Plan:
    for name, value, least in (("per_class", per_class, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ArgumentTypeError(f"{name} must be an integer, got {value!r}")
        if value < least:
            raise ArgumentValueError(f"{name} must be at least {least}, got {value}")
    checked = check_signal(signal)
    rows, _ = usable_checkpoints(store, checked, checkpoints)
    labels = store.labels("train")
    groups = np.zeros(store.num_train, np.int32) if labels is None else labels
    num_groups = 1 + int(groups.max(initial=0))
    number = num_groups * int(per_class)
    left = memory - BYTES_PER_CENTRE_VALUE * number * len(rows)
    if number > np.iinfo(np.int32).max or left <= 0:
        raise ArgumentValueError(
            f"memory_limit must hold the centres of {num_groups} classes with {per_class} clusters "
            f"each, {-left / 1e6:.1f} MB more than it does"
        )
    return _Plan(
        store=store,
        per_class=int(per_class),
        signal=checked,
        rows=rows,
        seed=int(seed),
        groups=groups,
        num_groups=num_groups,
        affordable=max(left // 2 // (4 * len(rows) + BYTES_PER_SAMPLE), 1),
        width=_tile_width(store, len(rows), left // 2),
    )


def _tile_width(store: Store, num_checkpoints: int, memory: int) -> int:
    """Samples of a tile: what memory holds, but no more than is fast."""
    per_sample = 12 * num_checkpoints + BYTES_PER_SAMPLE  # the tile in float32, and its signal
    affordable = tile_width(
        store.num_train, store.chunk_samples, num_checkpoints, memory=memory, per_sample=per_sample
    )
    parts = -(-affordable * per_sample // TILE_BYTES)
    return -(-affordable // max(parts, 1))


def _signals(losses: NDArray[np.float16], signal: Signal) -> NDArray[np.float32]:
    """What samples are clustered by, shape (T', n)."""
    values = losses.astype(np.float32)
    return np.diff(values, axis=0) if signal == "difference" else values


def _fitted_centres(plan: _Plan, bar: Any) -> NDArray[np.float32]:
    """Centres of each class, shape (C, K, T'); NaN where a class has fewer."""
    bits = np.random.PCG64(plan.seed)
    picked = _picked(plan, bits)
    groups = plan.groups[picked]
    order = stable_order(groups.view(np.uint32))  # class by class, as kernels are fastest
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    groups = groups[order]
    signals = np.empty((len(plan.rows) - (plan.signal == "difference"), picked.size), np.float32)
    for begin, losses in read_tiles(plan.store, plan.rows, plan.width):
        first, last = np.searchsorted(picked, (begin, begin + losses.shape[1]))
        found = _signals(losses[:, picked[first:last] - begin], plan.signal)
        signals[:, places[first:last]] = found
        bar.update(losses.shape[1])
    shape = (plan.num_groups, plan.per_class, len(signals))

    def draw() -> NDArray[np.uint64]:
        return bits.random_raw(order.size)[order]  # to the same samples in whatever order

    return _settled(signals, groups, _first_centres(signals, groups, shape, draw))


def _picked(plan: _Plan, bits: np.random.PCG64) -> NDArray[np.int64]:
    """Samples that centres are fitted to, ascending: as many of each class, if it has so many."""
    room = np.bincount(plan.groups, minlength=plan.num_groups)
    room = np.minimum(room, FITTED * plan.per_class)
    counts = equal_shares(min(plan.affordable, int(room.sum())), room)
    keys = (bits.random_raw(plan.store.num_train) >> np.uint64(32)).astype(np.uint32)
    shuffled = stable_order(keys)
    return np.sort(shuffled[first_of_each(plan.groups[shuffled], counts)])


def _first_centres(
    signals: NDArray[np.float32],
    groups: NDArray[np.int32],
    shape: tuple[int, int, int],
    draw: Callable[[], NDArray[np.uint64]],
) -> NDArray[np.float32]:
    """Choose samples as centres, shape (C, K, T').

    k-means++: each further one with a chance proportional to its squared distance from the nearest
    of its class so far. What a chosen sample lacks is filled with the mean of its class.
    """
    num_groups, per_group, _ = shape
    centres = np.full(shape, np.nan, np.float32)
    means = np.nan_to_num(_means(signals, groups, num_groups))
    chances = np.isfinite(signals).any(axis=0).astype(np.float32)
    nearest = np.full(groups.size, np.inf, np.float32)
    for k in range(per_group):
        with np.errstate(divide="ignore"):
            waits = waiting_times(np.log(chances, dtype=np.float64), draw())
        soonest = np.full(num_groups, np.inf)
        np.minimum.at(soonest, groups, waits)
        first = np.flatnonzero((waits == soonest[groups]) & (waits < np.inf))
        chosen = first[np.unique(groups[first], return_index=True)[1]]
        if not chosen.size:
            break
        values = signals[:, chosen]
        values = np.where(np.isfinite(values), values, means[:, groups[chosen]])
        centres[groups[chosen], k] = values.T
        nearest = np.fmin(nearest, nearest_centres(signals, centres[:, k : k + 1], groups)[1])
        chances = np.where(chances > 0, nearest, 0)  # who was chosen is at distance 0
    return centres


def _settled(
    signals: NDArray[np.float32], groups: NDArray[np.int32], centres: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Move each centre to the mean of the samples that are nearest to it, until these stay."""
    num_groups, per_group, length = centres.shape
    before = np.empty(0, np.int32)
    for _ in range(ROUNDS):
        nearest, _ = nearest_centres(signals, centres, groups)
        if np.array_equal(nearest, before):
            break
        cells = groups.astype(np.int64) * per_group + np.maximum(nearest, 0)
        means = _means(signals, cells, num_groups * per_group)
        moved = means.T.reshape(num_groups, per_group, length).astype(np.float32)
        centres = np.where(np.isfinite(moved), moved, centres)
        before = nearest
    return centres


def _means(
    signals: NDArray[np.float32], groups: NDArray[Any], num_groups: int
) -> NDArray[np.float64]:
    """Mean signal of each group over what is observed, shape (T', C); NaN where nothing is."""
    sums = np.zeros((len(signals), num_groups))
    missing = np.zeros(sums.shape, np.int64)
    add_group_sums(signals, groups, sums, missing)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return sums / (np.bincount(groups, minlength=num_groups) - missing)
