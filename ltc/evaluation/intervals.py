"""How far a statistic of repetitions can be trusted: intervals from bootstrap resamples."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation.arrays import any_array, check_same_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

Method: TypeAlias = Literal["percentile", "bca"]
_METHODS = ("percentile", "bca")
_BLOCK = 1 << 22  # values that are drawn at a time


class Statistic(Protocol):
    """What a statistic of one's own must be, as `numpy.mean` is."""

    def __call__(self, values: NDArray[np.float64], *, axis: int) -> Any:
        """Return the statistic along the axis."""


@dataclass(frozen=True, eq=False)
class Interval:
    """A statistic and the interval about it.

    Attributes
    ----------
    estimate : float64 [...]
        The statistic of the values as they are.
    low, high : float64 [...]
        Ends of the interval; NaN where a single repetition gives none.
    level : float
        How often such an interval is meant to hold the true value.
    """

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    level: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    statistic: Literal["mean", "median"] | Statistic = "mean",
    method: Method = "percentile",
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of repetitions with its bootstrap interval.

    The repetitions are drawn again, with replacement and as many as there are, and the spread of
    the statistic over such resamples stands for its spread over new experiments (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 14).

    Parameters
    ----------
    values : numbers [R, ...]
        Repetitions along the first axis: seeds, or queries, or test samples. All other axes are
        cells with an interval each; the resamples are the same for all of them.
    level : float
        How often the interval is meant to hold the true value, above 0 and below 1.
    statistic : {"mean", "median"} or callable
        A callable is called as ``statistic(values, axis=0)`` and must take that axis away, as
        NumPy's functions do.
    method : {"percentile", "bca"}
        ``"percentile"``: quantiles of the statistic over the resamples. ``"bca"``: other quantiles,
        corrected for the bias and the acceleration of the statistic; better for skewed values. It
        is the first where all resamples agree.
    resamples : int
        How many times to draw, at least 1.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Interval
        Of arrays ``[...]``. Ends are NaN where R is 1; all three are where a cell has a NaN.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A value that its rule forbids.

    Notes
    -----
    With few repetitions a bootstrap interval is too narrow: five values can't tell how far from
    them the others lie. The example counts how often it holds the true mean of five normal values.
    Say how many repetitions there were, beside the interval.

    Examples
    --------
    >>> from ltc import evaluation
    >>> found = evaluation.bootstrap_interval([0.81, 0.84, 0.79, 0.83, 0.80])
    >>> print(f"{found.estimate:.3f}, {found.low:.3f} to {found.high:.3f}")
    0.814, 0.798 to 0.830
    >>> experiments = np.random.default_rng(0).normal(size=(5, 2000))
    >>> found = evaluation.bootstrap_interval(experiments, resamples=1000)
    >>> float(np.mean((found.low < 0) & (found.high > 0)).round(2))
    0.84
    """
    plan = _Plan(level, statistic, method, resamples, seed)
    return _interval(_repetitions("values", values), plan)


def paired_difference(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    level: float = 0.95,
    statistic: Literal["mean", "median"] | Statistic = "mean",
    method: Method = "percentile",
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return how much values exceed a baseline of the same repetitions, with an interval.

    What a repetition has in common, such as its split of the data or its initial weights, cancels
    in the difference, so this finds smaller effects than two intervals beside each other.

    Parameters
    ----------
    values : numbers [R, ...]
        Repetitions along the first axis.
    baseline : numbers [R, ...]
        Of the same shape, and of the same repetitions in the same order.
    level, statistic, method, resamples, seed
        As for :func:`bootstrap_interval`; the statistic is that of the differences.

    Returns
    -------
    Interval
        Of ``values - baseline``, arrays ``[...]``.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A value that its rule forbids.

    Examples
    --------
    >>> from ltc import evaluation
    >>> ours, random = [0.84, 0.88, 0.81], [0.82, 0.85, 0.80]
    >>> found = evaluation.paired_difference(ours, random)
    >>> print(f"{found.estimate:+.3f}, {found.low:+.3f} to {found.high:+.3f}")
    +0.020, +0.010 to +0.030
    """
    plan = _Plan(level, statistic, method, resamples, seed)
    repeated = _repetitions("values", values)
    base = _repetitions("baseline", baseline)
    check_same_shape("baseline", base, "values", repeated)
    return _interval(repeated - base, plan)


