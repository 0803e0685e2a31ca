"""Instructions of a compiled kernel and the loops among them: NVIDIA's SASS and AMD's assembly.

A kernel for which there is no GPU here can still be read. `sass` takes the JSON that ``nvdisasm``
prints and `amdgcn` the text that LLVM writes; both give a `Code`, of which the rest of the
benchmarks asks the same questions for every target.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

SASS_WIDTHS = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16, "256": 32}
AMD_WIDTHS = {
    "ubyte": 1,
    "sbyte": 1,
    "ushort": 2,
    "sshort": 2,
    "short": 2,
    "byte": 1,
    "dword": 4,
    "dwordx2": 8,
    "dwordx3": 12,
    "dwordx4": 16,
}
# Opcodes by what they do. Of SASS's, "LDGSTS" copies from global to shared memory past registers.
SASS = {
    "load": re.compile(r"(LDG|LDGSTS|LD)(\.|$)"),
    "store": re.compile(r"(STG|ST)(\.|$)"),
    "atomic": re.compile(r"(ATOM|ATOMG|RED|REDG)(\.|$)"),
    "bulk": re.compile(r"(UBLKCP|UTMALDG|UTMASTG)(\.|$)"),
    "local": re.compile(r"(LDL|STL)(\.|$)"),
    "matrix": re.compile(r"(HMMA|HGMMA|QGMMA|IMMA|DMMA|UTC[A-Z]*MMA)(\.|$)"),
}
AMD = {
    "load": re.compile(r"(global|buffer|flat)_load_"),
    "store": re.compile(r"(global|buffer|flat)_store_"),
    "atomic": re.compile(r"(global|buffer|flat)_atomic_"),
    "bulk": re.compile(r"(?!)"),
    "local": re.compile(r"scratch_"),
    "matrix": re.compile(r"v_mfma_"),
}
SASS_MATRIX = re.compile(r"H(?:G?)MMA\.(\d+x\d+x\d+|\d+)")
AMD_MATRIX = re.compile(r"v_mfma_f32_(\d+)x(\d+)x(\d+)")
SMALL_SASS_SHAPES = {"16816": (16, 8, 16), "1688": (16, 8, 8), "1684": (16, 8, 4)}


@dataclass(frozen=True)
class Instruction:
    """One instruction: what it is, what it works on, and where it may lead.

    Attributes
    ----------
    opcode, operands : str
        As the disassembler spells them.
    target : int or None
        Position of the instruction that a branch leads to.
    falls_through : bool
        Whether the next instruction may follow it.
    """

    opcode: str
    operands: str = ""
    target: int | None = None
    falls_through: bool = True


@dataclass(frozen=True)
class Code:
    """The instructions of one kernel.

    Attributes
    ----------
    instructions : tuple of Instruction
        In the order of their addresses.
    vendor : {"nvidia", "amd"}
        Whose they are.
    """

    instructions: tuple[Instruction, ...]
    vendor: str

    def positions(self, kind: str) -> list[int]:
        """Where the instructions of a kind are: load, store, atomic, local, matrix, ..."""
        pattern = (SASS if self.vendor == "nvidia" else AMD)[kind]
        return [i for i, one in enumerate(self.instructions) if pattern.match(one.opcode)]

    def count(self, kind: str, where: frozenset[int] | None = None) -> int:
        """How many instructions of a kind there are, in some places or everywhere."""
        return sum(where is None or i in where for i in self.positions(kind))

    def opcodes(self, kind: str) -> Counter[str]:
        """How often each opcode of a kind occurs."""
        return Counter(self.instructions[i].opcode for i in self.positions(kind))

    def widths(self, kind: str, where: frozenset[int] | None = None) -> Counter[int]:
        """How often each number of bytes per thread is loaded from global memory, or stored."""
        found = (i for i in self.positions(kind) if where is None or i in where)
        return Counter(width(self.instructions[i].opcode) for i in found)

    @cached_property
    def loops(self) -> list[frozenset[int]]:
        """Natural loops, each the positions of its instructions, inner ones first."""
        return natural_loops(self.instructions)


def sass(text: str) -> Code:
    """Read what ``nvdisasm --emit-json`` prints: the kernel comes first, then what it calls."""
    functions = json.loads(text)[1]
    first = functions[0]["start"]
    instructions = []
    for function in functions:
        for one in function["sass-instructions"]:
            opcode, operands = one["opcode"], one.get("operands", "")
            jumps = re.match(r"(BRA|CALL|JMP)(\.|$)", opcode)
            address = re.search(r"(?:^|,)0x([0-9a-f]+)$", operands) if jumps else None
            # A call that leads out of the kernel comes back, if it is not a trap.
            always = opcode.startswith(("BRA", "JMP", "EXIT", "RET")) and not (
                "predicate" in one or re.search(r"\bU?P\d", operands)
            )
            target = None if address is None else (int(address[1], 16) - first) // 16
            instructions.append(Instruction(opcode, operands, target, not always))
    return Code(tuple(instructions), "nvidia")


def amdgcn(text: str) -> Code:
    """Read the assembly of the one kernel of a module, up to where its instructions end."""
    lines: list[tuple[str, str]] = []
    labels: dict[str, int] = {}
    for raw in text.partition(".section\t.rodata")[0].splitlines():
        line = raw.partition(";")[0].strip()
        if label := re.fullmatch(r"([.\w$]+):", line):
            labels[label[1]] = len(lines)
        elif line and not line.startswith("."):
            opcode, _, operands = line.partition(" ")
            lines.append((opcode, operands.strip()))
    instructions = []
    for opcode, operands in lines:
        jumps = re.match(r"s_c?branch", opcode)
        ends = opcode in ("s_branch", "s_endpgm", "s_setpc_b64")
        target = labels[operands] if jumps else None
        instructions.append(Instruction(opcode, operands, target, not ends))
    return Code(tuple(instructions), "amd")


def width(opcode: str) -> int:
    """Bytes per thread that a load or a store of global memory moves.

    Examples
    --------
    >>> [width(opcode) for opcode in ("LDG.E.128", "LDG.E.LTC128B", "global_load_dwordx4")]
    [16, 4, 16]
    """
    if opcode[0].isupper():
        return next((SASS_WIDTHS[part] for part in opcode.split(".") if part in SASS_WIDTHS), 4)
    parts = opcode.split("_")[2:]
    return next(AMD_WIDTHS[part] for part in parts if part in AMD_WIDTHS)


def matrix_shape(opcode: str) -> tuple[int, int, int] | None:
    """Rows, columns and inner size of a product that one instruction does, where its name says so.

    Examples
    --------
    >>> matrix_shape("HMMA.16816.F32"), matrix_shape("v_mfma_f32_32x32x8_f16")
    ((16, 8, 16), (32, 32, 8))
    """
    if found := AMD_MATRIX.match(opcode):
        return int(found[1]), int(found[2]), int(found[3])
    if found := SASS_MATRIX.match(opcode):
        if found[1] in SMALL_SASS_SHAPES:
            return SMALL_SASS_SHAPES[found[1]]
        rows, columns, inner = map(int, found[1].split("x"))
        return rows, columns, inner
    return None


def natural_loops(instructions: tuple[Instruction, ...]) -> list[frozenset[int]]:
    """Loops of a control flow graph: what leads back to a place that comes before it on every way.

    Code that the compiler moves out of line jumps back too, and is no loop: the place that it
    returns to can be reached without it and it without that place.
    """
    blocks = _blocks(instructions)
    dominators = _dominators(blocks)
    before: dict[int, list[int]] = {start: [] for start in blocks}
    for start, (_, followers) in blocks.items():
        for follower in followers:
            before[follower].append(start)
    loops: dict[int, set[int]] = {}
    for start, (_, followers) in blocks.items():
        for header in followers:
            if header in dominators.get(start, ()):
                loops.setdefault(header, {header}).update(_reaching(start, header, before))
    found = (
        frozenset(i for start in members for i in range(start, blocks[start][0]))
        for members in loops.values()
    )
    return sorted(found, key=len)


def _blocks(instructions: tuple[Instruction, ...]) -> dict[int, tuple[int, list[int]]]:
    """Basic blocks: where each starts, where it ends, and which may follow."""
    count = len(instructions)
    starts = {0}
    for i, one in enumerate(instructions):
        if one.target is not None:
            starts |= {one.target}
        if one.target is not None or not one.falls_through:
            starts |= {i + 1}
    ordered = [*sorted(start for start in starts if 0 <= start < count), count]
    blocks = {}
    for start, end in pairwise(ordered):
        last = instructions[end - 1]
        following = [last.target] if last.target in starts else []
        if last.falls_through and end < count:
            following.append(end)
        blocks[start] = (end, [place for place in following if place is not None])
    return blocks


def _dominators(blocks: dict[int, tuple[int, list[int]]]) -> dict[int, set[int]]:
    """Of every block that can be reached, those that lie on all ways to it."""
    dominators: dict[int, set[int]] = {0: {0}}
    changed = True
    while changed:
        changed = False
        for start in sorted(dominators):
            for follower in blocks[start][1]:
                known = dominators.get(follower)
                passed = dominators[start] | {follower}
                updated = passed if known is None else (known & passed) | {follower}
                if updated != known:
                    dominators[follower] = updated
                    changed = True
    return dominators


def _reaching(start: int, header: int, before: dict[int, list[int]]) -> Iterator[int]:
    """Blocks from which ``start`` is reached without passing the header."""
    seen, waiting = {header}, [start]
    while waiting:
        block = waiting.pop()
        if block not in seen:
            seen.add(block)
            yield block
            waiting += before[block]
