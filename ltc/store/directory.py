"""The directory of a store that is open for writing: its lock, its metadata, its leftovers.

What a reader relies on is one number in one file, `committed` in the root's ``zarr.json``, and that
file is replaced atomically. So the order is always: what is new first, then the number; or the
number first, then what goes away. Rows beyond it don't exist, and the next writer removes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ltc.errors import StoreExistsError, StoreFormatError, StoreNotFoundError
from ltc.store.files import LocalFiles
from ltc.store.format import (
    ROOT,
    array_documents,
    group_documents,
    parse_array,
    parse_root,
    root_document,
    serialise,
)
from ltc.store.lock import FileLock
from ltc.store.metadata import check_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ltc.store.encoding import EncodedChunk
    from ltc.store.format import Document
    from ltc.store.header import Header

__all__ = ["StoreDirectory", "existing_header", "lock_directory"]

# Inside an array, where no reader looks for members of a group and warns of what is none.
_PRIVATE = Path("commits", "time")


class StoreDirectory:
    """A store's directory, locked by one writer.

    Make one with :meth:`make` or :meth:`open`.
    """

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self.path = path
        self._lock, self._files = lock_directory(path, "writer", fsync=fsync)
        self._attributes: Document = {}
        self._documents: dict[str, Document] = {}

    @classmethod
    def make(cls, path: Path, header: Header, *, fsync: bool) -> StoreDirectory:
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
        _check_free(path)
        directory = cls(path, fsync=fsync)
        try:
            _check_free(path)  # again, now that nobody else can make one
            directory._make(header)
        except BaseException:
            directory.release()
            raise
        return directory

    @classmethod
    def open(cls, path: Path, *, fsync: bool) -> StoreDirectory:
        """Open a store with commits, and remove what lies beyond them.

        Raises
        ------
        StoreNotFoundError
            There is no store with commits.
        StoreFormatError
            There is something else, or the store is broken.
        StoreLockedError
            Another writer has it.
        """
        existing_header(path)
        directory = cls(path, fsync=fsync)
        try:
            directory._load()
        except BaseException:
            directory.release()
            raise
        return directory

    @property
    def locked(self) -> bool:
        """Whether this process may write."""
        return self._lock.held

    def release(self) -> None:
        """Let another writer have the store."""
        self._lock.release()

    def header(self) -> Header:
        """Read the root's metadata as it is on the disk."""
        return existing_header(self.path, least=0)

    def documents(self) -> dict[str, Document]:
        """Return the metadata of the arrays, by their paths."""
        return dict(self._documents)

    def write_chunks(self, chunks: Iterable[EncodedChunk]) -> None:
        """Write chunks, in the order in which they come."""
        for chunk in chunks:
            self._files.replace(chunk.key, chunk.data.as_buffer_like())

    def commit(self, header: Header) -> None:
        """Make the rows before `header.committed` exist, all of whose chunks are written.

        With `fsync`, everything written before is on the disk before the root changes, and the root
        when this returns.
        """
        self._write_lengths(header.committed)
        self._files.settle()
        self._write_root(header)

    def rewind(self, header: Header) -> None:
        """Make the rows from `header.committed` on not exist, and remove them."""
        self._write_root(header)
        self._truncate(header.committed)

    def _make(self, header: Header) -> None:
        # The root comes first: whatever stops this later, what is here is known as a store begun.
        self._write_root(header)
        for name in self._files.names(""):
            if name not in (ROOT, _PRIVATE.parts[0]):
                self._files.remove(name)
        self._documents = array_documents(header)
        for path, document in {**group_documents(), **self._documents}.items():
            self._files.replace(f"{path}/{ROOT}", serialise(document))
        self._files.settle()

    def _load(self) -> None:
        header, self._attributes = parse_root(self._files.read(ROOT), str(self.path))
        for path, expected in array_documents(header).items():
            document = parse_array(self._files.read(f"{path}/{ROOT}"), f"{self.path}/{path}")
            check_metadata(f"{self.path}/{path}", document, expected)
            self._documents[path] = document
        self._truncate(header.committed)

    def _write_root(self, header: Header) -> None:
        self._files.replace(ROOT, serialise(root_document(header, self._attributes)))
        self._files.settle()

    def _write_lengths(self, committed: int) -> None:
        for path, document in self._growing():
            if document["shape"][0] != committed:
                resized = {**document, "shape": [committed, *document["shape"][1:]]}
                self._files.replace(f"{path}/{ROOT}", serialise(resized))
                self._documents[path] = resized

    def _truncate(self, committed: int) -> None:
        self._write_lengths(committed)
        for path, document in self._growing():
            rows = document["chunk_grid"]["configuration"]["chunk_shape"][0]
            for name in self._files.names(f"{path}/c"):
                if name.isdigit() and int(name) * rows >= committed:
                    self._files.remove(f"{path}/c/{name}")
        self._files.settle()

    def _growing(self) -> list[tuple[str, Document]]:
        return [
            (path, document)
            for path, document in self._documents.items()
            if document["dimension_names"][0] == "checkpoint"
        ]


def lock_directory(path: Path, owner: str, *, fsync: bool) -> tuple[FileLock, LocalFiles]:
    """Lock a store's directory, which is made if it isn't there, for one kind of writer.

    Parameters
    ----------
    path : Path
        The store.
    owner : str
        The kind; different ones don't exclude each other.
    fsync : bool
        As for :class:`ltc.store.files.LocalFiles`.

    Returns
    -------
    lock : FileLock
        Held.
    files : LocalFiles
        What to write with. What an earlier writer of this kind left unfinished is gone.
    """
    private = path / _PRIVATE / f".{owner}"
    files = LocalFiles(path, private, fsync=fsync)
    files.make_directory(private)
    lock = FileLock(private / "lock", str(path))
    files.sweep()
    return lock, files


def existing_header(path: Path, least: int = 1) -> Header:
    """Return the header of a store that has at least so many commits.

    Raises
    ------
    StoreNotFoundError
        There is no store, or it has fewer.
    StoreFormatError
        There is something else.
    """
    if not path.exists() or _is_empty(path):
        raise StoreNotFoundError(f"{path}: there is no such store")
    try:
        data = (path / ROOT).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        data = None
    header, _ = parse_root(data, str(path))
    if header.committed < least:
        raise StoreNotFoundError(f"{path}: the store has no first commit")
    return header


def _check_free(path: Path) -> None:
    try:
        existing_header(path)
    except StoreNotFoundError:
        return
    except StoreFormatError as error:
        raise StoreFormatError(f"{error}; a new store is not put in its place") from error
    raise StoreExistsError(
        f"{path}: there is a store with commits already; resume it, or remove it first"
    )


def _is_empty(path: Path) -> bool:
    # A writer that died between locking the directory and writing the root leaves its lock.
    if not path.is_dir():
        return False
    names = {child.name for child in path.iterdir()}
    return names <= {_PRIVATE.parts[0]} and not any(path.rglob(ROOT))
