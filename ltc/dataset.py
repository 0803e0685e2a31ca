"""A data set whose samples carry their own index."""

from __future__ import annotations

import operator
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError


class IndexedDataset:
    """Wrap a map-style data set so that each sample comes with its index.

    A tuple becomes ``(*sample, index)``; a mapping becomes a dict with the further key ``"index"``;
    anything else, a list too, becomes ``(sample, index)``. It can be given to a
    :class:`torch.utils.data.DataLoader`, whose collating makes one int64 tensor of the indices.

    The index counts in the data set that is wrapped. So wrap what the recorder is made for: with
    ``IndexedDataset(Subset(full, chosen))`` indices run from 0 to ``len(chosen) - 1``, with
    ``Subset(IndexedDataset(full), chosen)`` they are positions in ``full``.

    Parameters
    ----------
    dataset : map-style data set
        An object with ``__len__`` and ``__getitem__``.

    Raises
    ------
    ArgumentTypeError
        `dataset` is iterable only: its samples have no index.

    Examples
    --------
    >>> import ltc
    >>> dataset = ltc.IndexedDataset([("a photo of a cat", 0), ("a photo of a dog", 1)])
    >>> dataset[-1]
    ('a photo of a dog', 1, 1)
    """

    def __init__(self, dataset: Any) -> None:
        if _is_iterable_only(dataset):
            raise ArgumentTypeError(
                "dataset must have __len__ and __getitem__; samples of an iterable data set have "
                f"no index. Got {type(dataset).__name__}: let it yield an index of its own"
            )
        self.dataset = dataset

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Return one sample with its index; a negative one counts from the end and is normalised.

        Raises
        ------
        ArgumentIndexError
            `index` is out of range.
        ArgumentTypeError
            `index` is not an integer.
        ArgumentValueError
            The sample is a mapping that has a key ``"index"`` already.
        """
        position = self._position(index)
        return _with_index(self.dataset[position], position)

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return several samples, in one call to `dataset` if it can; DataLoader asks like this."""
        positions = [self._position(index) for index in indices]
        fetch = getattr(self.dataset, "__getitems__", None)
        if callable(fetch):
            samples = list(fetch(positions))
        else:
            samples = [self.dataset[position] for position in positions]
        return [_with_index(*pair) for pair in zip(samples, positions, strict=True)]

    def __repr__(self) -> str:
        """Name the data set that is wrapped."""
        return f"IndexedDataset({self.dataset!r})"

    def _position(self, index: Any) -> int:
        try:
            position = operator.index(index)
        except TypeError as error:
            raise ArgumentTypeError(
                f"index must be an integer, got {type(index).__name__}"
            ) from error
        size = len(self)
        if not -size <= position < size:
            raise ArgumentIndexError(f"index must lie in {-size}..{size - 1}, got {position}")
        return position + size if position < 0 else position


def _with_index(sample: Any, index: int) -> Any:
    if isinstance(sample, Mapping):
        if "index" in sample:
            raise ArgumentValueError(
                "samples of dataset must not have a key 'index' already, which IndexedDataset "
                f"adds; sample {index} has the value {sample['index']!r} there"
            )
        return {**sample, "index": index}
    if isinstance(sample, tuple):
        return (*sample, index)
    return (sample, index)


def _is_iterable_only(dataset: Any) -> bool:
    # torch's IterableDataset inherits a __getitem__ that only raises, and may define __len__.
    data = sys.modules.get("torch.utils.data")
    if data is not None and isinstance(dataset, data.IterableDataset):
        return True
    return not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"))
