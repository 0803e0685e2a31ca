"""How the kernels on the CPU use threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event


def thread_count() -> int:
    """Return how many threads a kernel uses: by default, the processors of this process.

    The variable ``NUMBA_NUM_THREADS`` sets another number.
    """
    from ltc_kernels.cpu import threads

    return threads.thread_count()


def work_alone(stopped: Event) -> None:
    """Let kernels that this thread calls from now on use no other thread.

    For a caller that has shared its work out among threads already: each of them then computes on
    what it has in its cache, and waits for none.

    Parameters
    ----------
    stopped : threading.Event
        Once it is set, a kernel that has more than a moment's work left raises
        `concurrent.futures.CancelledError`.
    """
    from ltc_kernels.cpu import threads

    threads.work_alone(stopped)


@contextmanager
def working_alone() -> Iterator[None]:
    """Let kernels that this thread calls in this block use no other thread.

    For a thread that belongs to somebody else, who runs several of them.

    Examples
    --------
    >>> with working_alone():
    ...     pass  # kernels
    """
    from ltc_kernels.cpu import threads

    before = threads.work_alone(Event())
    try:
        yield
    finally:
        threads.work_alone(before)


def as_this_thread() -> Callable[[], None]:
    """Return what lets another thread use threads as the calling one does, when it calls that.

    For threads that read for one that works alone: a few kernels are theirs.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with working_alone(), ThreadPoolExecutor(1, initializer=as_this_thread()) as pool:
    ...     pass  # kernels in the pool
    """
    from ltc_kernels.cpu import threads

    stopped = threads.alone_until()

    def initialise() -> None:
        threads.work_alone(stopped)

    return initialise
