"""From losses on disk to scores: `ltc.score` and everything a user might do instead.

Each procedure runs in a process of its own, so that its peak memory is its own, and is timed from
opening the file to having the scores, imports not counted.
"""

import argparse
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import inputs
from benchmarks.results import Table
from benchmarks.scoring import write
from benchmarks.timing import Timing

PROCEDURES = {
    "ltc": "ltc.score",
    "dask": "dask.array on the same store",
    "torch": "tiled torch, store read by zarr",
    "numpy": "per-class float64 NumPy, store read by zarr",
    "corrcoef": "numpy.corrcoef per class, store read by zarr",
    "published": "the published procedure, from a pickle of lists",
}
LARGEST = {"corrcoef": 10_000_000, "published": 10_000_000}  # losses, beyond which it isn't run


def run(size_name: str = "imagenet-1k", rounds: int = 5) -> list[Table]:
    """Run every procedure on one store in turns; the largest size comes after one for them all."""
    names = ["cifar-100", size_name] if size_name == "imagenet-1k" else [size_name]
    return [_compare(name, rounds) for name in names]


def _compare(size_name: str, rounds: int) -> Table:
    """Compare time, memory and scores on one store."""
    size = inputs.SIZES[size_name]
    losses = size.train * size.checkpoints
    names = [name for name in PROCEDURES if losses <= LARGEST.get(name, losses)]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = write(folder, size)
        if "published" in names:
            _write_pickle(store, Path(folder) / "losses.pickle")
        for turn in range(rounds + 1):
            for name in names:
                elapsed, peak = _measure(name, folder)
                memory[name] = peak
                if turn:  # the first fills caches and compiles
                    seconds[name].append(elapsed)
        largest = {name: _difference(folder, name) for name in names}
    table = Table(
        f"From disk to scores, {size.train:,} x {size.checkpoints}, {size.classes} classes",
        ["procedure", "time", "times ltc.score", "peak memory", "differs at most by"],
    )
    kernel = Timing(tuple(seconds["ltc"])).median
    for name in names:
        timing = Timing(tuple(seconds[name]))
        table.add(
            PROCEDURES[name],
            str(timing),
            f"{timing.median / kernel:.1f}",
            f"{memory[name]:.0f} MB",
            f"{largest[name]:.1e}",
        )
    table.note("Peak memory is of the process, interpreter and libraries included.")
    return table


def _measure(name: str, folder: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.procedures", name, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    elapsed, peak = done.stdout.split()[-2:]
    return float(elapsed), float(peak)


def _difference(folder: str, name: str) -> float:
    """How far the scores of a procedure are from those of the float64 one."""
    exact, scores = (np.load(Path(folder) / f"{which}.npy") for which in ("numpy", name))
    return float(np.nanmax(np.abs(scores - exact)))


def _write_pickle(path: str, target: Path) -> None:
    """Lists of Python floats, one per checkpoint, as the published script keeps them."""
    import ltc

    store = ltc.open_store(path)
    content = {
        "tr_loss": [row.astype(np.float64).tolist() for row in store.read("train")],
        "val_loss": [row.astype(np.float64).tolist() for row in store.read("val")],
        "tr_lbl": store.labels("train").tolist(),
        "val_lbl": store.labels("val").tolist(),
    }
    with target.open("wb") as file:
        pickle.dump(content, file)


def main() -> None:
    """Run one procedure in this process; print seconds and the peak of its memory in MB."""
    from benchmarks import procedure_bodies

    parser = argparse.ArgumentParser(prog="python -m benchmarks.procedures")
    parser.add_argument("procedure", choices=list(PROCEDURES))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    scores, elapsed, peak = procedure_bodies.timed(options.procedure, options.folder)
    np.save(options.folder / f"{options.procedure}.npy", scores)
    print(elapsed, peak)


if __name__ == "__main__":
    main()
