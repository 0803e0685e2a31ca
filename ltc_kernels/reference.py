"""The meaning of every kernel: plain float64 NumPy, written from the definition.

It shares nothing with the fast implementations, and is slow on purpose: they are tested against it,
and it is tested on numbers worked by hand.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def group_correlation(
    losses: NDArray[Any], references: NDArray[Any], groups: NDArray[Any], *, signal: str
) -> NDArray[np.float32]:
    """Pearson correlation of each trajectory's signal with the signal of its group's reference.

    Parameters
    ----------
    losses : ndarray of float16 or float32, shape (T, N)
        Training trajectories; not finite means missing.
    references : ndarray of floats, shape (C, T)
        One reference trajectory per group.
    groups : ndarray of integers, shape (N,)
        Group of each sample, 0..C-1.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.

    Returns
    -------
    ndarray of float32, shape (N,)
        NaN where fewer than three values are common, or either side doesn't vary.

    Examples
    --------
    >>> losses = np.array([[3, 1], [2, 2], [1, 3]], dtype=np.float32)
    >>> group_correlation(losses, np.array([[4.0, 3.0, 2.0]]), np.array([0, 0]), signal="loss")
    array([ 1., -1.], dtype=float32)
    """
    columns = zip(np.asarray(losses).T, np.asarray(groups), strict=True)
    scores = [pearson(x, references[group], signal=signal) for x, group in columns]
    return np.array(scores, dtype=np.float32)


def pair_sums(
    losses: NDArray[Any],
    groups: NDArray[Any],
    val: NDArray[Any],
    val_groups: NDArray[Any],
    *,
    signal: str,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum and number of the defined correlations with every validation sample of the same group.

    Parameters
    ----------
    losses, val : ndarray of float16 or float32, shapes (T, N) and (T, M)
        Training and validation trajectories; not finite means missing.
    groups, val_groups : ndarray of integers, shapes (N,) and (M,)
        Group of each sample.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.

    Returns
    -------
    sums : ndarray of float64, shape (N,)
    counts : ndarray of int64, shape (N,)
    """
    num_train = losses.shape[1]
    sums, counts = np.zeros(num_train), np.zeros(num_train, dtype=np.int64)
    for i in range(num_train):
        same = np.flatnonzero(val_groups == groups[i])
        found = np.array([pearson(losses[:, i], val[:, m], signal=signal) for m in same])
        defined = found[~np.isnan(found)]
        sums[i], counts[i] = defined.sum(), len(defined)
    return sums, counts


class OnlineMoments:
    """Running moments of every sample over the values that it and its reference both have.

    Parameters
    ----------
    num_samples : int
        N.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.

    Examples
    --------
    >>> state, group = OnlineMoments(2, "loss"), np.array([0, 0])
    >>> for x, y in [([3, 1], [4]), ([2, 2], [3]), ([1, 3], [2])]:
    ...     online_update(state, np.array(x, np.float16), np.array(y), group, signal="loss")
    >>> online_scores(state)
    array([ 1., -1.], dtype=float32)
    """

    def __init__(self, num_samples: int, signal: str) -> None:
        self.signal = signal
        self.count = np.zeros(num_samples)
        self.last_x, self.last_y = np.full(num_samples, np.nan), np.full(num_samples, np.nan)
        self.scale_x, self.scale_y = np.zeros(num_samples), np.zeros(num_samples)
        self.mean_x, self.mean_y = np.zeros(num_samples), np.zeros(num_samples)
        self.square_x, self.square_y = np.zeros(num_samples), np.zeros(num_samples)
        self.product = np.zeros(num_samples)


