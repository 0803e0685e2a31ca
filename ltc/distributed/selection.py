"""`ltc.select` on a cluster: passes of counts over ranges of the samples, and a block of each."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tqdm.auto import tqdm

from ltc.distributed.cluster import check_client
from ltc.distributed.tasks import Call, Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client, Future

    from ltc.block_selection import Range, Source
    from ltc.selection.blocks import BlockFile
    from ltc.selection.counting import Choice
    from ltc.selection.members import Block
    from ltc.store.places import Place

__all__ = ["FAN_IN", "ClusterPasses"]

FAN_IN: Final = 8
"""Results that a task merges."""

_Result = TypeVar("_Result")


class ClusterPasses:
    """Passes over the ranges of a source, by the workers of a cluster; leaving it ends its tasks.

    Parameters
    ----------
    client : Client
        Of the cluster.
    source : Source
        Where blocks come from.
    ranges : sequence of Range
        All samples, a range for each task.
    progress : bool
        Whether to show a bar for each pass.
    """

    def __init__(
        self, client: Client, source: Source, ranges: Sequence[Range], *, progress: bool
    ) -> None:
        self._tasks = Tasks(check_client(client), "select")
        self._source = source
        self._ranges = ranges
        self._progress = progress

    def __enter__(self) -> ClusterPasses:
        """Begin."""
        self._tasks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Cancel what hasn't ended."""
        self._tasks.__exit__(*error)

    def fold(
        self,
        function: Callable[[Block], _Result],
        merge: Callable[[_Result, _Result], _Result],
    ) -> _Result:
        """See `ltc.selection.search.Fold`: results are merged in a tree, on workers."""
        common = self._held(function)
        levels: list[list[Future]] = []
        for future in self._run("counting", count_task, common, merge):
            self._add(levels, 0, future, merge)
        left = [future for level in levels for future in level]
        while len(left) > 1:
            left = [*left[FAN_IN:], self._merged(left[:FAN_IN], merge)]
        result: _Result
        (result,) = self._tasks.results("merging counts", left)
        for each in (*left, common):
            self._tasks.release(each)
        return result

    def write(self, choice: Choice, place: Place) -> list[BlockFile]:
        """Let the workers write the blocks of a choice; return what they wrote, in any order."""
        common = self._held(choice)
        files: list[BlockFile] = []
        for future in self._run("writing the block of", write_task, common, place):
            files += self._tasks.results("writing blocks", [future])
            self._tasks.release(future)
        self._tasks.release(common)
        return files

    def _run(
        self, what: str, function: Callable[..., Any], common: Future, other: object
    ) -> Iterator[Future]:
        """Call a function of every range; yield the futures of those that have ended."""
        calls = (
            Call(
                f"{what} samples {each.begin} to {each.end - 1}",
                function,
                (self._source, each, common, other),
            )
            for each in self._ranges
        )
        large = any(each.excluded.size for each in self._ranges)
        with tqdm(
            total=self._ranges[-1].end,
            desc="select",
            unit=" samples",
            unit_scale=True,
            disable=not self._progress,
        ) as bar:
            for call, future in self._tasks.completed(calls, large=large):
                done = call.arguments[1]
                bar.update(done.end - done.begin)
                yield future

    def _held(self, value: object) -> Future:
        """Send a value to the cluster once: workers have it from each other, or made again."""
        return self._tasks.submit(Call("sending what tasks share", hold_task, (value,)))

    def _add(
        self,
        levels: list[list[Future]],
        height: int,
        future: Future,
        merge: Callable[[Any, Any], Any],
    ) -> None:
        """Put a result on its level of the tree; a level that is full becomes one result above."""
        if height == len(levels):
            levels.append([])
        levels[height].append(future)
        if len(levels[height]) == FAN_IN:
            full, levels[height] = levels[height], []
            self._add(levels, height + 1, self._merged(full, merge), merge)

    def _merged(self, futures: Sequence[Future], merge: Callable[[Any, Any], Any]) -> Future:
        merged = self._tasks.submit(Call("merging counts", merge_task, (merge, *futures)))
        for future in futures:
            self._tasks.release(future)
        return merged


def hold_task(value: _Result) -> _Result:
    """Return a value, which is then on a worker."""
    return value


def count_task(
    source: Source,
    samples: Range,
    function: Callable[[Block], _Result],
    merge: Callable[[_Result, _Result], _Result],
) -> _Result:
    """Return what the results of all blocks of a range merge to."""
    return reduce(merge, map(function, source.blocks(samples)))


def merge_task(merge: Callable[[_Result, _Result], _Result], *results: _Result) -> _Result:
    """Merge the results of tasks."""
    return reduce(merge, results)


def write_task(source: Source, samples: Range, choice: Choice, place: Place) -> BlockFile:
    """Write the block of a range."""
    return source.write(samples, choice, place)
