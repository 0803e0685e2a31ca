"""The samples of a coreset, from the data set that was recorded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.exports.packages import package

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from numpy.typing import NDArray
    from torch.utils.data import Dataset, Subset


def to_torch(
    dataset: Dataset[Any], indices: NDArray[np.int64], num_samples: int | None
) -> Subset[Any]:
    """Return a torch `Subset`; see :meth:`ltc.Coreset.to_torch`."""
    check_length("dataset", dataset, indices, num_samples)
    subset: Subset[Any] = package("torch.utils.data", "a Subset").Subset(dataset, indices.tolist())
    return subset


def to_datasets(
    dataset: datasets.Dataset, indices: NDArray[np.int64], num_samples: int | None
) -> datasets.Dataset:
    """Return a data set of Hugging Face; see :meth:`ltc.Coreset.to_datasets`."""
    kind = package("datasets", "a data set of Hugging Face").Dataset
    if not isinstance(dataset, kind):
        splits = (
            f"; take one of its splits, {', '.join(dataset)}" if hasattr(dataset, "keys") else ""
        )
        raise ArgumentTypeError(
            f"dataset must be a datasets.Dataset, got {type(dataset).__name__}{splits}"
        )
    check_length("dataset", dataset, indices, num_samples)
    return dataset.select(indices)


def to_timm(dataset: Any, indices: NDArray[np.int64], num_samples: int | None) -> Any:
    """Return an image data set of timm; see :meth:`ltc.Coreset.to_timm`."""
    from ltc.integrations.timm import SubsetReader

    if not hasattr(getattr(dataset, "reader", None), "__getitem__"):
        raise ArgumentTypeError(
            "dataset must be an ImageDataset of timm, whose reader has an order, got "
            f"{type(dataset).__name__}"
        )
    check_length("dataset", dataset, indices, num_samples)
    chosen = copy.copy(dataset)
    chosen.reader = SubsetReader(dataset.reader, indices)
    return chosen


def check_length(
    name: str, samples: Any, indices: NDArray[np.int64], num_samples: int | None
) -> None:
    """Refuse what can't be the training split that the indices count in.

    Raises
    ------
    ArgumentTypeError
        It has no length.
    ArgumentValueError
        Its length is another than the split's, or the indices go beyond it.

    Examples
    --------
    >>> import numpy as np
    >>> check_length("dataset", "abcde", np.array([1, 4]), 50)
    Traceback (most recent call last):
    ...
    ltc_kernels.errors.ArgumentValueError: dataset must be the training split that was scored,
        50 samples, got 5
    """
    try:
        length = len(samples)
    except TypeError as error:
        raise ArgumentTypeError(
            f"{name} must have a length and samples at positions, got {type(samples).__name__}"
        ) from error
    if num_samples is not None and length != num_samples:
        raise ArgumentValueError(
            f"{name} must be the training split that was scored, {num_samples:,} samples, "
            f"got {length:,}"
        )
    if indices.size and indices[-1] >= length:
        raise ArgumentValueError(
            f"{name} must have a sample at index {indices[-1]:,}, got {length:,} samples"
        )
