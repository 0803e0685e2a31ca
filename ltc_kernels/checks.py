"""Arguments of kernels, checked once: what passes can't make a kernel leave its arrays."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.algebra import SIGNALS, Signal
from ltc_kernels.backends import is_tensor
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError

MOST_NEIGHBOURS = 1024
LOSS_DTYPES = (np.dtype(np.float16), np.dtype(np.float32))


def check_signal(signal: object) -> Signal:
    """Return ``signal`` if it names one."""
    if signal not in SIGNALS:
        raise ArgumentValueError(f"signal must be one of {', '.join(SIGNALS)}, got {signal!r}")
    return cast("Signal", signal)


def check_losses(name: str, losses: object) -> NDArray[Any]:
    """Return trajectories ``[T, N]``, samples contiguous, bytes native; copied only if needed."""
    array = np.asarray(losses)
    if array.ndim != 2:
        raise ArgumentValueError(
            f"{name} must have shape [checkpoint, sample], got shape {array.shape}"
        )
    if array.dtype.newbyteorder("=") not in LOSS_DTYPES:
        raise ArgumentTypeError(f"{name} must be float16 or float32, got {array.dtype}")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    packed = native.shape[1] <= 1 or native.strides[1] == native.itemsize
    aligned = native.strides[0] % native.itemsize == 0 and native.flags.aligned
    return native if packed and aligned and native.size else np.ascontiguousarray(native)


def check_train_losses(train_losses: Any, num_samples: int, *, on_device: bool) -> Any:
    """Return the losses of one checkpoint; a tensor stays one for a state on a device."""
    if on_device and is_tensor(train_losses):
        losses = train_losses.detach()
        half = str(losses.dtype) == "torch.float16"
    else:
        losses = np.asarray(train_losses)
        half = losses.dtype.newbyteorder("=") == np.float16
    if not half:
        name = str(losses.dtype).removeprefix("torch.")
        raise ArgumentTypeError(f"train_losses must be float16, got {name}")
    if tuple(losses.shape) != (num_samples,):
        raise ArgumentValueError(
            f"train_losses must have shape ({num_samples},), one per sample, "
            f"got {tuple(losses.shape)}"
        )
    return losses if is_tensor(losses) else np.ascontiguousarray(losses, dtype=np.float16)


def check_references(references: object, num_checkpoints: int) -> NDArray[np.float64]:
    """Return references ``[C, T]`` in float64."""
    array = np.asarray(references)
    if array.ndim != 2 or array.shape[1] != num_checkpoints:
        raise ArgumentValueError(
            f"references must have shape [group, checkpoint] with {num_checkpoints} checkpoints, "
            f"as losses have, got shape {array.shape}"
        )
    if array.dtype.kind != "f":
        raise ArgumentTypeError(f"references must be floats, got {array.dtype}")
    return array.astype(np.float64, copy=False)


def check_groups(name: str, groups: object, length: int, num_groups: int) -> NDArray[np.int32]:
    """Return the group of each sample as contiguous int32, each in 0..C-1."""
    array = np.asarray(groups)
    if array.shape != (length,):
        raise ArgumentValueError(
            f"{name} must have shape ({length},), one per sample, got {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name} must be integers, got {array.dtype}")
    if length:
        for bad in (array.min(), array.max()):
            if not 0 <= bad < num_groups:
                place = int(np.argmax(array == bad))
                raise ArgumentValueError(
                    f"{name} must lie in 0..{num_groups - 1}, got {bad} at sample {place}"
                )
    return np.ascontiguousarray(array, dtype=np.int32)


def check_pair(train: object, val: object) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return trajectories ``[T, N]`` and ``[T, M]`` of the same checkpoints."""
    samples, queries = check_losses("train", train), check_losses("val", val)
    if len(samples) != len(queries):
        raise ArgumentValueError(
            f"train must have as many checkpoints as val, {len(queries)}, got {len(samples)}"
        )
    return samples, queries


def check_k(k: object) -> int:
    """Return ``k`` if so many neighbours can be asked for."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise ArgumentTypeError(f"k must be an integer, got {k!r}")
    if not 1 <= k <= MOST_NEIGHBOURS:
        raise ArgumentValueError(f"k must lie in 1..{MOST_NEIGHBOURS}, got {k}")
    return int(k)


def check_samples(samples: object, length: int, last: int) -> NDArray[np.int64]:
    """Return the indices of ``length`` samples, ascending and beyond ``last``."""
    array = np.asarray(samples)
    if array.shape != (length,):
        raise ArgumentValueError(
            f"samples must have shape ({length},), one index per training sample, got {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"samples must be integers, got {array.dtype}")
    indices = np.ascontiguousarray(array, dtype=np.int64)
    steps = np.diff(indices, prepend=last)
    if (steps <= 0).any():
        place = int(np.argmax(steps <= 0))
        raise ArgumentValueError(
            f"samples must ascend, also from one call to the next, got {indices[place]} after "
            f"{indices[place] - steps[place]}"
        )
    return indices
