"""What is made of a pickle of losses: lists whose numbers are on disk, arrays left in the file."""

from __future__ import annotations

import codecs
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.importers.pickles.window import Span
from ltc.importers.spool import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ltc.importers.spool import Spool

__all__ = ["Array", "Dtype", "Global", "Listed", "Run", "admitted", "call", "scalar"]

BATCH: Final = 4096  # numbers that wait to be put away together
TRANSCODED: Final = 1 << 20  # bytes of a long text at a time
_SMALL_INTEGERS: Final = (np.int8, np.int16, np.int32)
_ITEM_TYPES: Final = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {
    "b1",
    "f2",
    "f4",
    "f8",
}


class Run:
    """Many numbers that lie on the stack behind each other."""

    __slots__ = ("values",)

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values


class Listed:
    """A list, or a tuple of many items: its numbers are in the spool, all else is here."""

    __slots__ = ("_parts", "_pending", "_spool")

    def __init__(self, spool: Spool, items: Iterable[Any] = ()) -> None:
        self._spool = spool
        self._parts: list[Any] = []
        self._pending: list[Any] = []
        self.extend(items)

    @property
    def parts(self) -> list[Any]:
        """Segments of numbers, and items that are no numbers, in their order."""
        self._put_away()
        return self._parts

    def extend(self, items: Iterable[Any]) -> None:
        """Add items; a run counts as the numbers in it."""
        for item in items:
            if isinstance(item, Array) and item.elements is not None and item.shape == ():
                item = item.elements.read()[0]  # a number, as a sum over an array gives one
            if isinstance(item, int | float | np.generic):
                self._pending.append(item)
                if len(self._pending) == BATCH:
                    self._put_away()
            else:
                self._put_away()
                if isinstance(item, Run):
                    self._add(item.values)
                else:
                    self._parts.append(item)

    def _put_away(self) -> None:
        if self._pending:
            self._add(np.array(self._pending))
            self._pending.clear()

    def _add(self, values: NDArray[Any]) -> None:
        segment = self._spool.append(_smallest(values))
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Segment) and (last.end, last.dtype) == (segment.offset, segment.dtype):
            self._parts[-1] = last.part(0, last.count + segment.count)
        else:
            self._parts.append(segment)


class Dtype:
    """A NumPy dtype, from the moment on when it is called for; its byte order follows.

    Attributes
    ----------
    value : np.dtype
        As far as it is known.
    """

    def __init__(self, value: np.dtype[Any]) -> None:
        self.value = value

    @classmethod
    def call(cls, arguments: Sequence[Any]) -> Dtype:
        """Make what ``numpy.dtype(code, align, copy)`` makes."""
        match arguments:
            case (str(code), *_) if code.lstrip("<>|=") in _ITEM_TYPES:
                return cls(np.dtype(code))
        raise ValueError(f"a dtype must be of integers, floats or booleans, got {arguments!r:.60}")

    def build(self, state: object) -> None:
        """Take the byte order out of the pickled state."""
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, None, None, None, -1, -1, int()):
                self.value = self.value.newbyteorder(order)
            case _:
                raise ValueError(f"the state of a dtype must be a plain one, got {state!r:.60}")


