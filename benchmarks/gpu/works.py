"""What is timed on a GPU, in turn.

A work holds tensors of gigabytes, so works are made one after the other, each when it is asked for.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import inputs
from benchmarks.gpu import pair_works, peers
from benchmarks.gpu.work import COMPILED, EAGER, OURS, TOLERANCE, Work, close
from ltc_kernels import (
    group_correlation,
    online_scores,
    online_state,
    online_update,
    prepare_references,
    reference,
)
from ltc_kernels.algebra import unit_signals
from ltc_kernels.gpu.tiles import empty_tile

CHECKED = 200  # samples whose scores are compared with their definition


def works(size: inputs.Size, device: torch.device, compiler: Callable[..., Any]) -> Iterator[Work]:
    """Make every work of this size on the device, each when it is asked for.

    ``compiler`` is `torch.compile`, or stands in for it.
    """
    val = inputs.losses(size, "val")
    train = _on(device, inputs.losses(size, "train"))
    means = _means(size, val)
    for signal in ("difference", "loss"):
        for order in ("shuffled", "sorted"):
            yield _group(size, train, means, signal, order, compiler)
    yield _online(size, train, means, compiler)
    queries = _on(device, val)
    yield pair_works.matrix(size, train, queries, compiler)
    yield pair_works.neighbours(size, train, queries, compiler)


def _on(device: torch.device, losses: NDArray[np.float16]) -> Tensor:
    tile = empty_tile(*losses.shape, torch.float16, device)
    return tile.copy_(torch.from_numpy(losses))


def _means(size: inputs.Size, val: NDArray[np.float16]) -> NDArray[np.float64]:
    """Mean validation trajectory of each class, [C, T]."""
    labels = inputs.labels(size, "val")
    sums = np.zeros((size.classes, size.checkpoints))
    np.add.at(sums, labels, val.T.astype(np.float64))
    return sums / np.maximum(np.bincount(labels, minlength=size.classes), 1)[:, None]


def _group(
    size: inputs.Size,
    train: Tensor,
    means: NDArray[np.float64],
    signal: Any,
    order: str,
    compiler: Callable[..., Any],
) -> Work:
    prepared = prepare_references(means, signal=signal)
    labels = inputs.labels(size, "train", order=order)
    groups = torch.from_numpy(labels).to(train.device)
    units = unit_signals(means, signal=signal)[0].T.astype(np.float32)
    weights, indices = torch.from_numpy(np.ascontiguousarray(units)), groups.long()
    weights = weights.to(train.device)
    written = compiler(peers.group_correlation)
    check = _scores_check(train, means, labels, signal)
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


def _online(
    size: inputs.Size,
    train: Tensor,
    means: NDArray[np.float64],
    compiler: Callable[..., Any],
) -> Work:
    """One more checkpoint after some; each call adds the last one once again.

    A call returns what makes the scores of its state, for the check.
    """
    begin = min(6, size.checkpoints)
    labels = inputs.labels(size, "train")
    groups = torch.from_numpy(labels).to(train.device)
    indices = groups.long()
    state = online_state(
        size.train, size.classes, signal="difference", backend="gpu", device=train.device
    )
    for t in range(begin):
        online_update(state, train[t], means[:, t], groups, signal="difference")
    last = train[begin - 1].clone()

    def ours() -> Callable[[], tuple[int, Tensor]]:
        online_update(state, last, means[:, begin - 1], groups, signal="difference")
        return lambda: (state.references.checkpoints - begin, online_scores(state, groups))

    check_scores = _scores_check(train, means, labels, "difference", begin)

    def check(name: str, scores: Callable[[], tuple[int, Tensor]]) -> None:
        check_scores(name, *reversed(scores()))

    return Work(
        "online_update, difference",
        f"{size.train:,}, {size.classes} groups",
        # Losses and groups once, the state once in and all of it but the first loss once out.
        size.train * (2 + 4 + 16 + 14),
        "copy",
        {
            OURS: ours,
            EAGER: _torch_moments(train, means, indices, begin, peers.online_update),
            COMPILED: _torch_moments(train, means, indices, begin, compiler(peers.online_update)),
        },
        check,
    )


def _torch_moments(
    train: Tensor,
    means: NDArray[np.float64],
    indices: Tensor,
    begin: int,
    update: Callable[..., None],
) -> Callable[[], Callable[[], tuple[int, Tensor]]]:
    """The same as running moments in torch."""
    steps = [*np.diff(means[:, :begin], axis=1).T]  # of the references, each [C]
    sums = np.zeros(len(means))
    moments = peers.Moments.start(train[0])
    last = train[begin - 1].clone()
    done = 0

    def add(losses: Tensor, step: NDArray[np.float64]) -> None:
        nonlocal sums, done
        deviations = torch.from_numpy((step - sums / max(done, 1)).astype(np.float32))
        sums, done = sums + step, done + 1
        count = torch.full((), float(done), device=train.device)
        update(moments, losses, deviations.to(train.device), indices, count)

    for t in range(1, begin):
        add(train[t], steps[t - 1])
    none = np.zeros(len(means))  # the reference stays as it is, too

    def call() -> Callable[[], tuple[int, Tensor]]:
        add(last, none)
        return scores

    def scores() -> tuple[int, Tensor]:
        more = done - (begin - 1)
        values = np.concatenate([steps, np.zeros((more, len(means)))])
        norm = np.sqrt(np.square(values - values.mean(axis=0)).sum(axis=0))
        norms = torch.from_numpy(norm.astype(np.float32)).to(train.device)
        return more, moments.product / moments.square.sqrt() / norms[indices]

    return call


def _scores_check(
    train: Tensor,
    means: NDArray[np.float64],
    labels: NDArray[np.int32],
    signal: Any,
    checkpoints: int | None = None,
) -> Callable[..., None]:
    """Return a check of some scores; ``again`` tells how often the last checkpoint came again."""
    some = np.random.default_rng(0).integers(0, train.shape[1], CHECKED)
    columns = torch.from_numpy(some).to(train.device)
    losses = train[:checkpoints, columns].cpu().numpy()
    references = means[:, :checkpoints]

    def check(name: str, scores: Tensor, again: int = 0) -> None:
        expected = reference.group_correlation(
            np.concatenate([losses, np.repeat(losses[-1:], again, axis=0)]),
            np.concatenate([references, np.repeat(references[:, -1:], again, axis=1)], axis=1),
            labels[some],
            signal=signal,
        )
        close(name, scores[columns], expected, TOLERANCE)

    return check
