"""Coverage: every cluster of a group contributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.selection.shares import cluster_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cells_and_shares(
    groups: NDArray[np.int32], clusters: NDArray[np.int64], budgets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cell of every sample, a cluster within its group, and how many each cell gives.

    Parameters
    ----------
    groups : int32 [n]
        In 0..G-1.
    clusters : int64 [n]
        Any integers; one number in two groups is two clusters.
    budgets : int64 [G]
        How many each group gives, at most all it has.

    Returns
    -------
    cells : int64 [n]
        Positions in `shares`, in the order of the groups and of the numbers of the clusters.
    shares : int64 [c]
        The budget of a group split equally among its clusters, what small ones lack passed on.

    Examples
    --------
    >>> groups, clusters = np.array([0, 0, 0, 1], np.int32), np.array([5, 9, 5, 5])
    >>> cells_and_shares(groups, clusters, np.array([3, 0]))
    (array([0, 1, 0, 2]), array([2, 1, 0]))
    """
    names, numbers = np.unique(clusters, return_inverse=True)
    keys, cells = np.unique(groups * np.int64(names.size) + numbers, return_inverse=True)
    owners = keys // max(names.size, 1)
    return cells, cluster_shares(budgets, owners, np.bincount(cells, minlength=keys.size))
