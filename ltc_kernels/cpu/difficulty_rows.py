"""Scores of difficulty over the losses observed, in float64: the exact path for few columns.

Trajectories are rows here. What is missing is left out of a trajectory first; everything else is
said of the checkpoints that remain, neighbours among them being consecutive.
"""

import math

import numpy as np
from numba import njit, types

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


@njit(nogil=True, cache=True)
def _mean_and_squares(values):
    mean = 0.0
    for value in values:
        mean += value
    mean /= len(values)
    squares = 0.0
    for value in values:
        squares += (value - mean) * (value - mean)
    return mean, squares


@njit(nogil=True, cache=True)
def _describe_losses(seen, num_checkpoints, out):
    mean, _ = _mean_and_squares(seen)
    out[CUMULATIVE] = mean * num_checkpoints
    out[MEAN] = mean
    out[FINAL] = seen[-1]
    out[LEAST] = seen.min()


@njit(nogil=True, cache=True)
def _describe_probabilities(seen, doubts, window, out):
    total = 0.0
    for t in range(len(seen)):
        doubts[t] = -math.expm1(-seen[t])
        total += math.exp(-seen[t])
    out[CONFIDENCE] = total / len(seen)
    if len(seen) > 1:
        _, squares = _mean_and_squares(doubts)
        out[VARIABILITY] = math.sqrt(squares / len(seen))
    num_windows = len(seen) - window + 1
    if num_windows > 0:
        spreads = 0.0
        products = 0.0
        for first in range(num_windows):
            mean, squares = _mean_and_squares(doubts[first : first + window])
            spread = math.sqrt(squares / (window - 1))
            spreads += spread
            products += spread * mean
        out[DYN_UNC] = spreads / num_windows
        out[DUAL] = products / num_windows


@njit(nogil=True, cache=True)
def _describe_forgetting(seen, right, wrong, out):
    """See `ltc_kernels.cpu.difficulty_blocks`."""
    fewest = 0
    most = 0
    learned = False
    may_drop = False
    for loss in seen:
        fewest += learned and loss > wrong
        learned = loss < right or (learned and loss <= wrong)
        dropped = may_drop and loss >= right
        most += dropped
        may_drop = loss <= wrong and not dropped
    least = seen.min()
    if least >= right:
        most = len(seen)
        fewest = int(seen[-1] > wrong) if least <= wrong else len(seen)
    out[FORGETTING_LEAST] = fewest
    out[FORGETTING_MOST] = most


@njit(
    types.void(
        types.Array(types.float64, 2, "C", readonly=True),
        types.intp,
        types.float64,
        types.float64,
        types.Array(types.float32, 2, "C"),
    ),
    nogil=True,
    cache=True,
)
def describe_rows(rows, window, right, wrong, out):
    """``out[i]``: all kinds of ``rows[i]``, in their order; NaN where too little was observed."""
    num_checkpoints = rows.shape[1]
    observed = np.empty(num_checkpoints)
    doubts = np.empty(num_checkpoints)
    for i in range(len(rows)):
        count = 0
        for loss in rows[i]:
            if math.isfinite(loss):
                observed[count] = loss
                count += 1
        out[i] = math.nan
        if count == 0:
            continue
        seen = observed[:count]
        _describe_losses(seen, num_checkpoints, out[i])
        if out[i, LEAST] >= 0:  # else exp(-loss) is no probability
            _describe_probabilities(seen, doubts[:count], window, out[i])
            if count > 1:
                _describe_forgetting(seen, right, wrong, out[i])
