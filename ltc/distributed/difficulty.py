"""`ltc.difficulty` on a cluster: a task scores a range of whole chunks by all kinds at once."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from ltc.difficulty_pass import difficulty_metadata, finish, score_samples
from ltc.difficulty_plan import DifficultyPlan, Negative
from ltc.distributed.cluster import StoreTicket, check_client, chunk_ranges, count_threads
from ltc.distributed.selection import hold_task
from ltc.distributed.tasks import Call, Tasks
from ltc.distributed.workers import NO_BAR, on_worker
from ltc.lost_losses import warn_of_lost_losses
from ltc.store.parts import UnfinishedRun
from ltc.store.unfinished import Part, missing_ranges
from ltc.stored_scores import StoredScores
from ltc_kernels.difficulty_kinds import FORGETTING, OF_LOSSES, WINDOWED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client
    from numpy.typing import NDArray

    from ltc.scores import Scores
    from ltc.store.parts import PartWriter

__all__ = ["difficulty_on_cluster"]


@dataclass(frozen=True)
class Shared:
    """What the tasks of one run have in common; sent to each worker once.

    Attributes
    ----------
    ticket : StoreTicket
        The store.
    plan : dict
        The plan of the client, without its store.
    writers : tuple of PartWriter
        Of each kind, where scores are kept.
    """

    ticket: StoreTicket
    plan: dict[str, Any]
    writers: tuple[PartWriter, ...]


class ScoredRange(NamedTuple):
    """What becomes of a range: its parts where they were written, its scores where they weren't."""

    samples: slice
    missing: int
    negative: Negative | None
    parts: tuple[Part, ...]
    values: NDArray[np.float32] | None


def difficulty_on_cluster(
    plan: DifficultyPlan, client: Client, names: dict[str, str] | None, *, progress: bool
) -> dict[str, Scores]:
    """Score all samples, and let the workers keep the scores if there are names for them.

    Parameters
    ----------
    plan : DifficultyPlan
        What was asked for.
    client : Client
        Of the cluster.
    names : dict of str to str, optional
        What the scores of each kind are to be called in the store.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    dict of str to Scores
        By kind.
    """
    run = _ClusterDifficulty(check_client(client), plan, progress)
    return run.gathered() if names is None else run.saved(names)


@dataclass
class _ClusterDifficulty:
    """One run of `difficulty_on_cluster`."""

    client: Client
    plan: DifficultyPlan
    progress: bool
    negative: Negative | None = field(default=None, init=False)

    def gathered(self) -> dict[str, Scores]:
        """Score everything, and let the scores come to this process."""
        size = self.plan.store.num_train
        values = np.empty((len(self.plan.computed), size), dtype=np.float32)
        missing = 0
        for each in self._results([slice(0, size)], (), direct=True):
            values[:, each.samples] = each.values
            missing += each.missing
        return finish(self.plan, values, missing, stacklevel=6)

    def saved(self, names: dict[str, str]) -> dict[str, Scores]:
        """Score what an earlier run has left, and let the workers write the scores."""
        plan, store = self.plan, self.plan.store
        with ExitStack() as stack:
            runs: list[UnfinishedRun] = []
            for kind, name in names.items():
                description, beside = describe(plan, kind), runs[0] if runs else None
                run = UnfinishedRun(store.place, name, store.revision, description, beside=beside)
                stack.callback(run.release)
                runs.append(run)
            parts = common_parts([run.found for run in runs])
            left = missing_ranges(parts[0], store.num_train)
            for each in self._results(left, tuple(run.writer for run in runs)):
                for of_kind, part in zip(parts, each.parts, strict=True):
                    of_kind.append(part)
            if self.negative is not None:
                for run in runs:
                    run.discard()
                plan.check(self.negative)
            missing = sum(part.report["missing"] for part in parts[0])
            lost = warn_of_lost_losses(store, plan.rows, {"train": missing}, stacklevel=5)
            found: dict[str, Scores] = {}
            for (kind, name), run, of_kind in zip(names.items(), runs, parts, strict=True):
                undefined = sum(part.report["undefined"] for part in of_kind)
                metadata = difficulty_metadata(plan, kind, undefined, missing, lost)
                run.finish(of_kind, metadata)
                found[kind] = StoredScores(store, name, metadata)
        return found

    def _results(
        self, left: list[slice], writers: tuple[PartWriter, ...], *, direct: bool = False
    ) -> Iterator[ScoredRange]:
        """Run a task for each range that is left; yield what comes of them, in any order.

        Ranges with negative losses have no parts, and are remembered.
        """
        store = self.plan.store
        ranges = chunk_ranges(left, store.chunk_samples, count_threads(self.client))
        with (
            Tasks(self.client, "difficulty") as tasks,
            tqdm(
                total=store.num_train,
                initial=store.num_train - sum(each.stop - each.start for each in left),
                desc="difficulty",
                unit=" samples",
                unit_scale=True,
                disable=not self.progress,
            ) as bar,
        ):
            if not ranges:
                return
            plan = {name: value for name, value in vars(self.plan).items() if name != "store"}
            shared = Shared(StoreTicket.of(store), plan, writers)
            held = tasks.submit(Call("sending what tasks share", hold_task, (shared,)))
            calls = (
                Call(
                    f"scoring samples {each.start} to {each.stop - 1}",
                    difficulty_task,
                    (held, each),
                )
                for each in ranges
            )
            for _, result in tasks.gathered(calls, direct=direct):
                bar.update(result.samples.stop - result.samples.start)
                if result.negative is not None:
                    more = result.negative
                    self.negative = more if self.negative is None else self.negative | more
                    if writers:
                        continue
                yield result


def describe(plan: DifficultyPlan, kind: str) -> dict[str, Any]:
    """Return all that scores of a kind depend on, as JSON values."""
    return {
        "kind": kind,
        "window": plan.window if kind in WINDOWED else None,
        "classes": plan.classes if kind in FORGETTING else None,
        "claimed": plan.claimed and kind not in OF_LOSSES,
        "revision": plan.store.revision,
        "committed": plan.store.committed,
        "checkpoints": list(plan.rows),
    }


def common_parts(found: Sequence[Sequence[Part]]) -> list[list[Part]]:
    """Return, of each kind, the parts that all kinds have: of a range either all or none is done.

    Examples
    --------
    >>> common_parts([[Part(0, 4, 1), Part(4, 6, 2)], [Part(0, 4, 3)]])
    [[Part(begin=0, end=4, crc32=1, report={})], [Part(begin=0, end=4, crc32=3, report={})]]
    """
    ranges = [{(part.begin, part.end) for part in parts} for parts in found]
    common = set.intersection(*ranges)
    return [[part for part in parts if (part.begin, part.end) in common] for parts in found]


def difficulty_task(shared: Shared, samples: slice) -> ScoredRange:
    """Score a range of whole chunks; write the scores if there are writers for them."""
    with on_worker("cpu"):
        plan = DifficultyPlan(**shared.plan, store=shared.ticket.open())
        values, missing = score_samples(plan, NO_BAR, samples, alone=True)
        negative = plan.negative(values, samples.start)
        if not shared.writers:
            return ScoredRange(samples, missing, negative, (), values)
        if negative is not None:
            return ScoredRange(samples, missing, negative, (), None)
        parts = tuple(
            writer.write(
                samples.start, row, {"missing": missing, "undefined": int(np.isnan(row).sum())}
            )
            for writer, row in zip(shared.writers, values, strict=False)
        )
        return ScoredRange(samples, missing, None, parts, None)
