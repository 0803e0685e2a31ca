"""Several processes record one run: the store is that of one process that has seen everything."""

import hashlib
import itertools

import numpy as np
import pytest
import torch.distributed as dist

import ltc
from ltc.store import open_store

SIZES = {"train": 1003, "val": 101}
LABELS = {f"{split}_labels": np.arange(size) % 7 for split, size in SIZES.items()}
CHECKPOINTS = range(3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def occurrences(kind, processes, checkpoint):
    """What each process sees at a checkpoint: for each split a list [rank] of indices, losses."""
    random = np.random.default_rng([checkpoint, processes, len(kind)])
    seen = {}
    for split, size in SIZES.items():
        order = random.permutation(size)
        if kind == "drop_last":
            order = order[: size // processes * processes]
        # A third is seen once more, as of padding or augmentation; or a third four times more.
        for _ in range({"twice": 1, "often": 4}.get(kind, 0)):
            order = np.concatenate([order, random.permutation(size)[: size // 3]])
        parts = [order[rank::processes] for rank in range(processes)]
        if kind == "uneven":
            parts = np.split(order, sorted(random.integers(0, size, processes - 1)))
        if kind == "empty rank":
            parts = [parts[0][:0], *parts[1:]]
        seen[split] = [(part, random.exponential(size=part.size) * 10) for part in parts]
    return seen


def record_share(recorder, seen, rank):
    for split, parts in seen.items():
        index, losses = parts[rank]
        for batch in np.array_split(np.arange(index.size), 5):
            recorder.update(split, index[batch], losses=losses[batch].astype(np.float32))


def record_run(rank, path, kind):
    with ltc.Recorder(path, **LABELS) as recorder:
        for checkpoint in CHECKPOINTS:
            record_share(recorder, occurrences(kind, dist.get_world_size(), checkpoint), rank)
            recorder.commit(checkpoint)
        return recorder.checkpoints


def record_alone(path, kind, processes):
    """One process that sees everything, first what rank 0 saw."""
    with ltc.Recorder(path, **LABELS) as recorder:
        for checkpoint in CHECKPOINTS:
            seen = occurrences(kind, processes, checkpoint)
            for rank in range(processes):
                record_share(recorder, seen, rank)
            recorder.commit(checkpoint)


def digests(path):
    """Checksums of every file but those that say when and which store it is."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if "time/c" not in str(file) and file != path / "zarr.json"
    }


KINDS = ["twice", "drop_last", "uneven", "empty rank"]


@pytest.mark.parametrize(("kind", "size"), [*itertools.product(KINDS, [2, 4])])
def test_the_store_is_that_of_one_process(processes, path, tmp_path, kind, size):
    assert processes.run(record_run, size, path, kind) == [[0.0, 1.0, 2.0]] * size
    record_alone(tmp_path / "alone.zarr", kind, size)
    assert digests(path) == digests(tmp_path / "alone.zarr")
    store, alone = open_store(path), open_store(tmp_path / "alone.zarr")
    assert store.verify().ok
    for commit, expected in zip(store.commits, alone.commits, strict=True):
        assert (commit.train, commit.val) == (expected.train, expected.val)
    train = store.commits[0].train
    if kind == "twice":
        assert train.observed == SIZES["train"]
        assert train.duplicate == SIZES["train"] // 3
    elif kind != "uneven":
        assert 0 < train.observed < SIZES["train"]
        assert train.observed == np.isfinite(store.read("train")[0]).sum()
