"""Where a recorder writes: the store that is started or continued for a run, and its sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltc.errors import ArgumentTypeError, StoreNotFoundError
from ltc.store.samples import to_numpy
from ltc.store.writer import StoreWriter

if TYPE_CHECKING:
    import os


def split_size(split: str, size: int | None, labels: Any) -> int:
    """Return the number of samples that is given, else the number of labels.

    Raises
    ------
    ArgumentTypeError
        Neither is given.
    """
    if size is not None:
        return size
    if labels is None:
        raise ArgumentTypeError(f"{split}_labels or num_{split} must be given")
    shape = to_numpy(labels).shape
    return shape[0] if shape else 1  # the writer refuses labels that are not one-dimensional


def open_writer(path: str | os.PathLike[str], *, resume: bool, **arguments: Any) -> StoreWriter:
    """Start a store, or continue the one that is there if `resume` says so.

    Parameters
    ----------
    path : str or path
        The store.
    resume : bool
        Whether a store with commits is to be continued; it is an error otherwise.
    **arguments
        Those of :meth:`ltc.store.writer.StoreWriter.create`, which checks them.
    """
    if resume:
        try:
            return StoreWriter.resume(path, **arguments)
        except StoreNotFoundError:
            pass  # a run that may be interrupted asks to resume from the start
    return StoreWriter.create(path, **arguments)
