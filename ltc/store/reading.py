"""Reading a store."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import Store as ZarrStore
from zarr.storage import LocalStore

from ltc.errors import (
    ArgumentValueError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
)
from ltc.store.commits import RECORD_PATHS, Commit, from_arrays
from ltc.store.directory import existing_header
from ltc.store.files import local_path
from ltc.store.format import ROOT, SPLITS, array_documents, parse_array
from ltc.store.history import read_header, same_history
from ltc.store.picking import check_out, pick_checkpoints, pick_samples, read_picked
from ltc.store.pipeline import ArrayReader, list_names, read_bytes
from ltc.store.samples import check_stored_labels
from ltc.store.scores import open_scores, read_scores
from ltc.store.verification import Verification, verify

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ltc.store.header import Header
    from ltc.store.sweep import Sweep

__all__ = ["Commit", "Store", "Verification", "open_store"]


def open_store(path: str | os.PathLike[str] | ZarrStore) -> Store:
    """Open a store for reading.

    Parameters
    ----------
    path : str, os.PathLike or zarr.abc.store.Store
        A directory on a local disk, or any store of zarr's.

    Returns
    -------
    Store
        A view of what is committed now. Later commits are seen by opening it again.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        `path` is something else.
    StoreNotFoundError
        There is no store, or none with a first commit.
    StoreFormatError
        What is there is not a store, is newer than this version reads, or is broken.
    StoreCorruptError
        The checkpoints were changed or lost.

    Examples
    --------
    >>> import numpy as np
    >>> from ltc.store.arrays import write_store
    >>> path = directory / "run.zarr"
    >>> write_store(path, np.ones((4, 3), np.float32), np.ones((4, 2), np.float32))
    >>> store = open_store(path)
    >>> store.checkpoints
    array([0., 1., 2., 3.])
    >>> store.read("train", samples=slice(1, 3), checkpoints=[0, 3])
    array([[1., 1.],
           [1., 1.]], dtype=float16)
    """
    if isinstance(path, ZarrStore):
        store, place = path, str(path.root) if isinstance(path, LocalStore) else str(path)
    else:
        directory = local_path(path)
        existing_header(directory)
        store, place = LocalStore(directory, read_only=True), str(directory)
    while True:
        header = read_header(store, place)
        try:
            return Store(store, place, header)
        except StoreError:
            # A rewind between reading the root and the arrays makes them disagree for a moment.
            if read_header(store, place).revision == header.revision:
                raise


class Store:
    """Recorded losses, read only: what was committed when the store was opened.

    Make one with :func:`open_store`. Several threads may read from it at the same time.

    Attributes
    ----------
    path : str
        The directory, or the zarr store's own name for itself.
    checkpoints : float64 array [checkpoint]
        The epochs or steps given to the commits, ascending.
    """

    def __init__(self, store: ZarrStore, path: str, header: Header) -> None:
        self.path = path
        self._store = store
        self._header = header
        self._expected = array_documents(header)
        self._readers: dict[str, ArrayReader] = {}
        self.checkpoints: NDArray[np.float64] = self._reader("train/checkpoint").read_all()
        if not (np.isfinite(self.checkpoints).all() and (np.diff(self.checkpoints) > 0).all()):
            raise StoreCorruptError(f"{path}: train/checkpoint must be finite and ascending")

    def __repr__(self) -> str:
        """Return where it is and its sizes."""
        return (
            f"Store(path={self.path!r}, committed={self.committed}, num_train={self.num_train}, "
            f"num_val={self.num_val})"
        )

    @property
    def committed(self) -> int:
        """Number of checkpoints T."""
        return self._header.committed

    @property
    def num_train(self) -> int:
        """Number of training samples N."""
        return self._header.num_train

    @property
    def num_val(self) -> int:
        """Number of validation samples M."""
        return self._header.num_val

    @property
    def num_groups(self) -> int | None:
        """One more than the largest label of both splits, C; None for a store without labels."""
        return self._header.num_groups

    @property
    def compression(self) -> str | None:
        """What the losses are compressed with, None if they are not."""
        return self._header.compression

    @property
    def revision(self) -> str:
        """A name for this history of commits: it changes when the store is rewound or made anew."""
        return self._header.revision

    @property
    def chunk_samples(self) -> int:
        """Number of training samples in a chunk of losses; whole chunks are read fastest."""
        return min(self._header.chunk_samples, self.num_train)

    @cached_property
    def commits(self) -> tuple[Commit, ...]:
        """How each checkpoint was made, in their order.

        Raises
        ------
        StoreCorruptError
            The records were changed or lost, or contradict each other.
        """
        with self._same_history():
            arrays = {path: self._reader(path).read_all() for path in RECORD_PATHS}
        if not np.array_equal(arrays["val/checkpoint"], self.checkpoints):
            raise StoreCorruptError(f"{self.path}: val/checkpoint must equal train/checkpoint")
        return from_arrays(arrays)

    def size(self, split: str) -> int:
        """Return the number of samples of ``"train"`` or ``"val"``."""
        return self._header.size(_check_split(split))

    def labels(self, split: str) -> NDArray[np.int32] | None:
        """Return the labels of a split, None if the store has none.

        Parameters
        ----------
        split : {"train", "val"}
            Which.

        Returns
        -------
        int32 array [sample] or None
            Each in 0..C-1.

        Raises
        ------
        StoreCorruptError
            They were changed or lost.
        """
        path = f"{_check_split(split)}/labels"
        if self.num_groups is None:
            return None
        with self._same_history():
            labels: NDArray[np.int32] = self._reader(path).read_all()
        check_stored_labels(f"{self.path}: {path}", labels, self.num_groups)
        return labels

    def ids(self, split: str) -> NDArray[np.int64] | NDArray[np.str_] | None:
        """Return the ids of a split, None if it has none.

        Parameters
        ----------
        split : {"train", "val"}
            Which.

        Returns
        -------
        int64 or str array [sample], or None
            As they were given.

        Raises
        ------
        StoreCorruptError
            They were changed or lost.
        """
        path = f"{_check_split(split)}/ids"
        if self._header.ids(split) is None:
            return None
        with self._same_history():
            ids = self._reader(path).read_all()
        if ids.dtype == np.int64:
            return ids
        longest = int(np.strings.str_len(ids).max())
        return ids.astype(f"U{max(longest, 1)}")

    def read(
        self,
        split: str,
        samples: slice | ArrayLike = slice(None),
        checkpoints: slice | Sequence[int] | NDArray[np.integer[Any]] | None = None,
        *,
        out: NDArray[np.float16] | None = None,
    ) -> NDArray[np.float16]:
        """Read losses.

        Parameters
        ----------
        split : {"train", "val"}
            Which.
        samples : slice or integer array [n]
            A slice as for an array. Integers lie in 0..N-1, in any order, repeated or not.
        checkpoints : None, slice or integers
            Positions among the checkpoints; None for all. Integers are unique and ascending.
        out : float16 array [t, n], optional
            Read into and returned, so that one array serves many tiles; its rows are contiguous.

        Returns
        -------
        float16 array [t, n]
            NaN where a sample was not seen, and where a chunk is lost.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError, ArgumentIndexError
            An argument has a wrong type, shape or value.
        StoreCorruptError
            A chunk was changed.
        StoreError
            The store was rewound or made anew since it was opened.
        """
        size = self.size(split)
        picked = pick_samples(samples, size)
        rows = pick_checkpoints(checkpoints, self.committed)
        width = picked.stop - picked.start if isinstance(picked, slice) else picked.size
        losses = check_out(out, (len(rows), width))
        with self._same_history():
            reader = self._reader(f"{split}/losses")
            if isinstance(picked, slice):
                reader.read_rows(rows, picked, losses)
            else:
                read_picked(reader, rows, picked, losses)
        return losses

    def in_pieces(self, split: str) -> bool:
        """Tell whether a sweep reads tiles narrower than a chunk at no extra cost.

        So it is for uncompressed losses on a local disk. Others are decoded, a whole chunk at a
        time, for every tile in it.
        """
        return self._reader(f"{_check_split(split)}/losses").in_pieces

    @contextmanager
    def sweep(
        self, split: str, checkpoints: Sequence[int], width: int, *, threads: int = 1
    ) -> Iterator[Sweep]:
        """Read the losses of every sample once, in tiles.

        Parameters
        ----------
        split : {"train", "val"}
            Which.
        checkpoints : sequence of int
            Positions among the checkpoints, unique and ascending.
        width : int
            Samples in a tile, at most; where a chunk ends, a tile ends.
        threads : int
            How many will read at the same time, each another tile.

        Yields
        ------
        Sweep
            The tiles, and a method that reads one of them.

        Raises
        ------
        StoreCorruptError
            A chunk was changed. That is known when its last tile is read: what was made of the
            others before is only valid when the block has ended without an error.
        StoreError
            The store was rewound or made anew since it was opened.
        """
        reader = self._reader(f"{_check_split(split)}/losses")
        rows = pick_checkpoints(checkpoints, self.committed)
        with self._same_history(), reader.sweep(rows, width, threads) as sweep:
            yield sweep

    def verify(self) -> Verification:
        """Compare every chunk with its checksum, those of scores too.

        Returns
        -------
        Verification
            Which chunks are lost, and which were changed.

        Raises
        ------
        StoreFormatError
            The metadata of an array are lost or broken, or those of a group are lost.
        """
        with self._same_history():
            for group in (*SPLITS, "commits"):
                if read_bytes(self._store, f"{group}/{ROOT}") is None:
                    raise StoreFormatError(
                        f"{self.path}: {group}/{ROOT} is missing; zarr needs it to read {group}"
                    )
            readers = [self._reader(path) for path in self._expected]
            scores = [open_scores(self._store, name, self._header) for name in self.score_names()]
            return verify([*readers, *(reader for reader, _ in scores)])

    def score_names(self) -> list[str]:
        """Return the names of the scores saved in the store, sorted."""
        names = list_names(self._store, "scores")
        return sorted(
            name
            for name in names
            if name != ROOT and read_bytes(self._store, f"scores/{name}/{ROOT}") is not None
        )

    def read_scores(self, name: str) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return saved scores and the attributes they were saved with.

        Parameters
        ----------
        name : str
            One of :meth:`score_names`.

        Returns
        -------
        values : float32 array [sample]
            One per training sample.
        attributes : dict
            As given to :func:`ltc.store.scores.write_scores`.

        Raises
        ------
        ArgumentValueError
            There are no scores of that name.
        StoreCorruptError
            They were changed, lost or only written in part.
        """
        if name not in (names := self.score_names()):
            raise ArgumentValueError(f"name must be among the saved scores {names}, got {name!r}")
        return read_scores(self._store, name, self._header)

    def _reader(self, path: str) -> ArrayReader:
        if path not in self._readers:
            place = f"{self.path}: {path}"
            document = parse_array(read_bytes(self._store, f"{path}/{ROOT}"), place)
            self._readers[path] = ArrayReader(self._store, path, document, self._expected[path])
        return self._readers[path]

    def _same_history(self) -> AbstractContextManager[None]:
        return same_history(self._store, self.path, self.revision)


def _check_split(split: str) -> str:
    if split not in SPLITS:
        raise ArgumentValueError(f"split must be 'train' or 'val', got {split!r}")
    return split
