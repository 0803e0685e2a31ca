"""Scores of difficulty of complete trajectories, in one pass over the losses.

Bytes: every loss is read once from memory, and four are written per sample and kind. The passes
that follow go over the few columns of a block while they are in the first-level cache: losses;
probabilities, which leave ``1 - p`` of the block in a scratch of ``[T, LANES]``; windows, which
read that; states of right and wrong.

What varies is measured on ``1 - p``, which float32 holds to its own last place where a sample is
learned (`ltc_kernels.cpu.exponential`), and relative to a value of its own trajectory or window.
For a window of J values that shift is a member, so its distance from the mean is at most
sqrt(J - 1) standard deviations (Samuelson 1968), and one pass loses no more than log2(J) bits of
the squares. Sums run over `TILE` checkpoints, and those are added with compensation.

Of T checkpoints cut into stretches of J, a window is a suffix of one and a prefix of the next. The
last value of the first is in all these windows, and the shift of both parts: each value is added
twice and not J times, and none is ever taken out of a sum.

States: let a loss below ``right`` be right for certain, one above ``wrong`` wrong, and any between
them either. The fewest changes from right to wrong come of giving each open state that of the
certain one before it: they are the certain wrong states whose last certain state was right. The
most are disjoint pairs of neighbours of which the first may be right and the second wrong, which
are taken greedily from the first checkpoint on.

The mean of a column with a gap is NaN; the caller does that column again
(`ltc_kernels.cpu.difficulty_rows`).
"""

import math

import numpy as np
from numba import njit, types

from ltc_kernels.cpu.compensated import add
from ltc_kernels.cpu.exponential import ONE, probability
from ltc_kernels.cpu.simd import (
    LANES,
    TILE,
    ZERO,
    fma,
    load,
    prefetch,
    splat,
    sqrt,
    store,
    where_below,
)
from ltc_kernels.difficulty_kinds import (
    CONFIDENCE,
    CUMULATIVE,
    DUAL,
    DYN_UNC,
    FINAL,
    FORGETTING_LEAST,
    FORGETTING_MOST,
    LEAST,
    MEAN,
    VARIABILITY,
)

AHEAD = 4 * LANES  # samples from the block at work to the one asked for
UNDEFINED = np.float32(np.nan)


@njit(nogil=True, cache=True)
def _describe_losses(losses, i, out):
    num_checkpoints = losses.shape[0]
    least = load(losses, num_checkpoints - 1, i)
    store(least, out, FINAL, i)
    total = splat(ZERO)
    lost = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        part = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            prefetch(losses, t, i + AHEAD)
            loss = load(losses, t, i)
            part = part + loss
            least = where_below(loss, least, loss, least)
        total, lost = add(total, part, lost)
    store(total, out, CUMULATIVE, i)
    store(total / splat(np.float32(num_checkpoints)), out, MEAN, i)
    store(least, out, LEAST, i)


@njit(nogil=True, cache=True)
def _describe_probabilities(losses, i, doubts, out):
    """Mean and standard deviation of p; ``1 - p`` goes to ``doubts`` [T, LANES]."""
    num_checkpoints = losses.shape[0]
    count = splat(np.float32(num_checkpoints))
    _, last = probability(load(losses, num_checkpoints - 1, i))
    total = splat(ZERO)
    moved = splat(ZERO)
    lost_total = splat(ZERO)
    lost_moved = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        part = splat(ZERO)
        part_moved = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            p, doubt = probability(load(losses, t, i))
            store(doubt, doubts, t, 0)
            part = part + p
            part_moved = part_moved + (doubt - last)
        total, lost_total = add(total, part, lost_total)
        moved, lost_moved = add(moved, part_moved, lost_moved)
    mean = moved / count  # relative to the last value
    squares = splat(ZERO)
    lost = splat(ZERO)
    for begin in range(0, num_checkpoints, TILE):
        part = splat(ZERO)
        for t in range(begin, min(begin + TILE, num_checkpoints)):
            centred = load(doubts, t, 0) - last - mean
            part = fma(centred, centred, part)
        squares, lost = add(squares, part, lost)
    _store_probability(total / count, i, out, CONFIDENCE)
    _store_probability(sqrt(squares / count), i, out, VARIABILITY)


@njit(inline="always")
def _store_probability(values, i, out, row):
    """Store what was made of p, unless a loss is negative: then exp(-loss) is none."""
    negative = load(out, LEAST, i)
    store(where_below(negative, splat(ZERO), splat(UNDEFINED), values), out, row, i)


