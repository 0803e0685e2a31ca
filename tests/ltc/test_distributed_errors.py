"""What goes wrong in one of several processes is an error in all, and none waits for ever."""

import os
import subprocess
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.distributed as dist
from team import ENVIRONMENT

import ltc
from ltc.errors import (
    ArgumentTypeError,
    LtcError,
    RecorderStateError,
)
from ltc.recorder import batches
from ltc.recorder.processes import Alone, collective_device, find_processes
from ltc.store import open_store
from ltc.store.files import LocalFiles

SIZES = {"num_train": 5, "num_val": 3}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def fill(recorder, rank, value=1.0):
    """Each process sees the samples whose number it has, modulo the number of processes."""
    for split, size in (("train", 5), ("val", 3)):
        index = np.arange(size)[rank :: dist.get_world_size()]
        recorder.update(split, index, losses=np.full(index.size, value))


def caught(call, *arguments):
    """The error that a call raises, which must come."""
    try:
        call(*arguments)
    except (LtcError, OSError) as error:
        return [type(error).__name__, str(error)]
    raise AssertionError("nothing was raised")


def assert_same(outcomes, kind, text):
    for outcome in outcomes:
        assert outcome[0] == kind
        assert text in outcome[1]


def commit_with_mistake(rank, path, mistake):
    """One process makes a mistake; then all do it right."""
    recorder = ltc.Recorder(path, **SIZES)
    fill(recorder, rank)
    wrong = {
        "other number": 2,
        "text": "1",
        "not finite": float("nan"),
        "none": None,
        "huge": 10**400,
    }[mistake]
    error = caught(recorder.commit, wrong if rank == 1 else 1)
    recorder.commit(1)
    recorder.close()
    return error


@pytest.mark.parametrize("mistake", ["other number", "text", "not finite", "none", "huge"])
def test_checkpoints_that_differ_are_an_error_in_all(processes, path, mistake):
    got = "2" if mistake == "other number" else "none"
    text = f"checkpoint must be the same number in every process, got 1 on rank 0 and {got} on rank"
    assert_same(processes.run(commit_with_mistake, 2, path, mistake), "ArgumentValueError", text)
    np.testing.assert_array_equal(open_store(path).read("train"), np.ones((1, 5)))
    assert open_store(path).commits[0].train.duplicate == 0


