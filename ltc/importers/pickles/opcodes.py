"""The opcodes of a pickle, one after the other, with long runs of numbers taken in one step.

Nothing is interpreted here. A file of losses is mostly three things, each of them a thousand times
in a row: a Python float is 9 bytes; an integer 2, 3 or 5; a NumPy scalar, from protocol 3 on, is
always the same bytes but for its value: two entries of the memo that are got, the function and the
dtype, the value, and three that are put. (Protocol 3 numbers these: they count on by three.)
"""

from __future__ import annotations

import re
from functools import cache
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ltc.importers.pickles.window import MARGIN, WITHOUT_ARGUMENT, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ltc.importers.pickles.window import Token

__all__ = ["NUMBERS", "SCALARS", "ScalarRun", "tokens"]

NUMBERS: Final = 256
"""In place of an opcode: the argument is a list or an array of Python's numbers, all pushed."""
SCALARS: Final = 257
"""In place of an opcode: the argument is a :class:`ScalarRun`."""

SHORTEST_RUN: Final = 8  # below it, one opcode after the other is quicker
LONGEST_RUN: Final = 1024  # picklers write lists in batches of 1000

_SCALAR = re.compile(rb"(?:h(.)|j(.{4}))(?:h(.)|j(.{4}))C([\x01-\x10])", re.DOTALL)
_MEMOIZE = b"\x94"
_PUT = b"r"
_BETWEEN: Final = (b"", b"\x86", b"R")  # TUPLE2 and REDUCE, each of them followed by a put
_FLOAT = np.dtype([("opcode", "u1"), ("value", ">f8")])
_FLOAT_OPCODE, _STOP = ord("G"), ord(".")
_BYTE, _TWO_BYTES, _FOUR_BYTES = ord("K"), ord("M"), ord("J")
_INTEGERS = {
    opcode: np.dtype([("opcode", "u1"), ("value", value)])
    for opcode, value in ((_BYTE, "u1"), (_TWO_BYTES, "<u2"), (_FOUR_BYTES, "<i4"))
}
_GETS = (ord("h"), ord("j"))


class ScalarRun(NamedTuple):
    """NumPy scalars in a row; each puts its bytes, its arguments and itself into the memo."""

    function: int  # where in the memo
    dtype: int  # where in the memo
    puts: int | None  # where in the memo the first entry goes, None for behind the last
    values: NDArray[np.uint8]  # [scalar, byte]


def tokens(file: IO[bytes]) -> Iterator[Token]:
    """Read the opcodes of one pickle, which must fill the file.

    Parameters
    ----------
    file : binary file
        Can be sought in.

    Yields
    ------
    opcode : int
        A byte of the file, `NUMBERS` or `SCALARS`.
    argument : object
        Bytes, a text, a number, a long string's Span; None for an opcode without.
    position : int
        Of the opcode in the file.

    Raises
    ------
    SourceFormatError
        The file ends too early or goes on after the pickle, or has an opcode that isn't admitted.
    """
    window = Window(file)
    opcode = None
    while opcode != _STOP:
        if len(window.data) - window.at < MARGIN:
            window.fill()
        data, at, position = window.data, window.at, window.position
        opcode = data[at] if at < len(data) else None
        values: Any = ()
        if opcode == _FLOAT_OPCODE:
            values, window.at = _floats(data, at)
        elif opcode in _INTEGERS:
            values, window.at = _integers(data, at)
        elif opcode in _GETS and (found := _scalars(data, at)) is not None:
            run, window.at = found
            yield SCALARS, run, position
            continue
        if len(values):
            yield NUMBERS, values, position
        elif opcode in WITHOUT_ARGUMENT:
            window.at += 1
            yield opcode, None, position
        else:
            yield window.opcode()
    if window.left():
        raise window.error(
            f"the file must hold one pickle, got {window.left():,} bytes more after its end"
        )


