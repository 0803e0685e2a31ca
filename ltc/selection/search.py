"""The first so many members of every cell, found by counting.

Of a cell it is known in which range of keys its threshold lies. A *pass* over all blocks divides
each range into bins and counts the members in them; that leaves the bin in which the count is
reached. Where a range is one key, its members tie, and bins are ranges of their indices. When the
members in all ranges are few they are fetched, and the threshold is read off. So a pass makes
tables whose size depends on the number of cells and not on that of samples, and what it adds up to
doesn't depend on who counted what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np

from ltc.selection.members import KEYS, Block, Members, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ltc.selection.members import Part, Rule

__all__ = ["Fold", "Limits", "add", "first_members"]

_FEW_BITS = 5

_Result = TypeVar("_Result")

Found: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]"
"""Range, key and index of members that were fetched."""


class Fold(Protocol):
    """A pass: a function of every block, the results merged two by two, in any order."""

    def __call__(
        self,
        function: Callable[[Block], _Result],
        merge: Callable[[_Result, _Result], _Result],
    ) -> _Result:
        """Return what all results merge to."""


@dataclass(frozen=True)
class Limits:
    """How much a pass may bring back.

    Attributes
    ----------
    table : int
        Entries of a table of counts, 8 bytes each: ranges and bins. Eight times as many if there
        would be fewer than 32 bins otherwise, and always two bins.
    fetched : int
        Members in all ranges that are fetched, 20 bytes each, instead of counted.
    """

    table: int = 1 << 18
    fetched: int = 1 << 18

    def bits(self, ranges: int, members: int) -> int:
        """Return how many bits number the bins of so many ranges, with so many members at most.

        Examples
        --------
        >>> [Limits().bits(ranges, 10**9) for ranges in (1, 1_000, 50_000, 1_000_000)]
        [18, 8, 5, 1]
        """
        bits = _floor_log2(self.table // ranges)
        if bits < _FEW_BITS:
            bits = min(_floor_log2(8 * self.table // ranges), _FEW_BITS)
        return max(min(bits, _floor_log2(members)), 1)


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Where the thresholds lie that are still looked for, [range] each.

    Keys ``low`` to ``high - 1``; where that is one key, indices ``first`` to ``last - 1``.
    """

    slots: NDArray[np.int32]  # [cell]: its range, -1 for none
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @property
    def tied(self) -> NDArray[np.bool_]:
        tied: NDArray[np.bool_] = self.high - self.low == 1
        return tied

    def shifts(self, bits: int) -> NDArray[np.int64]:
        """Return by how many bits what lies in a range is shifted to give one of 2**bits bins."""
        width = np.where(self.tied, self.last - self.first, self.high - self.low)
        return np.maximum(_bit_length(width - 1) - bits, 0)

    def inside(self, members: Members) -> tuple[NDArray[np.int64], Members]:
        """Return the members that lie in ranges, and which these are."""
        slots = self.slots[members.cells]
        keys = members.keys
        inside = (slots >= 0) & (keys >= self.low[slots]) & (keys < self.high[slots])
        tied = inside & self.tied[slots]
        if tied.any():
            indices = members.indices
            inside &= ~tied | ((indices >= self.first[slots]) & (indices < self.last[slots]))
        return slots[inside].astype(np.int64), members.where(inside)


