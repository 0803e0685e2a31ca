"""The time that a GPU's data sheet allows for a kernel at ImageNet-1k's size: arithmetic.

Which programs a call starts comes from the code on the host, what each of them moves and multiplies
from the compiled kernel, and how fast a GPU may do that at best from its data sheet. Nothing here
is a measurement; no kernel is faster than this, and how near one comes only a GPU can tell.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.compilation import Compiled
from benchmarks.launches import Launch, launches
from benchmarks.results import Table
from benchmarks.traffic import Traffic, traffic
from ltc_kernels import (
    count_missing,
    group_correlation,
    online_state,
    online_update,
    pair_correlation,
    pair_topk,
    prepare_references,
)
from ltc_kernels.gpu.targets import TARGETS, Target
from ltc_kernels.gpu.tiles import empty_tile

SAMPLES, CHECKPOINTS, GROUPS = 1_281_167, 90, 1000
QUERIES, ROWS = 1000, 128  # of a search, and of a matrix of pairs


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
    total : Traffic
        What all programs do; caches serve some of the bytes that they ask for.
    memory : int
        Bytes that must come from memory or go there: of each argument of a launch no more than it
        holds.
    """

    total: Traffic
    memory: int

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
            "tensor cores": sum(
                2 * n / products[kind] for kind, n in self.total.multiplied.items()
            ),
            "vector units": sum(n / vector[kind] for kind, n in self.total.operations.items()),
        }


def problems() -> Iterator[Problem]:
    """Every kernel at ImageNet-1k's size."""
    losses = empty_tile(CHECKPOINTS, SAMPLES, torch.float16, "cpu").zero_()
    number = SAMPLES * CHECKPOINTS
    for signal in ("difference", "loss"):
        call = group_call(losses, signal)
        yield Problem(f"group_correlation, {signal}", call, SAMPLES, number, "loss")
    for signal in ("difference", "loss"):
        call = online_call(losses[2], signal)
        yield Problem(f"online_update, {signal}", call, SAMPLES, SAMPLES, "sample")
    for queries, kernel in ((128, pair_correlation), (50_000, partial(pair_topk, k=10))):
        val = empty_tile(CHECKPOINTS, queries, torch.float16, "cpu").zero_()
        call = partial(kernel, losses, val, signal="difference", backend="gpu")
        name = "pair_correlation" if kernel is pair_correlation else "pair_topk, k = 10"
        pairs = SAMPLES * queries * (CHECKPOINTS - 1)
        yield Problem(f"{name}, {queries:,} queries", call, SAMPLES, pairs, "pair of values")
    count = partial(count_missing, losses, backend="gpu")
    yield Problem("count_missing", count, SAMPLES, number, "loss")
    pairs: dict[str, Any] = {"signal": "difference", "backend": "gpu"}
    matrix = partial(pair_correlation, losses, losses[:, :ROWS], **pairs)
    yield Problem(f"pair_correlation, {ROWS} queries", matrix, SAMPLES, SAMPLES * ROWS, "pair")
    for k in (10, 100):
        search = partial(pair_topk, losses, losses[:, :QUERIES], k, **pairs)
        name = f"pair_topk, {QUERIES:,} queries, k = {k}"
        yield Problem(name, search, SAMPLES, SAMPLES * QUERIES, "pair")


def group_call(losses: torch.Tensor, signal: Any) -> Callable[[], Any]:
    """Return a call of `group_correlation` with as many groups as ImageNet-1k has."""
    references = np.random.default_rng(0).random((GROUPS, len(losses)))
    prepared = prepare_references(references, signal=signal)
    groups = torch.zeros(losses.shape[1], dtype=torch.int32)
    return partial(group_correlation, losses, prepared, groups, signal=signal, backend="gpu")


def online_call(losses: torch.Tensor, signal: Any) -> Callable[[], Any]:
    """Return a call of `online_update`, of a checkpoint that isn't the first."""
    groups = torch.zeros(len(losses), dtype=torch.int32)

    def call() -> None:
        state = online_state(len(losses), GROUPS, signal=signal, backend="gpu", device="cpu")
        state.references = state.references.step(np.zeros(GROUPS)).after
        online_update(state, losses, np.ones(GROUPS), groups, signal=signal)

    return call


def need(found: list[Launch], compiled: Mapping[str, Compiled]) -> Need:
    """Add up what launches move and do, by the forms that they launch."""
    total, memory = Traffic(), 0
    for launch in found:
        one = traffic(compiled[launch.form].texts["ttir"], launch.integers)
        total.add(one, launch.programs)
        memory += sum(
            min(number * launch.programs, launch.sizes[name])
            for moved in (one.loaded, one.stored)
            for name, number in moved.items()
        )
    return Need(total, memory)


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
            needed = need(found, compiled[name])
            total, times = needed.total, needed.times(target)
            bytes_asked = total.loaded.total() + total.stored.total()
            operations = total.operations.total() + 2 * total.multiplied.total()
            table.add(
                problem.name,
                name,
                str(len(found)),
                f"{bytes_asked / problem.samples:,.1f}",
                f"{needed.memory / problem.samples:,.1f}",
                f"{operations / problem.elements:,.1f} per {problem.element}",
                *(rounded(times[key]) for key in ("memory", "vector units", "tensor cores")),
                f"{rounded(max(times.values()))}, {max(times, key=times.__getitem__)}",
            )
    table.note(
        "Bytes that programs ask for, and of those what must come from memory or go there: each "
        "argument of a launch once. Operations are those of the code, a multiply-add being two. "
        "Times are these over the rates of the data sheets; reading arguments again past the "
        "caches, integer work and waiting are not in them."
    )
    return table


def rounded(seconds: float) -> str:
    """State a time in microseconds, so that no plot takes it for a measured one; or nothing.

    Examples
    --------
    >>> rounded(0.0000712), rounded(0.0373), rounded(0.0)
    ('71.2 µs', '37,300 µs', '')
    """
    number = 1e6 * seconds
    return f"{number:,.0f} µs" if number >= 1000 else f"{number:.3g} µs" if seconds else ""
