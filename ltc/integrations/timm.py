"""The index of the image that timm really read, and data sets of some of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["IndexedReader", "SubsetReader"]


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


class SubsetReader:
    """Wrap the reader of timm's `ImageDataset`, so that it has some of the images.

    :meth:`ltc.Coreset.to_timm` makes one. Recorded through an :class:`IndexedReader` round it,
    indices count in the subset; through one inside it, in the whole.

    Parameters
    ----------
    reader : timm.data.readers.reader.Reader
        With ``reader[i]`` an open file and a class. What is not about single images, such as
        ``class_to_idx``, is that of the whole.
    indices : int64 [k]
        Which images, in this order.

    Examples
    --------
    >>> import numpy as np
    >>> reader = SubsetReader([("a.png", 5), ("b.png", 3), ("c.png", 3)], np.array([0, 2]))
    >>> reader[1], len(reader)
    (('c.png', 3), 2)
    """

    def __init__(self, reader: Any, indices: NDArray[np.int64]) -> None:
        self._reader, self._indices = reader, indices

    def __getitem__(self, index: int) -> Any:
        """Return the file and the class, as the reader does."""
        return self._reader[int(self._indices[index])]

    def __len__(self) -> int:
        """Return the number of images in the subset."""
        return len(self._indices)

    def filename(self, index: int, basename: bool = False, absolute: bool = False) -> Any:
        """Return the name of a file, as the reader does."""
        return self._reader.filename(int(self._indices[index]), basename, absolute)

    def filenames(self, basename: bool = False, absolute: bool = False) -> list[Any]:
        """Return the names of the files in the subset."""
        return [self.filename(index, basename, absolute) for index in range(len(self))]

    def __getattr__(self, name: str) -> Any:
        """Return all else as the reader has it."""
        if name in ("_reader", "_indices"):  # while being unpickled, in a worker
            raise AttributeError(name)
        return getattr(self._reader, name)
