"""Scores of difficulty: all kinds in one pass over a store, beside one `ltc.score` of it.

Both are measured in every turn, so the ratio is one of the same run. Beside them: fewer kinds, and
the definitions in NumPy, as a user would write them for losses that are in memory already. The
scores are checked against them; if they are wrong, no times are told.
"""

import tempfile

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks import inputs, scoring
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc.difficulty_plan import KINDS, Kind, certain_bounds

LIMIT = 3.0  # of all kinds to one ltc.score
ACCURACY = 1e-5  # of a score, or of one where it is smaller
WINDOW = 10
TILE = 4096  # samples that NumPy works on at once: its windows take ten times their memory
ALL = "ltc.difficulty, all kinds"
ONE_IN_NUMPY = "confidence in NumPy, losses in memory"
ALL_IN_NUMPY = "all kinds in NumPy, losses in memory"


def run(size_name: str = "imagenet-1k", rounds: int = 15) -> Table:
    """Measure both in turns, and check the scores."""
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
        expected: dict[str, NDArray[np.float64]] = {}
        timings = measure(
            {
                "ltc.score": lambda: ltc.score(store),
                ALL: lambda: difficulty(*KINDS),
                "mean-loss": lambda: difficulty("mean-loss"),
                "confidence and variability": lambda: difficulty("confidence", "variability"),
                "dyn-unc and dual": lambda: difficulty("dyn-unc", "dual"),
                "both bounds of forgetting": lambda: difficulty(*KINDS[-2:]),
                ONE_IN_NUMPY: lambda: _confidence(losses),
                ALL_IN_NUMPY: lambda: expected.update(definitions(losses, window, size.classes)),
            },
            rounds=rounds,
            seldom={ONE_IN_NUMPY: 3, ALL_IN_NUMPY: 1},
        )
        error = _largest_error(difficulty(*KINDS), expected)
    table = Table(
        f"Difficulty from a store, {size.train:,} samples x {size.checkpoints}, checksummed",
        ["what", "time", "over ltc.score", "limit"],
    )
    base = timings["ltc.score"].median
    for name, timing in timings.items():
        limit = f"at most {LIMIT:g}" if name == ALL and size_name == "imagenet-1k" else ""
        table.add(name, str(timing), f"{timing.median / base:.2f}", limit)
    table.note("The ratio is that of the medians.")
    table.note(
        f"The largest error of any score, against NumPy in float64: {error:.1e} of it, or of one "
        f"where it is smaller; at most {ACCURACY:g}, else there is no table."
    )
    return table


def definitions(
    losses: NDArray[np.float16], window: int, classes: int
) -> dict[str, NDArray[np.float64]]:
    """Return the scores by all kinds of complete trajectories, in float64."""
    found = {kind: np.empty(losses.shape[1]) for kind in KINDS}
    for begin in range(0, losses.shape[1], TILE):
        tile = slice(begin, begin + TILE)
        for kind, values in _define(losses[:, tile].astype(np.float64), window, classes).items():
            found[kind][tile] = values
    return found


def _define(x: NDArray[np.float64], window: int, classes: int) -> dict[str, NDArray[np.float64]]:
    p = np.exp(-x)
    windows = np.lib.stride_tricks.sliding_window_view(p, window, axis=0)
    spread = windows.std(axis=-1, ddof=1)
    least, most = _forgetting(x, *certain_bounds(classes))
    return {
        "cumulative-loss": x.sum(axis=0),
        "mean-loss": x.mean(axis=0),
        "final-loss": x[-1],
        "confidence": p.mean(axis=0),
        "variability": p.std(axis=0),
        "dyn-unc": spread.mean(axis=0),
        "dual": (spread * (1 - windows.mean(axis=-1))).mean(axis=0),
        "forgetting-least": least,
        "forgetting-most": most,
    }


def _forgetting(
    x: NDArray[np.float64], right_below: float, wrong_above: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fewest and most changes from right to wrong, over all choices for the states between."""
    right, wrong = x < right_below, x > wrong_above
    least, most = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    learned, may_be_right = np.zeros(x.shape[1], bool), np.zeros(x.shape[1], bool)
    for t in range(len(x)):
        least += learned & wrong[t]
        learned = right[t] | (learned & ~wrong[t])
        dropped = may_be_right & ~right[t]
        most += dropped
        may_be_right = ~wrong[t] & ~dropped
    # Who is never right counts as forgotten at every checkpoint. Of those that are never right for
    # certain, that is the most; the least is to be right whenever it is open, and wrong at the end.
    never = ~right.any(axis=0)
    fewest = np.where(wrong.all(axis=0), len(x), wrong[-1])
    return np.where(never, fewest, least), np.where(never, len(x), most)


def _largest_error(found: dict[str, ltc.Scores], expected: dict[str, NDArray[np.float64]]) -> float:
    errors = {
        kind: np.abs(scores.values - expected[kind]) / np.fmax(1, np.abs(expected[kind]))
        for kind, scores in found.items()
    }
    largest = {kind: float(np.max(error, initial=0)) for kind, error in errors.items()}
    worst = max(largest, key=largest.__getitem__)
    if not largest[worst] <= ACCURACY:  # NaN neither
        raise AssertionError(f"{worst} is off by {largest[worst]:.3g}")
    return largest[worst]


def _confidence(losses: NDArray[np.float16]) -> NDArray[np.float32]:
    confidence: NDArray[np.float32] = np.exp(-losses.astype(np.float32)).mean(axis=0)
    return confidence
