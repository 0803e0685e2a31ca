"""Arguments of kernels on a GPU, checked once, as `ltc_kernels.checks` does for NumPy arrays."""

from typing import Any, Final

import numpy as np
import torch

from ltc_kernels.backends import is_tensor
from ltc_kernels.checks import check_groups as check_host_groups
from ltc_kernels.checks import check_losses as check_host_losses
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError
from ltc_kernels.gpu.launching import ALIGNMENT

LOSS_DTYPES: Final = (torch.float16, torch.float32)


def check_losses(name: str, losses: Any) -> Any:
    """Return a tensor of trajectories ``[T, N]``."""
    if losses.ndim != 2:
        raise ArgumentValueError(
            f"{name} must have shape [checkpoint, sample], got shape {tuple(losses.shape)}"
        )
    if losses.dtype not in LOSS_DTYPES:
        raise ArgumentTypeError(f"{name} must be float16 or float32, got {_name(losses.dtype)}")
    return losses.detach()


def losses_on(device: Any, name: str, losses: Any) -> Any:
    """Return trajectories ``[T, N]``, a tensor or a NumPy array, as a tensor on a device."""
    if is_tensor(losses):
        return check_losses(name, losses).to(device)
    return torch.from_numpy(check_host_losses(name, losses)).to(device)


def check_pair(train: Any, val: Any) -> tuple[Any, Any]:
    """Return trajectories ``[T, N]`` and ``[T, M]`` of the same checkpoints, on one device."""
    samples = check_losses("train", train)
    queries = losses_on(samples.device, "val", val)
    if len(samples) != len(queries):
        raise ArgumentValueError(
            f"train must have as many checkpoints as val, {len(queries)}, got {len(samples)}"
        )
    return samples, queries


def check_groups(name: str, groups: Any, length: int, num_groups: int, device: Any) -> Any:
    """Return the group of each sample as contiguous int32 on the device, each in 0..C-1.

    Groups on the CPU are checked there; a tensor on a device makes the host wait for it.
    """
    if is_tensor(groups) and groups.device.type != "cpu":
        checked = check_device_groups(name, groups.detach(), length, num_groups)
    else:
        host = groups.detach().numpy() if is_tensor(groups) else groups
        checked = torch.from_numpy(check_host_groups(name, host, length, num_groups))
    # A copy starts on 16 bytes, as a part of another tensor might not.
    copy = checked.data_ptr() % ALIGNMENT != 0
    return checked.to(device=device, dtype=torch.int32, copy=copy).contiguous()


def check_device_groups(name: str, groups: Any, length: int, num_groups: int) -> Any:
    """Return a tensor of the group of each sample, each in 0..C-1."""
    if tuple(groups.shape) != (length,):
        raise ArgumentValueError(
            f"{name} must have shape ({length},), one per sample, got {tuple(groups.shape)}"
        )
    if groups.dtype.is_floating_point or groups.dtype.is_complex or groups.dtype == torch.bool:
        raise ArgumentTypeError(f"{name} must be integers, got {_name(groups.dtype)}")
    if length:
        for bad in (int(groups.min()), int(groups.max())):
            if not 0 <= bad < num_groups:
                place = int((groups == bad).to(torch.int8).argmax())
                raise ArgumentValueError(
                    f"{name} must lie in 0..{num_groups - 1}, got {bad} at sample {place}"
                )
    return groups


def to_device(array: Any, device: Any) -> Any:
    """A tensor of the same values on the device; what is there already stays."""
    return (array if is_tensor(array) else torch.from_numpy(array)).to(device)


def host_array(array: Any) -> Any:
    """A NumPy array of the same values; a tensor comes from whichever device it is on."""
    return array.detach().cpu().numpy() if is_tensor(array) else np.asarray(array)


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
