"""Objects behind an address, asked for until there is an answer.

obstore makes the requests. What it leaves to its caller is done here: a request that got no answer,
or one of those that pass (5xx, too many at a time), is repeated for a while; "there is none" is
told apart from no answer; and of an error only what is known to hold no secret is shown. Its own
text quotes what the server sent, which may be the name of the key that was refused.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    StoreConnectionError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import ModuleType

    from typing_extensions import Buffer

    from ltc.store.addresses import Address

__all__ = ["Found", "ObjectChangedError", "Remote", "Version"]

_T = TypeVar("_T")

Version = dict[str, str]
"""What tells one state of an object from another: a tag, or a number, that the server gives."""

# Answers that another try may change, by their status; 501 is none of them, it is a refusal.
_PASSING: Final = frozenset({408, 429, *range(500, 600)}) - {501}
# And by the code that S3 adds, whatever the status.
_PASSING_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "InternalError"})
# Where a machine in a cloud asks for credentials when it was given none.
_CREDENTIAL_HOSTS: Final = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")


@dataclass(frozen=True)
class Retries:
    """How often, and for how long, a request is repeated.

    Attributes
    ----------
    count : int
        How often at most.
    seconds : float
        No repetition begins later after the first try.
    first, longest : float
        Seconds before the first repetition, and at most before any; each waits twice as long as the
        one before.
    """

    count: int = 10
    seconds: float = 180.0
    first: float = 0.1
    longest: float = 15.0

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each repetition, spread so that clients don't meet."""
        start = time.monotonic()
        for repetition in range(self.count):
            if time.monotonic() - start > self.seconds:
                return
            yield min(self.first * 2**repetition, self.longest) * random.uniform(0.5, 1.0)


RETRIES = Retries()


class Found(NamedTuple):
    """The bytes of an object, and which version of it they are."""

    data: bytes
    version: Version


class ObjectChangedError(Exception):
    """An object isn't in the state in which it was to be replaced; it never leaves this package."""


