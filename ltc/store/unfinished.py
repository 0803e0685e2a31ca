"""What a store has of scores that are being written in parts; see `ltc.store.parts`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ltc.store.format import ROOT
from ltc.store.pipeline import list_names, read_bytes, read_many
from ltc.store.scores import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zarr.abc.store import Store as ZarrStore

    from ltc.store.places import Place

__all__ = [
    "Part",
    "UnfinishedScores",
    "existing_parts",
    "listed",
    "missing_ranges",
    "unfinished_documents",
    "unfinished_scores",
]

_BESIDE: Final = re.compile(r"\.(?P<name>.+)\.(?P<run>[0-9a-f]{32})")  # a run's directory on a disk


@dataclass(frozen=True)
class Part:
    """Scores of some samples, which are in the store.

    Attributes
    ----------
    begin, end : int
        The first sample, and the one after the last.
    crc32 : int
        zlib's checksum of the scores.
    report : dict
        What else its writer tells of it, as JSON values.
    """

    begin: int
    end: int
    crc32: int
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UnfinishedScores:
    """What an earlier run, or one that is under way, has left of scores.

    Attributes
    ----------
    name : str
        Of the scores.
    path : str
        Where in the store.
    run : str
        The run's own name.
    description : dict
        What the scores depend on.
    num_samples, chunk_samples : int
        How many there are to be, and in a chunk.
    missing : list of slice
        Samples without scores.
    """

    name: str
    path: str
    run: str
    description: dict[str, Any]
    num_samples: int
    chunk_samples: int
    missing: list[slice] = field(default_factory=list)

    def __str__(self) -> str:
        """Say what is there and what is not."""
        left = sum(each.stop - each.start for each in self.missing)
        return (
            f"scores {self.name!r} are unfinished: {self.num_samples - left:,} of "
            f"{self.num_samples:,} samples have theirs, missing are {listed(self.missing)}; "
            "scoring again with the same arguments does the rest"
        )


def unfinished_scores(place: Place, store: ZarrStore) -> list[UnfinishedScores]:
    """Return what runs have begun to write and not finished; where nothing can be listed, none."""
    if not place.listable:
        return []
    found = []
    for each in unfinished_documents(store):
        parts = existing_parts(store, each.path, each.run, each.chunk_samples)
        missing = missing_ranges(parts, each.num_samples)
        found.append(replace(each, missing=missing))
    return found


def unfinished_documents(store: ZarrStore, name: str | None = None) -> list[UnfinishedScores]:
    """Return what the metadata of unfinished scores say, of one name or of all."""
    found = []
    for directory in sorted(list_names(store, "scores")):
        beside = _BESIDE.fullmatch(directory)
        of = beside["name"] if beside else directory
        path = f"scores/{directory}"
        if name not in (None, of) or directory == ROOT:
            continue
        try:
            document = json.loads(read_bytes(store, f"{path}/{ROOT}") or b"{}")
            own = document["attributes"][OWN]["unfinished"]
            sizes = int(own["samples"]), int(own["chunk_samples"])
            found.append(
                UnfinishedScores(of, path, str(own["run"]), dict(own["description"]), *sizes)
            )
        except (ValueError, KeyError, TypeError):
            continue  # scores, or what a save is replacing, or nothing that says anything
    return found


def missing_ranges(parts: Iterable[Part], num_samples: int) -> list[slice]:
    """Return the ranges of samples that no part has; parts ascend.

    Examples
    --------
    >>> missing_ranges([Part(2, 4, 0), Part(4, 5, 0)], 9)
    [slice(0, 2, None), slice(5, 9, None)]
    """
    missing, position = [], 0
    for part in parts:
        if part.begin > position:
            missing.append(slice(position, part.begin))
        position = max(position, part.end)
    if position < num_samples:
        missing.append(slice(position, num_samples))
    return missing


def existing_parts(store: ZarrStore, path: str, run: str, chunk_samples: int) -> list[Part]:
    """Return the parts that have a record and all of their chunks, ascending, none twice."""
    folder = f"{path}/parts/{run}"
    names = [each for each in list_names(store, folder) if re.fullmatch(r"\d+-\d+", each)]
    chunks = set(list_names(store, f"{path}/c")) if names else set()
    found: list[Part] = []
    for data in read_many(store, [f"{folder}/{each}" for each in names]).values():
        part = Part(**json.loads(data or b""))
        needed = range(part.begin // chunk_samples, -(-part.end // chunk_samples))
        if chunks.issuperset(map(str, needed)):
            found.append(part)
    found.sort(key=lambda part: (part.begin, -part.end))
    apart: list[Part] = []
    for part in found:
        if not apart or part.begin >= apart[-1].end:
            apart.append(part)
    return apart


def listed(ranges: Sequence[slice]) -> str:
    """Return ranges of samples as text, only the first of many."""
    some = [f"{each.start} to {each.stop - 1}" for each in ranges[:4]]
    return ", ".join(some) + (f" and {len(ranges) - 4} more ranges" if len(ranges) > 4 else "")
