"""How time and memory of scoring grow with the number of samples."""

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

ROUNDS = 5
COLD_ROUNDS = 3
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
import ltc, ltc_kernels.cpu
from benchmarks.machine import peak_memory
seconds = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    scores = ltc.score(sys.argv[1])
    seconds.append(time.perf_counter() - begin)
    undefined = int(scores.undefined.sum())
    del scores
print(json.dumps([seconds, peak_memory(), undefined]))
"""


def run(names: tuple[str, ...] = tuple(SIZES), folder: str | None = None) -> Table:
    """Write a store of each size, score it warm and cold, and delete it."""
    table = Table(
        "Scoring stores of growing size",
        [
            "samples",
            "checkpoints",
            "warm",
            "less fixed, per sample",
            "peak memory",
            "cold over streaming",
        ],
    )
    with tempfile.TemporaryDirectory(dir=folder) as place:
        fixed, _ = _measure(Path(place), FIXED, 20, 10)
        for name in names:
            num_train, checkpoints, classes = SIZES[name]
            path = _write(Path(place), num_train, checkpoints, classes)
            timing, peak = _score(path)
            cold = _cold(path)
            shutil.rmtree(path)
            each = (timing.median - fixed.median) / (num_train * checkpoints) * 1e12
            table.add(
                f"{num_train:,}",
                str(checkpoints),
                str(timing),
                f"{each:.0f} ps a loss",
                f"{peak:.0f} MB, {(peak - 12e-6 * num_train):.0f} without 12 B a sample",
                cold,
            )
    table.note(f"The fixed cost, of {FIXED:,} samples: {fixed}.")
    table.note(
        "Cold: the chunks are dropped from the file cache before they are scored, and before they "
        "are read 1 MiB at a time; a ratio below 1 means that the cache was not empty."
    )
    return table


def _measure(place: Path, num_train: int, checkpoints: int, classes: int) -> tuple[Timing, float]:
    path = _write(place, num_train, checkpoints, classes)
    measured = _score(path)
    shutil.rmtree(path)
    return measured


def _write(place: Path, num_train: int, checkpoints: int, classes: int) -> Path:
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


def _score(path: Path) -> tuple[Timing, float]:
    """Score several times in one process; the first compiles and isn't counted."""
    seconds, peak = _process(path, ROUNDS + 1)
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
