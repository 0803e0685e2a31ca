"""The awkward trajectories, each once, by name."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """Losses [T, N], references [C, T] and the group of each sample."""

    losses: np.ndarray
    references: np.ndarray
    groups: np.ndarray


def trajectories(num_checkpoints, num_samples, *, seed=0, dtype=np.float16):
    """Losses [T, N] that fall from about ln 10, each at a pace and to a level of its own."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_checkpoints)[:, None] / max(num_checkpoints, 1)
    pace = rng.uniform(1, 8, num_samples)
    level = rng.uniform(0, 1, num_samples)
    noise = rng.normal(0, 0.05, (num_checkpoints, num_samples))
    return np.abs(2.3 * np.exp(-pace * time) + level + noise).astype(dtype)


def case(num_checkpoints, num_samples, *, num_groups=7, seed=0, dtype=np.float16, change=None):
    """A case of this size; ``change(losses, references)`` alters it in place."""
    rng = np.random.default_rng(seed + 1)
    losses = trajectories(num_checkpoints, num_samples, seed=seed).astype(np.float64)
    references = trajectories(num_checkpoints, num_groups, seed=seed + 2).T.astype(np.float64)
    if change is not None:
        change(losses, references)
    groups = rng.integers(0, num_groups, num_samples)
    return Case(losses.astype(dtype), references, groups)


def offset(losses, references):
    losses += 100
    references += 100


def outlier_first(losses, references):
    losses[0] += 50
    references[:, 0] += 50


def outlier_last(losses, references):
    losses[-1] += 50


def drift(losses, references):
    """Differences of 1 +- 0.05, up or down."""
    rng = np.random.default_rng(5)
    steps = 1 + rng.uniform(-0.05, 0.05, losses.shape)
    losses[:] = np.cumsum(steps, axis=0) * rng.choice([-1, 1], losses.shape[1])


def early(losses, references):
    """Nearly all of the variance in the first checkpoints, as when training has converged."""
    time = np.arange(len(losses))
    losses *= (3 / (1 + time) ** 1.5)[:, None]
    references *= 3 / (1 + time) ** 1.5


def constant_losses(losses, references):
    losses[:, ::3] = 1.5
    losses[:, 1::3] = np.arange(len(losses))[:, None] * 0.25


def constant_reference(losses, references):
    references[1] = 0.1 + 0.2
    references[2] = np.arange(references.shape[1]) * 0.1


def missing_in_losses(losses, references):
    rng = np.random.default_rng(6)
    losses[rng.random(losses.shape) < 0.02] = np.nan
    losses[:, 0] = np.nan
    losses[1:-1, -1] = np.nan


def missing_at_the_ends(losses, references):
    losses[0, ::2] = np.nan
    losses[-1, 1::4] = np.nan


def missing_in_references(losses, references):
    references[0, references.shape[1] // 2] = np.nan
    references[1, 0] = np.nan
    references[2] = np.nan
    references[3, 2:] = np.nan


def infinite(losses, references):
    losses[1, ::4] = np.inf
    references[4, 1] = -np.inf


def huge(losses, references):
    losses *= 15_000


def tiny(losses, references):
    losses *= 2.0**-20


def identical(losses, references):
    losses[:] = losses[:, :1]


CHANGES = [
    None,
    offset,
    outlier_first,
    outlier_last,
    drift,
    early,
    constant_losses,
    constant_reference,
    missing_in_losses,
    missing_at_the_ends,
    missing_in_references,
    infinite,
    huge,
    tiny,
    identical,
]
CHECKPOINTS = [1, 2, 3, 4, 5, 16, 17, 18, 33, 41, 63, 64, 65, 90, 1000, 4096]
SAMPLES = [0, 1, 2, 15, 31, 63, 64, 65, 129, 1000]
SIGNALS = ["loss", "difference"]
