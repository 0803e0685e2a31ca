"""Comparing every chunk of a store with its checksum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltc.errors import StoreFormatError
from ltc.store.format import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltc.store.pipeline import ArrayReader, ChunkState
    from ltc.store.places import Place

__all__ = ["Verification", "check_groups", "verify"]


@dataclass(frozen=True)
class Verification:
    """What a look at every chunk found.

    Attributes
    ----------
    chunks : int
        How many there should be.
    lost : tuple of str
        The keys of those that are not there. Losses read as missing then.
    changed : tuple of str
        The keys of those that differ from what was written. Reading them raises.
    """

    chunks: int
    lost: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every chunk is there and as it was written."""
        return not (self.lost or self.changed)


def check_groups(place: Place, paths: Iterable[str]) -> None:
    """Check that groups have metadata; without them zarr finds nothing there.

    Raises
    ------
    StoreFormatError
        They are lost.
    """
    for path in paths:
        if place.read(f"{path}/{ROOT}") is None:
            raise StoreFormatError(
                f"{place.name}: {path}/{ROOT} is missing; zarr needs it to read {path}"
            )


def verify(readers: Iterable[ArrayReader]) -> Verification:
    """Look at every chunk of some arrays."""
    states: dict[str, ChunkState] = {}
    for reader in readers:
        keys = reader.keys()
        states.update(zip(keys, reader.states(keys), strict=True))
    return Verification(
        chunks=len(states),
        lost=tuple(key for key, state in states.items() if state == "lost"),
        changed=tuple(key for key, state in states.items() if state == "changed"),
    )
