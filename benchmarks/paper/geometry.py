"""Coresets from where samples lie in a feature space: herding and k-centre, both greedy.

Both give an order, so that a smaller coreset is the beginning of a larger one.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Order: TypeAlias = Callable[[NDArray[np.floating], int], NDArray[np.int64]]


def herding(features: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Return `count` positions; each brings the mean of those so far nearest to that of all.

    Welling, "Herding dynamical weights to learn" (ICML 2009), in the form in which iCaRL takes
    exemplars (arXiv 1611.07725, algorithm 4). `features` are [n, d]; ties go to the lower position.
    """
    points = np.asarray(features, np.float64)
    mean, lengths = points.mean(0), np.square(points).sum(1)
    total, taken = np.zeros_like(mean), np.empty(count, np.int64)
    open_ = np.zeros(len(points))
    for k in range(count):
        # |k mean - (total + x)|^2 for k = 1, 2, ..., less what is the same for all x.
        distance = lengths - 2 * points @ ((k + 1) * mean - total) + open_
        taken[k] = best = distance.argmin()
        open_[best] = np.inf
        total += points[best]
    return taken


def k_centre(features: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Return `count` positions; each is the farthest from its nearest among those so far.

    Sener and Savarese, arXiv 1708.00489, algorithm 1; the first is the nearest to the mean.
    `features` are [n, d]; ties go to the lower position.
    """
    points = np.asarray(features, np.float64)
    taken = np.empty(count, np.int64)
    nearest = np.full(len(points), np.inf)
    best = int(_squared(points, points.mean(0)).argmin())
    for k in range(count):
        taken[k] = best
        np.minimum(nearest, _squared(points, points[best]), out=nearest)
        nearest[best] = -1  # never again, not even among copies
        best = int(nearest.argmax())
    return taken


def class_order(
    order: Order, features: NDArray[np.floating], labels: NDArray[np.int64], share: float
) -> NDArray[np.float32]:
    """Return scores float32 [N] whose ranking within each class is a greedy order.

    The order is followed for `share` of each class, rounded up; samples beyond have no score (NaN).
    """
    scores = np.full(len(labels), np.nan, np.float32)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(len(members), int(np.ceil(share * len(members))) + 1)
        scores[members[order(features[members], count)]] = -np.arange(count)
    return scores


def _squared(points: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.square(points - centre).sum(1)
