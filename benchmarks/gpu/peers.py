"""What a user would write in torch instead of each kernel; eager, or given to ``torch.compile``.

They take tensors on any device. Samples are columns, as everywhere; products are in float32, as
TF32 keeps three digits only.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

PRODUCT_BYTES = 2**30  # of a tile of products in a search


def centred(losses: Tensor, signal: str) -> Tensor:
    """Signals less their means [S, N], in float32 unless the losses are float64."""
    values = losses if losses.dtype == torch.float64 else losses.float()
    if signal == "difference":
        values = values.diff(dim=0)
    return values - values.mean(dim=0)


def units(losses: Tensor, signal: str) -> Tensor:
    """Signals of mean zero and norm one [S, N]."""
    values = centred(losses, signal)
    return values / values.norm(dim=0)


def group_correlation(losses: Tensor, weights: Tensor, groups: Tensor, signal: str) -> Tensor:
    """Scores [N] of losses [T, N] from unit signals [S, C] of the groups' references."""
    values = centred(losses, signal)
    return (values * weights[:, groups]).sum(dim=0) / values.norm(dim=0)


def pair_correlation(train: Tensor, val: Tensor, signal: str) -> Tensor:
    """Correlations [M, N] of losses [T, N] and [T, M]."""
    return units(val, signal).T @ units(train, signal)


def best(queries: Tensor, samples: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of the products of signals [M, S] and [S, n]: values and places [M, k]."""
    return torch.topk(queries @ samples, k, dim=1)


def pair_topk(
    train: Tensor, val: Tensor, k: int, signal: str, *, units: Any = units, best: Any = best
) -> tuple[Tensor, Tensor]:
    """The k best of each validation sample [M, k]: of each tile, then of those.

    ``units`` and ``best`` may be compiled; the loop over hundreds of tiles is not.
    """
    samples, queries = units(train, signal), units(val, signal).T
    width = max(PRODUCT_BYTES // (4 * max(len(queries), 1)), k)
    parts = [
        (offset, best(queries, tile, min(k, tile.shape[1])))
        for offset, tile in zip(
            range(0, train.shape[1], width), samples.split(width, dim=1), strict=True
        )
    ]
    values = torch.cat([found[0] for _, found in parts], dim=1)
    indices = torch.cat([found[1] + offset for offset, found in parts], dim=1)
    chosen = torch.topk(values, k, dim=1)
    return chosen.values, indices.gather(1, chosen.indices)


class Moments(NamedTuple):
    """Running moments of N samples and, per group, of their references."""

    last: Tensor
    mean: Tensor
    square: Tensor
    product: Tensor

    @classmethod
    def start(cls, losses: Tensor) -> "Moments":
        """Return moments of no differences, after a first checkpoint of losses [N]."""
        zero = torch.zeros(losses.shape, dtype=torch.float32, device=losses.device)
        return cls(losses.float(), zero, zero.clone(), zero.clone())


def online_update(
    moments: Moments, losses: Tensor, deviations: Tensor, groups: Tensor, count: Tensor
) -> None:
    """Add differences to moments in place, the ``count``-th (Welford 1962).

    ``deviations`` [C] is each reference's new difference less its mean so far.
    """
    value = losses.float()
    difference = value - moments.last
    deviation = difference - moments.mean
    moments.last.copy_(value)
    moments.mean.add_(deviation / count)
    moments.square.add_(deviation * (difference - moments.mean))
    moments.product.add_((difference - moments.mean) * deviations[groups])