class Remote:
    """The objects below an address.

    Parameters
    ----------
    address : Address
        Where.
    storage_options : mapping, optional
        Keyword arguments of obstore's store for this kind of address. What is not given there it
        takes from the environment.

    Attributes
    ----------
    name : str
        The address.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        `storage_options` is not what obstore takes.
    BackendUnavailableError
        obstore isn't installed.
    """

    def __init__(self, address: Address, storage_options: Mapping[str, Any] | None = None) -> None:
        self.address = address
        self.name = str(address)
        self._obstore = _import_obstore(self.name)
        self.store = _open(address, storage_options or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Take the way to the objects along, credentials included, to a process that asks too."""
        return _restored, (self.address, self.store)

    def get(self, key: str, stopped: threading.Event | None = None) -> Found | None:
        """Return an object, None if there is none.

        Parameters
        ----------
        key : str
            The object.
        stopped : threading.Event, optional
            Once it is set, nothing is repeated.

        Raises
        ------
        StoreConnectionError
            There was no answer, or a refusal; so for all methods.
        """

        def get() -> Found | None:
            try:
                result = self._obstore.get(self.store, key)
                return Found(bytes(result.bytes()), _version(result.meta))
            except FileNotFoundError:
                return None

        return self._repeat(get, f"{key} could not be read", stopped)

    async def get_async(self, key: str) -> Any:
        """Return an object as a buffer of bytes, None if there is none."""

        async def get() -> Any:
            try:
                result = await self._obstore.get_async(self.store, key)
                return await result.bytes_async()
            except FileNotFoundError:
                return None

        return await self._repeat_async(get, f"{key} could not be read")

    def put(
        self,
        key: str,
        data: Buffer,
        version: Version | None,
        stopped: threading.Event | None = None,
    ) -> Version:
        """Write an object that is in a known state, and return its new version.

        Parameters
        ----------
        key : str
            The object.
        data : bytes-like
            Its content.
        version : dict or None
            What it is now; None where there is none.
        stopped : threading.Event, optional
            Once it is set, nothing is repeated.

        Raises
        ------
        ObjectChangedError
            It is in another state; or this request was repeated, and it was written by an earlier
            try whose answer was lost.
        """
        errors = self._obstore.exceptions

        def put() -> Version | None:
            try:
                # In one request: the condition holds for that.
                mode = "create" if version is None else version
                result = self._obstore.put(self.store, key, data, mode=mode, use_multipart=False)
                return _version(result)
            except (errors.AlreadyExistsError, errors.PreconditionError):
                return None

        written = self._repeat(put, f"{key} could not be written", stopped)
        if written is None:
            raise ObjectChangedError(key)
        return written

    def list_keys(self) -> list[str]:
        """Return the keys of all objects."""

        def list_all() -> list[str]:
            return [each["path"] for each in self._obstore.list(self.store).collect()]

        return self._repeat(list_all, "the objects could not be listed")

    def is_empty(self) -> bool:
        """Tell whether there are no objects; a bucket may have more than can be listed."""

        def list_one() -> bool:
            return not next(self._obstore.list(self.store, chunk_size=1), None)

        return self._repeat(list_one, "the objects could not be listed")

    async def names_async(self, path: str) -> list[str]:
        """Return the names of what is directly below a path."""

        async def list_some() -> list[str]:
            found = await self._obstore.list_with_delimiter_async(self.store, prefix=path)
            return [*found["common_prefixes"], *(each["path"] for each in found["objects"])]

        found = await self._repeat_async(list_some, f"{path} could not be listed")
        return [key.rpartition("/")[2] for key in found]

    def _repeat(
        self, request: Callable[[], _T], failure: str, stopped: threading.Event | None = None
    ) -> _T:
        waits, stopped = RETRIES.waits(), stopped or threading.Event()
        while True:
            try:
                return request()
            except Exception as error:
                problem = _Problem.of(error)
            if not problem.passing or (wait := next(waits, None)) is None:
                self._fail(problem, failure)
            if stopped.wait(wait):
                self._fail(problem, failure)

    async def _repeat_async(self, request: Callable[[], Awaitable[_T]], failure: str) -> _T:
        waits = RETRIES.waits()
        while True:
            try:
                return await request()
            except Exception as error:
                problem = _Problem.of(error)
            if not problem.passing or (wait := next(waits, None)) is None:
                self._fail(problem, failure)
            await asyncio.sleep(wait)

    def _fail(self, problem: _Problem, failure: str) -> NoReturn:
        # Called where no exception is being handled: the new one must not bring the old one along.
        raise StoreConnectionError(f"{self.name}: {failure}: {problem.text}")


def _restored(address: Address, store: Any) -> Remote:
    remote = Remote.__new__(Remote)
    remote.address = address
    remote.name = str(address)
    remote._obstore = _import_obstore(remote.name)
    remote.store = store
    return remote


@dataclass(frozen=True)
class _Problem:
    """What is told of an error, and whether another try may help."""

    text: str
    passing: bool

    @classmethod
    def of(cls, error: Exception) -> _Problem:
        """Take from an error's text what a pattern allows, never the text itself."""
        full = str(error)
        found = re.search(r"status code: (\d{3})(?: ([A-Z][A-Za-z ]{,40}))?", full)
        code = re.search(r"<Code>([A-Za-z]{1,50})</Code>", full)
        kind = re.search(r"kind: (Connect|Timeout|Interrupted|Decode|Request|Unknown)\b", full)
        if any(host in full for host in _CREDENTIAL_HOSTS):
            return cls(
                "no credentials were found; set them in the environment (for S3, "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or in storage_options, where "
                "{'skip_signature': True} reads what is public",
                passing=False,
            )
        if found:
            status = " ".join(part.strip() for part in found.groups() if part)
            text = f"{status} ({code[1]})" if code else status
            passing = int(found[1]) in _PASSING or bool(code and code[1] in _PASSING_CODES)
            return cls(text, passing)
        if "redirect" in full:
            return cls("the bucket is in another region than the one given", passing=False)
        if type(error).__name__ == "GenericError":
            return cls(_KINDS.get(kind[1] if kind else "", "no whole answer came"), passing=True)
        return cls(type(error).__name__, passing=False)


_KINDS: Final = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Interrupted": "the connection was cut",
}


def _import_obstore(name: str) -> ModuleType:
    try:
        import obstore
    except ImportError as error:
        raise BackendUnavailableError(
            f"{name} needs the package obstore: pip install 'ltc[objects]'"
        ) from error
    return obstore


def _open(address: Address, storage_options: Mapping[str, Any]) -> Any:
    from obstore.store import GCSStore, HTTPStore, S3Store

    if not isinstance(storage_options, Mapping):
        raise ArgumentTypeError(
            f"storage_options must be a mapping, got {type(storage_options).__name__}"
        )
    # Repeating is done here. An endpoint or address with http:// is asked for by name.
    options = {"retry_config": {"max_retries": 0}, **storage_options}
    try:
        options["client_options"] = {"allow_http": True, **options.get("client_options", {})}
        if not address.writable:
            return HTTPStore(str(address), **options)
        kind = S3Store if address.scheme == "s3" else GCSStore
        return kind(address.host, prefix=address.path or None, **options)
    except TypeError:
        problem: type[Exception] = ArgumentTypeError
    except Exception:
        problem = ArgumentValueError
    # Without the error that obstore gave: its text may quote a value.
    raise problem(
        f"storage_options must be keyword arguments of obstore's store for {address.scheme}://, "
        f"got the keys {sorted(map(str, storage_options))} for {address}"
    )


def _version(described: Mapping[str, Any]) -> Version:
    """Return what `put` takes of what obstore says of an object."""
    return {key: described[key] for key in ("e_tag", "version") if described.get(key)}