def online_update(
    state: OnlineMoments,
    train_losses: NDArray[Any],
    references: NDArray[Any],
    groups: NDArray[Any],
    *,
    signal: str,
) -> None:
    """Add one checkpoint; losses [N], one reference value per group [C] (Welford 1962)."""
    x = np.asarray(train_losses, dtype=np.float64)
    y = np.asarray(references, dtype=np.float64)[groups]
    state.scale_x = np.maximum(state.scale_x, np.where(np.isfinite(x), np.abs(x), 0.0))
    state.scale_y = np.maximum(state.scale_y, np.where(np.isfinite(y), np.abs(y), 0.0))
    a, b = x, y
    if signal == "difference":
        with np.errstate(invalid="ignore"):  # inf - inf
            a, b = x - state.last_x, y - state.last_y
    state.last_x, state.last_y = x, y
    i = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
    state.count[i] += 1
    before_a, before_b = a[i] - state.mean_x[i], b[i] - state.mean_y[i]
    state.mean_x[i] += before_a / state.count[i]
    state.mean_y[i] += before_b / state.count[i]
    state.square_x[i] += before_a * (a[i] - state.mean_x[i])
    state.square_y[i] += before_b * (b[i] - state.mean_y[i])
    state.product[i] += before_a * (b[i] - state.mean_y[i])


def online_scores(state: OnlineMoments) -> NDArray[np.float32]:
    """Correlations over the checkpoints so far; NaN as in `group_correlation`."""
    limit = 4 * 2.0**-52 * np.sqrt(state.count)
    varies = np.sqrt(state.square_x) > limit * state.scale_x
    varies &= np.sqrt(state.square_y) > limit * state.scale_y
    i = np.flatnonzero((state.count >= 3) & varies)
    scores = np.full(len(state.count), np.nan, dtype=np.float32)
    scores[i] = state.product[i] / np.sqrt(state.square_x[i]) / np.sqrt(state.square_y[i])
    return scores


def pair_correlation(train: NDArray[Any], val: NDArray[Any], *, signal: str) -> NDArray[np.float32]:
    """Pearson correlation of every training sample with every validation sample.

    Parameters
    ----------
    train, val : ndarray of float16 or float32, shapes (T, N) and (T, M)
        Trajectories; not finite means missing.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.

    Returns
    -------
    ndarray of float32, shape (M, N)
        NaN where fewer than three values are common, or either side doesn't vary.

    Examples
    --------
    >>> losses = np.array([[3, 1], [2, 2], [1, 3]], dtype=np.float32)
    >>> pair_correlation(losses, losses[:, :1], signal="loss")
    array([[ 1., -1.]], dtype=float32)
    """
    return _pair_correlation64(train, val, signal=signal).astype(np.float32)


