"""What a client, a store and a range of samples are to every run on a cluster."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    DistributedError,
    StoreError,
)
from ltc.store import Store, open_store
from ltc.store.places import ZarrPlace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Client

    from ltc.store.places import Place

__all__ = ["StoreTicket", "check_client", "chunk_ranges", "count_threads", "thread_places"]

WAIT_FOR_WORKERS: Final = 60  # seconds until a cluster without any is given up
TASKS_PER_THREAD: Final = 4  # at least, where there are chunks for that: workers end together
MOST_CHUNKS: Final = 8  # of a task: what a worker that dies has done in vain, and waiting for it
_STORES_KEPT: Final = 4


def check_client(client: Any) -> Client:
    """Return a client that tasks can be given to, of a cluster that has a worker.

    Raises
    ------
    BackendUnavailableError
        Dask isn't installed.
    ArgumentTypeError, ArgumentValueError
        It is something else, or isn't connected.
    DistributedError
        No worker has come within a minute.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendUnavailableError(
            "client needs the package distributed: pip install 'ltc[cluster]'"
        ) from error
    if not isinstance(client, Client):
        raise ArgumentTypeError(f"client must be a distributed.Client, got {type(client).__name__}")
    if client.asynchronous:
        raise ArgumentValueError("client must not be asynchronous, got one with asynchronous=True")
    if client.status != "running":
        raise ArgumentValueError(f"client must be connected, got one that is {client.status}")
    if not count_threads(client):
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError as error:
            raise DistributedError(
                f"{client.scheduler.address}: no worker has come within {WAIT_FOR_WORKERS} s"
            ) from error
    return client


def count_threads(client: Client) -> int:
    """Return how many threads all workers have now."""
    return sum(client.nthreads().values())


def thread_places(client: Client) -> list[str]:
    """Return the address of its worker for each thread, those of a worker far apart."""
    left = dict(client.nthreads())
    places: list[str] = []
    while left := {worker: threads for worker, threads in left.items() if threads}:
        places += left
        left = {worker: threads - 1 for worker, threads in left.items()}
    return places


def chunk_ranges(
    ranges: Iterable[slice], chunk_samples: int, threads: int, *, most: int = MOST_CHUNKS
) -> list[slice]:
    """Divide ranges of samples into ranges of whole chunks, each for a task, as equal as may be.

    Parameters
    ----------
    ranges : iterable of slice
        What is to be done; each begins with a chunk, and ends with one or with the samples.
    chunk_samples : int
        Samples of a chunk.
    threads : int
        Threads of all workers.
    most : int
        Chunks of a task, at most.

    Examples
    --------
    >>> chunk_ranges([slice(0, 45), slice(50, 60)], 10, 1)
    [slice(0, 10, None), slice(10, 20, None), slice(20, 30, None), slice(30, 40, None),
     slice(40, 45, None), slice(50, 60, None)]
    >>> chunk_ranges([slice(0, 85)], 10, 1)
    [slice(0, 20, None), slice(20, 40, None), slice(40, 60, None), slice(60, 80, None),
     slice(80, 85, None)]
    """
    whole = [(each, -(-(each.stop - each.start) // chunk_samples)) for each in ranges]
    total = sum(chunks for _, chunks in whole)
    step = min(max(total // (TASKS_PER_THREAD * max(threads, 1)), 1), most)
    divided: list[slice] = []
    for each, chunks in whole:
        begin, parts = each.start, -(-chunks // step)
        for part in range(parts):  # the longer ones first, so that workers end together
            chunks_of_it = chunks // parts + (part < chunks % parts)
            end = min(begin + chunk_samples * chunks_of_it, each.stop)
            divided.append(slice(begin, end))
            begin = end
    return divided


@dataclass(frozen=True)
class StoreTicket:
    """A store as the client has opened it; a worker opens it once, however many tasks it runs.

    Attributes
    ----------
    place : Place
        Where it is.
    revision : str
        Its history, as the client has seen it.
    committed : int
        How many commits there were.
    number : str
        Of the run that the ticket is for: what it knows of the store is its own.
    """

    place: Place
    revision: str
    committed: int
    number: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, store: Store) -> StoreTicket:
        """Return a ticket for a store that others than this process can open.

        Raises
        ------
        ArgumentTypeError
            It is in a zarr store that only this process may know.
        """
        if isinstance(store.place, ZarrPlace):
            raise ArgumentTypeError(
                "run must be a path or an address where client is given: other zarr stores aren't "
                f"opened by workers, got {store.path}"
            )
        return cls(store.place, store.revision, store.committed)

    def open(self) -> Store:
        """Return the store, which is opened if this process hasn't yet.

        Raises
        ------
        StoreError
            It isn't there, or was rewound or made anew since the client has opened it.
        """
        with _opening:
            store = _opened.get(self.number)
            if store is None:
                store = open_store(self.place)
                if store.revision != self.revision or store.committed < self.committed:
                    raise StoreError(
                        f"{self.place.name}: the store that a worker has opened is another one "
                        "than the client's, or was rewound or made anew since"
                    )
                _opened[self.number] = store
                while len(_opened) > _STORES_KEPT:
                    _opened.popitem(last=False)
        return store


_opened: OrderedDict[str, Store] = OrderedDict()
_opening = threading.Lock()
