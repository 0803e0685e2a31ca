"""Ceilings of a device and the rates that kernels reach, all in one run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import inputs
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.work import OURS, Work
from benchmarks.gpu.works import works
from benchmarks.results import Table
from benchmarks.timing import Timing


@dataclass(frozen=True)
class Ceiling:
    """What the device does at best of one kind of work.

    Attributes
    ----------
    what : str
        How it was measured.
    timing : Timing
        How long that took.
    amount : float
        Bytes moved, or operations done, in that time.
    unit : {"GB/s", "TFLOP/s"}
        In which rates are stated.
    """

    what: str
    timing: Timing
    amount: float
    unit: str

    def rate(self, amount: float, timing: Timing) -> float:
        """Return an amount over the median time, in this unit."""
        return amount / timing.median / {"GB/s": 1e9, "TFLOP/s": 1e12}[self.unit]


def ceilings(device: torch.device, clock: Clock, *, side: int, rounds: int) -> dict[str, Ceiling]:
    """Measure copying memory and multiplying matrices of float16, summed up in float32."""
    copied = 16 * side**2
    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    # Values as those of recorded losses: how fast a product is depends on them.
    square = torch.rand((side, side), device=device).to(torch.float16)
    product = torch.empty_like(square)
    calls: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(source),
        "product": lambda: torch.mm(square, square, out=product),
    }
    timings = clock.measure(calls, rounds=rounds)
    return {
        "copy": Ceiling(
            f"copy of {copied / 2**20:,.0f} MiB, read and written",
            timings["copy"],
            2.0 * copied,
            "GB/s",
        ),
        "product": Ceiling(
            f"product of {side:,} x {side:,} matrices, float16",
            timings["product"],
            2.0 * side**3,
            "TFLOP/s",
        ),
    }


def run(
    size: inputs.Size,
    device: torch.device,
    clock: Clock,
    compiler: Callable[..., Any],
    rounds: int,
    *,
    side: int = 8192,
) -> list[Table]:
    """Measure the ceilings, then every work of this size beside them."""
    measured = ceilings(device, clock, side=side, rounds=rounds)
    made = works(size, device, compiler)
    return [ceiling_table(measured), kernel_table(made, measured, clock, rounds=rounds)]


def ceiling_table(measured: dict[str, Ceiling]) -> Table:
    """State the ceilings."""
    table = Table("Ceilings, measured in this run", ["what", "time", "rate"])
    for one in measured.values():
        table.add(one.what, str(one.timing), f"{one.rate(one.amount, one.timing):,.4g} {one.unit}")
    return table


def kernel_table(
    made: Iterable[Work], measured: dict[str, Ceiling], clock: Clock, *, rounds: int
) -> Table:
    """Check each work's results, time it, and state its rate beside the ceiling.

    Raises
    ------
    AssertionError
        A result that is wrong; then there is no table.
    """
    table = Table(
        "Kernels",
        ["work", "size", "by", "time", "rate", "of the ceiling", "times ltc"],
    )
    for work in made:
        for name, call in work.calls.items():
            work.check(f"{work.name}, {name}", call())
        timings = clock.measure(work.calls, rounds=rounds)
        ceiling = measured[work.ceiling]
        best = ceiling.rate(ceiling.amount, ceiling.timing)
        for name, timing in timings.items():
            rate = ceiling.rate(work.amount, timing)
            table.add(
                work.name,
                work.shape,
                name,
                str(timing),
                f"{rate:,.4g} {ceiling.unit}",
                f"{rate / best:.1%}",
                f"{timing.median / timings[OURS].median:.2f}",
            )
    table.note(
        "Rates are of the bytes that have to be moved and the operations that have to be done, "
        "whoever does it. Medians, with the 20th to 80th percentile; nothing is left in the "
        "device's cache from one call to the next. Every result was compared with float64 first."
    )
    return table
