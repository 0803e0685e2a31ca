"""What a commit of several processes takes, over gloo on one machine, and what its parts do.

The processes share the machine's cores, and the exchange its memory instead of a network, so the
figures say what the messages themselves cost: one of 8 bytes per sample to rank 0, and the answer.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.recording import SIZES
from benchmarks.results import Table
from benchmarks.timing import Timing
from ltc.recorder import Recorder

PROCESSES = (1, 2, 4)
ANSWERS = 200
ANSWER_LIMIT = 2  # milliseconds


def _record(rank: int, processes: int, folder: str, sizes: tuple[int, int], rounds: int) -> None:
    """Commit a few times in one of the processes; rank 0 writes down how long it took."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes
    )
    seconds: dict[str, list[float]] = {"commit": [], "reduce": [], "answer": []}
    reduce = dist.reduce

    def timed_reduce(*arguments: Any, **options: Any) -> None:
        begin = time.perf_counter()
        reduce(*arguments, **options)
        seconds["reduce"].append(time.perf_counter() - begin)

    dist.reduce = timed_reduce
    rng = np.random.default_rng(rank)
    with Recorder(Path(folder, "run.zarr"), num_train=sizes[0], num_val=sizes[1]) as recorder:
        for checkpoint in range(rounds + 1):
            for split, size in zip(("train", "val"), sizes, strict=True):
                index = np.arange(rank, size, processes)
                recorder.update(split, index, losses=rng.exponential(size=index.size))
            dist.barrier()
            begin = time.perf_counter()
            recorder.commit(checkpoint)
            seconds["commit"].append(time.perf_counter() - begin)
    for _ in range(ANSWERS):
        if processes > 1:
            dist.barrier()
            begin = time.perf_counter()
            recorder._processes.answer(lambda: None)
            seconds["answer"].append(time.perf_counter() - begin)
    # Of the others too: rank 0 has sent its answer before they have it.
    np.savez(Path(folder, f"{rank}.npz"), **{name: np.array(v) for name, v in seconds.items()})
    dist.destroy_process_group()


def _timings(processes: int, size_name: str, rounds: int) -> dict[str, Timing]:
    """Run so many processes; for each commit and each answer the slowest of them counts."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_record, (processes, folder, SIZES[size_name], rounds), nprocs=processes)
        found = [dict(np.load(Path(folder, f"{rank}.npz"))) for rank in range(processes)]
    slowest = {name: np.max([each[name] for each in found], axis=0) for name in found[0]}
    # The first commit makes directories, and isn't counted.
    return {name: Timing(tuple(seconds[1:])) for name, seconds in slowest.items()}


def run(size_name: str = "imagenet-1k", rounds: int = 15) -> Table:
    """Measure commits of 1, 2 and 4 processes on a store of this size."""
    num_train, num_val = SIZES[size_name]
    table = Table(
        f"Commits of several processes over gloo, {num_train:,} + {num_val:,} samples",
        ["processes", "commit", "of it the exchange", "of it the answer"],
    )
    for processes in PROCESSES:
        timings = _timings(processes, size_name, rounds)
        parts = ["-" if processes == 1 else str(timings[name]) for name in ("reduce", "answer")]
        table.add(str(processes), str(timings["commit"]), *parts)
        if processes > 1 and timings["answer"].median > 1e-3 * ANSWER_LIMIT:
            table.note(f"An answer to {processes} processes took more than {ANSWER_LIMIT} ms.")
    table.note(
        "Of all processes the slowest counts: those that don't write wait for that which does, as "
        "they would at the next gradient."
    )
    return table
