"""The index of the image that timm really read."""

from __future__ import annotations

from typing import Any

__all__ = ["IndexedReader"]


class IndexedReader:
    """Wrap the reader of timm's `ImageDataset`, so that each target comes with its index.

    Where an image can't be read, that data set goes on to the next one: an index taken from outside
    it would be that of the wrong image. And its collating drops what isn't an image or a target. So
    the index becomes a part of the target, and timm makes an int64 tensor ``[B, 2]`` of both, also
    with its prefetching loader.

    Parameters
    ----------
    reader : timm.data.readers.reader.Reader
        With ``reader[i]`` an open file and a class.

    Examples
    --------
    In a training script of timm, two lines more, and the recorder's::

        dataset.reader = IndexedReader(dataset.reader)
        ...
        for inputs, targets in loader:
            targets, index = targets.unbind(1)

    >>> reader = IndexedReader([("a.png", 5), ("b.png", 3)])
    >>> reader[1], len(reader)
    (('b.png', (3, 1)), 2)
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getitem__(self, index: int) -> tuple[Any, tuple[int, int]]:
        """Return the file and ``(class, index)``."""
        file, target = self._reader[index]
        return file, (target, index)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._reader)

    def __getattr__(self, name: str) -> Any:
        """Return all else as the reader has it: file names and the like."""
        if name == "_reader":  # while being unpickled, in a worker
            raise AttributeError(name)
        return getattr(self._reader, name)
