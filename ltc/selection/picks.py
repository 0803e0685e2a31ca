"""Choosing which samples make a coreset.

The cutoff sets samples aside, every class is given a share of the coreset, and a strategy fills the
shares from what the cutoff leaves. What can't be filled comes from the samples set aside, best
first, and at last from the undefined ones: the size is always exact.

Every step sorts or counts all samples at once, so that 14 million of them take seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.selection.beta import (
    ANCHORS,
    beta_parameters,
    log_weights,
    power_of_scores,
    product_of_positive,
)
from ltc.selection.coverage import cells_and_shares
from ltc.selection.draws import waiting_times
from ltc.selection.ranking import best_first, first_of_each, numbered, stable_order
from ltc.selection.shares import equal_shares, proportional_shares, strata_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.selection.plan import SelectionPlan

STRATA = 50


def select(
    values: NDArray[np.float32], labels: NDArray[np.int32] | None, plan: SelectionPlan
) -> NDArray[np.int64]:
    """Carry out a plan.

    Parameters
    ----------
    values : float32 [N]
        Scores; NaN where undefined.
    labels : int32 [N] or None
        Non-negative classes.
    plan : SelectionPlan
        Made by :func:`ltc.selection.plan.plan_selection` for these N samples.

    Returns
    -------
    int64 [plan.k]
        Sample indices, ascending, each once.

    Examples
    --------
    >>> from ltc.selection.plan import plan_selection
    >>> values = np.array([0.9, 0.8, 0.7, 0.1, np.nan], np.float32)
    >>> labels = np.array([0, 0, 0, 1, 1], np.int32)
    >>> select(values, labels, plan_selection(5, labelled=True, k=3))
    array([0, 1, 3])
    """
    if not plan.k:
        return np.empty(0, np.int64)
    classes = np.zeros(values.size, np.int32) if labels is None else numbered(labels)[1]
    if plan.times is not None:
        values = product_of_positive(values, plan.times)
    if plan.confidence is not None:  # without one, a score is of no use
        values = np.where(np.isnan(plan.confidence), np.float32(np.nan), values)
    ranking = best_first(values)
    ranking = ranking[plan.candidates[ranking]]
    number_defined = int(np.count_nonzero(~np.isnan(values[ranking])))
    defined, undefined = np.split(ranking, [number_defined])
    kept = _above_cutoff(classes[defined], plan.cutoff)
    chosen = _from_pool(values, classes, defined[kept], plan)
    chosen = np.concatenate((chosen, defined[~kept], undefined))[: plan.k]
    chosen.sort()
    return chosen


def _above_cutoff(classes: NDArray[np.int32], cutoff: float) -> NDArray[np.bool_]:
    """Mark, among defined samples in the order of the ranking, those that the cutoff leaves."""
    sizes = np.bincount(classes)
    return first_of_each(classes, sizes - np.floor(cutoff * sizes).astype(np.int64))


def _from_pool(
    values: NDArray[np.float32],
    classes: NDArray[np.int32],
    pool: NDArray[np.int64],
    plan: SelectionPlan,
) -> NDArray[np.int64]:
    """Return what the strategy takes of `pool`, which is in the order of the ranking: k, or all."""
    groups = np.zeros_like(classes) if plan.balance is None else classes
    shares = _shares(groups, pool, plan)
    if plan.strategy == "top":
        return pool[first_of_each(groups[pool], shares)]
    if plan.confidence is not None:
        drawn = _drawn(values, classes, pool, plan, plan.confidence)
        return drawn[first_of_each(groups[drawn], shares)]
    shuffled = _shuffled(pool, values.size, plan.seed)
    if plan.strategy == "random":
        return shuffled[first_of_each(groups[shuffled], shares)]
    if plan.clusters is not None:
        cells = cells_and_shares(groups[shuffled], plan.clusters[shuffled], shares)
        return shuffled[first_of_each(*cells)]
    return shuffled[first_of_each(*_strata(values[shuffled], groups[shuffled], shares))]


def _shares(
    groups: NDArray[np.int32], pool: NDArray[np.int64], plan: SelectionPlan
) -> NDArray[np.int64]:
    """Return how many samples each group gives from the pool: k together, or all of it."""
    sizes = np.bincount(groups[plan.candidates])
    room = np.bincount(groups[pool], minlength=sizes.size)
    k = min(plan.k, pool.size)
    if plan.balance == "equal":
        return equal_shares(k, room)
    return proportional_shares(k, sizes, room)


def _strata(
    values: NDArray[np.float32], groups: NDArray[np.int32], shares: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cell ``group * STRATA + stratum`` of every sample, and how many each cell gives.

    The strata of a group divide the range from its lowest to its highest score into equal widths. A
    score on a bound belongs to the stratum above it, the highest one to the last.
    """
    lowest, highest = np.full(shares.size, np.inf), np.full(shares.size, -np.inf)
    np.minimum.at(lowest, groups, values)
    np.maximum.at(highest, groups, values)
    cells = strata_cells(values, groups, lowest, highest)
    sizes = np.bincount(cells, minlength=shares.size * STRATA).reshape(-1, STRATA)
    return cells, strata_shares(shares, sizes).ravel()


def strata_cells(
    values: NDArray[np.float32],
    groups: NDArray[np.integer[Any]],
    lowest: NDArray[np.float64],
    highest: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the cell ``group * STRATA + stratum`` of samples whose group has these ends [G]."""
    width = np.where(highest > lowest, highest - lowest, 1.0)  # all scores equal: stratum 0
    strata = ((values - lowest[groups]) * STRATA / width[groups]).astype(np.int64)
    cells: NDArray[np.int64] = np.minimum(strata, STRATA - 1) + groups.astype(np.int64) * STRATA
    return cells


def _drawn(
    values: NDArray[np.float32],
    classes: NDArray[np.int32],
    pool: NDArray[np.int64],
    plan: SelectionPlan,
    confidence: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the pool in the order of a draw with chances that :mod:`ltc.selection.beta` gives.

    Those without a chance come last, best first.
    """
    pruned = 1 - plan.k / int(np.count_nonzero(plan.candidates))
    anchor = float(confidence[pool[:ANCHORS]].mean()) if pool.size else 0.0
    a, b = beta_parameters(pruned, anchor, plan.exponent)
    raw = np.random.PCG64(plan.seed).random_raw(values.size)
    per_class = plan.k / max(1, int(np.count_nonzero(np.bincount(classes[pool]))))
    power = power_of_scores(per_class, plan.fading)
    weights = log_weights(values[pool], confidence[pool], a, b, power)
    return pool[np.argsort(waiting_times(weights, raw[pool]), kind="stable")]


def _shuffled(pool: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    """Return the pool in an order that depends on `seed` and on who is in it, not on the scores.

    Each of all `size` samples has a random key.
    """
    members = np.sort(pool)
    return members[stable_order(random_keys(seed, 0, size)[members])]


def random_keys(seed: int, begin: int, end: int) -> NDArray[np.uint32]:
    """Return the random keys, 32 bits each, of samples `begin` to `end`, which is not one of them.

    NumPy promises that the raw stream of a bit generator stays the same from version to version,
    but not `Generator.permutation`; and any part of the stream can be had without the rest.

    Examples
    --------
    >>> bool((random_keys(7, 100, 103) == random_keys(7, 0, 103)[100:]).all())
    True
    """
    stream = np.random.PCG64(seed).advance(begin)
    return (stream.random_raw(end - begin) >> np.uint64(32)).astype(np.uint32)
