"""How many samples each class, and each stratum, contributes to a coreset.

Everything is computed in integers, so ties are exact and the shares add up to what was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def largest_remainder(k: int, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split `k` in proportion to `sizes`; what rounding down leaves goes to the largest remainders.

    Parameters
    ----------
    k : int
        What is split, at least 0.
    sizes : int64 [C]
        Weights, at least one of them above 0.

    Returns
    -------
    int64 [C]
        Shares that add up to `k`. Of equal remainders the lower class's comes first.

    Examples
    --------
    >>> largest_remainder(5, np.array([10, 10, 20]))
    array([1, 1, 3])
    >>> largest_remainder(2, np.array([1, 1, 1]))
    array([1, 1, 0])
    """
    shares, remainders = np.divmod(k * sizes, sizes.sum())
    left = k - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    return shares


def proportional_shares(
    k: int, sizes: NDArray[np.int64], room: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Split `k` in proportion to `sizes`, no share above `room`.

    What a class has no room for is split in the same way among the classes that have room left, on
    top of their shares, until nothing is left over.

    Parameters
    ----------
    k : int
        What is split, at most ``room.sum()``.
    sizes : int64 [C]
        Class sizes.
    room : int64 [C]
        The most that each class can give, at most its size.

    Returns
    -------
    int64 [C]
        Shares that add up to `k`.

    Examples
    --------
    The second class can give 1 of its 3; the first and third, equal in size, take over one each:

    >>> proportional_shares(9, np.array([30, 30, 30]), np.array([30, 1, 30]))
    array([4, 1, 4])
    """
    shares = np.zeros_like(room)
    while k:
        wanted = largest_remainder(k, np.where(shares < room, sizes, 0))
        given = np.minimum(wanted, room - shares)
        shares += given
        k -= int(given.sum())
    return shares


def equal_shares(k: int, room: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split `k` equally, no share above `room`.

    Classes that are not exhausted get the same number each, up to one more for the lower ones.

    Parameters
    ----------
    k : int
        What is split, at most ``room.sum()``.
    room : int64 [C]
        The most that each class can give.

    Returns
    -------
    int64 [C]
        Shares that add up to `k`.

    Examples
    --------
    >>> equal_shares(10, np.array([100, 2, 100]))
    array([4, 2, 4])
    >>> equal_shares(7, np.array([100, 100, 1]))
    array([3, 3, 1])
    """
    ascending = np.sort(room)
    # With the i smallest classes exhausted, the others would get levels[i] each.
    exhausted = np.cumsum(ascending) - ascending
    levels = (k - exhausted) // np.arange(room.size, 0, -1)
    with_surplus = np.flatnonzero(ascending > levels)
    if not with_surplus.size:
        return room.copy()
    level = int(levels[with_surplus[0]])
    shares: NDArray[np.int64] = np.minimum(room, level)
    left = k - int(shares.sum())
    shares[np.flatnonzero(room > level)[:left]] += 1
    return shares


def strata_shares(budgets: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split the budget of every group equally among its strata, smallest stratum first.

    Each stratum in turn is offered the budget that is left divided by the number of strata that are
    left, rounded down, and gives that or all it has; so what one lacks is passed on to larger ones.

    Parameters
    ----------
    budgets : int64 [G]
        Samples to take from each group, at most the group's size.
    sizes : int64 [G, S]
        Samples in each stratum.

    Returns
    -------
    int64 [G, S]
        Shares; each row adds up to its budget. Of strata of equal size the lower is first.

    Examples
    --------
    >>> strata_shares(np.array([10]), np.array([[40, 0, 2, 30]]))
    array([[4, 0, 2, 4]])
    """
    shares = np.zeros_like(sizes)
    visits = np.argsort(sizes, axis=1, kind="stable")
    left = budgets.copy()
    groups = np.arange(budgets.size)
    for visit, strata in enumerate(visits.T):
        given = np.minimum(sizes[groups, strata], left // (sizes.shape[1] - visit))
        shares[groups, strata] = given
        left -= given
    return shares


def cluster_shares(
    budgets: NDArray[np.int64], owners: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Split the budget of every group equally among its clusters, smallest cluster first.

    That is what :func:`strata_shares` does, for groups that have any number of clusters each: what
    a cluster lacks is passed on to larger ones, and what an equal split leaves over goes to the
    largest ones.

    Parameters
    ----------
    budgets : int64 [G]
        Samples to take from each group, at most the group's size.
    owners : int64 [c]
        The group of each cluster.
    sizes : int64 [c]
        Samples in each cluster.

    Returns
    -------
    int64 [c]
        Shares; those of a group add up to its budget. Of clusters of equal size the lower is first.

    Examples
    --------
    Two clusters of the first group have fewer than a third of 10; the second group has one:

    >>> cluster_shares(np.array([10, 4]), np.array([0, 0, 1, 0]), np.array([40, 1, 9, 2]))
    array([7, 1, 4, 2])
    """
    order = np.lexsort((sizes, owners))  # stable
    sizes, owners = sizes[order], owners[order]
    numbers = np.bincount(owners, minlength=budgets.size)
    ends = np.cumsum(numbers)
    waiting = ends[owners] - np.arange(order.size)  # clusters of the group from this one on
    before = np.concatenate(([0], np.cumsum(sizes)))  # samples in clusters before each
    taken = before[:-1] - before[ends - numbers][owners]
    # What there is for each that waits, if all smaller ones have given everything.
    levels = (budgets[owners] - taken) // waiting
    limited = sizes > levels  # from some cluster of a group on, all of them
    groups, firsts = np.unique(owners[limited], return_index=True)
    first = np.flatnonzero(limited)[firsts]
    # Those give as many as the first of them, and the last ones one more.
    level, more = np.zeros_like(budgets), np.zeros_like(budgets)
    level[groups] = levels[first]
    more[groups] = (budgets[groups] - taken[first]) % waiting[first]
    given = np.where(limited, level[owners] + (waiting <= more[owners]), sizes)
    shares = np.empty_like(given)
    shares[order] = given
    return shares
