"""What is compared in :func:`ltc.evaluation.accuracy_curve`, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation.arrays import classes, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Match: TypeAlias = Literal["iterations", "epochs"]
Select: TypeAlias = Callable[[int, int], "ArrayLike"]
Method: TypeAlias = "ArrayLike | Select"

BASELINE = "random"
_MATCHES = ("iterations", "epochs")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods, sizes and lengths of training, checked."""

    methods: Mapping[str, NDArray[np.float32] | Select]  # without the baseline
    sizes: tuple[int, ...]
    epochs: int
    batch_size: int
    labels: NDArray[np.int32] | None
    num_samples: int
    seeds: int
    match: Match

    def iterations(self, size: int) -> int:
        """Return for how many steps a model trains on a coreset of so many samples."""
        seen = self.num_samples if self.match == "iterations" else size
        return self.epochs * -(-seen // self.batch_size)


def plan_comparison(
    methods: Mapping[str, Method],
    *,
    sizes: Sequence[float],
    epochs: int,
    batch_size: int,
    labels: ArrayLike | None,
    num_samples: int | None,
    seeds: int,
    match: Match,
) -> Comparison:
    """Check the arguments of :func:`ltc.evaluation.accuracy_curve`, which documents them.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        One of them breaks its rule.

    Examples
    --------
    >>> options = {"epochs": 2, "batch_size": 30, "labels": None, "seeds": 1, "match": "epochs"}
    >>> plan = plan_comparison({}, sizes=[0.5, 70], num_samples=100, **options)
    >>> plan.sizes, [plan.iterations(size) for size in plan.sizes]
    ((50, 70), [4, 6])
    """
    if (labels is None) == (num_samples is None):
        given = "neither" if labels is None else "both"
        raise ArgumentValueError(
            f"exactly one of labels and num_samples must be given, got {given}"
        )
    groups = None if labels is None else _labels(labels)
    number = _positive("num_samples", num_samples) if groups is None else groups.size
    if match not in _MATCHES:
        raise ArgumentValueError(
            f"match must be one of {', '.join(map(repr, _MATCHES))}, got {match!r}"
        )
    if not isinstance(methods, Mapping):
        raise ArgumentTypeError(
            f"methods must be a mapping, of names to scores or callables, got {methods!r}"
        )
    for name in methods:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"methods must have names that are strings, got {name!r}")
    if BASELINE in methods:
        raise ArgumentValueError(
            f"methods must not have {BASELINE!r}, the name of the baseline that is always there"
        )
    return Comparison(
        methods={name: _method(name, method, number) for name, method in methods.items()},
        sizes=_sizes(sizes, number),
        epochs=_positive("epochs", epochs),
        batch_size=_positive("batch_size", batch_size),
        labels=groups,
        num_samples=number,
        seeds=_positive("seeds", seeds),
        match=match,
    )


def _method(name: str, method: Method, number: int) -> NDArray[np.float32] | Select:
    if callable(method):
        return method
    scores = numbers(f"scores of method {name!r}", method, ("sample",))
    if scores.size != number:
        raise ArgumentValueError(
            f"scores of method {name!r} must be {number:,}, one per sample, got {scores.size:,}"
        )
    if np.isinf(scores).any():
        raise ArgumentValueError(
            f"scores of method {name!r} must be finite, or NaN where undefined, got inf"
        )
    return _float32(scores)


def _float32(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    """Keep the order of scores, whatever their range and however close they are."""
    defined = ~np.isnan(scores)
    places = np.unique(scores[defined], return_inverse=True)[1]
    found = np.full(scores.size, np.nan, np.float32)
    # The float32 numbers from 1 on, one after the other: a rank itself is exact to 2**24 only.
    found[defined] = (places + np.float32(1).view(np.int32)).astype(np.int32).view(np.float32)
    return found


def _sizes(sizes: Sequence[float], number: int) -> tuple[int, ...]:
    if isinstance(sizes, str) or not isinstance(sizes, Iterable) or np.ndim(sizes) == 0:
        raise ArgumentTypeError(f"sizes must be a sequence of numbers, got {sizes!r}")
    found = tuple(_size(size, number) for size in sizes)
    if not found:
        raise ArgumentValueError("sizes must not be empty, got none")
    if len(set(found)) < len(found):
        raise ArgumentValueError(f"sizes must differ, got {', '.join(map(str, found))} samples")
    return found


def _size(size: Any, number: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
        raise ArgumentTypeError(f"sizes must be integers or fractions, got {size!r}")
    samples = size
    if isinstance(size, float | np.floating):
        if not 0 < size <= 1:
            raise ArgumentValueError(f"sizes must, as fractions, lie above 0 and to 1, got {size}")
        samples = math.floor(size * number + 0.5)
    if not 1 <= samples <= number:
        raise ArgumentValueError(f"sizes must come to 1..{number} samples, got {size}")
    return int(samples)


def _labels(labels: ArrayLike) -> NDArray[np.int32]:
    groups = classes("labels", labels)
    if not groups.size:
        raise ArgumentValueError("labels must be of at least one sample, got none")
    for bad in (groups.min(), groups.max()):
        if not 0 <= bad <= np.iinfo(np.int32).max:
            raise ArgumentValueError(f"labels must lie in 0..{np.iinfo(np.int32).max}, got {bad}")
    return groups.astype(np.int32)


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentTypeError(f"{name} must be an integer, got {value!r}")
    if value < 1:
        raise ArgumentValueError(f"{name} must be at least 1, got {value}")
    return int(value)
