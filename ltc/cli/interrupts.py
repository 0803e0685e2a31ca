"""Ctrl-C ends a command at once and in one line, whatever it was doing.

Python raises `KeyboardInterrupt` wherever it happens to be. In a callback from compiled code, such
as LLVM's while kernels are compiled, the exception is dropped with a remark on stderr, and what
called the code may fail later with another error, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["INTERRUPTED", "Interrupts", "put_off_interrupts", "watch_interrupts"]

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
        # To the process: a thread's own signal would be lost where the thread has it blocked.
        timer = threading.Timer(_AGAIN, os.kill, (os.getpid(), signal.SIGINT))
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


@contextlib.contextmanager
def put_off_interrupts() -> Iterator[None]:
    """Interrupt after this block, if the user does so within it; for a start that must be whole.

    A terminal sends the signal to all processes. The threads and processes that start in this block
    inherit that it is blocked, and so do processes that these start later: they never hear of it.
    Whoever starts them ends them.
    """
    happened: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    # Blocked here, it may still come through a thread that was there before.
    handler = signal.signal(signal.SIGINT, lambda *_: happened.append(1)) if in_main else None
    resource_tracker.ensure_running()  # which lets the signal through where it is started
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if in_main:
            signal.signal(signal.SIGINT, handler)
    if happened:
        signal.raise_signal(signal.SIGINT)
