"""Losses that were recorded and aren't there any more: they read as missing, and are told of."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ltc.store import Store

__all__ = ["lost_losses", "warn_of_lost_losses"]


def lost_losses(store: Store, rows: Sequence[int], missing: Mapping[str, int]) -> dict[str, int]:
    """Return how many losses of each split are missing now and weren't when they were committed.

    Parameters
    ----------
    store : Store
        Where they were read.
    rows : sequence of int
        Positions of the checkpoints that were read.
    missing : mapping of str to int
        How many were missing of each split. Of a split that was read in part this tells the least
        number.
    """
    lost = {}
    for split, number in missing.items():
        records = [getattr(store.commits[t], split) for t in rows]
        recorded = sum(store.size(split) - each.observed + each.nonfinite for each in records)
        lost[split] = max(number - recorded, 0)
    return lost


def warn_of_lost_losses(
    store: Store, rows: Sequence[int], missing: Mapping[str, int], *, stacklevel: int = 3
) -> dict[str, int]:
    """Return `lost_losses`, and warn of them; by default, the caller's caller is warned."""
    lost = lost_losses(store, rows, missing)
    for split, number in lost.items():
        if number:
            warnings.warn(
                f"{store.path}: at least {number:,} losses of {split} that were recorded are lost "
                "and count as missing; `ltc verify` names their chunks",
                stacklevel=stacklevel,
            )
    return lost