def pair_topk(
    train: NDArray[Any], val: NDArray[Any], k: int, *, signal: str, largest: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k training samples whose correlation with each validation sample is best.

    Parameters
    ----------
    train, val : ndarray of float16 or float32, shapes (T, N) and (T, M)
        Trajectories; not finite means missing.
    k : int
        How many.
    signal : {"loss", "difference"}
        Correlate the losses or their consecutive differences.
    largest : bool
        Whether the best is the largest; else the smallest.

    Returns
    -------
    values : ndarray of float32, shape (M, k)
        Best first; of equals, the lower index first. NaN where there are fewer than k.
    indices : ndarray of int64, shape (M, k)
        The samples; -1 where there are fewer than k.
    """
    correlations = _pair_correlation64(train, val, signal=signal)
    values = np.full((val.shape[1], k), np.nan, dtype=np.float32)
    indices = np.full((val.shape[1], k), -1, dtype=np.int64)
    for m, row in enumerate(correlations):
        defined = np.flatnonzero(~np.isnan(row))
        keys = -row[defined] if largest else row[defined]
        best = defined[np.argsort(keys, kind="stable")][:k]
        values[m, : len(best)], indices[m, : len(best)] = row[best], best
    return values, indices


def count_missing(losses: NDArray[Any]) -> int:
    """Count the values that aren't finite; shape (T, N)."""
    return int(sum(not np.isfinite(value) for value in np.asarray(losses, dtype=np.float64).flat))


def add_group_sums(
    losses: NDArray[Any],
    groups: NDArray[Any],
    sums: NDArray[np.float64],
    missing: NDArray[np.int64],
) -> None:
    """Add the losses (T, N) of each group to sums (T, C), and count those that are missing."""
    for t, row in enumerate(np.asarray(losses, dtype=np.float64)):
        for value, group in zip(row, np.asarray(groups), strict=True):
            if np.isfinite(value):
                sums[t, group] += value
            else:
                missing[t, group] += 1


def nearest_centres(
    values: NDArray[Any], centres: NDArray[Any], groups: NDArray[Any]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Nearest centre of each sample's group, or -1, and the squared distance or NaN.

    Values (T, N), centres (C, K, T), groups (N,); distances are over the observed values.

    Examples
    --------
    >>> values, centres = np.array([[0, 1], [0, np.nan]]), np.array([[[0, 1], [3, 3]]])
    >>> nearest_centres(values, centres, np.array([0, 0]))
    (array([0, 0], dtype=int32), array([1., 1.], dtype=float32))
    """
    nearest = np.full(values.shape[1], -1, dtype=np.int32)
    squares = np.full(values.shape[1], np.nan, dtype=np.float32)
    for i, x in enumerate(np.asarray(values, dtype=np.float64).T):
        observed = np.isfinite(x)
        own = centres[groups[i]].astype(np.float64)
        there = np.flatnonzero(~np.isnan(own[:, 0]))
        if there.size:
            distances = ((x[observed] - own[there][:, observed]) ** 2).sum(axis=1)
            nearest[i], squares[i] = there[distances.argmin()], distances.min()
    return nearest, squares


def round_losses(losses: NDArray[Any]) -> tuple[NDArray[np.float16], int, int]:
    """Losses of any shape as a store holds them, and how many were clipped and are missing.

    Examples
    --------
    >>> round_losses(np.array([0.5, 1e6, np.inf, np.nan]))
    (array([5.00e-01, 6.55e+04,      nan,      nan], dtype=float16), 1, 2)
    """
    with np.errstate(invalid="ignore"):  # signalling NaN
        values = np.asarray(losses, dtype=np.float64)
    finite = np.isfinite(values)
    clipped = finite & (np.abs(values) > 65504)
    stored = np.where(finite, values.clip(-65504, 65504), np.nan).astype(np.float16)
    return stored, int(clipped.sum()), int((~finite).sum())


def _pair_correlation64(
    train: NDArray[Any], val: NDArray[Any], *, signal: str
) -> NDArray[np.float64]:
    rows = [[pearson(x, y, signal=signal) for x in train.T] for y in val.T]
    return np.array(rows, dtype=np.float64).reshape(val.shape[1], train.shape[1])


def pearson(x: NDArray[Any], y: NDArray[Any], *, signal: str) -> float:
    """Pearson correlation of two trajectories' signals over what both have, or NaN; shapes (T,)."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    scale_x = np.max(np.abs(x), where=np.isfinite(x), initial=0.0)
    scale_y = np.max(np.abs(y), where=np.isfinite(y), initial=0.0)
    if signal == "difference":
        with np.errstate(invalid="ignore"):  # inf - inf
            x, y = np.diff(x), np.diff(y)
    common = np.isfinite(x) & np.isfinite(y)
    x, y = x[common], y[common]
    if len(x) < 3 or is_constant(x, scale_x) or is_constant(y, scale_y):
        return float("nan")
    dx, dy = x - x.mean(), y - y.mean()
    return float(np.sum(dx * dy) / np.sqrt(np.sum(dx * dx)) / np.sqrt(np.sum(dy * dy)))


def is_constant(values: NDArray[np.float64], scale: float) -> bool:
    """Whether values spread no more than the rounding of numbers as large as ``scale``."""
    spread = np.sqrt(np.sum(np.square(values - values.mean())))
    return bool(spread <= 4 * 2.0**-52 * scale * np.sqrt(len(values)))
