"""The works of pairs: the dense matrix, and the nearest of every query."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import inputs
from benchmarks.gpu import peers
from benchmarks.gpu.work import COMPILED, EAGER, OURS, TOLERANCE, Work, close
from ltc_kernels import pair_correlation, pair_topk, reference

TIE = 2e-5  # correlations nearer than this may be in any order
MATRIX_BYTES = 2**31  # of the dense matrix that is measured: of so many queries
K = 10


def matrix(size: inputs.Size, train: Tensor, val: Tensor, compiler: Callable[..., Any]) -> Work:
    """Every correlation with as many queries as leave a matrix of 2 GiB."""
    count = min(max(MATRIX_BYTES // (4 * size.train), 1), size.val)
    queries = val[:, :count]
    written = compiler(peers.pair_correlation)
    rows, columns = _some(count, 20, train.device), _some(size.train, 50, train.device)
    expected = reference.pair_correlation(
        train[:, columns].cpu().numpy(), queries[:, rows].cpu().numpy(), signal="difference"
    )

    def check(name: str, found: Tensor) -> None:
        close(name, found[rows][:, columns], expected, TOLERANCE)

    return Work(
        "pair_correlation, difference",
        f"{size.train:,} x {count:,}, {size.checkpoints} checkpoints",
        2.0 * size.train * count * (size.checkpoints - 1),
        "product",
        {
            OURS: lambda: pair_correlation(train, queries, signal="difference", backend="gpu"),
            EAGER: lambda: peers.pair_correlation(train, queries, "difference"),
            COMPILED: lambda: written(train, queries, "difference"),
        },
        check,
    )


def neighbours(size: inputs.Size, train: Tensor, val: Tensor, compiler: Callable[..., Any]) -> Work:
    """The nearest few of all queries."""
    written = {"units": compiler(peers.units), "best": compiler(peers.best)}
    rows = _some(size.val, 50, train.device)
    queries = peers.units(val[:, rows].double(), "difference")  # [S, m]
    expected = _exactly_best(train, queries)

    def check(name: str, found: tuple[Tensor, Tensor]) -> None:
        values, indices = (part[rows] for part in found)
        close(name, values, expected, TIE)
        chosen = peers.units(train[:, indices.flatten()].double(), "difference")
        exact = torch.einsum("smk,sm->mk", chosen.view(-1, *indices.shape), queries)
        close(f"{name}, indices", exact, expected, TIE)

    return Work(
        f"pair_topk, difference, k = {K}",
        f"{size.train:,} x {size.val:,}, {size.checkpoints} checkpoints",
        2.0 * size.train * size.val * (size.checkpoints - 1),
        "product",
        {
            OURS: lambda: pair_topk(train, val, K, signal="difference", backend="gpu"),
            EAGER: lambda: peers.pair_topk(train, val, K, "difference"),
            COMPILED: lambda: peers.pair_topk(train, val, K, "difference", **written),
        },
        check,
    )


def _exactly_best(train: Tensor, queries: Tensor) -> Any:
    """The best values of some queries in float64, a part of the samples at a time."""
    parts = [
        queries.T @ peers.units(part.double(), "difference") for part in train.split(2**18, dim=1)
    ]
    return torch.topk(torch.cat(parts, dim=1), K, dim=1).values.cpu().numpy()


def _some(count: int, number: int, device: torch.device) -> Tensor:
    chosen = np.random.default_rng(0).integers(0, count, number)
    return torch.from_numpy(chosen).to(device)
