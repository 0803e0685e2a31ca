"""Errors that `ltc` raises on purpose.

Those about arguments and backends come from :mod:`ltc_kernels.errors`; those about stores and
recorders are added here. Every one derives from :class:`LtcError` and from the builtin that fits.
"""

from __future__ import annotations

from ltc_kernels.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    LtcError,
)

__all__ = [
    "ArgumentIndexError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "BackendUnavailableError",
    "DistributedError",
    "LtcError",
    "MissingExtraError",
    "RecorderStateError",
    "SourceFormatError",
    "StoreConnectionError",
    "StoreCorruptError",
    "StoreError",
    "StoreExistsError",
    "StoreFormatError",
    "StoreLockedError",
    "StoreMismatchError",
    "StoreNotFoundError",
]


class StoreError(LtcError):
    """Base of the errors about a store as a whole."""


class StoreNotFoundError(StoreError, FileNotFoundError):
    """There is no store, or none with a first commit."""


class StoreExistsError(StoreError, FileExistsError):
    """A new store was asked for where there is one already."""


class StoreFormatError(StoreError, ValueError):
    """What is there is not a store, is newer than this version reads, or has broken metadata."""


class StoreLockedError(StoreError, BlockingIOError):
    """Another writer has the store open."""


class StoreConnectionError(StoreError, ConnectionError):
    """A store at an address gave no answer, or refused; nothing is known of what is there."""


class StoreCorruptError(StoreError, OSError):
    """A chunk was changed, or one that must be there is lost; the message names it."""


class StoreMismatchError(StoreError, ValueError):
    """A store holds other sizes, labels or ids than the run that is to be continued in it."""


class SourceFormatError(LtcError, ValueError):
    """A file of losses to import is not as it must be; the message names the file and the place."""


class RecorderStateError(LtcError, RuntimeError):
    """A call doesn't fit what was called before: mixed modes, pending updates, use after close."""


class MissingExtraError(LtcError, ImportError):
    """A package that only some of this needs is not installed; the message says how to."""


class DistributedError(LtcError, RuntimeError):
    """Another process of a distributed run failed, or the processes can't reach each other."""
