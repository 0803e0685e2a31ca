"""What a selection was asked for, checked.

:func:`plan_selection` makes the plan that :func:`ltc.selection.picks.select` carries out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Balance: TypeAlias = Literal["class", "equal"] | None
Strategy: TypeAlias = Literal["top", "stratified", "random", "coverage", "beta"]

BALANCES = ("class", "equal", None)
STRATEGIES = ("top", "stratified", "random", "coverage", "beta")
EXPONENT = 4.0  # of the authors of beta sampling for 500 samples a class


@dataclass(frozen=True, eq=False)
class SelectionPlan:
    """What to select, checked: nothing is left to doubt but the scores themselves."""

    k: int
    balance: Balance
    strategy: Strategy
    cutoff: float
    seed: int
    size: int  # N
    excluded: NDArray[np.int64]  # ascending, each once
    clusters: NDArray[np.int64] | None = None  # [N], for "coverage"
    confidence: NDArray[np.float64] | None = None  # [N], for "beta"
    exponent: float = EXPONENT
    fading: float = 0.0
    times: NDArray[np.float32] | None = None  # [N], for "beta"

    @cached_property
    def candidates(self) -> NDArray[np.bool_]:
        """Whether each sample is not excluded, bool [N]."""
        candidates = np.ones(self.size, np.bool_)
        candidates[self.excluded] = False
        return candidates


def plan_selection(
    size: int,
    *,
    labelled: bool,
    fraction: float | None = None,
    k: int | None = None,
    balance: Balance = "class",
    strategy: Strategy = "top",
    cutoff: float = 0.0,
    seed: int = 0,
    exclude: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    exponent: float = EXPONENT,
    fading: float = 0.0,
    times: ArrayLike | None = None,
) -> SelectionPlan:
    """Check the arguments of :meth:`ltc.Scores.select`, which documents them.

    Parameters
    ----------
    size : int
        Number N of samples.
    labelled : bool
        Whether the samples have labels.
    fraction, k, balance, strategy, cutoff, seed, exclude, clusters, confidence, exponent, fading,
    times
        As :meth:`ltc.Scores.select` takes them.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError, ArgumentIndexError
        One of them breaks its rule.

    Examples
    --------
    >>> plan = plan_selection(32, labelled=True, fraction=0.15, exclude=[3, 3, 5])
    >>> plan.k, int(plan.candidates.sum())  # 0.15 * 30 is 4.5
    (5, 30)
    """
    _check_choice("balance", balance, BALANCES)
    _check_choice("strategy", strategy, STRATEGIES)
    if balance is not None and not labelled:
        raise ArgumentValueError(f"balance must be None for scores without labels, got {balance!r}")
    _check_needed("clusters", clusters, strategy, "coverage", "ltc.clusters(run)")
    _check_needed("confidence", confidence, strategy, "beta", 'ltc.difficulty(run, "confidence")')
    if strategy != "beta":
        _check_no_use("times", times, strategy, "beta")
    excluded = np.unique(_exclude_indices(() if exclude is None else exclude, size))
    return SelectionPlan(
        k=_coreset_size(fraction, k, size - excluded.size, size),
        balance=balance,
        strategy=strategy,
        cutoff=_share("cutoff", cutoff),
        seed=_whole_number("seed", seed),
        size=size,
        excluded=excluded,
        clusters=None if clusters is None else _cluster_numbers(clusters, size),
        confidence=None if confidence is None else _probabilities(confidence, size),
        exponent=_at_least("exponent", exponent, 1),
        fading=_at_least("fading", fading, 0),
        times=None if times is None else _factors(times, size),
    )


def _check_needed(name: str, value: object, strategy: str, needed_by: str, source: str) -> None:
    if strategy == needed_by and value is None:
        raise ArgumentValueError(
            f"{name} must be given for strategy {strategy!r}, for instance from {source}"
        )
    if strategy != needed_by:
        _check_no_use(name, value, strategy, needed_by)


def _check_no_use(name: str, value: object, strategy: str, needed_by: str) -> None:
    if value is not None:
        raise ArgumentValueError(
            f"{name} must be None for strategy {strategy!r}, which has no use "
            f"for it; {needed_by!r} has"
        )


def _cluster_numbers(clusters: ArrayLike, size: int) -> NDArray[np.int64]:
    array = _one_per_sample("clusters", clusters, size)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"clusters must hold integers, got {array.dtype}")
    return array.astype(np.int64)


def _probabilities(confidence: ArrayLike, size: int) -> NDArray[np.float64]:
    array = _one_per_sample("confidence", confidence, size)
    if array.dtype.kind != "f":
        raise ArgumentTypeError(f"confidence must hold floats, got {array.dtype}")
    wrong = (array < 0) | (array > 1)  # NaN is neither
    if wrong.any():
        place = int(wrong.argmax())
        raise ArgumentValueError(
            f"confidence must lie in 0..1, or be NaN, got {array[place]} at position {place}"
        )
    return array.astype(np.float64)


def _factors(times: ArrayLike, size: int) -> NDArray[np.float32]:
    array = _one_per_sample("times", times, size)
    if array.dtype.kind != "f":
        raise ArgumentTypeError(f"times must hold floats, got {array.dtype}")
    return array.astype(np.float32)


def _one_per_sample(name: str, values: ArrayLike, size: int) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != (size,):
        raise ArgumentValueError(
            f"{name} must have one entry per sample, shape ({size},), got shape {array.shape}"
        )
    return array


def _coreset_size(fraction: float | None, k: int | None, available: int, size: int) -> int:
    if (fraction is None) == (k is None):
        given = "neither" if k is None else "both"
        raise ArgumentValueError(f"exactly one of fraction and k must be given, got {given}")
    if k is None:
        return math.floor(_share("fraction", fraction) * available + 0.5)
    k = _whole_number("k", k)
    if k > available:
        excluded = "" if available == size else f" that exclude leaves of {size}"
        raise ArgumentValueError(f"k must be at most the {available} samples{excluded}, got {k}")
    return k


def _exclude_indices(exclude: ArrayLike, size: int) -> NDArray[np.int64]:
    """Return sample indices; one that occurs twice is excluded all the same."""
    indices = np.asarray(exclude)
    if indices.ndim != 1:
        raise ArgumentValueError(f"exclude must be one-dimensional, got shape {indices.shape}")
    if not indices.size:
        return np.empty(0, np.int64)  # an empty list has no dtype of its own
    if indices.dtype.kind not in "iu":
        hint = "; np.flatnonzero(mask) gives them" if indices.dtype.kind == "b" else ""
        raise ArgumentTypeError(f"exclude must hold integer indices, got {indices.dtype}{hint}")
    wrong = (indices < 0) | (indices >= size)
    if wrong.any():
        position = int(wrong.argmax())
        raise ArgumentIndexError(
            f"exclude must hold sample indices in 0..{size - 1}, got {indices[position]} at "
            f"position {position}"
        )
    return indices.astype(np.int64)


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise ArgumentTypeError(f"{name} must be a number in 0..1, got {value!r}")
    if not 0 <= value <= 1:  # NaN fails too
        raise ArgumentValueError(f"{name} must lie in 0..1, got {value}")
    return float(value)


def _at_least(name: str, value: Any, least: int) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}")
    if not least <= value < math.inf:  # NaN fails too
        raise ArgumentValueError(f"{name} must be at least {least} and finite, got {value}")
    return float(value)


def _whole_number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentTypeError(f"{name} must be an integer, got {value!r}")
    if value < 0:
        raise ArgumentValueError(f"{name} must be at least 0, got {value}")
    return int(value)


def _check_choice(name: str, value: object, choices: tuple[str | None, ...]) -> None:
    if not isinstance(value, str | None) or value not in choices:
        raise ArgumentValueError(
            f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}"
        )
