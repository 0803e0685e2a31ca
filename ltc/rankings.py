"""Rankings by class in the form that the papers' scripts hand to each other."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.atomic import atomic_file
from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ltc.scores import Scores

__all__ = ["class_rankings", "write_rankings"]

# NumPy 2 writes a name that older ones don't know, and reads the old one. Protocol 3 is the highest
# that has such names as plain lines.
_PROTOCOL: Final = 3
_NEW_NAME, _OLD_NAME = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"


def class_rankings(
    scores: Scores, val_labels: NDArray[np.int32], *, by_id: bool
) -> dict[str, NDArray[np.int64]]:
    """Return the training samples of each class, best first, as the papers' script does.

    Parameters
    ----------
    scores : Scores
        With labels.
    val_labels : int32 array [sample]
        Labels of the validation samples.
    by_id : bool
        Samples are told by their ids, which are integers then, and not by their positions.

    Returns
    -------
    dict of str to int64 arrays
        For each of the classes ``"0"``, ``"1"``, ... up to the largest label; empty where a class
        has no training or no validation samples.

    Raises
    ------
    ArgumentValueError
        The scores have no labels, or no ids that are integers.

    Examples
    --------
    >>> import ltc
    >>> scores = ltc.Scores(np.array([0.2, 0.9, 0.5], np.float32), np.array([0, 0, 2], np.int32))
    >>> class_rankings(scores, np.array([0, 1], np.int32), by_id=False)
    {'0': array([1, 0]), '1': array([], dtype=int64), '2': array([], dtype=int64)}
    """
    if by_id and (scores.ids is None or scores.ids.dtype != np.int64):
        kind = "no ids" if scores.ids is None else f"ids of {scores.ids.dtype}"
        raise ArgumentValueError(f"ids must be integers to rank samples by them, got {kind}")
    ranking = scores.ranking(by="class")
    largest = max(max(ranking, default=-1), int(val_labels.max(initial=-1)))
    compared = set(val_labels.tolist())
    none = np.empty(0, np.int64)
    found = {}
    for label in range(largest + 1):
        samples = ranking.get(label, none) if label in compared else none
        found[str(label)] = scores.ids[samples] if by_id and scores.ids is not None else samples
    return found


def write_rankings(path: str | os.PathLike[str], rankings: dict[str, NDArray[np.int64]]) -> None:
    """Pickle rankings for the papers' training script, whatever NumPy it runs with.

    Parameters
    ----------
    path : path
        The file; what is there is replaced, never by half a file.
    rankings : dict of str to int64 arrays
        From :func:`class_rankings`.

    Raises
    ------
    OSError
        It can't be written.

    Examples
    --------
    >>> write_rankings(directory / "ranking.pkl", {"0": np.array([3, 1])})
    >>> with (directory / "ranking.pkl").open("rb") as file:
    ...     pickle.load(file)
    {'0': array([3, 1])}
    """
    # The name is there once, before any of the numbers: later it comes from the memo.
    data = pickle.dumps(rankings, _PROTOCOL).replace(_NEW_NAME, _OLD_NAME, 1)
    with atomic_file(Path(path)) as file:
        file.write(data)
