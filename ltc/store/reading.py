"""What is read of a store that is open."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.errors import (
    ArgumentValueError,
    StoreCorruptError,
)
from ltc.store.commits import RECORD_PATHS, Commit, from_arrays
from ltc.store.format import ROOT, SPLITS, array_documents, parse_array
from ltc.store.history import same_history
from ltc.store.picking import check_out, pick_checkpoints, pick_samples, read_picked
from ltc.store.pipeline import ArrayReader, read_bytes, read_many, read_together
from ltc.store.samples import check_stored_labels
from ltc.store.saved import check_saved, saved_names, verifiable_names
from ltc.store.scores import SavedScores, open_scores, read_scores
from ltc.store.unfinished import unfinished_scores
from ltc.store.verification import Verification, check_groups, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ltc.store.header import Header
    from ltc.store.places import Place
    from ltc.store.sweep import Sweep
    from ltc.store.unfinished import UnfinishedScores

__all__ = ["Commit", "Store", "Verification"]


class Store:
    """Recorded losses, read only: what was committed when the store was opened.

    Make one with :func:`ltc.open_store`. Several threads may read from it at the same time.

    Attributes
    ----------
    path : str
        The directory, the address, or the zarr store's own name for itself.
    place : ltc.store.places.Place
        What it stands for.
    checkpoints : float64 array [checkpoint]
        The epochs or steps given to the commits, ascending.
    """

    def __init__(self, place: Place, header: Header) -> None:
        self.path = place.name
        self.place = place
        self._store = place.zarr_store()
        self._header = header
        self._expected = array_documents(header)
        # From afar all metadata are asked for at once: they come as soon as those of one array.
        keys = () if place.near else [f"{path}/{ROOT}" for path in self._expected]
        self._metadata = read_many(self._store, keys)
        self._readers: dict[str, ArrayReader] = {}
        self.checkpoints: NDArray[np.float64] = self._reader("train/checkpoint").read_all()
        if not (np.isfinite(self.checkpoints).all() and (np.diff(self.checkpoints) > 0).all()):
            raise StoreCorruptError(f"{self.path}: train/checkpoint must be finite and ascending")

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
            readers = [self._reader(path) for path in RECORD_PATHS]
            arrays = dict(zip(RECORD_PATHS, read_together(readers), strict=True))
        if not np.array_equal(arrays["val/checkpoint"], self.checkpoints):
            raise StoreCorruptError(f"{self.path}: val/checkpoint must equal train/checkpoint")
        return from_arrays(arrays, {split: self._header.losses(split) for split in SPLITS})

    def size(self, split: str) -> int:
        """Return the number of samples of ``"train"`` or ``"val"``."""
        return self._header.size(_check_split(split))

    def labels(self, split: str, samples: slice | None = None) -> NDArray[np.int32] | None:
        """Return the labels of a split, None if the store has none.

        Parameters
        ----------
        split : {"train", "val"}
            Which.
        samples : slice, optional
            A range of them; all by default.

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
            labels: NDArray[np.int32] = self._reader(path).read_all(samples)
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
        self,
        split: str,
        checkpoints: Sequence[int],
        width: int,
        *,
        threads: int = 1,
        samples: slice | None = None,
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
        samples : slice, optional
            Read only this range of whole chunks; all by default.

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
        picked = slice(0, self.size(split)) if samples is None else samples
        with self._same_history(), reader.sweep(rows, width, threads, picked) as sweep:
            yield sweep

    def verify(self) -> Verification:
        """Compare every chunk with its checksum, those of scores too, where these can be listed.

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
            check_groups(self.place, (*SPLITS, "commits"))
            readers = [self._reader(path) for path in self._expected]
            names = verifiable_names(self.place, self._store)
            scores = [open_scores(self._store, name, self._header) for name in names]
            return verify([*readers, *(reader for reader, _ in scores)])

    def score_names(self) -> list[str]:
        """Return the names of the scores saved in the store, sorted.

        Raises
        ------
        StoreError
            The store is at an ``https://`` address, where nothing can be listed.
        """
        return saved_names(self.place, self._store)

    def unfinished_scores(self) -> list[UnfinishedScores]:
        """Return what runs on a cluster have begun to save and not finished, with what is missing.

        Of a store at an ``https://`` address, where nothing can be listed, nothing.
        """
        return unfinished_scores(self.place, self._store)

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
        check_saved(self.place, self._store, name)
        return read_scores(self._store, name, self._header)

    def saved_scores(self, name: str) -> SavedScores:
        """Return saved scores that are read range by range.

        Parameters
        ----------
        name : str
            One of :meth:`score_names`.

        Raises
        ------
        ArgumentValueError
            There are no scores of that name.
        """
        check_saved(self.place, self._store, name)
        return SavedScores(self._store, name, self._header)

    def _reader(self, path: str) -> ArrayReader:
        if path not in self._readers:
            key = f"{path}/{ROOT}"
            data = self._metadata.get(key) or read_bytes(self._store, key)
            document = parse_array(data, f"{self.path}: {path}")
            self._readers[path] = ArrayReader(self._store, path, document, self._expected[path])
        return self._readers[path]

    def _same_history(self) -> AbstractContextManager[None]:
        return same_history(self.place, self.revision)


def _check_split(split: str) -> str:
    if split not in SPLITS:
        raise ArgumentValueError(f"split must be 'train' or 'val', got {split!r}")
    return split
