"""The samples that were selected, and the files that hold them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ltc.atomic import atomic_file, checked_suffix
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.exports.coreset import CoresetExports
from ltc.exports.tables import read_parquet, save_parquet

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".npy", ".txt", ".csv", ".parquet")
COLUMNS = ("index", "id", "label", "score")


@dataclass(frozen=True, eq=False)
class Coreset(CoresetExports):
    """Selected training samples.

    Attributes
    ----------
    indices : int64 [k]
        Positions in the training split, as it was recorded; ascending, each once.
    ids : int64 or str [k], or None
        Ids of these samples, if the run has ids.
    labels : int32 [k] or None
        Their classes, or the groups that they were scored with.
    scores : float32 [k]
        Their scores; NaN where undefined.
    num_samples : int or None
        Training samples in all, where that is known.

    Examples
    --------
    >>> import ltc
    >>> values = np.array([0.3, 0.9, 0.5, 0.1], np.float32)
    >>> coreset = ltc.Scores(values, np.array([0, 0, 1, 1], np.int32)).select(k=2)
    >>> coreset.indices, coreset.labels, len(coreset)
    (array([1, 2]), array([0, 1], dtype=int32), 2)
    """

    indices: NDArray[np.int64]
    ids: NDArray[Any] | None
    labels: NDArray[np.int32] | None
    scores: NDArray[np.float32]
    num_samples: int | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.indices.size

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the coreset to a file; what is there already is replaced, but never by half a file.

        Parameters
        ----------
        path : path
            The suffix says what is written. ``.npy``: the indices, int64. ``.txt``: the indices,
            one per line. ``.csv``: columns ``index,id,label,score`` with a header, where an id or a
            label that the run doesn't have is empty, an undefined score is ``nan``. ``.parquet``:
            the table of :meth:`to_arrow`.

        Raises
        ------
        ArgumentValueError
            Another suffix.
        MissingExtraError
            pyarrow, which writes ``.parquet``, is not installed.
        OSError
            The file can't be written.
        """
        path = checked_suffix(path, SUFFIXES)
        write = {
            ".npy": self._write_npy,
            ".txt": self._write_txt,
            ".csv": self._write_csv,
        }
        if path.suffix.lower() == ".parquet":
            save_parquet(path, self.to_arrow())
            return
        with atomic_file(path) as file:
            write[path.suffix.lower()](file)

    def _write_npy(self, file: IO[bytes]) -> None:
        # NumPy writes into a file by itself and, of a full disk, only says how far it got.
        memory = io.BytesIO()
        np.save(memory, self.indices, allow_pickle=False)
        file.write(memory.getbuffer())

    def _write_txt(self, file: IO[bytes]) -> None:
        file.writelines(b"%d\n" % index for index in self.indices.tolist())

    def _write_csv(self, file: IO[bytes]) -> None:
        absent = [""] * len(self)
        columns = zip(
            self.indices.tolist(),
            absent if self.ids is None else map(_quoted, self.ids.tolist()),
            absent if self.labels is None else self.labels.tolist(),
            map(str, self.scores),  # as few digits as tell one float32 from the next
            strict=True,
        )
        file.write(f"{','.join(COLUMNS)}\n".encode())
        file.writelines(f"{','.join(map(str, row))}\n".encode() for row in columns)


def _quoted(name: object) -> str:
    """Return an id as a field of CSV, of one line or more.

    Before Python 3.13, the writer of `csv` leaves a lone carriage return bare, which ends a line
    for all that read the file.

    Examples
    --------
    >>> [_quoted(name) for name in (7, "a b", "a,b", 'a"b')]
    ['7', 'a b', '"a,b"', '"a""b"']
    """
    text = str(name)
    return '"{}"'.format(text.replace('"', '""')) if set(',"\r\n') & set(text) else text


def load_indices(path: str | os.PathLike[str]) -> NDArray[np.int64]:
    """Read sample indices from a file that :meth:`Coreset.save` wrote, or one like it.

    Parameters
    ----------
    path : path
        ``.npy`` (integers, one-dimensional), ``.txt`` (one index per line), or ``.csv`` (with a
        header) and ``.parquet``, which have a column ``index``.

    Returns
    -------
    int64 [n]
        In the order of the file.

    Raises
    ------
    ArgumentValueError
        Another suffix, or contents of another kind.
    ArgumentTypeError
        An array of another dtype.
    OSError
        The file can't be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Coreset(np.array([1, 7]), None, None, np.zeros(2, np.float32)).save(folder + "/few.csv")
    ...     load_indices(folder + "/few.csv")
    array([1, 7])
    """
    path = checked_suffix(path, SUFFIXES)
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets put a mark before it
        if path.suffix.lower() == ".txt":
            return _parsed(path, ((n, line) for n, line in enumerate(file, 1) if line.strip()))
        rows = csv.DictReader(file)
        if "index" not in (rows.fieldnames or ()):
            raise ArgumentValueError(f"{path} must have a column 'index', got {rows.fieldnames}")
        return _parsed(path, ((rows.line_num, row["index"]) for row in rows))


def _read_npy(path: Path) -> NDArray[np.int64]:
    try:
        with path.open("rb") as file:
            indices = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ArgumentValueError(f"{path} must be a NumPy array file: {error}") from error
    return _integers(path, indices)


def _read_parquet(path: Path) -> NDArray[np.int64]:
    columns, _ = read_parquet(path)
    if "index" not in columns:
        raise ArgumentValueError(f"{path} must have a column 'index', got {sorted(columns)}")
    return _integers(path, columns["index"])


def _integers(path: Path, indices: NDArray[Any]) -> NDArray[np.int64]:
    if indices.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{path} must hold integer indices, got {indices.dtype}")
    if indices.ndim != 1:
        raise ArgumentValueError(f"{path} must be one-dimensional, got shape {indices.shape}")
    return indices.astype(np.int64)


def _parsed(path: Path, entries: Iterable[tuple[int, str | None]]) -> NDArray[np.int64]:
    """Turn numbered lines into indices."""
    try:
        return np.fromiter((_index(path, *entry) for entry in entries), np.int64)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArgumentValueError(f"{path} must be a text file in UTF-8: {error}") from error


def _index(path: Path, line: int, entry: str | None) -> int:
    text = (entry or "").strip()
    # int() would also take "1_000" and digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ArgumentValueError(f"{path} line {line} must be an index, got {text!r}")
    return int(text)
