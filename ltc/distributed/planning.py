"""What a run will take of a cluster and of an object store, before any work."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from ltc.distributed.steps import SMALL_OBJECTS, Conditions, Sizes, Step, plan_steps
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.planning import check_sizes, format_bytes, format_seconds, plan_run
from ltc.tables import columns, counted
from ltc_kernels import thread_count

if TYPE_CHECKING:
    from ltc.planning import Plan
    from ltc.rates import Rates

__all__ = ["ClusterPlan", "Conditions", "cluster_table", "plan_cluster"]


@dataclass(frozen=True)
class ClusterPlan:
    """What a run will take.

    Attributes
    ----------
    run : Plan
        What one machine would take, and the bytes of the store.
    workers, threads : int
        Machines, and threads of each.
    conditions : Conditions
        What was assumed.
    objects : int
        Of the store.
    steps : tuple of Step
        Recording, scoring, neighbours, selecting.
    """

    run: Plan
    workers: int
    threads: int
    conditions: Conditions
    objects: int
    steps: tuple[Step, ...]


def plan_cluster(
    num_train: int,
    num_val: int,
    num_checkpoints: int,
    rates: Rates,
    workers: int,
    conditions: Conditions | None = None,
) -> ClusterPlan:
    """Work out what a run of this size will take of a cluster of machines like this one.

    Parameters
    ----------
    num_train, num_val, num_checkpoints : int
        N, M and T.
    rates : Rates
        From `ltc.rates.measure_rates`, for the same number of checkpoints.
    workers : int
        Machines, each with one worker that has a thread for each core.
    conditions : Conditions, optional
        What is assumed of network, object store and scheduler.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A number is no integer, or less than 1.

    Examples
    --------
    >>> from ltc.rates import Rates
    >>> rates = Rates(0.01, 1e-8, 0.01, 1e-9, 1e-9, 0.01, 4e-7, 4e-5, 1e-9, 1e-8)
    >>> plan = plan_cluster(10**10, 10**6, 50, rates, workers=64)
    >>> plan.objects
    1945730
    >>> score = plan.steps[1]
    >>> score.tasks, score.bound, round(score.seconds)
    (4770, 'reads', 356)
    """
    check_sizes(num_train, num_val, num_checkpoints)
    if isinstance(workers, bool) or not isinstance(workers, int):
        raise ArgumentTypeError(f"workers must be an integer, got {workers!r}")
    if workers < 1:
        raise ArgumentValueError(f"workers must be at least 1, got {workers}")
    assumed = conditions or Conditions()
    run = plan_run(num_train, num_val, num_checkpoints, rates)
    sizes = Sizes(num_train, num_val, num_checkpoints, workers, thread_count())
    steps = plan_steps(sizes, run, rates, assumed)
    objects = sizes.chunks * (num_checkpoints + 1) + SMALL_OBJECTS
    return ClusterPlan(run, workers, sizes.threads, assumed, objects, steps)


def cluster_table(plan: ClusterPlan) -> str:
    """Describe a plan, at most 80 columns wide.

    Parameters
    ----------
    plan : ClusterPlan
        From `plan_cluster`.
    """
    run, assumed = plan.run, plan.conditions
    size = (
        f"{run.num_train:,} train, {run.num_val:,} val, "
        f"{counted(run.num_checkpoints, 'checkpoint')}"
    )
    facts = [
        ("run", size),
        ("store", f"{format_bytes(run.store)}, {counted(plan.objects, 'object')}"),
        ("workers", f"{plan.workers:,} x {counted(plan.threads, 'thread')}"),
    ]
    rows = [("", "tasks", "requests", "moved", "per worker", "time", "bound by")]
    for step in plan.steps:
        tasks, requests = f"{step.tasks:,}", f"{step.gets + step.puts:,}"
        moved, memory = format_bytes(step.moved), format_bytes(step.memory)
        time = format_seconds(step.seconds)
        rows.append((step.name, tasks, requests, moved, memory, time, step.bound))
    notes = (
        "Estimates; neighbors are those of all validation samples. Computing is that of workers "
        "like this machine, whose rates come from small runs just now; memory is beside that of "
        "the libraries; a step takes as long as what bounds it. Assumed: "
        f"{assumed.network:g} Gb/s for each worker; answers of the object store that begin after "
        f"{assumed.latency:g} s, {assumed.reads:,.0f} reads and {assumed.writes:,.0f} writes a "
        "second (what Amazon S3 promises for one prefix; it divides busy ones); "
        f"{1e3 * assumed.scheduler:g} ms of the scheduler for a task."
    )
    return "\n".join([*columns(facts, "<<"), "", *columns(rows, "<>>>>><"), "", *wrap(notes, 80)])
