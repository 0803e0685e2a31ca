"""A recorder from its first update to the store: modes, commits, resuming, what is never lost."""

import logging
import math
import time
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ltc.dataset import IndexedDataset
from ltc.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    RecorderStateError,
    StoreExistsError,
    StoreLockedError,
    StoreMismatchError,
)
from ltc.recorder import Recorder, batches
from ltc.store import open_store

TRAIN_LABELS = np.array([0, 1, 2, 0, 1])
VAL_LABELS = np.array([0, 1, 2])
NAN = math.nan


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def new_recorder(path, **options):
    return Recorder(path, train_labels=TRAIN_LABELS, val_labels=VAL_LABELS, **options)


def fill(recorder, value):
    """Record `value` for every sample of both splits."""
    recorder.update("train", range(5), losses=np.full(5, value, np.float32))
    recorder.update("val", range(3), losses=np.full(3, value, np.float32))


def read(path, split):
    return open_store(path).read(split)


@pytest.fixture
def on_device(monkeypatch):
    """Take the CPU for another device, whose values can't be looked at."""
    monkeypatch.setattr(batches, "_on_host", lambda value: isinstance(value, np.ndarray))


def test_what_was_recorded_is_in_the_store(path):
    with new_recorder(path) as recorder:
        recorder.update("train", torch.tensor([4, 0]), losses=torch.tensor([0.5, 1.5]))
        recorder.update("train", [2, 4], losses=np.array([2.0, 1.5]))
        recorder.update("val", np.array([1]), losses=[3.0])
        recorder.commit(1)
        recorder.update("train", [3], losses=[4.0])
        recorder.update("val", [0], losses=[5.0])
        recorder.commit(2.5)
        assert recorder.checkpoints == [1.0, 2.5]
    store = open_store(path)
    np.testing.assert_array_equal(store.checkpoints, [1.0, 2.5])
    np.testing.assert_array_equal(store.labels("train"), TRAIN_LABELS)
    np.testing.assert_array_equal(
        store.read("train"), np.float16([[1.5, NAN, 2.0, NAN, 1.0], [NAN, NAN, NAN, 4.0, NAN]])
    )
    np.testing.assert_array_equal(store.read("val"), np.float16([[NAN, 3.0, NAN], [5.0, NAN, NAN]]))
    first = store.commits[0]
    assert (first.train.observed, first.train.duplicate, first.train.mode) == (3, 1, "training")
    assert (first.val.observed, first.val.duplicate, first.val.mode) == (1, 0, "training")


@pytest.mark.usefixtures("on_device")
def test_what_was_recorded_on_a_device_is_in_the_store(path):
    logits = torch.tensor([[100.0, 0.0, 0.0], [0.0, 100.0, 0.0]])
    with new_recorder(path) as recorder:
        recorder.update("train", torch.tensor([4, 0]), losses=torch.tensor([0.5, 1.5]))
        recorder.update(
            "train", torch.tensor([4]), losses=torch.tensor([1.5], dtype=torch.bfloat16)
        )
        recorder.update("val", torch.tensor([2, 0]), logits=logits, targets=torch.tensor([0, 0]))
        recorder.commit(0)
    np.testing.assert_array_equal(read(path, "train"), np.float16([[1.5, NAN, NAN, NAN, 1.0]]))
    np.testing.assert_array_equal(read(path, "val"), np.float16([[100.0, NAN, 0.0]]))


def test_sizes_without_labels(path):
    with Recorder(path, num_train=5, num_val=3) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
    store = open_store(path)
    assert (store.num_train, store.num_val) == (5, 3)
    assert store.labels("train") is None


def test_labels_and_ids_may_be_tensors(path):
    with Recorder(
        path,
        train_labels=torch.from_numpy(TRAIN_LABELS),
        val_labels=VAL_LABELS.tolist(),
        train_ids=torch.arange(10, 15),
        val_ids=["a", "b", "c"],
    ) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
    store = open_store(path)
    np.testing.assert_array_equal(store.labels("train"), TRAIN_LABELS)
    np.testing.assert_array_equal(store.ids("train"), [10, 11, 12, 13, 14])
    assert list(store.ids("val")) == ["a", "b", "c"]


