"""The methods that hand a coreset to other packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import datasets
    import numpy as np
    import pandas
    import pyarrow
    from numpy.typing import NDArray
    from torch.utils.data import Dataset, Subset

    from ltc.exports.names import KeyFilter


class CoresetExports:
    """A part of :class:`ltc.Coreset`, which has the attributes.

    Whatever is given in the order of the training split must be the whole of it, as it was
    recorded: indices count there.
    """

    indices: NDArray[np.int64]
    ids: NDArray[Any] | None
    labels: NDArray[np.int32] | None
    scores: NDArray[np.float32]
    num_samples: int | None

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame with the columns ``index``, ``id``, ``label`` and ``score``.

        ``id`` and ``label`` are there where the run has them; an undefined score is NaN.

        Raises
        ------
        MissingExtraError
            pandas is not installed.

        Examples
        --------
        >>> import ltc
        >>> scores = ltc.Scores(np.array([0.5, 0.25, 0.75], np.float32), ids=np.array([7, 8, 9]))
        >>> scores.select(k=2, balance=None).to_pandas()
           index  id  score
        0      0   7   0.50
        1      2   9   0.75
        """
        from ltc.exports.tables import to_pandas

        return to_pandas(self._columns())

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table with the columns of :meth:`to_pandas`; an undefined score is null.

        Raises
        ------
        MissingExtraError
            pyarrow is not installed.
        """
        from ltc.exports.tables import to_arrow

        return to_arrow(self._columns())

    def to_torch(self, dataset: Dataset[Any]) -> Subset[Any]:
        """Return the samples of the coreset as a torch `Subset`.

        Parameters
        ----------
        dataset : torch.utils.data.Dataset
            The training split; with a length, and samples at positions.

        Returns
        -------
        torch.utils.data.Subset
            In the order of the indices.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            The data set has no length, or another than the training split.

        Examples
        --------
        >>> import ltc
        >>> scores = ltc.Scores(np.array([0.5, 0.25, 0.75], np.float32))
        >>> list(scores.select(k=2, balance=None).to_torch(["a", "b", "c"]))
        ['a', 'c']
        """
        from ltc.exports.data_sets import to_torch

        return to_torch(dataset, self.indices, self.num_samples)

    def to_datasets(self, dataset: datasets.Dataset) -> datasets.Dataset:
        """Return the samples of the coreset as a data set of Hugging Face.

        Parameters
        ----------
        dataset : datasets.Dataset
            The training split, not a `DatasetDict` and not a stream.

        Returns
        -------
        datasets.Dataset
            What its ``select`` makes, in the order of the indices.

        Raises
        ------
        MissingExtraError
            The package `datasets` is not installed.
        ArgumentTypeError, ArgumentValueError
            Another kind of data set, or of another length than the training split.
        """
        from ltc.exports.data_sets import to_datasets

        return to_datasets(dataset, self.indices, self.num_samples)

    def to_timm(self, dataset: Any) -> Any:
        """Return the images of the coreset as an `ImageDataset` of timm.

        A torch `Subset` would not do: timm's loader sets the transform on the data set that it is
        given.

        Parameters
        ----------
        dataset : timm.data.ImageDataset
            The training split, of a folder or of tar files. It stays as it is.

        Returns
        -------
        timm.data.ImageDataset
            A shallow copy, whose reader is an :class:`ltc.integrations.timm.SubsetReader`.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            Another kind of data set, or of another length than the training split.
        """
        from ltc.exports.data_sets import to_timm

        return to_timm(dataset, self.indices, self.num_samples)

    def key_filter(self, keys: Sequence[str] | None = None) -> KeyFilter:
        """Return what tells, of a sample of webdataset, whether it is in the coreset.

        As in ``webdataset.WebDataset(shards).select(coreset.key_filter()).decode()``: before
        decoding, nothing is done for samples that are left out but reading them. It can be pickled,
        for the workers of a loader.

        Parameters
        ----------
        keys : sequence of str, optional
            ``__key__`` of every training sample, by its index. By default the ids that the run was
            recorded with.

        Returns
        -------
        callable
            ``keep(sample) -> bool``.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            There are no keys, or not those of all samples, or not unique.

        Examples
        --------
        >>> import ltc
        >>> scores = ltc.Scores(np.array([0.5, 0.75], np.float32), ids=np.array(["a/0", "a/1"]))
        >>> keep = scores.select(k=1, balance=None).key_filter()
        >>> keep({"__key__": "a/0"}), keep({"__key__": "a/1"})
        (False, True)
        """
        from ltc.exports.names import KeyFilter, chosen_names

        chosen = chosen_names("keys", keys, self.ids, self.indices, self.num_samples)
        return KeyFilter(frozenset(chosen))

    def save_names(self, path: str | os.PathLike[str], names: Sequence[str] | None = None) -> None:
        """Write a list of names, such as files or keys: a text file with one per line.

        Parameters
        ----------
        path : path
            Ends in ``.txt``; what is there is replaced, but never by half a file.
        names : sequence of str, optional
            Of every training sample, by its index, such as ``dataset.reader.filenames()`` of timm's
            `ImageDataset`, or ``[path for path, _ in dataset.samples]`` of torchvision's
            `ImageFolder`. By default the ids that the run was recorded with.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            There are no names, or not those of all samples, or not unique; one of more than one
            line; another suffix.
        OSError
            The file can't be written.
        """
        from ltc.exports.names import chosen_names, write_names

        chosen = chosen_names("names", names, self.ids, self.indices, self.num_samples)
        write_names(path, chosen)

    def to_fiftyone(self, samples: Any, *, tag: str = "coreset", key: str = "id") -> int:
        """Tag the samples of the coreset in FiftyOne, and take the tag from all others.

        Parameters
        ----------
        samples : fiftyone.core.collections.SampleCollection
            A data set or a view.
        tag : str
            The tag.
        key : str
            The field that holds the ids that the run was recorded with, such as ``"id"`` or
            ``"filepath"``.

        Returns
        -------
        int
            How many samples have the tag; fewer than the coreset where `samples` lack some.

        Raises
        ------
        ArgumentValueError
            The run has no ids, or the field holds none of them.
        """
        from ltc.exports.voxels import set_tag

        return set_tag(samples, self.ids, tag, key)

    def _columns(self) -> dict[str, NDArray[Any] | None]:
        return {"index": self.indices, "id": self.ids, "label": self.labels, "score": self.scores}
