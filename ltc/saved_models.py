"""Recording afterwards: losses of models that a run saved while it trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tqdm.auto import tqdm

from ltc.dataset import IndexedDataset
from ltc.errors import ArgumentTypeError, StoreMismatchError, StoreNotFoundError
from ltc.recorder import Recorder
from ltc.recorder.passes import evaluating, pass_batches
from ltc.recorder.processes import find_processes
from ltc.saved_weights import load_weights, numbered
from ltc.store import open_store
from ltc.store.format import SPLITS
from ltc.store.samples import to_numpy
from ltc.tables import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from numpy.typing import ArrayLike, NDArray

    from ltc.recorder.passes import Step
    from ltc.saved_weights import Saved
    from ltc.store import Store

__all__ = ["record_checkpoints"]

# Between a loss and the same loss recorded on another device: float16, and the order of sums.
LARGEST_DIFFERENCE: Final = 0.02
SMALLEST_LOSS: Final = 0.01


def record_checkpoints(
    model_factory: Callable[[], torch.nn.Module],
    checkpoints: Mapping[float, Saved] | Sequence[Saved],
    dataset: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    train_labels: ArrayLike | None = None,
    val_labels: ArrayLike | None = None,
    train_ids: ArrayLike | None = None,
    val_ids: ArrayLike | None = None,
    step: Step | None = None,
    state_dict: Callable[[Any], Mapping[str, Any]] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 256,
    num_workers: int = 0,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    compression: str | None = None,
    fsync: bool = False,
    progress: bool = False,
) -> None:
    """Record a run that is over, from the models that it saved.

    Each saved model is loaded and passes over both splits in evaluation mode. A checkpoint is
    committed when it is done: called again with the same arguments, this goes on after the last
    one, having made sure that it was of the same model and data.

    Where `torch.distributed` is initialised, each process takes a part of the samples.

    Parameters
    ----------
    model_factory : callable
        Returns the model, with any weights.
    checkpoints : mapping of float to saved model, or sequence of saved models
        What was saved at which epoch or step; in a sequence these are 0, 1, 2 and so on. A saved
        model is a file that ``torch.save`` wrote, a state dict, or a function that returns either
        of these's content. Files are loaded with ``weights_only=True``, so that nothing in them is
        run.
    dataset : mapping
        The data sets of ``"train"`` and ``"val"``, without augmentation at random: map-style, of
        tuples ``(inputs, target)`` unless there is a `step`. They are wrapped in `IndexedDataset`.
    path : path
        The store, by convention ``*.zarr``.
    train_labels, val_labels : integer array [sample], optional
        The class of each sample. By default targets are taken, which are read in one pass over the
        data sets first; with `step` there are no labels by default.
    train_ids, val_ids : array [sample] of integers or strings, optional
        Names of the samples.
    step : callable, optional
        For all but cross-entropy of ``(inputs, target)``: ``step(model, batch)`` returns ``(losses,
        index)``, as for `Recorder.evaluate`.
    state_dict : callable, optional
        Returns the model's state dict from what was saved. By default that is what was saved
        itself, or its item ``"state_dict"``, ``"model_state_dict"`` or ``"model"``, without the
        prefixes of `DataParallel`, `DistributedDataParallel` and `torch.compile`.
    device : str or torch.device, optional
        Where the model runs; by default where `model_factory` puts it.
    batch_size, num_workers, collate_fn
        As for `torch.utils.data.DataLoader`.
    compression : {None, "zstd"}
        What the losses are compressed with.
    fsync : bool
        Make each commit outlive a power cut.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        An argument is not as described, or a saved model doesn't fit.
    StoreMismatchError
        The store at `path` was recorded from other checkpoints, models or data.
    OSError
        A file can't be read or written.

    Examples
    --------
    >>> import ltc
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> dataset = {
    ...     split: TensorDataset(torch.randn(size, 5), torch.arange(size) % 2)
    ...     for split, size in (("train", 40), ("val", 10))
    ... }
    >>> def model():
    ...     return torch.nn.Linear(5, 2)
    >>> saved = {epoch: model().state_dict() for epoch in (0, 10, 20, 30)}
    >>> ltc.record_checkpoints(model, saved, dataset, directory / "run.zarr")
    >>> ltc.open_store(directory / "run.zarr").checkpoints
    array([ 0., 10., 20., 30.])
    """
    models = numbered(checkpoints)
    loaders = _Loaders.check(dataset, batch_size, num_workers, collate_fn)
    model = model_factory()
    _check_module(model)
    if device is not None:
        model = model.to(device)
    store = _store_begun(path)
    if store is not None:
        _check_sizes(store, loaders)
    given = {"train": train_labels, "val": val_labels}
    labels = _Labels.find(given, loaders, store, read=step is None)
    with Recorder(
        path,
        num_train=loaders.size("train"),
        num_val=loaders.size("val"),
        train_labels=labels.of["train"],
        val_labels=labels.of["val"],
        train_ids=train_ids,
        val_ids=val_ids,
        compression=compression,
        resume=True,
        fsync=fsync,
    ) as recorder:
        done = recorder.checkpoints
        if list(models)[: len(done)] != done:
            raise StoreMismatchError(
                f"checkpoints must begin with those in {os.fspath(path)}, {shortened(done)}, got "
                f"{shortened(list(models))}"
            )
        if store is not None:
            load_weights(model, done[-1], models[done[-1]], state_dict)
            _check_same_losses(store, model, loaders, step)
        left = [number for number in models if number not in done]
        for number in tqdm(left, desc="record", unit=" checkpoint", disable=not progress):
            load_weights(model, number, models[number], state_dict)
            for split in SPLITS:
                batches = labels.checked(split, loaders.all(split))
                recorder.evaluate(split, model, batches, step=step)
            recorder.commit(number)


@dataclass(frozen=True)
class _Loaders:
    """How batches of each split are read."""

    datasets: dict[str, Any]
    options: dict[str, Any]

    @classmethod
    def check(cls, dataset: Any, batch_size: int, num_workers: int, collate_fn: Any) -> _Loaders:
        if not isinstance(dataset, Mapping) or set(dataset) != set(SPLITS):
            keys = f" of {sorted(dataset)}" if isinstance(dataset, Mapping) else ""
            raise ArgumentTypeError(
                "dataset must be a mapping with the data sets of 'train' and 'val', got a "
                f"{type(dataset).__name__}{keys}"
            )
        datasets = {
            split: each if isinstance(each, IndexedDataset) else IndexedDataset(each)
            for split, each in dataset.items()
        }
        options = {
            "batch_size": batch_size,
            "num_workers": num_workers,
            "collate_fn": collate_fn,
        }
        return cls(datasets, options)

    def size(self, split: str) -> int:
        return len(self.datasets[split])

    def all(self, split: str, *, shared: bool = True) -> Any:
        """Return a loader of the samples, of those of this process if the work is shared."""
        from torch.utils.data import DataLoader

        processes = find_processes(None)
        begin, stride = (processes.rank, processes.size) if shared else (0, 1)
        samples = range(begin, self.size(split), stride)
        return DataLoader(self.datasets[split], sampler=samples, **self.options)

    def first(self, split: str) -> Any:
        """Return a loader of the first batch."""
        from torch.utils.data import DataLoader

        samples = range(min(self.options["batch_size"], self.size(split)))
        options = {**self.options, "num_workers": 0}
        return DataLoader(self.datasets[split], sampler=samples, **options)


@dataclass(frozen=True)
class _Labels:
    """The labels of both splits, and whether they must be what the data sets say."""

    of: dict[str, Any]
    from_targets: bool

    @classmethod
    def find(
        cls, given: dict[str, Any], loaders: _Loaders, store: Store | None, *, read: bool
    ) -> _Labels:
        if not read or any(labels is not None for labels in given.values()):
            return cls(given, from_targets=False)
        if store is not None:
            return cls({split: store.labels(split) for split in SPLITS}, from_targets=True)
        return cls({split: _targets(split, loaders) for split in SPLITS}, from_targets=True)

    def checked(self, split: str, batches: Any) -> Iterator[Any]:
        """Yield batches whose targets are the labels."""
        labels = self.of[split]
        for batch in batches:
            if self.from_targets and labels is not None:
                _, targets, index = _three(batch)
                differs = labels[index] != targets
                if differs.any():
                    k = int(differs.argmax())
                    raise StoreMismatchError(
                        f"the targets of {split} must be the labels of the store, "
                        f"{labels[index[k]]} at sample {index[k]}, got {targets[k]}"
                    )
            yield batch


def _targets(split: str, loaders: _Loaders) -> NDArray[np.int64]:
    labels = np.full(loaders.size(split), -1, np.int64)
    for batch in loaders.all(split, shared=False):
        _, targets, index = _three(batch)
        if targets.ndim != 1 or targets.dtype.kind not in "iu":
            raise ArgumentTypeError(
                f"targets of {split} must be one class (an integer) for each sample, got shape "
                f"{targets.shape} of {targets.dtype}; for others give step= and labels"
            )
        labels[index] = targets
    return labels


def _three(batch: Any) -> tuple[Any, NDArray[Any], NDArray[Any]]:
    if not isinstance(batch, tuple | list) or len(batch) != 3:
        raise ArgumentTypeError(
            "samples of dataset must be (inputs, target); for others give step= and labels. Got "
            f"batches of {type(batch).__name__}"
        )
    inputs, targets, index = batch
    return inputs, to_numpy(targets), to_numpy(index)


def _store_begun(path: Any) -> Store | None:
    try:
        return open_store(path)
    except StoreNotFoundError:
        return None


def _check_sizes(store: Store, loaders: _Loaders) -> None:
    for split in SPLITS:
        if store.size(split) != loaders.size(split):
            raise StoreMismatchError(
                f"dataset[{split!r}] must have as many samples as {store.path}, "
                f"{store.size(split):,}, got {loaders.size(split):,}"
            )


def _check_same_losses(store: Store, model: Any, loaders: _Loaders, step: Step | None) -> None:
    """Compare losses of the last checkpoint in the store with those of the model, in one batch."""
    last = store.committed - 1
    for split in SPLITS:
        with evaluating(model):
            for batch in pass_batches(model, loaders.first(split), step, loaders.size(split)):
                index, losses = to_numpy(batch.index), to_numpy(batch.losses).astype(float)
                stored = store.read(split, samples=index, checkpoints=[last])[0].astype(float)
                errors = np.abs(losses - stored) / (np.abs(stored) + SMALLEST_LOSS)
                errors = errors[np.isfinite(errors)]
                if errors.size and np.median(errors) > LARGEST_DIFFERENCE:
                    raise StoreMismatchError(
                        f"checkpoints[{store.checkpoints[last]:g}] and dataset must give the "
                        f"losses of {split} in {store.path}, {stored[0]:.4g} at sample "
                        f"{index[0]}, got {losses[0]:.4g}: these are other weights or data, or "
                        "the data are augmented at random"
                    )


def _check_module(model: Any) -> None:
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ArgumentTypeError(
            f"model_factory must return a torch.nn.Module, got {type(model).__name__}"
        )
