"""Selecting without having all samples at once: a few passes of counts, then thresholds.

The result is that of :func:`ltc.selection.picks.select`, sample by sample, for blocks of any width
in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from ltc.errors import ArgumentValueError
from ltc.selection.members import Block, Part, Rule, Thresholds
from ltc.selection.picks import STRATA
from ltc.selection.ranking import numbered
from ltc.selection.search import Limits, add, first_members
from ltc.selection.shares import equal_shares, proportional_shares, strata_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ltc.selection.plan import SelectionPlan, Strategy
    from ltc.selection.search import Fold

__all__ = ["COUNTED", "Choice", "check_counted", "choose", "cut", "fold_over"]

COUNTED: Final = ("top", "stratified", "random")
"""The strategies that can be carried out by counting."""

Ends: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]]"
MOST_CLASSES: Final = 1 << 22
LIMITS: Final = Limits()


class Sizes(NamedTuple):
    """Of the classes that have samples: their labels, all that are not excluded, the defined."""

    names: NDArray[np.int64]
    candidates: NDArray[np.int64]
    defined: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """What was selected: enough to tell of any block which of its samples were."""

    rule: Rule
    parts: tuple[tuple[Part, Thresholds], ...]

    def indices(self, block: Block) -> NDArray[np.int64]:
        """Return the selected samples of a block, ascending."""
        found = [np.empty(0, np.int64)]
        for part, thresholds in self.parts:
            members = self.rule.members(block, part)
            found.append(members.indices[thresholds.before(members)])
        return np.sort(np.concatenate(found))


def choose(plan: SelectionPlan, *, labelled: bool, fold: Fold, limits: Limits = LIMITS) -> Choice:
    """Carry out a plan by passes over all blocks.

    Parameters
    ----------
    plan : SelectionPlan
        What to select.
    labelled : bool
        Whether the blocks have labels.
    fold : Fold
        Makes passes.
    limits : Limits
        What a pass may bring back.

    Returns
    -------
    Choice

    Raises
    ------
    ArgumentValueError
        Another strategy than those of `COUNTED`, or too many classes to count them.

    Examples
    --------
    >>> from ltc.selection.plan import plan_selection
    >>> values = np.array([0.9, 0.8, 0.7, 0.1, np.nan], np.float32)
    >>> labels = np.array([0, 0, 0, 1, 1], np.int32)
    >>> plan = plan_selection(5, labelled=True, k=3)
    >>> blocks = list(cut(values, labels, plan.excluded, width=2))
    >>> choice = choose(plan, labelled=True, fold=fold_over(blocks))
    >>> [choice.indices(block).tolist() for block in blocks]
    [[0, 1], [3], []]
    """
    check_counted(plan.strategy)
    rule = Rule(
        names=None,
        by_class=plan.balance is not None,
        strategy=plan.strategy,
        seed=plan.seed,
    )
    if not plan.k:
        return Choice(rule, ())
    sizes = fold(_sizes, _merged_sizes)
    if sizes.names.size > MOST_CLASSES:
        raise ArgumentValueError(
            f"labels must be of at most {MOST_CLASSES:,} classes to select in blocks, got "
            f"{sizes.names.size:,}"
        )
    if labelled:
        rule = replace(rule, names=sizes.names)
    return _chosen(plan, rule, sizes, _Passes(fold, plan.size, limits))


def check_counted(strategy: Strategy) -> None:
    """Check that a strategy is one that can be carried out by counting.

    Raises
    ------
    ArgumentValueError
        It isn't.
    """
    if strategy not in COUNTED:
        raise ArgumentValueError(
            f"strategy must be one of {', '.join(map(repr, COUNTED))} to select in blocks, got "
            f"{strategy!r}"
        )


@dataclass(frozen=True)
class _Passes:
    """What all searches have in common."""

    fold: Fold
    num_samples: int
    limits: Limits

    def first(
        self, rule: Rule, part: Part, wanted: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Thresholds:
        """Return what has as many members as are wanted before it, of each cell."""
        return first_members(
            self.fold, rule, part, wanted, sizes, num_samples=self.num_samples, limits=self.limits
        )


def _chosen(plan: SelectionPlan, rule: Rule, sizes: Sizes, passes: _Passes) -> Choice:
    defined = int(sizes.defined.sum())
    if plan.k >= defined:
        undefined = np.array([sizes.candidates.sum() - defined])
        rest = passes.first(rule, "undefined", np.array([plan.k - defined]), undefined)
        everybody = Thresholds.all(rule.num_classes)
        return Choice(rule, (("defined", everybody), ("undefined", rest)))
    room = sizes.defined - np.floor(plan.cutoff * sizes.defined).astype(np.int64)
    pool = int(room.sum())
    # The best of a class are the same with and without what is set aside below them.
    if pool < defined and (plan.strategy != "top" or not rule.by_class or plan.k > pool):
        rule = replace(rule, kept=passes.first(rule, "defined", room, sizes.defined))
    if plan.k < pool:
        return _chosen_from_pool(plan, rule, sizes, room, passes)
    rest = passes.first(rule, "aside", np.array([plan.k - pool]), np.array([defined - pool]))
    return Choice(rule, (("pool", Thresholds.all(rule.num_cells)), ("aside", rest)))


def _chosen_from_pool(
    plan: SelectionPlan,
    rule: Rule,
    sizes: Sizes,
    room: NDArray[np.int64],
    passes: _Passes,
) -> Choice:
    """Fill all shares from the pool, where each class has so much room; it is enough for that."""
    candidates, members = sizes.candidates, sizes.defined if rule.kept is None else room
    if not rule.by_class:
        candidates, room, members = (np.array([n.sum()]) for n in (candidates, room, members))
    if plan.balance == "equal":
        shares = equal_shares(plan.k, room)
    else:
        shares = proportional_shares(plan.k, candidates, room)
    if plan.strategy == "stratified":
        lowest, highest = passes.fold(partial(_ends, rule=rule), _wider)
        rule = replace(rule, lowest=lowest, highest=highest)
        members = passes.fold(partial(_cell_sizes, rule=rule), add)
        shares = strata_shares(shares, members.reshape(-1, STRATA)).ravel()
    return Choice(rule, (("pool", passes.first(rule, "pool", shares, members)),))


def fold_over(blocks: Sequence[Block]) -> Fold:
    """Return what makes passes over blocks that are all at hand."""

    def fold(function: Callable[[Block], Any], merge: Callable[[Any, Any], Any]) -> Any:
        return reduce(merge, map(function, blocks))

    return fold


def cut(
    values: NDArray[np.float32],
    labels: NDArray[np.int32] | None,
    excluded: NDArray[np.int64],
    *,
    width: int,
    begin: int = 0,
) -> Iterator[Block]:
    """Yield blocks of so many samples, the last of which may have fewer.

    Parameters
    ----------
    values, labels
        Of samples from `begin` on.
    excluded : int64 array
        Indices, ascending.
    width : int
        Samples of a block.
    begin : int
        The first sample.
    """
    for start in range(0, values.size, width):
        stop = min(start + width, values.size)
        low, high = np.searchsorted(excluded, [begin + start, begin + stop])
        yield Block(
            begin=begin + start,
            values=values[start:stop],
            labels=None if labels is None else labels[start:stop],
            excluded=excluded[low:high],
        )


def _sizes(block: Block) -> Sizes:
    wanted = np.ones(block.values.size, np.bool_)
    wanted[block.excluded - block.begin] = False
    defined = ~np.isnan(block.values[wanted])
    if block.labels is None:
        counts = np.array([defined.size]), np.array([np.count_nonzero(defined)])
        return Sizes(np.zeros(1, np.int64), *counts)
    names, classes = numbered(block.labels[wanted])
    candidates = np.bincount(classes, minlength=names.size)
    known = np.bincount(classes[defined], minlength=names.size)
    present = candidates > 0
    return Sizes(names[present], candidates[present], known[present])


def _merged_sizes(one: Sizes, other: Sizes) -> Sizes:
    if np.array_equal(one.names, other.names):
        return Sizes(one.names, one.candidates + other.candidates, one.defined + other.defined)
    names = np.union1d(one.names, other.names)
    candidates, defined = np.zeros((2, names.size), np.int64)
    for sizes in (one, other):
        places = np.searchsorted(names, sizes.names)
        candidates[places] += sizes.candidates
        defined[places] += sizes.defined
    return Sizes(names, candidates, defined)


def _ends(block: Block, *, rule: Rule) -> Ends:
    """Return the lowest and the highest score of each group of the pool, float64 [G]."""
    members = rule.members(block, "pool")
    lowest, highest = np.full(rule.num_groups, np.inf), np.full(rule.num_groups, -np.inf)
    values = block.values[members.indices - block.begin]
    np.minimum.at(lowest, members.cells, values)
    np.maximum.at(highest, members.cells, values)
    return lowest, highest


def _wider(one: Ends, other: Ends) -> Ends:
    return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])


def _cell_sizes(block: Block, *, rule: Rule) -> NDArray[np.int64]:
    return np.bincount(rule.members(block, "pool").cells, minlength=rule.num_cells)
