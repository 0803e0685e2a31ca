"""What recording costs a training loop: `update` per batch, `commit` per checkpoint.

An update with logits is measured beside the cross-entropy alone, in turns; the difference is taken
round by round, so that a slow phase of the machine is in both.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine
from benchmarks.results import Table
from benchmarks.timing import Timing, measure
from ltc.recorder import Recorder

SIZES = {  # training and validation samples
    "smallest": (3_000, 100),
    "cifar-100": (45_000, 5_000),
    "imagenet-1k": (1_281_167, 50_000),
}
BATCH = 256
CLASSES = 1000
CALLS = 200  # updates per measurement, whose microseconds a clock would not resolve
UPDATE_LIMIT = 30  # microseconds, a batch of 256 on the CPU
COMMIT_LIMIT = 60  # milliseconds, at ImageNet-1k size


def update_timings(num_train: int, rounds: int) -> dict[str, Timing]:
    """Time an update with losses, and what an update with logits adds to the cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(num_train, (BATCH,), generator=generator)
    losses = torch.rand(BATCH, generator=generator).requires_grad_() * 1.0
    logits = torch.randn(BATCH, CLASSES, generator=generator)
    targets = torch.randint(CLASSES, (BATCH,), generator=generator)
    arrays = index.numpy(), losses.detach().numpy()

    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder, "run.zarr"), num_train=num_train, num_val=1)
        timings = measure(
            {
                "tensors": _often(lambda: recorder.update("train", index, losses=losses)),
                "arrays": _often(lambda: recorder.update("train", arrays[0], losses=arrays[1])),
                "logits": _often(
                    lambda: recorder.update("train", index, logits=logits, targets=targets)
                ),
                "cross-entropy": _often(
                    lambda: torch.nn.functional.cross_entropy(logits, targets, reduction="none")
                ),
            },
            rounds=rounds,
        )
        recorder.rewind(0)  # nothing of this is to be committed
        recorder.close()
    added = zip(timings["logits"].seconds, timings["cross-entropy"].seconds, strict=True)
    return {
        "update, losses in tensors": timings["tensors"],
        "update, losses in NumPy arrays": timings["arrays"],
        "update, logits, less the cross-entropy itself": Timing(tuple(a - b for a, b in added)),
    }


def commit_timings(num_train: int, num_val: int, rounds: int) -> dict[str, Timing]:
    """Time the commit of all samples, and of a random half with the others missing, in turns."""
    rng = np.random.default_rng(0)
    labels = {
        "train_labels": rng.integers(CLASSES, size=num_train),
        "val_labels": rng.integers(CLASSES, size=num_val),
    }
    shares = {"commit, every sample": 1.0, "commit, half of the samples missing": 0.5}
    seconds: dict[str, list[float]] = {name: [] for name in shares}
    with (
        tempfile.TemporaryDirectory() as folder,
        Recorder(Path(folder, "run.zarr"), **labels) as recorder,
    ):
        for _ in range(rounds + 1):
            for name, share in shares.items():
                for split, size in (("train", num_train), ("val", num_val)):
                    index = rng.permutation(size)[: int(share * size)]
                    recorder.update(split, index, losses=rng.exponential(size=index.size))
                checkpoint = len(recorder.checkpoints)
                begin = time.perf_counter()
                recorder.commit(checkpoint)
                seconds[name].append(time.perf_counter() - begin)
    # The first turn makes directories, and isn't counted.
    return {name: Timing(tuple(values[1:])) for name, values in seconds.items()}


def run(size_name: str = "imagenet-1k", rounds: int = 15) -> Table:
    """Measure updates and commits on a store of this size."""
    num_train, num_val = SIZES[size_name]
    table = Table(
        f"Recording, {num_train:,} + {num_val:,} samples, batches of {BATCH} on the CPU",
        ["what", "median", "20th to 80th percentile", "limit"],
    )
    for name, timing in update_timings(num_train, rounds).items():
        _add(table, name, timing, 1e6 / CALLS, "us", UPDATE_LIMIT)
    for name, timing in commit_timings(num_train, num_val, rounds).items():
        _add(table, name, timing, 1e3, "ms", COMMIT_LIMIT)
    return table


def _often(call: Callable[[], object]) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(CALLS):
            call()

    return repeated


def _add(table: Table, name: str, timing: Timing, scale: float, unit: str, limit: int) -> None:
    low, high = scale * timing.quantile(0.2), scale * timing.quantile(0.8)
    table.add(
        name,
        f"{scale * timing.median:.1f} {unit}",
        f"{low:.1f} to {high:.1f} {unit}",
        f"at most {limit} {unit}",
    )


def main() -> None:
    """Print the table, with the machine and the commit it was measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="imagenet-1k")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    head = "\n".join(f"{key}: {value}" for key, value in machine.describe().items())
    print(f"{head}\n\n{run(arguments.size, arguments.rounds)}")


if __name__ == "__main__":
    main()
