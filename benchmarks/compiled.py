"""What the kernels for a GPU were compiled to: ``python -m benchmarks compiled``; needs no GPU."""

from collections import Counter
from importlib.metadata import version

from benchmarks import roofline
from benchmarks.compilation import Compiled, compile_all
from benchmarks.results import Table

TENSOR_COLUMNS = 512  # of a multiprocessor of sm_100


def run() -> list[Table]:
    """Compile every form that ships for every target and state what came of it."""
    compiled = compile_all()
    return [describe(compiled), roofline.describe(by_target(compiled))]


def by_target(compiled: list[Compiled]) -> dict[str, dict[str, Compiled]]:
    """Forms by the name of their target, then by their own."""
    found: dict[str, dict[str, Compiled]] = {}
    for one in compiled:
        found.setdefault(one.target.name, {})[one.name] = one
    return found


def describe(compiled: list[Compiled]) -> Table:
    """State what each form needs and does."""
    table = Table(
        "Kernels as compiled, for GPUs that were not at hand",
        [
            "kernel",
            "target",
            "warps",
            "registers",
            "shared, B",
            "spills",
            "loads by width, B",
            "stores by width, B",
            "tensor cores",
            "instructions",
            "of them in a loop",
        ],
    )
    for one in compiled:
        table.add(
            one.name,
            one.target.name,
            str(one.num_warps),
            str(one.registers),
            f"{one.shared:,}",
            str(one.spills),
            counted(one.code.widths("load")),
            counted(one.code.widths("store")),
            counted(one.code.opcodes("matrix")),
            f"{len(one.code.instructions):,}",
            f"{len(frozenset().union(*one.code.loops)):,}",
        )
    targets = {one.target.name: one.target.product for one in compiled}
    table.note(
        f"Compiled by Triton {version('triton')}, disassembled by the nvdisasm that comes with "
        "it: registers per thread, shared memory per program, instructions as they stand in the "
        "code, each once. Nothing here was measured. Targets: "
        + ", ".join(f"{name} ({product})" for name, product in targets.items())
        + "."
    )
    return table


def counted(counts: Counter[int] | Counter[str]) -> str:
    """State how often there is what.

    Examples
    --------
    >>> counted(Counter({16: 4, 2: 1}))
    '4 x 16, 1 x 2'
    """
    return ", ".join(f"{number} x {what}" for what, number in counts.most_common())


def faults(one: Compiled) -> list[str]:
    """Return what no kernel may do, whatever it is for.

    Spill, or take more shared memory, tensor memory or registers than the target has.
    """
    target = one.target
    per_program = one.registers * one.threads
    found = {
        f"{one.spills} spills": one.spills > 0,
        f"{one.stack} bytes of local memory per thread": one.stack > 0,
        f"{one.shared} bytes of shared memory": one.shared > target.shared_memory,
        f"{one.tensor_memory} columns of tensor memory": one.tensor_memory > TENSOR_COLUMNS,
        f"{per_program} registers per program": per_program > target.registers,
    }
    return [f"{one}: {what}" for what, wrong in found.items() if wrong]
