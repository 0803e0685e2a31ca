"""What kernels need to know of a GPU: numbers from data sheets, or of the device at hand.

Sources: NVIDIA's CUDA C++ Programming Guide, table of technical specifications per compute
capability (registers, shared memory), and the data sheets of the A100 80GB SXM, H100 SXM and HGX
B200; AMD's CDNA 3 instruction set guide and the data sheet of the Instinct MI300X. Rates are
without sparsity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from ltc_kernels.backends import interpreted
from ltc_kernels.errors import BackendUnavailableError


@dataclass(frozen=True)
class Target:
    """A GPU that kernels are compiled for.

    Attributes
    ----------
    name : str
        Architecture as compilers call it.
    product : str
        Whose figures these are.
    backend : {"cuda", "hip"}
        Which of Triton's code generators serves it.
    arch : int or str
        What that calls the architecture.
    warp_size : int
        Threads that run together.
    multiprocessors : int
        Streaming multiprocessors, or compute units.
    registers : int
        32-bit registers of one multiprocessor.
    shared_memory : int
        Bytes of shared memory that one program may take.
    bandwidth : float or None
        Of the memory, bytes per second.
    float32_rate, float64_rate : float or None
        Of the vector units, operations per second; a multiply-add is two.
    tf32_rate, float16_rate : float or None
        Of the tensor cores; float16 and bfloat16 are alike.
    """

    name: str
    product: str
    backend: str
    arch: int | str
    warp_size: int
    multiprocessors: int
    registers: int
    shared_memory: int
    bandwidth: float | None = None
    float32_rate: float | None = None
    float64_rate: float | None = None
    tf32_rate: float | None = None
    float16_rate: float | None = None

    @property
    def triton(self) -> Any:
        """The same as Triton names it."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget(self.backend, self.arch, self.warp_size)


SM_80: Final = Target(
    name="sm_80",
    product="A100 80GB SXM",
    backend="cuda",
    arch=80,
    warp_size=32,
    multiprocessors=108,
    registers=65536,
    shared_memory=163 * 1024,
    bandwidth=2.039e12,
    float32_rate=19.5e12,
    float64_rate=9.7e12,
    tf32_rate=156e12,
    float16_rate=312e12,
)
SM_90: Final = Target(
    name="sm_90",
    product="H100 SXM",
    backend="cuda",
    arch=90,
    warp_size=32,
    multiprocessors=132,
    registers=65536,
    shared_memory=227 * 1024,
    bandwidth=3.35e12,
    float32_rate=67e12,
    float64_rate=34e12,
    tf32_rate=494.5e12,
    float16_rate=989.5e12,
)
SM_100: Final = Target(
    name="sm_100",
    product="B200",
    backend="cuda",
    arch=100,
    warp_size=32,
    multiprocessors=148,
    registers=65536,
    shared_memory=227 * 1024,
    bandwidth=8e12,
    float32_rate=75e12,
    float64_rate=37e12,
    tf32_rate=1.1e15,
    float16_rate=2.25e15,
)
GFX942: Final = Target(
    name="gfx942",
    product="Instinct MI300X",
    backend="hip",
    arch="gfx942",
    warp_size=64,
    multiprocessors=304,
    registers=131072,
    shared_memory=64 * 1024,
    bandwidth=5.3e12,
    float32_rate=163.4e12,
    float64_rate=81.7e12,
    tf32_rate=653.7e12,
    float16_rate=1307.4e12,
)
TARGETS: Final = {target.name: target for target in (SM_80, SM_90, SM_100, GFX942)}
INTERPRETED: Final = SM_90  # whose tiles Triton's interpreter works on


def target_of(device: Any) -> Target:
    """Return what there is to know of a torch device; asks the driver, and only now.

    Raises
    ------
    BackendUnavailableError
        No GPU, unless Triton's interpreter stands in for one.
    """
    import torch

    device = torch.device(device)
    if device.type == "cpu" and interpreted():
        return INTERPRETED
    if device.type != "cuda":
        raise BackendUnavailableError(
            f"kernels for a GPU run on a CUDA or ROCm device, got {device}"
        )
    return _ask_driver(device)


@cache
def _ask_driver(device: Any) -> Target:
    """What the driver says of a device: once, because that doesn't change."""
    import torch
    from triton.runtime import driver

    with torch.cuda.device(device):
        index = driver.active.get_current_device()
        properties = driver.active.utils.get_device_properties(index)
        gpu = driver.active.get_current_target()
    return describe(gpu, properties, torch.cuda.get_device_name(device))


def describe(gpu: Any, properties: Mapping[str, int], product: str) -> Target:
    """Return the target that a driver describes: Triton's ``GPUTarget`` and device properties.

    An architecture without figures here is served too; nothing is known of its rates.
    """
    name = f"sm_{gpu.arch}" if gpu.backend == "cuda" else str(gpu.arch)
    found = Target(
        name=name,
        product=product,
        backend=gpu.backend,
        arch=gpu.arch,
        warp_size=gpu.warp_size,
        multiprocessors=properties["multiprocessor_count"],
        registers=properties["max_num_regs"],
        shared_memory=properties["max_shared_mem"],
    )
    known = TARGETS.get(name)
    return found if known is None else replace(found, registers=known.registers)
