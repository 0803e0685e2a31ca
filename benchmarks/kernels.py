"""The group kernel in memory: measured over floor, and against what a user would write instead."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import inputs, peers
from benchmarks.bandwidth import reader
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc_kernels import group_correlation, prepare_references, reference

FLOOR = "reading the same bytes once"
# The ratio to the floor, at most, and how many times slower others are, at least.
LIMITS = {"difference, labels sorted": 7.0, "difference, labels shuffled": 8.0}
FASTER = {"tiled torch": 15.0, "per-class float64 NumPy": 100.0}


def cases(size: inputs.Size) -> dict[str, Callable[[], Any]]:
    """Every timed call on inputs of this size, checked against the definition before it counts."""
    losses = inputs.losses(size, "train")
    val, val_labels = inputs.losses(size, "val"), inputs.labels(size, "val")
    counts = np.bincount(val_labels, minlength=size.classes)
    means = np.zeros((size.classes, size.checkpoints))
    np.add.at(means, val_labels, val.T.astype(np.float64))
    means /= np.maximum(counts, 1)[:, None]
    calls: dict[str, Callable[[], Any]] = {FLOOR: reader(losses)}
    for signal in ("difference", "loss"):
        prepared = prepare_references(means, signal=signal)
        for order in ("sorted", "shuffled"):
            groups = inputs.labels(size, "train", order=order)

            def call(prepared: Any = prepared, groups: Any = groups, signal: str = signal) -> Any:
                return group_correlation(losses, prepared, groups, signal=signal)

            calls[f"{signal}, labels {order}"] = call
            _check(call(), losses, means, groups, signal)
    shuffled = inputs.labels(size, "train")
    calls["tiled torch"] = lambda: peers.tiled_torch(losses, means, shuffled)
    calls["per-class float64 NumPy"] = lambda: peers.per_class_numpy(losses, means, shuffled)
    for name in FASTER:
        _check(calls[name](), losses, means, shuffled, "difference")
    return calls


def run(size_name: str = "imagenet-1k", rounds: int = 11) -> Table:
    """Measure every call, in turns."""
    size = inputs.SIZES[size_name]
    calls = cases(size)
    timings = measure(calls, rounds=rounds, seldom={"tiled torch": 5, "per-class float64 NumPy": 5})
    floor = timings[FLOOR].median
    kernel = timings["difference, labels shuffled"].median
    table = Table(
        f"Group kernel, {size.train:,} x {size.checkpoints}, {size.classes} groups, in memory",
        ["what", "time", "over floor", "times the kernel", "limit"],
    )
    for name, timing in timings.items():
        limit = f"at most {LIMITS[name]:g}" if name in LIMITS else ""
        if name in FASTER:
            limit = f"at least {FASTER[name]:g} times slower"
        table.add(
            name,
            str(timing),
            f"{timing.median / floor:.2f}",
            f"{timing.median / kernel:.2f}",
            limit,
        )
    gigabytes = 2 * size.train * size.checkpoints / 1e9
    table.note(
        f"The floor is {gigabytes / floor:.1f} GB/s. Times of the kernel are of shuffled labels."
    )
    return table


def _check(scores: Any, losses: Any, means: Any, groups: Any, signal: str) -> None:
    """No timing of a wrong result: compare some scores with the definition."""
    some = np.random.default_rng(0).integers(0, losses.shape[1], 200)
    expected = reference.group_correlation(losses[:, some], means, groups[some], signal=signal)
    np.testing.assert_allclose(scores[some], expected, atol=1e-5)
