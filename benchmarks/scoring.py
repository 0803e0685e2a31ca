"""Scoring a store: the whole process from the command line, and its stages inside one process."""

import subprocess
import sys
import tempfile
from pathlib import Path

import ltc
from benchmarks import inputs
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc.tiles import read_tiles

LIMIT = 2.5  # seconds of the whole process at ImageNet-1k size, kernels compiled before


def write(folder: str, size: inputs.Size) -> str:
    """Write a store of this size, and return its path."""
    path = str(Path(folder) / "run.zarr")
    ltc.write_store(
        path,
        inputs.losses(size, "train"),
        inputs.losses(size, "val"),
        train_labels=inputs.labels(size, "train"),
        val_labels=inputs.labels(size, "val"),
    )
    return path


def run(size_name: str = "imagenet-1k", rounds: int = 7) -> Table:
    """Measure the process, `ltc.score`, and reading alone, in turns."""
    size = inputs.SIZES[size_name]
    table = Table(
        f"Scoring a store, {size.train:,} + {size.val:,} samples x {size.checkpoints}, checksummed",
        ["what", "time", "over reading", "limit"],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, size)
        store = ltc.open_store(path)
        rows = list(range(store.committed))

        def read() -> None:
            for _, losses in read_tiles(store, rows, min(store.chunk_samples, store.num_train)):
                losses[-1, -1]

        def process() -> None:
            command = [sys.executable, "-m", "ltc", "score", path]
            subprocess.run(command, check=True, capture_output=True)

        timings = measure(
            {
                "reading the training losses": read,
                "ltc.score": lambda: ltc.score(path),
                'ltc.score, reference="class-pairs"': lambda: ltc.score(
                    path, reference="class-pairs"
                ),
                "ltc score, the whole process": process,
            },
            rounds=rounds,
        )
    reading = timings["reading the training losses"].median
    for name, timing in timings.items():
        limit = f"at most {LIMIT} s" if "process" in name and size_name == "imagenet-1k" else ""
        table.add(name, str(timing), f"{timing.median / reading:.2f}", limit)
    return table
