"""Losses in NumPy's own files: an ``.npz`` of everything, or one ``.npy`` for each split."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import SourceFormatError
from ltc.importers.source import Arrays
from ltc.importers.spool import Rows, Segment, split_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ltc.importers.spool import Spool

__all__ = ["open_archive", "read_array", "read_matrix", "read_npz"]

LOSSES: Final = ("train", "val")
OTHERS: Final = ("train_labels", "val_labels", "train_ids", "val_ids", "checkpoints")
_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: Path, spool: Spool) -> Arrays:
    """Read the arrays ``train`` and ``val``, and any of those called as `write_store` calls them.

    Losses are copied to the spool, unpacked if they are compressed.

    Raises
    ------
    SourceFormatError
        It is no such file, or has other arrays.
    """
    losses, others = {}, {}
    with open_archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        _check_names(path, names)
        for name in names:
            with archive.open(f"{name}.npy") as member:
                if name in LOSSES:
                    losses[name] = _rows(f"{path}: {name}", member, spool)
                else:
                    others[name] = read_array(f"{path}: {name}", member)
    return Arrays(losses["train"], losses["val"], others)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an ``.npz`` file for a block, in which errors of the archive name it.

    Raises
    ------
    SourceFormatError
        It is no such file, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceFormatError(f"{path}: must be a whole .npz archive: {error}") from error


def read_matrix(file: IO[bytes], spool: Spool) -> Rows:
    """Return the losses [checkpoint, sample] in an ``.npy`` file, which they stay in.

    Raises
    ------
    SourceFormatError
        It is no such file, or holds something else.
    """
    shape, order, dtype = _header(file.name, file)
    elements = Segment(file, file.tell(), shape[0] * shape[1], dtype)
    size = file.seek(0, 2)
    if size < elements.end:
        raise SourceFormatError(
            f"{file.name}: the file ends too early: it must have {elements.end:,} bytes, got "
            f"{size:,}"
        )
    return Rows(split_rows(elements, shape, order, spool))


def read_array(name: str, file: IO[bytes]) -> NDArray[Any]:
    """Return a small array as a whole: numbers or strings, and no pickles.

    Raises
    ------
    SourceFormatError
        It is something else.
    """
    with _explained(name):
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _rows(name: str, member: IO[bytes], spool: Spool) -> Rows:
    shape, order, dtype = _header(name, member)
    count = shape[0] * shape[1]
    size = count * dtype.itemsize
    begin = spool.copy(member, size)
    got = spool.end - begin
    if got != size or member.read(1):
        raise SourceFormatError(
            f"{name}: {shape} of {dtype} must have {size:,} bytes, got "
            f"{'more' if got == size else f'{got:,}'}"
        )
    return Rows(split_rows(Segment(spool.file, begin, count, dtype), shape, order, spool))


def _header(name: str, file: IO[bytes]) -> tuple[tuple[int, int], str, np.dtype[Any]]:
    """Return the shape, the order and the dtype of losses, and step over what tells them."""
    with _explained(name):
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"version {version} is for arrays of named fields")
        shape, fortran, dtype = _HEADERS[version](file)
    if len(shape) != 2 or min(shape) < 1:
        raise SourceFormatError(
            f"{name} must have shape [checkpoint, sample], with at least one of each, got {shape}"
        )
    if dtype.kind != "f":
        raise SourceFormatError(f"{name} must hold floating-point numbers, got {dtype}")
    return shape, "F" if fortran else "C", dtype


def _check_names(path: Path, names: list[str]) -> None:
    lacking = [name for name in LOSSES if name not in names]
    unknown = [name for name in names if name not in (*LOSSES, *OTHERS)]
    if lacking or unknown:
        raise SourceFormatError(
            f"{path}: the arrays must be called train and val, and {', '.join(OTHERS)} where they "
            f"are there, got {', '.join(names) or 'none'}"
        )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise SourceFormatError(f"{name}: not an array in NumPy's format: {reason}") from error
