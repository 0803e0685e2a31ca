"""Compile Triton kernels for GPUs that aren't there, and say what the result uses and does.

Worker processes compile: they share the cores, and they know nothing of ``TRITON_INTERPRET``, in
whose presence a kernel can't be compiled.
"""

import importlib
import multiprocessing
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.instructions import Code, amdgcn, matrix_shape, sass
from ltc_kernels.gpu.targets import TARGETS, Target

SHIPPED = "ltc_kernels.gpu.specialisations"  # a module with a function `specialisations(target)`
INNER_SIZES = {"f16": 16, "tf32": 8, "i8": 32, "f8f6f4": 32}  # of a tcgen05 product, by its kind


@dataclass(frozen=True)
class Compiled:
    """One specialisation as machine code for one target.

    Attributes
    ----------
    name, constants, num_warps : str, dict, int
        Those of the specialisation.
    target : Target
        What it was compiled for.
    code : Code
        The instructions.
    registers : int
        32-bit registers per thread; on AMD vector registers, accumulation registers among them.
    shared, stack, tensor_memory : int
        Bytes of shared memory per program, bytes of local memory per thread, and columns of
        tensor memory per program.
    spills : int
        Instructions that move local memory, and vector registers that the compiler says it spilled.
    shapes : tuple of (int, int, int)
        Of the products on tensor cores, where only the intermediate code tells them (sm_100).
    texts : dict of str to str
        The intermediate code, by the name of its form.
    """

    name: str
    constants: dict[str, Any]
    num_warps: int
    target: Target
    code: Code
    registers: int
    shared: int
    stack: int
    tensor_memory: int
    spills: int
    shapes: tuple[tuple[int, int, int], ...]
    texts: dict[str, str]

    def __str__(self) -> str:
        """Specialisation and target."""
        return f"{self.name} on {self.target.name}"

    @property
    def threads(self) -> int:
        """Threads per program."""
        return self.num_warps * self.target.warp_size

    def multiplications(self, where: frozenset[int]) -> int:
        """How many a program issues to tensor cores when it passes some instructions once."""
        opcodes = [
            self.code.instructions[i].opcode for i in self.code.positions("matrix") if i in where
        ]
        total = 0
        for opcode in opcodes:
            rows, columns, inner = self._shape(opcode)
            total += rows * columns * inner * self._issuers(opcode)
        return total

    def _shape(self, opcode: str) -> tuple[int, int, int]:
        named = matrix_shape(opcode)
        if named is None and len(self.shapes) != 1:
            raise ValueError(f"{self}: {opcode} may have any of the shapes {self.shapes}")
        return named or self.shapes[0]

    def _issuers(self, opcode: str) -> int:
        """How many groups of threads of a program execute the instruction, each for itself."""
        if opcode.startswith("UTC"):
            return 1  # one thread, for all
        return self.num_warps // 4 if opcode.startswith("HGMMA") else self.num_warps


def compile_all(
    module: str = SHIPPED, targets: tuple[str, ...] = tuple(TARGETS), workers: int | None = None
) -> list[Compiled]:
    """Compile all specialisations of a module for targets, in the order of both.

    Triton keeps what it compiled in its own cache, ``~/.triton`` or ``TRITON_CACHE_DIR``.
    """
    with (
        _not_interpreted(),
        ProcessPoolExecutor(
            workers or os.cpu_count(), multiprocessing.get_context("spawn")
        ) as pool,
    ):
        counts = pool.map(_count, [module] * len(targets), targets)
        tasks = [
            (module, name, i)
            for name, count in zip(targets, counts, strict=True)
            for i in range(count)
        ]
        return list(pool.map(_compile, tasks))


@contextmanager
def _not_interpreted() -> Iterator[None]:
    """Start processes that find no ``TRITON_INTERPRET``."""
    before = os.environ.pop("TRITON_INTERPRET", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before


@cache
def _specialisations(module: str, target: str) -> Any:
    return importlib.import_module(module).specialisations(TARGETS[target])


def _count(module: str, target: str) -> int:
    return len(_specialisations(module, target))


def _compile(task: tuple[str, str, int]) -> Compiled:
    module, name, i = task
    form, target = _specialisations(module, name)[i], TARGETS[name]
    built = form.compile(target)
    read = _read_nvidia if target.backend == "cuda" else _read_amd
    return Compiled(
        form.name,
        dict(form.constants),
        form.num_warps,
        target,
        shared=int(built.metadata.shared),
        texts={form: text for form, text in built.asm.items() if isinstance(text, str)},
        **read(built),
    )


def _read_nvidia(built: Any) -> dict[str, Any]:
    from triton import knobs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(built.asm["cubin"])
        code = sass(_printed([knobs.nvidia.nvdisasm.path, "--emit-json", str(path)]))
        usage = _printed([knobs.nvidia.cuobjdump.path, "--dump-resource-usage", str(path)])
    function = usage.partition(f"Function {built.metadata.name}:")[2]
    return {
        "code": code,
        "registers": _number(function, "REG"),
        "stack": _number(function, "STACK") + _number(function, "LOCAL"),
        "spills": code.count("local"),
        "tensor_memory": int(built.metadata.tmem_size or 0),
        "shapes": _tensor_core_shapes(built.asm["ptx"]),
    }


def _read_amd(built: Any) -> dict[str, Any]:
    text = built.asm["amdgcn"]
    code = amdgcn(text)
    return {
        "code": code,
        "registers": _number(text, ".vgpr_count"),
        "stack": _number(text, ".private_segment_fixed_size"),
        "spills": _number(text, ".vgpr_spill_count") + code.count("local"),
        "tensor_memory": 0,
        "shapes": (),
    }


def _printed(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _number(text: str, key: str) -> int:
    found = re.search(rf"(?<!\w){re.escape(key)}:\s*(\d+)", text)
    if found is None:
        raise ValueError(f"no {key} in {text[:200]!r}")
    return int(found[1])


def _tensor_core_shapes(ptx: str) -> tuple[tuple[int, int, int], ...]:
    """Shapes of tcgen05 products: their instruction descriptor is a constant in a register.

    Bits 17 to 22 hold the columns divided by 8, bits 24 to 28 the rows divided by 16 (PTX ISA,
    "Instruction descriptor").
    """
    constants = dict(re.findall(r"mov\.b32\s+(%r\d+), (-?\d+);", ptx))
    operands = r"\[[^]]*\], (?:\[[^]]*\]|%rd\d+), %rd\d+, (%r\d+)"
    products = re.findall(rf"tcgen05\.mma\.cta_group::1\.kind::(\w+)(?:\.\S+)?\s+{operands}", ptx)
    shapes = {
        (
            (int(constants[name]) >> 24 & 31) * 16,
            (int(constants[name]) >> 17 & 63) * 8,
            INNER_SIZES[kind],
        )
        for kind, name in products
    }
    return tuple(sorted(shapes))
