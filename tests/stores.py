"""Stores that tests write, and what they must hold."""

import numpy as np

from ltc.store import open_store
from ltc.store.commits import SplitRecord
from ltc.store.rounding import to_stored
from ltc.store.writer import StoreWriter

NUM_TRAIN, NUM_VAL, NUM_GROUPS = 11, 5, 3
SIZES = {"train": NUM_TRAIN, "val": NUM_VAL}
LABELS = {"train": np.arange(NUM_TRAIN) % NUM_GROUPS, "val": np.arange(NUM_VAL) % NUM_GROUPS}


def losses(split, checkpoint, size=None):
    """What the tests record at a checkpoint: different everywhere, float16."""
    random = np.random.default_rng([SIZES[split], int(100 + 2 * checkpoint)])
    return random.exponential(size=size or SIZES[split]).astype(np.float16)


def record(values, mode="training"):
    stored, clipped, nonfinite = to_stored(np.asarray(values))
    return SplitRecord(stored, stored.size, 0, clipped, nonfinite, mode)


def records(checkpoint, **sizes):
    return [record(losses(split, checkpoint, sizes.get(split))) for split in ("train", "val")]


def arguments(**others):
    return {
        "num_train": NUM_TRAIN,
        "num_val": NUM_VAL,
        "train_labels": LABELS["train"],
        "val_labels": LABELS["val"],
        **others,
    }


def write(path, checkpoints=(0, 1, 2), **others):
    """Make a store with commits; its path."""
    with StoreWriter.create(path, **arguments(**others)) as writer:
        for checkpoint in checkpoints:
            writer.append(checkpoint, *records(checkpoint))
    return path


def assert_holds(path, checkpoints, **options):
    """Fail unless the store holds these commits, with the losses that tests record."""
    store = open_store(path, **options)
    assert store.checkpoints.tolist() == list(checkpoints)
    for split in ("train", "val"):
        expected = np.stack([losses(split, checkpoint) for checkpoint in checkpoints])
        np.testing.assert_array_equal(store.read(split), expected)
        np.testing.assert_array_equal(store.labels(split), LABELS[split])
    assert [commit.checkpoint for commit in store.commits] == list(checkpoints)
    assert store.verify().ok
