"""Triton's intermediate code (TTIR) as operations, with what can be told of each by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

BITS = re.compile(r"(?:bf|f|i|ui|si)(\d+)|f8\w*")
POINTERS = re.compile(r"!tt\.ptr<([^<>]+)>")
TENSOR = re.compile(r"tensor<((?:\d+x)+)([^<>,]*)")
NAME = r"%[\w$.-]+(?:#\d+)?"
LOOP = re.compile(rf"scf\.for ({NAME}) = ({NAME}) to ({NAME}) step ({NAME})")
# Floating-point operations that one of each is, for every element.
ARITHMETIC = {
    "arith.addf": 1,
    "arith.subf": 1,
    "arith.mulf": 1,
    "arith.divf": 1,
    "tt.precise_divf": 1,
    "tt.precise_sqrt": 1,
    "math.sqrt": 1,
    "math.fma": 2,
}


@dataclass
class Operation:
    """A line of the code, with the lines that it encloses.

    Attributes
    ----------
    results : list of str
        Names that it gives.
    kind, text : str
        Its name, and all of it but its results.
    inside, otherwise : list of Operation
        Its first region and its second.
    """

    results: list[str]
    kind: str
    text: str
    inside: list["Operation"] = field(default_factory=list)
    otherwise: list["Operation"] = field(default_factory=list)

    @cached_property
    def operands(self) -> list[str]:
        """Names that it takes, in their order."""
        text = self.text.partition("->")[0] if self.kind == "scf.if" else self.text
        return re.findall(NAME, text.partition(" : ")[0])

    @cached_property
    def flag(self) -> str:
        """The word after its name: an axis, or how to compare."""
        return self.text.split()[1].rstrip(",")

    @cached_property
    def constant(self) -> int | None:
        """The integer that it is, if that is what it is."""
        found = re.match(r"arith\.constant (?:dense<)?(-?\d+|true|false)>? : ", self.text)
        if found is None:
            return None
        return int(found[1] == "true") if found[1] in ("true", "false") else int(found[1])

    @cached_property
    def loop(self) -> tuple[str, list[str], list[tuple[str, str]]]:
        """Of a loop: its variable, its bounds and step, and what it carries and from where."""
        head = LOOP.match(self.text)
        if head is None:
            raise ValueError(f"can't read {self.text}")
        carried = re.search(r"iter_args\((.*?)\)", self.text)
        names = re.findall(rf"({NAME}) = ({NAME})", carried[1]) if carried else []
        return head[1], list(head.groups()[1:]), names

    @cached_property
    def moved(self) -> int | None:
        """Bytes that it loads or stores, none of them masked."""
        kind = self.text.rpartition(" : ")[2]
        pointer, tensor = POINTERS.search(kind), TENSOR.search(kind)
        if pointer is None:
            return None
        return (_count(tensor[1]) if tensor else 1) * _bytes(pointer[1])

    @cached_property
    def multiplied(self) -> tuple[str, int]:
        """Of a product of matrices: the type of the operands, and how many multiplications."""
        found = re.search(r"tensor<(\d+)x(\d+)x(\w+)> \* tensor<\d+x(\d+)x", self.text)
        if found is None:
            raise ValueError(f"can't tell the shape of {self.text}")
        precision = re.search(r"inputPrecision = (\w+)", self.text)
        kind = f"f32, {precision[1]}" if found[3] == "f32" and precision else found[3]
        return kind, int(found[1]) * int(found[2]) * int(found[4])

    @cached_property
    def arithmetic(self) -> tuple[str, int] | None:
        """Type and number of the floating-point operations on a tensor, if it is such."""
        found = TENSOR.search(self.text) if self.kind in ARITHMETIC else None
        return (found[2], ARITHMETIC[self.kind] * _count(found[1])) if found else None


def parse(ttir: str) -> tuple[list[tuple[str, str]], list[Operation]]:
    """Arguments of the one function with their types, and its operations."""
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


def _count(shape: str) -> int:
    """Elements of a shape such as ``"128x64x"``."""
    return prod(map(int, shape.split("x")[:-1]))


def _bytes(kind: str) -> int:
    found = BITS.fullmatch(kind)
    if found is None:
        raise ValueError(f"unknown type {kind}")
    return max(int(found[1] or 8) // 8, 1)
