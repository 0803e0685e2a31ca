"""An evaluation pass over a loader, without gradients; the model is left as it was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.recorder.batches import is_tensor, logits_batch, losses_batch

if TYPE_CHECKING:
    import torch

    from ltc.recorder.buffers import Batch

Step: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]


def pass_batches(
    model: Any, loader: Iterable[Any], step: Step | None, size: int, *, may_be_empty: bool = False
) -> Iterator[Batch]:
    """Yield the checked losses of each batch of `loader`; to be consumed inside :func:`evaluating`.

    Of several processes, some may have no batch; a single one must have some.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError, ArgumentIndexError
        The batches, or what `step` returns, are not as `Recorder.evaluate` describes, or there are
        none.
    """
    device = _model_device(model)
    batch: Any = None
    for batch in loader:
        if step is None:
            inputs, targets, index = _three(batch)
            yield logits_batch(index, _logits(model, _to_device(inputs, device)), targets, size)
        else:
            yield losses_batch(*_losses_and_index(step(model, batch)), size)
    if batch is None and not may_be_empty:
        raise ArgumentValueError("loader must yield at least one batch, got none")


def without_wrapper(model: Any) -> Any:
    """Return the module inside a `DistributedDataParallel`, and any other model as it is.

    The wrapper's forward exchanges buffers, such as those of batch normalisation, at every call.
    Processes with unequal numbers of batches would wait for each other.
    """
    parallel: Any = sys.modules.get("torch.nn.parallel")
    if parallel is not None and isinstance(model, parallel.DistributedDataParallel):
        return model.module
    return model


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch gradients off and `model`, if it is a torch module, to evaluation mode for a block.

    Afterwards, also after an exception, every submodule is in the mode that it was in before.
    """
    import torch

    modes = []
    if isinstance(model, torch.nn.Module):
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
    try:
        # Not inference mode: what a module caches during the pass must stay usable in training.
        with torch.no_grad():
            yield
    finally:
        _restore(modes)


def _restore(modes: list[tuple[torch.nn.Module, bool]]) -> None:
    # `train` may do more than set a flag (merging low-rank weights, say), so it is called; it also
    # sets all submodules, so parents come first, as `modules` yields them.
    for module, training in modes:
        if module.training != training:
            module.train(training)
    # Shared submodules and a `train` that keeps some of them frozen need the flag itself.
    for module, training in modes:
        module.training = training


def _three(batch: Any) -> tuple[Any, Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 3:
        got = f"a {type(batch).__name__}"
        if isinstance(batch, tuple | list):
            got += f" of {len(batch)}"
        raise ArgumentTypeError(
            "loader must yield (inputs, targets, index), as a loader over IndexedDataset does; for "
            f"other batches pass step=. Got {got}"
        )
    inputs, targets, index = batch
    return inputs, targets, index


def _losses_and_index(result: Any) -> tuple[Any, Any]:
    """Return what a step returned, the other way round: as (index, losses)."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentTypeError(f"step must return (losses, index), got {type(result).__name__}")
    losses, index = result
    return index, losses


def _logits(model: Any, inputs: Any) -> Any:
    logits = model(inputs)
    if not is_tensor(logits):
        raise ArgumentTypeError(
            "model must return logits as a tensor; for other outputs pass step=. "
            f"Got {type(logits).__name__}"
        )
    return logits


def _model_device(model: Any) -> torch.device | None:
    import torch

    if not isinstance(model, torch.nn.Module):
        return None
    tensor = next(chain(model.parameters(), model.buffers()), None)
    return None if tensor is None else tensor.device


def _to_device(inputs: Any, device: torch.device | None) -> Any:
    """Move the tensors in nested mappings, tuples and lists; everything else stays as it is."""
    if device is None:
        return inputs
    if is_tensor(inputs):
        return inputs.to(device, non_blocking=True)
    if isinstance(inputs, Mapping):
        return {key: _to_device(value, device) for key, value in inputs.items()}
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        return type(inputs)(*(_to_device(value, device) for value in inputs))
    if isinstance(inputs, tuple | list):
        return type(inputs)(_to_device(value, device) for value in inputs)
    return inputs
