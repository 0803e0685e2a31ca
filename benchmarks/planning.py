"""How well `ltc plan` estimates: its seconds beside those of real runs."""

import tempfile
import time
from pathlib import Path

import numpy as np

import ltc
from benchmarks import inputs
from benchmarks.results import Table
from ltc.planning import Plan, plan_run
from ltc.rates import measure_rates

LIMIT = 2  # the factor that an estimate holds to
QUERIES = 2048  # whose neighbours are searched for


def run(size_name: str = "imagenet-1k") -> Table:
    """Estimate, then record, score and search a run of this size."""
    size = inputs.SIZES[size_name]
    begin = time.perf_counter()
    rates = measure_rates(size.checkpoints)
    plan = plan_run(size.train, size.val, size.checkpoints, rates)
    few = plan_run(size.train, min(QUERIES, size.val), size.checkpoints, rates)
    took = time.perf_counter() - begin
    table = Table(
        f"ltc plan, {size.train:,} + {size.val:,} samples x {size.checkpoints}",
        ["what", "estimate", "actual", "actual over estimate", "limit"],
    )
    for name, estimate, actual in _actual(plan, few, size):
        unit, scale = ("MB", 1e6) if "bytes" in name else ("ms", 1e-3)
        table.add(
            name,
            f"{estimate / scale:.4g} {unit}",
            f"{actual / scale:.4g} {unit}",
            f"{actual / estimate:.2f}",
            f"{1 / LIMIT} to {LIMIT}",
        )
    table.note(f"Measuring the rates took {took:.1f} s, compiled kernels being there.")
    return table


def _actual(plan: Plan, few: Plan, size: inputs.Size) -> list[tuple[str, float, float]]:
    """What was measured, with its estimate; ``few`` is the plan of as few queries as are asked."""
    train, val = inputs.losses(size, "train"), inputs.losses(size, "val")
    labels = {split: inputs.labels(size, split) for split in ("train", "val")}
    queries = np.arange(few.num_val)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run.zarr")
        seconds = []
        with ltc.Recorder(run, train_labels=labels["train"], val_labels=labels["val"]) as recorder:
            for t in range(size.checkpoints):
                recorder.update("train", np.arange(size.train), losses=train[t])
                recorder.update("val", np.arange(size.val), losses=val[t])
                seconds.append(_time(lambda t=t: recorder.commit(t)))  # type: ignore[misc]
        ltc.score(run)  # compiles, and fills the file cache
        scoring = min(_time(lambda: ltc.score(run)) for _ in range(3))
        searching = _time(lambda: ltc.neighbors(run, queries))
        stored = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    return [
        ("bytes of the store", plan.store, stored),
        ("all commits", plan.commits, sum(seconds)),
        ("score", plan.score, scoring),
        (f"neighbors of {len(queries):,} queries", few.all_neighbors, searching),
    ]


def _time(call: object) -> float:
    begin = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - begin
