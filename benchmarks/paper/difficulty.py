"""Other papers' scores of the recorded losses, until ``ltc.difficulty`` gives them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ltc


def difficulty(path: Path, kind: str, window: int) -> NDArray[np.float32]:
    """Return one value per sample from the checkpoints after the one before training."""
    losses = ltc.open_store(path).read("train").astype(np.float64)[1:]
    p = np.exp(-losses)
    if kind == "cumulative-loss":
        return losses.sum(0).astype(np.float32)
    if kind == "confidence":
        return p.mean(0).astype(np.float32)
    if kind == "variability":
        return p.std(0).astype(np.float32)
    values = [
        p[t : t + window].std(0, ddof=1) * (1 - p[t : t + window].mean(0) if kind == "dual" else 1)
        for t in range(len(p) - window + 1)
    ]
    return np.mean(values, axis=0).astype(np.float32)
