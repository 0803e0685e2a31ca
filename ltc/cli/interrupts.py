"""Ctrl-C ends a command at once and in one line, whatever it was doing.

Python raises `KeyboardInterrupt` wherever it happens to be. In a callback from compiled code, such
as LLVM's while kernels are compiled, the exception is dropped with a remark on stderr, and what
called the code may fail later with another error, or not at all.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INTERRUPTED", "Interrupts", "watch_interrupts"]

INTERRUPTED: Final = 130
"""Exit status: 128 and the number of the signal, as in a shell."""

_AGAIN: Final = 0.02  # seconds until an interrupt that was dropped is repeated


class Interrupts:
    """Whether the user has interrupted since the watch began."""

    def __init__(self) -> None:
        self.happened = False
        self._repeated: list[threading.Timer] = []

    def handle(self, number: int, frame: Any) -> None:
        """Raise `KeyboardInterrupt`, as Python's own handler does."""
        self.happened = True
        signal.default_int_handler(number, frame)

    def repeat(self) -> None:
        """Interrupt again, a little later."""
        timer = threading.Timer(_AGAIN, signal.raise_signal, (signal.SIGINT,))
        self._repeated.append(timer)
        timer.start()

    def forget(self) -> None:
        """Repeat nothing any more."""
        for timer in self._repeated:
            timer.cancel()
            timer.join()


@contextlib.contextmanager
def watch_interrupts() -> Iterator[Interrupts]:
    """Watch in this block, unless somebody else handles the signal or ignores it."""
    interrupts = Interrupts()
    if (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        yield interrupts
        return
    report = sys.unraisablehook

    def report_or_repeat(dropped: Any) -> None:
        if isinstance(dropped.exc_value, KeyboardInterrupt):
            interrupts.repeat()
        else:
            report(dropped)

    signal.signal(signal.SIGINT, interrupts.handle)
    sys.unraisablehook = report_or_repeat
    try:
        yield interrupts
    finally:
        interrupts.forget()
        sys.unraisablehook = report
        signal.signal(signal.SIGINT, signal.default_int_handler)
