"""What `difficulty` is asked for, checked once against the store; what is made of one tile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store.kinds import CROSS_ENTROPY, GIVEN, claimed_loss
from ltc.store.picking import pick_checkpoints
from ltc.tables import counted
from ltc_kernels import difficulty as score_tile
from ltc_kernels.difficulty import RIGHT_BELOW, check_window
from ltc_kernels.difficulty_kinds import FORGETTING, OF_LOSSES, WINDOWED, fewest_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ltc.store import Store

__all__ = ["KINDS", "DifficultyPlan", "Kind", "Negative", "plan_difficulty"]

Kind = Literal[
    "cumulative-loss",
    "mean-loss",
    "final-loss",
    "confidence",
    "variability",
    "dyn-unc",
    "dual",
    "forgetting-least",
    "forgetting-most",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LEAST: Final = "least-loss"  # which tells whether a loss is negative


class Negative(NamedTuple):
    """Samples with a negative loss: the first of them, its least loss, and how many there are."""

    first: int
    least: float
    number: int

    def __or__(self, other: Negative) -> Negative:
        """Return what there is of both."""
        first, second = sorted((self, other))
        return Negative(first.first, first.least, first.number + second.number)


@dataclass(frozen=True)
class DifficultyPlan:
    """What `difficulty` was asked for, checked against the store.

    Attributes
    ----------
    store : Store
        Open for reading.
    kinds : tuple of str
        What was asked for, each once.
    rows : list of int
        Positions of the checkpoints that are used, ascending.
    left_out : list of int
        Positions that were selected and left out: no training sample was observed there.
    window : int
        Checkpoints in a window; 2 where no kind has any.
    classes : int or None
        Number of classes, for forgetting.
    claimed : bool
        Whether it is the user who says that the losses are cross-entropy.
    memory : int
        Bytes.
    """

    store: Store
    kinds: tuple[str, ...]
    rows: list[int]
    left_out: list[int]
    window: int
    classes: int | None
    claimed: bool
    memory: int

    @property
    def computed(self) -> tuple[str, ...]:
        """The kinds that a tile is scored by: those asked for, and what checks them, last."""
        return self.kinds if set(self.kinds) <= set(OF_LOSSES) else (*self.kinds, LEAST)

    def score(self, losses: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return the scores of some samples, whichever others are in the tile.

        Parameters
        ----------
        losses : float16 array [row, n]
            At the checkpoints of `rows`.

        Returns
        -------
        float32 array [kind, n]
            In the order of `computed`.
        """
        certain = None if self.classes is None else certain_bounds(self.classes)
        values: NDArray[np.float32] = score_tile(
            losses, self.computed, window=self.window, certain=certain
        )
        return values

    def negative(self, values: NDArray[np.float32], begin: int = 0) -> Negative | None:
        """Return what there is of negative losses, of which exp(-loss) is no probability, if any.

        Parameters
        ----------
        values : float32 array [kind, n]
            From `score`.
        begin : int
            The first of these samples.
        """
        if self.computed == self.kinds:
            return None
        least = values[-1]
        found = np.flatnonzero(least < 0)
        if not found.size:
            return None
        return Negative(begin + int(found[0]), float(least[found[0]]), int(found.size))

    def check(self, negative: Negative | None) -> None:
        """Raise `ArgumentValueError` if there are negative losses."""
        if negative is not None:
            raise ArgumentValueError(
                f"kind {self._of_probabilities()!r} needs losses of at least 0, for which "
                f"p = exp(-loss) is a probability, got {negative.least:g} at sample "
                f"{negative.first} ({counted(negative.number, 'sample')} in all)"
            )

    def _of_probabilities(self) -> str:
        return next(kind for kind in self.kinds if kind not in OF_LOSSES)


