"""Writing a store: one commit at a time, each of them whole or not there."""

from __future__ import annotations

import math
import time
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

from ltc.errors import ArgumentTypeError, ArgumentValueError, RecorderStateError
from ltc.store.commits import Commit, SplitRecord, add_up, checked_blocks, to_arrays
from ltc.store.directory import StoreDirectory
from ltc.store.encoding import Encoder, encode
from ltc.store.format import CHUNK_CHECKPOINTS, CHUNK_SAMPLES
from ltc.store.header import Header, new_revision
from ltc.store.opening import open_store
from ltc.store.places import locate
from ltc.store.samples import Samples, check_same, check_together

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from ltc.store.commits import SplitCommit, SplitLosses
    from ltc.store.encoding import EncodedChunk

__all__ = ["SplitRecord", "StoreWriter"]


class StoreWriter:
    """A store that is open for writing, by this writer alone.

    Make one with :meth:`create` or :meth:`resume`, and close it, or use it in a ``with`` statement.

    Attributes
    ----------
    path : str
        The store's directory or address.

    Examples
    --------
    >>> import numpy as np
    >>> train = SplitRecord(np.array([2.5, 1.5], np.float16), 2, 0, 0, 0, "training")
    >>> val = SplitRecord(np.array([2.0], np.float16), 1, 0, 0, 0, "evaluation")
    >>> with StoreWriter.create(directory / "run.zarr", num_train=2, num_val=1) as writer:
    ...     _ = writer.append(0, train, val)
    ...     writer.committed
    1
    """

    def __init__(
        self, directory: StoreDirectory, header: Header, commits: tuple[Commit, ...] = ()
    ) -> None:
        self.path = directory.name
        self._directory = directory
        self._header = header
        self._commits = commits
        self._encoders = {
            path: Encoder(path, document) for path, document in directory.documents().items()
        }

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the writer."""
        self.close()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        num_train: int,
        num_val: int,
        train_labels: Any = None,
        val_labels: Any = None,
        train_ids: Any = None,
        val_ids: Any = None,
        compression: Any = None,
        fsync: bool = False,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Start a store, where there is none with a commit.

        Parameters
        ----------
        path : str or os.PathLike
            A directory on a local disk, made if it isn't there; or an address that begins with
            ``s3://`` or ``gs://``.
        num_train, num_val : int
            Number of samples.
        train_labels, val_labels : integer array [sample], optional
            Groups, from 0; both or neither.
        train_ids, val_ids : array [sample] of integers or strings, optional
            What the samples are called elsewhere.
        compression : {None, "zstd"}
            What the losses are compressed with.
        fsync : bool
            Make every commit outlive a power cut, not only the death of the process. At an address
            it does so anyway.
        storage_options : mapping, optional
            How to reach an address, see :func:`ltc.open_store`.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            An argument has a wrong type, shape or value; nothing was written then.
        StoreExistsError
            There is a store with commits.
        StoreFormatError
            There is something else.
        StoreLockedError
            Another writer has it.
        StoreConnectionError
            An address gave no answer.
        OSError
            The disk is full, or not writable.
        """
        place = locate(path, storage_options, writing=True)
        train = Samples.check("train", num_train, train_labels, train_ids)
        val = Samples.check("val", num_val, val_labels, val_ids)
        header = _new_header(train, val, compression)
        directory = StoreDirectory.make(place, header, fsync=fsync)
        try:
            writer = cls(directory, header)
            writer._write_samples({"train": train, "val": val})
        except BaseException:
            directory.release()
            raise
        return writer

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        num_train: int,
        num_val: int,
        train_labels: Any = None,
        val_labels: Any = None,
        train_ids: Any = None,
        val_ids: Any = None,
        compression: Any = None,
        fsync: bool = False,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Continue a store that has commits, with the arguments of :meth:`create`.

        What a writer left behind that died during a commit is removed. A store at an address is
        taken over from the writer that had it; if that is still alive, its next commit fails.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            As :meth:`create`.
        StoreNotFoundError
            There is no store with commits.
        StoreFormatError
            There is something else, or the store is broken.
        StoreMismatchError
            The store has other sizes, labels, ids or compression.
        StoreCorruptError
            Labels, ids or records were changed or lost.
        StoreLockedError
            Another writer has it, or, at an address, committed just now.
        StoreConnectionError
            An address gave no answer.
        """
        place = locate(path, storage_options, writing=True)
        train = Samples.check("train", num_train, train_labels, train_ids)
        val = Samples.check("val", num_val, val_labels, val_ids)
        wanted = _new_header(train, val, compression)
        directory = StoreDirectory.open(place, fsync=fsync)
        try:
            store = open_store(place)
            check_same(store, {"train": train, "val": val}, wanted.compression)
            commits = store.commits
            directory.take_over()
            writer = cls(directory, directory.header(), commits)
        except BaseException:
            directory.release()
            raise
        return writer

    @property
    def committed(self) -> int:
        """The number of checkpoints committed."""
        return self._header.committed

    @property
    def checkpoints(self) -> list[float]:
        """The epochs or steps committed, ascending."""
        return [commit.checkpoint for commit in self._commits]

    @property
    def commits(self) -> tuple[Commit, ...]:
        """How each checkpoint was made, in their order."""
        return self._commits

    @property
    def block_samples(self) -> int:
        """The number of samples in each block but the last, of a split that comes in blocks."""
        return self._header.chunk_samples

    def append(self, checkpoint: float, train: SplitLosses, val: SplitLosses) -> Commit:
        """Commit one checkpoint.

        Parameters
        ----------
        checkpoint : float
            An epoch or step, larger than all before.
        train, val : SplitRecord, or iterable of SplitRecord
            What was recorded: all of it, or blocks of consecutive samples. They are taken and
            written one by one, so that a whole split need never be in memory.

        Returns
        -------
        Commit
            What is kept besides the losses.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            An argument has a wrong type, shape or value.
        RecorderStateError
            The writer is closed.
        StoreLockedError
            Another writer has taken over a store at an address.
        OSError
            The disk is full, or an address gave no answer; the store holds what it held before, and
            the call can be repeated. If the address gave no answer to the very last request, the
            checkpoint may be there after all; it is dropped when this writer goes on.
        """
        self.extend([(checkpoint, train, val)])
        return self._commits[-1]

    def extend(self, rows: Iterable[tuple[float, SplitLosses, SplitLosses]]) -> None:
        """Commit several checkpoints at once: either all of them are there, or none.

        Parameters
        ----------
        rows : iterable of (checkpoint, train, val)
            As for :meth:`append`, which says what is raised. They are taken and written one by one.
        """
        self._check_open()
        self._header = self._directory.begin()
        commits = list(self._commits)
        try:
            self._directory.write_chunks(self._encode_losses(rows, commits))
            if len(commits) > self.committed:
                self._write_records(commits)
                losses = ([part.loss for part in parts] for parts in _by_split(commits))
                self._directory.commit(self._header.with_committed(*losses))
        finally:
            # The disk knows whether the commit has happened, also when it was interrupted.
            self._header = self._directory.end()
            self._commits = tuple(commits[: self.committed])

    def rewind(self, to: float) -> None:
        """Drop the checkpoints later than `to`.

        Parameters
        ----------
        to : float
            The last epoch or step to keep.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            `to` is not a finite number.
        RecorderStateError
            The writer is closed.
        """
        self._check_open()
        limit = _finite("to", to)
        kept = sum(commit.checkpoint <= limit for commit in self._commits)
        if kept == self.committed:
            return
        try:
            self._directory.rewind(self._directory.begin().rewound(kept))
        finally:
            self._header = self._directory.end()
            self._commits = self._commits[: self.committed]

    def close(self) -> None:
        """Let another writer have the store; calling it again does nothing."""
        self._directory.release()

    def _check_open(self) -> None:
        if not self._directory.locked:
            raise RecorderStateError(
                f"{self.path}: the writer is closed, or belongs to the process that forked this one"
            )

    def _check_checkpoint(self, checkpoint: float, before: Sequence[Commit]) -> float:
        value = _finite("checkpoint", checkpoint)
        if before and value <= before[-1].checkpoint:
            raise ArgumentValueError(
                f"checkpoint must be larger than the last one, {before[-1].checkpoint:g}, got "
                f"{value:g}; rewind drops later ones"
            )
        return value

    def _encode_losses(
        self, rows: Iterable[tuple[float, SplitLosses, SplitLosses]], commits: list[Commit]
    ) -> Iterator[EncodedChunk]:
        """Yield the chunks of rows, and add to `commits` what else is kept of each row."""
        for checkpoint, train, val in rows:
            value = self._check_checkpoint(checkpoint, commits)
            found: dict[str, list[SplitCommit]] = {"train": [], "val": []}
            for split, losses in (("train", train), ("val", val)):
                encoder, size = self._encoders[f"{split}/losses"], self._header.size(split)
                for begin, block, part in checked_blocks(split, losses, size, self.block_samples):
                    yield from encode([(encoder, block[None])], len(commits), begin)
                    found[split].append(part)
            sums = {split: add_up(split, parts) for split, parts in found.items()}
            commits.append(Commit(value, time.time(), **sums))

    def _write_samples(self, splits: Mapping[str, Samples]) -> None:
        for split, samples in splits.items():
            values = {f"{split}/labels": samples.labels, f"{split}/ids": samples.ids}
            self._write({path: array for path, array in values.items() if array is not None})

    def _write_records(self, commits: Sequence[Commit]) -> None:
        # Only the chunks that change, each of them whole.
        start = self.committed - self.committed % CHUNK_CHECKPOINTS
        self._write(to_arrays(commits[start:]), first_row=start)

    def _write(self, arrays: Mapping[str, NDArray[Any]], first_row: int = 0) -> None:
        parts = [(self._encoders[path], values) for path, values in arrays.items()]
        self._directory.write_chunks(encode(parts, first_row))


def _new_header(train: Samples, val: Samples, compression: object) -> Header:
    if compression not in (None, "zstd"):
        raise ArgumentValueError(f"compression must be None or 'zstd', got {compression!r}")
    return Header(
        committed=0,
        num_train=train.size,
        num_val=val.size,
        num_groups=check_together(train, val),
        train_ids=train.id_type,
        val_ids=val.id_type,
        compression="zstd" if compression else None,
        chunk_samples=CHUNK_SAMPLES,
        revision=new_revision(),
    )


def _by_split(commits: Sequence[Commit]) -> tuple[list[SplitCommit], list[SplitCommit]]:
    return [commit.train for commit in commits], [commit.val for commit in commits]


def _finite(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number, got {type(value).__name__}")
    if not math.isfinite(value):
        raise ArgumentValueError(f"{name} must be finite, got {value}")
    return float(value)
