"""Losses recorded for the benchmark of pairs, each once, into a cache outside the repository.

Work A is a run of the demonstration's network on Fashion-MNIST. Work B has the shape of an
ImageNet-1k run, for which there is no recording here: a small network is trained on simulated
inputs with wrong labels among them, and its losses are recorded too. So its trajectories have what
recorded ones have and independent noise lacks: all samples feel the same steps of the weights, most
of a trajectory lies in few directions, and many samples are learned alike. `describe` compares the
works in what the speed of a search depends on.
"""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ltc_kernels import pair_topk
from ltc_kernels.algebra import unit_signals

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ltc-benchmarks"
NAMES = ("smallest", "A", "B")


@dataclass(frozen=True)
class Work:
    """Training and validation losses, float16 [T, N] and [T, M]."""

    name: str
    train: NDArray[np.float16]
    val: NDArray[np.float16]


def work(name: str) -> Work:
    """Return a work, from the cache if it was recorded before."""
    if name == "smallest":
        return Work(name, *simulated(3_000, 50, 6, steps=2))
    makers: dict[str, Callable[[], tuple[NDArray[np.float16], NDArray[np.float16]]]] = {
        "A": fashion_mnist,
        "B": lambda: simulated(1_268_000, 2_048, 90),
    }
    path = CACHE / f"work-{name}.npz"
    if not path.exists():
        print(f"recording work {name}, once, into {path}", flush=True)
        train, val = makers[name]()
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".partial.npz")
        np.savez(unfinished, train=train, val=val)
        unfinished.replace(path)
    with np.load(path) as arrays:
        return Work(name, arrays["train"], arrays["val"])


def fashion_mnist() -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Record 41 epochs of the demonstration's network on 54,000 and 6,000 images."""
    import ltc
    from ltc.demo.data import load
    from ltc.demo.train import RECIPES, record

    data = replace(load("fashion-mnist"), sizes=(54_000, 6_000)).split(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.zarr")
        record(data, replace(RECIPES["fashion-mnist"], epochs=41), 0, path)
        store = ltc.open_store(path)
        return store.read("train"), store.read("val")


def simulated(
    num_train: int, num_val: int, num_checkpoints: int, *, steps: int = 100, seed: int = 0
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Record a network of one hidden layer on a mixture of Gaussians, a tenth of labels wrong.

    ``steps`` minibatches between two checkpoints are drawn from the training samples; then all
    losses are recorded. The learning rate falls to zero along a cosine.
    """
    classes, dimensions, batch = 32, 24, 256
    random = torch.Generator().manual_seed(seed)
    centres = 1.8 * torch.randn(4 * classes, dimensions, generator=random)  # four to a class
    number = num_train + num_val
    parts = torch.randint(4 * classes, (number,), generator=random)
    inputs = torch.randn(number, dimensions, generator=random).add_(centres[parts])
    labels = parts % classes
    wrong = torch.rand(number, generator=random) < 0.1
    labels[wrong] = torch.randint(classes, (int(wrong.sum()),), generator=random)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(dimensions, 64), torch.nn.ReLU(), torch.nn.Linear(64, classes)
        )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_checkpoints * steps)
    losses = np.empty((num_checkpoints, number), dtype=np.float16)
    for t in range(num_checkpoints):
        losses[t] = _losses(model, inputs, labels)
        for _ in range(steps):
            some = torch.randint(num_train, (batch,), generator=random)
            loss = torch.nn.functional.cross_entropy(model(inputs[some]), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return np.ascontiguousarray(losses[:, :num_train]), losses[:, num_train:].copy()


@torch.no_grad()
def _losses(
    model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor
) -> NDArray[np.float32]:
    parts = zip(inputs.split(16_384), labels.split(16_384), strict=True)
    losses = [torch.nn.functional.cross_entropy(model(x), y, reduction="none") for x, y in parts]
    return torch.cat(losses).numpy()


def describe(work: Work, *, samples: int = 54_000, queries: int = 500) -> list[str]:
    """Return what tells how hard a search is, on as many samples of each work, for differences.

    The share of the unit signals' squares in their first 4, 12 and 20 principal axes, and the
    quartiles of the tenth-best correlation.
    """
    train, val = work.train[:, :samples], work.val[:, :queries]
    units = unit_signals(train[:, ::5].T.astype(np.float64), signal="difference")[0]
    units = units[np.isfinite(units).all(axis=1)]
    axes = np.linalg.eigvalsh(units.T @ units / len(units))[::-1]
    best = pair_topk(train, val, 10, signal="difference")[0][:, -1]
    shares = [f"{axes[:count].sum():.3f}" for count in (4, 12, 20)]
    quartiles = [f"{np.nanquantile(best, share):.4f}" for share in (0.25, 0.5, 0.75)]
    return [work.name, ", ".join(shares), ", ".join(quartiles)]
