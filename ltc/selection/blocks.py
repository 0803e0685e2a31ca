"""A coreset in blocks: files of indices in a folder, and a list of them that is written last.

Whoever selects a range of the samples writes that range's block, in any order and on any machine
that sees the folder. The list begins to count when it is replaced; until then a reader is told that
the coreset is unfinished, and blocks that an earlier one left are in no list.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ltc.atomic import atomic_file
from ltc.errors import (
    ArgumentValueError,
    StoreConnectionError,
    StoreCorruptError,
    StoreFormatError,
    StoreNotFoundError,
)
from ltc.store.objects import ATTEMPTS, RemotePlace
from ltc.store.places import local_path, locate
from ltc.store.remote import ObjectChangedError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from ltc.store.places import Place
    from ltc.store.remote import Version

__all__ = ["LIST", "BlockFile", "CoresetBlocks", "begin_blocks", "end_blocks", "write_block"]

LIST: Final = "coreset.json"
FORMAT: Final = 1


class BlockFile(NamedTuple):
    """A file of indices.

    Attributes
    ----------
    begin, end : int
        The samples that it was selected from: `begin` and those before `end`.
    selected : int
        How many of them were selected.
    crc32 : int
        zlib's checksum of the indices.
    """

    begin: int
    end: int
    selected: int
    crc32: int

    @property
    def name(self) -> str:
        """The name of the file; names sort as their indices do."""
        return f"{self.begin:015d}.npy"


@dataclass(frozen=True, eq=False)
class CoresetBlocks:
    """A coreset that is in a folder, a block for each range of the samples.

    :func:`ltc.select` makes one, :meth:`open` finds it again.

    Attributes
    ----------
    path : str
        The folder, or an address.
    num_samples : int
        How many training samples there were to select from, N.
    files : tuple of BlockFile
        The blocks, ascending.
    arguments : dict
        What was asked for, as JSON values.

    Examples
    --------
    >>> import ltc
    >>> losses = np.random.default_rng(0).random((6, 40), np.float32)
    >>> run = directory / "run.zarr"
    >>> ltc.write_store(run, losses, losses, train_labels=[0] * 40, val_labels=[0] * 40)
    >>> scores = ltc.score(run, save="default")
    >>> coreset = ltc.select(run, k=3, output=directory / "coreset")
    >>> len(coreset), bool((coreset.indices == scores.select(k=3).indices).all())
    (3, True)
    >>> [block.tolist() for block in ltc.CoresetBlocks.open(directory / "coreset")]
    [[20, 23, 27]]
    """

    path: str
    num_samples: int
    files: tuple[BlockFile, ...]
    arguments: dict[str, Any]
    _place: Place

    def __len__(self) -> int:
        """Return the number of selected samples."""
        return sum(file.selected for file in self.files)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of each block, ascending; also from one block to the next.

        Raises
        ------
        StoreCorruptError
            A block is lost, or was changed.
        """
        return map(self._read, self.files)

    @property
    def indices(self) -> NDArray[np.int64]:
        """All indices, int64 [k], ascending: 8 bytes of memory for each."""
        return np.concatenate([np.empty(0, np.int64), *self])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> CoresetBlocks:
        """Open a coreset that was written by :func:`ltc.select`.

        Parameters
        ----------
        path : path
            The folder, or an ``s3://`` or ``gs://`` address.

        Raises
        ------
        StoreNotFoundError
            There is none, or it was not finished.
        StoreFormatError
            There is something else.
        """
        place = locate(path)
        data = place.read(LIST)
        if data is None:
            raise StoreNotFoundError(f"{place.name}: there is no coreset, it has no {LIST}")
        own = _parsed(data, place)
        if own["format"] != FORMAT:
            raise StoreFormatError(
                f"{place.name}: {LIST} is of format {own['format']}, this version of ltc reads "
                f"{FORMAT}"
            )
        if own["files"] is None:
            raise StoreNotFoundError(f"{place.name}: the coreset is unfinished; select it again")
        files = tuple(BlockFile(*file) for file in own["files"])
        return cls(place.name, own["samples"], files, own["arguments"], place)

    def _read(self, file: BlockFile) -> NDArray[np.int64]:
        where = f"{self.path}/{file.name}"
        data = self._place.read(file.name)
        if data is None:
            raise StoreCorruptError(f"{where}: the block is lost")
        try:
            indices = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError):
            indices = np.empty(0)
        if indices.dtype != np.int64 or _checksum(indices) != file.crc32:
            raise StoreCorruptError(f"{where}: the block was changed after it was written")
        return indices


def begin_blocks(path: str | os.PathLike[str]) -> Place:
    """Make a folder ready for blocks; a coreset that is there is one no longer.

    Parameters
    ----------
    path : path
        A folder, which is made if it isn't there, or an ``s3://`` or ``gs://`` address.

    Raises
    ------
    ArgumentValueError
        There is something else.
    OSError
        It can't be written to.
    """
    place = locate(path, writing=True)
    if place.read(LIST) is None:
        if not isinstance(place, RemotePlace):
            local_path(path).mkdir(parents=True, exist_ok=True)
        if not _is_free(place):
            raise ArgumentValueError(
                f"output must be a new folder, or one with a coreset in blocks, got {place.name!r}"
            )
    _put(place, LIST, _document(None, 0, {}))
    return place


def write_block(place: Place, begin: int, end: int, indices: NDArray[np.int64]) -> BlockFile:
    """Write the block of a range, whole, in place of any.

    Parameters
    ----------
    place : Place
        From `begin_blocks`.
    begin, end : int
        The range.
    indices : int64 array
        Ascending.
    """
    file = BlockFile(begin, end, indices.size, _checksum(indices))
    memory = io.BytesIO()
    np.save(memory, indices, allow_pickle=False)
    _put(place, file.name, memory.getvalue())
    return file


def end_blocks(
    place: Place, files: Iterable[BlockFile], num_samples: int, arguments: dict[str, Any]
) -> CoresetBlocks:
    """Write the list, when all blocks are there."""
    ordered = tuple(sorted(files))
    _put(place, LIST, _document(ordered, num_samples, arguments))
    return CoresetBlocks(place.name, num_samples, ordered, arguments, place)


def _parsed(data: bytes, place: Place) -> dict[str, Any]:
    try:
        own = json.loads(data)["ltc"]
        if {"format", "samples", "arguments", "files"} <= set(own):
            return dict(own)
    except (ValueError, TypeError, KeyError):
        pass
    raise StoreFormatError(f"{place.name}: {LIST} is no list of blocks")


def _document(
    files: tuple[BlockFile, ...] | None, num_samples: int, arguments: dict[str, Any]
) -> bytes:
    own = {"format": FORMAT, "samples": num_samples, "arguments": arguments, "files": files}
    return json.dumps({"ltc": own}).encode()


def _is_free(place: Place) -> bool:
    if isinstance(place, RemotePlace):
        return place.is_empty()
    return not any(local_path(place.name).iterdir())


def _put(place: Place, key: str, data: bytes) -> None:
    if not isinstance(place, RemotePlace):
        with atomic_file(local_path(place.name) / key) as file:
            file.write(data)
        return
    version: Version | None = None
    for _ in range(ATTEMPTS):
        try:
            place.remote.put(key, data, version)
        except ObjectChangedError:
            found = place.remote.get(key)
            if found is not None and found.data == data:
                return  # an earlier try, whose answer was lost, or who did the same
            version = found.version if found else None
        else:
            return
    raise StoreConnectionError(
        f"{place.name}: {key} could not be written: it was found changed {ATTEMPTS} times"
    )


def _checksum(indices: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(indices, "<i8").data)