def test_sizes_must_be_known_and_agree(path):
    with pytest.raises(ArgumentTypeError, match="val_labels or num_val must be given"):
        Recorder(path, train_labels=TRAIN_LABELS)
    with pytest.raises(
        ArgumentValueError, match=r"train_labels must have .* shape \(6,\), got shape \(5,\)"
    ):
        Recorder(path, train_labels=TRAIN_LABELS, val_labels=VAL_LABELS, num_train=6)
    assert not path.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {"index": [0, 5], "losses": [1.0, 2.0]},
        {"index": [0.0, 1.0], "losses": [1.0, 2.0]},
        {"index": [0, 1], "losses": [1.0]},
        {"index": [0], "logits": torch.zeros(1, 3), "targets": torch.tensor([3])},
        {"index": [0], "logits": torch.zeros(1, 3), "targets": torch.zeros(1, 3)},
    ],
)
def test_a_refused_update_writes_nothing(path, arguments):
    with new_recorder(path) as recorder:
        with pytest.raises((ArgumentTypeError, ArgumentValueError, ArgumentIndexError)):
            recorder.update("train", **arguments)
        fill(recorder, 1.0)
        with pytest.raises((ArgumentTypeError, ArgumentValueError, ArgumentIndexError)):
            recorder.update("train", **arguments)
        recorder.commit(0)
    np.testing.assert_array_equal(read(path, "train"), np.ones((1, 5)))
    assert open_store(path).commits[0].train.duplicate == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"logits": torch.zeros(1, 3)},
        {"targets": torch.tensor([0])},
        {"losses": [1.0], "targets": torch.tensor([0])},
        {"losses": [1.0], "logits": torch.zeros(1, 3), "targets": torch.tensor([0])},
    ],
)
def test_update_takes_losses_or_logits_and_targets(path, arguments):
    text = "takes either losses, or logits and targets"
    with new_recorder(path) as recorder, pytest.raises(ArgumentTypeError, match=text):
        recorder.update("train", [0], **arguments)


def test_only_two_splits_are_known(path):
    with new_recorder(path) as recorder:
        for call in (
            lambda: recorder.update("test", [0], losses=[1.0]),
            lambda: recorder.evaluate("test", nn.Identity(), []),
        ):
            with pytest.raises(
                ArgumentValueError, match="split must be 'train' or 'val', got 'test'"
            ):
                call()


def evaluation(size, fail_at=None):
    """Return a model, a loader over `size` samples and the losses that they give."""
    torch.manual_seed(0)
    model, inputs = nn.Linear(4, 3), torch.randn(size, 4)
    targets = torch.arange(size) % 3
    with torch.no_grad():
        losses = nn.functional.cross_entropy(model(inputs), targets, reduction="none")
    loader = DataLoader(IndexedDataset(TensorDataset(inputs, targets)), batch_size=2, shuffle=True)

    def failing():
        for position, batch in enumerate(loader):
            if position == fail_at:
                raise OSError("unreadable image")
            yield batch

    return model, loader if fail_at is None else failing(), losses


def test_evaluate_records_a_pass_of_its_own(path):
    model, loader, losses = evaluation(3)
    with new_recorder(path) as recorder:
        recorder.update("train", [0], losses=[1.0])
        recorder.evaluate("val", model, loader)
        recorder.commit(0)
    assert model.training
    np.testing.assert_array_equal(read(path, "val")[0], losses.numpy().astype(np.float16))
    commit = open_store(path).commits[0]
    assert (commit.train.mode, commit.val.mode) == ("training", "evaluation")
    assert commit.val.observed == 3


def test_evaluate_in_two_parts_is_one_mode(path):
    with new_recorder(path) as recorder:
        for part in ([0, 1], [2]):
            recorder.evaluate(
                "val", nn.Identity(), [part], step=lambda _model, part: ([1.0] * len(part), part)
            )
        recorder.commit(0)
    assert open_store(path).commits[0].val.observed == 3


def test_an_evaluation_that_fails_leaves_no_half_of_its_split(path):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
        model, loader, _ = evaluation(3, fail_at=1)
        recorder.update("train", range(5), losses=[2.0] * 5)
        with pytest.raises(OSError, match="unreadable"):
            recorder.evaluate("val", model, loader)
        assert model.training
        recorder.commit(1)
    np.testing.assert_array_equal(read(path, "train")[1], [2.0] * 5)
    assert np.isnan(read(path, "val")[1]).all()
    assert open_store(path).commits[1].val.observed == 0


