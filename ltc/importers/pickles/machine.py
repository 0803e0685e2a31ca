"""A machine for pickles that makes lists, tuples, dicts, numbers, strings and NumPy arrays of them.

The opcodes of protocols 0 to 5 that these need are carried out here, by the rules of
:mod:`pickletools`; any other is an error, and so is the name of any function but those that NumPy's
arrays, scalars and dtypes are pickled with. None of these is called either: what it would make is
made here. So nothing in a pickle runs.

What keeps it small is the memo. A pickler puts every object there in case it comes again, three
entries for each NumPy scalar, and almost none is ever asked for. A first pass finds out which are,
and the second keeps only those.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from tqdm.auto import tqdm

from ltc.errors import SourceFormatError
from ltc.importers.pickles.opcodes import NUMBERS, SCALARS, tokens
from ltc.importers.pickles.values import Array, Dtype, Global, Listed, Run, admitted, call
from ltc.importers.pickles.window import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ltc.importers.pickles.opcodes import ScalarRun
    from ltc.importers.pickles.window import Token
    from ltc.importers.spool import Spool

__all__ = ["read_pickle"]

SMALL_TUPLE: Final = 64  # items; larger tuples are kept as lists are
_KEYS = (str, int, float, bytes, type(None), np.generic)
_GETS = tuple(map(ord, "ghj"))


def read_pickle(file: IO[bytes], spool: Spool, *, progress: bool = False) -> Any:
    """Read a pickle.

    Parameters
    ----------
    file : binary file
        Holds one pickle, and stays open for as long as what is returned is in use.
    spool : Spool
        Takes the numbers of lists.
    progress : bool
        Show a progress bar.

    Returns
    -------
    object
        A number, str, bytes, None, dict or tuple; an Array for an array, a Listed for a list and
        for a tuple of more than 64 items.

    Raises
    ------
    SourceFormatError
        The file is no pickle, is cut short, or has anything else in it.
    """
    size = file.seek(0, 2)
    with tqdm(total=2 * size, desc="read", unit="B", unit_scale=True, disable=not progress) as bar:
        wanted: set[int] = set()
        for opcode, argument, _ in _shown(tokens(file), bar, 0):
            if opcode in _GETS:
                wanted.add(argument)
            elif opcode == SCALARS:
                wanted.update((argument.function, argument.dtype))
        return _Machine(file, spool, wanted).run(_shown(tokens(file), bar, size))


def _shown(found: Iterator[Token], bar: tqdm[Any], begin: int) -> Iterator[Token]:
    for number, token in enumerate(found):
        if number % 4096 == 0:
            bar.update(begin + token[2] - bar.n)
        yield token


class _Machine:
    """The stack, the memo, and a method for each opcode that takes more than a line."""

    def __init__(self, file: IO[bytes], spool: Spool, wanted: set[int]) -> None:
        self._name = file.name
        self._spool = spool
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._wanted = wanted
        self._ordered = sorted(wanted)
        self._memo: dict[int, Any] = {}
        self._memoized = 0

    def run(self, found: Iterator[Token]) -> Any:
        """Carry out the opcodes, and return what is left on the stack."""
        for opcode, argument, position in found:
            try:
                _CARRIED_OUT[opcode](self, argument)
            except ValueError as error:
                name = NAMES.get(opcode, "numbers")
                raise SourceFormatError(
                    f"{self._name}: byte {position:,}: {name}: {error}"
                ) from error
        return self._stack[0]

    def skip(self, _argument: int) -> None:
        """Do nothing: neither the protocol nor a frame matters."""

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        value = self.top()
        self._stack.pop()
        return value

    def top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("there must be a value on the stack")
        last = self._stack[-1]
        if isinstance(last, Run):  # one of its numbers is asked for alone
            self._stack[-1:] = last.values.tolist()
        return self._stack[-1]

    def numbers(self, values: list[Any] | NDArray[Any]) -> None:
        if isinstance(values, list):
            self._stack.extend(values)
        else:
            self._stack.append(Run(values))

    def scalars(self, run: ScalarRun) -> None:
        function, dtype = self.memoized(run.function), self.memoized(run.dtype)
        values = self._called_scalars(function, dtype, run)
        begin = self._memoized if run.puts is None else run.puts
        end = begin + 3 * len(values)
        if run.puts is None:
            self._memoized = end
        for index in self._ordered[
            bisect_left(self._ordered, begin) : bisect_left(self._ordered, end)
        ]:
            number, which = divmod(index - begin, 3)
            data = run.values[number].tobytes()
            self._memo[index] = (data, (dtype, data), values[number])[which]
        self._stack.append(Run(values))

    def _called_scalars(self, function: Any, dtype: Any, run: ScalarRun) -> NDArray[Any]:
        first = call(function, (dtype, run.values[0].tobytes()), self._spool)
        if not isinstance(first, np.generic):
            raise ValueError("a number must come of it")
        values: NDArray[Any] = np.ascontiguousarray(run.values).view(dtype.value)[:, 0]
        return values

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def marked(self) -> list[Any]:
        """Take the items since the last mark from the stack."""
        if not self._marks:
            raise ValueError("there must be a mark on the stack")
        begin = self._marks.pop()
        items = self._stack[begin:]
        del self._stack[begin:]
        return items

    def new_list(self, items: list[Any]) -> None:
        self.push(Listed(self._spool, items))

    def append(self, items: list[Any]) -> None:
        owner = self.top()
        if not isinstance(owner, Listed):
            raise ValueError(f"items must be added to a list, got {type(owner).__name__}")
        owner.extend(items)

    def new_tuple(self, items: list[Any]) -> None:
        size = sum(item.values.size if isinstance(item, Run) else 1 for item in items)
        if size > SMALL_TUPLE:
            self.new_list(items)
        else:
            self.push(tuple(_expanded(items)))

    def short_tuple(self, size: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(size)])))

    def new_dict(self, items: list[Any]) -> None:
        self.push({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        owner = self.top()
        if not isinstance(owner, dict):
            raise ValueError(f"items must be set in a dict, got {type(owner).__name__}")
        items = _expanded(items)
        if len(items) % 2:
            raise ValueError("every key must have a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise ValueError(f"a key must be a string or a number, got {type(key).__name__}")
            owner[key] = value

    def named(self, module: str, name: str) -> None:
        found = admitted(module, name)
        if found is None:
            raise ValueError(
                f"{module}.{name} is not admitted: a pickle of losses holds lists, tuples, dicts, "
                "numbers, strings and NumPy arrays, and nothing of it is run"
            )
        self.push(Global(found))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a module and a name must be strings")
        self.named(module, name)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        self.push(call(function, arguments, self._spool))

    def build(self) -> None:
        state, owner = self.pop(), self.top()
        if not isinstance(owner, Array | Dtype):
            raise ValueError(f"only arrays and dtypes have a state, got {type(owner).__name__}")
        owner.build(state)

    def memoize(self) -> None:
        self.put(self._memoized)
        self._memoized += 1

    def put(self, index: int) -> None:
        value = self.top()
        if index in self._wanted:
            self._memo[index] = value

    def get(self, index: int) -> None:
        self.push(self.memoized(index))

    def memoized(self, index: int) -> Any:
        if index not in self._memo:
            raise ValueError(f"the memo must have been filled at {index:,}")
        return self._memo[index]

    def stop(self) -> None:
        if self._stack and not self._marks:
            self.top()  # of a run of numbers, each is an object
        if len(self._stack) != 1 or self._marks:
            raise ValueError("one object must be left on the stack")


def _expanded(items: list[Any]) -> list[Any]:
    """Return items with the numbers of runs among them one by one."""
    expanded: list[Any] = []
    for item in items:
        expanded.extend(item.values.tolist() if isinstance(item, Run) else [item])
    return expanded


_CARRIED_OUT: Final[dict[int, Callable[[_Machine, Any], None]]] = {
    NUMBERS: _Machine.numbers,
    SCALARS: _Machine.scalars,
    **{
        ord(opcode): carry_out
        for opcodes, carry_out in (
            ("\x80\x95", _Machine.skip),
            ("ILFGKMJ\x8a\x8bSTUV\x8cX\x8dCB\x8e\x96", _Machine.push),
            ("N", lambda machine, _: machine.push(None)),
            ("\x88", lambda machine, _: machine.push(True)),
            ("\x89", lambda machine, _: machine.push(False)),
            ("(", lambda machine, _: machine.mark()),
            (".", lambda machine, _: machine.stop()),
            ("]", lambda machine, _: machine.new_list([])),
            ("l", lambda machine, _: machine.new_list(machine.marked())),
            ("a", lambda machine, _: machine.append([machine.pop()])),
            ("e", lambda machine, _: machine.append(machine.marked())),
            (")", lambda machine, _: machine.push(())),
            ("t", lambda machine, _: machine.new_tuple(machine.marked())),
            ("\x85", lambda machine, _: machine.short_tuple(1)),
            ("\x86", lambda machine, _: machine.short_tuple(2)),
            ("\x87", lambda machine, _: machine.short_tuple(3)),
            ("}", lambda machine, _: machine.push({})),
            ("d", lambda machine, _: machine.new_dict(machine.marked())),
            ("s", lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1])),
            ("u", lambda machine, _: machine.set_items(machine.marked())),
            ("c", lambda machine, names: machine.named(*names)),
            ("\x93", lambda machine, _: machine.stack_global()),
            ("R", lambda machine, _: machine.reduce()),
            ("b", lambda machine, _: machine.build()),
            ("\x94", lambda machine, _: machine.memoize()),
            ("pqr", _Machine.put),
            ("ghj", _Machine.get),
        )
        for opcode in opcodes
    },
}
"""What each opcode does."""
