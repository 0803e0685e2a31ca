"""`select`: a coreset from scores that are in a store, in blocks, without all of them in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ltc.distributed.cluster import StoreTicket, chunk_ranges
from ltc.errors import ArgumentValueError, StoreCorruptError
from ltc.scores import warn_if_stale
from ltc.selection.blocks import begin_blocks, end_blocks, write_block
from ltc.selection.counting import LIMITS, check_counted, choose, cut
from ltc.selection.plan import plan_selection
from ltc.store import Store, open_store
from ltc_kernels import thread_count

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client
    from numpy.typing import ArrayLike, NDArray

    from ltc.selection.blocks import BlockFile, CoresetBlocks
    from ltc.selection.counting import Choice
    from ltc.selection.members import Block
    from ltc.selection.plan import Balance, Strategy
    from ltc.store.places import Place
    from ltc.store.scores import SavedScores

__all__ = ["Kept", "find_kept", "select"]

_Result = TypeVar("_Result")


def select(
    run: str | os.PathLike[str] | Store,
    *,
    scores: str | None = None,
    fraction: float | None = None,
    k: int | None = None,
    balance: Balance = "class",
    strategy: Strategy = "top",
    cutoff: float = 0.0,
    seed: int = 0,
    exclude: ArrayLike | None = None,
    output: str | os.PathLike[str],
    client: Client | None = None,
    progress: bool = False,
) -> CoresetBlocks:
    """Select a coreset by scores that are kept in a store, where it is too large for memory.

    It has the very samples that :meth:`ltc.Scores.select` takes with the same arguments, in files
    of a folder, one for each range of the training samples. The scores are read a few times, range
    by range, to count; neither they nor the indices are in memory together.

    Parameters
    ----------
    run : path or Store
        The store.
    scores : str, optional
        The name of the scores, ``ltc.score(run, save=name)``; by default the only ones.
    fraction, k, balance, strategy, cutoff, seed, exclude
        As for :meth:`ltc.Scores.select`; strategies are ``"top"``, ``"stratified"`` and
        ``"random"``.
    output : path
        A new folder, or one with such a coreset, which is replaced; or an ``s3://`` or ``gs://``
        address, with credentials from the environment. All workers must reach it. Until all is
        there it is no coreset; after an early end the same call does everything again.
    client : distributed.Client, optional
        Let the workers of a Dask cluster do it. The result is the same.
    progress : bool
        With a client, show a progress bar for each pass.

    Returns
    -------
    CoresetBlocks
        Its length is the size of the coreset, and iterating yields the indices of each block.

    Warns
    -----
    StaleScoresWarning
        The store has other checkpoints than the scores were made from.

    Raises
    ------
    ArgumentValueError, ArgumentTypeError, ArgumentIndexError
        An argument breaks its rule, there are no scores of that name, or `output` has something
        else in it.
    StoreError
        The scores were changed, or replaced meanwhile.
    DistributedError
        The cluster is gone, or its workers died of a task.
    OSError
        A block can't be written.

    Examples
    --------
    >>> import ltc
    >>> losses = np.random.default_rng(0).random((6, 40), np.float32)
    >>> run = directory / "run.zarr"
    >>> ltc.write_store(run, losses, losses, train_labels=[0] * 40, val_labels=[0] * 40)
    >>> scores = ltc.score(run, save="default")
    >>> coreset = ltc.select(run, fraction=0.1, output=directory / "coreset")
    >>> bool((coreset.indices == scores.select(fraction=0.1).indices).all())
    True
    """
    check_counted(strategy)
    store = run if isinstance(run, Store) else open_store(run)
    name, saved, labelled = find_kept(store, scores)
    warn_if_stale(name, saved.attributes, store)
    plan = plan_selection(
        store.num_train,
        labelled=labelled,
        fraction=fraction,
        k=k,
        balance=balance,
        strategy=strategy,
        cutoff=cutoff,
        seed=seed,
        exclude=exclude,
    )
    arguments = {
        "scores": name,
        "k": plan.k,
        "balance": balance,
        "strategy": strategy,
        "cutoff": plan.cutoff,
        "seed": plan.seed,
        "excluded": plan.excluded.size,
    }
    ranges = _ranges(store, plan.excluded)
    if client is None:
        source = Source(store, name, saved.crc32, labelled)
        passes: Any = nullcontext(_LocalPasses(source, ranges))
    else:
        from ltc.distributed.selection import ClusterPasses

        source = Source(StoreTicket.of(store), name, saved.crc32, labelled)
        passes = ClusterPasses(client, source, ranges, progress=progress)
    with passes as each:
        choice = choose(plan, labelled=labelled, fold=each.fold, limits=LIMITS)
        place = begin_blocks(output)
        files = each.write(choice, place)
    return end_blocks(place, files, store.num_train, arguments)


class Kept(NamedTuple):
    """Scores that a store keeps; whether the samples have labels beside them."""

    name: str
    saved: SavedScores
    labelled: bool


def find_kept(store: Store, name: str | None) -> Kept:
    """Return the scores of that name, or the only ones.

    Raises
    ------
    ArgumentValueError
        There are none of that name, or no name is given and there are several or none.
    """
    name = _only_name(store) if name is None else name
    saved = store.saved_scores(name)
    labelled = store.num_groups is not None and saved.attributes.get("groups") != "given"
    return Kept(name, saved, labelled)


@dataclass(frozen=True, eq=False)
class Range:
    """Samples of whole chunks, for a task and a block, and which of them are excluded."""

    begin: int
    end: int
    excluded: NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Saved scores, range by range.

    Attributes
    ----------
    store : Store or StoreTicket
        Where they are.
    name : str
        Theirs.
    crc32 : int
        Of all of them, by which they are known.
    labelled : bool
        Whether the samples have labels.
    """

    store: Store | StoreTicket
    name: str
    crc32: int
    labelled: bool

    def blocks(self, samples: Range) -> Iterator[Block]:
        """Yield the blocks of a range, each a chunk.

        Raises
        ------
        StoreCorruptError
            The scores were changed, lost or replaced.
        """
        store = self.store.open() if isinstance(self.store, StoreTicket) else self.store
        saved = store.saved_scores(self.name)
        if saved.crc32 != self.crc32:
            raise StoreCorruptError(
                f"{store.path}: the scores {self.name!r} were replaced; select again"
            )
        width = store.chunk_samples
        for begin in range(samples.begin, samples.end, width):
            part = slice(begin, min(begin + width, samples.end))
            yield from cut(
                saved.read(part),
                store.labels("train", part) if self.labelled else None,
                samples.excluded,
                width=width,
                begin=begin,
            )

    def write(self, samples: Range, choice: Choice, place: Place) -> BlockFile:
        """Write the block of a range."""
        found = [choice.indices(block) for block in self.blocks(samples)]
        return write_block(place, samples.begin, samples.end, np.concatenate(found))


