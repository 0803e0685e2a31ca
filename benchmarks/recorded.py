"""Losses recorded from a real, small training run: scikit-learn's handwritten digits."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits


def digits(num_checkpoints: int, *, seed: int = 0) -> NDArray[np.float16]:
    """Loss of each of 1,797 digits after each step of full-batch training; [T, N].

    A hidden layer of 64 units, gradient descent with momentum, a step per checkpoint; checkpoint 0
    is before training.
    """
    pixels, targets = load_digits(return_X_y=True)
    inputs = torch.as_tensor(pixels / 16.0, dtype=torch.float32)
    labels = torch.as_tensor(targets)
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    losses = np.empty((num_checkpoints, len(labels)), dtype=np.float16)
    for t in range(num_checkpoints):
        per_sample = torch.nn.functional.cross_entropy(model(inputs), labels, reduction="none")
        losses[t] = per_sample.detach().numpy()
        optimizer.zero_grad()
        per_sample.mean().backward()
        optimizer.step()
    return losses
