"""Checks of what is given about the samples of a split: their labels and ids."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    StoreCorruptError,
    StoreMismatchError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ltc.store.header import IdType
    from ltc.store.reading import Store

__all__ = ["Samples", "check_same", "check_stored_labels", "check_together", "to_numpy"]

_LARGEST_LABEL = 2**31 - 2  # the number of groups is one more, and an int32 too


@dataclass(frozen=True)
class Samples:
    """What a store keeps about the samples of one split, besides their losses.

    Attributes
    ----------
    size : int
        Number of samples.
    labels : int32 array [sample] or None
        Not negative.
    ids : int64 or StringDType array [sample] or None
        As given.
    """

    size: int
    labels: NDArray[np.int32] | None
    ids: NDArray[Any] | None

    @classmethod
    def check(cls, split: str, size: object, labels: object, ids: object) -> Samples:
        """Check the arguments ``num_*``, ``*_labels`` and ``*_ids`` of one split.

        Raises
        ------
        ArgumentTypeError
            Labels are not integers; ids neither integers nor strings; the size no integer.
        ArgumentValueError
            A length is not the number of samples, a label is negative, the split is empty.
        """
        number = _size(f"num_{split}", size)
        return cls(
            number,
            None if labels is None else _labels(f"{split}_labels", labels, number),
            None if ids is None else _ids(f"{split}_ids", ids, number),
        )

    @property
    def id_type(self) -> IdType | None:
        """The name of the ids' type in the store."""
        if self.ids is None:
            return None
        return "int64" if self.ids.dtype == np.int64 else "string"


def check_together(train: Samples, val: Samples) -> int | None:
    """Return the number of groups of both splits, None if there are no labels.

    Raises
    ------
    ArgumentValueError
        One split has labels and the other has none.
    """
    if train.labels is None and val.labels is None:
        return None
    if train.labels is None or val.labels is None:
        given, lacking = ("val", "train") if train.labels is None else ("train", "val")
        raise ArgumentValueError(
            f"{given}_labels and {lacking}_labels must be given together, got only {given}_labels"
        )
    return 1 + max(int(train.labels.max()), int(val.labels.max()))


def check_stored_labels(key: str, labels: NDArray[np.int32], num_groups: int) -> None:
    """Check labels that were read: anything may have written them, and kernels index with them.

    Raises
    ------
    StoreCorruptError
        One is not in 0..C-1.
    """
    wrong = labels.view(np.uint32) >= num_groups  # negative ones become the largest
    if wrong.any():
        sample = int(wrong.argmax())
        raise StoreCorruptError(
            f"{key} must lie in 0..{num_groups - 1}, the labels it was made with, got "
            f"{labels[sample]} at sample {sample}"
        )


def check_same(store: Store, splits: Mapping[str, Samples], compression: str | None) -> None:
    """Check that a store is that of the run which is to be continued in it.

    Raises
    ------
    StoreMismatchError
        It has other sizes, labels, ids or compression.
    StoreCorruptError
        Its labels or ids were changed or lost.
    """
    for split, samples in splits.items():
        if store.size(split) != samples.size:
            raise StoreMismatchError(
                f"num_{split} must be that of {store.path}, {store.size(split)}, got {samples.size}"
            )
        _check_equal(f"{split}_labels", store, store.labels(split), samples.labels)
        _check_equal(f"{split}_ids", store, store.ids(split), samples.ids)
    if store.compression != compression:
        raise StoreMismatchError(
            f"compression must be that of {store.path}, {store.compression!r}, got {compression!r}"
        )


def _check_equal(
    name: str, store: Store, stored: NDArray[Any] | None, given: NDArray[Any] | None
) -> None:
    if stored is None or given is None:
        if stored is not given:
            has, was = ("has none", "some") if stored is None else ("has some", "none")
            raise StoreMismatchError(
                f"{name} must be those of {store.path}, which {has}, got {was}"
            )
        return
    if (stored.dtype.kind == "i") != (given.dtype.kind == "i"):
        raise StoreMismatchError(
            f"{name} must be those of {store.path}, {stored.dtype}, got {given.dtype}"
        )
    differs = stored != given
    if differs.any():
        sample = int(differs.argmax())
        raise StoreMismatchError(
            f"{name} must be those of {store.path}, {stored[sample]} at sample {sample}, got "
            f"{given[sample]}"
        )


def to_numpy(value: Any) -> NDArray[Any]:
    """Return an array-like as a NumPy array, a tensor of any device too."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        if tensor.dtype == torch.bfloat16:  # which NumPy doesn't have
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind == "f":
        return np.asarray(value.filled(np.nan))
    return np.asarray(value)


def _size(name: str, size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer):
        raise ArgumentTypeError(f"{name} must be an integer, got {type(size).__name__}")
    if size < 1:
        raise ArgumentValueError(f"{name} must be at least 1, got {size}")
    return int(size)


def _labels(name: str, labels: object, size: int) -> NDArray[np.int32]:
    array = to_numpy(labels)
    _check_length(name, array, size)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name} must be integers, got {array.dtype}")
    wrong = (array < 0) | (array > _LARGEST_LABEL)
    if wrong.any():
        sample = int(wrong.argmax())
        raise ArgumentValueError(
            f"{name} must lie in 0..{_LARGEST_LABEL}, got {array[sample]} at sample {sample}"
        )
    return array.astype(np.int32)


def _ids(name: str, ids: object, size: int) -> NDArray[Any]:
    array = to_numpy(ids)
    _check_length(name, array, size)
    if array.dtype.kind in "iu":
        if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
            raise ArgumentValueError(f"{name} must fit into int64, got {array.max()}")
        return array.astype(np.int64)
    if array.dtype.kind == "O":
        for sample, value in enumerate(array):
            if not isinstance(value, str):
                raise ArgumentTypeError(
                    f"{name} must all be integers or all be strings, got "
                    f"{type(value).__name__} at sample {sample}"
                )
    elif array.dtype.kind not in "UT":
        raise ArgumentTypeError(f"{name} must be integers or strings, got {array.dtype}")
    try:
        return array.astype(np.dtypes.StringDType())
    except (TypeError, UnicodeError) as error:
        for sample, value in enumerate(array.tolist()):
            if not _is_text(value):
                raise ArgumentValueError(
                    f"{name} must be text that UTF-8 can hold, got {value!r} at sample {sample}"
                ) from error
        raise


def _is_text(value: str) -> bool:
    """Whether a string has no lone surrogates, as Python makes of file names that aren't UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_length(name: str, array: NDArray[Any], size: int) -> None:
    if array.shape != (size,):
        raise ArgumentValueError(
            f"{name} must have one entry per sample, shape ({size},), got shape {array.shape}"
        )
