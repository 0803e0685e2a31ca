"""Tasks of a run: a bounded number at a time, and what becomes of those that fail."""

from __future__ import annotations

import uuid
from asyncio import CancelledError
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from ltc.distributed.cluster import count_threads, thread_places
from ltc.errors import DistributedError, LtcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Client, Future

__all__ = ["Call", "Tasks"]

AHEAD: Final = 3  # tasks for each thread that the scheduler knows of, or a message of them
TOGETHER: Final = 16  # tasks of a message, which is most of the scheduler's work; but see FEW
FEW: Final = 2  # threads for each of them, at least: others must not wait for them
GATHERED: Final = 4  # results that come to the client together: as many of up to 8 MB each
SPREAD: Final = 2  # the first tasks for each thread: so many are too few for Dask to spread them
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
        self._name = f"ltc-{name}"
        self._run = uuid.uuid4().hex
        self._number = 0
        self._under_way = 0  # of the pass that is going on
        self._all: set[Future] = set()

    def __enter__(self) -> Tasks:
        """Begin."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Cancel what hasn't ended, and forget the results."""
        left, self._all = list(self._all), set()
        if left and self._client.status == "running":
            if all(future.status == "finished" for future in left):
                for future in left:
                    future.release()
            else:
                self._client.cancel(left, force=True)

    def submit(self, call: Call, worker: str | None = None) -> Future:
        """Let a worker call a function; its result stays there until it is released.

        It is the named worker if there is one of that address; else Dask chooses.
        """
        future = self._client.submit(
            call.function,
            *call.arguments,
            key=self._keys(call.function, 1)[0],
            pure=False,
            retries=RETRIES,
            workers=None if worker is None else [worker],
            allow_other_workers=worker is not None,
        )
        self._all.add(future)
        return future

    def _submit_together(self, calls: list[Call], worker: str | None = None) -> list[Future]:
        """Let workers call functions, those of a kind in one message."""
        if len(calls) == 1:
            return [self.submit(calls[0], worker)]
        futures: list[Future] = []
        for function, alike in groupby(calls, attrgetter("function")):
            arguments = [call.arguments for call in alike]
            futures += self._client.map(
                function,
                *map(list, zip(*arguments, strict=True)),
                key=self._keys(function, len(arguments)),
                pure=False,
                retries=RETRIES,
                workers=None if worker is None else [worker],
                allow_other_workers=worker is not None,
            )
        self._all.update(futures)
        return futures

    def _submit_spread(self, calls: list[Call], most: int) -> list[Future]:
        """Let each worker have its share of a few calls; others take over where one is gone.

        Left to itself, Dask gives all of them to the worker that has what they depend on.
        """
        places: list[str | None] = [*thread_places(self._client)] or [None]
        futures: dict[int, Future] = {}
        for worker in dict.fromkeys(places):
            numbers = (k for k in range(len(calls)) if places[k % len(places)] == worker)
            while few := list(islice(numbers, most)):
                submitted = self._submit_together([calls[k] for k in few], worker)
                futures.update(zip(few, submitted, strict=True))
        return [futures[k] for k in range(len(calls))]

    def _keys(self, function: Callable[..., Any], count: int) -> list[tuple[str, int]]:
        """Return keys for tasks.

        By their first part Dask counts tasks that are alike: those of which there are many go to
        whichever worker is free, others to where there is what they depend on.
        """
        group = f"{self._name}-{function.__name__.removesuffix('_task')}-{self._run}"
        first, self._number = self._number + 1, self._number + count
        return [(group, number) for number in range(first, self._number + 1)]

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
        ended = as_completed(loop=self._client.loop)
        threads = max(count_threads(self._client), 1)
        most = 1 if large else TOGETHER
        room = max(AHEAD * threads, most)

        def take(few: list[Call], futures: list[Future]) -> None:
            under_way.update(zip(futures, few, strict=True))
            ended.update(futures)

        def fill(together: int) -> None:
            while room - len(under_way) >= together:
                few = list(islice(waiting, together))
                if not few:
                    return
                take(few, self._submit_together(few))

        first = list(islice(waiting, SPREAD * threads))
        take(first, self._submit_spread(first, most))
        fill(min(max(room - len(first), 1), most))  # nobody waits for these
        while under_way:
            future = next(ended)
            if not self._has_result(under_way[future].what, future):
                ended.add(future)
                continue
            call = under_way.pop(future)
            fill(min(max(threads // FEW, 1), most))
            self._under_way = len(under_way)
            yield call, future

    def gathered(
        self, calls: Iterable[Call], *, large: bool = False, direct: bool = False
    ) -> Iterator[tuple[Call, Any]]:
        """Submit calls as `completed` does; yield each with its result, some together.

        Parameters
        ----------
        calls, large
            As for `completed`.
        direct : bool
            As for `results`.
        """
        ended: dict[Future, Call] = {}
        at_once = min(count_threads(self._client), GATHERED)
        for call, future in self.completed(calls, large=large):
            ended[future] = call
            if len(ended) < at_once and self._under_way:
                continue
            what = " and ".join(each.what for each in ended.values())
            results = self.results(what, list(ended), direct=direct)
            pairs = list(zip(ended.values(), results, strict=True))
            for each in ended:
                self.release(each)
            ended.clear()
            yield from pairs

    def results(self, what: str, futures: list[Future], *, direct: bool = False) -> list[Any]:
        """Wait for tasks, and let their results come to this process.

        Parameters
        ----------
        what : str
            What they do, for errors.
        futures : list of Future
            The tasks.
        direct : bool
            Whether the results come from the workers, without passing through the scheduler.

        Raises
        ------
        LtcError, OSError, DistributedError
            As those of `completed`.
        """
        try:
            return list(self._client.gather(futures, direct=direct or None))
        except (Exception, CancelledError):
            for future in futures:
                self._has_result(what, future)
            raise

    def _has_result(self, what: str, future: Future) -> bool:
        """Return whether a result is still there; raise what its task raised, if it did.

        A worker that dies takes its results with it, and others make them again.
        """
        status = future.status
        if status == "error":
            self._fail(what, future.exception())
        if status == "cancelled":
            raise DistributedError(
                f"{what} was given up: the scheduler {self._client.scheduler.address} is gone, or "
                "somebody has cancelled the task"
            )
        return bool(status == "finished")

    def _fail(self, what: str, error: Any) -> NoReturn:
        from distributed import KilledWorker

        if isinstance(error, LtcError | OSError):
            raise error
        if isinstance(error, KilledWorker):
            raise DistributedError(
                f"{what} was tried {error.allowed_failures + 1} times, and each time its worker "
                "died; if it was for want of memory, a lower memory_limit or fewer threads for "
                "each worker may help, else a higher distributed.scheduler.allowed-failures"
            ) from error
        raise DistributedError(
            f"{what} failed on a worker: {type(error).__name__}: {error}"
        ) from error
