"""The bytes of a pickle from a moving position on, and how the argument of each opcode is read."""

from __future__ import annotations

import codecs
import pickletools
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

from ltc.errors import SourceFormatError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ADMITTED", "MARGIN", "NAMES", "WITHOUT_ARGUMENT", "Span", "Token", "Window"]

Token: TypeAlias = tuple[int, Any, int]
"""An opcode, its argument, and the position of its first byte in the file."""

SHORT: Final = 4096  # bytes; longer texts and byte strings stay where they are, as a Span
LONGEST_LINE: Final = 1 << 28  # bytes; what protocol 0 writes as text is in memory as a whole
LONGEST_NUMBER: Final = 64  # characters
CHUNK: Final = 1 << 20
MARGIN: Final = 1 << 16  # bytes that are at hand when an opcode is looked at
NAMES: Final = {ord(each.code): each.name for each in pickletools.opcodes}


@dataclass(frozen=True, slots=True)
class Span:
    """A byte string, or a text in UTF-8, that was left in its file."""

    file: IO[bytes]
    offset: int
    size: int


class Window:
    """The part of a file that is at hand, and the position in it.

    Attributes
    ----------
    data : bytes
        What is at hand.
    at : int
        The position in `data`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = file.seek(0, 2)
        self.data = b""
        self.at = 0
        self._base = file.seek(0)

    @property
    def position(self) -> int:
        """The position in the file."""
        return self._base + self.at

    def left(self) -> int:
        """Return how many bytes the file still has."""
        return self.size - self.position

    def fill(self, count: int = MARGIN) -> None:
        """Have at least so many bytes at hand, or all that are left."""
        if len(self.data) - self.at >= count or self._base + len(self.data) >= self.size:
            return
        rest = self.data[self.at :]
        self._base, self.at = self.position, 0
        self.data = rest + self.file.read(max(count - len(rest), CHUNK))
        if len(self.data) == len(rest):
            raise self.error("the file became shorter while it was read")

    def opcode(self) -> Token:
        """Read the opcode at the position, with its argument, and step over both.

        Raises
        ------
        SourceFormatError
            It is none of those in `ADMITTED`, its argument is none, or the file ends before.
        """
        position = self.position
        code = self.take(1)[0]
        read = ADMITTED.get(code)
        if read is None:
            self.at -= 1
            known = f"opcode {NAMES[code]}" if code in NAMES else f"0x{code:02x}"
            raise self.error(
                f"{known} is not admitted: a pickle of losses holds lists, tuples, dicts, numbers, "
                "strings and NumPy arrays, and nothing else is made of it"
            )
        try:
            return code, read(self), position
        except ValueError as error:
            if isinstance(error, SourceFormatError):
                raise
            raise SourceFormatError(
                f"{self.file.name}: byte {position:,}: {NAMES[code]}: {error}"
            ) from error

    def take(self, count: int) -> bytes:
        """Return the next bytes, and step over them."""
        if count > len(self.data) - self.at:
            if count > self.left():
                raise self.error(f"the pickle ends too early: {count:,} more bytes are needed")
            self.fill(count)
        self.at += count
        return self.data[self.at - count : self.at]

    def line(self) -> bytes:
        """Return the bytes up to the end of the line, and step over it."""
        found, wanted = -1, MARGIN
        while found < 0:
            self.fill(wanted)
            found = self.data.find(b"\n", self.at)
            if found < 0 and (wanted > LONGEST_LINE or len(self.data) - self.at < wanted):
                raise self.error(f"a line must end within {LONGEST_LINE:,} bytes, and in the file")
            wanted *= 4
        text = self.data[self.at : found]
        self.at = found + 1
        return text

    def string(self, size: int) -> bytes | Span:
        """Return a byte string, or where it is if it is long; step over it."""
        if size <= SHORT:
            return self.take(size)
        if size > self.left():
            raise self.error(f"the pickle ends too early: {size:,} more bytes are needed")
        span = Span(self.file, self.position, size)
        self._base = self.file.seek(self.position + size)
        self.data, self.at = b"", 0
        return span

    def error(self, message: str) -> SourceFormatError:
        """Return an error that says where it was found."""
        return SourceFormatError(f"{self.file.name}: byte {self.position:,}: {message}")


def _nothing(_window: Window) -> None:
    return None


def _packed(layout: str) -> Callable[[Window], Any]:
    form = struct.Struct(layout)
    return lambda window: form.unpack(window.take(form.size))[0]


def _string(size: str) -> Callable[[Window], bytes | Span]:
    read_size = _packed(size)
    return lambda window: window.string(read_size(window))


def _text(size: str) -> Callable[[Window], str | Span]:
    read_string = _string(size)

    def read(window: Window) -> str | Span:
        found = read_string(window)
        return found if isinstance(found, Span) else found.decode("utf-8", "surrogatepass")

    return read


def _old_string(size: str) -> Callable[[Window], str]:
    """Return a reader of Python 2's strings: a character is a byte."""
    read_size = _packed(size)

    def read(window: Window) -> str:
        count = read_size(window)
        if count < 0:
            raise ValueError(f"a size must not be negative, got {count}")
        return window.take(count).decode("latin-1")

    return read


