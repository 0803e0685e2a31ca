"""Writing the objects of a store on a local disk, each replaced atomically."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ltc.atomic import naming
from ltc.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Buffer

__all__ = ["LocalFiles", "local_path"]


class LocalFiles:
    """The files of a store, written through a directory for unfinished ones.

    An object is written there under a name of its own and then renamed, so that a reader sees the
    old one or the new one. What the death of a process left unfinished is all in that one place.

    Parameters
    ----------
    root : Path
        The store's directory.
    scratch : Path
        A directory below `root` that this writer has for itself.
    fsync : bool
        Also force files and directories to the disk, so that they outlive a power cut. A file is
        forced before it gets its name; for the names, see :meth:`settle`.
    """

    def __init__(self, root: Path, scratch: Path, *, fsync: bool) -> None:
        self._root = root
        self._scratch = scratch
        self._fsync = fsync
        self._unsettled: set[Path] = set()

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none."""
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

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
        with self._unfinished() as unfinished, self._unfinished() as old, naming(path):
            for name, data in objects.items():
                (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
                self._write(unfinished / name, data)
            try:
                with contextlib.suppress(FileNotFoundError):
                    path.rename(old)
                unfinished.rename(path)
            except BaseException:
                if old.exists() and not path.exists():
                    old.rename(path)
                raise
            _remove(old)
        self._touched(path.parent)

    def remove(self, key: str) -> None:
        """Remove an object, or all objects below `key`; neither need exist."""
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

    def sweep(self) -> None:
        """Remove what earlier writers left unfinished."""
        for path in self._scratch.glob("*.partial"):
            _remove(path)

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


def local_path(path: object) -> Path:
    """Return `path` as one on this machine's disks.

    Raises
    ------
    ArgumentTypeError
        It isn't a path.
    ArgumentValueError
        It is the address of something else.
    """
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
    except TypeError as error:
        raise ArgumentTypeError(
            "path must be a str or os.PathLike on a local disk; other zarr stores can't be written "
            f"to, got {type(path).__name__}"
        ) from error
    if not isinstance(text, str):
        raise ArgumentTypeError(
            f"path must be a str or os.PathLike[str], got {type(text).__name__}"
        )
    if "://" in text:
        raise ArgumentValueError(
            f"path must be on a local disk, got {text!r}; to read from elsewhere, give "
            "open_store a zarr store object"
        )
    return Path(text)


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
