"""Samples of both splits: what was trained on can't tell how the model generalises."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.store.samples import to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["shared_ids", "warn_of_shared_ids"]

NAMED = 3


def shared_ids(train: Any, val: Any) -> NDArray[Any] | None:
    """Return the ids that are in both splits, ascending; None where either has no ids.

    Integers and strings are never the same.

    Examples
    --------
    >>> shared_ids([7, 5, 3], [1, 3, 5])
    array([3, 5])
    """
    if train is None or val is None:
        return None
    one, other = to_numpy(train), to_numpy(val)
    if (one.dtype.kind in "iu") != (other.dtype.kind in "iu"):
        return one[:0]
    if one.dtype.kind in "iu":
        return np.unique(other[np.isin(other, one)])
    # Hashing strings takes a tenth of the time and of the memory of sorting them.
    both = set(other.tolist()).intersection(one.tolist())
    return np.array(sorted(both), np.str_)


def warn_of_shared_ids(train: Any, val: Any, *, stacklevel: int = 3) -> None:
    """Warn of ids that are in both splits; by default, the caller's caller is warned."""
    both = shared_ids(train, val)
    if both is not None and both.size:
        named = ", ".join(map(str, both[:NAMED].tolist())) + (", ..." if both.size > NAMED else "")
        warnings.warn(
            f"{both.size:,} ids are in both splits ({named}): if an id names the same sample in "
            "both, its validation loss tells nothing of generalisation",
            stacklevel=stacklevel,
        )