def commit_backwards(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    fill(recorder, rank)
    recorder.commit(5)
    fill(recorder, rank, 2.0)
    errors = [caught(recorder.commit, 5), caught(recorder.commit, float("inf"))]
    recorder.commit(6)
    recorder.close()
    return errors


def test_a_checkpoint_that_all_have_wrong(processes, path):
    for errors in processes.run(commit_backwards, 2, path):
        assert errors[0][0] == errors[1][0] == "ArgumentValueError"
        assert "checkpoint must be larger than the last one, 5, got 5" in errors[0][1]
        assert "checkpoint must be finite, got inf" in errors[1][1]
    np.testing.assert_array_equal(open_store(path).read("val"), [[1.0] * 3, [2.0] * 3])


def commit_nothing(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    error = caught(recorder.commit, 0)
    if rank == 1:
        recorder.update("train", [0], losses=[1.0])
    recorder.commit(0)
    recorder.close()
    return error


def test_nothing_is_what_no_process_recorded(processes, path):
    text = "nothing was recorded since the last commit; checkpoint 0 would be empty"
    assert_same(processes.run(commit_nothing, 3, path), "RecorderStateError", text)
    assert open_store(path).commits[0].train.observed == 1


def evaluate(recorder, split, loader):
    recorder.evaluate(
        split,
        None,
        loader,
        step=lambda _model, index: (torch.ones(len(index)), torch.tensor(index)),
    )


def mix_modes(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    recorder.update("train", [rank], losses=[1.0])
    if rank == 1:
        evaluate(recorder, "val", [[0, 1]])
    else:
        recorder.update("val", [2], losses=[1.0])
    errors = [caught(recorder.commit, 0), caught(recorder.commit, 0), caught(recorder.consolidate)]
    recorder.rewind(0)
    fill(recorder, rank)
    recorder.commit(0)
    recorder.close()
    return errors


def test_modes_do_not_mix_between_processes(processes, path):
    text = "split 'val' must have one mode in all processes, got {}; rewind drops what is pending"
    for errors in processes.run(mix_modes, 3, path):
        first = "training on rank 0, evaluation on rank 1, training on rank 2"
        assert errors[0] == ["RecorderStateError", text.format(first)]
        # What was recorded has moved to rank 0.
        assert errors[1] == errors[2] == ["RecorderStateError", text.format("mixed on rank 0")]
    assert [commit.val.mode for commit in open_store(path).commits] == ["training"]


def index_outside(rank, path):
    batches._on_host = lambda value: isinstance(value, np.ndarray)  # take the CPU for a device
    recorder = ltc.Recorder(path, **SIZES)
    index, losses = torch.tensor([0, 7 if rank == 1 else 4]), torch.tensor([3.0, 5.0])
    recorder.update("train", index, losses=losses)
    errors = [caught(recorder.commit, 0)]
    recorder.rewind(0)
    logits, targets = torch.zeros(2, 3), torch.tensor([0, -1 if rank == 1 else 0])
    recorder.update("val", torch.tensor([0, 1]), logits=logits, targets=targets)
    errors.append(caught(recorder.commit, 0))
    recorder.rewind(0)
    recorder.update("train", torch.tensor([rank, 4]), losses=losses)
    recorder.commit(0)
    recorder.close()
    return errors


def test_what_a_device_of_one_process_kept_out_is_an_error_in_all(processes, path):
    for errors in processes.run(index_outside, 2, path):
        assert [kind for kind, _ in errors] == ["ArgumentIndexError"] * 2
        assert "index must lie in 0..4 for split 'train'; 1 of the losses" in errors[0][1]
        assert (
            "targets must be classes of the logits; 1 of the losses of split 'val'"
            in (errors[1][1])
        )
    store = open_store(path)
    np.testing.assert_array_equal(store.read("train"), np.float16([[3, 3, np.nan, np.nan, 5]]))
    assert store.commits[0].train.duplicate == 1


def fill_the_disk(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    fill(recorder, rank, 0.5)
    recorder.commit(0)
    fill(recorder, rank, 1.5)
    replace, written = LocalFiles.replace, []

    def full(files, name, data):
        written.append(name)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        replace(files, name, data)

    LocalFiles.replace = full
    error = caught(recorder.commit, 1)
    known = recorder.checkpoints
    LocalFiles.replace = replace
    recorder.commit(1)  # what was recorded is still there
    known = [known, recorder.checkpoints, len(written)]
    recorder.close()
    return [error, known]


def test_a_full_disk_of_rank_0_is_an_error_in_all_and_nothing_is_lost(processes, path):
    (first, known), *others = processes.run(fill_the_disk, 3, path)
    assert first == ["OSError", "[Errno 28] No space left on device"]
    assert known == [[0.0], [0.0, 1.0], 4]
    for error, known_here in others:
        assert error[0] == "DistributedError"
        assert "rank 0, which writes the store, failed: OSError: [Errno 28] No space" in error[1]
        assert known_here == [[0.0], [0.0, 1.0], 0]  # only rank 0 writes
    np.testing.assert_array_equal(open_store(path).read("train"), [[0.5] * 5, [1.5] * 5])
    assert open_store(path).commits[1].train.duplicate == 0


def make(rank, path, *arguments):
    recorder = ltc.Recorder(path, **arguments[rank if rank < len(arguments) else 0])
    recorder.close()


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({"num_train": 6, "num_val": 3}, "num_train must be the same in every process, got 5 on"),
        ({"train_labels": [0] * 5, "val_labels": [0] * 3}, "train_labels must be the same"),
        ({**SIZES, "val_ids": ["a", "b", "c"]}, "val_ids must be the same in every process: they"),
        ({**SIZES, "val_ids": [1, 2, 3]}, "val_ids must be the same"),
    ],
)
def test_processes_that_have_other_samples_do_not_record_together(processes, path, own, text):
    outcomes = processes.try_run(make, 3, path, SIZES, own)
    assert_same([outcome.error for outcome in outcomes], "ArgumentValueError", text)
    assert not path.exists()


def test_the_order_of_the_samples_counts(processes, path):
    labels = [{"train_labels": [0, 1, 2], "val_labels": order} for order in ([0, 1], [1, 0])]
    text = "val_labels must be the same in every process: they differ between rank 0 and rank 1"
    errors = [outcome.error for outcome in processes.try_run(make, 2, path, *labels)]
    assert_same(errors, "ArgumentValueError", text)
    names = [{**SIZES, "train_ids": list(order)} for order in ("abcde", "abced")]
    errors = [outcome.error for outcome in processes.try_run(make, 2, path, *names)]
    assert_same(errors, "ArgumentValueError", "train_ids must be the same in every process")
    processes.run(make, 2, path, *names[:1])


def test_an_argument_that_is_wrong_in_one_process_is_named_in_all(processes, path):
    wrong = {**SIZES, "train_ids": [0.5] * 5}
    first, own = (o.error for o in processes.try_run(make, 2, path, SIZES, wrong))
    text = "train_ids must be integers or strings, got float64"
    assert own == ["ArgumentTypeError", text]
    assert first == ["DistributedError", f"rank 1: ArgumentTypeError: {text}"]
    for outcome in processes.try_run(make, 2, path, wrong):
        assert outcome.error == own  # all have it wrong, and each says so itself


def test_a_store_with_commits_is_an_error_in_all(processes, path):
    with ltc.Recorder(path, **SIZES) as recorder:
        recorder.update("train", [0], losses=[1.0])
        recorder.commit(0)
        outcomes = processes.try_run(make, 2, path, {**SIZES, "resume": True})
        assert_same([o.error for o in outcomes], "StoreLockedError", "is open for writing already")
    outcomes = processes.try_run(make, 2, path, SIZES)
    assert_same([o.error for o in outcomes], "StoreExistsError", "with commits already")
    processes.run(make, 2, path, {**SIZES, "resume": True})


def rewind_differently(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    for checkpoint in range(4):
        fill(recorder, rank)
        recorder.commit(checkpoint)
    errors = [caught(recorder.rewind, rank), caught(recorder.rewind, "x")]
    fill(recorder, rank)
    recorder.rewind(1.5)
    assert recorder.checkpoints == [0.0, 1.0]
    fill(recorder, rank, 7.0)
    recorder.commit(3)
    recorder.close()
    return [errors, recorder.checkpoints]


def test_all_rewind_to_the_same_place(processes, path):
    for errors, known in processes.run(rewind_differently, 2, path):
        assert errors[0][0] == "ArgumentValueError"
        assert "to must be the same number in every process, got 0 on rank 0 and 1" in errors[0][1]
        assert errors[1] == ["ArgumentTypeError", "to must be a number, got str"]
        assert known == [0.0, 1.0, 3.0]
    np.testing.assert_array_equal(open_store(path).read("val")[:, 0], [1.0, 1.0, 7.0])


def warn_once(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    recorder.update("train", [rank], losses=[np.nan])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorder.commit(0)
    recorder.close()
    return [str(warning.message) for warning in caught]


def test_losses_that_are_not_finite_are_warned_of_once(processes, path):
    first, second = processes.run(warn_once, 2, path)
    assert len(first) == 1
    assert "the losses of 2 train samples were inf or NaN" in first[0]
    assert second == []


def leave(rank, path):
    """Closing waits for nobody: an exception in one process is for its launcher to handle."""
    recorder = ltc.Recorder(path, **SIZES)
    fill(recorder, rank)
    recorder.commit(0)
    if rank == 1:
        with suppress(ZeroDivisionError), recorder:
            recorder.update("train", [0], losses=[1.0])
            raise ZeroDivisionError
        return caught(recorder.commit, 1)
    return caught(recorder.commit, 1)


def test_a_process_that_leaves_ends_the_wait_of_the_others(processes, path):
    first, second = (outcome.result for outcome in processes.try_run(leave, 2, path))
    assert second == ["RecorderStateError", f"the recorder of {path} is closed"]
    assert first[0] == "DistributedError"
    assert "rank 0 of 2 lost the other processes of the run, as when one of them dies" in first[1]
    assert open_store(path).committed == 1


def go_on_after_a_loss(rank, path):
    recorder = ltc.Recorder(path, **SIZES)
    fill(recorder, rank)
    if rank == 1:
        os._exit(0)
    errors = [caught(recorder.commit, 0)]
    calls = [recorder.state_dict, recorder.consolidate, lambda: recorder.rewind(0)]
    calls += [lambda: recorder.commit(0), lambda: fill(recorder, rank)]
    errors += [caught(call) for call in calls]
    recorder.close()
    return errors


def test_a_recorder_that_lost_a_process_takes_and_gives_nothing(processes, path):
    first, _ = processes.try_run(go_on_after_a_loss, 2, path)
    assert "lost the other processes" in first.result[0][1]
    text = "the processes of this run lost each other; start it again with resume=True"
    assert first.result[1:] == [["DistributedError", text]] * 5
    with ltc.Recorder(path, **SIZES, resume=True) as recorder:  # not locked, and no commit
        assert recorder.checkpoints == []


def both_are_rank_0(rank, path):
    """Two processes that each believe to record by themselves."""
    try:
        with ltc.Recorder(path, **SIZES, distributed=False) as recorder:
            dist.barrier()
            recorder.update("train", range(5), losses=np.full(5, float(rank)))
            recorder.commit(0)
            return "wrote"
    except LtcError as error:
        dist.barrier()
        return [type(error).__name__, str(error)]


def test_two_processes_that_both_believe_to_be_rank_0(processes, path):
    outcomes = processes.run(both_are_rank_0, 2, path)
    writer = outcomes.index("wrote")
    assert_same([outcomes[1 - writer]], "StoreLockedError", "is open for writing already")
    np.testing.assert_array_equal(open_store(path).read("train"), [[float(writer)] * 5])


def two_jobs(rank, path):
    """The same job, started twice: two groups of two processes on one store."""
    groups = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    job, own = divmod(rank, 2)
    if job == 1:
        dist.barrier()
        error = caught(lambda: ltc.Recorder(path, **SIZES, distributed=groups[1]))
        dist.barrier()
        return error
    with ltc.Recorder(path, **SIZES, distributed=groups[0]) as recorder:
        dist.barrier()
        dist.barrier()
        recorder.update("val", [own], losses=[4.0])
        recorder.commit(0)
    other = caught(lambda: ltc.Recorder(f"{path}2", **SIZES, distributed=groups[1]))
    return [recorder.checkpoints, other]


def test_the_same_job_started_twice_has_one_that_writes(processes, path):
    *first, third, fourth = processes.run(two_jobs, 4, path)
    assert_same([third, fourth], "StoreLockedError", "is open for writing already")
    for checkpoints, error in first:
        assert checkpoints == [0.0]
        text = "distributed must be a group that this process is in, it is not"
        assert error == ["ArgumentValueError", text]
    np.testing.assert_array_equal(open_store(path).read("val"), np.float16([[4, 4, np.nan]]))


@pytest.mark.parametrize("wrong", [True, "gloo", 0])
def test_the_argument_distributed(path, wrong):
    text = "distributed must be None, False or a process group, got"
    with pytest.raises(ArgumentTypeError, match=text):
        ltc.Recorder(path, **SIZES, distributed=wrong)


def test_several_processes_without_a_group_are_an_error(path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert isinstance(find_processes(None), Alone)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(
        RecorderStateError, match=r"this is one of 4 processes .* is not initialised"
    ):
        ltc.Recorder(path, **SIZES)
    ltc.Recorder(path, **SIZES, distributed=False).close()


def test_a_group_of_one_process_is_a_process_by_itself(path):
    program = (
        "import sys, ltc, torch.distributed as dist\n"
        "dist.init_process_group('gloo', init_method=f'file://{sys.argv[1]}.meeting', rank=0, "
        "world_size=1)\n"
        "recorder = ltc.Recorder(sys.argv[1], num_train=2, num_val=1)\n"
        "recorder.update('train', [0], losses=[1.0]); recorder.commit(0); recorder.close()\n"
        "print(type(recorder._processes).__name__)"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout == "Alone\n"
    assert open_store(path).committed == 1


@pytest.mark.parametrize(
    ("backends", "device"),
    [
        ("cpu:gloo,cuda:gloo", "cpu"),
        ("cuda:nccl", "cuda"),
        ("cpu:gloo,cuda:nccl", "cpu"),
        ("cuda:nccl,cpu:gloo", "cpu"),
        ("xpu:xccl", "xpu"),
    ],
)
def test_what_is_exchanged_is_on_a_device_that_the_group_can_reach(backends, device):
    assert collective_device(backends) == device