def _quoted(window: Window) -> str:
    text = window.line().strip()
    if len(text) < 2 or text[:1] not in b"'\"" or text[-1:] != text[:1]:
        raise ValueError("a string must be in quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")


def _unicode_line(window: Window) -> str:
    return window.line().decode("raw-unicode-escape")


def _number(window: Window) -> bytes:
    text = window.line()
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number must have at most {LONGEST_NUMBER} characters")
    return text


def _integer(window: Window) -> int | bool:
    text = _number(window)
    return text == b"01" if text in (b"00", b"01") else _in_64_bits(int(text))


def _long_integer(window: Window) -> int:
    return _in_64_bits(int(_number(window).removesuffix(b"L")))


def _float(window: Window) -> float:
    return float(_number(window))


def _binary_integer(size: str) -> Callable[[Window], int]:
    read_size = _packed(size)

    def read(window: Window) -> int:
        count = read_size(window)
        if not 0 <= count <= LONGEST_NUMBER:
            raise ValueError(f"an integer must fit into 64 bits, got one of {count} bytes")
        return _in_64_bits(int.from_bytes(window.take(count), "little", signed=True))

    return read


def _in_64_bits(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"an integer must fit into 64 bits, got {value}")
    return value


def _index(window: Window) -> int:
    value = int(_number(window))
    if value < 0:
        raise ValueError(f"a position in the memo must not be negative, got {value}")
    return value


def _global(window: Window) -> tuple[str, str]:
    return window.line().decode(), window.line().decode()


ADMITTED: Final[dict[int, Callable[[Window], Any]]] = {
    ord(opcode): read
    for opcodes, read in (
        # The frame, lists, tuples, dicts, constants, and what is called for NumPy's objects.
        ("(.]ael)t\x85\x86\x87}sudN\x88\x89\x93Rb\x94", _nothing),
        ("\x80", _packed("B")),
        ("\x95", _packed("<Q")),
        ("c", _global),
        # Numbers.
        ("I", _integer),
        ("L", _long_integer),
        ("F", _float),
        ("G", _packed(">d")),
        ("K", _packed("B")),
        ("M", _packed("<H")),
        ("J", _packed("<i")),
        ("\x8a", _binary_integer("B")),
        ("\x8b", _binary_integer("<i")),
        # Strings.
        ("S", _quoted),
        ("T", _old_string("<i")),
        ("U", _old_string("B")),
        ("V", _unicode_line),
        ("\x8c", _text("B")),
        ("X", _text("<I")),
        ("\x8d", _text("<Q")),
        ("C", _string("B")),
        ("B", _string("<I")),
        ("\x8e", _string("<Q")),
        ("\x96", _string("<Q")),
        # The memo.
        ("pg", _index),
        ("qh", _packed("B")),
        ("rj", _packed("<I")),
    )
    for opcode in opcodes
}
"""How the argument of each opcode is read that lists, numbers and NumPy arrays are made with."""

WITHOUT_ARGUMENT: Final = frozenset(opcode for opcode, read in ADMITTED.items() if read is _nothing)
"""Those of them that have none."""