def first_members(
    fold: Fold,
    rule: Rule,
    part: Part,
    wanted: NDArray[np.int64],
    sizes: NDArray[np.int64],
    *,
    num_samples: int,
    limits: Limits,
) -> Thresholds:
    """Find the thresholds before which each cell has as many members as are wanted.

    Parameters
    ----------
    fold : Fold
        Makes passes.
    rule : Rule
        Says who is a member, and of which cell.
    part : str
        Of which samples.
    wanted : int64 [cell]
        At most the cell's size.
    sizes : int64 [cell]
        Number of members in each cell.
    num_samples : int
        All samples, N.
    limits : Limits
        What a pass may bring back.

    Returns
    -------
    Thresholds [cell]
    """
    found = Thresholds(np.where(wanted < sizes, 0, KEYS), np.zeros(wanted.size, np.int64))
    cells = np.flatnonzero((wanted > 0) & (wanted < sizes))
    left, inside = wanted[cells], sizes[cells]
    ranges = _Ranges(
        slots=_slots(cells, wanted.size),
        low=np.zeros(cells.size, np.int64),
        high=np.full(cells.size, KEYS),
        first=np.zeros(cells.size, np.int64),
        last=np.full(cells.size, num_samples),
    )
    while cells.size and inside.sum() > limits.fetched:
        bits = limits.bits(cells.size, int(inside.max()))
        counting = partial(_count, rule=rule, part=part, ranges=ranges, bits=bits)
        table = fold(counting, add).reshape(cells.size, -1)
        ranges, left, inside = _narrowed(ranges, table, left, bits)
        # All of a range, or none: its end is the threshold.
        whole, ends = left == inside, np.where(ranges.tied, ranges.low, ranges.high)
        found.keys[cells[whole]] = ends[whole]
        found.indices[cells[whole]] = np.where(ranges.tied, ranges.last, 0)[whole]
        cells, left, inside = cells[~whole], left[~whole], inside[~whole]
        ranges = replace(
            ranges,
            slots=_slots(cells, wanted.size),
            low=ranges.low[~whole],
            high=ranges.high[~whole],
            first=ranges.first[~whole],
            last=ranges.last[~whole],
        )
    if cells.size:
        fetching = partial(_fetch, rule=rule, part=part, ranges=ranges)
        slots, keys, indices = fold(fetching, _joined)
        order = np.lexsort((indices, keys, slots))
        last = order[np.searchsorted(slots[order], np.arange(cells.size)) + left - 1]
        found.keys[cells], found.indices[cells] = keys[last], indices[last] + 1
    return found


def add(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge two tables of counts."""
    return one + other


def _count(
    block: Block, *, rule: Rule, part: Part, ranges: _Ranges, bits: int
) -> NDArray[np.int64]:
    """Count the members in each of the 2**bits bins of every range."""
    slots, members = ranges.inside(rule.members(block, part))
    tied = ranges.tied[slots]
    offsets = np.where(
        tied,
        members.indices - ranges.first[slots],
        members.keys - ranges.low[slots],
    )
    bins = (slots << bits) + (offsets >> ranges.shifts(bits)[slots])
    return np.bincount(bins, minlength=ranges.low.size << bits)


def _fetch(block: Block, *, rule: Rule, part: Part, ranges: _Ranges) -> Found:
    slots, members = ranges.inside(rule.members(block, part))
    return slots, members.keys, members.indices


def _joined(one: Found, other: Found) -> Found:
    return (
        np.concatenate((one[0], other[0])),
        np.concatenate((one[1], other[1])),
        np.concatenate((one[2], other[2])),
    )


def _narrowed(
    ranges: _Ranges, table: NDArray[np.int64], left: NDArray[np.int64], bits: int
) -> tuple[_Ranges, NDArray[np.int64], NDArray[np.int64]]:
    """Return the bins in which the counts are reached, what is left to count, and their members."""
    upto = np.cumsum(table, axis=1)
    bins = np.argmax(upto >= left[:, None], axis=1)
    rows = np.arange(left.size)
    inside = table[rows, bins]
    left = left - (upto[rows, bins] - inside)
    shifts, tied = ranges.shifts(bits), ranges.tied
    begin, end = bins << shifts, (bins + 1) << shifts
    narrowed = replace(
        ranges,
        low=np.where(tied, ranges.low, ranges.low + begin),
        high=np.where(tied, ranges.high, np.minimum(ranges.low + end, ranges.high)),
        first=np.where(tied, ranges.first + begin, ranges.first),
        last=np.where(tied, np.minimum(ranges.first + end, ranges.last), ranges.last),
    )
    return narrowed, left, inside


def _slots(cells: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    slots = np.full(size, -1, np.int32)
    slots[cells] = np.arange(cells.size)
    return slots


def _floor_log2(number: int) -> int:
    return number.bit_length() - 1


def _bit_length(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many bits each of these numbers has; at most 2**53, so that floats are exact."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
