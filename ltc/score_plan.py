"""What `score` is asked for, checked once against the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store import Store
from ltc.store.picking import pick_checkpoints
from ltc_kernels.algebra import MINIMUM_VALUES, Signal, signal_length
from ltc_kernels.checks import check_groups, check_signal

Reference = Literal["class-mean", "mean", "class-pairs", "pairs"]
REFERENCES: Final[tuple[str, ...]] = get_args(Reference)


@dataclass(frozen=True)
class ScorePlan:
    """What `score` was asked for, checked against the store.

    Attributes
    ----------
    store : Store
        Open for reading.
    signal, reference : str
        What is correlated with what.
    rows : list of int
        Positions of the checkpoints that are used, ascending.
    left_out : list of int
        Positions that were selected and left out: one split has no observation there.
    labels : ndarray of int32, shape (N,), or None
        The partition of the training samples, None where neither labels nor groups are known, or
        none were asked for.
    first : int
        The sample that `labels` begin with.
    val_groups : ndarray of int32, shape (M,)
        What a validation sample is a reference of; zeros if of all.
    groups_given : bool
        Whether the partition was given, and isn't that into classes.
    num_groups : int
        Number of references, C, or 1.
    memory : int
        Bytes.
    """

    store: Store
    signal: Signal
    reference: str
    rows: list[int]
    left_out: list[int]
    labels: NDArray[np.int32] | None
    val_groups: NDArray[np.int32]
    groups_given: bool
    num_groups: int
    memory: int
    first: int = 0

    def train_groups(self, begin: int, end: int) -> NDArray[np.int32]:
        """Group of the training samples ``begin`` to ``end``, as the references count them."""
        if self.num_groups == 1 or self.labels is None:
            return np.zeros(end - begin, dtype=np.int32)
        return self.labels[begin - self.first : end - self.first]


def plan_score(
    store: Store,
    signal: str,
    reference: str,
    checkpoints: slice | Sequence[int] | None,
    groups: tuple[ArrayLike, ArrayLike] | None,
    memory: int,
    *,
    train_labels: bool = True,
) -> ScorePlan:
    """Check the arguments of `score` against the store; leave out what isn't needed for a plan."""
    checked = check_signal(signal)
    if reference not in REFERENCES:
        raise ArgumentValueError(
            f"reference must be one of {', '.join(REFERENCES)}, got {reference!r}"
        )
    rows, left_out = usable_checkpoints(store, checked, checkpoints)
    labels, val_labels, num_groups = _partition(store, groups, train_labels)
    if reference.startswith("class"):
        if num_groups is None or val_labels is None:
            raise ArgumentValueError(
                f"reference {reference!r} needs labels or groups=, and the store has no labels; "
                'without them, use "mean" or "pairs"'
            )
    else:
        num_groups, val_labels = 1, np.zeros(store.num_val, dtype=np.int32)
    return ScorePlan(
        store=store,
        signal=checked,
        reference=reference,
        rows=rows,
        left_out=left_out,
        labels=labels,
        val_groups=val_labels,
        groups_given=groups is not None,
        num_groups=int(num_groups),
        memory=memory,
    )


def usable_checkpoints(
    store: Store, signal: Signal, checkpoints: slice | Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """Positions of the selected checkpoints, and of those left out: unobserved in one split.

    Raises
    ------
    ArgumentValueError, ArgumentTypeError, ArgumentIndexError
        Not a selection of checkpoints, or fewer are left than the signal needs.
    """
    selected = pick_checkpoints(checkpoints, store.committed)
    left_out = [t for t in selected if _unobserved(store, t)]
    rows = sorted(set(selected) - set(left_out))
    if signal_length(len(rows), signal) < MINIMUM_VALUES:
        needed = MINIMUM_VALUES + (signal == "difference")
        raise ArgumentValueError(
            f"checkpoints must leave at least {needed} for signal {signal!r}, got {len(rows)} of "
            f"{store.committed} committed ({len(left_out)} left out: no observation in one split)"
        )
    return rows, left_out


def _unobserved(store: Store, t: int) -> bool:
    commit = store.commits[t]
    return commit.train.observed == 0 or commit.val.observed == 0


def _partition(
    store: Store, groups: tuple[ArrayLike, ArrayLike] | None, train_labels: bool
) -> tuple[NDArray[np.int32] | None, NDArray[np.int32] | None, int | None]:
    """Groups of both splits, None where there are none, and their number."""
    if groups is None:
        train = store.labels("train") if train_labels else None
        return train, store.labels("val"), store.num_groups
    if not isinstance(groups, tuple | list) or len(groups) != 2:
        raise ArgumentTypeError("groups must be a pair of arrays, (train, val)")
    limit = int(np.iinfo(np.int32).max)
    train = check_groups("groups[0]", groups[0], store.num_train, limit)
    val = check_groups("groups[1]", groups[1], store.num_val, limit)
    return train, val, 1 + int(max(train.max(initial=0), val.max(initial=0)))
