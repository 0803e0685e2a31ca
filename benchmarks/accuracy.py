"""Accuracy of the kernels against float64, on recorded and on hostile trajectories."""

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded
from benchmarks.results import Table
from ltc_kernels import group_correlation

CHECKPOINTS = (41, 90, 1000, 4096)
SAMPLES = 512
CONTRACT = (1e-5, 2e-6)  # worst, root mean square


def hostile(name: str, num_checkpoints: int) -> NDArray[np.float32]:
    """Trajectories [T, N] on which careless sums fail; float32, as a float16 hides most of it."""
    rng = np.random.default_rng(num_checkpoints)
    shape = (num_checkpoints, SAMPLES)
    walk = rng.standard_normal(shape)
    if name == "offset of 100":
        values = walk + 100
    elif name == "outlier first":
        values = walk
        values[0] += 1000
    elif name == "outlier last":
        values = walk
        values[-1] += 1000
    elif name == "steady drift":
        values = np.cumsum(1 + rng.uniform(-0.05, 0.05, shape), axis=0)
    else:
        values = np.cumsum(walk, axis=0)
    return values.astype(np.float32)


KINDS = (
    "recorded",
    "offset of 100",
    "outlier first",
    "outlier last",
    "steady drift",
    "random walk",
)


def run(checkpoints: tuple[int, ...] = CHECKPOINTS) -> Table:
    """Worst and root mean square error of each kind at each length."""
    table = Table(
        "Error of the CPU kernel against float64, worst and root mean square",
        ["losses", "signal", *(f"{count} checkpoints" for count in checkpoints)],
    )
    digits = recorded.digits(max(checkpoints))
    for kind in KINDS:
        for signal in ("difference", "loss"):
            cells = []
            for count in checkpoints:
                losses = digits[:count, :SAMPLES] if kind == "recorded" else hostile(kind, count)
                worst, rms = error(np.ascontiguousarray(losses), signal)
                cells.append(f"{worst:.1e}, {rms:.1e}")
            table.add(kind, signal, *cells)
    table.note(f"The contract: at most {CONTRACT[0]:g} worst and {CONTRACT[1]:g} root mean square.")
    table.note(
        "Recorded losses are float16, of a small network on handwritten digits; others float32."
    )
    return table


def error(losses: NDArray[np.floating], signal: str) -> tuple[float, float]:
    """Worst and root mean square difference from the definition, ten groups."""
    groups = np.arange(losses.shape[1]) % 10
    exactly = losses.astype(np.float64)
    references = np.stack([exactly[:, groups == group].mean(axis=1) for group in range(10)])
    scores = group_correlation(losses, references, groups, signal=signal)
    exact = group_correlation(losses, references, groups, signal=signal, backend="reference")
    difference = np.abs(scores.astype(np.float64) - exact)
    return float(difference.max()), float(np.sqrt(np.square(difference).mean()))
