"""Tasks of a run: a bounded number at a time, and what becomes of those that fail."""

from __future__ import annotations

import uuid
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from ltc.distributed.cluster import count_threads
from ltc.errors import DistributedError, LtcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Client, Future

__all__ = ["Call", "Tasks"]

AHEAD: Final = 3  # tasks for each thread that the scheduler knows of
TOGETHER: Final = 16  # tasks of a message, which is most of the scheduler's work; but see FEW
FEW: Final = 2  # threads for each of them, at least: others must not wait for them
RETRIES: Final = (
    2  # of a task that raises an error, perhaps elsewhere; a dead worker's come besides
)


class Call(NamedTuple):
    """A function that a worker is to call.

    Attributes
    ----------
    what : str
        What it does, for errors.
    function : callable
        Of a module, so that workers find it.
    arguments : tuple
        Small ones; futures stand for their results.
    """

    what: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Tasks:
    """The tasks of one run; leaving the block cancels those that haven't ended.

    Parameters
    ----------
    client : Client
        From `ltc.distributed.cluster.check_client`.
    name : str
        What Dask's dashboard calls them.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = f"ltc-{name}-{uuid.uuid4().hex}"
        self._number = 0
        self._all: set[Future] = set()

    def __enter__(self) -> Tasks:
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Cancel what hasn't ended, and forget the results."""
        left, self._all = list(self._all), set()
        if left and self._client.status == "running":
            self._client.cancel(left, force=True)

    def submit(self, call: Call) -> Future:
        """Let a worker call a function; its result stays there until it is released."""
        self._number += 1
        future = self._client.submit(
            call.function,
            *call.arguments,
            key=f"{self._name}-{self._number}",
            pure=False,
            retries=RETRIES,
        )
        self._all.add(future)
        return future

    def _submit_together(self, calls: list[Call]) -> list[Future]:
        """Let workers call functions, those of a kind in one message."""
        futures: list[Future] = []
        for function, alike in groupby(calls, attrgetter("function")):
            arguments = [call.arguments for call in alike]
            first, self._number = self._number + 1, self._number + len(arguments)
            futures += self._client.map(
                function,
                *map(list, zip(*arguments, strict=True)),
                key=[f"{self._name}-{number}" for number in range(first, self._number + 1)],
                pure=False,
                retries=RETRIES,
            )
        self._all.update(futures)
        return futures

    def release(self, future: Future) -> None:
        """Let the workers forget a result."""
        self._all.discard(future)
        future.release()

    def completed(
        self, calls: Iterable[Call], *, large: bool = False
    ) -> Iterator[tuple[Call, Future]]:
        """Submit calls, a few at a time; yield each with its future when it has been done.

        Whoever takes a future releases it.

        Parameters
        ----------
        calls : iterable of Call
            What is to be done.
        large : bool
            Whether arguments are so large that each call needs a message of its own.

        Raises
        ------
        LtcError, OSError
            A task raised it.
        DistributedError
            A task raised something else, workers died of it, or the scheduler is gone.
        """
        from distributed import as_completed

        waiting = iter(calls)
        under_way: dict[Future, Call] = {}
        ended = as_completed()
        threads = max(count_threads(self._client), 1)
        room, together = AHEAD * threads, min(max(threads // FEW, 1), 1 if large else TOGETHER)

        def fill() -> None:
            while room - len(under_way) >= together:
                few = list(islice(waiting, together))
                if not few:
                    return
                futures = [self.submit(*few)] if len(few) == 1 else self._submit_together(few)
                under_way.update(zip(futures, few, strict=True))
                ended.update(futures)

        fill()
        while under_way:
            future = next(ended)
            call = under_way.pop(future)
            self.check(call.what, future)
            fill()
            yield call, future

    def results(self, what: str, futures: list[Future]) -> list[Any]:
        """Wait for tasks, and let their results come to this process."""
        from distributed import wait

        wait(futures)
        for future in futures:
            self.check(what, future)
        return list(self._client.gather(futures))

    def check(self, what: str, future: Future) -> None:
        """Raise what a task that has ended raised, if it did."""
        if future.status == "finished":
            return
        if future.status != "error":
            raise DistributedError(
                f"{what} was given up: the scheduler {self._client.scheduler.address} is gone, or "
                "somebody has cancelled the task"
            )
        self._fail(what, future.exception())

    def _fail(self, what: str, error: Any) -> NoReturn:
        from distributed import KilledWorker

        if isinstance(error, LtcError | OSError):
            raise error
        if isinstance(error, KilledWorker):
            raise DistributedError(
                f"{what} was tried {error.allowed_failures + 1} times, and each time its worker "
                "died; if it was for want of memory, a lower memory_limit or fewer threads for "
                "each worker may help"
            ) from error
        raise DistributedError(
            f"{what} failed on a worker: {type(error).__name__}: {error}"
        ) from error