@njit(nogil=True, cache=True)
def _describe_windows(doubts, window, sums, i, out):
    """Mean over all windows of the standard deviation, and of it times the mean of ``1 - p``.

    Checkpoints are cut into stretches of ``window``. The windows that begin in one are a suffix of
    it and a prefix of the next; ``sums`` [2 J, LANES] holds those of all suffixes.
    """
    num_windows = doubts.shape[0] - window + 1
    share = splat(np.float32(1 / window))
    spreads = splat(ZERO)
    lost_spreads = splat(ZERO)
    products = splat(ZERO)
    lost_products = splat(ZERO)
    for stretch in range(0, num_windows, window):
        last = load(doubts, stretch + window - 1, 0)
        _sum_suffixes(doubts, stretch, window, last, sums)
        moved = splat(ZERO)
        squares = splat(ZERO)
        lost_moved = splat(ZERO)
        lost_squares = splat(ZERO)
        for begin in range(0, min(window, num_windows - stretch), TILE):
            part = splat(ZERO)
            part_squares = splat(ZERO)
            part_spreads = splat(ZERO)
            part_products = splat(ZERO)
            for k in range(begin, min(begin + TILE, window, num_windows - stretch)):
                all_moved = load(sums, k, 0) + (moved + part)
                all_squares = load(sums, window + k, 0) + (squares + part_squares)
                mean = all_moved * share  # relative to the last value of the stretch
                centred = all_squares - all_moved * mean
                centred = where_below(centred, splat(ZERO), splat(ZERO), centred)
                spread = sqrt(centred)
                part_spreads = part_spreads + spread
                part_products = fma(spread, last + mean, part_products)
                if stretch + window + k < doubts.shape[0]:
                    change = load(doubts, stretch + window + k, 0) - last
                    part = part + change
                    part_squares = fma(change, change, part_squares)
            moved, lost_moved = add(moved, part, lost_moved)
            squares, lost_squares = add(squares, part_squares, lost_squares)
            spreads, lost_spreads = add(spreads, part_spreads, lost_spreads)
            products, lost_products = add(products, part_products, lost_products)
    count = splat(np.float32(num_windows * math.sqrt(window - 1)))
    _store_probability(spreads / count, i, out, DYN_UNC)
    _store_probability(products / count, i, out, DUAL)


@njit(nogil=True, cache=True)
def _sum_suffixes(doubts, stretch, window, last, sums):
    """``sums[k]``: of the distances of values from ``k`` on to the last; then of their squares."""
    moved = splat(ZERO)
    squares = splat(ZERO)
    lost_moved = splat(ZERO)
    lost_squares = splat(ZERO)
    for end in range(window, 0, -TILE):
        part = splat(ZERO)
        part_squares = splat(ZERO)
        for k in range(end - 1, max(end - TILE, 0) - 1, -1):
            change = load(doubts, stretch + k, 0) - last
            part = part + change
            part_squares = fma(change, change, part_squares)
            store(moved + part, sums, k, 0)
            store(squares + part_squares, sums, window + k, 0)
        moved, lost_moved = add(moved, part, lost_moved)
        squares, lost_squares = add(squares, part_squares, lost_squares)


@njit(nogil=True, cache=True)
def _describe_forgetting(losses, right, wrong, i, out):
    num_checkpoints = losses.shape[0]
    certain_right = splat(right)
    certain_wrong = splat(wrong)
    zero = splat(ZERO)
    one = splat(ONE)
    fewest = zero
    most = zero
    learned = zero  # whether the last certain state was right
    may_drop = zero  # whether the state before may be right, and no pair has it
    for t in range(num_checkpoints):
        loss = load(losses, t, i)
        fewest = fewest + where_below(certain_wrong, loss, learned, zero)
        learned = where_below(loss, certain_right, one, learned)
        learned = where_below(certain_wrong, loss, zero, learned)
        dropped = where_below(loss, certain_right, zero, may_drop)
        most = most + dropped
        may_drop = where_below(certain_wrong, loss, zero, one - dropped)
    # Without a state that is right for certain, the sample may never have been learned.
    never = splat(np.float32(num_checkpoints))
    least = load(out, LEAST, i)
    last = load(out, FINAL, i)
    open_at_last = where_below(certain_wrong, last, one, zero)
    unlearned = where_below(certain_wrong, least, never, open_at_last)
    known = where_below(least, certain_right, fewest, unlearned)
    _store_probability(known, i, out, FORGETTING_LEAST)
    known = where_below(least, certain_right, most, never)
    _store_probability(known, i, out, FORGETTING_MOST)


def _describe(losses, window, right, wrong, probabilities, forgetting, begin, end, out):
    """Samples ``begin`` to ``end`` of ``out`` [kind, N]; N is at least ``LANES``.

    ``probabilities`` is 0 for none, 1 for those of whole trajectories, 2 for windows too.
    """
    doubts = np.empty((losses.shape[0] if probabilities else 0, LANES), np.float32)
    sums = np.empty((2 * window if probabilities > 1 else 0, LANES), np.float32)
    for block in range(begin, end, LANES):
        # The last block overlaps the one before it: the same sums, the same bits.
        i = min(block, losses.shape[1] - LANES)
        _describe_losses(losses, i, out)
        if probabilities > 0:
            _describe_probabilities(losses, i, doubts, out)
        if probabilities > 1:
            _describe_windows(doubts, window, sums, i, out)
        if forgetting:
            _describe_forgetting(losses, right, wrong, i, out)


def _signature(bits):
    return types.void(
        types.Array(bits, 2, "A", readonly=True),
        types.intp,
        types.float32,
        types.float32,
        types.intp,
        types.boolean,
        types.intp,
        types.intp,
        types.Array(types.float32, 2, "C"),
    )


describe = njit([_signature(types.uint16), _signature(types.float32)], nogil=True, cache=True)(
    _describe
)