def test_an_evaluation_that_failed_can_be_done_again(path):
    model, loader, losses = evaluation(3)
    with new_recorder(path) as recorder:
        with pytest.raises(OSError, match="unreadable"):
            recorder.evaluate("val", model, evaluation(3, fail_at=1)[1])
        recorder.evaluate("val", model, loader)
        recorder.commit(0)
    np.testing.assert_array_equal(read(path, "val")[0], losses.numpy().astype(np.float16))
    assert open_store(path).commits[0].val.duplicate == 0


def test_modes_do_not_mix_within_a_checkpoint(path):
    model, loader, _ = evaluation(3)
    with new_recorder(path) as recorder:
        recorder.update("val", [0], losses=[1.0])
        with pytest.raises(RecorderStateError, match=r"'val' has training losses .* no evaluation"):
            recorder.evaluate("val", model, loader)
        recorder.commit(0)
        recorder.evaluate("val", model, loader)
        with pytest.raises(RecorderStateError, match=r"'val' has evaluation losses .* no training"):
            recorder.update("val", [0], losses=[1.0])
        recorder.commit(1)
    assert [commit.val.mode for commit in open_store(path).commits] == ["training", "evaluation"]
    assert open_store(path).commits[0].val.observed == 1


def test_an_update_from_inside_an_evaluation_of_the_same_split_mixes_modes(path):
    with new_recorder(path) as recorder:

        def step(_model, batch):
            recorder.update("val", batch, losses=[1.0])

        with pytest.raises(RecorderStateError, match=r"'val' has evaluation losses"):
            recorder.evaluate("val", nn.Identity(), [[0]], step=step)


@pytest.mark.parametrize("bad", [0, 0.5, 1, -3])
def test_checkpoints_increase_strictly(path, bad):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        recorder.commit(1)
        fill(recorder, 2.0)
        with pytest.raises(ArgumentValueError, match="checkpoint must"):
            recorder.commit(bad)
        recorder.commit(1.5)  # what was recorded is still there
    np.testing.assert_array_equal(read(path, "val"), [[1.0] * 3, [2.0] * 3])


@pytest.mark.parametrize("bad", [NAN, math.inf, "1", None, True, 1j])
def test_a_checkpoint_is_a_finite_number(path, bad):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        for call in (recorder.commit, recorder.rewind):
            with pytest.raises(
                (ArgumentTypeError, ArgumentValueError), match=r"(checkpoint|to) must"
            ):
                call(bad)
        recorder.commit(np.int64(3))
    assert open_store(path).checkpoints.tolist() == [3.0]


def test_a_commit_of_nothing_is_an_error(path):
    with new_recorder(path) as recorder:
        with pytest.raises(RecorderStateError, match="nothing was recorded since the last commit"):
            recorder.commit(0)
        fill(recorder, 1.0)
        recorder.commit(0)
        with pytest.raises(RecorderStateError, match="nothing was recorded since the last commit"):
            recorder.commit(1)


def test_a_commit_that_fails_can_be_done_again(path, monkeypatch):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        with monkeypatch.context() as patch:
            writer = recorder._destination.writer
            patch.setattr(writer, "append", lambda *_: (_ for _ in ()).throw(OSError(28)))
            with pytest.raises(OSError, match="28"):
                recorder.commit(0)
        recorder.commit(0)
    np.testing.assert_array_equal(read(path, "train"), np.ones((1, 5)))


@pytest.mark.usefixtures("on_device")
def test_an_index_outside_on_a_device_is_reported_by_the_commit(path):
    with new_recorder(path) as recorder:
        recorder.update("train", torch.tensor([0, 5]), losses=torch.tensor([1.0, 2.0]))
        with pytest.raises(ArgumentIndexError, match=r"0\.\.4 for split 'train'; 1 of"):
            recorder.commit(0)
        recorder.rewind(0)
        fill(recorder, 1.0)
        recorder.commit(0)
    assert open_store(path).committed == 1


@pytest.mark.usefixtures("on_device")
def test_a_target_outside_on_a_device_is_reported_by_the_commit(path):
    recorder, targets = new_recorder(path), torch.tensor([-100, 1, 3])
    recorder.update("val", torch.arange(3), logits=torch.zeros(3, 3), targets=targets)
    with pytest.raises(ArgumentIndexError, match="2 of the losses of split 'val'"):
        recorder.commit(0)
    recorder.close()


