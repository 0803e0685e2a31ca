"""How time and memory grow with the number of samples: of scoring, and of recording."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.results import Table
from benchmarks.timing import Timing
from ltc.store.writer import SplitRecord, StoreWriter

ROUNDS = 15
LONG_ROUNDS = 5  # where one takes seconds
LONG = 50_000_000  # samples
COLD_ROUNDS = 3
LEAST_CONSTANT, MOST_CONSTANT = 0.7, 1.3  # time per sample over that of the smallest with as many T
MOST_MEMORY = 600  # MB at ImageNet-1k size; with 12 bytes a sample more at others
BYTES_RECORDED = 8  # a sample
RECORDED = 100_000_000  # samples, in a commit
FIXED = 1_000  # samples, for the cost that doesn't grow
# name: training samples, checkpoints, classes
SIZES = {
    "1 million": (1_000_000, 20, 1000),
    "10 million": (10_000_000, 20, 1000),
    "100 million": (100_000_000, 20, 1000),
    "ImageNet-1k": (1_281_167, 90, 1000),
    "ImageNet-21k": (14_200_000, 90, 10_450),
}
PROGRAM = """
import json, sys, time
import ltc, ltc_kernels.cpu.sums
from ltc.store.sweep import can_sweep_directly
from benchmarks.machine import peak_memory
can_sweep_directly()  # imports what is compiled
seconds = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    scores = ltc.score(sys.argv[1])
    seconds.append(time.perf_counter() - begin)
    undefined = int(scores.undefined.sum())
    del scores
print(json.dumps([seconds, peak_memory(), undefined]))
"""
RECORDING = """
import json, sys, time
import numpy as np
import ltc
from benchmarks.machine import peak_memory
size, batch = int(sys.argv[2]), 1_000_000
losses = np.random.default_rng(0).exponential(size=batch).astype(np.float32)
with ltc.Recorder(sys.argv[1] + ".first", num_train=batch, num_val=1) as recorder:
    recorder.update("train", np.arange(batch), losses=losses)
    recorder.commit(0)
before = peak_memory()
with ltc.Recorder(sys.argv[1], num_train=size, num_val=1) as recorder:
    for begin in range(0, size, batch):
        recorder.update("train", np.arange(begin, begin + batch), losses=losses)
    recorded = peak_memory()
    begin = time.perf_counter()
    recorder.commit(0)
    seconds = time.perf_counter() - begin
