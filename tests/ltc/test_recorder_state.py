"""A run that is taken up in the middle of an epoch goes on as if it had not been interrupted."""

import io
import itertools

import numpy as np
import pytest
import torch

import ltc
from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    RecorderStateError,
    StoreMismatchError,
)
from ltc.recorder import batches
from ltc.store import open_store

SIZES = {"train": 23, "val": 7}
ARGUMENTS = {"num_train": 23, "num_val": 7}
EPOCHS, STEPS = 3, 6


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture
def on_device(monkeypatch):
    """Take the CPU for another device, whose values can't be looked at."""
    monkeypatch.setattr(batches, "_on_host", lambda value: isinstance(value, np.ndarray))


def train_step(recorder, epoch, step, rank=0):
    """A batch that has some samples twice, and that overlaps with the others."""
    random = np.random.default_rng([epoch, step, rank])
    index = random.integers(0, SIZES["train"] - 1, 12)  # the last one is never seen
    losses = torch.from_numpy(random.exponential(size=12).astype(np.float32))
    recorder.update("train", torch.from_numpy(index), losses=losses)


def validate(recorder, epoch, half, rank=0, processes=1):
    def step(_model, index):
        losses = np.random.default_rng([epoch, rank]).exponential(size=len(index))
        return torch.from_numpy(losses.astype(np.float32)), torch.tensor(index)

    index = list(range(SIZES["val"]))[rank::processes]
    part = index[: len(index) // 2] if half == 0 else index[len(index) // 2 :]
    recorder.evaluate("val", None, [part], step=step)


def moments(first=0):
    """What a run does, one after the other, by number."""
    for epoch in range(EPOCHS):
        calls = [("step", epoch, step) for step in range(STEPS)]
        calls += [("validate", epoch, 0), ("validate", epoch, 1), ("commit", epoch, None)]
        yield from calls[max(0, first) :]
        first -= len(calls)


def do(recorder, moment, *place):
    what, epoch, number = moment
    if what == "commit":
        recorder.commit(epoch)
    else:
        {"step": train_step, "validate": validate}[what](recorder, epoch, number, *place)


MOMENTS = EPOCHS * (STEPS + 3)


def record(path, first=0, last=MOMENTS, load=None, **options):
    """Run from one moment to another; the state at the end of it, as a file has it."""
    with ltc.Recorder(path, **ARGUMENTS, resume=load is not None) as recorder:
        if load is not None:
            recorder.load_state_dict(through_a_file(load), **options)
        for moment in itertools.islice(moments(first), last - first):
            do(recorder, moment)
        state = recorder.state_dict()
        if last < MOMENTS:
            recorder.close()
    return state


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def assert_same_run(path, other):
    store, expected = open_store(path), open_store(other)
    assert store.checkpoints.tolist() == expected.checkpoints.tolist()
    for split in SIZES:
        np.testing.assert_array_equal(store.read(split), expected.read(split))
    for commit, whole in zip(store.commits, expected.commits, strict=True):
        assert (commit.train, commit.val) == (whole.train, whole.val)
    assert store.verify().ok


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.zarr"
    record(path)
    commit = open_store(path).commits[0]
    assert commit.train.duplicate > 15
    assert commit.train.observed < SIZES["train"]
    return path


@pytest.mark.parametrize("moment", range(MOMENTS + 1))
def test_a_run_goes_on_bit_for_bit_from_any_moment(path, uninterrupted, moment):
    """Though most samples are seen three times and more, when the order of a sum counts."""
    state = record(path, last=moment)
    record(path, first=moment, load=state)
    assert_same_run(path, uninterrupted)


@pytest.mark.usefixtures("on_device")
def test_a_run_on_a_device_goes_on_bit_for_bit(path, tmp_path):
    record(tmp_path / "whole.zarr")
    for moment in (2, 5, 7, 14):
        here = path.with_suffix(f".{moment}")
        record(here, first=moment, load=record(here, last=moment))
        assert_same_run(here, tmp_path / "whole.zarr")


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("moment", [10, 13])
def test_sums_grow_in_the_order_in_which_losses_come(path, tmp_path, request, device, moment):
    """To the last bit of a float32, which a float16 in the store hides."""
    if device:
        request.getfixturevalue("on_device")
    whole = record(tmp_path / "whole.zarr", last=15)["train.words"]
    resumed = record(path, first=moment, last=15, load=record(path, last=moment))["train.words"]
    assert whole[1].max() > 4
    assert resumed.equal(whole)


def test_a_state_from_after_a_rewind_in_the_same_process(path):
    with ltc.Recorder(path, **ARGUMENTS) as recorder:
        for moment in moments():
            do(recorder, moment)
        old = recorder.state_dict()
        recorder.rewind(0)
        train_step(recorder, 5, 0)
        recorder.commit(1)
        train_step(recorder, 5, 1)
        state = recorder.state_dict()
        recorder.load_state_dict(state)
        recorder.commit(2)
        with pytest.raises(StoreMismatchError, match="the first 3 of its checkpoints are others"):
            recorder.load_state_dict(old)
        recorder.load_state_dict(state, rewind=True)
        assert recorder.checkpoints == [0, 1]
        recorder.commit(2)


def test_a_run_is_taken_up_more_than_once(path, uninterrupted):
    state = record(path, last=3)
    for moment in range(3, MOMENTS, 4):
        state = record(path, first=moment, last=min(moment + 4, MOMENTS), load=state)
    assert_same_run(path, uninterrupted)


def test_the_state_is_a_copy(path, uninterrupted):
    with ltc.Recorder(path, **ARGUMENTS) as recorder:
        for moment in itertools.islice(moments(), 4):
            do(recorder, moment)
        state = recorder.state_dict()
        for moment in itertools.islice(moments(), 4, 6):
            do(recorder, moment)
        recorder.load_state_dict(state)  # what was pending is replaced
        assert recorder.state_dict()["train.words"].equal(state["train.words"])
        for moment in moments(4):
            do(recorder, moment)
    assert_same_run(path, uninterrupted)


def test_the_state_is_small_after_a_commit(path):
    state = record(path)
    assert state["train.words"] is None
    assert state["val.words"] is None
    assert state["committed"] == EPOCHS


@pytest.mark.parametrize(("moment", "later"), [(4, 20), (9, MOMENTS), (13, MOMENTS), (2, 9)])
def test_a_run_goes_on_from_an_earlier_model(path, uninterrupted, moment, later):
    """The model's checkpoint is not the last: the store went further, and goes back in one call."""
    state = record(path, last=moment)
    record(path, first=moment, last=later, load=state)
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        known = recorder.checkpoints
        extra = later // 9 - moment // 9
        with pytest.raises(
            RecorderStateError,
            match=rf"has {extra} more checkpoints than the {moment // 9} that the state was made "
            rf"after, from {moment // 9} on; load_state_dict\(state, rewind=True\) drops them",
        ):
            recorder.load_state_dict(state)
        assert recorder.checkpoints == known
    record(path, first=moment, load=state, rewind=True)
    assert_same_run(path, uninterrupted)


def test_an_earlier_model_serves_twice(path, uninterrupted):
    """Rewinding changes nothing of the commits that a state knows."""
    early, late = record(path, last=11), None
    for _ in range(2):
        record(path, first=11, last=20, load=early, rewind=True)
        late = late or through_a_file(record(path, first=20, last=25, load=record_state(path)))
    with pytest.raises(StoreMismatchError, match="the first 2 of its checkpoints are others than"):
        record(path, load=late, rewind=True)  # checkpoint 1 was recorded anew since
    record(path, first=11, load=early, rewind=True)
    assert_same_run(path, uninterrupted)


def record_state(path):
    """The state that a resumed run has at once; here two steps into an epoch, done again."""
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        for moment in itertools.islice(moments(18), 2):
            do(recorder, moment)
        state = recorder.state_dict()
        recorder.close()
    return state


def test_a_store_that_lacks_commits_is_an_error(path):
    state = record(path, last=20)
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        recorder.rewind(0)
        text = "it was made after 2 checkpoints, and the store has 1"
        with pytest.raises(StoreMismatchError, match=text):
            recorder.load_state_dict(state, rewind=True)


def test_a_state_of_another_run_is_an_error(path, tmp_path):
    state = record(tmp_path / "other.zarr", last=20)
    record(path, last=20)
    with (
        ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder,
        pytest.raises(StoreMismatchError, match="others than those that the state was made after"),
    ):
        recorder.load_state_dict(state)


def changed(state, **entries):
    return {**state, **{name.replace("__", "."): value for name, value in entries.items()}}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"format": 2}, ArgumentValueError, "with format 1, got format 2"),
        ({"num_val": 8}, ArgumentValueError, "of a run with 7 val samples, got 8"),
        ({"committed": "0"}, ArgumentTypeError, r"\['committed'\] must be of type int, got str"),
        ({"committed": -1}, ArgumentValueError, "after 0 checkpoints or more, got rank 0 and -1"),
        ({"rank": 1}, ArgumentValueError, r"rank in 0\.\.0 .* got rank 1 and 0 checkpoints"),
        ({"train__mode": "other"}, ArgumentValueError, r"'train.mode'\] must be one of .*'other'"),
        (
            {"train__words": torch.zeros(2, 9)},
            ArgumentValueError,
            r"'train.words'\] must be float32 of shape \(2, 26\), got float32 of shape \(2, 9\)",
        ),
        (
            {"train__words": np.zeros((2, 26), np.int32)},
            ArgumentValueError,
            "must be float32 of shape .* got int32 of shape",
        ),
    ],
)
def test_a_state_that_is_none_changes_nothing(path, change, error, text):
    state = record(path, last=2)
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        train_step(recorder, 0, 0)
        for wrong in (changed(state, **change), [state, changed(state, **change)]):
            with pytest.raises(error, match=text):
                recorder.load_state_dict(wrong)
        assert recorder.state_dict()["train.words"][1].sum() == 12
        recorder.commit(0)