def _equal_opcodes(data: bytes, at: int, layout: np.dtype[Any]) -> NDArray[Any]:
    """Return the arguments of consecutive opcodes of one kind that the data hold whole."""
    count = min((len(data) - at) // layout.itemsize, LONGEST_RUN)
    records = np.frombuffer(data, layout, count, at)
    return records["value"][: _equal_to_first(records["opcode"])]


def _equal_to_first(values: NDArray[Any]) -> int:
    """Return how many values from the beginning on are the same."""
    others = values != values[:1]
    return int(others.argmax()) if others.any() else values.size


def _floats(data: bytes, at: int) -> tuple[list[float] | NDArray[np.float64], int]:
    """Return the values of consecutive BINFLOAT, and where they end."""
    values = _equal_opcodes(data, at, _FLOAT).astype(np.float64)
    end = at + _FLOAT.itemsize * values.size
    return (values if values.size >= SHORTEST_RUN else values.tolist()), end


def _integers(data: bytes, at: int) -> tuple[list[int] | NDArray[np.int64], int]:
    """Return the values of consecutive BININT1, BININT2 and BININT, and where they end."""
    layout = _INTEGERS[data[at]]
    values = _equal_opcodes(data, at, layout)
    if values.size >= SHORTEST_RUN:
        return values.astype(np.int64), at + layout.itemsize * values.size
    mixed: list[int] = []
    last = len(data) - 5
    while at <= last and len(mixed) < LONGEST_RUN:
        opcode = data[at]
        if opcode == _BYTE:
            mixed.append(data[at + 1])
            at += 2
        elif opcode == _TWO_BYTES:
            mixed.append(data[at + 1] | data[at + 2] << 8)
            at += 3
        elif opcode == _FOUR_BYTES:
            mixed.append(int.from_bytes(data[at + 1 : at + 5], "little", signed=True))
            at += 5
        else:
            break
    return (np.array(mixed) if len(mixed) >= SHORTEST_RUN else mixed), at


def _scalars(data: bytes, at: int) -> tuple[ScalarRun, int] | None:
    """Return NumPy scalars in a row and where they end, None if there are few or none."""
    first = _SCALAR.match(data, at)
    if first is None:
        return None
    begin, size = len(first[0]), first[5][0]
    put = data[at + begin + size : at + begin + size + 1]
    if put not in (_MEMOIZE, _PUT):
        return None
    layout = _scalar_layout(begin, size, put)
    count = min((len(data) - at) // layout.itemsize, LONGEST_RUN)
    last = at + (SHORTEST_RUN - 1) * layout.itemsize
    if count < SHORTEST_RUN or data[last : last + begin] != first[0]:
        return None
    records = np.frombuffer(data, layout, count, at)
    count = _equal_to_first(records["begin"])
    for k, between in enumerate(_BETWEEN):
        same = records[f"put{k}"][:count] == between + put
        if put == _PUT:
            expected = int(records["index0"][0]) + k + 3 * np.arange(count)
            same &= records[f"index{k}"][:count] == expected
        count = count if same.all() else int(same.argmin())
    if count < SHORTEST_RUN:
        return None
    function, dtype = (int.from_bytes(first[k] or first[k + 1], "little") for k in (1, 3))
    puts = int(records["index0"][0]) if put == _PUT else None
    run = ScalarRun(function, dtype, puts, records["value"][:count])
    return run, at + layout.itemsize * count


@cache
def _scalar_layout(begin: int, size: int, put: bytes) -> np.dtype[Any]:
    # As strings, which NumPy compares quickly; none can end in a zero, which would not count.
    parts: list[Any] = [("begin", f"S{begin}"), ("value", "u1", (size,))]
    for k, between in enumerate(_BETWEEN):
        parts.append((f"put{k}", f"S{len(between + put)}"))
        if put == _PUT:
            parts.append((f"index{k}", "<u4"))
    return np.dtype(parts)
