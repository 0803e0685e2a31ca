"""A store that neighbours are looked for in, on one machine and on a cluster, and bad arguments."""

import numpy as np

import ltc
from ltc.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
)

CHECKPOINTS, TRAIN, VAL, CLASSES = 9, 260, 24, 4


def trajectories(size, seed):
    rng = np.random.default_rng(seed)
    course = rng.random((CHECKPOINTS, CLASSES)).cumsum(axis=0)
    losses = course[:, np.arange(size) % CLASSES] + rng.normal(size=(CHECKPOINTS, size))
    losses[3, 1::9] = np.nan
    losses[:, 2] = np.nan
    losses[:, 4] = 0.5
    return losses.astype(np.float32)


def write(path):
    """Write it: gaps in both splits, a class without training and one without val samples."""
    labels = np.arange(TRAIN) % CLASSES, np.arange(VAL) % (CLASSES + 1)
    labels[1][labels[1] == 3] = CLASSES + 1
    ltc.write_store(
        path,
        trajectories(TRAIN, 0),
        trajectories(VAL, 1),
        train_labels=labels[0],
        val_labels=labels[1],
    )


BAD_ARGUMENTS = [
    ({"queries": [VAL]}, ArgumentIndexError, r"queries must lie in 0\.\.23, got 24"),
    ({"queries": [0.5]}, ArgumentTypeError, "queries must be a slice or integers, got float64"),
    ({"k": 0}, ArgumentValueError, r"k must lie in 1\.\.1024, got 0"),
    ({"within": "labels"}, ArgumentValueError, "within must be one of all, class, got 'labels'"),
    ({"signal": "gain"}, ArgumentValueError, "signal must be one of loss, difference"),
    ({"checkpoints": [0, 1]}, ArgumentValueError, "checkpoints must leave at least 4"),
    ({"device": "abacus"}, BackendUnavailableError, "device must be .* got 'abacus'"),
]