@pytest.mark.parametrize("wrong", [7, "abc", [[1]], [None]])
def test_a_state_is_a_mapping(path, wrong):
    with (
        ltc.Recorder(path, **ARGUMENTS) as recorder,
        pytest.raises(ArgumentTypeError, match="state must be a mapping"),
    ):
        recorder.load_state_dict(wrong)


def test_no_state_is_an_error(path):
    with (
        ltc.Recorder(path, **ARGUMENTS) as recorder,
        pytest.raises(ArgumentValueError, match="state must be given to one process at least"),
    ):
        recorder.load_state_dict([])


def test_a_closed_recorder_has_no_state(path):
    recorder = ltc.Recorder(path, **ARGUMENTS)
    recorder.close()
    for call in (recorder.state_dict, recorder.consolidate, lambda: recorder.load_state_dict({})):
        with pytest.raises(RecorderStateError, match="is closed"):
            call()


def test_the_mode_goes_on_too(path):
    state = record(path, last=STEPS + 1)
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        recorder.load_state_dict(state)
        with pytest.raises(RecorderStateError, match="'val' has evaluation losses"):
            recorder.update("val", [0], losses=[1.0])
        with pytest.raises(RecorderStateError, match="'train' has training losses"):
            recorder.evaluate("train", None, [])
        recorder.close()


def test_what_a_device_kept_out_stays_an_error(path, monkeypatch):
    with monkeypatch.context() as patch, ltc.Recorder(path, **ARGUMENTS) as recorder:
        patch.setattr(batches, "_on_host", lambda value: isinstance(value, np.ndarray))
        recorder.update("train", torch.tensor([0, 99]), losses=torch.ones(2))
        state = recorder.state_dict()
        recorder.close()
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        recorder.load_state_dict(through_a_file(state))
        with pytest.raises(IndexError, match="1 of the losses since the last commit"):
            recorder.commit(0)
        recorder.close()
