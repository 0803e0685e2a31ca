"""What one program of a kernel moves and multiplies, read from its intermediate code (TTIR).

The code is walked as the program would walk it: integers that don't depend on memory are computed,
loops run as often as the arguments say, and a tensor has a value only where all of its elements
have the same. Every load and every store is traced to the argument that its addresses come from.
Masks are taken as full unless all of one is known to be false, so that the bytes are those of a
program with no samples to leave out. Loops and branches that depend on memory are left out, and
counted: so these are the least that a program does.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import fmod, prod

BITS = re.compile(r"(?:bf|f|i|ui|si)(\d+)|f8\w*")
POINTERS = re.compile(r"!tt\.ptr<([^<>]+)>")
TENSOR = re.compile(r"tensor<((?:\d+x)+)([^<>,]*)")
NAME = r"%[\w$.-]+(?:#\d+)?"
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
ARITHMETIC = {
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
OPERATIONS = {
    "arith.addf": 1,
    "arith.subf": 1,
    "arith.mulf": 1,
    "arith.divf": 1,
    "tt.precise_divf": 1,
    "tt.precise_sqrt": 1,
    "math.sqrt": 1,
    "math.fma": 2,
}
COMPARISONS = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "slt": lambda a, b: a < b,
    "sle": lambda a, b: a <= b,
    "sgt": lambda a, b: a > b,
    "sge": lambda a, b: a >= b,
}
SAME = {"arith.extsi", "arith.extui", "arith.trunci", "arith.index_cast"}
AXES = {"x": 0, "y": 1, "z": 2}

Value = int | str | None  # a number, the argument that a pointer comes from, or unknown


@dataclass
class Operation:
    """A line of the code, with the lines that it encloses."""

    results: list[str]
    kind: str
    text: str
    inside: list["Operation"] = field(default_factory=list)
    otherwise: list["Operation"] = field(default_factory=list)


@dataclass(frozen=True)
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
    unknown : list of str
        Loops and branches that were left out.
    """

    loaded: Counter[str]
    stored: Counter[str]
    multiplied: Counter[str]
    operations: Counter[str]
    unknown: list[str]


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
    values: dict[str, Value] = {}
    for name, kind in signature:
        values[f"%{name}"] = name if "!tt.ptr" in kind else arguments.get(name)
    walk = _Walk(values, program)
    walk.run(body)
    return Traffic(walk.loaded, walk.stored, walk.multiplied, walk.operations, walk.unknown)


def parse(ttir: str) -> tuple[list[tuple[str, str]], list[Operation]]:
    """Arguments with their types, and the operations of the one function."""
    lines = iter([_bare(line) for line in ttir.splitlines()])
    head = next(line for line in lines if line.startswith("tt.func"))
    signature = re.findall(r"%(\w+): ([^,{)]+)", head)
    return signature, list(_operations(lines))


def _bare(line: str) -> str:
    """A line without what says where it comes from."""
    return re.sub(r"\s*loc\((?:[^()]|\([^()]*\))*\)", "", line).strip()


def _operations(lines: Iterator[str]) -> Iterator[Operation]:
    """Operations up to the brace that closes their region."""
    for line in lines:
        if line.startswith("}"):
            if line.startswith(("} else", "} do")):
                yield Operation([], "else", line)  # a second region of the same operation
            return
        if not line or line.startswith(("#", "^")):
            continue
        left, equals, right = line.partition(" = ") if line.startswith("%") else ("", "", line)
        results = re.findall(r"%[\w$.-]+", left) if equals else []
        if number := re.search(r":(\d+)$", left):
            results = [f"{results[0]}#{i}" for i in range(int(number[1]))]
        kind = right.split()[0].partition("(")[0].strip('"')
        operation = Operation(results, kind, right)
        if right.endswith("{"):
            operation.inside = list(_operations(lines))
            if operation.inside and operation.inside[-1].kind == "else":
                operation.inside.pop()
                operation.otherwise = list(_operations(lines))
        yield operation