class _LocalPasses:
    """Passes by the threads of this process."""

    def __init__(self, source: Source, ranges: Sequence[Range]) -> None:
        self._source = source
        self._ranges = ranges

    def fold(
        self,
        function: Callable[[Block], _Result],
        merge: Callable[[_Result, _Result], _Result],
    ) -> _Result:
        """See `ltc.selection.search.Fold`."""

        def count(samples: Range) -> _Result:
            return reduce(merge, map(function, self._source.blocks(samples)))

        with ThreadPoolExecutor(thread_count(), thread_name_prefix="ltc-select") as pool:
            return reduce(merge, pool.map(count, self._ranges))

    def write(self, choice: Choice, place: Place) -> list[BlockFile]:
        """Write all blocks."""

        def write(samples: Range) -> BlockFile:
            return self._source.write(samples, choice, place)

        with ThreadPoolExecutor(thread_count(), thread_name_prefix="ltc-select") as pool:
            return list(pool.map(write, self._ranges))


def _only_name(store: Store) -> str:
    names = store.score_names()
    if len(names) != 1:
        raise ArgumentValueError(
            "scores must say which of the scores kept in the store to use, which has "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    return names[0]


def _ranges(store: Store, excluded: NDArray[np.int64]) -> list[Range]:
    """Divide the samples, in the same way whatever the number of workers."""
    parts = chunk_ranges([slice(0, store.num_train)], store.chunk_samples, threads=1)
    places = np.searchsorted(excluded, [0, *(part.stop for part in parts)])
    return [
        Range(part.start, part.stop, excluded[low:high])
        for part, low, high in zip(parts, places[:-1], places[1:], strict=True)
    ]