def plan_difficulty(
    store: Store,
    kinds: Sequence[str],
    checkpoints: slice | Sequence[int] | None,
    window: int,
    classes: int | None,
    loss: str | None,
    memory: int,
) -> DifficultyPlan:
    """Check the arguments of `difficulty` against the store."""
    names = _check_kinds(kinds)
    rows, left_out = _observed_checkpoints(store, checkpoints)
    size = check_window(window)
    number = _check_classes(classes, store) if set(names) & set(FORGETTING) else None
    claimed_loss(loss)
    doubtful = [kind for kind in names if kind not in OF_LOSSES]
    if doubtful and loss is None:
        _check_losses(doubtful[0], store, rows)
    for kind in names:
        if len(rows) < (least := fewest_values(kind, size)):
            raise ArgumentValueError(
                f"checkpoints must leave at least {least} for kind {kind!r}"
                + (f" with window={size}" if kind in WINDOWED else "")
                + f", got {len(rows)} of {store.committed} committed"
            )
    return DifficultyPlan(
        store=store,
        kinds=names,
        rows=rows,
        left_out=left_out,
        window=size if set(names) & set(WINDOWED) else 2,
        classes=number,
        claimed=loss is not None,
        memory=memory,
    )


def certain_bounds(classes: int) -> tuple[float, float]:
    """Return the losses below which a sample is right for certain, and above which it is wrong.

    With p > 1/2 no other class has more; with p < 1/C some other class has. A loss of float16
    stands for all that are rounded to it. Those that are rounded to one below ln 2 are below it
    too. The one next above ln C may also stand for some below; then the bound is that one itself.

    Examples
    --------
    >>> right, wrong = certain_bounds(10)
    >>> round(right, 4), round(wrong, 4)
    (0.6931, 2.3027)
    """
    border = math.log(classes)
    nearest = np.float16(border)
    below = nearest if float(nearest) <= border else np.nextafter(nearest, np.float16(0))
    above = np.nextafter(below, np.float16(np.inf))
    between = (float(below) + float(above)) / 2
    return RIGHT_BELOW, border if between >= border else float(above)


def _check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    names = tuple(kinds)
    if not names:
        raise ArgumentValueError("kind must name at least one score, got none")
    for name in names:
        if name not in KINDS:
            raise ArgumentValueError(f"kind must be of {', '.join(KINDS)}, got {name!r}")
    return tuple(dict.fromkeys(names))


def _observed_checkpoints(
    store: Store, checkpoints: slice | Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """Positions of the selected checkpoints, and of those left out: unobserved in training."""
    selected = pick_checkpoints(checkpoints, store.committed)
    left_out = [t for t in selected if store.commits[t].train.observed == 0]
    rows = sorted(set(selected) - set(left_out))
    if not rows:
        raise ArgumentValueError(
            "checkpoints must leave at least one at which training samples were observed, got "
            f"none of {store.committed} committed"
        )
    return rows, left_out


def _check_classes(classes: int | None, store: Store) -> int:
    number: Any = store.num_groups if classes is None else classes
    if number is None:
        raise ArgumentValueError(
            "classes must be given for forgetting where the store has no labels: a loss above "
            "ln(classes) is wrong for certain"
        )
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise ArgumentTypeError(f"classes must be an integer, got {number!r}")
    if number < 2:
        raise ArgumentValueError(f"classes must be at least 2 for forgetting, got {number}")
    return int(number)


def _check_losses(kind: str, store: Store, rows: list[int]) -> None:
    """Check that the store says of its losses that they are cross-entropy."""
    found = {t: store.commits[t].train.loss for t in rows}
    others = [t for t, loss in found.items() if loss != CROSS_ENTROPY]
    if not others:
        return
    if found[others[0]] == GIVEN:
        what = "were given to it as they are (losses=)"
    else:
        what = "are of a kind that it doesn't know, as those of arrays and of older stores"
    raise ArgumentValueError(
        f"kind {kind!r} needs hard-label cross-entropy, for which p = exp(-loss) is the "
        f"probability of the label; {store.path} says that its losses, at "
        f"{len(others)} of {counted(len(rows), 'checkpoint')}, {what}. If they are cross-entropy, "
        f"pass loss={CROSS_ENTROPY!r}, or --loss {CROSS_ENTROPY}"
    )
