"""Scoring a store: the whole process from the command line, and its stages inside one process.

The measure of `ltc.score` is what there would be without it: zarr that reads the losses with the
codec pipeline `zarrs`, in tiles of whole chunks, and the kernel on arrays that are in memory. Every
stage is measured in every turn, so the ratio is one of the same run.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer.cpu import NDBuffer

import ltc
from benchmarks import inputs
from benchmarks.results import Table
from benchmarks.timing import Timing, measure
from ltc.tiles import read_tiles
from ltc_kernels import group_correlation, prepare_references

LIMIT = 2.5  # seconds of the whole process at ImageNet-1k size, kernels compiled before
RATIO = 1.15  # of ltc.score to the sum of both stages there
FIXED = 1000  # training samples, for the cost that doesn't grow with them
READING, KERNEL, SUM = "reading by tiles, zarrs", "the kernel, arrays in memory", "their sum"


def write(
    folder: str,
    size: inputs.Size,
    train: NDArray[np.float16] | None = None,
    name: str = "run.zarr",
) -> str:
    """Write a store of this size, or of these training losses, and return its path."""
    path = str(Path(folder) / name)
    train = inputs.losses(size, "train") if train is None else train
    labels = inputs.labels(size, "train")[: train.shape[1]]
    ltc.write_store(
        path,
        train,
        inputs.losses(size, "val"),
        train_labels=labels,
        val_labels=inputs.labels(size, "val"),
    )
    return path


def run(size_name: str = "imagenet-1k", rounds: int = 15) -> Table:
    """Measure the stages, `ltc.score` and the process, in turns."""
    size = inputs.SIZES[size_name]
    table = Table(
        f"Scoring a store, {size.train:,} + {size.val:,} samples x {size.checkpoints}, checksummed",
        ["what", "time", "over the sum", "limit"],
    )
    losses = inputs.losses(size, "train")
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, size, losses)
        few = write(folder, size, losses[:, :FIXED], "few.zarr")
        store = ltc.open_store(path)
        rows = list(range(store.committed))
        labels = inputs.labels(size, "train")
        references = prepare_references(_means(store), signal="difference")

        def read() -> None:
            for _, tile in read_tiles(store, rows, min(32_768, store.num_train)):
                tile[-1, -1]

        def process() -> None:
            command = [sys.executable, "-m", "ltc", "score", path]
            subprocess.run(command, check=True, capture_output=True)

        timings = measure(
            {
                READING: _reading_with_zarrs(path),
                KERNEL: lambda: group_correlation(losses, references, labels, signal="difference"),
                "ltc.score": lambda: ltc.score(path),
                "reading by tiles, ltc": read,
                f"ltc.score, {FIXED:,} training samples": lambda: ltc.score(few),
                'ltc.score, reference="class-pairs"': lambda: ltc.score(
                    path, reference="class-pairs"
                ),
                "ltc score, the whole process": process,
            },
            rounds=rounds,
            seldom={"ltc score, the whole process": 7},
        )
    pairs = zip(timings[READING].seconds, timings[KERNEL].seconds, strict=True)
    stages = {READING: timings.pop(READING), KERNEL: timings.pop(KERNEL)}
    everything = {**stages, SUM: Timing(tuple(map(sum, pairs))), **timings}
    base = stages[READING].median + stages[KERNEL].median
    limits = {"ltc.score": f"at most {RATIO}", "ltc score, the whole process": f"at most {LIMIT} s"}
    for name, timing in everything.items():
        limit = limits.get(name, "") if size_name == "imagenet-1k" else ""
        table.add(name, str(timing), f"{timing.median / base:.2f}", limit)
    table.note("The ratio is that of the medians, to the sum of the medians of the two stages.")
    return table


def _reading_with_zarrs(path: str) -> Callable[[], None]:
    """A function that reads all training losses, a column of chunks at a time, into one array."""
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        array = zarr.open_array(path, path="train/losses", mode="r")
    num_checkpoints, num_samples = array.shape
    width = array.chunks[1]
    memory = np.empty(num_checkpoints * width, array.dtype)

    def read() -> None:
        for begin in range(0, num_samples, width):
            end = min(begin + width, num_samples)
            tile = memory[: num_checkpoints * (end - begin)].reshape(num_checkpoints, -1)
            array.get_basic_selection(
                (slice(None), slice(begin, end)), out=NDBuffer.from_numpy_array(tile)
            )

    return read


def _means(store: ltc.Store) -> NDArray[np.float64]:
    val, labels = store.read("val").astype(np.float64), store.labels("val")
    return np.stack([val[:, labels == group].mean(axis=1) for group in range(store.num_groups)])
