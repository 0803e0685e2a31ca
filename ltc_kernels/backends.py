"""Which implementation serves an array: chosen by where it lies, or asked for by name."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final, Literal, get_args

from ltc_kernels.errors import ArgumentValueError, BackendUnavailableError

Backend = Literal["auto", "reference", "cpu", "gpu"]
BACKENDS: Final[tuple[str, ...]] = get_args(Backend)


def choose(backend: str, array: Any, *, served: tuple[str, ...] = BACKENDS[1:]) -> str:
    """Return ``"reference"``, ``"cpu"`` or ``"gpu"``.

    Parameters
    ----------
    backend : str
        What was asked for: ``"auto"``, or one of ``served``.
    array : array
        NumPy array or torch tensor; the implementation must serve its device.
    served : tuple of str
        Implementations that the kernel has.

    Raises
    ------
    ArgumentValueError
        An unknown backend.
    BackendUnavailableError
        One that can't serve the array, or that isn't installed.
    """
    names = ("auto", *served)
    if backend not in names:
        raise ArgumentValueError(f"backend must be one of {', '.join(names)}, got {backend!r}")
    place = device_type(array)
    if backend == "auto":
        found = {"cpu": "cpu", "cuda": "gpu"}.get(place)
        if found not in served:
            raise BackendUnavailableError(
                f"no backend serves arrays on {array.device}; there are {_there_are(served)}"
            )
        backend = found
    elif backend == "gpu":
        if place != "cuda" and not (place == "cpu" and is_tensor(array) and interpreted()):
            what = f"a tensor on {array.device}" if is_tensor(array) else "a NumPy array"
            raise BackendUnavailableError(
                "backend 'gpu' takes torch tensors on a CUDA or ROCm device, "
                f"got {what}; there are {_there_are(served)}"
            )
    elif place != "cpu":
        raise BackendUnavailableError(
            f"backend {backend!r} takes arrays on the CPU, got a tensor on {array.device}; "
            f"there are {_there_are(served)}"
        )
    if backend == "gpu" and find_spec("triton") is None:
        raise BackendUnavailableError(
            "backend 'gpu' needs the package triton, which is not installed here; "
            f"there are {_there_are(served)}"
        )
    return backend


def is_tensor(array: Any) -> bool:
    """Whether this is a torch tensor; torch isn't imported to find out."""
    return type(array).__module__.partition(".")[0] == "torch"


def device_type(array: Any) -> str:
    """Kind of device that an array lies on: ``"cpu"``, ``"cuda"`` (ROCm too), or another."""
    return str(array.device.type) if is_tensor(array) else "cpu"


def interpreted() -> bool:
    """Whether Triton's interpreter stands in for a GPU (``TRITON_INTERPRET=1``)."""
    if find_spec("triton") is None:
        return False
    from triton import knobs

    return bool(knobs.runtime.interpret)


def device_of_state(backend: str, device: Any) -> Any:
    """The torch device that an online state is kept on; None means the current one."""
    import torch

    place = torch.device(("cpu" if interpreted() else "cuda") if device is None else device)
    if backend not in ("auto", "gpu"):
        raise ArgumentValueError(
            f"device must be None for backend {backend!r}, which works on the CPU, got {device!r}"
        )
    if not (place.type == "cuda" and torch.cuda.is_available()) and not (
        place.type == "cpu" and interpreted()
    ):
        raise BackendUnavailableError(
            f"backend 'gpu' keeps a state on a CUDA or ROCm device, and {place} is none here; "
            "there are reference and cpu for arrays on the CPU"
        )
    return place


def as_numpy(array: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A NumPy view of an array on the CPU, and what makes a result an array of the same kind."""
    if not is_tensor(array):
        return array, lambda result: result
    import torch

    return array.detach().numpy(), torch.from_numpy


def _there_are(served: tuple[str, ...]) -> str:
    host = " and ".join(name for name in served if name != "gpu")
    gpu = ", and gpu for tensors on a CUDA or ROCm device" if "gpu" in served else ""
    return f"{host} for arrays on the CPU{gpu}"