@dataclass(frozen=True)
class _Plan:
    """How to make an interval, checked."""

    level: float
    statistic: Literal["mean", "median"] | Statistic
    method: Method
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        """Check every value."""
        if isinstance(self.level, bool) or not isinstance(self.level, float | np.floating):
            raise ArgumentTypeError(f"level must be a float, got {self.level!r}")
        if not 0 < self.level < 1:
            raise ArgumentValueError(f"level must be above 0 and below 1, got {self.level}")
        if not callable(self.statistic) and self.statistic not in ("mean", "median"):
            raise ArgumentValueError(
                f"statistic must be 'mean', 'median' or callable, got {self.statistic!r}"
            )
        if self.method not in _METHODS:
            raise ArgumentValueError(
                f"method must be one of {', '.join(map(repr, _METHODS))}, got {self.method!r}"
            )
        for name, value, least in (("resamples", self.resamples, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise ArgumentTypeError(f"{name} must be an integer, got {value!r}")
            if value < least:
                raise ArgumentValueError(f"{name} must be at least {least}, got {value}")

    def of(self, values: NDArray[np.float64], axis: int = 0) -> NDArray[np.float64]:
        """Return the statistic of values along an axis."""
        if not callable(self.statistic):
            named = np.mean if self.statistic == "mean" else np.median
            return np.asarray(named(values, axis=axis), np.float64)
        expected = values.shape[:axis] + values.shape[axis + 1 :]
        found = np.asarray(self.statistic(values, axis=axis), np.float64)
        if found.shape != expected:
            raise ArgumentValueError(
                f"statistic must take one axis away: of {values.shape} it must return {expected}, "
                f"got {found.shape}"
            )
        return found


def _interval(values: NDArray[np.float64], plan: _Plan) -> Interval:
    estimate = plan.of(values)
    ends = np.full((2, *estimate.shape), np.nan)
    if len(values) > 1:
        drawn = np.concatenate([plan.of(block, axis=1) for block in _resampled(values, plan)])
        drawn[:, ~np.isfinite(drawn).all(axis=0)] = np.nan
        tail = (1 - plan.level) / 2
        ends = np.quantile(drawn, (tail, 1 - tail), axis=0)
        cells = np.ndindex(estimate.shape) if plan.method == "bca" else ()
        for cell in cells:
            levels = _corrected(
                values[:, *cell], float(estimate[cell]), drawn[:, *cell], tail, plan
            )
            if levels is not None:
                ends[:, *cell] = np.quantile(drawn[:, *cell], levels)
    return Interval(estimate[()], ends[0], ends[1], float(plan.level))


def _resampled(values: NDArray[np.float64], plan: _Plan) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of resamples, [resample, R, ...]."""
    generator = np.random.default_rng(plan.seed)
    width = max(1, _BLOCK // values.size) if values.size else plan.resamples
    for start in range(0, plan.resamples, width):
        size = (min(width, plan.resamples - start), len(values))
        yield values[generator.integers(0, len(values), size)]


def _corrected(
    values: NDArray[np.float64],
    estimate: float,
    drawn: NDArray[np.float64],
    tail: float,
    plan: _Plan,
) -> tuple[float, float] | None:
    """Return which quantiles of the resampled statistic are the ends, where a correction exists."""
    middle = float(np.mean(drawn < estimate) + np.mean(drawn <= estimate)) / 2
    if not 0 < middle < 1 or np.ptp(drawn) == 0:
        return None
    # Efron and Tibshirani (1993), equations 14.10, 14.14 and 14.15.
    normal = NormalDist()
    bias = normal.inv_cdf(middle)
    left_out = np.array([float(plan.of(np.delete(values, i))) for i in range(values.size)])
    deviations = left_out.mean() - left_out
    spread = np.square(deviations).sum() ** 1.5
    acceleration = (deviations**3).sum() / (6 * spread) if spread else 0.0

    def corrected(level: float) -> float:
        shifted = bias + normal.inv_cdf(level)
        return normal.cdf(bias + shifted / (1 - acceleration * shifted))

    return corrected(tail), corrected(1 - tail)


def _repetitions(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = any_array(name, values)
    if array.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{name} must be real numbers, got {array.dtype}")
    if not array.ndim or not len(array):
        raise ArgumentValueError(
            f"{name} must have at least one repetition along the first axis, got shape "
            f"{array.shape}"
        )
    return array.astype(np.float64)
