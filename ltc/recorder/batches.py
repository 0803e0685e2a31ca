"""Checks of what `Recorder.update` is given, before anything is written.

Values on the CPU are checked at once. Of tensors on another device only shapes and dtypes are
looked at, because reading a value would make the host wait for the device; see
:class:`ltc.recorder.buffers.DeviceBuffer`.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError
from ltc.recorder.buffers import Batch, DeviceBatch, HostBatch

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def losses_batch(index: Any, losses: Any, size: int) -> Batch:
    """Check per-sample losses and their indices.

    Parameters
    ----------
    index : integer tensor, array or sequence [B]
        Positions in the split.
    losses : floating tensor or array [B]
        One loss per index.
    size : int
        Number of samples in the split.

    Raises
    ------
    ArgumentTypeError
        The dtype of `index` is not an integer's or that of `losses` not a float's.
    ArgumentValueError
        One of them is not one-dimensional, or their lengths differ.
    ArgumentIndexError
        An index on the CPU lies outside 0..size-1.
    """
    losses = _array(losses)
    index = _index_array(index)
    _check_losses(losses, index)
    if _on_host(losses) and _on_host(index):
        return HostBatch(_host_index(index, size), _host_losses(losses))
    return _device_batch(index, losses, size)


def logits_batch(index: Any, logits: Any, targets: Any, size: int) -> Batch:
    """Check logits, targets and indices, and compute their losses.

    That is hard-label cross-entropy per sample in float32. The graph that `logits` belongs to is
    not touched.

    Parameters
    ----------
    index : integer tensor, array or sequence [B]
        Positions in the split.
    logits : floating tensor or array [B, classes]
        Unnormalised scores.
    targets : integer tensor or array [B]
        Classes; on the CPU or on the device of `logits`.
    size : int
        Number of samples in the split.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A dtype or a shape is wrong, soft labels among them.
    ArgumentIndexError
        An index or a target on the CPU is out of range.
    """
    import torch

    logits, targets = _tensor(logits), _tensor(targets)
    index = _index_array(index)
    _check_logits(logits)
    _check_targets(targets, logits)
    _check_length(index, logits.shape[0], "logits")
    targets, valid = _class_indices(targets, logits)
    if _on_host(index):
        index = _host_index(index, size)
    # Detached logits have no graph, so there is none to switch off.
    losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    if _on_host(losses) and _on_host(index):
        return HostBatch(index, losses.numpy())
    return _device_batch(index, losses, size, valid)


def is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Tell whether `value` is a torch tensor, without importing torch where it isn't in use."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array(value: Any) -> NDArray[Any] | torch.Tensor:
    return _detached(value) if is_tensor(value) else np.asarray(value)


def _detached(value: torch.Tensor) -> torch.Tensor:
    # Of what has no graph, which most batches hold, no second tensor is made.
    return value.detach() if value.requires_grad else value


def _index_array(value: Any) -> NDArray[Any] | torch.Tensor:
    index = _array(value)
    if not _is_integer(index):
        if isinstance(value, list | tuple) and not value:
            return np.empty(0, np.intp)  # an empty list has no dtype of its own
        raise ArgumentTypeError(
            f"index must hold integers, got {index.dtype}"
            + ("; float32 is wrong past 2**24" if _is_floating(index) else "")
        )
    return index


def _tensor(value: Any) -> torch.Tensor:
    if is_tensor(value):
        return _detached(value)
    import torch

    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ArgumentTypeError(f"logits and targets must hold numbers, got {array.dtype}")
    # torch takes neither read-only arrays without a warning nor foreign byte orders.
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))


def _is_integer(value: NDArray[Any] | torch.Tensor) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iu"
    return value.dtype in _torch_integers()


@cache
def _torch_integers() -> frozenset[torch.dtype]:
    import torch

    return frozenset(
        getattr(torch, f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)
    )


def _is_floating(value: NDArray[Any] | torch.Tensor) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f"
    return value.is_floating_point()


def _on_host(value: NDArray[Any] | torch.Tensor) -> bool:
    return isinstance(value, np.ndarray) or value.device.type == "cpu"


def _check_losses(losses: NDArray[Any] | torch.Tensor, index: NDArray[Any] | torch.Tensor) -> None:
    if not _is_floating(losses):
        raise ArgumentTypeError(f"losses must hold floating-point numbers, got {losses.dtype}")
    if losses.ndim != 1:
        raise ArgumentValueError(
            "losses must be one-dimensional, one loss per sample (reduction='none'), "
            f"got shape {tuple(losses.shape)}"
        )
    _check_length(index, losses.shape[0], "losses")


def _check_length(index: NDArray[Any] | torch.Tensor, length: int, name: str) -> None:
    if index.ndim != 1 or index.shape[0] != length:
        raise ArgumentValueError(
            f"index must be one-dimensional with one entry per row of {name}, shape ({length},), "
            f"got shape {tuple(index.shape)}"
        )


def _check_logits(logits: torch.Tensor) -> None:
    if not logits.is_floating_point():
        raise ArgumentTypeError(f"logits must hold floating-point numbers, got {logits.dtype}")
    if logits.ndim != 2 or logits.shape[1] < 1:
        raise ArgumentValueError(
            "logits must have shape [batch, classes]; for anything else pass losses=. "
            f"Got shape {tuple(logits.shape)}"
        )


def _check_targets(targets: torch.Tensor, logits: torch.Tensor) -> None:
    if not _is_integer(targets):
        raise ArgumentTypeError(
            f"targets must be class indices (integers), got {targets.dtype}; for soft or mixed "
            "labels pass losses="
        )
    if targets.shape != logits.shape[:1]:
        raise ArgumentValueError(
            f"targets must hold one class per row of logits, shape ({logits.shape[0]},), got shape "
            f"{tuple(targets.shape)}"
        )
    if not _on_host(targets) and targets.device != logits.device:
        raise ArgumentValueError(
            f"targets must be on the CPU or on the device of logits ({logits.device}), "
            f"got {targets.device}"
        )


def _class_indices(
    targets: torch.Tensor, logits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return int64 targets that cross-entropy can take and, if not known, where they are valid.

    Torch's own check is not enough: its default for `ignore_index`, -100, gives a loss of 0, which
    would read as perfectly learned.
    """
    targets, classes = targets.long(), logits.shape[1]
    if _on_host(targets):
        wrong = _first_outside(targets.numpy(), classes)
        if wrong is not None:
            raise ArgumentIndexError(
                f"targets must lie in 0..{classes - 1}, the classes of logits, got "
                f"{int(targets[wrong])} at position {wrong}"
            )
        return targets.to(logits.device, non_blocking=True), None
    inside = targets.clamp(0, classes - 1)
    return inside, inside == targets


