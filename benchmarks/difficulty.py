"""Scores of difficulty: all kinds in one pass over a store, beside one `ltc.score` of it.

Both are measured in every turn, so the ratio is one of the same run. Beside them: fewer kinds, and
what a user would write for one of them on losses that are in memory already.
"""

import tempfile

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks import inputs, scoring
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc.difficulty_plan import KINDS, Kind

LIMIT = 3.0  # of all kinds to one ltc.score
WINDOW = 10
ALL = "ltc.difficulty, all kinds"
NAIVE = "confidence in NumPy, losses in memory"


def run(size_name: str = "imagenet-1k", rounds: int = 15) -> Table:
    """Measure both in turns."""
    size = inputs.SIZES[size_name]
    losses = inputs.losses(size, "train")
    window = min(WINDOW, size.checkpoints)

    def difficulty(*kinds: Kind) -> dict[str, ltc.Scores]:
        found: dict[str, ltc.Scores] = ltc.difficulty(
            store, kinds, window=window, loss="cross-entropy"
        )
        return found

    with tempfile.TemporaryDirectory() as folder:
        store = ltc.open_store(scoring.write(folder, size, losses))
        timings = measure(
            {
                "ltc.score": lambda: ltc.score(store),
                ALL: lambda: difficulty(*KINDS),
                "mean-loss": lambda: difficulty("mean-loss"),
                "confidence and variability": lambda: difficulty("confidence", "variability"),
                "dyn-unc and dual": lambda: difficulty("dyn-unc", "dual"),
                "both bounds of forgetting": lambda: difficulty(*KINDS[-2:]),
                NAIVE: lambda: _confidence(losses),
            },
            rounds=rounds,
            seldom={NAIVE: 3},
        )
    table = Table(
        f"Difficulty from a store, {size.train:,} samples x {size.checkpoints}, checksummed",
        ["what", "time", "over ltc.score", "limit"],
    )
    base = timings["ltc.score"].median
    for name, timing in timings.items():
        limit = f"at most {LIMIT:g}" if name == ALL and size_name == "imagenet-1k" else ""
        table.add(name, str(timing), f"{timing.median / base:.2f}", limit)
    table.note("The ratio is that of the medians.")
    return table


def _confidence(losses: NDArray[np.float16]) -> NDArray[np.float32]:
    confidence: NDArray[np.float32] = np.exp(-losses.astype(np.float32)).mean(axis=0)
    return confidence
