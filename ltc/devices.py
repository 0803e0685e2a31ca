"""Where to compute: what a user asks for, and what there is."""

from __future__ import annotations

import ctypes
import re
import sys
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import BackendUnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["choose_device", "on_device", "to_host"]

_DRIVERS: Final = ("libcuda.so.1", "libamdhip64.so")


def choose_device(device: str, *, pairs: bool) -> str:
    """Return ``"cpu"``, or the name of a GPU that is there.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` and so on; a GPU of ROCm is named so too.
    pairs : bool
        Whether the work is of pairs, which is bound by arithmetic; other work is bound by reading,
        which a GPU doesn't make faster. ``"auto"`` takes a GPU for pairs, where one is usable.

    Raises
    ------
    BackendUnavailableError
        It names no device that is usable here.

    Examples
    --------
    >>> choose_device("auto", pairs=False), choose_device("cpu", pairs=True)
    ('cpu', 'cpu')
    """
    if device == "cpu" or (device == "auto" and not pairs):
        return "cpu"
    if device == "auto":
        return "cuda:0" if _missing_for_gpu() is None else "cpu"
    match = re.fullmatch(r"cuda(?::(\d+))?", device) if isinstance(device, str) else None
    if match is None:
        raise BackendUnavailableError(
            f"device must be auto, cpu, cuda or cuda:0 and so on, got {device!r}"
        )
    if missing := _missing_for_gpu():
        raise BackendUnavailableError(
            f"device must be one that is usable here, got {device!r}: {missing}; there is cpu"
        )
    import torch

    number, count = int(match[1] or 0), torch.cuda.device_count()
    if number >= count:
        names = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise BackendUnavailableError(
            f"device must be one that is usable here, {names}, got {device!r}"
        )
    return f"cuda:{number}"


def on_device(array: NDArray[Any], name: str, *, tensor: bool = False) -> Any:
    """Return a NumPy array as a tensor on a device; on the CPU as it is, unless a tensor is asked.

    Examples
    --------
    >>> on_device(np.arange(2), "cpu")
    array([0, 1])
    """
    if name == "cpu" and not tensor:
        return array
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).to(name)


def to_host(result: Any) -> NDArray[Any]:
    """Return a result as a NumPy array, wherever it lies."""
    return np.asarray(result.cpu() if hasattr(result, "cpu") else result)


@cache
def _missing_for_gpu() -> str | None:
    """What a GPU needs and isn't there, in words; torch is imported only where a driver is."""
    if not sys.platform.startswith("linux") or not any(map(_loads, _DRIVERS)):
        return "no driver library of a GPU loads"
    for package in ("torch", "triton"):
        if find_spec(package) is None:
            return f"the package {package} is not installed"
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU"
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
