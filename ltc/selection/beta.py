"""Sampling by a Beta density of the confidence that follows the size of the coreset.

"Lightweight Dataset Pruning without Full Training via Example Difficulty and Prediction
Uncertainty" (DUAL, arXiv 2502.06905) draws without replacement, a sample of score s and mean
probability p of its label over the checkpoints with a chance proportional to

    s Beta(p; a, b),   b = C (1 - m) (1 - r^c),   a = C - b,

where r is the share that is left out, m the mean p of the samples with the highest scores, and C
and c are constants. The fewer samples are kept, the smaller is b: the density moves to easy ones.

C is 15 and m the mean of ten samples in the authors' code (github.com/behaapyy/dual-pruning), where
a is C + 1 - b; by a report of those who reproduced the paper's figures, they are those of C - b.

With fading f, which is not theirs, s is raised to the power of n / (n + f), where n samples of a
class are drawn: of a class that gets one or two, what is typical of it is worth more than what is
uncertain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONCENTRATION: Final = 15.0  # C
ANCHORS: Final = 10  # samples that m is the mean of
MARGIN: Final = 2.0**-24  # a probability is at least so far from 0 and 1, where densities may end


def beta_parameters(pruned: float, anchor: float, exponent: float) -> tuple[float, float]:
    """Return a and b.

    Parameters
    ----------
    pruned : float
        The share that is left out, r.
    anchor : float
        The mean confidence of the samples with the highest scores, m.
    exponent : float
        c.

    Examples
    --------
    >>> beta_parameters(0.5, anchor=0.4, exponent=1.0)
    (10.5, 4.5)
    """
    b = CONCENTRATION * (1 - anchor) * (1 - pruned**exponent)
    return CONCENTRATION - b, b


def power_of_scores(per_class: float, fading: float) -> float:
    """Return the power that scores are raised to; 1 without fading.

    Examples
    --------
    >>> power_of_scores(30.0, fading=10.0)
    0.75
    """
    return per_class / (per_class + fading)


def product_of_positive(
    scores: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return products of scores, 0 where one of the two isn't above 0, NaN where one is undefined.

    Examples
    --------
    >>> product_of_positive(np.array([0.5, -1, 2], np.float32), np.array([3, 3, -1], np.float32))
    array([1.5, 0. , 0. ], dtype=float32)
    """
    return np.maximum(scores, 0) * np.maximum(others, 0)


def log_weights(
    scores: NDArray[np.float32],
    confidence: NDArray[np.float64],
    a: float,
    b: float,
    power: float = 1.0,
) -> NDArray[np.float64]:
    """Return the logarithm of s^power Beta(p; a, b), up to a constant: -inf where s is not above 0.

    Parameters
    ----------
    scores : float32 [n]
        s.
    confidence : float64 [n]
        p, in 0..1.
    a, b : float
        As :func:`beta_parameters` makes them.
    power : float
        Above 0, as :func:`power_of_scores` makes it.

    Examples
    --------
    >>> scores, confidence = np.array([1, 2, -1], np.float32), np.array([0.5, 0.5, 0.5])
    >>> np.exp(log_weights(scores, confidence, a=3.0, b=2.0))
    array([0.125, 0.25 , 0.   ])
    """
    p = np.clip(confidence, MARGIN, 1 - MARGIN)
    with np.errstate(divide="ignore"):
        chances = power * np.log(np.maximum(scores, 0).astype(np.float64))
    chances += (a - 1) * np.log(p) + (b - 1) * np.log1p(-p)
    return chances
