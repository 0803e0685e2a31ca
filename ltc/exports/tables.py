"""Scores and coresets as tables: pandas, Arrow, and Parquet files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ltc.atomic import atomic_file
from ltc.errors import ArgumentValueError
from ltc.exports.packages import package

if TYPE_CHECKING:
    from pathlib import Path

    import pandas
    import pyarrow
    from numpy.typing import NDArray

_METADATA = b"ltc"  # of the Arrow schema: how scores were made


def to_pandas(columns: dict[str, NDArray[Any] | None]) -> pandas.DataFrame:
    """Return a data frame of those columns that there are; an undefined score is NaN.

    Examples
    --------
    >>> columns = {"index": np.arange(2), "id": None, "score": np.array([0.5, np.nan])}
    >>> to_pandas(columns)
       index  score
    0      0    0.5
    1      1    NaN
    """
    pandas = package("pandas", "a data frame")
    # Strings of NumPy's own kinds are none of pandas'.
    return pandas.DataFrame(
        {
            name: column if column.dtype.kind in "iuf" else column.astype(object)
            for name, column in columns.items()
            if column is not None
        }
    )


def to_arrow(
    columns: dict[str, NDArray[Any] | None], metadata: dict[str, Any] | None = None
) -> pyarrow.Table:
    """Return an Arrow table of those columns that there are; an undefined score is null.

    What sorts takes null for missing, and NaN for the highest number.

    Parameters
    ----------
    columns : dict of str to arrays [n] or None
        By name.
    metadata : dict, optional
        JSON values, which the schema keeps under the key ``ltc``.
    """
    arrow = package("pyarrow", "an Arrow table")
    table = arrow.table(
        {
            name: (
                arrow.array(column, from_pandas=True)
                if column.dtype.kind in "iuf"
                else arrow.array(column.tolist(), arrow.string())
            )
            for name, column in columns.items()
            if column is not None
        }
    )
    if metadata is None:
        return table
    return table.replace_schema_metadata({_METADATA: json.dumps(metadata)})


def save_parquet(path: Path, table: pyarrow.Table) -> None:
    """Write a table of :func:`to_arrow` to a file, whole or not at all."""
    parquet = package("pyarrow.parquet", "a Parquet file")
    with atomic_file(path) as file:
        parquet.write_table(table, file)


def read_parquet(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a file of :func:`save_parquet`, or one like it.

    Returns
    -------
    columns : dict of str to arrays [n]
        Those named ``index``, ``id``, ``label`` and ``score``, where they are there; in a column of
        floats, null is NaN.
    metadata : dict
        Empty where the schema has none.

    Raises
    ------
    ArgumentValueError
        It is no Parquet file, or it has another type of column, or null where none can be.
    OSError
        It can't be read.
    """
    arrow = package("pyarrow", "a Parquet file")
    parquet = package("pyarrow.parquet", "a Parquet file")
    with path.open("rb") as file:
        try:
            table = parquet.read_table(file)
            metadata = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
        except (arrow.ArrowInvalid, ValueError) as error:
            raise ArgumentValueError(f"{path} must be a Parquet file: {error}") from error
    if not isinstance(metadata, dict):
        raise ArgumentValueError(f"{path} must have metadata that are a JSON object")
    found = {}
    for name in {"index", "id", "label", "score"} & set(table.column_names):
        column = table.column(name)
        if column.null_count and not arrow.types.is_floating(column.type):
            raise ArgumentValueError(f"{path} must have no null in the column {name!r}")
        found[name] = column.to_numpy()
    return found, metadata