def test_one_loss_that_is_not_finite_is_told_of_as_one(path):
    with new_recorder(path) as recorder:
        recorder.update("train", [0, 1], losses=[NAN, 1.0])
        recorder.update("val", [2], losses=[2.0])
        with pytest.warns(RuntimeWarning) as caught:
            recorder.commit(0)
    assert [str(warning.message) for warning in caught] == [
        "checkpoint 0: the loss of 1 train sample was inf or NaN; it is stored as missing"
    ]


def test_losses_that_are_not_finite_warn_once_per_checkpoint_after_the_commit(path):
    with new_recorder(path) as recorder:
        for checkpoint in range(2):
            for losses in ([NAN, 1.0], [math.inf, 1e6]):
                recorder.update("train", [0, 1], losses=losses)
            recorder.update("val", [2], losses=[-math.inf])
            with pytest.warns(RuntimeWarning) as caught:
                recorder.commit(checkpoint)
            assert [str(warning.message) for warning in caught] == [
                f"checkpoint {checkpoint}: the losses of 1 train and 1 val samples were inf or "
                "NaN; they are stored as missing"
            ]
            assert caught[0].filename == __file__
        fill(recorder, 1e6)  # finite: clipped, counted, and no reason to warn
        recorder.commit(2)
    store = open_store(path)
    assert [commit.train.nonfinite for commit in store.commits] == [1, 1, 0]
    assert [commit.train.clipped for commit in store.commits] == [1, 1, 5]
    np.testing.assert_array_equal(
        store.read("train")[1:], np.float16([[NAN, 65504, NAN, NAN, NAN], [65504] * 5])
    )


def test_training_goes_on_where_warnings_are_errors(path):
    with new_recorder(path) as recorder, warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.update("train", [0], losses=[NAN])
        with pytest.raises(RuntimeWarning, match="inf or NaN"):
            recorder.commit(0)
        fill(recorder, 1.0)
        recorder.commit(1)
    assert open_store(path).committed == 2


def test_leaving_with_uncommitted_losses_is_an_error(path):
    def run():
        with new_recorder(path) as recorder:
            fill(recorder, 1.0)
            recorder.commit(0)
            fill(recorder, 2.0)

    with pytest.raises(RecorderStateError, match="losses of train and val were recorded after the"):
        run()
    assert open_store(path).committed == 1
    new_recorder(path, resume=True).close()  # and the store is free


