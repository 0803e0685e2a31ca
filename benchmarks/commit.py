"""What a commit costs at the size of ImageNet-1k: `python -m benchmarks.commit`.

From the losses of one checkpoint as float32 to a store that has them: rounding to float16,
counting, encoding with checksums, writing every object and replacing the root. The limit is 60
milliseconds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.timing import Timing
from ltc.store import open_store
from ltc.store.rounding import to_stored
from ltc.store.writer import SplitRecord, StoreWriter

LIMIT_MS = 60


def measure_commit(
    num_samples: int = 1_280_000,
    *,
    num_val: int = 50_000,
    rounds: int = 30,
    missing: float = 0.0,
    fsync: bool = False,
    folder: str | None = None,
) -> Timing:
    """Time commits, one after another into one store, which is deleted afterwards.

    Parameters
    ----------
    num_samples, num_val : int
        Number of samples in each split.
    rounds : int
        Commits that are counted. One before them is not: it makes the directories.
    missing : float
        Share of the training samples that were not seen.
    fsync : bool
        Also wait for the disk.
    folder : str, optional
        Where the store goes; by default where temporary files go.
    """
    random = np.random.default_rng(0)
    train = random.exponential(size=num_samples).astype(np.float32)
    train[random.random(num_samples) < missing] = np.nan
    val = random.exponential(size=num_val).astype(np.float32)
    labels = {
        "train_labels": random.integers(1000, size=num_samples),
        "val_labels": random.integers(1000, size=num_val),
    }
    seconds = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "run.zarr"
        writer = StoreWriter.create(
            path, num_train=num_samples, num_val=num_val, fsync=fsync, **labels
        )
        with writer:
            for checkpoint in range(rounds + 1):
                begin = time.perf_counter()
                writer.append(checkpoint, _record(train), _record(val))
                seconds.append(time.perf_counter() - begin)
        _check(path, train, rounds + 1)
    return Timing(tuple(seconds[1:]))


def _record(losses: np.ndarray) -> SplitRecord:
    stored, clipped, undefined = to_stored(losses)
    return SplitRecord(stored, losses.size - undefined, 0, clipped, 0, "training")


def _check(path: Path, train: np.ndarray, committed: int) -> None:
    """No timing counts of a store that doesn't hold what was committed."""
    last = open_store(path).read("train", checkpoints=[committed - 1])[0]
    np.testing.assert_array_equal(last, train.astype(np.float16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_280_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--folder", help="where the store goes, to measure another disk")
    options = parser.parse_args()
    for key, value in machine.describe().items():
        print(f"{key}: {value}")
    print(f"commit of {options.samples:,} + 50,000 samples, median (20th to 80th percentile):")
    cases = {"all seen": {}, "half missing": {"missing": 0.5}, "with fsync": {"fsync": True}}
    for name, case in cases.items():
        timing = measure_commit(
            options.samples, rounds=options.rounds, folder=options.folder, **case
        )
        limit = "" if "fsync" in case else f", at most {LIMIT_MS} ms"
        print(f"  {name:<13} {timing}{limit}")


if __name__ == "__main__":
    main()
