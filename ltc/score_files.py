"""The files that hold scores: ``.npz``, of plain arrays and a JSON string, and Parquet."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltc.atomic import atomic_file, checked_suffix
from ltc.errors import ArgumentValueError
from ltc.exports.tables import read_parquet

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".npz", ".parquet")


class ScoreArrays(NamedTuple):
    """What a file of scores holds."""

    values: NDArray[np.float32]
    labels: NDArray[np.int32] | None
    ids: NDArray[Any] | None
    metadata: dict[str, Any]


def write_npz(
    path: str | os.PathLike[str],
    values: NDArray[np.float32],
    labels: NDArray[np.int32] | None,
    ids: NDArray[Any] | None,
    metadata: dict[str, Any],
) -> None:
    """Write a file of scores, whole or not at all.

    Parameters
    ----------
    path : path
        Ends in ``.npz``.
    values, labels, ids, metadata
        As :class:`ltc.Scores` has them. Ids are stored as integers or as unicode of fixed width.

    Raises
    ------
    ArgumentValueError
        Another suffix.
    OSError
        The file can't be written.
    """
    path = checked_suffix(path, (".npz",))
    arrays: dict[str, NDArray[Any]] = {"values": values, "metadata": np.array(json.dumps(metadata))}
    if labels is not None:
        arrays["labels"] = labels
    if ids is not None:
        arrays["ids"] = ids if ids.dtype.kind in "iu" else ids.astype(np.str_)
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_scores(path: Path) -> ScoreArrays:
    """Read a file that ``Scores.save`` wrote, of any of the suffixes.

    Raises
    ------
    ArgumentValueError
        It is another kind of file, or damaged.
    MissingExtraError
        pyarrow, which reads ``.parquet``, is not installed.
    OSError
        It can't be read.
    """
    found = read_npz(path) if path.suffix.lower() == ".npz" else _read_parquet(path)
    for what, array, dtype in (("values", found.values, "f4"), ("labels", found.labels, "i4")):
        if array is not None and array.dtype != dtype:
            raise _not_scores(path, f"its {what} are {array.dtype}, not {np.dtype(dtype)}")
    return found


def read_npz(path: Path) -> ScoreArrays:
    """Read a file that :func:`write_npz` wrote.

    Raises
    ------
    ArgumentValueError
        It is another kind of file, or damaged.
    OSError
        It can't be read.
    """
    with path.open("rb") as opened:
        if not zipfile.is_zipfile(opened):
            raise _not_scores(path, "it is no .npz file")
        try:
            with np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            metadata = json.loads(str(arrays.get("metadata", "{}")))
        except Exception as error:  # in a damaged file, zipfile and NumPy stumble over anything
            raise _not_scores(path, "it is damaged, or has arrays of Python objects") from error
    if lacking := {"values", "metadata"} - set(arrays):
        raise _not_scores(path, f"it has no array {min(lacking)!r}")
    if not isinstance(metadata, dict):
        raise _not_scores(path, "its metadata are no JSON object")
    return ScoreArrays(arrays["values"], arrays.get("labels"), arrays.get("ids"), metadata)


def _read_parquet(path: Path) -> ScoreArrays:
    columns, metadata = read_parquet(path)
    if "score" not in columns:
        raise _not_scores(path, "it has no column 'score'")
    values = columns["score"]
    if not np.array_equal(columns.get("index", ()), np.arange(values.size)):
        raise _not_scores(path, "its column 'index' doesn't count all samples")
    ids = columns.get("id")
    if ids is not None and ids.dtype == object:
        ids = ids.astype(np.str_)
    return ScoreArrays(values, columns.get("label"), ids, metadata)


def _not_scores(path: Path, reason: str) -> ArgumentValueError:
    return ArgumentValueError(
        f"path must be a file that Scores.save wrote, got {str(path)!r}: {reason}"
    )
