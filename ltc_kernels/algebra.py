"""The reference side of a correlation, prepared once in float64.

With ``S`` the map of the signal (the identity for ``"loss"``, first differences for
``"difference"``) and ``C`` centring, the score of a training trajectory ``x`` against a reference
``y`` is

    r(x, y) = (C S x) . u / |C S x|        u = C S y / |C S y|

so that of a reference only the unit signal ``u`` is needed, and one pass over the stored losses
does the rest (Loss Trajectory Correlation, arXiv 2503.09721; on differences, arXiv 2508.20230). The
formula is linear in ``u``: the sum of correlations with many references takes the sum of their unit
signals.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Signal = Literal["loss", "difference"]
SIGNALS: Final[tuple[str, ...]] = get_args(Signal)
MINIMUM_VALUES: Final = 3  # signal values below which a correlation is undefined

# A centred norm below this share of the largest loss is rounding, not signal: four units in the
# last place.
CONSTANT_TOLERANCE: Final = 4 * float(np.finfo(np.float64).eps)
WEIGHT_ALIGNMENT: Final = 16  # rows of weights are padded with zeros to a multiple of this


@dataclass(frozen=True)
class PreparedReferences:
    """One reference per group, in the form that kernels consume; made by `prepare_references`.

    Attributes
    ----------
    signal : {"loss", "difference"}
        What is correlated.
    trajectories : ndarray of float64, shape (C, T)
        The references as given; not finite means missing.
    weights : ndarray of float32, shape (C, at least S)
        Unit signals of S values (T, or T - 1 for differences), padded with zeros; NaN where not
        complete.
    defined : ndarray of bool, shape (C,)
        False where no training sample can have a correlation: too few values, or all the same.
    placed : dict
        What a GPU backend made of this, by name and device, so that it is made and moved once.
    """

    signal: Signal
    trajectories: NDArray[np.float64]
    weights: NDArray[np.float32]
    defined: NDArray[np.bool_]
    placed: dict[tuple[str, str], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )


@dataclass(frozen=True)
class PreparedPairs:
    """Validation samples as references of their groups, each on its own; made by `prepare_pairs`.

    Attributes
    ----------
    signal : {"loss", "difference"}
        What is correlated.
    trajectories : ndarray of float64, shape (M, T)
        Validation trajectories, sorted by group, those without a gap first within each.
    weights : ndarray of float32, shape (C, at least S)
        Sum of the unit signals of each group's complete trajectories, padded with zeros.
    counts : ndarray of int64, shape (C,)
        How many trajectories that sum holds.
    starts : ndarray of int64, shape (C + 1,)
        Where each group begins in ``trajectories``; the last element is M.
    incomplete_starts : ndarray of int64, shape (C,)
        Where, within each group, the trajectories begin that ``weights`` does not hold.
    placed : dict
        What a GPU backend made of this, by name and device, so that it is made and moved once.
    """

    signal: Signal
    trajectories: NDArray[np.float64]
    weights: NDArray[np.float32]
    counts: NDArray[np.int64]
    starts: NDArray[np.int64]
    incomplete_starts: NDArray[np.int64]
    placed: dict[tuple[str, str], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )


def signal_length(num_checkpoints: int, signal: Signal) -> int:
    """Values of the signal of a trajectory: T, or T - 1 for differences, never negative.

    Examples
    --------
    >>> signal_length(90, "difference")
    89
    """
    return max(num_checkpoints - (signal == "difference"), 0)


def prepare_references(trajectories: NDArray[Any], *, signal: Signal) -> PreparedReferences:
    """Centre and normalise the signal of each reference, in float64.

    Parameters
    ----------
    trajectories : ndarray of floats, shape (C, T)
        One reference per group; anything that isn't finite is missing.
    signal : {"loss", "difference"}
        What is correlated.

    Returns
    -------
    PreparedReferences

    Examples
    --------
    >>> prepared = prepare_references(np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]]), signal="loss")
    >>> prepared.defined
    array([ True, False])
    >>> prepared.weights[0, :3].round(4)
    array([ 0.7071,  0.    , -0.7071], dtype=float32)
    """
    trajectories = np.ascontiguousarray(trajectories, dtype=np.float64)
    units, defined = unit_signals(trajectories, signal=signal)
    return PreparedReferences(signal, trajectories, padded_weights(units), defined)


def prepare_pairs(
    val: NDArray[Any], val_groups: NDArray[Any], num_groups: int, *, signal: Signal
) -> PreparedPairs:
    """Sort validation trajectories by group and sum their unit signals, in float64.

    Parameters
    ----------
    val : ndarray of floats, shape (T, M)
        Validation trajectories; anything that isn't finite is missing.
    val_groups : ndarray of integers, shape (M,)
        Group of each, 0..C-1.
    num_groups : int
        C.
    signal : {"loss", "difference"}
        What is correlated.

    Returns
    -------
    PreparedPairs

    Examples
    --------
    >>> val = np.array([[3.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    >>> pairs = prepare_pairs(val, np.array([0, 0]), 1, signal="loss")
    >>> pairs.counts, pairs.weights[0, :3].round(3)
    (array([2]), array([ 0.299, -0.408,  0.109], dtype=float32))
    """
    trajectories = np.ascontiguousarray(np.asarray(val).T, dtype=np.float64)
    groups = np.asarray(val_groups, dtype=np.int64)
    units, _ = unit_signals(trajectories, signal=signal)
    complete = np.isfinite(units).all(axis=1)
    sums = np.zeros((num_groups, units.shape[1]))
    np.add.at(sums, groups[complete], units[complete])
    counts = np.bincount(groups[complete], minlength=num_groups)
    starts = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=num_groups))])
    order = np.lexsort((~complete, groups))
    return PreparedPairs(
        signal,
        trajectories[order],
        padded_weights(sums),
        counts.astype(np.int64),
        starts.astype(np.int64),
        (starts[:-1] + counts).astype(np.int64),
    )


def unit_signals(
    trajectories: NDArray[np.float64], *, signal: Signal
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Centred signals of unit norm, and which trajectories can have a correlation at all.

    Parameters
    ----------
    trajectories : ndarray of float64, shape (R, T)
        Anything that isn't finite is missing.
    signal : {"loss", "difference"}
        What is taken of each trajectory.

    Returns
    -------
    units : ndarray of float64, shape (R, S)
        Rows of NaN where a value is missing or the signal doesn't vary.
    defined : ndarray of bool, shape (R,)
        Whether at least three values are there, and not all the same.
    """
    with np.errstate(invalid="ignore"):  # inf - inf is NaN: missing, as it should be
        values = np.diff(trajectories, axis=1) if signal == "difference" else trajectories
    present = np.isfinite(values)
    count = present.sum(axis=1)
    mean = np.where(present, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    centred = np.where(present, values, mean[:, None]) - mean[:, None]
    norm = np.sqrt(np.square(centred).sum(axis=1))
    largest = np.where(np.isfinite(trajectories), np.abs(trajectories), 0.0).max(
        axis=1, initial=0.0
    )
    varies = norm > CONSTANT_TOLERANCE * largest * np.sqrt(count)
    defined = (count >= MINIMUM_VALUES) & varies
    usable = defined & (count == values.shape[1])
    units = np.full_like(values, np.nan)
    units[usable] = centred[usable] / norm[usable, None]
    return units, defined


def padded_weights(units: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32 and pad rows with zeros to a multiple of ``WEIGHT_ALIGNMENT``."""
    num_rows, length = units.shape
    padding = -length % WEIGHT_ALIGNMENT
    weights = np.zeros((num_rows, length + padding), dtype=np.float32)
    weights[:, :length] = units
    return weights
