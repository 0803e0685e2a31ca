"""Which programs a call of a kernel starts on a GPU, found without one.

The code on the host runs as it would run there, up to the launch itself, which is written down and
left out. Memory is all zeros.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any
from unittest import mock

import torch

from ltc_kernels.gpu import targets
from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.targets import Target


@dataclass(frozen=True)
class Launch:
    """One launch of a form of a kernel.

    Attributes
    ----------
    form : str
        The name of the form.
    programs : int
        How many are started.
    integers : dict of str to int
        Its arguments that are integers.
    sizes : dict of str to int
        Bytes of its arguments that are tensors, what lies between rows included.
    """

    form: str
    programs: int
    integers: dict[str, int]
    sizes: dict[str, int]


def launches(target: Target, call: Callable[[], Any]) -> list[Launch]:
    """Run a call, of tensors on the CPU and with ``backend="gpu"``, as on a target."""
    found: list[Launch] = []

    def launch(
        form: Specialisation, programs: tuple[int, int, int], _: Any, **arguments: Any
    ) -> None:
        form._check(arguments)
        tensors = {name: value for name, value in arguments.items() if torch.is_tensor(value)}
        integers = {name: value for name, value in arguments.items() if isinstance(value, int)}
        sizes = {name: tensor_bytes(tensor) for name, tensor in tensors.items()}
        found.append(Launch(form.name, prod(programs), integers, sizes))

    with (
        mock.patch.dict(os.environ, TRITON_INTERPRET="1"),  # tensors on the CPU stand for others
        mock.patch.object(targets, "INTERPRETED", target),
        mock.patch.object(Specialisation, "launch", launch),
        mock.patch.object(torch, "empty", torch.zeros),
    ):
        call()
    return found


def tensor_bytes(tensor: torch.Tensor) -> int:
    """Bytes from the first element of a tensor to its last, rows padded as they are."""
    if not tensor.numel():
        return 0
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()
