"""Recording losses while a model trains."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.recorder.arguments import split_size
from ltc.recorder.batches import logits_batch, losses_batch
from ltc.recorder.passes import evaluating, pass_batches, without_wrapper
from ltc.recorder.session import Session
from ltc.shared_ids import warn_of_shared_ids
from ltc.store.kinds import CROSS_ENTROPY, GIVEN, claimed_loss

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from ltc.recorder.passes import Step
    from ltc.recorder.splits import SplitBuffer
    from ltc.store.commits import Commit

_log = logging.getLogger("ltc")

RECORDED: Final = ("training", "evaluation")


class Recorder(Session):
    """Record the loss of every sample at every checkpoint into a store.

    A recorder holds 8 bytes per sample that it was given, on the devices of the losses; a commit
    streams from them to the store, with no copy of the losses in between.

    Where `torch.distributed` is initialised, every process makes a recorder with the same
    arguments and records what it sees; rank 0 writes. Nothing is exchanged but in `commit`,
    `rewind`, `consolidate` and `load_state_dict`, which all processes call, and when a recorder is
    made. The store is that of one process that has seen everything: a sample that several
    processes saw, as a padded sampler gives them, gets the mean of its losses and is counted.

    Parameters
    ----------
    path : str or path
        The store, by convention ``*.zarr``: a directory on a local disk, or an address that begins
        with ``s3://`` or ``gs://``.
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
    distributed : {None, False} or ProcessGroup
        The processes that record this run together: by default all, if `torch.distributed` is
        initialised. Those of a group, or, with False, this one by itself. The exchange takes place
        on the CPU if the group has a backend for it, such as gloo, and costs no memory of a GPU.

    Attributes
    ----------
    seconds : dict of str to float
        Time of this process spent in `update` (cross-entropy included), in `evaluate` (the model
        and the loader included) and in `commit`. On a GPU only `commit` waits for the device.

    Warns
    -----
    UserWarning
        Ids are in both splits; on rank 0.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Sizes, labels or ids are not as described, or contradict each other.
    StoreExistsError
        The store has commits and `resume` is False.
    StoreMismatchError
        `resume` is True and sizes, labels or ids differ from the store's.
    StoreLockedError
        Another process, or another recorder, is writing to the store. At an address `resume` takes
        it over; then the next commit of the other one raises this.
    StoreConnectionError
        An address gave no answer; so for `commit` and `rewind`, which leave the store as it was.
    DistributedError
        The recorder could not be made in another process, which says why. Wherever one process
        raises in a call that all of them make, the others raise too.
    RecorderStateError
        ``WORLD_SIZE`` tells of several processes, and `torch.distributed` is not initialised.

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
        distributed: Any = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        sizes = {
            "train": split_size("train", num_train, train_labels),
            "val": split_size("val", num_val, val_labels),
        }
        super().__init__(
            sizes,
            distributed,
            path,
            resume=resume,
            train_labels=train_labels,
            val_labels=val_labels,
            train_ids=train_ids,
            val_ids=val_ids,
            compression=compression,
            fsync=fsync,
            storage_options=storage_options,
        )
        if self._processes.rank == 0:
            warn_of_shared_ids(train_ids, val_ids)
        self.seconds = {"update": 0.0, "evaluate": 0.0, "commit": 0.0}

    def update(
        self,
        split: str,
        index: Any,
        *,
        losses: Any = None,
        logits: Any = None,
        targets: Any = None,
        mode: str = "training",
        loss: str | None = None,
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
        mode : {"training", "evaluation"}
            Where the losses come from: from training steps, or from a pass in evaluation mode that
            something else than `evaluate` makes.
        loss : {None, "cross-entropy"}
            What `losses` are: ``"cross-entropy"`` says that they are hard-label cross-entropy, as
            those of `logits` are. Most kinds of :func:`ltc.difficulty` need it.

        Raises
        ------
        ArgumentIndexError
            An index or a target on the CPU is out of range.
        ArgumentTypeError, ArgumentValueError
            A dtype or a shape is wrong, `mode` or `loss` is none of those, or `loss` is given with
            `logits`.
        RecorderStateError
            Losses of this split in the other mode are pending, or the recorder is closed.
        """
        start = perf_counter()
        buffer = self._buffer(split)
        if mode not in RECORDED:
            raise ArgumentValueError(f"mode must be one of {', '.join(RECORDED)}, got {mode!r}")
        buffer.check_mode(mode)
        if losses is not None and logits is None and targets is None:
            kind = claimed_loss(loss, GIVEN)
            batch = losses_batch(index, losses, buffer.size)
        elif losses is None and logits is not None and targets is not None:
            kind = _kind_of_logits(loss)
            batch = logits_batch(index, logits, targets, buffer.size)
        else:
            raise ArgumentTypeError("update takes either losses, or logits and targets")
        buffer.add(batch, mode, kind)
        self._whole = False
        self.seconds["update"] += perf_counter() - start

    def evaluate(
        self,
        split: str,
        model: Any,
        loader: Iterable[Any],
        *,
        step: Step | None = None,
        loss: str | None = None,
    ) -> None:
        """Record the losses of a split in a pass of its own: evaluation mode, no gradients.

        Every submodule is left in the mode it was in. If the pass fails, what was recorded of the
        split since the last commit is dropped, so that no half of it is ever committed.

        Of several processes each passes over its part of the split, which may be empty, and none
        waits for another: of a `DistributedDataParallel` the module inside is called. Buffers, such
        as those of batch normalisation, are each process's own.

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
        loss : {None, "cross-entropy"}
            What the losses that `step` returns are; as for `update`.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError, ArgumentIndexError
            A batch, or what `step` returns, is not as described, `loader` is empty, or `loss` is
            given without `step`.
        RecorderStateError
            `update` recorded this split since the last commit, or the recorder is closed.
        """
        buffer = self._buffer(split)
        model = without_wrapper(model)
        several = self._processes.size > 1
        kind = _kind_of_logits(loss) if step is None else claimed_loss(loss, GIVEN)
        with self._timed("evaluate"), buffer.evaluation(), evaluating(model):
            self._whole = False
            for batch in pass_batches(model, loader, step, buffer.size, may_be_empty=several):
                buffer.add(batch, "evaluation", kind)

    def drop(self, split: str) -> None:
        """Forget what is pending of a split, in this process; for a pass that starts anew.

        Parameters
        ----------
        split : {"train", "val"}
            The split.

        Raises
        ------
        RecorderStateError
            The recorder is closed.
        """
        self._buffer(split).clear()

    def commit(self, checkpoint: float) -> None:
        """Write what was recorded since the last commit as one checkpoint.

        If it fails, the store holds what it held before, and what was recorded is still pending. Of
        several processes all call this. When it returns, in any of them, the checkpoint is written;
        if it raises, it raises in all. If a process dies meanwhile, the others raise as soon as
        their process group tells them, at the latest after its timeout; whether the checkpoint was
        written, the store knows.

        Parameters
        ----------
        checkpoint : float
            The epoch or step; finite, and greater than that of the commit before.

        Warns
        -----
        RuntimeWarning
            Losses were inf or NaN; once, after the commit, on rank 0.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            `checkpoint` is not a finite number, not greater than the last one, or not the same in
            all processes.
        ArgumentIndexError
            A batch on a GPU had an index or a target out of range; `rewind` drops what is pending.
        RecorderStateError
            Nothing was recorded since the last commit, processes recorded a split in different
            modes, or the recorder is closed.
        DistributedError
            Rank 0 could not write, or a process died.
        """
        with self._timed("commit"):
            self._check_open()
            commit = self._destination.commit(checkpoint, self._splits)
            self._clear()
        if commit is not None:
            _warn_nonfinite(commit)

    def _buffer(self, split: str) -> SplitBuffer:
        self._check_open()
        if split not in self._splits:
            raise ArgumentValueError(f"split must be 'train' or 'val', got {split!r}")
        return self._splits[split]

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += perf_counter() - start


def _kind_of_logits(loss: str | None) -> str:
    if loss is not None:
        raise ArgumentTypeError(
            f"loss must be None where losses are made of logits, got {loss!r}: that is hard-label "
            "cross-entropy"
        )
    return CROSS_ENTROPY


def _warn_nonfinite(commit: Commit) -> None:
    counts = {"train": commit.train.nonfinite, "val": commit.val.nonfinite}
    number = sum(counts.values())
    if number:
        found = " and ".join(f"{count} {split}" for split, count in counts.items() if count)
        told = (
            f"the loss of {found} sample was inf or NaN; it is stored as missing"
            if number == 1
            else f"the losses of {found} samples were inf or NaN; they are stored as missing"
        )
        warnings.warn(
            f"checkpoint {commit.checkpoint:g}: {told}",
            RuntimeWarning,
            stacklevel=3,
        )
