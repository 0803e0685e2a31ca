"""What a store consists of while it is open for writing, and the order in which that changes.

What a reader relies on is one number in one object, `committed` in the root's ``zarr.json``, the
switch of :mod:`ltc.store.places`. So the order is always: what is new first, then the number; or
the number first, then what goes away. Rows beyond it don't exist.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ltc.errors import StoreExistsError, StoreFormatError, StoreNotFoundError
from ltc.store.format import (
    ROOT,
    array_documents,
    group_documents,
    parse_array,
    parse_root,
    root_document,
    serialise,
)
from ltc.store.metadata import check_metadata
from ltc.store.places import existing_header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltc.store.encoding import EncodedChunk
    from ltc.store.format import Document
    from ltc.store.header import Header
    from ltc.store.places import Objects, Place, Source

__all__ = ["StoreDirectory"]


class StoreDirectory:
    """The arrays and attributes of a store, for one writer.

    Make one with :meth:`make` or :meth:`open`.
    """

    def __init__(self, objects: Objects) -> None:
        self.name = objects.name
        self._objects = objects
        self._attributes: Document = {}
        self._documents: dict[str, Document] = {}

    @classmethod
    def make(cls, place: Place, header: Header, *, fsync: bool) -> StoreDirectory:
        """Make an empty store, in place of one without a commit.

        Raises
        ------
        StoreExistsError
            There is a store with commits.
        StoreFormatError
            There is something else.
        StoreLockedError
            Another writer has it.
        """
        _check_free(place)
        directory = cls(place.lock("writer", ROOT, fsync=fsync))
        try:
            _check_free(directory._objects)  # again, now that nobody else can make one
            directory._make(header)
        except BaseException:
            directory.release()
            raise
        return directory

    @classmethod
    def open(cls, place: Place, *, fsync: bool) -> StoreDirectory:
        """Open a store with commits; nothing is changed before :meth:`take_over`.

        Raises
        ------
        StoreNotFoundError
            There is no store with commits.
        StoreFormatError
            There is something else.
        StoreLockedError
            Another writer has it.
        """
        existing_header(place)
        directory = cls(place.lock("writer", ROOT, fsync=fsync))
        try:
            existing_header(directory._objects)
        except BaseException:
            directory.release()
            raise
        return directory

    def take_over(self) -> None:
        """Make the store this writer's, and remove what lies beyond its commits.

        Raises
        ------
        StoreFormatError
            The store is broken.
        StoreLockedError
            Another writer has it.
        """
        header, self._attributes = parse_root(self._objects.read(ROOT), self.name)
        if self._objects.owner is not None:
            self._write_root(header)
        arrays = array_documents(header)
        found = self._objects.read_all(f"{path}/{ROOT}" for path in arrays)
        for path, expected in arrays.items():
            document = parse_array(found[f"{path}/{ROOT}"], f"{self.name}/{path}")
            check_metadata(f"{self.name}/{path}", document, expected)
            self._documents[path] = document
        self._truncate(header.committed)

    @property
    def locked(self) -> bool:
        """Whether this process may write."""
        return self._objects.held

    def release(self) -> None:
        """Let another writer have the store."""
        self._objects.release()

    def header(self) -> Header:
        """Return the attribute of the root, as it is known to be."""
        return existing_header(self._objects, least=0)

    def begin(self) -> Header:
        """Return what is known of the store, and make it known if it isn't.

        A commit that failed, and may have reached the store all the same, is undone.
        """
        header = self.header()
        if not self._objects.certain:
            header = header.rewound(header.committed)
            self._write_root(header)
        return header

    def end(self) -> Header:
        """Return what is known of the store, after something was changed or failed to be."""
        self._objects.forget()
        return self.header()

    def documents(self) -> dict[str, Document]:
        """Return the metadata of the arrays, by their paths."""
        return dict(self._documents)

    def write_chunks(self, chunks: Iterable[EncodedChunk]) -> None:
        """Write chunks, which are taken one by one."""
        self._objects.write((chunk.key, chunk.data.as_buffer_like()) for chunk in chunks)

    def commit(self, header: Header) -> None:
        """Make the rows before `header.committed` exist, all of whose chunks are written."""
        self._write_lengths(header.committed)
        self._write_root(header)

    def rewind(self, header: Header) -> None:
        """Make the rows from `header.committed` on not exist, and remove them."""
        self._write_root(header)
        self._truncate(header.committed)

    def _make(self, header: Header) -> None:
        # The root comes first: whatever stops this later, what is here is known as a store begun.
        self._write_root(header)
        self._documents = array_documents(header)
        documents = {
            f"{path}/{ROOT}": serialise(document)
            for path, document in {**group_documents(), **self._documents}.items()
        }
        self._objects.clear(documents)
        self._objects.write(documents.items())

    def _write_root(self, header: Header) -> None:
        owned = replace(header, writer=self._objects.owner)
        self._objects.switch(serialise(root_document(owned, self._attributes)))

    def _write_lengths(self, committed: int) -> None:
        resized = {
            path: {**document, "shape": [committed, *document["shape"][1:]]}
            for path, document in self._growing().items()
            if document["shape"][0] < committed
            or (document["shape"][0] > committed and self._objects.removes)
        }
        self._objects.write((f"{path}/{ROOT}", serialise(new)) for path, new in resized.items())
        self._documents |= resized

    def _truncate(self, committed: int) -> None:
        self._write_lengths(committed)
        for path, document in self._growing().items():
            rows = document["chunk_grid"]["configuration"]["chunk_shape"][0]
            self._objects.trim(path, -(-committed // rows))
        self._objects.settle()

    def _growing(self) -> dict[str, Document]:
        return {
            path: document
            for path, document in self._documents.items()
            if document["dimension_names"][0] == "checkpoint"
        }


def _check_free(source: Source) -> None:
    try:
        existing_header(source)
    except StoreNotFoundError:
        return
    except StoreFormatError as error:
        raise StoreFormatError(f"{error}; a new store is not put in its place") from error
    raise StoreExistsError(
        f"{source.name}: there is a store with commits already; resume it, or remove it first"
    )
