"""Comparing every chunk of a store with its checksum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltc.store.pipeline import ArrayReader, ChunkState

__all__ = ["Verification", "verify"]


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
