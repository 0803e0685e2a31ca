"""Whether a store still has the commits that it had when it was opened."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ltc.errors import StoreError, StoreNotFoundError
from ltc.store.format import ROOT, parse_root
from ltc.store.pipeline import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zarr.abc.store import Store as ZarrStore

    from ltc.store.header import Header

__all__ = ["read_header", "same_history"]


def read_header(store: ZarrStore, place: str) -> Header:
    """Return the header of a store that has commits.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Where it is.
    place : str
        What it is called, for messages.

    Raises
    ------
    StoreNotFoundError
        There is no first commit.
    StoreFormatError
        There is something else.
    """
    header, _ = parse_root(read_bytes(store, ROOT), place)
    if header.committed == 0:
        raise StoreNotFoundError(f"{place}: the store has no first commit")
    return header


@contextmanager
def same_history(store: ZarrStore, place: str, revision: str) -> Iterator[None]:
    """Check that what a block reads belongs to the history of this name.

    Raises
    ------
    StoreError
        The store was rewound or made anew.
    """
    try:
        yield
    except StoreError:
        _check(store, place, revision)  # a rewind explains whatever is lost or shorter
        raise
    _check(store, place, revision)


def _check(store: ZarrStore, place: str, revision: str) -> None:
    if read_header(store, place).revision != revision:
        raise StoreError(
            f"{place}: the store was rewound or made anew since it was opened; open it again"
        )
