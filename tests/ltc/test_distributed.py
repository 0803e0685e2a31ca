"""Several processes record one run: the store is that of one process that has seen everything."""

import hashlib
import itertools
import logging
import resource
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import ltc
from ltc.errors import RecorderStateError
from ltc.recorder import batches
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
        seen[split] = [(part, losses_like(random, part.size, kind)) for part in parts]
    return seen


def losses_like(random, size, kind):
    """Some losses, among them those that a sum of float32 or a float16 may not hold."""
    losses = (random.exponential(size=size) * 10).astype(np.float32)
    special = np.float32([0.0, -0.0, 1e6, -1e6, 3.4e38, 3.4e38, 6e-8, 1e-30])
    if size >= special.size and kind != "often":  # a sum of many that cancel has no exact digits
        losses[random.permutation(size)[: special.size]] = special
    return losses


def record_share(recorder, seen, rank):
    for split, parts in seen.items():
        index, losses = parts[rank]
        for batch in np.array_split(np.arange(index.size), 5):
            recorder.update(split, index[batch], losses=losses[batch])


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


def test_more_than_two_of_a_sample_are_within_one_step_of_float16(processes, path, tmp_path):
    processes.run(record_run, 4, path, "often")
    record_alone(tmp_path / "alone.zarr", "often", 4)
    store, alone = open_store(path), open_store(tmp_path / "alone.zarr")
    found, expected = store.read("train"), alone.read("train")
    step = np.spacing(np.abs(expected)).astype(np.float64)
    assert (np.abs(found.astype(np.float64) - expected) <= step).all()
    assert [commit.train for commit in store.commits] == [c.train for c in alone.commits]
    assert store.commits[0].train.duplicate > SIZES["train"] // 3


def resume_long_run(rank, path):
    with ltc.Recorder(path, num_train=3, num_val=1, resume=True) as recorder:
        before = recorder.checkpoints
        recorder.rewind(249.5)
        recorder.update("train", [rank], losses=[1.0])
        recorder.commit(1000.125)
    return [before, recorder.checkpoints]


def test_all_processes_know_the_checkpoints_of_a_long_run(processes, path):
    """An answer that is longer than one message; and numbers come as they were."""
    checkpoints = [0.1 + number for number in range(300)]
    ltc.write_store(path, np.ones((300, 3)), np.ones((300, 1)), checkpoints=checkpoints)
    for before, after in processes.run(resume_long_run, 3, path):
        assert before == checkpoints
        assert after == [*checkpoints[:250], 1000.125]
    assert open_store(path).checkpoints.tolist() == [*checkpoints[:250], 1000.125]


def count_exchanges(rank, path):
    """The calls of torch.distributed that a recorder makes, by what it was asked to do."""
    calls = []

    def watch(name):
        function = getattr(dist, name)

        def watched(tensor, *arguments, **options):
            calls.append((name, tensor.nbytes))
            return function(tensor, *arguments, **options)

        setattr(dist, name, watched)

    for name in ("reduce", "broadcast", "all_reduce", "all_gather", "gather", "send", "recv"):
        watch(name)
    recorder = ltc.Recorder(path, **LABELS)
    seen = occurrences("twice", dist.get_world_size(), 0)
    calls.clear()
    record_share(recorder, seen, rank)
    recorder.state_dict()
    before = list(calls)
    recorder.commit(0)
    during = list(calls)
    recorder.close()
    return [before, during, list(calls)]


def test_one_collective_per_commit_and_none_per_step(processes, path):
    for before, during, after in processes.run(count_exchanges, 3, path):
        assert before == []
        # Sums and counts of all samples, and rank 0's answer.
        assert [name for name, _ in during] == ["reduce", "broadcast"]
        data = 8 * (SIZES["train"] + SIZES["val"])
        assert data <= during[0][1] <= data + 500
        assert during[1][1] == 1024
        assert after == during


