"""One writer at a time: a lock that the operating system holds and that ends with the process."""

from __future__ import annotations

import errno
import os
import weakref
from typing import TYPE_CHECKING

from ltc.errors import StoreError, StoreLockedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileLock"]


class FileLock:
    """An exclusive lock on a file, taken at once or not at all.

    The file stays when the lock is released: removing it would let two processes lock two files of
    the same name. A process forked from the holder, such as a data loader's worker, doesn't keep
    the lock.

    Parameters
    ----------
    path : Path
        The file; made if it doesn't exist.
    what : str
        What is locked, for messages.

    Raises
    ------
    StoreLockedError
        Somebody else holds it, in this process or another.
    StoreError
        This system or this file system has no such locks.
    """

    def __init__(self, path: Path, what: str) -> None:
        try:
            import fcntl
        except ImportError as error:
            raise StoreError("writing a store needs a POSIX system, for its locks") from error
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreLockedError(
                    f"{what} is open for writing already, here or in another process"
                ) from error
            raise StoreError(f"{what}: the file system gives no locks ({error})") from error
        self._descriptor: int | None = descriptor
        _held.add(self)

    @property
    def held(self) -> bool:
        """Whether this process holds the lock; False once released, and in a forked child."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let the next one have it; calling it again does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _release_in_child() -> None:
    # Closing the child's copy leaves the parent's lock in place; keeping it would outlive the
    # parent.
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
