"""The methods that hand scores to other packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from numpy.typing import NDArray


class ScoresExports:
    """A part of :class:`ltc.Scores`, which has the attributes."""

    if TYPE_CHECKING:  # to be read only: `ltc.stored_scores` has properties

        @property
        def values(self) -> NDArray[np.float32]:
            """The scores."""

        @property
        def labels(self) -> NDArray[np.int32] | None:
            """Classes or groups."""

        @property
        def ids(self) -> NDArray[Any] | None:
            """What the run was recorded with."""

        @property
        def metadata(self) -> dict[str, Any]:
            """How the scores were made."""

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
        >>> scores = ltc.Scores(np.array([0.5, np.nan], np.float32), np.array([3, 1], np.int32))
        >>> scores.to_pandas()
           index  label  score
        0      0      3    0.5
        1      1      1    NaN
        """
        from ltc.exports.tables import to_pandas

        return to_pandas(self._columns())

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table with the columns of :meth:`to_pandas`; an undefined score is null.

        The metadata of its schema have how the scores were made, as JSON, under the key ``ltc``.

        Raises
        ------
        MissingExtraError
            pyarrow is not installed.
        """
        from ltc.exports.tables import to_arrow

        return to_arrow(self._columns(), self.metadata)

    def to_fiftyone(self, samples: Any, *, field: str = "ltc", key: str = "id") -> int:
        """Set a field of the samples in FiftyOne to their scores.

        Samples without a score, or that the run doesn't have, get None.

        Parameters
        ----------
        samples : fiftyone.core.collections.SampleCollection
            A data set or a view.
        field : str
            The field of floats to set; it is made where there is none.
        key : str
            The field that holds the ids that the run was recorded with, such as ``"id"`` or
            ``"filepath"``.

        Returns
        -------
        int
            How many of the samples are in the run.

        Raises
        ------
        ArgumentValueError
            The run has no ids, the field holds none of them, or no score is defined.
        """
        from ltc.exports.voxels import set_scores

        return set_scores(samples, self.ids, self.values, field, key)

    def _columns(self) -> dict[str, NDArray[Any] | None]:
        index = np.arange(self.values.size)
        return {"index": index, "id": self.ids, "label": self.labels, "score": self.values}