def loop_with_samplers(_rank, path, drop_last):
    """A usual loop: a model in a wrapper, and a sampler that pads or drops for each split."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model = DistributedDataParallel(net)
    splits = {}
    for split, size in (("train", 41), ("val", 10)):
        data = TensorDataset(torch.randn(size, 4), torch.arange(size) % 3)
        sampler = DistributedSampler(data, shuffle=split == "train", drop_last=drop_last)
        splits[split] = DataLoader(ltc.IndexedDataset(data), batch_size=8, sampler=sampler)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with ltc.Recorder(path, num_train=41, num_val=10) as recorder:
        for epoch in range(2):
            splits["train"].sampler.set_epoch(epoch)
            for inputs, targets, index in splits["train"]:
                logits = model(inputs)
                recorder.update("train", index, logits=logits, targets=targets)
                nn.functional.cross_entropy(logits, targets).backward()
                optimizer.step()
                optimizer.zero_grad()
            recorder.evaluate("val", model, splits["val"])
            recorder.commit(epoch)
        assert model.training
        assert net[1].training
        net.eval()
        losses = {}
        for inputs, targets, index in splits["val"]:
            with torch.no_grad():
                each = nn.functional.cross_entropy(net(inputs), targets, reduction="none")
            losses |= dict(zip(index.tolist(), each.half().tolist(), strict=True))
    return losses


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_usual_loop_with_distributed_samplers(processes, path, drop_last):
    """With 4 processes 41 samples are padded by 3, or 1 is dropped, and 10 by 2, or 2."""
    losses = processes.run(loop_with_samplers, 4, path, drop_last)
    store = open_store(path)
    for commit in store.commits:
        train, val = (40, 8) if drop_last else (41, 10)
        assert (commit.train.observed, commit.val.observed) == (train, val)
        assert (commit.train.duplicate, commit.val.duplicate) == ((0, 0) if drop_last else (3, 2))
        assert (commit.train.mode, commit.val.mode) == ("training", "evaluation")
    for index, stored in enumerate(store.read("val")[1]):
        # Where two processes saw a sample, each has statistics of its own for normalisation.
        found = [share[str(index)] for share in losses if str(index) in share]
        assert len(found) == (0 if np.isnan(stored) else 2 if index < 2 and not drop_last else 1)
        if len(found) == 1:
            assert stored == found[0]
        elif found:
            assert min(found) <= stored <= max(found)


def evaluate_uneven(rank, path):
    """Rank r passes over r batches, with a wrapper whose forward would exchange buffers."""
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    batches = [(torch.ones(1, 2), torch.tensor([0]), torch.tensor([rank])) for _ in range(rank)]
    with ltc.Recorder(path, num_train=3, num_val=3) as recorder:
        recorder.evaluate("val", model, batches)
        recorder.update("train", [rank], losses=[1.0])
        recorder.commit(0)


def test_processes_with_unequal_numbers_of_batches_do_not_wait_for_each_other(processes, path):
    processes.run(evaluate_uneven, 3, path)
    commit = open_store(path).commits[0]
    assert (commit.val.observed, commit.val.duplicate, commit.val.mode) == (2, 1, "evaluation")
    assert np.isnan(open_store(path).read("val")[0]).tolist() == [True, False, False]


def evaluate_nothing(rank, path):
    def step(_model, index):
        return torch.full((len(index),), 2.0), torch.tensor(index)

    with ltc.Recorder(path, num_train=3, num_val=3) as recorder:
        recorder.update("train", [rank], losses=[1.0])
        recorder.evaluate("val", None, [], step=step)
        try:
            recorder.commit(0)
        except RecorderStateError as error:
            text = str(error)
        recorder.evaluate("val", None, [[rank]] if rank == 1 else [], step=step)
        recorder.commit(0)
    return text


def test_a_pass_in_which_no_process_had_a_batch_is_an_error_in_all(processes, path):
    for text in processes.run(evaluate_nothing, 2, path):
        assert text.startswith("evaluate got no batch of split 'val' in any process; evaluate it")
    np.testing.assert_array_equal(open_store(path).read("val"), np.float16([[np.nan, 2, np.nan]]))


def fail_to_evaluate(rank, path, again):
    def step(_model, index):
        if index == [-1]:
            raise OSError("unreadable image")
        return torch.full((1,), 2.0), torch.tensor(index)

    lines = []
    logging.getLogger("ltc").addFilter(lambda record: lines.append(record.getMessage()))
    with ltc.Recorder(path, num_train=3, num_val=3) as recorder:
        recorder.update("train", [rank], losses=[1.0])
        with suppress(OSError):
            recorder.evaluate("val", None, [[rank], [-1]] if rank == 1 else [[0], [2]], step=step)
        if again and rank == 1:
            recorder.evaluate("val", None, [[1]], step=step)
        recorder.commit(0)
    return lines


def test_a_pass_that_fails_in_one_process_leaves_no_half_of_its_split(processes, path):
    first, second = processes.run(fail_to_evaluate, 2, path, False)
    text = f"{path}: evaluate failed in a process, so nothing of split val is committed"
    assert (first, second) == ([text], [])
    store = open_store(path)
    assert np.isnan(store.read("val")).all()
    np.testing.assert_array_equal(store.read("train"), np.float16([[1, 1, np.nan]]))
    assert (store.commits[0].val.mode, store.commits[0].val.observed) == ("none", 0)


def test_a_pass_that_failed_in_one_process_can_be_done_again_there(processes, path):
    assert processes.run(fail_to_evaluate, 2, path, True) == [[], []]
    np.testing.assert_array_equal(open_store(path).read("val"), [[2, 2, 2]])


def gather_from_devices(rank, path):
    batches._on_host = lambda value: isinstance(value, np.ndarray)  # take the CPU for a device
    with ltc.Recorder(path, num_train=4, num_val=1) as recorder:
        for checkpoint in range(2):
            recorder.update("train", torch.tensor([rank]), losses=torch.tensor([1.0 + checkpoint]))
            recorder.update("train", [rank], losses=np.array([3.0]))
            recorder.update("train", torch.tensor([3]), losses=torch.tensor([4.0 + rank]))
            recorder.commit(checkpoint)


def test_losses_of_several_devices_in_several_processes(processes, path):
    processes.run(gather_from_devices, 2, path)
    nan = np.nan
    expected = np.float16([[2.0, 2.0, nan, 4.5], [2.5, 2.5, nan, 4.5]])
    np.testing.assert_array_equal(open_store(path).read("train"), expected)
    assert [commit.train.duplicate for commit in open_store(path).commits] == [3, 3]


def measure_memory(rank, path, size):
    """The most that recording and committing adds to a process, in bytes."""
    index = np.arange(rank, size, 2)
    losses = np.ones(index.size, np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ltc.Recorder(path, num_train=size, num_val=1) as recorder:
        for begin in range(0, index.size, 100_000):
            batch = slice(begin, begin + 100_000)
            recorder.update("train", index[batch], losses=losses[batch])
        recorder.commit(0)
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def test_a_process_takes_8_bytes_per_sample_and_a_bounded_buffer(processes, path):
    size = 20_000_000
    for taken in processes.run(measure_memory, 2, path, size):
        assert 8 * size <= taken <= 8 * size + 40_000_000
    assert open_store(path).commits[0].train.observed == size
