"""The meaning of the scores of difficulty: plain float64 NumPy, one sample after the other.

As in `ltc_kernels.reference`, nothing is shared with the fast forms. What is missing is left out of
a trajectory; the rest of it is what is said something of.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def difficulty(
    losses: NDArray[Any],
    kinds: tuple[str, ...],
    *,
    window: int,
    certain: tuple[float, float],
) -> NDArray[np.float32]:
    """Scores [kind, N]; see `ltc_kernels.difficulty`.

    Examples
    --------
    >>> losses = np.log([[4.0, 2.0], [2.0, 2.0]]).astype(np.float32)
    >>> difficulty(losses, ("confidence", "variability"), window=2, certain=(0.7, 0.7))
    array([[0.375, 0.5  ],
           [0.125, 0.   ]], dtype=float32)
    """
    scores = np.full((len(kinds), losses.shape[1]), np.nan)
    for i in range(losses.shape[1]):
        x = losses[:, i].astype(np.float64)
        seen = x[np.isfinite(x)]
        for k, kind in enumerate(kinds):
            scores[k, i] = _score(kind, seen, len(x), window, certain)
    return scores.astype(np.float32)


def _score(
    kind: str,
    x: NDArray[np.float64],
    num_checkpoints: int,
    window: int,
    certain: tuple[float, float],
) -> float:
    if len(x) == 0:
        return math.nan
    if kind == "cumulative-loss":
        return float(x.mean() * num_checkpoints)
    if kind == "mean-loss":
        return float(x.mean())
    if kind == "final-loss":
        return float(x[-1])
    if kind == "least-loss":
        return float(x.min())
    if (x < 0).any():
        return math.nan
    if kind == "confidence":
        return float(np.exp(-x).mean())
    if kind == "variability":
        return float(np.std(-np.expm1(-x))) if len(x) >= 2 else math.nan
    if kind in ("dyn-unc", "dual"):
        # On 1 - p, which float64 holds better than p where a loss is tiny.
        doubts = [-np.expm1(-x[t : t + window]) for t in range(len(x) - window + 1)]
        factors = [doubt.mean() if kind == "dual" else 1.0 for doubt in doubts]
        spreads = [np.std(doubt, ddof=1) * f for doubt, f in zip(doubts, factors, strict=True)]
        return float(np.mean(spreads)) if spreads else math.nan
    if len(x) < 2:
        return math.nan
    fewest, most = _forgetting(x, certain)
    return float(fewest if kind == "forgetting-least" else most)


def _forgetting(x: NDArray[np.float64], certain: tuple[float, float]) -> tuple[int, int]:
    """Fewest and most events over all choices of right and wrong for the states that are open.

    A trajectory that is never right counts as forgotten at every checkpoint.
    """
    # For each way to stand after a checkpoint: the fewest and the most events up to it.
    reached = {"never right": [0, 0]}
    for loss in x:
        following: dict[str, list[int]] = {}
        for before, counts in reached.items():
            if loss <= certain[1]:
                _widen(following, "right", counts)
            if loss >= certain[0] and before == "right":
                _widen(following, "wrong", [count + 1 for count in counts])
            elif loss >= certain[0]:
                _widen(following, before, counts)
        reached = following
    if "never right" in reached:
        reached["never right"] = [len(x), len(x)]
    counts = [count for each in reached.values() for count in each]
    return min(counts), max(counts)


def _widen(reached: dict[str, list[int]], state: str, counts: list[int]) -> None:
    known = reached.get(state, counts)
    reached[state] = [min(known[0], counts[0]), max(known[1], counts[1])]