def test_after_an_exception_uncommitted_losses_are_dropped_and_a_line_says_so(path, caplog):
    def run():
        with new_recorder(path) as recorder:
            fill(recorder, 1.0)
            recorder.commit(0)
            recorder.update("train", [0], losses=[2.0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert line.getMessage() == (
        f"{path}: dropped uncommitted losses of train; checkpoints in the store: 1"
    )
    assert open_store(path).committed == 1


def test_an_exception_with_nothing_pending_says_nothing(path, caplog):
    def run():
        with new_recorder(path) as recorder:
            fill(recorder, 1.0)
            recorder.commit(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert not caplog.records


def test_a_closed_recorder_takes_nothing(path, caplog):
    recorder = new_recorder(path)
    fill(recorder, 1.0)
    recorder.close()
    recorder.close()
    assert len(caplog.records) == 1
    assert "dropped uncommitted losses of train and val" in caplog.text
    for call in (
        lambda: fill(recorder, 1.0),
        lambda: recorder.evaluate("val", nn.Identity(), []),
        lambda: recorder.commit(0),
        lambda: recorder.rewind(0),
        lambda: recorder.__enter__(),
    ):
        with pytest.raises(RecorderStateError, match="is closed"):
            call()
    assert recorder.checkpoints == []


def test_a_block_may_close_its_recorder_itself(path):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
        recorder.close()
    assert open_store(path).committed == 1


def test_a_second_recorder_on_one_store_is_refused(path):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
        with pytest.raises(StoreLockedError):
            new_recorder(path, resume=True)


def test_a_run_goes_on_where_it_stopped(path):
    for run in range(3):
        with new_recorder(path, resume=True) as recorder:
            assert recorder.checkpoints == list(range(run))
            fill(recorder, float(run))
            recorder.commit(run)
    np.testing.assert_array_equal(read(path, "val"), [[0.0] * 3, [1.0] * 3, [2.0] * 3])


def test_a_store_with_commits_is_not_overwritten(path):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
    with pytest.raises(StoreExistsError):
        new_recorder(path)
    np.testing.assert_array_equal(read(path, "val"), [[1.0] * 3])


@pytest.mark.parametrize("resume", [False, True])
def test_a_store_without_a_first_commit_counts_as_absent(path, resume):
    new_recorder(path).close()
    with Recorder(path, num_train=5, num_val=3, resume=resume) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
    assert open_store(path).labels("train") is None


@pytest.mark.parametrize(
    "other",
    [
        {"train_labels": TRAIN_LABELS[:4], "val_labels": VAL_LABELS},
        {"train_labels": TRAIN_LABELS[::-1], "val_labels": VAL_LABELS},
        {"num_train": 5, "num_val": 3},
        {"train_labels": TRAIN_LABELS, "val_labels": VAL_LABELS, "train_ids": list("abcde")},
    ],
    ids=["sizes", "labels", "no labels", "ids"],
)
def test_a_run_on_other_data_is_not_continued(path, other):
    with new_recorder(path) as recorder:
        fill(recorder, 1.0)
        recorder.commit(0)
    with pytest.raises(StoreMismatchError):
        Recorder(path, resume=True, **other)
    new_recorder(path, resume=True).close()  # the refused one holds no lock


def test_rewind_drops_later_checkpoints_and_what_is_pending(path):
    with new_recorder(path) as recorder:
        for checkpoint in range(4):
            fill(recorder, float(checkpoint))
            recorder.commit(checkpoint)
        fill(recorder, 9.0)
        recorder.rewind(1.5)
        assert recorder.checkpoints == [0.0, 1.0]
        fill(recorder, 5.0)
        recorder.commit(2)
    np.testing.assert_array_equal(read(path, "train")[:, 0], [0.0, 1.0, 5.0])
    assert open_store(path).commits[2].train.duplicate == 0


def test_the_recorder_times_itself(path):
    with new_recorder(path) as recorder:
        assert recorder.seconds == {"update": 0.0, "evaluate": 0.0, "commit": 0.0}
        start = time.perf_counter()
        recorder.update("train", range(5), losses=[1.0] * 5)
        model, loader, _ = evaluation(3)
        recorder.evaluate("val", model, loader)
        recorder.commit(0)
        elapsed = time.perf_counter() - start
    assert all(seconds > 0 for seconds in recorder.seconds.values())
    assert sum(recorder.seconds.values()) <= elapsed


def test_a_recorder_takes_at_most_8_bytes_per_sample_and_streams_its_commits(path):
    """Of the labels too it holds a copy only while it starts, when there are no losses yet."""
    size, batch = 4_000_000, 250_000
    labels = np.arange(size, dtype=np.int32) % 10
    losses = np.linspace(0, 5, batch, dtype=np.float32)
    tracemalloc.start()
    try:
        with Recorder(path, train_labels=labels, val_labels=[9]) as recorder:
            for checkpoint in range(2):
                for begin in range(0, size, batch):
                    recorder.update("train", np.arange(begin, begin + batch), losses=losses)
                recorder.commit(checkpoint)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 8 * size + 16_000_000
    stored = open_store(path).read("train", checkpoints=[1])[0]
    np.testing.assert_array_equal(stored, np.tile(losses.astype(np.float16), size // batch))


def test_a_pass_that_something_else_makes_is_an_evaluation(tmp_path):
    with Recorder(tmp_path / "run.zarr", num_train=2, num_val=1) as recorder:
        recorder.update("val", [0], losses=np.array([4.0]), mode="evaluation")
        with pytest.raises(RecorderStateError, match="takes no training losses"):
            recorder.update("val", [0], losses=np.array([4.0]))
        recorder.drop("val")  # it starts anew, and its first half counts no more
        recorder.update("val", [0], losses=np.array([2.0]), mode="evaluation")
        with pytest.raises(ArgumentValueError, match="mode must be one of training, evaluation"):
            recorder.update("train", [0], losses=np.array([1.0]), mode="pass")
        recorder.commit(0)
    store = open_store(tmp_path / "run.zarr")
    assert store.read("val").tolist() == [[2.0]]
    assert store.commits[0].val.mode == "evaluation"
    assert store.commits[0].train.mode == "none"
