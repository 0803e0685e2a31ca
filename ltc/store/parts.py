"""Scores that several processes write into a store, each a part of them.

A part is a range of whole chunks, and a record of it that is written when its chunks are there. So
whatever stops a process, or all of them, what is there is known, and another run goes on with the
rest. As long as parts are missing there are no scores of that name: a reader finds a group in their
place, which says what is being made. On a disk the parts are written beside older scores of that
name, which stay until the new ones are whole; at an address they take their place at once.

A run has the store alone, as whoever saves scores (`ltc.store.scores`): by a lock on a disk, by its
name in the metadata at an address. Those who write parts for it have neither; what the last of them
still writes for a run that has been given up is written to no place that counts, or is refused.
"""

from __future__ import annotations

import json
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.atomic import naming
from ltc.errors import StoreError, StoreLockedError
from ltc.store.checksums import join_crc32
from ltc.store.encoding import Encoder, encode
from ltc.store.files import LocalFiles, LocalPlace
from ltc.store.format import ROOT, group_document, score_document, serialise
from ltc.store.objects import RemoteObjects, RemotePlace
from ltc.store.places import existing_header
from ltc.store.scores import OWN, check_score_name, json_values
from ltc.store.unfinished import (
    Part,
    existing_parts,
    listed,
    missing_ranges,
    unfinished_documents,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from ltc.store.format import Document
    from ltc.store.places import Place

__all__ = ["PartWriter", "UnfinishedRun"]

_BYTES: Final = 4  # of a score


@dataclass(frozen=True)
class PartWriter:
    """Writes parts of scores, from any process that reaches the store; it can be sent there.

    Attributes
    ----------
    place : LocalPlace or RemotePlace
        The store.
    path : str
        Where in it.
    run : str
        Whose parts these are.
    owner : str or None
        At an address, the name of the writer that has the scores.
    document : dict
        The metadata of the array to be.
    """

    place: LocalPlace | RemotePlace
    path: str
    run: str
    owner: str | None
    document: Document

    def write(self, begin: int, values: NDArray[np.float32], report: Mapping[str, Any]) -> Part:
        """Write whole chunks of scores, from the first sample on, and then a record of them.

        Raises
        ------
        StoreLockedError
            The run was given up, and another has taken its place.
        OSError, StoreConnectionError
            They couldn't be written.
        """
        checksum = zlib.crc32(np.ascontiguousarray(values, "<f4").data)
        part = Part(begin, begin + values.size, checksum, dict(report))
        chunks = encode([(Encoder(self.path, self.document), values)], first_row=begin)
        self._write((chunk.key, chunk.data.as_buffer_like()) for chunk in chunks)
        record = json.dumps(vars(part)).encode()
        self._write([(f"{self.path}/parts/{self.run}/{part.begin}-{part.end}", record)])
        return part

    def _write(self, objects: Iterable[tuple[str, Buffer]]) -> None:
        if isinstance(self.place, RemotePlace):
            RemoteObjects(self.place.remote, f"{self.path}/{ROOT}", self.owner).write(objects)
            return
        root = self.place.path
        for key, data in objects:
            if not (root / self.path / ROOT).is_file():
                raise StoreLockedError(
                    f"{self.place.name}: {self.path} isn't being written any more, its run is over"
                )
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
            with naming(path):
                try:
                    partial.write_bytes(data)
                    partial.replace(path)
                except BaseException:
                    partial.unlink(missing_ok=True)
                    raise


class UnfinishedRun:
    """The run that has some scores of a store to write, or what an earlier one left to be written.

    Parameters
    ----------
    place : Place
        The store, on a disk or at an ``s3://`` or ``gs://`` address.
    name : str
        Of the scores.
    revision : str
        Of the store, as it was opened.
    description : mapping
        All that the scores depend on, as JSON values; an earlier run goes on if it had the same.
    beside : UnfinishedRun, optional
        A run of the same process for other scores of the store, which is locked as a whole on a
        disk: they share the lock, and are released together.

    Attributes
    ----------
    writer : PartWriter
        For whoever writes parts.
    found : list of Part
        What is there of an earlier run, ascending.
    begun_anew : list of str
        What differs in the description of an earlier run, which is given up for that.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        The name, or the place, can't be written to.
    StoreLockedError
        Another run has the scores.
    StoreError
        The store was rewound or made anew since it was opened.
    OSError
        It can't be written.
    """

    def __init__(
        self,
        place: Place,
        name: str,
        revision: str,
        description: Mapping[str, Any],
        *,
        beside: UnfinishedRun | None = None,
    ) -> None:
        check_score_name(name)
        place.check_writable()
        if not isinstance(place, LocalPlace | RemotePlace):
            raise NotImplementedError(place)  # check_writable has refused all others
        self._header = existing_header(place)
        if self._header.revision != revision:
            raise StoreError(f"{place.name}: the store was rewound or made anew; open it again")
        self._name = name
        self._description = json_values(description)
        self._store = place.zarr_store()
        shared = beside is not None and isinstance(beside._objects, LocalFiles)
        self._objects: Any = (
            beside._objects
            if beside is not None and shared
            else place.lock("scores", f"scores/{name}/{ROOT}", fsync=False)
        )
        try:
            run, self.begun_anew = self._adopt()
            path = f"scores/{name}" if self._objects.owner else f"scores/.{name}.{run}"
            self._announce(path, run)
            document = score_document(self._header, {})
            self.writer = PartWriter(place, path, run, self._objects.owner, document)
            self.found = existing_parts(self._store, path, run, self._chunk_samples)
        except BaseException:
            self.release()
            raise

    @property
    def _chunk_samples(self) -> int:
        return min(self._header.chunk_samples, self._header.num_train)

    def finish(self, parts: Sequence[Part], attributes: Mapping[str, Any]) -> None:
        """Let the parts be the scores.

        Parameters
        ----------
        parts : sequence of Part
            Of all samples, in any order.
        attributes : mapping
            Whatever JSON can hold.

        Raises
        ------
        StoreError
            There is something missing.
        """
        ordered = sorted(parts, key=lambda part: part.begin)
        if missing := missing_ranges(ordered, self._header.num_train):
            raise StoreError(
                f"{self._objects.name}: scores {self._name!r} are not whole, samples "
                f"{listed(missing)} are missing"
            )
        checksum = join_crc32((part.crc32, _BYTES * (part.end - part.begin)) for part in ordered)
        own = {"crc32": checksum, "revision": self._header.revision}
        path = self.writer.path
        if self._objects.owner is not None:
            own["writer"] = self._objects.owner
        document = serialise(score_document(self._header, {**json_values(attributes), OWN: own}))
        if isinstance(self._objects, LocalFiles):
            self._objects.remove(f"{path}/parts")
            self._objects.replace(f"{path}/{ROOT}", document)
            self._objects.move(path, f"scores/{self._name}")
        else:
            self._objects.switch(document)

    def discard(self) -> None:
        """Remove what was written, which is good for nothing; at an address it stays, unfinished.

        There it is in the place of the scores, and whoever saves others of that name replaces it.
        """
        if isinstance(self._objects, LocalFiles):
            self._objects.remove(self.writer.path)

    def release(self) -> None:
        """Let another run have the scores."""
        self._objects.release()

    def _adopt(self) -> tuple[str, list[str]]:
        """Return the name of the earlier run that goes on, or a new one, and what has changed."""
        run, changed = "", []
        for found in unfinished_documents(self._store, self._name):
            others = {**found.description, **self._description}
            different = [k for k in others if found.description.get(k) != self._description.get(k)]
            if not run and not different:
                run = found.run
                continue
            changed += different
            if isinstance(self._objects, LocalFiles):
                self._objects.remove(found.path)
        return (run, []) if run else (uuid.uuid4().hex, sorted(set(changed)))

    def _announce(self, path: str, run: str) -> None:
        own = {
            "unfinished": {
                "description": self._description,
                "run": run,
                "samples": self._header.num_train,
                "chunk_samples": self._chunk_samples,
            },
        }
        if self._objects.owner is not None:
            own["writer"] = self._objects.owner
        document = serialise(group_document({OWN: own}))
        if isinstance(self._objects, LocalFiles):
            self._objects.replace(f"{path}/{ROOT}", document)
        else:
            self._objects.switch(document)
