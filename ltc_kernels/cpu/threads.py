"""A few threads for kernels that release the interpreter lock.

Numba's own parallel loops would bring OpenMP or a pool that refuses to be called from two threads
at once, and that doesn't survive a fork; data loaders fork. Python's thread pool has neither
problem and costs some tens of microseconds a call.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor

from numba import config

_pools: dict[int, ThreadPoolExecutor] = {}  # by number of threads
os.register_at_fork(after_in_child=_pools.clear)  # threads don't cross a fork
_own = threading.local()


def thread_count() -> int:
    """Number of threads: ``NUMBA_NUM_THREADS``, by default the processors this process may use."""
    return int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def work_alone(stopped: threading.Event | None) -> threading.Event | None:
    """See `ltc_kernels.work_alone`; return what held before, None where nothing did."""
    before = alone_until()
    _own.stopped = stopped
    return before


def alone_until() -> threading.Event | None:
    """Return what stops the calling thread's kernels where it works alone, else None."""
    stopped: threading.Event | None = getattr(_own, "stopped", None)
    return stopped


def for_ranges(function: Callable[[int, int], None], length: int, step: int) -> None:
    """Call ``function(begin, end)`` from several threads, for ranges that cover ``0..length``.

    Parameters
    ----------
    function : callable
        Must release the interpreter lock where it works, and not depend on the order of calls.
    length : int
        Elements in all.
    step : int
        Elements of a range; the last may be shorter.
    """
    ranges = [(begin, min(begin + step, length)) for begin in range(0, length, step)]
    stopped = alone_until()
    threads = min(thread_count(), len(ranges)) if stopped is None else 1
    if threads <= 1:
        for begin, end in ranges:
            if stopped is not None and stopped.is_set():
                raise CancelledError
            function(begin, end)
        return
    pool = _pools.get(threads) or _pools.setdefault(
        threads, ThreadPoolExecutor(threads, thread_name_prefix="ltc")
    )
    tasks = [pool.submit(function, begin, end) for begin, end in ranges]
    try:
        for task in tasks:
            task.result()
    except BaseException:  # an interrupt too: the process should end, and not with work to do
        for task in tasks:
            task.cancel()
        raise
