"""What ranking and selecting cost: time, and the most memory beyond the scores themselves.

The scores are random, a hundredth undefined, the class sizes uneven; labels are shuffled, which is
the slower order for everything that counts by class.
"""

import argparse
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks import machine
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc.scores import Scores

SIZES = {  # samples and classes
    "smallest": (3_000, 10),
    "cifar-100": (45_000, 100),
    "imagenet-1k": (1_281_167, 1_000),
    "imagenet-21k": (14_000_000, 10_000),
}
LIMIT = 30  # seconds, at the largest size: "in seconds"
BYTES_LIMIT = 100  # per sample


def make_scores(samples: int, classes: int) -> Scores:
    """Random scores, with some undefined, in classes of uneven sizes."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, samples).astype(np.float32)
    values[rng.integers(samples, size=samples // 100)] = np.nan
    labels = (classes * rng.beta(1, 2, samples)).astype(np.int32)
    return Scores(values, labels)


def cases(scores: Scores) -> dict[str, Callable[[], object]]:
    """Return what is measured: rankings, and a tenth selected in every way."""
    rng = np.random.default_rng(1)
    clusters = 20 * scores.labels + rng.integers(20, size=scores.values.size)
    confidence = rng.uniform(size=scores.values.size)
    return {
        "ranking by class": scores.ranking,
        "ranking of all": lambda: scores.ranking(by=None),
        "top, no balance": lambda: scores.select(fraction=0.1, balance=None),
        "top": lambda: scores.select(fraction=0.1),
        "top, equal, cutoff": lambda: scores.select(fraction=0.1, balance="equal", cutoff=0.2),
        "stratified, cutoff": lambda: scores.select(
            fraction=0.1, strategy="stratified", cutoff=0.2
        ),
        "random": lambda: scores.select(fraction=0.1, strategy="random"),
        "coverage": lambda: scores.select(fraction=0.1, strategy="coverage", clusters=clusters),
        "beta": lambda: scores.select(fraction=0.1, strategy="beta", confidence=confidence),
        "summary": scores.summary,
    }


def run(size_name: str = "imagenet-1k", rounds: int = 5) -> Table:
    """Measure every case at this size."""
    samples, classes = SIZES[size_name]
    scores = make_scores(samples, classes)
    table = Table(
        f"Selection, {samples:,} samples in {classes:,} classes",
        ["what", "median", "20th to 80th percentile", "bytes per sample"],
    )
    measured = cases(scores)
    timings = measure(measured, rounds=rounds)
    for name, timing in timings.items():
        low, high = timing.quantile(0.2), timing.quantile(0.8)
        most = peak_memory(measured[name]) / samples
        table.add(name, f"{timing.median:.3g} s", f"{low:.3g} to {high:.3g} s", f"{most:.0f}")
    table.note(f"Limits: {LIMIT} s at 14 million samples, {BYTES_LIMIT} bytes per sample.")
    return table


def peak_memory(call: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy held during a call, beyond those before it."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def main() -> None:
    """Print the table, with the machine and the commit it was measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="imagenet-21k")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    head = "\n".join(f"{key}: {value}" for key, value in machine.describe().items())
    print(f"{head}\n\n{run(arguments.size, arguments.rounds)}")


if __name__ == "__main__":
    main()
