"""Whether wrong labels are found, and how right a model is class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.errors import ArgumentValueError
from ltc.evaluation.agreement import ranks
from ltc.evaluation.arrays import check_same_shape, classes, marks, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def flipped_auc(scores: ArrayLike, flipped: ArrayLike) -> float:
    """Return the area under the ROC curve for finding flipped labels by low scores.

    The chance that a sample with a flipped label scores lower than one without, where a tie counts
    half.

    Parameters
    ----------
    scores : numbers [N]
        Lower where a label is to be doubted; of scores that are high there, pass ``-scores``.
    flipped : bool [N]
        Whether the label of each sample is wrong.

    Returns
    -------
    float
        In 0..1, where 0.5 is chance; over the samples whose score is defined, which NaN is not. NaN
        where these have no flipped label, or no right one.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Not such arrays of one length.

    Examples
    --------
    >>> from ltc import evaluation
    >>> evaluation.flipped_auc([-0.5, 0.1, 0.1, 0.9, np.nan], [True, True, False, False, True])
    0.875
    """
    values = numbers("scores", scores, ("sample",))
    wrong = marks("flipped", flipped, ("sample",))
    check_same_shape("flipped", wrong, "scores", values)
    defined = ~np.isnan(values)
    values, wrong = values[defined], wrong[defined]
    num_wrong = int(np.count_nonzero(wrong))
    num_right = wrong.size - num_wrong
    if not (num_wrong and num_right):
        return float("nan")
    # The ranks of right ones count all pairs that they win, those among themselves too.
    wins = ranks(values)[~wrong].sum() - num_right * (num_right - 1) / 2
    return float(wins / (num_wrong * num_right))


def class_accuracy(predictions: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return the accuracy in each class.

    Parameters
    ----------
    predictions : int [N]
        The class that a model says.
    labels : int [N]
        The right class of each sample, from 0.

    Returns
    -------
    float64 [C]
        Up to the highest class in `labels`; NaN where a class has no sample there.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Not such arrays of one length, or a negative label.

    Examples
    --------
    >>> from ltc import evaluation
    >>> evaluation.class_accuracy([0, 0, 3, 1], [0, 0, 3, 3])
    array([1. , nan, nan, 0.5])
    """
    said, right = classes("predictions", predictions), classes("labels", labels)
    check_same_shape("predictions", said, "labels", right)
    if right.min(initial=0) < 0:
        raise ArgumentValueError(f"labels must be at least 0, got {right.min()}")
    sizes = np.bincount(right)
    hits = np.bincount(right[said == right], minlength=sizes.size)
    found = np.full(sizes.size, np.nan)
    np.divide(hits, sizes, out=found, where=sizes > 0)
    return found


def worst_class_accuracy(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Return the accuracy in the class where it is lowest.

    Parameters
    ----------
    predictions, labels : int [N]
        As for :func:`class_accuracy`.

    Returns
    -------
    float
        In 0..1, over the classes that have samples; NaN where there are no samples at all.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        As for :func:`class_accuracy`.

    Examples
    --------
    >>> from ltc import evaluation
    >>> evaluation.worst_class_accuracy([0, 0, 1, 0], [0, 0, 1, 1])
    0.5
    """
    found = class_accuracy(predictions, labels)
    return float(np.nanmin(found)) if found.size else float("nan")