class Array:
    """A NumPy array whose elements were left in the file, or put away.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    order : {"C", "F"}
        In which its elements lie.
    elements : Segment or None
        All elements; None while the array is called for but its state hasn't come.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.shape: tuple[int, ...] = ()
        self.order = "C"
        self.elements: Segment | None = None

    @classmethod
    def call(cls, spool: Spool, arguments: Sequence[Any]) -> Array:
        """Make what ``numpy._core.numeric._frombuffer(data, dtype, shape, order)`` makes."""
        match arguments:
            case (data, Dtype(value=dtype), tuple(shape), "C" | "F" as order):
                array = cls(spool)
                array._set(data, dtype, shape, order)
                return array
        raise ValueError("_frombuffer must be given data, a dtype, a shape and an order")

    def build(self, state: object) -> None:
        """Take the pickled state."""
        match state:
            case (int(), tuple(shape), Dtype(value=dtype), bool(fortran), data):
                self._set(data, dtype, shape, "F" if fortran else "C")
            case _:
                raise ValueError("the state of an array must have a shape, a dtype and data")

    def _set(self, data: object, dtype: np.dtype[Any], shape: tuple[Any, ...], order: str) -> None:
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"a shape must be of sizes, got {shape!r:.60}")
        count = math.prod(shape)
        data = data.encode("latin-1") if isinstance(data, str) else data  # Python 2's
        if not isinstance(data, bytes | Span):
            raise ValueError(f"an array's data must be bytes, got {type(data).__name__}")
        size = len(data) if isinstance(data, bytes) else data.size
        if size != count * dtype.itemsize:
            raise ValueError(
                f"an array of shape {shape} and dtype {dtype} must have {count * dtype.itemsize:,} "
                f"bytes, got {size:,}"
            )
        self.shape, self.order = shape, order
        if isinstance(data, Span):
            self.elements = Segment(data.file, data.offset, count, dtype)
        else:
            self.elements = self._spool.append(np.frombuffer(data, dtype))


def _smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Return integers in the smallest dtype that holds them all."""
    if values.dtype.kind == "i":
        low, high = values.min(), values.max()
        for dtype in _SMALL_INTEGERS:
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return values.astype(dtype)
    return values


def admitted(module: str, name: str) -> str | None:
    """Return a function's or class's own name here, None if it is not admitted."""
    if module in ("numpy._core.multiarray", "numpy.core.multiarray"):
        return name if name in ("_reconstruct", "scalar") else None
    if module in ("numpy._core.numeric", "numpy.core.numeric"):
        return name if name == "_frombuffer" else None
    others = {
        ("numpy", "dtype"): "dtype",
        ("numpy", "ndarray"): "ndarray",
        ("_codecs", "encode"): "encode",  # bytes before protocol 3, which are text in Latin-1,
        ("__builtin__", "bytes"): "bytes",  # and those that are empty
    }
    return others.get((module, name))


class Global:
    """A function or a class that was named, and is admitted; its own code is never called."""

    __slots__ = ("name",)
    __match_args__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def call(function: object, arguments: object, spool: Spool) -> Any:
    """Make what a function of NumPy's would make of the arguments.

    Raises
    ------
    ValueError
        `function` is none of those admitted, or the arguments are none that NumPy pickles.
    """
    match function, arguments:
        case Global("scalar"), (Dtype(value=dtype), bytes() | str() as data):
            return scalar(dtype, data)
        case Global("dtype"), tuple():
            return Dtype.call(arguments)
        case Global("_reconstruct"), (Global("ndarray"), (0,), b"b" | "b"):
            return Array(spool)
        case Global("_frombuffer"), tuple():
            return Array.call(spool, arguments)
        case Global("encode"), (str() | Span() as text, "latin1" | "latin-1"):
            return _encoded(text, spool)
        case Global("bytes"), ():
            return b""
    name = function.name if isinstance(function, Global) else type(function).__name__
    raise ValueError(f"{name} must not be called like this")


def scalar(dtype: np.dtype[Any], data: bytes | str) -> np.generic:
    """Return a NumPy scalar from its bytes; Python 2 has them in a string."""
    data = data.encode("latin-1") if isinstance(data, str) else data
    if len(data) != dtype.itemsize:
        raise ValueError(f"a {dtype} must have {dtype.itemsize} bytes, got {len(data)}")
    value: np.generic = np.frombuffer(data, dtype)[0]
    return value


def _encoded(text: str | Span, spool: Spool) -> bytes | Span:
    if isinstance(text, str):
        return text.encode("latin-1")
    decoder = codecs.getincrementaldecoder("utf-8")()
    begin = spool.end
    for offset in range(0, text.size, TRANSCODED):
        part = Segment(text.file, text.offset + offset, min(TRANSCODED, text.size - offset), BYTE)
        last = offset + TRANSCODED >= text.size
        characters = decoder.decode(part.read().tobytes(), final=last)
        spool.append(np.frombuffer(characters.encode("latin-1"), BYTE))
    return Span(spool.file, begin, spool.end - begin)


BYTE: Final = np.dtype(np.uint8)
