"""Runs of several processes that are taken up in the middle of an epoch, by as many or others."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

import ltc
from ltc.errors import LtcError
from ltc.store import open_store

SIZES = {"train": 40, "val": 9}
ARGUMENTS = {"num_train": 40, "num_val": 9}
STEPS = 6


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def train(recorder, rank, steps, often):
    """Steps of an epoch; a sample comes twice in all, or, if `often` says so, many times."""
    epoch, size = len(recorder.checkpoints), 4  # always in parts for 4
    for step in steps:
        random = np.random.default_rng([epoch, step // 3, int(often)])
        order = random.permutation(39)
        for part in range(4)[rank :: dist.get_world_size() if dist.is_initialized() else 1]:
            index = order[part::size][step % 3 :: 3]
            if often:
                index = np.random.default_rng([epoch, step, part]).integers(0, 39, 10)
            losses = np.random.default_rng([epoch, step, part]).exponential(size=index.size)
            recorder.update("train", index, losses=losses.astype(np.float32))


def validate(recorder, rank):
    index = list(range(9))[rank :: dist.get_world_size() if dist.is_initialized() else 1]
    losses = torch.linspace(0, 1, 9)[index] + len(recorder.checkpoints)
    recorder.evaluate("val", None, [index], step=lambda _, index: (losses, torch.tensor(index)))


def file_of(path, rank):
    return Path(f"{path}.state{rank}")


def run_whole(rank, path, often):
    with ltc.Recorder(path, **ARGUMENTS) as recorder:
        for epoch in range(3):
            train(recorder, rank, range(STEPS), often)
            validate(recorder, rank)
            recorder.commit(epoch)


def run_half(rank, path, often, how):
    """An epoch and a half, to where states are saved; then on to the next commit."""
    recorder = ltc.Recorder(path, **ARGUMENTS)
    train(recorder, rank, range(STEPS), often)
    validate(recorder, rank)
    recorder.commit(0)
    train(recorder, rank, range(4), often)
    validate(recorder, rank)
    if how == "consolidated":
        recorder.consolidate()
    torch.save(recorder.state_dict(), file_of(path, rank))
    train(recorder, rank, range(4, STEPS), often)
    recorder.commit(1)
    train(recorder, rank, range(2), often)
    recorder.close()


def states_for(rank, path, given):
    """What a process is given: files by number, its own, or all that there are."""
    if given == "own":
        given = [rank]
    elif isinstance(given, dict):
        given = given[str(rank)]
    return [torch.load(file_of(path, number), weights_only=True) for number in given]


def run_rest(rank, path, often, given, rewind=True):
    states = states_for(rank, path, given)
    recorder = ltc.Recorder(path, **ARGUMENTS, resume=True)
    try:
        recorder.load_state_dict(states[0] if len(states) == 1 else states, rewind=rewind)
        train(recorder, rank, range(4, STEPS), often)
        recorder.commit(1)
        train(recorder, rank, range(STEPS), often)
        validate(recorder, rank)
        recorder.commit(2)
        return recorder.checkpoints
    except LtcError:
        assert recorder.checkpoints == [0, 1]
        raise
    finally:
        recorder.close()


def assert_same_run(path, other):
    store, expected = open_store(path), open_store(other)
    for split in SIZES:
        np.testing.assert_array_equal(store.read(split), expected.read(split))
    assert [(c.train, c.val) for c in store.commits] == [(c.train, c.val) for c in expected.commits]


@pytest.mark.parametrize("size", [2, 4])
def test_each_process_goes_on_from_its_own_state_bit_for_bit(processes, path, tmp_path, size):
    processes.run(run_whole, size, tmp_path / "whole.zarr", True)
    processes.run(run_half, size, path, True, "each")
    assert processes.run(run_rest, size, path, True, "own") == [[0, 1, 2]] * size
    assert_same_run(path, tmp_path / "whole.zarr")
    assert open_store(path).commits[1].train.duplicate > 30


WAYS = {
    "4 to 4, all are given all": ("each", 4, [0, 1, 2, 3]),
    "4 to 2, each has two": ("each", 2, {"0": [0, 3], "1": [2, 1]}),
    "4 to 3, the last has none": ("each", 3, {"0": [0, 3], "1": [2, 1], "2": []}),
    "4 to 1": ("each", 1, [3, 1, 2, 0]),
    "4 to 4, of rank 0 alone": ("consolidated", 4, [0]),
    "4 to 2, of rank 0 for one": ("consolidated", 2, {"0": [], "1": [0]}),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_processes_go_on_bit_for_bit(processes, path, tmp_path, way):
    how, size, given = WAYS[way]
    processes.run(run_whole, 4, tmp_path / "whole.zarr", False)
    processes.run(run_half, 4, path, False, how)
    processes.run(run_rest, size, path, False, given)
    assert_same_run(path, tmp_path / "whole.zarr")
    commit = open_store(path).commits[1]
    assert (commit.train.observed, commit.train.duplicate, commit.val.duplicate) == (39, 39, 0)


def test_what_a_single_process_began_several_go_on_with(processes, path, tmp_path):
    processes.run(run_whole, 1, tmp_path / "whole.zarr", False)
    processes.run(run_half, 1, path, False, "each")
    processes.run(run_rest, 2, path, False, [0])
    assert_same_run(path, tmp_path / "whole.zarr")


WRONG = {
    "missing": ([0, 2], "states must be those of all 4 processes .* got none of rank 1, 3; give"),
    "one alone": ([0], "got none of rank 1, 2, 3; give them all, in a list, or call consolidate"),
    "none": ([], "state must be given to one process at least, got none"),
    "two of one rank": (["twin", 0, 1, 2, 3], "one moment of one run, got two of rank 0"),
    "another moment": (["later", 0, 1, 2, 3], "got some after 2 checkpoints of 4 .* after 1 of 4"),
    "another run": (["other", 0, 1, 2, 3], "after 1 of 4, with other commits before"),
}


@pytest.fixture(scope="module")
def saved(processes, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "run.zarr"
    processes.run(run_half, 4, path, False, "each")
    first = torch.load(file_of(path, 0))
    twins = {
        "twin": {"name": "other"},
        "later": {"name": "other", "committed": 2},
        "other": {"name": "other", "history": "other"},
    }
    for name, change in twins.items():
        torch.save(first | change, file_of(path, name))
    return path


@pytest.mark.parametrize("wrong", WRONG)
def test_states_that_do_not_belong_together_are_an_error_in_all(processes, saved, wrong):
    given, text = WRONG[wrong]
    for outcome in processes.try_run(run_rest, 2, saved, False, given):
        with pytest.raises(ValueError, match=text):
            raise ValueError(outcome.error[1])
        assert outcome.error[0] == "ArgumentValueError"


def test_a_store_that_went_further_is_an_error_in_all(processes, saved):
    for outcome in processes.try_run(run_rest, 2, saved, False, [0, 1, 2, 3], False):
        assert outcome.error[0] == "RecorderStateError"
        assert "has 1 more checkpoints than the 1 that the state was made after" in outcome.error[1]


def test_a_broken_state_of_one_process_is_an_error_in_all(processes, saved):
    torch.save({"format": 1, "num_train": 1}, file_of(saved, "broken"))
    given = {"0": [0, 1, 2, 3], "1": ["broken"]}
    first, second = processes.try_run(run_rest, 2, saved, False, given)
    text = "state must be of a run with 40 train samples, got 1"
    assert second.error == ["ArgumentValueError", text]
    assert first.error == ["DistributedError", f"rank 1: ArgumentValueError: {text}"]


def save_at_the_end_of_an_epoch(rank, path):
    """What most loops do: commit, and rank 0 alone saves; the others have nothing to save."""
    recorder = ltc.Recorder(path, **ARGUMENTS)
    train(recorder, rank, range(STEPS), False)
    validate(recorder, rank)
    recorder.commit(0)
    if rank == 0:
        torch.save(recorder.state_dict(), file_of(path, 0))
    train(recorder, rank, range(3), False)
    recorder.close()


def go_on_after_an_epoch(rank, path):
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        recorder.load_state_dict(torch.load(file_of(path, 0)), rewind=True)
        for epoch in (1, 2):
            train(recorder, rank, range(STEPS), False)
            validate(recorder, rank)
            recorder.commit(epoch)


def test_after_a_commit_the_state_of_rank_0_is_enough(processes, path, tmp_path):
    processes.run(run_whole, 4, tmp_path / "whole.zarr", False)
    processes.run(save_at_the_end_of_an_epoch, 4, path)
    processes.run(go_on_after_an_epoch, 4, path)
    assert_same_run(path, tmp_path / "whole.zarr")


def consolidate_twice(rank, path):
    with ltc.Recorder(path, **ARGUMENTS) as recorder:
        train(recorder, rank, range(3), False)
        recorder.consolidate()
        pending = [recorder.state_dict()["pending"]]
        recorder.consolidate()
        pending.append(recorder.state_dict()["pending"])
        recorder.load_state_dict(recorder.state_dict())
        states = [recorder.state_dict()["whole"]]
        train(recorder, rank, range(3, STEPS), False)
        states.append(recorder.state_dict()["whole"])
        validate(recorder, rank)
        recorder.commit(0)
        states.append(recorder.state_dict()["whole"])
    return [pending, states]


def test_consolidating_moves_and_copies_nothing(processes, path, tmp_path):
    first, second = processes.run(consolidate_twice, 2, path)
    assert first == [[True, True], [False, False, True]]
    assert second == [[False, False], [False, False, True]]
    processes.run(run_whole, 2, tmp_path / "whole.zarr", False)
    found, expected = open_store(path), open_store(tmp_path / "whole.zarr")
    np.testing.assert_array_equal(found.read("train")[0], expected.read("train")[0])
    assert found.commits[0].train == expected.commits[0].train
