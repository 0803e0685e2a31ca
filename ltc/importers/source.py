"""What an importer finds in a source, and how a store is written from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from ltc.store.arrays import write_store
from ltc.store.kinds import claimed_loss
from ltc.store.rounding import to_stored
from ltc.store.writer import SplitRecord, StoreWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Arrays", "Checkpoint", "Indexed", "Source", "mean_record"]

Checkpoint: TypeAlias = tuple[float, SplitRecord, SplitRecord]
"""The epoch or step, and what was recorded of train and of val."""


class Source(Protocol):
    """Losses that were found, checked as far as they can be before they are written."""

    def write(
        self, path: Path, given: dict[str, Any], *, loss: Any, compression: Any, fsync: bool
    ) -> None:
        """Write a store.

        Parameters
        ----------
        path : Path
            Where.
        given : dict
            Arguments of `write_store` that the user gave, in place of what the source tells.
        loss, compression, fsync
            As for `write_store`.
        """


@dataclass(frozen=True)
class Arrays:
    """Whole arrays of losses.

    Attributes
    ----------
    train, val : array-like [checkpoint, sample]
        Rows are read from them one by one.
    others : dict
        Labels, ids and checkpoints, as `write_store` calls them.
    """

    train: Any
    val: Any
    others: dict[str, NDArray[Any]] = field(default_factory=dict)

    def write(
        self, path: Path, given: dict[str, Any], *, loss: Any, compression: Any, fsync: bool
    ) -> None:
        """Write a store; see :class:`Source`."""
        arguments = {**self.others, **given}
        options = {"loss": loss, "compression": compression, "fsync": fsync}
        write_store(path, self.train, self.val, **arguments, **options)


@dataclass(frozen=True)
class Indexed:
    """Losses that come with the index of their sample, checkpoint by checkpoint.

    Attributes
    ----------
    num_train, num_val : int
        Number of samples.
    rows : callable
        Returns an iterator over all checkpoints.
    others : dict
        Labels and ids, as `write_store` calls them.
    """

    num_train: int
    num_val: int
    rows: Callable[[], Iterator[Checkpoint]]
    others: dict[str, NDArray[Any]] = field(default_factory=dict)

    def write(
        self, path: Path, given: dict[str, Any], *, loss: Any, compression: Any, fsync: bool
    ) -> None:
        """Write a store; see :class:`Source`."""
        arguments = {**self.others, **given}
        kind = claimed_loss(loss)
        with StoreWriter.create(
            path,
            num_train=self.num_train,
            num_val=self.num_val,
            **arguments,
            compression=compression,
            fsync=fsync,
        ) as writer:
            writer.extend(
                (checkpoint, replace(train, loss=kind), replace(val, loss=kind))
                for checkpoint, train, val in self.rows()
            )


def mean_record(
    index: NDArray[np.integer[Any]], losses: NDArray[np.floating[Any]], size: int
) -> SplitRecord:
    """Return what is recorded of a split where losses come with an index, repeated or not.

    Parameters
    ----------
    index : integer [n]
        In 0..size-1.
    losses : floating [n]
        One for each.
    size : int
        Number of samples.

    Examples
    --------
    >>> record = mean_record(np.array([2, 0, 2]), np.array([1.0, 5.0, 2.0]), 4)
    >>> record.losses.tolist(), record.observed, record.duplicate
    ([5.0, nan, 1.5, nan], 2, 1)
    """
    counts = np.bincount(index, minlength=size)
    with np.errstate(invalid="ignore"):  # 0 / 0: not seen; inf - inf: not finite
        means = np.bincount(index, weights=losses, minlength=size) / counts
    seen = counts > 0
    stored, clipped, undefined = to_stored(means)
    observed = int(np.count_nonzero(seen))
    return SplitRecord(
        losses=stored,
        observed=observed,
        duplicate=int(np.count_nonzero(counts > 1)),
        clipped=clipped,
        nonfinite=undefined - (size - observed),
        mode="array" if observed else "none",
    )
