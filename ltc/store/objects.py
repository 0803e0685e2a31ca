"""A store on an object store: reading it, and being its one writer without a lock.

There is no lock on an object store that ends with its holder. So a store belongs to whoever wrote
its switch last: every writer writes a name of its own into it (`Header.writer`), and replaces it
only in the state in which it has seen it itself (``If-Match``; ``If-None-Match`` where there is
none). A run that is started again takes the store over by that, at once and with no clock; the
writer that had it, should it still live, can't commit any more and is told so.

What it wrote meanwhile does no harm either, because no object is ever replaced or removed in a
state that its writer doesn't know:

- An object that should not be there yet is created (``If-None-Match``); one that this writer has
  committed is replaced in the state in which it left it (``If-Match``), and then it only grows:
  a list of records, or the length of an array.
- One that is there all the same was left by a commit that failed, by a writer that has lost the
  store, or by one that has it now. It is looked at first, then the switch, and only if that is
  still this writer's own, the object is replaced in the state that was looked at. Whoever took the
  store over in between and has written the object since has changed that state.
- Nothing is deleted, because a deletion has no such condition. Rows beyond the committed ones are
  written over when their turn comes; metadata that must go become those of an empty group.

A tag of S3 tells contents apart, not moments. So an object that a new owner wrote with the same
bytes that it found there is in the state it was in before, for a writer that stood still just
between looking at the switch and writing. All else is excluded.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

from zarr.storage import ObjectStore

from ltc.errors import ArgumentValueError, StoreConnectionError, StoreError, StoreLockedError
from ltc.store.format import ROOT, group_document, serialise
from ltc.store.remote import ObjectChangedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping
    from concurrent.futures import Future

    from typing_extensions import Buffer
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer as ZarrBuffer
    from zarr.core.buffer import BufferPrototype

    from ltc.store.remote import Remote, Version

__all__ = ["RemoteObjects", "RemotePlace", "RemoteStore"]

AT_ONCE: Final = 16
"""Objects written at a time."""

ATTEMPTS: Final = 20
"""How often an object may be found in another state while this writer has the store."""

_NOTHING: Final[tuple[None, None]] = (None, None)
_NO_ARRAY: Final = serialise(group_document({}))


if TYPE_CHECKING:
    _ObjectStore = ObjectStore[Any]
else:
    _ObjectStore = ObjectStore  # in zarr 3.1.1 it takes no type


class RemoteStore(_ObjectStore):
    """zarr's view of a store at an address, which repeats requests until there is an answer."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote.store, read_only=True)
        self._remote = remote

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return the store itself, which is read only."""
        if not read_only:
            raise NotImplementedError("what is at an address is changed by ltc.Recorder alone")
        return self

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> ZarrBuffer | None:
        """Return an object, None if there is none."""
        if byte_range is not None:
            return await super().get(key, prototype, byte_range)
        data = await self._remote.get_async(key)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Yield the names of what is directly below a path."""
        for name in await self._remote.names_async(prefix):
            yield name


