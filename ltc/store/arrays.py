"""Making a store from arrays of losses, wherever they were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store.kinds import claimed_loss
from ltc.store.rounding import to_stored
from ltc.store.samples import to_numpy
from ltc.store.writer import SplitRecord, StoreWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["write_store"]


def write_store(
    path: str | os.PathLike[str],
    train: Any,
    val: Any,
    *,
    train_labels: ArrayLike | None = None,
    val_labels: ArrayLike | None = None,
    train_ids: ArrayLike | None = None,
    val_ids: ArrayLike | None = None,
    checkpoints: Sequence[float] | NDArray[Any] | None = None,
    loss: str | None = None,
    compression: str | None = None,
    fsync: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Make a store from arrays of losses.

    All checkpoints are committed at once: after an error or a crash there is no store.

    Parameters
    ----------
    path : str or os.PathLike
        A directory on a local disk, or an address that begins with ``s3://`` or ``gs://``, where
        there is no store with commits.
    train, val : float16, float32 or float64 array [checkpoint, sample]
        Losses; NaN where a sample was not seen. They are read row by row, so a memory-mapped file,
        or an array of zarr or h5py, is never in memory as a whole.
    train_labels, val_labels : integer array [sample], optional
        Groups, from 0; both or neither. Without them, only the references ``"mean"`` and
        ``"pairs"`` work.
    train_ids, val_ids : array [sample] of integers or strings, optional
        What the samples are called elsewhere.
    checkpoints : array [checkpoint], optional
        Epochs or steps, strictly increasing; by default 0, 1, 2 and so on.
    loss : {None, "cross-entropy"}
        What the losses are: ``"cross-entropy"`` says that they are hard-label cross-entropy, which
        most kinds of :func:`ltc.difficulty` need.
    compression : {None, "zstd"}
        What the losses are compressed with.
    fsync : bool
        Make the store outlive a power cut.
    storage_options : mapping, optional
        How to reach an address, see :func:`ltc.open_store`.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        An argument has a wrong type, shape or value; nothing was written then.
    StoreExistsError
        There is a store with commits.
    StoreFormatError
        There is something else at `path`.
    StoreLockedError
        Another writer has it.
    OSError
        The disk is full, or not writable.

    Examples
    --------
    >>> import numpy as np
    >>> train = np.random.default_rng(0).random((5, 100), np.float32)
    >>> val = np.random.default_rng(1).random((5, 20), np.float32)
    >>> path = directory / "run.zarr"
    >>> write_store(path, train, val, checkpoints=[0, 10, 20, 30, 40])
    >>> from ltc.store.opening import open_store
    >>> open_store(path).checkpoints
    array([ 0., 10., 20., 30., 40.])
    """
    train, val = _losses("train", train), _losses("val", val)
    steps = _steps(checkpoints, train, val)
    kind = claimed_loss(loss)
    with StoreWriter.create(
        path,
        num_train=train.shape[1],
        num_val=val.shape[1],
        train_labels=train_labels,
        val_labels=val_labels,
        train_ids=train_ids,
        val_ids=val_ids,
        compression=compression,
        fsync=fsync,
        storage_options=storage_options,
    ) as writer:
        writer.extend(_rows(steps, train, val, kind))


def _rows(
    steps: list[float], train: Any, val: Any, loss: str
) -> Iterator[tuple[float, SplitRecord, SplitRecord]]:
    for row, step in enumerate(steps):
        yield step, _record(train[row], loss), _record(val[row], loss)


def _record(losses: Any, loss: str) -> SplitRecord:
    values = to_numpy(losses)
    stored, clipped, undefined = to_stored(values)
    missing = int(np.count_nonzero(np.isnan(values)))
    observed = values.size - missing
    mode = "array" if observed else "none"
    return SplitRecord(stored, observed, 0, clipped, undefined - missing, mode, loss)


def _losses(name: str, losses: Any) -> Any:
    array = losses if hasattr(losses, "shape") and hasattr(losses, "dtype") else np.asarray(losses)
    shape = tuple(array.shape)
    if len(shape) != 2 or 0 in shape:
        raise ArgumentValueError(
            f"{name} must have shape [checkpoint, sample], with at least one of each, got {shape}"
        )
    dtype = to_numpy(array[0]).dtype
    if dtype.newbyteorder("=") not in (np.float16, np.float32, np.float64):
        raise ArgumentTypeError(f"{name} must be float16, float32 or float64, got {dtype}")
    return array


def _steps(checkpoints: object, train: Any, val: Any) -> list[float]:
    committed = train.shape[0]
    if val.shape[0] != committed:
        raise ArgumentValueError(
            f"val must have as many checkpoints as train, {committed}, got shape {tuple(val.shape)}"
        )
    if checkpoints is None:
        return [float(row) for row in range(committed)]
    steps = to_numpy(checkpoints)
    if steps.dtype.kind not in "iuf":
        raise ArgumentTypeError(f"checkpoints must be numbers, got {steps.dtype}")
    if steps.shape != (committed,):
        raise ArgumentValueError(
            f"checkpoints must have one entry per row of train, shape ({committed},), got "
            f"{steps.shape}"
        )
    values = steps.astype(np.float64)
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise ArgumentValueError(f"checkpoints must be finite and strictly increasing, got {steps}")
    return list(values.tolist())
