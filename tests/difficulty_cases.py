"""Stores that `ltc.difficulty` is tested on: on one machine, on a cluster."""

import numpy as np

import ltc
from kernels import cases

CLASSES = 7


def make(path, *, checkpoints=12, train=300, change=None, loss="cross-entropy", **options):
    """Write a store; return it with its training losses as stored."""
    x = cases.trajectories(checkpoints, train, seed=1).astype(np.float32)
    if change is not None:
        change(x)
    labels = np.arange(train) % CLASSES
    val = cases.trajectories(checkpoints, 20, seed=2)
    options = {"train_labels": labels, "val_labels": np.arange(20) % CLASSES} | options
    ltc.write_store(path, x, val, loss=loss, **options)
    store = ltc.open_store(path)
    return store, store.read("train")


def scattered_gaps(x):
    x[np.random.default_rng(8).random(x.shape) < 0.05] = np.nan
    x[4:] = np.where(np.arange(x.shape[1]) == 3, np.nan, x[4:])
    x[:, 5] = np.nan


def negative_losses(x):
    x[3, [7, 140]] = [-0.5, -2]
