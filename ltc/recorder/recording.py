"""Recording losses while a model trains."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ltc.errors import ArgumentTypeError, ArgumentValueError, RecorderStateError
from ltc.recorder.batches import logits_batch, losses_batch
from ltc.recorder.buffers import SplitBuffer
from ltc.recorder.destination import open_writer, split_size
from ltc.recorder.passes import evaluating, pass_batches

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from ltc.recorder.passes import Step
    from ltc.store.commits import Commit

_log = logging.getLogger("ltc")


class Recorder:
    """Record the loss of every sample at every checkpoint into a store.

    A recorder holds 8 bytes per sample that it was given, on the devices of the losses; a commit
    streams from them to the store, with no copy of the losses in between.

    Parameters
    ----------
    path : str or path
        The store, by convention ``*.zarr``.
    train_labels, val_labels : integer array or tensor [N], [M], optional
        The class of each sample, 0..C-1. Without them only the references ``"mean"`` and
        ``"pairs"`` can be scored.
    train_ids, val_ids : integer or string array [N], [M], optional
        Names of the samples.
    num_train, num_val : int, optional
        Number of samples in each split, from 1; needed only where there are no labels.
    compression : {None, "zstd"}
        What the losses are compressed with.
    resume : bool
        Continue a store that has commits, or start one; sizes, labels and ids must be those it has.
        With False, a store that has commits is an error.
    fsync : bool
        Make each commit survive a power cut too, not only the death of the process.

    Attributes
    ----------
    seconds : dict of str to float
        Time of this process spent in `update` (cross-entropy included), in `evaluate` (the model
        and the loader included) and in `commit`. On a GPU only `commit` waits for the device.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Sizes, labels or ids are not as described, or contradict each other.
    StoreExistsError
        The store has commits and `resume` is False.
    StoreMismatchError
        `resume` is True and sizes, labels or ids differ from the store's.
    StoreLockedError
        Another process, or another recorder, is writing to the store.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import ltc
    >>> directory = tempfile.TemporaryDirectory()
    >>> path = f"{directory.name}/run.zarr"
    >>> with ltc.Recorder(path, train_labels=[0, 1, 1], val_labels=[0, 1]) as recorder:
    ...     for epoch in range(2):
    ...         recorder.update("train", [2, 0], losses=np.array([0.5, 1.5]))
    ...         recorder.update("val", [0, 1], losses=np.array([2.0, 1.0]))
    ...         recorder.commit(epoch)
    >>> ltc.open_store(path).read("train")[0].tolist()
    [1.5, nan, 0.5]
    >>> directory.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        train_labels: Any = None,
        val_labels: Any = None,
        train_ids: Any = None,
        val_ids: Any = None,
        num_train: int | None = None,
        num_val: int | None = None,
        compression: Any = None,
        resume: bool = False,
        fsync: bool = False,
    ) -> None:
        sizes = {
            "train": split_size("train", num_train, train_labels),
            "val": split_size("val", num_val, val_labels),
        }
        self._writer = open_writer(
            path,
            resume=resume,
            num_train=sizes["train"],
            num_val=sizes["val"],
            train_labels=train_labels,
            val_labels=val_labels,
            train_ids=train_ids,
            val_ids=val_ids,
            compression=compression,
            fsync=fsync,
        )
        self._splits = {split: SplitBuffer(split, size) for split, size in sizes.items()}
        self._closed = False
        self.seconds = {"update": 0.0, "evaluate": 0.0, "commit": 0.0}

    @property
    def checkpoints(self) -> list[float]:
        """The checkpoints committed so far, those from before a resume included."""
        return list(self._writer.checkpoints)

    def update(
        self, split: str, index: Any, *, losses: Any = None, logits: Any = None, targets: Any = None
    ) -> None:
        """Record the losses of a batch, from the training step itself.

        Give `losses`, or `logits` and `targets`: then hard-label cross-entropy in float32 is
        recorded, whatever the training loss is. Nothing is kept of the graph. Tensors on a GPU are
        not waited for; what is wrong with their values is reported by `commit` and is kept out of
        the buffer until then. If this method raises, nothing of the batch was recorded.

        Parameters
        ----------
        split : {"train", "val"}
            The split that the batch belongs to.
        index : integer tensor, array or sequence [B]
            Positions in the split; a sample that comes more than once gets the mean of its losses.
        losses : floating tensor or array [B]
            One loss per sample; inf and NaN are stored as missing, and counted.
        logits : floating tensor or array [B, classes]
            The model's output, in any precision.
        targets : integer tensor or array [B]
            The class of each sample.

        Raises
        ------
        ArgumentIndexError
            An index or a target on the CPU is out of range.
        ArgumentTypeError, ArgumentValueError
            A dtype or a shape is wrong.
        RecorderStateError
            `evaluate` recorded this split since the last commit, or the recorder is closed.
        """
        start = perf_counter()
        buffer = self._buffer(split)
        buffer.check_mode("training")
        if losses is not None and logits is None and targets is None:
            batch = losses_batch(index, losses, buffer.size)
        elif losses is None and logits is not None and targets is not None:
            batch = logits_batch(index, logits, targets, buffer.size)
        else:
            raise ArgumentTypeError("update takes either losses, or logits and targets")
        buffer.add(batch, "training")
        self.seconds["update"] += perf_counter() - start

    def evaluate(
        self, split: str, model: Any, loader: Iterable[Any], *, step: Step | None = None
    ) -> None:
        """Record the losses of a split in a pass of its own: evaluation mode, no gradients.

        Every submodule is left in the mode it was in. If the pass fails, what was recorded of the
        split since the last commit is dropped, so that no half of it is ever committed.

        Parameters
        ----------
        split : {"train", "val"}
            The split that `loader` reads.
        model : callable
            Called with the inputs of a batch, on the model's device; returns logits
            ``[B, classes]``.
        loader : iterable
            Yields ``(inputs, targets, index)``, as a loader over :class:`ltc.IndexedDataset` does.
        step : callable, optional
            For everything else: ``step(model, batch)`` returns ``(losses, index)``. It moves the
            batch to the model's device itself.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError, ArgumentIndexError
            A batch, or what `step` returns, is not as described, or `loader` is empty.
        RecorderStateError
            `update` recorded this split since the last commit, or the recorder is closed.
        """
        buffer = self._buffer(split)
        with self._timed("evaluate"), buffer.evaluation(), evaluating(model):
            for batch in pass_batches(model, loader, step, buffer.size):
                buffer.add(batch, "evaluation")

    def commit(self, checkpoint: float) -> None:
        """Write what was recorded since the last commit as one checkpoint.

        If it fails, the store holds what it held before, and what was recorded is still pending.

        Parameters
        ----------
        checkpoint : float
            The epoch or step; finite, and greater than that of the commit before.

        Warns
        -----
        RuntimeWarning
            Losses were inf or NaN; once, after the commit.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            `checkpoint` is not a finite number, or not greater than the last one.
        ArgumentIndexError
            A batch on a GPU had an index or a target out of range; `rewind` drops what is pending.
        RecorderStateError
            Nothing was recorded since the last commit, or the recorder is closed.
        """
        with self._timed("commit"):
            self._check_open()
            if not self._pending():
                raise RecorderStateError(
                    "nothing was recorded since the last commit; checkpoint "
                    f"{checkpoint!r} would be empty"
                )
            width = self._writer.block_samples
            train, val = (self._splits[split].records(width) for split in ("train", "val"))
            commit = self._writer.append(checkpoint, train, val)
            self._clear()
        _warn_nonfinite(commit)

    def rewind(self, to: float) -> None:
        """Drop the checkpoints later than `to`, and what is pending.

        For a run that continues from an earlier model than the last one committed.

        Parameters
        ----------
        to : float
            The last checkpoint to keep; if it is smaller than all of them, none is kept.

        Raises
        ------
        RecorderStateError
            The recorder is closed.
        """
        self._check_open()
        self._writer.rewind(to)
        self._clear()

    def close(self) -> None:
        """Release the store. What is pending is dropped, and a line in the log says so."""
        if self._closed:
            return
        if pending := self._release():
            _log.warning(
                "%s: dropped uncommitted losses of %s; checkpoints in the store: %d",
                self._writer.path,
                " and ".join(pending),
                self._writer.committed,
            )

    def __enter__(self) -> Recorder:
        """Return the recorder, which closes at the end of the block."""
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; without an exception, losses that were not committed are an error."""
        if kind is not None or self._closed:
            self.close()
        elif pending := self._release():
            raise RecorderStateError(
                f"losses of {' and '.join(pending)} were recorded after the last commit and are "
                "lost: call commit before leaving the block"
            )

    def _buffer(self, split: str) -> SplitBuffer:
        self._check_open()
        if split not in self._splits:
            raise ArgumentValueError(f"split must be 'train' or 'val', got {split!r}")
        return self._splits[split]

    def _pending(self) -> list[str]:
        return [split for split, buffer in self._splits.items() if buffer.mode is not None]

    def _release(self) -> list[str]:
        """Close the store and free the buffers; return the splits whose losses that drops."""
        pending = self._pending()
        self._closed = True
        self._splits = {}
        self._writer.close()
        return pending

    def _clear(self) -> None:
        for buffer in self._splits.values():
            buffer.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise RecorderStateError(f"the recorder of {self._writer.path} is closed")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += perf_counter() - start


def _warn_nonfinite(commit: Commit) -> None:
    parts = {"train": commit.train, "val": commit.val}
    found = [f"{part.nonfinite} {split}" for split, part in parts.items() if part.nonfinite]
    if found:
        warnings.warn(
            f"checkpoint {commit.checkpoint:g}: the losses of {' and '.join(found)} samples were "
            "inf or NaN; they are stored as missing",
            RuntimeWarning,
            stacklevel=3,
        )
