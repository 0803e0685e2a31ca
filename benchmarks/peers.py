"""What a user would write instead of the kernel, each as well as it can be in a few lines."""

import numpy as np
import torch
from numpy.typing import NDArray

TILE = 8192  # samples; the fastest of 2,048 to 65,536 for torch on two cores


def per_class_numpy(
    losses: NDArray[np.float16], references: NDArray[np.float64], labels: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Differences, class by class, in float64: the published procedure on arrays in memory."""
    scores = np.empty(losses.shape[1], dtype=np.float32)
    reference = np.diff(references, axis=1)
    reference -= reference.mean(axis=1, keepdims=True)
    for group in range(len(references)):
        members = np.flatnonzero(labels == group)
        values = np.diff(losses[:, members].astype(np.float64), axis=0)
        values -= values.mean(axis=0)
        norm = np.sqrt((values**2).sum(axis=0) * (reference[group] ** 2).sum())
        scores[members] = reference[group] @ values / norm
    return scores


def tiled_torch(
    losses: NDArray[np.float16], references: NDArray[np.float64], labels: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Differences in float32, in tiles that stay in the cache, all threads."""
    stored, groups = torch.from_numpy(losses), torch.from_numpy(labels).long()
    reference = torch.from_numpy(np.diff(references, axis=1))
    reference = reference - reference.mean(dim=1, keepdim=True)
    weights = (reference / reference.norm(dim=1, keepdim=True)).float().T.contiguous()  # [S, C]
    scores = torch.empty(losses.shape[1])
    for begin in range(0, losses.shape[1], TILE):
        tile = slice(begin, begin + TILE)
        values = stored[:, tile].float().diff(dim=0)  # [S, n]
        values -= values.mean(dim=0)
        product = (values * weights[:, groups[tile]]).sum(dim=0)
        scores[tile] = product / values.norm(dim=0)
    return scores.numpy()
