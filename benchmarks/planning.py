"""How well `ltc plan` estimates: its seconds beside those of real runs."""

import tempfile
import time
from pathlib import Path

import numpy as np

import ltc
from benchmarks import inputs
from benchmarks.results import Table
from ltc.planning import Plan, measure_rates, plan_run

LIMIT = 3  # the factor that an estimate holds to
QUERIES = 512  # whose neighbours are searched for; those of more take longer in proportion


def run(size_name: str = "imagenet-1k") -> Table:
    """Estimate, then record, score and search a run of this size."""
    size = inputs.SIZES[size_name]
    begin = time.perf_counter()
    plan = plan_run(size.train, size.val, size.checkpoints, measure_rates(size.checkpoints))
    took = time.perf_counter() - begin
    table = Table(
        f"ltc plan, {size.train:,} + {size.val:,} samples x {size.checkpoints}",
        ["what", "estimate", "actual", "actual over estimate", "limit"],
    )
    for name, estimate, actual in _actual(plan, size):
        unit, scale = ("MB", 1e6) if "bytes" in name else ("ms", 1e-3)
        table.add(
            name,
            f"{estimate / scale:.4g} {unit}",
            f"{actual / scale:.4g} {unit}",
            f"{actual / estimate:.2f}",
            f"{1 / LIMIT:.2f} to {LIMIT}",
        )
    table.note(f"Measuring the rates took {took:.1f} s, compiled kernels being there.")
    return table


def _actual(plan: Plan, size: inputs.Size) -> list[tuple[str, float, float]]:
    """What was measured, with its estimate."""
    train, val = inputs.losses(size, "train"), inputs.losses(size, "val")
    labels = {split: inputs.labels(size, split) for split in ("train", "val")}
    queries = np.arange(min(QUERIES, size.val))
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
    share = len(queries) / size.val
    return [
        ("bytes of the store", plan.store, stored),
        ("all commits", plan.commits, sum(seconds)),
        ("score", plan.score, scoring),
        (f"neighbors of {len(queries)} queries", share * plan.all_neighbors, searching),
    ]


def _time(call: object) -> float:
    begin = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - begin
