"""Where a store is, and what its writer changes there: the same few things for disk and bucket.

A *place* is read and locked. What is locked are its *objects*: they are written whole, in any
order, and then one of them, the *switch*, is replaced, by which all the others begin to count. A
reader trusts the switch alone. So whatever stops a writer, there is what was before the switch or
what is after it; what lies beyond is never read, and the next writer removes it or writes over it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zarr.abc.store import Store as ZarrStore
from zarr.storage import LocalStore

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    StoreNotFoundError,
)
from ltc.store.addresses import Address, is_address, redacted
from ltc.store.files import LocalPlace
from ltc.store.format import ROOT, parse_root
from ltc.store.objects import RemotePlace
from ltc.store.pipeline import read_bytes
from ltc.store.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import Buffer

    from ltc.store.header import Header

__all__ = ["Objects", "Place", "Source", "existing_header", "local_path", "locate"]


class Source(Protocol):
    """What can be read."""

    @property
    def name(self) -> str:
        """The path or address, without anything secret."""

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none."""

    def is_empty(self) -> bool:
        """Tell whether nothing is there, but for what a writer left that died before it began."""


class Place(Source, Protocol):
    """Where a store is, or may be made."""

    @property
    def near(self) -> bool:
        """Whether an answer comes at once, so that nothing is gained by asking for much at once."""

    @property
    def listable(self) -> bool:
        """Whether it can be found out what is there."""

    def zarr_store(self) -> ZarrStore:
        """Return what zarr reads from."""

    def check_writable(self) -> None:
        """Raise an error where nothing can be written, whoever asks."""

    def lock(self, kind: str, switch: str, *, fsync: bool) -> Objects:
        """Let one writer of a kind have the objects.

        Parameters
        ----------
        kind : str
            Writers of different kinds don't exclude each other.
        switch : str
            The key of the object by which what they write begins to count.
        fsync : bool
            Whether what was written must outlive a power cut.

        Raises
        ------
        StoreLockedError
            There is another one. Where only a write can tell, the first write does.
        OSError
            It can't be written to.
        """


class Objects(Source, Protocol):
    """The objects of a store, for one writer alone.

    Whatever writes raises `StoreLockedError` if the store is this writer's no longer.
    """

    @property
    def owner(self) -> str | None:
        """What must be part of the switch, to say who wrote it; None where there is a lock."""

    @property
    def certain(self) -> bool:
        """Whether it is known what the switch holds. Once `switch` returns, it is."""

    @property
    def removes(self) -> bool:
        """Whether what no longer counts is removed; otherwise it is written over some day."""

    @property
    def held(self) -> bool:
        """Whether this process may write."""

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none; those of the switch as last known."""

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """Read several objects, by their keys."""

    def write(self, objects: Iterable[tuple[str, Buffer]]) -> None:
        """Write objects, each of them whole; all are there when this returns.

        They are taken one by one, so that few of them need be in memory.
        """

    def switch(self, data: bytes) -> None:
        """Replace the switch, when all that was written before is safe; safe when this returns."""

    def replace_all(self, path: str, objects: Mapping[str, Buffer]) -> None:
        """Write all objects below a path, whose metadata are the switch.

        Whatever stops this, there are the old ones, the new ones, or none.
        """

    def clear(self, kept: Iterable[str]) -> None:
        """Remove all groups and arrays, but for some metadata that will be written anew."""

    def trim(self, path: str, rows: int) -> None:
        """Remove the chunks of an array from a row of chunks on, which are beyond its length."""

    def forget(self) -> None:
        """Count on nothing that was written since the switch: it may come to nothing."""

    def settle(self) -> None:
        """Make what was written and removed safe."""

    def release(self) -> None:
        """Let another writer have them."""


class ZarrPlace:
    """A store that zarr reads from; how to have it alone is not known.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Any.
    """

    listable = True

    def __init__(self, store: ZarrStore) -> None:
        self.near = isinstance(store, LocalStore)
        self.name = str(store.root) if isinstance(store, LocalStore) else str(store)
        self._store = store

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none."""
        return read_bytes(self._store, key)

    def is_empty(self) -> bool:
        """Return False: what else is there is not known."""
        return False

    def zarr_store(self) -> ZarrStore:
        """Return the store itself."""
        return self._store

    def check_writable(self) -> None:
        """Refuse."""
        raise ArgumentTypeError(
            "path must be a str or os.PathLike where it is written to, other zarr stores can't be, "
            f"got {type(self._store).__name__}"
        )

    def lock(self, kind: str, switch: str, *, fsync: bool) -> Objects:
        """Refuse."""
        raise NotImplementedError(kind, switch, fsync)


def locate(
    path: object, storage_options: Mapping[str, Any] | None = None, *, writing: bool = False
) -> Place:
    """Return the place that a path, an address, or a zarr store stands for.

    Parameters
    ----------
    path : str, os.PathLike, zarr.abc.store.Store or Place
        A local path; an address that begins with ``s3://``, ``gs://`` or ``https://``; or a place.
    storage_options : mapping, optional
        How to reach an address.
    writing : bool
        Whether it must be one that can be written to.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        It is something else, or an address that says more than where the store is.
    BackendUnavailableError
        It is an address, and what reads from there isn't installed.
    """
    if isinstance(path, LocalPlace | RemotePlace | ZarrPlace):
        place: Place = path
    elif isinstance(path, ZarrStore):
        # One of another kind may have something else to say of its objects.
        local = type(path) is LocalStore and not writing
        place = LocalPlace(path.root) if local else ZarrPlace(path)  # type: ignore[attr-defined]
    else:
        place = _locate_text(_text(path), storage_options)
    if writing:
        place.check_writable()
    return place


def local_path(path: object) -> Path:
    """Return a path, which must be one on a local disk.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        It is something else.
    """
    text = _text(path)
    if is_address(text):
        raise ArgumentValueError(f"path must be on a local disk, got {redacted(text)!r}")
    return Path(text)


def _text(path: object) -> str:
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
    except TypeError as error:
        raise ArgumentTypeError(
            "path must be a str or os.PathLike on a local disk, the address of an object store, or "
            f"a zarr store, got {type(path).__name__}"
        ) from error
    if not isinstance(text, str):
        raise ArgumentTypeError(
            f"path must be a str or os.PathLike[str], got {type(text).__name__}"
        )
    return text


def _locate_text(text: str, storage_options: Mapping[str, Any] | None) -> Place:
    if is_address(text):
        return RemotePlace(Remote(Address.parse(text), storage_options))
    if storage_options:
        raise ArgumentValueError(
            f"storage_options must be given for an address only, got the path {text!r}"
        )
    return LocalPlace(Path(text))


def existing_header(source: Source, least: int = 1) -> Header:
    """Return the header of a store that has at least so many commits.

    Raises
    ------
    StoreNotFoundError
        There is no store, or it has fewer.
    StoreFormatError
        There is something else.
    """
    data = source.read(ROOT)
    if data is None and source.is_empty():
        raise StoreNotFoundError(f"{source.name}: there is no such store")
    header, _ = parse_root(data, source.name)
    if header.committed < least:
        raise StoreNotFoundError(f"{source.name}: the store has no first commit")
    return header