def _host_index(index: NDArray[Any] | torch.Tensor, size: int) -> NDArray[np.intp]:
    array = index if isinstance(index, np.ndarray) else index.numpy()
    positions = array.astype(np.intp, copy=False)
    wrong = _first_outside(positions, size)
    if wrong is not None:
        raise ArgumentIndexError(
            f"index must lie in 0..{size - 1}, positions in the split as it was given to Recorder, "
            f"got {array[wrong]} at position {wrong}"
        )
    return positions


def _first_outside(values: NDArray[np.int64], bound: int) -> int | None:
    """Return the first position whose value is not in 0..bound-1."""
    unsigned = values.view(np.uint64)  # one comparison: negative values become the largest ones
    if not values.size or unsigned.max() < bound:
        return None
    return int((unsigned >= bound).argmax())


def _host_losses(losses: NDArray[Any] | torch.Tensor) -> NDArray[np.float32]:
    if not isinstance(losses, np.ndarray):
        # NumPy has no bfloat16.
        losses = (losses if losses.dtype.itemsize == 8 else losses.float()).numpy()
    if losses.dtype.itemsize > 4:
        losses = np.where(np.isinf(losses), losses, losses.clip(-_FLOAT32_MAX, _FLOAT32_MAX))
    return losses.astype(np.float32, copy=False)


def _device_batch(
    index: NDArray[Any] | torch.Tensor,
    losses: NDArray[Any] | torch.Tensor,
    size: int,
    valid: torch.Tensor | None = None,
) -> DeviceBatch:
    """Bring both to the device that is not the CPU, so that nothing waits for it."""
    import torch

    if _on_host(index):
        index = _host_index(index, size)
    index, losses = _tensor(index), _tensor(losses)
    device = index.device if _on_host(losses) else losses.device
    if losses.dtype.itemsize > 4:
        limited = losses.clamp(-_FLOAT32_MAX, _FLOAT32_MAX)
        losses = torch.where(losses.isinf(), losses, limited)
    return DeviceBatch(
        index.to(device, torch.int64, non_blocking=True),
        losses.to(device, torch.float32, non_blocking=True),
        valid,
    )
