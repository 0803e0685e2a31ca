"""`ltc.score` on a cluster: a task scores a range of whole chunks, and may write its scores."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from ltc.devices import choose_device
from ltc.distributed.cluster import StoreTicket, check_client, chunk_ranges, count_threads
from ltc.distributed.tasks import Call, Tasks
from ltc.distributed.workers import NO_BAR, on_worker
from ltc.lost_losses import warn_of_lost_losses
from ltc.score_pass import check_memory, prepare_scoring, score_metadata, score_samples
from ltc.score_plan import plan_score
from ltc.scores import Scores
from ltc.store import Store, open_store
from ltc.store.parts import UnfinishedRun
from ltc.store.unfinished import Part, missing_ranges
from ltc.stored_scores import StoredScores
from ltc.tiles import parse_memory

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from distributed import Client, Future
    from numpy.typing import ArrayLike, NDArray

    from ltc.score_pass import PreparedScoring
    from ltc.score_plan import ScorePlan
    from ltc.store.parts import PartWriter

__all__ = ["score_on_cluster"]


@dataclass(frozen=True)
class Prepared:
    """What the tasks of one run have in common; made by a task, and sent to each worker once.

    Attributes
    ----------
    ticket : StoreTicket
        The store.
    plan : dict
        The plan of the client, without what each worker has of its own.
    scoring : PreparedScoring
        The references.
    place : str
        The device that a worker of this cluster has: all are to use theirs of that name.
    """

    ticket: StoreTicket
    plan: dict[str, Any]
    scoring: PreparedScoring
    place: str


class ScoredRange(NamedTuple):
    """What becomes of a range: a part that is told of, and its scores unless they were written."""

    part: Part
    values: NDArray[np.float32] | None


def score_on_cluster(
    run: str | os.PathLike[str] | Store,
    client: Client,
    *,
    signal: str,
    reference: str,
    checkpoints: slice | Sequence[int] | None,
    groups: tuple[ArrayLike, ArrayLike] | None,
    device: str,
    memory_limit: str | int,
    save: str | None,
    progress: bool,
) -> Scores:
    """See `ltc.score`, whose arguments these are."""
    connected = check_client(client)
    store = run if isinstance(run, Store) else open_store(run)
    memory = parse_memory(memory_limit)
    plan = plan_score(
        store, signal, reference, checkpoints, groups, memory, train_labels=groups is not None
    )
    check_memory(plan)
    scoring = _ClusterScoring(connected, plan, device, progress)
    if save is None:
        return scoring.gathered()
    return scoring.saved(save)


@dataclass
class _ClusterScoring:
    """One run of `score_on_cluster`."""

    client: Client
    plan: ScorePlan
    device: str
    progress: bool
    parts: list[Part] = field(default_factory=list)

    def gathered(self) -> Scores:
        """Score everything, and let the scores come to this process."""
        store = self.plan.store
        values = np.empty(store.num_train, dtype=np.float32)
        with Tasks(self.client, "score") as tasks:
            for part, scores in self._results(tasks, None, direct=True):
                values[part.begin : part.end] = scores
        labels = self.plan.labels if self.plan.groups_given else store.labels("train")
        return Scores(values, labels, store.ids("train"), self._metadata())

    def saved(self, name: str) -> Scores:
        """Score what an earlier run has left, and let the workers write the scores."""
        store = self.plan.store
        description = describe(self.plan, self.device)
        run = UnfinishedRun(store.place, name, store.revision, description)
        try:
            self.parts = list(run.found)
            with Tasks(self.client, "score") as tasks:
                for _ in self._results(tasks, run.writer):
                    pass
            metadata = self._metadata()
            run.finish(self.parts, metadata)
        finally:
            run.release()
        return StoredScores(store, name, metadata)

    def _results(
        self, tasks: Tasks, writer: PartWriter | None, *, direct: bool = False
    ) -> Iterator[ScoredRange]:
        """Run a task for each range that is left; yield what comes of them, in any order."""
        store = self.plan.store
        left = missing_ranges(self.parts, store.num_train)
        ranges = chunk_ranges(left, store.chunk_samples, count_threads(self.client))
        with tqdm(
            total=store.num_train,
            initial=store.num_train - sum(each.stop - each.start for each in left),
            desc="score",
            unit=" samples",
            unit_scale=True,
            disable=not self.progress,
        ) as bar:
            if not ranges:
                return
            ticket = StoreTicket.of(store)
            shared = {k: v for k, v in vars(self.plan).items() if k not in ("store", "labels")}
            prepared = tasks.submit(
                Call("preparing references", prepare_task, (ticket, shared, self.device))
            )
            calls = (self._call(prepared, each, writer) for each in ranges)
            large = self.plan.labels is not None
            for _, result in tasks.gathered(calls, large=large, direct=direct):
                self.parts.append(result.part)
                bar.update(result.part.end - result.part.begin)
                yield result

    def _call(self, prepared: Future, samples: slice, writer: PartWriter | None) -> Call:
        labels = self.plan.labels
        groups = None if labels is None else labels[samples]
        what = f"scoring samples {samples.start} to {samples.stop - 1}"
        return Call(what, score_task, (prepared, samples, groups, writer))

    def _metadata(self) -> dict[str, Any]:
        def total(what: str) -> int:
            return sum(part.report[what] for part in self.parts)

        first = self.parts[0].report
        missing = {"train": total("missing"), "val": first["missing_val"]}
        metadata = score_metadata(self.plan, total("undefined"), missing)
        lost = warn_of_lost_losses(self.plan.store, self.plan.rows, missing, stacklevel=6)
        return metadata | {"lost": lost, "device": first["device"]}


def describe(plan: ScorePlan, device: str) -> dict[str, Any]:
    """Return all that scores depend on, as JSON values: what an earlier run must have had."""
    digest = hashlib.sha256()
    if plan.groups_given:
        for groups in (plan.labels, plan.val_groups):
            digest.update(np.ascontiguousarray(groups).data)
    return {
        "kind": "score",
        "signal": plan.signal,
        "reference": plan.reference,
        "groups": digest.hexdigest() if plan.groups_given else "class",
        "revision": plan.store.revision,
        "committed": plan.store.committed,
        "checkpoints": list(plan.rows),
        "memory_limit": plan.memory,
        "device": device,
    }


def prepare_task(ticket: StoreTicket, shared: dict[str, Any], device: str) -> Prepared:
    """Make the references, on one worker for all."""
    from ltc.score_plan import ScorePlan

    place = choose_device(device, pairs=False)
    with on_worker("cpu"):
        plan = ScorePlan(**shared, store=ticket.open(), labels=None)
        return Prepared(ticket, shared, prepare_scoring(plan), place)


def score_task(
    prepared: Prepared,
    samples: slice,
    groups: NDArray[np.int32] | None,
    writer: PartWriter | None,
) -> ScoredRange:
    """Score a range of whole chunks; write the scores if there is a writer for them."""
    from ltc.score_plan import ScorePlan

    place = choose_device(prepared.place, pairs=False)
    with on_worker(place):
        store = prepared.ticket.open()
        labels = groups
        if groups is None and prepared.plan["num_groups"] > 1:
            labels = store.labels("train", samples)
        plan = ScorePlan(**{**prepared.plan, "first": samples.start}, store=store, labels=labels)
        values, missing = score_samples(
            plan, prepared.scoring, place, NO_BAR, samples=samples, alone=True
        )
        report = {
            "missing": missing,
            "missing_val": prepared.scoring.missing_val,
            "undefined": int(np.isnan(values).sum()),
            "device": place,
        }
        if writer is not None:
            return ScoredRange(writer.write(samples.start, values, report), None)
        return ScoredRange(Part(samples.start, samples.stop, 0, report), values)
