"""What each procedure of `benchmarks.procedures` does, written from its description."""

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import peak_memory

Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def timed(name: str, folder: Path) -> tuple[NDArray[np.float32], float, float]:
    """Scores, seconds, and peak memory of the process in MB."""
    body = _prepare(name)
    begin = time.perf_counter()
    scores = body(folder)
    elapsed = time.perf_counter() - begin
    return scores, elapsed, peak_memory()


def _prepare(name: str) -> Callable[[Path], NDArray[np.float32]]:
    """Import what a procedure needs, so that imports aren't timed."""
    if name == "ltc":
        import ltc
        import ltc_kernels.cpu  # noqa: F401

        return lambda folder: ltc.score(folder / "run.zarr").values
    if name == "published":
        return _published
    if name == "dask":
        import dask.array

        return lambda folder: _dask(dask.array, folder)
    from benchmarks import peers

    bodies = {"torch": peers.tiled_torch, "numpy": peers.per_class_numpy, "corrcoef": _corrcoef}
    return lambda folder: _from_zarr(folder, bodies[name])


def _read(folder: Path) -> Arrays:
    import zarr

    group = zarr.open_group(folder / "run.zarr", mode="r")
    committed = group.attrs["ltc"]["committed"]
    names = ("train/losses", "val/losses", "train/labels", "val/labels")
    x, y, labels, val_labels = (group[name][:] for name in names)
    return x[:committed], y[:committed], labels, val_labels


def _means(y: NDArray[Any], val_labels: NDArray[Any], num_classes: int) -> NDArray[np.float64]:
    means = [y[:, val_labels == c].astype(np.float64).mean(axis=1) for c in range(num_classes)]
    return np.stack(means)


def _from_zarr(folder: Path, body: Callable[..., NDArray[np.float32]]) -> NDArray[np.float32]:
    x, y, labels, val_labels = _read(folder)
    return body(x, _means(y, val_labels, int(labels.max()) + 1), labels)


def _corrcoef(
    losses: NDArray[Any], references: NDArray[Any], labels: NDArray[Any]
) -> NDArray[np.float32]:
    """The last row of each class's full matrix of correlations."""
    scores = np.empty(losses.shape[1], dtype=np.float32)
    for group, reference in enumerate(references):
        members = np.flatnonzero(labels == group)
        changes = np.diff(losses[:, members].astype(np.float64), axis=0)
        scores[members] = np.corrcoef(changes.T, np.diff(reference))[-1, :-1]
    return scores


def _dask(dask_array: Any, folder: Path) -> NDArray[np.float32]:
    """Lazy float64 arrays over samples, as one would write it with dask.array."""
    _, y, labels, val_labels = _read_small(folder)
    stored = dask_array.from_zarr(str(folder / "run.zarr"), component="train/losses")
    losses = stored.rechunk({0: -1, 1: 65_536}).astype(np.float64)
    reference = np.diff(_means(y, val_labels, int(labels.max()) + 1), axis=1)
    reference -= reference.mean(axis=1, keepdims=True)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    changes = losses[1:] - losses[:-1]
    changes = changes - changes.mean(axis=0)
    own = dask_array.from_array(reference, chunks=-1)[labels].T.rechunk(changes.chunks)
    scores = (changes * own).sum(axis=0) / dask_array.sqrt((changes**2).sum(axis=0))
    return np.asarray(scores.compute(), dtype=np.float32)


def _read_small(folder: Path) -> tuple[None, NDArray[Any], NDArray[Any], NDArray[Any]]:
    import zarr

    group = zarr.open_group(folder / "run.zarr", mode="r")
    return None, group["val/losses"][:], group["train/labels"][:], group["val/labels"][:]


def _published(folder: Path) -> NDArray[np.float32]:
    """Per class: mean validation loss, differences, Pearson with each sample's differences."""
    with (folder / "losses.pickle").open("rb") as file:
        content = pickle.load(file)
    train, val = np.array(content["tr_loss"]), np.array(content["val_loss"])
    labels, val_labels = np.array(content["tr_lbl"]), np.array(content["val_lbl"])
    scores = np.empty(train.shape[1], dtype=np.float32)
    for group in np.unique(labels):
        reference = np.diff(val[:, val_labels == group].mean(axis=1))
        for i in np.flatnonzero(labels == group):
            scores[i] = np.corrcoef(np.diff(train[:, i]), reference)[0, 1]
    return scores