print(json.dumps([seconds, before, recorded, peak_memory()]))
"""


def run(names: tuple[str, ...] = tuple(SIZES), folder: str | None = None) -> list[Table]:
    """Write a store of each size, score it warm and cold, delete it; then record a large one."""
    return [_scoring(names, folder), _recording(folder)]


def _scoring(names: tuple[str, ...], folder: str | None) -> Table:
    table = Table(
        "Scoring stores of growing size",
        [
            "samples",
            "checkpoints",
            "warm",
            "fixed",
            "per sample, less fixed",
            "over the smallest",
            "peak memory",
            "cold over streaming",
        ],
    )
    fixed: dict[tuple[int, int], Timing] = {}
    smallest: dict[int, float] = {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for name in names:
            num_train, checkpoints, classes = SIZES[name]
            if (checkpoints, classes) not in fixed:
                path = write(Path(place), FIXED, checkpoints, classes)
                fixed[checkpoints, classes] = _score(path, ROUNDS)[0]
                shutil.rmtree(path)
            base = fixed[checkpoints, classes]
            path = write(Path(place), num_train, checkpoints, classes)
            timing, peak = _score(path, LONG_ROUNDS if num_train > LONG else ROUNDS)
            cold = _cold(path)
            shutil.rmtree(path)
            each = (timing.median - base.median) / num_train * 1e9
            table.add(
                f"{num_train:,}",
                str(checkpoints),
                str(timing),
                f"{1e3 * base.median:.1f} ms",
                f"{each:.2f} ns",
                f"{each / smallest.setdefault(checkpoints, each):.2f}",
                f"{peak:.0f} MB, {(peak - 12e-6 * num_train):.0f} without 12 B a sample",
                cold,
            )
    table.note(
        f"Limits: the time per sample within {LEAST_CONSTANT} and {MOST_CONSTANT} of the smallest "
        f"store's with as many checkpoints; {MOST_MEMORY} MB beside 12 bytes a sample."
    )
    table.note(
        f"Fixed: a store of {FIXED:,} training samples with as many checkpoints and classes, and "
        "the same 50,000 validation samples."
    )
    table.note(
        "Cold: the chunks are dropped from the file cache before they are scored, and before they "
        "are read 1 MiB at a time, which is what dd does, without a process for each file; a ratio "
        "below 1 means that the cache was not empty, or that two readers are faster than one."
    )
    return table


def _recording(folder: str | None) -> Table:
    """Record every sample of a large split once, in batches of a million, and commit."""
    table = Table(
        f"Recording {RECORDED:,} samples",
        ["what", "seconds", "memory beside that of a million", "per sample", "limit"],
    )
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [sys.executable, "-c", RECORDING, str(Path(place, "run.zarr")), str(RECORDED)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, before, recorded, committed = json.loads(done.stdout)
    for what, time_taken, peak in (
        ("updates", "", recorded),
        ("commit", f"{seconds:.2f}", committed),
    ):
        each = 1e6 * (peak - before) / RECORDED
        limit = f"at most {BYTES_RECORDED} B"
        table.add(what, time_taken, f"{peak - before:.0f} MB", f"{each:.2f} B", limit)
    return table


def write(place: Path, num_train: int, checkpoints: int, classes: int) -> Path:
    """Write a store row by row; rows of noise around a falling level, made of one block."""
    path = place / "run.zarr"
    rng = np.random.default_rng(0)
    block = rng.random(1_000_003, dtype=np.float32)
    num_val = 50_000
    labels = np.arange(num_train, dtype=np.int32) % np.int32(classes)
    val_labels = np.arange(num_val, dtype=np.int32) % np.int32(classes)
    with StoreWriter.create(
        path, num_train=num_train, num_val=num_val, train_labels=labels, val_labels=val_labels
    ) as writer:
        for t in range(checkpoints):
            level = np.float32(3 * np.exp(-t / 20))
            records = [
                SplitRecord(
                    losses=np.resize(np.roll(block, 7919 * t) + level, size).astype(np.float16),
                    observed=size,
                    duplicate=0,
                    clipped=0,
                    nonfinite=0,
                    mode="training",
                )
                for size in (num_train, num_val)
            ]
            writer.append(t, *records)
    return path


def _score(path: Path, rounds: int) -> tuple[Timing, float]:
    """Score several times in one process; the first compiles and isn't counted."""
    seconds, peak = _process(path, rounds + 1)
    return Timing(tuple(seconds[1:])), peak


def _process(path: Path, rounds: int) -> tuple[list[float], float]:
    command = [sys.executable, "-c", PROGRAM, str(path), str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak, undefined = json.loads(done.stdout)
    if undefined:
        raise RuntimeError(f"{undefined} scores are undefined")
    return seconds, peak


def _cold(path: Path) -> str:
    """Seconds of scoring from the disk over those of reading the same files as streams."""
    chunks = [file for file in (path / "train/losses/c").rglob("*") if file.is_file()]
    scoring, streaming = [], []
    for _ in range(COLD_ROUNDS):
        _drop(path)
        scoring += _process(path, 1)[0]
        _drop(path)
        begin = time.perf_counter()
        for chunk in chunks:
            with chunk.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
        streaming.append(time.perf_counter() - begin)
    return f"{np.median(scoring) / np.median(streaming):.2f}"


def _drop(path: Path) -> None:
    """Drop a store from the file cache."""
    os.sync()
    for file in path.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
