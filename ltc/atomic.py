"""Single files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ltc.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the operating system say which file it is about, if it doesn't.

    A full disk is noticed in writing, where the file has no name any more.

    Examples
    --------
    >>> with naming(Path("run.zarr")):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    ...
    OSError: [Errno 28] No space left on device: 'run.zarr'
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[Any]]:
    """Open a binary file that takes the place of `path` when the block ends.

    It is written beside `path` under a name of its own. If the block raises, or the process dies,
    `path` stays what it was.

    Parameters
    ----------
    path : Path
        The file to create or replace.

    Raises
    ------
    OSError
        It can't be written: no such directory, no permission, no space.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "indices.txt")
    ...     with atomic_file(path) as file:
    ...         file.write(b"3")
    ...         path.exists()
    ...     path.read_text()
    1
    False
    '3'
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with naming(path):
            with unfinished.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(unfinished):
            error.filename = str(path)  # what was asked for
        raise


def checked_suffix(path: str | os.PathLike[str], suffixes: Sequence[str]) -> Path:
    """Return `path` if it ends in one of the suffixes, in lower or upper case.

    Raises
    ------
    ArgumentTypeError
        It is no path.
    ArgumentValueError
        It ends otherwise.

    Examples
    --------
    >>> checked_suffix("runs/coreset.csv", (".npy", ".csv")).suffix
    '.csv'
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"path must be a str or os.PathLike, got {type(path).__name__}")
    checked = Path(path)
    if checked.suffix.lower() not in suffixes:
        raise ArgumentValueError(
            f"path must end in {' or '.join(suffixes)}, got {os.fspath(path)!r}"
        )
    return checked
