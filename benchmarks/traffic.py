"""What one program of a kernel moves and multiplies, read from its intermediate code (TTIR).

The code is walked as the program would walk it: integers that don't depend on memory are computed,
loops run as often as the arguments say, and a tensor has a value only where all of its elements
have the same. Every load and every store is traced to the argument that its addresses come from.
Masks are taken as full unless all of one is known to be false, so that the bytes are those of a
program with no samples to leave out. Loops and branches that depend on memory are left out, and
counted: so these are the least that a program does.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import fmod

from benchmarks.ttir import Operation, parse

# Results have the pointer, or the one value, of their first operand.
PASSING = {
    "tt.addptr",
    "tt.splat",
    "tt.broadcast",
    "tt.expand_dims",
    "tt.reshape",
    "tt.bitcast",
    "tt.trans",
    "tt.split",
    "tt.make_tensor_descriptor",
}
INTEGERS: dict[str, Callable[[int, int], int]] = {
    "arith.addi": lambda a, b: a + b,
    "arith.subi": lambda a, b: a - b,
    "arith.muli": lambda a, b: a * b,
    "arith.divsi": lambda a, b: int(a / b) if a * b < 0 else a // b,  # towards zero
    "arith.remsi": lambda a, b: int(fmod(a, b)),
    "arith.minsi": min,
    "arith.maxsi": max,
    "arith.andi": lambda a, b: a & b,
    "arith.ori": lambda a, b: a | b,
    "arith.shli": lambda a, b: a << b,
    "arith.shrsi": lambda a, b: a >> b,
}
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "slt": lambda a, b: a < b,
    "sle": lambda a, b: a <= b,
    "sgt": lambda a, b: a > b,
    "sge": lambda a, b: a >= b,
}
SAME = {"arith.extsi", "arith.extui", "arith.trunci", "arith.index_cast"}
AXES = {"x": 0, "y": 1, "z": 2}
LONG = 64  # steps beyond which a loop is walked in samples

Value = int | str | None  # a number, the argument that a pointer comes from, or unknown


@dataclass
class Traffic:
    """What one program does.

    Attributes
    ----------
    loaded, stored : Counter
        Bytes by argument; what atomic operations change counts as both.
    multiplied : Counter
        Multiplications on tensor cores by type of the operands, as ``"f16"`` or ``"f32, tf32"``.
    operations : Counter
        Floating-point operations on tensors outside of tensor cores, by type; a multiply-add is
        two.
    unknown : Counter
        Loops and branches that were left out.
    """

    loaded: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    multiplied: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Traffic", times: int) -> None:
        """Add so many times what another did."""
        for name, counter in vars(self).items():
            counter.update({key: n * times for key, n in getattr(other, name).items()})


def traffic(
    ttir: str, arguments: Mapping[str, int], program: tuple[int, int, int] = (0, 0, 0)
) -> Traffic:
    """Walk the code as one program, with the integers that the kernel was launched with.

    Raises
    ------
    ValueError
        Where memory is moved and it can't be told whose.
    """
    signature, body = parse(ttir)
    values: dict[str, Value] = {
        f"%{name}": name if "!tt.ptr" in kind else arguments.get(name) for name, kind in signature
    }
    walk = _Walk(values, program)
    walk.run(body)
    return walk.done


class _Walk:
    """The state of one program that is walked through."""

    def __init__(self, values: dict[str, Value], program: tuple[int, int, int]) -> None:
        self.values, self.program, self.done = values, program, Traffic()

    def run(self, operations: list[Operation]) -> list[Value]:
        """Go through operations; return what they yield."""
        for operation in operations:
            if operation.kind == "scf.yield":
                return self._values(operation.operands)
            if operation.kind == "scf.for":
                results = self._loop(operation)
            elif operation.kind == "scf.if":
                results = self._branch(operation)
            elif operation.kind == "scf.while":
                self.done.unknown[operation.text] += 1
                results = [None] * len(operation.results)
            else:
                results = [self._step(operation)] * len(operation.results)
            self.values.update(zip(operation.results, results, strict=False))
        return []

    def _values(self, names: list[str]) -> list[Value]:
        return [self.values.get(name) for name in names]

    def _branch(self, operation: Operation) -> list[Value]:
        (condition,) = self._values(operation.operands)
        if not isinstance(condition, int):
            self.done.unknown[operation.text] += 1
        return self.run(operation.inside if condition else operation.otherwise)

    def _loop(self, operation: Operation) -> list[Value]:
        variable, bounds, carried = operation.loop
        limits = self._values(bounds)
        values = self._values([initial for _, initial in carried])
        if not all(isinstance(limit, int) for limit in limits):
            self.done.unknown[operation.text] += 1
            return values
        steps = range(*limits)
        names = [variable, *(name for name, _ in carried)]
        if len(steps) > LONG and self._sampled(operation, steps, names, values):
            return [value if isinstance(value, str) else None for value in values]
        for step in steps:
            self.values.update(zip(names, [step, *values], strict=True))
            values = self.run(operation.inside)
        return values

    def _sampled(
        self, operation: Operation, steps: range, names: list[str], values: list[Value]
    ) -> bool:
        """Walk some steps of a long loop, and if they do the same, take all as one of them."""
        before, parts = self.done, []
        known = [value if isinstance(value, str) else None for value in values]
        for step in (steps[0], steps[1], steps[len(steps) // 2], steps[-1]):
            self.done = Traffic()
            self.values.update(zip(names, [step, *known], strict=True))
            self.run(operation.inside)
            parts.append(self.done)
        self.done = before
        alike = all(part == parts[0] for part in parts)
        if alike:
            self.done.add(parts[0], len(steps))
        return alike

    def _step(self, operation: Operation) -> Value:
        kind = operation.kind
        if kind in ("tt.load", "tt.descriptor_load"):
            self._move([self.done.loaded], operation, mask=1)
        elif kind in ("tt.store", "tt.descriptor_store"):
            self._move([self.done.stored], operation, mask=2)
        elif kind.startswith("tt.atomic"):
            self._move([self.done.loaded, self.done.stored], operation, mask=2)
        elif kind == "tt.dot":
            name, number = operation.multiplied
            self.done.multiplied[name] += number
        elif operation.arithmetic:
            name, number = operation.arithmetic
            self.done.operations[name] += number
        elif kind == "arith.constant":
            return operation.constant
        elif kind == "tt.get_program_id":
            return self.program[AXES[operation.flag]]
        elif kind in PASSING:
            return self.values.get(operation.operands[0])
        else:
            return self._compute(operation)
        return None

    def _compute(self, operation: Operation) -> Value:
        kind, operands = operation.kind, self._values(operation.operands)
        if kind == "arith.andi" and 0 in operands:
            return 0
        if not operands or not all(isinstance(operand, int) for operand in operands):
            return None
        if kind in SAME:
            return operands[0]
        if kind in INTEGERS:
            return int(INTEGERS[kind](*operands))
        if kind == "arith.cmpi" and operation.flag in COMPARISONS:
            return int(COMPARISONS[operation.flag](*operands))
        if kind == "arith.select":
            return operands[1] if operands[0] else operands[2]
        return None

    def _move(self, counters: list[Counter[str]], operation: Operation, mask: int) -> None:
        operands = self._values(operation.operands)
        if operands[mask:][:1] == [0]:
            return
        argument = next((value for value in operands if isinstance(value, str)), None)
        if argument is None or operation.moved is None:
            raise ValueError(f"can't tell whose memory this is: {operation.text}")
        for counter in counters:
            counter[argument] += operation.moved
