"""`ltc.report`: the whole process's time, its memory, and the size of the file.

The noise that stands for pictures is the worst that there is for its size.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import inputs
from benchmarks.machine import peak_memory
from benchmarks.results import Table
from benchmarks.timing import Timing

CASES = {
    "plain": "labels alone",
    "names": "with ids, names of classes and pictures",
}
SECONDS = 10
BYTES = 5_000_000
SIDE = 224  # pixels of a picture


def run(size_name: str = "imagenet-1k", rounds: int = 3) -> Table:
    """Report on a run without ids, and on one with everything, in turns."""
    size = inputs.SIZES[size_name]
    table = Table(
        f"A report of {size.train:,} + {size.val:,} samples x {size.checkpoints}, "
        f"{size.classes} classes",
        ["run", "time", "peak memory", "size of the file", "limit"],
    )
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in CASES:
            _write(Path(folder) / f"{name}.zarr", size, ids=name == "names")
        for turn in range(rounds + 1):
            for name in CASES:
                elapsed, memory[name] = _measure(name, folder)
                if turn:  # the first fills caches and compiles
                    seconds[name].append(elapsed)
        for name, what in CASES.items():
            written = (Path(folder) / f"{name}.html").stat().st_size
            table.add(
                what,
                str(Timing(tuple(seconds[name]))),
                f"{memory[name]:.0f} MB",
                f"{written:,} bytes",
                f"{SECONDS} s, {BYTES:,} bytes" if size_name == "imagenet-1k" else "",
            )
    table.note("Of the whole process: interpreter, libraries and scoring included.")
    return table


def _write(path: Path, size: inputs.Size, *, ids: bool) -> None:
    import ltc

    ltc.write_store(
        path,
        inputs.losses(size, "train"),
        inputs.losses(size, "val"),
        train_labels=inputs.labels(size, "train"),
        val_labels=inputs.labels(size, "val"),
        train_ids=_names("train", size.train) if ids else None,
        val_ids=_names("val", size.val) if ids else None,
        loss="cross-entropy",
    )


def _names(split: str, number: int) -> list[str]:
    """Names as files of ImageNet have them, in no order."""
    marks = np.random.default_rng(number).permutation(number)
    return [f"{split}/n{mark % 1000:08}_{mark}.JPEG" for mark in marks.tolist()]


def _measure(name: str, folder: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.report", name, folder]
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    elapsed = time.perf_counter() - begin
    return elapsed, float(done.stdout)


def _picture(_split: str, sample: int) -> NDArray[np.uint8]:
    return np.random.default_rng(sample).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def main() -> None:
    """Write one report in this process; print the peak of its memory in MB."""
    import ltc

    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    named = options.case == "names"
    ltc.report(
        options.folder / f"{options.case}.zarr",
        options.folder / f"{options.case}.html",
        class_names=[f"name of class {label}" for label in range(1000)] if named else None,
        pictures=_picture if named else None,
    )
    print(peak_memory())


if __name__ == "__main__":
    main()
