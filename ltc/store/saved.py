"""Which scores a store has."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

from ltc.errors import ArgumentValueError, StoreError
from ltc.store.format import ROOT
from ltc.store.pipeline import list_names, read_many
from ltc.store.scores import SCORE_NAME
from ltc.store.unfinished import unfinished_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zarr.abc.store import Store as ZarrStore

    from ltc.store.places import Place

__all__ = ["check_saved", "saved_names", "verifiable_names"]


def saved_names(place: Place, store: ZarrStore) -> list[str]:
    """Return the names of the scores saved in a store, sorted.

    Raises
    ------
    StoreError
        Nothing can be listed there.
    """
    if not place.listable:
        raise StoreError(
            f"{place.name}: what is at an https:// address can't be listed; scores there are read "
            "by their name"
        )
    return _existing(store, sorted(filter(SCORE_NAME.fullmatch, list_names(store, "scores"))))


def check_saved(place: Place, store: ZarrStore, name: str) -> None:
    """Check that there are scores of a name.

    Raises
    ------
    ArgumentValueError
        There are none.
    """
    if isinstance(name, str) and SCORE_NAME.fullmatch(name) and _existing(store, [name]):
        return
    known = f" {saved_names(place, store)}" if place.listable else ""
    begun = [each for each in unfinished_scores(place, store) if each.name == name]
    raise ArgumentValueError(
        f"name must be among the saved scores{known}, got {name!r}"
        + "".join(f"; {each}" for each in begun)
    )


def verifiable_names(place: Place, store: ZarrStore) -> list[str]:
    """Return the names of scores; where they can't be listed, none, and warn of that."""
    if place.listable:
        return saved_names(place, store)
    warnings.warn(
        f"{place.name}: saved scores are not verified, what is at an https:// address can't be "
        "listed",
        stacklevel=4,
    )
    return []


def _existing(store: ZarrStore, names: Sequence[str]) -> list[str]:
    found = read_many(store, [f"scores/{name}/{ROOT}" for name in names])
    pairs = zip(names, found.values(), strict=True)
    return [name for name, data in pairs if name != ROOT and _is_there(data)]


def _is_there(data: bytes | None) -> bool:
    """Whether an object says anything; that of scores which are being saved is a group."""
    if data is None:
        return False
    try:
        return bool(json.loads(data).get("node_type") != "group")
    except (ValueError, AttributeError, RecursionError):
        return True  # damaged, which whoever reads them will say
