"""Whether a store still has the commits that it had when it was opened."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ltc.errors import StoreConnectionError, StoreError
from ltc.store.places import existing_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ltc.store.places import Place

__all__ = ["same_history"]


@contextmanager
def same_history(place: Place, revision: str) -> Iterator[None]:
    """Check that what a block reads belongs to the history of this name.

    Raises
    ------
    StoreError
        The store was rewound or made anew.
    """
    try:
        yield
    except StoreConnectionError:
        raise
    except StoreError:
        _check(place, revision)  # a rewind explains whatever is lost or shorter
        raise
    _check(place, revision)


def _check(place: Place, revision: str) -> None:
    if existing_header(place).revision != revision:
        raise StoreError(
            f"{place.name}: the store was rewound or made anew since it was opened; open it again"
        )
