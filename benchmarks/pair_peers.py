"""What a user would take instead for nearest neighbours by correlation, all exact.

They get unit signals, made outside the clock: a correlation is the product of two.
"""

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ltc_kernels.algebra import unit_signals

TILE = (256, 54_000)  # queries and samples at once, for torch: the fastest of a few
Found = tuple[NDArray[np.float32], NDArray[np.int64]]


def units(losses: NDArray[np.float16], *, signal: str) -> NDArray[np.float32]:
    """Unit signals [N, S] in float32."""
    parts = np.array_split(losses, max(losses.size // 2**24, 1), axis=1)
    rows = [unit_signals(part.T.astype(np.float64), signal=signal)[0] for part in parts]
    return np.concatenate([row.astype(np.float32) for row in rows])


def searches(
    train: NDArray[np.float32], val: NDArray[np.float32], k: int
) -> dict[str, Callable[[], Found]]:
    """Each peer's search, with its index built."""
    index = faiss.IndexFlatIP(train.shape[1])
    index.add(train)
    nearest = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train)
    samples, queries = torch.from_numpy(train), torch.from_numpy(val)

    def in_torch() -> Found:
        parts = [_best_in_torch(samples, part, k) for part in queries.split(TILE[0])]
        values, indices = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return values.numpy(), indices.numpy()

    def in_sklearn() -> Found:
        distances, indices = nearest.kneighbors(val)
        return (1 - np.square(distances) / 2).astype(np.float32), indices

    return {
        "faiss-cpu IndexFlatIP": lambda: index.search(val, k),
        "torch product and topk": in_torch,
        "scikit-learn, brute force": in_sklearn,
    }


def _best_in_torch(
    samples: torch.Tensor, queries: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The best of each tile of samples, then the best of those."""
    tiles = [torch.topk(queries @ tile.T, k, dim=1) for tile in samples.split(TILE[1])]
    offsets = range(0, len(samples), TILE[1])
    values = torch.cat([tile.values for tile in tiles], dim=1)
    found = zip(tiles, offsets, strict=True)
    indices = torch.cat([tile.indices + offset for tile, offset in found], dim=1)
    best = torch.topk(values, k, dim=1)
    return best.values, indices.gather(1, best.indices)


def products(train: NDArray[np.float32], val: NDArray[np.float32]) -> dict[str, Callable[[], Any]]:
    """The plain matrix product of this shape, output included."""
    samples, queries = torch.from_numpy(train), torch.from_numpy(val)
    return {
        "NumPy's matrix product": lambda: val @ train.T,
        "torch's matrix product": lambda: queries @ samples.T,
    }
