"""A store on a local disk: reading it, and writing its files, each replaced atomically."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zarr.storage import LocalStore

from ltc.atomic import naming
from ltc.errors import StoreError
from ltc.store.format import ROOT
from ltc.store.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from typing_extensions import Buffer

__all__ = ["LocalFiles", "LocalPlace"]

# Inside an array, where no reader looks for members of a group and warns of what is none.
_PRIVATE: Final = Path("commits", "time")


class LocalPlace:
    """A directory.

    Parameters
    ----------
    path : Path
        It need not exist.
    """

    near = True
    listable = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Mean the same directory in a process that was started elsewhere."""
        return type(self), (self.path.absolute(),)

    def read(self, key: str) -> bytes | None:
        """Return a file's bytes, None if there is none."""
        try:
            return (self.path / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_empty(self) -> bool:
        """Tell whether nothing is there, but for the lock of a writer that died before it began."""
        if not self.path.is_dir():
            return not self.path.exists()
        names = {child.name for child in self.path.iterdir()}
        return names <= {_PRIVATE.parts[0]} and not any(self.path.rglob(ROOT))

    def zarr_store(self) -> LocalStore:
        """Return what zarr reads from."""
        return LocalStore(self.path, read_only=True)

    def check_writable(self) -> None:
        """Do nothing: trying will tell."""

    def lock(self, kind: str, switch: str, *, fsync: bool) -> LocalFiles:
        """Lock the directory, which is made if it isn't there, for one kind of writer."""
        return LocalFiles(self, kind, switch, fsync=fsync)


class LocalFiles:
    """The files of a store, written through a directory for unfinished ones.

    A file is written there under a name of its own and then renamed, so that a reader sees the old
    one or the new one. What the death of a process left unfinished is all in that one place, and is
    removed here.

    Parameters
    ----------
    place : LocalPlace
        The store.
    kind : str
        Writers of different kinds don't exclude each other.
    switch : str
        The file that is replaced after all others.
    fsync : bool
        Also force files and directories to the disk, so that they outlive a power cut. A file is
        forced before it gets its name; for the names, see :meth:`settle`.

    Raises
    ------
    StoreLockedError
        Another writer of this kind has it.
    OSError
        The directory can't be written to.
    """

    owner = None
    certain = True  # the disk can be asked at any time
    removes = True

    def __init__(self, place: LocalPlace, kind: str, switch: str, *, fsync: bool) -> None:
        self.name = place.name
        self._place = place
        self._root = place.path
        self._scratch = place.path / _PRIVATE / f".{kind}"
        self._switch = switch
        self._fsync = fsync
        self._unsettled: set[Path] = set()
        self._lock = self._take_lock()
        for path in self._scratch.glob("*.partial"):
            _remove(path)

    @property
    def held(self) -> bool:
        """Whether this process may write."""
        return self._lock.held

    def is_empty(self) -> bool:
        """Tell whether nothing is there but what is this class's own."""
        return self._place.is_empty()

    def read(self, key: str) -> bytes | None:
        """Return a file's bytes, None if there is none."""
        return self._place.read(key)

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """Read several files."""
        return {key: self.read(key) for key in keys}

    def write(self, objects: Iterable[tuple[str, Buffer]]) -> None:
        """Write files, in the order in which they come."""
        for key, data in objects:
            self.replace(key, data)

    def switch(self, data: bytes) -> None:
        """Replace the switch, when all that was written before is on the disk."""
        self.settle()
        self.replace(self._switch, data)
        self.settle()

    def trim(self, path: str, rows: int) -> None:
        """Remove the chunks of an array from a row of chunks on."""
        for name in self.names(f"{path}/c"):
            if name.isdigit() and int(name) >= rows:
                self.remove(f"{path}/c/{name}")

    def clear(self, kept: Iterable[str]) -> None:  # noqa: ARG002
        """Remove everything but the switch and what is this class's own; the rest is soon back."""
        for name in self.names(""):
            if name not in (self._switch, _PRIVATE.parts[0]):
                self.remove(name)

    def forget(self) -> None:
        """Do nothing: there is no other writer."""

    def release(self) -> None:
        """Let another writer have them."""
        self._lock.release()

    def make_directory(self, directory: Path) -> None:
        """Make a directory, and those above it, where they aren't there."""
        if directory.is_dir():
            return
        self.make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        self._touched(directory.parent)

    def replace(self, key: str, data: Buffer) -> None:
        """Write an object; if that fails, the old one stays."""
        path = self._root / key
        self.make_directory(path.parent)
        with self._unfinished() as unfinished, naming(path):
            self._write(unfinished, data)
            unfinished.replace(path)
        self._touched(path.parent)

    def replace_all(self, key: str, objects: Mapping[str, Buffer]) -> None:
        """Write a directory of objects; if that fails, the old one stays as it was.

        Two renames put it in its place: a reader in between, or after a crash there, finds none.

        Parameters
        ----------
        key : str
            The directory.
        objects : mapping
            All that is to be below it.
        """
        path = self._root / key
        self.make_directory(path.parent)
        with self._unfinished() as unfinished, naming(path):
            for name, data in objects.items():
                (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
                self._write(unfinished / name, data)
            self._put_in_place(unfinished, path)

    def move(self, source: str, key: str) -> None:
        """Let a directory of the store take the place of another; as `replace_all`."""
        path = self._root / key
        with naming(path):
            self._put_in_place(self._root / source, path)

    def _put_in_place(self, new: Path, path: Path) -> None:
        with self._unfinished() as old:
            try:
                with contextlib.suppress(FileNotFoundError):
                    path.rename(old)
                new.rename(path)
            except BaseException:
                if old.exists() and not path.exists():
                    old.rename(path)
                raise
            _remove(old)
        self._touched(path.parent)

    def remove(self, key: str) -> None:
        """Remove a file, or all files below `key`; neither need exist."""
        path = self._root / key
        _remove(path)
        if path.parent.exists():
            self._touched(path.parent)

    def names(self, key: str) -> list[str]:
        """Return the names in a directory, an empty list if there is none."""
        directory = self._root / key
        return [path.name for path in directory.iterdir()] if directory.is_dir() else []

    def settle(self) -> None:
        """With `fsync`, force the names given and taken since the last call to the disk."""
        while self._unsettled:
            directory = self._unsettled.pop()
            with contextlib.suppress(FileNotFoundError):  # removed since, with what was in it
                _fsync_directory(directory)

    def _take_lock(self) -> FileLock:
        try:
            self.make_directory(self._scratch)
            return FileLock(self._scratch / "lock", self.name)
        except StoreError:
            raise
        except OSError as error:  # of the store, not of a file that the user never heard of
            raise OSError(error.errno, error.strerror, self.name) from error

    def _write(self, path: Path, data: Buffer) -> None:
        with path.open("wb") as file:
            file.write(data)
            if self._fsync:
                file.flush()
                os.fsync(file.fileno())

    @contextlib.contextmanager
    def _unfinished(self) -> Iterator[Path]:
        path = self._scratch / f"{uuid.uuid4().hex}.partial"
        try:
            yield path
        except BaseException:
            _remove(path)
            raise

    def _touched(self, directory: Path) -> None:
        if self._fsync:
            self._unsettled.add(directory)


def _remove(path: Path) -> None:
    """Remove a file or a directory with all that is in it; it need not exist."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
