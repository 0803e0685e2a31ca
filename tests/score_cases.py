"""Stores that scoring is tested on, and arguments that it refuses: on one machine, on a cluster."""

import numpy as np

import ltc
from kernels import cases
from ltc.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
)

NUM_CLASSES = 7


def make(path, *, checkpoints=12, train=300, val=60, change=None, **options):
    """Write a store; return it with losses as stored and labels."""
    x = cases.trajectories(checkpoints, train, seed=1).astype(np.float32)
    y = cases.trajectories(checkpoints, val, seed=2).astype(np.float32)
    if change is not None:
        change(x, y)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, NUM_CLASSES, train), rng.integers(0, NUM_CLASSES, val)
    ltc.write_store(path, x, y, train_labels=labels[0], val_labels=labels[1], **options)
    store = ltc.open_store(path)
    return store, store.read("train"), store.read("val"), *labels


def scattered_gaps(x, y):
    rng = np.random.default_rng(8)
    x[rng.random(x.shape) < 0.02] = np.nan
    y[rng.random(y.shape) < 0.05] = np.nan
    y[:, 4] = np.nan
    x[:, 5] = np.nan


BAD_ARGUMENTS = [
    ({"signal": "losses"}, ArgumentValueError, "signal must be one of loss, difference, got"),
    ({"reference": "median"}, ArgumentValueError, "reference must be one of class-mean, mean,"),
    ({"checkpoints": [3, 2, 5, 6]}, ArgumentValueError, "checkpoints must be unique and asc"),
    ({"checkpoints": [0, 1, 2, 12]}, ArgumentIndexError, "checkpoints must .* 0..11, got 12"),
    ({"checkpoints": [0, 1, 2]}, ArgumentValueError, "at least 4 for .*'difference', got 3"),
    ({"checkpoints": [0.5, 1]}, ArgumentTypeError, "checkpoints must be .* integers"),
    ({"checkpoints": [0, 1], "signal": "loss"}, ArgumentValueError, "at least 3 for .*'loss'"),
    ({"device": "gpu"}, BackendUnavailableError, "device must be auto, cpu, cuda .* got 'gpu'"),
    ({"memory_limit": "much"}, ArgumentValueError, "memory_limit must be .* got 'much'"),
    ({"memory_limit": 0}, ArgumentValueError, "memory_limit must be a positive amount"),
    ({"memory_limit": 1.5}, ArgumentTypeError, "memory_limit must be a string or bytes"),
    ({"groups": np.zeros(300, int)}, ArgumentTypeError, "groups must be a pair of arrays"),
    ({"groups": ([0], [0] * 60)}, ArgumentValueError, r"groups\[0\] must have shape \(300,\)"),
    (
        {"groups": ([-1] * 300, [0] * 60)},
        ArgumentValueError,
        r"groups\[0\] must lie in .* got -1",
    ),
]
