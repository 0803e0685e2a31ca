"""Runs to report on, one of them with names that try to be markup."""

import numpy as np

import ltc

NUM_TRAIN, NUM_VAL, NUM_CLASSES, NUM_CHECKPOINTS = 240, 60, 3, 12
HOSTILE_IDS = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 1'>",
    "\"'`&amp;&lt; {{ 7 * 7 }} ]]> -->",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe \u2028 \N{RIGHT-TO-LEFT MARK}",
    "$$\\LaTeX$$",
)
HOSTILE_CLASSES = (
    "<img src=x onerror='window.hacked = 1'>",
    "</title></style></script><script>window.hacked = 1</script>",
    "$$\\int x$$ \N{RIGHT-TO-LEFT OVERRIDE}abc @share{safe}",
)


def trajectories(labels, flipped, seed):
    """Losses that fall, at a pace of each class; those of flipped samples rise."""
    random = np.random.default_rng(seed)
    steps = np.arange(NUM_CHECKPOINTS)[:, None]
    falling = 2 * np.exp(-0.25 * (1 + labels) * steps)
    losses = np.where(flipped, 2.5 - falling / 2, falling + 0.1)
    return losses + 0.05 * random.random((NUM_CHECKPOINTS, labels.size))


def write(path, **options):
    """Write a run in which every tenth training sample is flipped; its path."""
    labels, val_labels = np.arange(NUM_TRAIN) % NUM_CLASSES, np.arange(NUM_VAL) % NUM_CLASSES
    train = trajectories(labels, np.arange(NUM_TRAIN) % 10 == 9, 0)
    val = trajectories(val_labels, np.zeros(NUM_VAL, bool), 1)
    arguments = {"train_labels": labels, "val_labels": val_labels, **options}
    ltc.write_store(path, train, val, **arguments)
    return path
