"""What is timed on a GPU: each kernel and what does the same work in torch, on the same inputs.

A work holds tensors of gigabytes, so works are made one after the other, each when it is its turn.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import inputs
from benchmarks.gpu import peers
from ltc_kernels import group_correlation, prepare_references, reference
from ltc_kernels.algebra import unit_signals
from ltc_kernels.gpu.tiles import empty_tile

OURS = "ltc"
EAGER = "torch, eager"
COMPILED = "torch.compile"
TOLERANCE = 1e-5  # of a correlation, against float64


@dataclass(frozen=True)
class Work:
    """One kernel on one input.

    Attributes
    ----------
    name, shape : str
        For the table.
    amount : float
        Bytes that have to be moved, or operations that have to be done, however it is done.
    ceiling : str
        What its rate is measured against, a key of the ceilings.
    calls : dict of str to callable
        Who does it; `OURS` comes first.
    check : callable
        Raises unless a result is right; takes a name and the result.
    """

    name: str
    shape: str
    amount: float
    ceiling: str
    calls: dict[str, Callable[[], Any]]
    check: Callable[[str, Any], None]


def works(size: inputs.Size, device: torch.device, compiler: Callable[..., Any]) -> Iterator[Work]:
    """Make every work of this size on the device, each when it is asked for.

    ``compiler`` is `torch.compile`, or stands in for it.
    """
    train, val = (_on(device, inputs.losses(size, split)) for split in ("train", "val"))
    for signal in ("difference", "loss"):
        for order in ("shuffled", "sorted"):
            yield _group(size, train, val, signal, order, compiler)


def _on(device: torch.device, losses: NDArray[np.float16]) -> Tensor:
    tile = empty_tile(*losses.shape, torch.float16, device)
    return tile.copy_(torch.from_numpy(losses))


def _group(
    size: inputs.Size,
    train: Tensor,
    val: Tensor,
    signal: Any,
    order: str,
    compiler: Callable[..., Any],
) -> Work:
    val_labels = inputs.labels(size, "val")
    counts = np.bincount(val_labels, minlength=size.classes)
    means = np.zeros((size.classes, size.checkpoints))
    np.add.at(means, val_labels, val.cpu().numpy().T.astype(np.float64))
    means /= np.maximum(counts, 1)[:, None]
    prepared = prepare_references(means, signal=signal)
    labels = inputs.labels(size, "train", order=order)
    device = train.device
    groups = torch.from_numpy(labels).to(device)
    weights = torch.from_numpy(unit_signals(means, signal=signal)[0].T.astype(np.float32))
    weights, indices = weights.contiguous().to(device), groups.long()
    written = compiler(peers.group_correlation)

    def check(name: str, scores: Tensor) -> None:
        some = np.random.default_rng(0).integers(0, size.train, 200)
        expected = reference.group_correlation(
            train[:, torch.from_numpy(some).to(device)].cpu().numpy(),
            means,
            labels[some],
            signal=signal,
        )
        _close(name, scores[torch.from_numpy(some).to(device)], expected, TOLERANCE)

    return Work(
        f"group_correlation, {signal}, labels {order}",
        f"{size.train:,} x {size.checkpoints}, {size.classes} groups",
        # Losses as stored, a group and a score per sample, and the weights once.
        size.train * (2 * size.checkpoints + 4 + 4) + weights.numel() * 4,
        "copy",
        {
            OURS: lambda: group_correlation(train, prepared, groups, signal=signal, backend="gpu"),
            EAGER: lambda: peers.group_correlation(train, weights, indices, signal),
            COMPILED: lambda: written(train, weights, indices, signal),
        },
        check,
    )


def _close(name: str, actual: Tensor, expected: NDArray[Any], tolerance: float) -> None:
    """No timing of a wrong result."""
    np.testing.assert_allclose(actual.cpu().numpy(), expected, atol=tolerance, rtol=0, err_msg=name)