class _Walk:
    """The state of one program that is walked through."""

    def __init__(self, values: dict[str, Value], program: tuple[int, int, int]) -> None:
        self.values, self.program = values, program
        self.loaded: Counter[str] = Counter()
        self.stored: Counter[str] = Counter()
        self.multiplied: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.unknown: list[str] = []

    def run(self, operations: list[Operation]) -> list[Value]:
        """Go through operations; return what they yield."""
        for operation in operations:
            if operation.kind == "scf.yield":
                return self._operands(operation.text)
            if operation.kind == "scf.for":
                results = self._loop(operation)
            elif operation.kind == "scf.if":
                results = self._branch(operation)
            elif operation.kind == "scf.while":
                self.unknown.append(operation.text)
                results = [None] * len(operation.results)
            else:
                results = [self._step(operation)] * len(operation.results)
            self.values.update(zip(operation.results, results, strict=False))
        return []

    def _operands(self, text: str) -> list[Value]:
        return [self._value(name) for name in re.findall(NAME, text.partition(" : ")[0])]

    def _value(self, name: str) -> Value:
        return self.values.get(name)

    def _loop(self, operation: Operation) -> list[Value]:
        head = re.match(rf"scf\.for ({NAME}) = ({NAME}) to ({NAME}) step ({NAME})", operation.text)
        bounds = [self._value(name) for name in head.groups()[1:]] if head else [None]
        carried = re.search(r"iter_args\((.*?)\)", operation.text)
        names = re.findall(rf"({NAME}) = ({NAME})", carried[1]) if carried else []
        values = [self._value(initial) for _, initial in names]
        if not all(isinstance(bound, int) for bound in bounds):
            self.unknown.append(operation.text)
            return values
        for step in range(*bounds):
            self.values[head[1]] = step
            self.values.update(zip((name for name, _ in names), values, strict=True))
            values = self.run(operation.inside)
        return values

    def _branch(self, operation: Operation) -> list[Value]:
        (condition,) = self._operands(operation.text.partition("->")[0].rstrip("{"))
        if not isinstance(condition, int):
            self.unknown.append(operation.text)
        return self.run(operation.inside if condition else operation.otherwise)

    def _step(self, operation: Operation) -> Value:
        kind, text = operation.kind, operation.text
        if kind in ("tt.load", "tt.descriptor_load"):
            self._move(self.loaded, text)
        elif kind in ("tt.store", "tt.descriptor_store"):
            self._move(self.stored, text)
        elif kind.startswith("tt.atomic"):
            self._move(self.loaded, text)
            self._move(self.stored, text)
        elif kind == "tt.dot":
            self._multiply(text)
        elif kind in OPERATIONS and (found := TENSOR.search(text)):
            self.operations[found[2]] += OPERATIONS[kind] * _count(found[1])
        elif kind == "arith.constant":
            found = re.match(r"arith\.constant (?:dense<)?(-?\d+|true|false)>? : ", text)
            return None if found is None else _integer(found[1])
        elif kind == "tt.get_program_id":
            return self.program[AXES[text.split()[1]]]
        elif kind in PASSING:
            return self._operands(text)[0]
        else:
            return self._compute(kind, text)
        return None

    def _compute(self, kind: str, text: str) -> Value:
        operands = self._operands(text)
        if kind == "arith.andi" and 0 in operands:
            return 0
        if not all(isinstance(operand, int) for operand in operands):
            return None
        if kind in SAME:
            return operands[0]
        if kind in ARITHMETIC:
            return int(ARITHMETIC[kind](*operands))
        if kind == "arith.cmpi":
            return int(COMPARISONS[text.split()[1].rstrip(",")](*operands))
        if kind == "arith.select":
            return operands[1] if operands[0] else operands[2]
        return None

    def _move(self, counter: Counter[str], text: str) -> None:
        operands = self._operands(text)
        names = [value for value in operands if isinstance(value, str)]
        mask = operands[(1 if "load" in text.split()[0] else 2) :][:1]
        if mask == [0]:
            return
        kind = text.rpartition(" : ")[2]
        pointer, shape = POINTERS.search(kind), TENSOR.search(kind)
        if not names or pointer is None:
            raise ValueError(f"can't tell whose memory this is: {text}")
        counter[names[0]] += (_count(shape[1]) if shape else 1) * _bytes(pointer[1])

    def _multiply(self, text: str) -> None:
        found = re.search(r"tensor<(\d+)x(\d+)x(\w+)> \* tensor<\d+x(\d+)x", text)
        if found is None:
            raise ValueError(f"can't tell the shape of {text}")
        precision = re.search(r"inputPrecision = (\w+)", text)
        kind = f"f32, {precision[1]}" if found[3] == "f32" and precision else found[3]
        self.multiplied[kind] += int(found[1]) * int(found[2]) * int(found[4])


def _count(shape: str) -> int:
    """Elements of a shape such as ``"128x64x"``."""
    return prod(map(int, shape.split("x")[:-1]))


def _integer(text: str) -> int:
    return int(text == "true") if text in ("true", "false") else int(text)


def _bytes(kind: str) -> int:
    found = BITS.fullmatch(kind)
    if found is None:
        raise ValueError(f"unknown type {kind}")
    return max(int(found[1] or 8) // 8, 1)
