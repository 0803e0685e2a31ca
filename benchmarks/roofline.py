"""The time that a GPU's data sheet allows for a kernel at ImageNet-1k's size: arithmetic.

Which programs a call starts comes from the code on the host, what each of them moves and multiplies
from the compiled kernel, and how fast a GPU may do that at best from its data sheet. Nothing here
is a measurement; no kernel is faster than this, and how near one comes only a GPU can tell.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.compilation import Compiled
from benchmarks.launches import Launch, launches
from benchmarks.results import Table
from benchmarks.traffic import traffic
from ltc_kernels import count_missing
from ltc_kernels.gpu.targets import TARGETS, Target
from ltc_kernels.gpu.tiles import empty_tile

SAMPLES, CHECKPOINTS = 1_281_167, 90


@dataclass(frozen=True)
class Problem:
    """A call at ImageNet-1k's size.

    Attributes
    ----------
    name : str
        The kernel and its arguments.
    call : callable
        The call, of tensors on the CPU.
    samples : int
        Training samples, over which bytes are stated.
    elements : int
        Losses, or pairs of values, over which operations are stated.
    element : str
        What one of those is.
    """

    name: str
    call: Callable[[], Any] = field(repr=False)
    samples: int
    elements: int
    element: str


@dataclass(frozen=True)
class Need:
    """What a call needs on one target, all launches together.

    Attributes
    ----------
    loaded, stored : Counter
        Bytes that programs ask for, by argument; caches serve some of them.
    memory : int
        Bytes that must come from memory or go there: of each argument of a launch no more than it
        holds.
    multiplied, operations : Counter
        As in `benchmarks.traffic.Traffic`.
    """

    loaded: Counter[str]
    stored: Counter[str]
    memory: int
    multiplied: Counter[str]
    operations: Counter[str]

    def times(self, target: Target) -> dict[str, float]:
        """Seconds that each resource of a target takes at the rate of its data sheet."""
        vector = {"f32": target.float32_rate, "f64": target.float64_rate}
        products = {
            "f16": target.float16_rate,
            "bf16": target.float16_rate,
            "f32, tf32": target.tf32_rate,
            "f32, ieee": target.float32_rate,
        }
        return {
            "memory": self.memory / target.bandwidth,
            "tensor cores": sum(2 * n / products[kind] for kind, n in self.multiplied.items()),
            "vector units": sum(n / vector[kind] for kind, n in self.operations.items()),
        }


def problems() -> Iterator[Problem]:
    """Every kernel at ImageNet-1k's size."""
    losses = empty_tile(CHECKPOINTS, SAMPLES, torch.float16, "cpu").zero_()
    yield Problem(
        "count_missing",
        lambda: count_missing(losses, backend="gpu"),
        SAMPLES,
        SAMPLES * CHECKPOINTS,
        "loss",
    )


def need(found: list[Launch], compiled: Mapping[str, Compiled]) -> Need:
    """Add up what launches move and do, by the forms that they launch."""
    total = Need(Counter(), Counter(), 0, Counter(), Counter())
    memory = 0
    for launch in found:
        one = traffic(compiled[launch.form].texts["ttir"], launch.integers)
        for counter, part in (
            (total.loaded, one.loaded),
            (total.stored, one.stored),
            (total.multiplied, one.multiplied),
            (total.operations, one.operations),
        ):
            counter.update({name: n * launch.programs for name, n in part.items()})
        for part in (one.loaded, one.stored):
            memory += sum(min(n * launch.programs, launch.sizes[name]) for name, n in part.items())
    return Need(total.loaded, total.stored, memory, total.multiplied, total.operations)


def describe(compiled: Mapping[str, Mapping[str, Compiled]]) -> Table:
    """State what each problem needs on each target; takes the compiled forms by target and name."""
    table = Table(
        f"At ImageNet-1k's size, {SAMPLES:,} x {CHECKPOINTS}: arithmetic, not a measurement",
        [
            "kernel",
            "target",
            "launches",
            "bytes per sample",
            "of them from memory",
            "operations per element",
            "memory",
            "vector units",
            "tensor cores",
            "at best",
        ],
    )
    for problem in problems():
        for name, target in TARGETS.items():
            found = launches(target, problem.call)
            total = need(found, compiled[name])
            times = total.times(target)
            bytes_asked = total.loaded.total() + total.stored.total()
            operations = total.operations.total() + 2 * total.multiplied.total()
            table.add(
                problem.name,
                name,
                str(len(found)),
                f"{bytes_asked / problem.samples:,.1f}",
                f"{total.memory / problem.samples:,.1f}",
                f"{operations / problem.elements:,.1f} per {problem.element}",
                *(milliseconds(times[key]) for key in ("memory", "vector units", "tensor cores")),
                f"{milliseconds(max(times.values()))}, {max(times, key=times.__getitem__)}",
            )
    table.note(
        "Bytes that programs ask for, and of those what must come from memory or go there: each "
        "argument of a launch once. Operations are those of the code, a multiply-add being two. "
        "Times are these over the rates of the data sheets; reading arguments again past the "
        "caches, integer work and waiting are not in them."
    )
    return table


def milliseconds(seconds: float) -> str:
    """State a time, or nothing where there is none.

    Examples
    --------
    >>> milliseconds(0.0000712), milliseconds(0.0)
    ('0.071 ms', '')
    """
    return f"{1e3 * seconds:,.2g} ms" if seconds else ""
