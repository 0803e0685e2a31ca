"""Losses to measure on, made in seconds at any size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Size:
    """Checkpoints, training and validation samples, and classes."""

    checkpoints: int
    train: int
    val: int
    classes: int


SIZES = {
    "smallest": Size(5, 3_000, 100, 10),
    "cifar-100": Size(164, 45_000, 5_000, 100),
    "imagenet-1k": Size(90, 1_268_000, 12_800, 1000),
}


def losses(size: Size, split: str, *, seed: int = 0) -> NDArray[np.float16]:
    """Trajectories that fall at a pace of their own to a level of their own, with noise; [T, N]."""
    num_samples = getattr(size, split)
    rng = np.random.default_rng([seed, num_samples])
    pace = rng.uniform(1, 8, num_samples).astype(np.float32)
    level = rng.gamma(0.7, 0.6, num_samples).astype(np.float32)
    rows = np.empty((size.checkpoints, num_samples), dtype=np.float16)
    start = np.float32(np.log(size.classes))
    for t in range(size.checkpoints):
        fall = np.exp(-pace * np.float32(t / size.checkpoints))
        noise = rng.standard_normal(num_samples, dtype=np.float32)
        rows[t] = np.abs(start * fall + level + np.float32(0.1) * noise)
    return rows


def labels(size: Size, split: str, *, order: str = "shuffled") -> NDArray[np.int32]:
    """Classes of equal size as nearly as may be, sorted or shuffled; [N]."""
    groups = np.arange(getattr(size, split), dtype=np.int32) % np.int32(size.classes)
    if order == "sorted":
        return np.sort(groups)
    return np.random.default_rng(size.classes).permutation(groups)
