"""One small classification problem that every framework trains on, and its losses."""

import numpy as np
import torch
from torch import nn

NUM_TRAIN, NUM_VAL, CLASSES, FEATURES = 24, 9, 3, 5


def tensors(split):
    """Inputs and targets of ``"train"`` or ``"val"``."""
    generator = torch.Generator().manual_seed({"train": 1, "val": 2}[split])
    size = {"train": NUM_TRAIN, "val": NUM_VAL}[split]
    inputs = torch.randn(size, FEATURES, generator=generator)
    return inputs, torch.arange(size) % CLASSES


def labels(split):
    return tensors(split)[1].numpy()


def arguments():
    """Those of a recorder of this problem."""
    return {"train_labels": labels("train"), "val_labels": labels("val")}


def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Linear(FEATURES, CLASSES)


def losses(model, split):
    """Cross-entropy of every sample, as the store holds it."""
    inputs, targets = tensors(split)
    with torch.no_grad():
        found = nn.functional.cross_entropy(model(inputs), targets, reduction="none")
    return found.numpy().astype(np.float16)


def assert_same_losses(actual, expected):
    """Equal but for the last bit of float16: batches of other sizes round otherwise."""
    np.testing.assert_allclose(
        np.asarray(actual, np.float32), np.asarray(expected, np.float32), rtol=2**-9, atol=2**-14
    )
