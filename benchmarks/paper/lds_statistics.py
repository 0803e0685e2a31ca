"""The linear datamodeling scores of figure 5, and how far they can be trusted.

Three things were drawn by chance: the queries, the halves, and the models. Means are over queries
and models. Their spread over other queries and over other halves is that of bootstrap resamples;
that over models is shown as it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.paper.halves import ALL, Found
from ltc.evaluation import Interval, bootstrap_interval, lds

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Scored:
    """The linear datamodeling score of one method.

    Attributes
    ----------
    values : float64 [seed, Q]
        Of each model's scores, for each query.
    queries : Interval
        Their mean, and its interval over other queries.
    halves : float64 [resample]
        The mean over resamples of the halves, which are the same for all methods.
    averaged : float
        The mean over queries for scores that are averaged over the models.
    """

    values: NDArray[np.float64]
    queries: Interval
    halves: NDArray[np.float64]
    averaged: float


def scored(found: Found) -> dict[str, Scored]:
    """Return the score of each method, against the mean margin of each half's models."""
    outputs = found.outputs.mean(axis=1)
    marks = found.subsets.astype(np.float64)
    methods = {}
    for method in ALL:
        scores = found.scores[method].astype(np.float64)
        values = np.stack([lds(each, found.subsets, outputs) for each in scores])
        sums = np.stack([marks @ each.T for each in scores])
        methods[method] = Scored(
            values,
            bootstrap_interval(values.mean(axis=0), level=LEVEL),
            over_halves(sums, outputs),
            float(lds(scores.mean(axis=0), found.subsets, outputs).mean()),
        )
    return methods


def over_halves(
    sums: NDArray[np.float64],
    outputs: NDArray[np.float64],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the mean score over resamples of the halves, drawn with replacement; [resample].

    Halves are shared by all queries, so that resampling queries does not show what they add. Ranks
    are those among the halves that there are, not among each resample.

    Parameters
    ----------
    sums : float64 [seed, S, Q]
        Sums of scores over each half.
    outputs : float64 [S, Q]
        What models of the half say.
    resamples, seed : int
        How many, and of what generator: equal ones draw equal halves.
    """
    count = len(outputs)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    said = rankdata(outputs, axis=0)
    told = (rankdata(each, axis=0) for each in sums)
    return np.mean([_correlation(draws / count, each, said).mean(axis=1) for each in told], axis=0)


def ends(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval that resamples give, at `LEVEL`."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, (tail, 1 - tail))
    return float(low), float(high)


def _correlation(
    weights: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson's correlation of columns [S, Q] under each row of weights; [resample, Q]."""
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    means = weights @ left, weights @ right
    squares = [
        weights @ values**2 - mean**2 for values, mean in zip((left, right), means, strict=True)
    ]
    return (weights @ (left * right) - means[0] * means[1]) / np.sqrt(squares[0] * squares[1])


def retrained(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how well another model of each half tells what its models say, [Q].

    Spearman's correlation over the halves of one repeat with the mean of the others, averaged over
    repeats: the score that the margins of a repeat would have as a method.
    """
    count, repeats, _ = outputs.shape
    alone = np.eye(count, dtype=bool)  # each "half" is summed alone
    values = [
        lds(outputs[:, r].T, alone, np.delete(outputs, r, axis=1).mean(axis=1))
        for r in range(repeats)
    ]
    return np.mean(values, axis=0)


def bound(outputs: NDArray[np.float64]) -> float:
    """Return the most that a method can reach, given how repeats of one half differ.

    No method knows the seed of a repeat. If repeats are a common part and independent noise, the
    correlation r of two repeats is the share of the common part; the mean of R repeats has the
    share R r / (1 + (R - 1) r) (Spearman and Brown), and what knows the common part exactly
    correlates with it by the root of that. An estimate: r is a mean over queries and repeats.
    """
    count, repeats, _ = outputs.shape
    alone = np.eye(count, dtype=bool)
    pairs = [
        lds(outputs[:, first].T, alone, outputs[:, second]).mean()
        for second in range(repeats)
        for first in range(second)
    ]
    single = float(np.clip(np.mean(pairs), 0, 1))
    return float(np.sqrt(repeats * single / (1 + (repeats - 1) * single)))