class RemotePlace:
    """An address.

    Parameters
    ----------
    remote : Remote
        The objects below it.
    """

    near = False

    def __init__(self, remote: Remote) -> None:
        self.name = remote.name
        self.listable = remote.address.writable
        self.remote = remote

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none."""
        found = self.remote.get(key)
        return None if found is None else found.data

    def is_empty(self) -> bool:
        """Tell whether nothing is there, as far as that can be known."""
        return not self.remote.address.writable or self.remote.is_empty()

    def zarr_store(self) -> RemoteStore:
        """Return what zarr reads from."""
        return RemoteStore(self.remote)

    def check_writable(self) -> None:
        """Raise an error where objects can only be read."""
        if not self.remote.address.writable:
            raise ArgumentValueError(
                "path must be on a local disk or begin with s3:// or gs:// where it is written to, "
                f"got {self.name!r}"
            )

    def lock(self, kind: str, switch: str, *, fsync: bool) -> RemoteObjects:  # noqa: ARG002
        """Return what can be written to; that another one has it is found out by writing.

        What was written outlives a power cut in any case.
        """
        return RemoteObjects(self.remote, switch)


class RemoteObjects:
    """The objects of a store, for the writer whose name is in the switch.

    Parameters
    ----------
    remote : Remote
        The objects.
    switch : str
        The key of the one that all the others depend on.
    owner : str, optional
        The writer for whom this one writes; by default it is one of its own.
    """

    removes = False

    def __init__(self, remote: Remote, switch: str, owner: str | None = None) -> None:
        self.name = remote.name
        self.owner: str = owner or uuid.uuid4().hex
        self.certain = True
        self._remote = remote
        self._switch = switch
        self._known: tuple[bytes | None, Version | None] | None = None
        # What was written since the switch, and what before: what is replaced again is among it.
        self._versions: dict[str, Version] = {}
        self._earlier: dict[str, Version] = {}
        self._lost = False
        self._conditions_hold = False
        self._process: int | None = os.getpid()

    @property
    def held(self) -> bool:
        """Whether this process may write; False once released, and in a forked child."""
        return self._process == os.getpid()

    def release(self) -> None:
        """Write no more; the next writer needs no sign of it."""
        self._process = None

    def is_empty(self) -> bool:
        """Tell whether nothing is there."""
        return self._remote.is_empty()

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None if there is none; those of the switch as last known."""
        if key == self._switch:
            if self._known is None:
                self._known = self._remote.get(key) or _NOTHING
            return self._known[0]
        found = self._remote.get(key)
        return None if found is None else found.data

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """Read several objects, and replace them later in the state in which they were read."""
        wanted = list(keys)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ltc-read") as pool:
            found = dict(zip(wanted, pool.map(self._remote.get, wanted), strict=True))
        self._earlier |= {key: each.version for key, each in found.items() if each}
        return {key: each.data if each else None for key, each in found.items()}

    def write(self, objects: Iterable[tuple[str, Buffer]]) -> None:
        """Write objects, several at a time."""
        self._check_not_lost()
        stopped = threading.Event()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ltc-write") as pool:
            try:
                waiting: deque[Future[None]] = deque()
                for key, data in objects:
                    waiting.append(pool.submit(self._replace, key, data, stopped))
                    if len(waiting) == AT_ONCE:
                        waiting.popleft().result()
                for written in waiting:
                    written.result()
            except BaseException:
                stopped.set()  # what is under way ends, and nothing follows on it
                pool.shutdown(cancel_futures=True)
                raise

    def switch(self, data: bytes) -> None:
        """Replace the switch, if it is still as this writer has seen it last."""
        self._check_not_lost()
        self.read(self._switch)
        _, version = self._known or _NOTHING
        self.certain = False
        for _ in range(ATTEMPTS):
            try:
                version = self._remote.put(self._switch, data, version)
                break
            except ObjectChangedError:
                found = self._remote.get(self._switch)
            if found is None and version is None:
                continue  # two that make the same object at once are both sent away
            if found is None or self.owner.encode() not in found.data:
                self.certain = self._lost = True
                raise self._taken()
            version = found.version
            if found.data == data:
                break  # it was written, and the answer was lost
            # Otherwise it is an earlier one of this writer's, which came late.
        else:
            raise self._unsteady(self._switch)
        self._known, self.certain = (data, version), True
        if not self._conditions_hold:
            self._try_condition(data)
        # What a commit replaces was replaced by the one before, too; the rest need not be known.
        self._earlier, self._versions = self._versions, {}

    def replace_all(self, path: str, objects: Mapping[str, Buffer]) -> None:
        """Write all objects below a path, whose metadata are the switch; say nothing meanwhile."""
        self.switch(serialise(group_document({"ltc": {"writer": self.owner}})))
        self.write((f"{path}/{name}", data) for name, data in objects.items() if name != ROOT)
        self.switch(bytes(objects[ROOT]))

    def clear(self, kept: Iterable[str]) -> None:
        """Make the metadata of everything else say nothing; chunks without them are nothing."""
        stays = {self._switch, *kept}
        others = [key for key in self._remote.list_keys() if key.endswith(f"/{ROOT}")]
        self.write((key, _NO_ARRAY) for key in others if key not in stays)

    def trim(self, path: str, rows: int) -> None:
        """Leave rows beyond the length of an array; they are written over when their turn comes."""

    def forget(self) -> None:
        """Take what was written since the switch for anybody's.

        Another writer may have the store by now, and count on these objects because it would have
        written the same.
        """
        self._versions = {}

    def settle(self) -> None:
        """Do nothing: what was written is safe."""

    def _try_condition(self, data: bytes) -> None:
        """Make sure that this object store heeds conditions: some pass over what they don't know.

        Raises
        ------
        StoreError
            It doesn't.
        """
        try:
            self._remote.put(self._switch, data, None)
        except ObjectChangedError:
            self._conditions_hold = True
            return
        raise StoreError(
            f"{self.name}: the object store ignores conditions of writes (If-None-Match), without "
            "which two writers would destroy each other's commits"
        )

    def _replace(self, key: str, data: Buffer, stopped: threading.Event) -> None:
        version = self._versions.get(key) or self._earlier.get(key)
        for _ in range(ATTEMPTS):
            if stopped.is_set():
                return
            try:
                self._versions[key] = self._remote.put(key, data, version, stopped)
                return
            except ObjectChangedError:
                found = self._remote.get(key, stopped)
            if found is None:
                version = None
                continue
            version = found.version
            if found.data == bytes(data):
                self._versions[key] = version  # written already, and the answer was lost
                return
            self._check_owner(stopped)  # after looking at the object, before replacing it
        raise self._unsteady(key)

    def _check_owner(self, stopped: threading.Event) -> None:
        found = self._remote.get(self._switch, stopped)
        if found is None or self.owner.encode() not in found.data:
            self._lost = True
            raise self._taken()

    def _check_not_lost(self) -> None:
        if self._lost:
            raise self._taken()

    def _taken(self) -> StoreLockedError:
        return StoreLockedError(
            f"{self.name}: another writer has taken the store over, here or elsewhere; this one "
            "can't write any more"
        )

    def _unsteady(self, key: str) -> StoreConnectionError:
        return StoreConnectionError(
            f"{self.name}: {key} could not be written: it was found changed {ATTEMPTS} times"
        )
