"""Which samples of a range stand for election, in which cell, and before whom.

Selecting by counts never has all samples at once. It looks at *blocks*, ranges of samples, each of
which can be told by itself: whose order is asked for (`Rule.members`), and who comes before the
last one that is taken (`Thresholds.before`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from ltc.selection.picks import STRATA, random_keys, strata_cells
from ltc.selection.ranking import falling_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.selection.plan import Strategy

__all__ = ["KEYS", "Block", "Members", "Part", "Rule", "Thresholds"]

KEYS = 1 << 32
"""How many keys there are."""

Part: TypeAlias = Literal["defined", "pool", "aside", "undefined"]
"""Samples with a score, by class; of them, those that the cutoff leaves, in the cells of the
strategy; those that it sets aside; and samples without a score."""


class Block(NamedTuple):
    """A range of samples."""

    begin: int
    values: NDArray[np.float32]  # [n]
    labels: NDArray[np.int32] | None  # [n]
    excluded: NDArray[np.int64]  # indices in the range, ascending


class Members(NamedTuple):
    """Samples of a block: index, cell, and key, by which they are ordered within the cell."""

    indices: NDArray[np.int64]
    cells: NDArray[np.int64]
    keys: NDArray[np.uint32]

    def where(self, mask: NDArray[np.bool_]) -> Members:
        """Return those that are marked."""
        return Members(self.indices[mask], self.cells[mask], self.keys[mask])


@dataclass(frozen=True, eq=False)
class Thresholds:
    """For every cell, the first sample, by key and then by index, that is not taken."""

    keys: NDArray[np.int64]  # [cell]
    indices: NDArray[np.int64]  # [cell]

    @classmethod
    def none(cls, cells: int) -> Thresholds:
        """Return thresholds that take nobody."""
        return cls(np.zeros(cells, np.int64), np.zeros(cells, np.int64))

    @classmethod
    def all(cls, cells: int) -> Thresholds:
        """Return thresholds that take everybody."""
        return cls(np.full(cells, KEYS), np.zeros(cells, np.int64))

    def before(self, members: Members) -> NDArray[np.bool_]:
        """Tell of each member whether it comes before its cell's threshold."""
        keys = self.keys[members.cells]
        first = self.indices[members.cells]
        ties = (members.keys == keys) & (members.indices < first)
        before: NDArray[np.bool_] = (members.keys < keys) | ties
        return before


@dataclass(frozen=True, eq=False)
class Rule:
    """How samples are told apart, as far as it is known.

    Attributes
    ----------
    names : int64 [C] or None
        Labels of the classes, ascending; None where all samples are one class.
    by_class : bool
        Whether a class is a group of its own in the pool, or all of them are one.
    strategy, seed
        As in `SelectionPlan`.
    kept : Thresholds [C] or None
        Of the classes, by falling score: what the cutoff leaves. None: everything.
    lowest, highest : float64 [G] or None
        The range of the scores that each group of the pool has; for ``"stratified"``.
    """

    names: NDArray[np.int64] | None
    by_class: bool
    strategy: Strategy
    seed: int
    kept: Thresholds | None = None
    lowest: NDArray[np.float64] | None = None
    highest: NDArray[np.float64] | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return 1 if self.names is None else self.names.size

    @property
    def num_groups(self) -> int:
        """Number of groups of the pool, G."""
        return self.num_classes if self.by_class else 1

    @property
    def num_cells(self) -> int:
        """Number of cells of the pool: the groups, or the strata of all groups."""
        return self.num_groups * (1 if self.lowest is None else STRATA)

    def members(self, block: Block, part: Part) -> Members:
        """Return the samples of a block that are in a part, by ascending index."""
        wanted = np.isnan(block.values) == (part == "undefined")
        wanted[block.excluded - block.begin] = False
        positions = np.flatnonzero(wanted)
        indices = positions + block.begin
        if part == "undefined":
            nothing = np.zeros(positions.size, np.int64)
            return Members(indices, nothing, nothing.astype(np.uint32))
        everybody = positions.size == block.values.size
        values = block.values if everybody else block.values[positions]
        by_class = Members(indices, self._classes(block, positions), falling_keys(values))
        if part == "defined":
            return by_class
        if self.kept is not None:
            left = self.kept.before(by_class)
            by_class = by_class.where(left if part == "pool" else ~left)
        elif part == "aside":
            by_class = by_class.where(np.zeros(indices.size, np.bool_))
        cells = by_class.cells
        if part == "aside" or not self.by_class:
            cells = np.zeros(cells.size, np.int64)
        if part == "aside" or self.strategy == "top":
            return by_class._replace(cells=cells)
        return self._by_chance(block, by_class.indices, cells)

    def _by_chance(
        self, block: Block, indices: NDArray[np.int64], cells: NDArray[np.int64]
    ) -> Members:
        positions = indices - block.begin
        if self.lowest is not None and self.highest is not None:
            values = block.values[positions]
            cells = strata_cells(values, cells, self.lowest, self.highest)
        drawn = random_keys(self.seed, block.begin, block.begin + block.values.size)
        return Members(indices, cells, drawn[positions])

    def _classes(self, block: Block, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.names is None or block.labels is None:
            return np.zeros(positions.size, np.int64)
        labels = block.labels[positions]
        # Mostly 0, 1, 2, ...; otherwise each label is looked up.
        if self.names.size and self.names[-1] == self.names.size - 1:
            return labels.astype(np.int64)
        return np.searchsorted(self.names, labels)
