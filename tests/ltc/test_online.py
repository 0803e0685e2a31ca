"""The online scorer against `ltc.score` on a store of the same losses."""

import io
import tracemalloc

import numpy as np
import pytest

import ltc
import ltc.online
from assertions import assert_scores_close
from kernels import cases
from ltc.errors import ArgumentTypeError, ArgumentValueError, RecorderStateError
from ltc.online import OnlineScorer

NUM_TRAIN, NUM_VAL, NUM_CLASSES = 150, 40, 6
NAN = float("nan")
SETTINGS = [(signal, reference) for signal in cases.SIGNALS for reference in ("class-mean", "mean")]


def labels(size, seed=0):
    return np.random.default_rng(seed).integers(0, NUM_CLASSES, size)


def recorded(num_checkpoints=12, dtype=np.float32):
    train = cases.trajectories(num_checkpoints, NUM_TRAIN, dtype=dtype)
    return train, cases.trajectories(num_checkpoints, NUM_VAL, seed=1, dtype=dtype)


def scorer(**settings):
    return OnlineScorer(labels(NUM_TRAIN), labels(NUM_VAL, 1), **settings)


def run(online, train, val):
    for rows in zip(train, val, strict=True):
        online.update(*rows)
    return online


def complete(train, val):
    pass


def gaps(train, val):
    rng = np.random.default_rng(3)
    train[rng.random(train.shape) < 0.1] = NAN
    val[rng.random(val.shape) < 0.1] = NAN


def one_gap_late(train, val):
    train[7, 3] = val[9, 0] = NAN


def whole_splits_missing(train, val):
    train[0] = NAN
    val[3] = NAN
    train[8] = val[8] = NAN


def out_of_range(train, val):
    train[2, :5] = np.inf
    train[5, 5:9] = 1e6
    train[6] = -np.inf  # seen, so the checkpoint counts, and yet all is missing
    val[4, 0] = -1e7


def class_not_observed(train, val):
    val[2, labels(NUM_VAL, 1) == 4] = NAN
    val[:, labels(NUM_VAL, 1) == 5] = NAN
    train[:, 0] = NAN


CHANGES = [complete, gaps, one_gap_late, whole_splits_missing, out_of_range, class_not_observed]


@pytest.mark.parametrize(("signal", "reference"), SETTINGS)
@pytest.mark.parametrize("change", CHANGES)
def test_equals_score_after_every_checkpoint(tmp_path, change, signal, reference):
    train, val = recorded()
    change(train, val)
    ltc.write_store(
        tmp_path / "run.zarr",
        train,
        val,
        train_labels=labels(NUM_TRAIN),
        val_labels=labels(NUM_VAL, 1),
    )
    online = scorer(signal=signal, reference=reference)
    compared = 0
    for t in range(len(train)):
        online.update(train[t], val[t])
        actual = online.scores()
        try:
            expected = ltc.score(
                tmp_path / "run.zarr",
                signal=signal,
                reference=reference,
                checkpoints=slice(0, t + 1),
            )
        except ArgumentValueError:  # fewer than three signal values
            assert actual.undefined.all()
            continue
        assert_scores_close(actual.values, expected.values, backend="cpu", what=f"at {t}")
        np.testing.assert_array_equal(actual.labels, expected.labels)
        for key in ("signal", "reference", "checkpoints", "left_out", "missing", "undefined"):
            assert actual.metadata[key] == expected.metadata[key], key
        compared += 1
    assert compared > 5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_losses_are_rounded_as_in_a_store(dtype):
    train, val = recorded(dtype=np.float64)
    online, rounded = scorer(), scorer()
    for t in range(len(train)):
        online.update(train[t].astype(dtype), val[t].astype(dtype))
        rounded.update(train[t].astype(dtype).astype(np.float16), val[t].astype(np.float16))
    np.testing.assert_array_equal(online.scores().values, rounded.scores().values)


def test_tensors_and_other_arrangements():
    torch = pytest.importorskip("torch")
    train, val = recorded()
    plain, tensors, strided = scorer(), scorer(), scorer()
    for t in range(len(train)):
        plain.update(train[t], val[t])
        tensors.update(torch.from_numpy(train[t]).requires_grad_(), torch.from_numpy(val[t]))
        strided.update(np.repeat(train[t], 2)[::2], val[t].astype(">f4"))
    np.testing.assert_array_equal(tensors.scores().values, plain.scores().values)
    np.testing.assert_array_equal(strided.scores().values, plain.scores().values)


def saved_by_numpy(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    return np.load(file)


def as_tensors(state):
    torch = pytest.importorskip("torch")
    return {
        name: torch.as_tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


@pytest.mark.parametrize("way", [dict, saved_by_numpy, as_tensors])
@pytest.mark.parametrize("change", [complete, gaps, whole_splits_missing])
@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("moment", [0, 1, 2, 6, 12])
def test_a_state_goes_on_where_it_was_taken(way, change, signal, moment):
    train, val = recorded()
    change(train, val)
    first, whole = scorer(signal=signal), scorer(signal=signal)
    for t in range(len(train)):
        whole.update(train[t], val[t])
        if t < moment:
            first.update(train[t], val[t])
    state = first.state_dict()
    first.update(train[0], val[0])  # the state is a copy
    second = scorer(signal=signal)
    second.load_state_dict(way(state))
    for t in range(moment, len(train)):
        second.update(train[t], val[t])
    np.testing.assert_array_equal(second.scores().values, whole.scores().values)
    assert second.scores().metadata == whole.scores().metadata


def test_several_tiles_with_gaps_in_one(monkeypatch):
    train, val = recorded()
    train[5, 70] = NAN
    whole = run(scorer(), train, val)
    monkeypatch.setattr(ltc.online, "TILE", 64)
    tiled = run(scorer(), train, val)
    assert_scores_close(tiled.scores().values, whole.scores().values, backend="cpu")
    assert tiled.nbytes == 18 * NUM_TRAIN + (34 - 16) * 64
    assert whole.nbytes == (34 + 2) * NUM_TRAIN
    again = scorer()
    again.load_state_dict(tiled.state_dict())
    again.update(train[0], val[0])
    tiled.update(train[0], val[0])
    np.testing.assert_array_equal(again.scores().values, tiled.scores().values)


@pytest.mark.parametrize(("gap", "limit"), [(False, 20), (True, 36)])
@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_memory_per_sample(signal, gap, limit):
    size = 2_000_000
    train_labels = np.zeros(size, np.int64)
    losses = np.random.default_rng(0).random(size, dtype=np.float32)
    OnlineScorer([0], [0], signal=signal).update(np.zeros(1), np.zeros(1))  # compiles
    tracemalloc.start()
    try:
        online = OnlineScorer(train_labels, [0], signal=signal)
        tracemalloc.reset_peak()
        for t in range(3):
            if gap and t == 1:
                losses[::100_000] = NAN
            online.update(losses, np.zeros(1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert online.nbytes <= limit * size
    tile = 24 * ltc.online.TILE  # what rounding and a change of layout take for a while
    assert peak <= limit * size + tile


def test_many_classes_take_wider_labels():
    online = OnlineScorer([0, 70_000], [70_000])
    for value in (3.0, 1.0, 2.0, 5.0, 4.0):
        online.update(np.array([value, -value]), np.array([value]))
    np.testing.assert_allclose(online.scores().values, [NAN, -1], atol=1e-6)


def test_an_interrupted_update_is_noticed(monkeypatch):
    train, val = recorded()
    online = scorer()
    run(online, train[:6], val[:6])
    state, scores = online.state_dict(), online.scores()

    def interrupted(*_arguments, **_settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ltc.online, "online_update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            online.update(train[6], val[6])
    with pytest.raises(RecorderStateError, match="an update was interrupted"):
        online.update(train[6], val[6])
    with pytest.raises(RecorderStateError, match="an update was interrupted"):
        online.state_dict()
    with pytest.raises(RecorderStateError, match="some samples only"):
        online.scores()
    online.load_state_dict(state)
    np.testing.assert_array_equal(online.scores().values, scores.values)


@pytest.mark.parametrize(
    ("train", "val", "error", "message"),
    [
        (np.zeros(3), np.zeros(NUM_VAL), ArgumentValueError, r"train_losses .* got \(3,\)"),
        (np.zeros(NUM_TRAIN), np.zeros((1, NUM_VAL)), ArgumentValueError, "val_losses must have"),
        (
            np.zeros(NUM_TRAIN, int),
            np.zeros(NUM_VAL),
            ArgumentTypeError,
            "train_losses must be float16, float32 or float64, got int64",
        ),
    ],
)
def test_bad_losses_change_nothing(train, val, error, message):
    online = scorer()
    with pytest.raises(error, match=message):
        online.update(train, val)
    assert online.scores().metadata["committed"] == 0
    online.update(np.zeros(NUM_TRAIN), np.zeros(NUM_VAL))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [0, -1]), ArgumentValueError, "val_labels must lie in"),
        (([0.5], [0]), ArgumentTypeError, "train_labels must be integers"),
        (([], [0]), ArgumentValueError, "num_train must be at least 1"),
    ],
)
def test_bad_labels(arguments, error, message):
    with pytest.raises(error, match=message):
        OnlineScorer(*arguments)


def test_a_stray_label_takes_no_memory():
    largest = 2**31 - 2
    for labels_of in (([0, largest], [0]), ([0], [largest])):
        with pytest.raises(
            ArgumentValueError, match=r"must lie in 0\.\.1048575 .* 'class-mean', got 2147483646"
        ):
            OnlineScorer(*labels_of)
    online = OnlineScorer([0, largest], [0], reference="mean")
    for value in (3.0, 1.0, 2.0, 5.0, 4.0):
        online.update(np.array([value, -value]), np.array([value]))
    np.testing.assert_allclose(online.scores().values, [1, -1], atol=1e-6)
    assert online.scores().labels.tolist() == [0, largest]


def test_bad_settings():
    with pytest.raises(ArgumentValueError, match="reference must be one of class-mean, mean"):
        scorer(reference="pairs")
    with pytest.raises(ArgumentValueError, match="signal must be one of"):
        scorer(signal="losses")


def other_labels():
    return OnlineScorer(labels(NUM_TRAIN, 5), labels(NUM_VAL, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_labels, "a scorer with labels"),
        (lambda: OnlineScorer([0, 1], [0]), "a scorer with num_train 2, got 150"),
        (lambda: scorer(signal="loss"), "a scorer with signal 'loss', got 'difference'"),
        (lambda: scorer(reference="mean"), "a scorer with reference 'mean', got 'class-mean'"),
    ],
)
def test_states_of_other_scorers_are_refused(make, message):
    train, val = recorded()
    online = scorer()
    online.update(train[0], val[0])
    with pytest.raises(ArgumentValueError, match=message):
        make().load_state_dict(online.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.words": None}, "must have the entry '0.words'"),
        ({"0.words": np.zeros((2, NUM_TRAIN))}, "must be float32, got float64"),
        ({"0.words": np.zeros((2, 9), np.float32)}, r"must have shape \(2, 150\), got \(2, 9\)"),
        ({"0.halves": np.zeros((1, NUM_TRAIN), np.uint16)}, r"must have shape \(4, 150\)"),
        ({"references.means": np.zeros(2)}, r"must have shape \(6,\), got \(2,\)"),
        ({"used": np.array([0, 0])}, "each checkpoint once"),
        ({"signal": None}, "must have the entry 'signal'"),
    ],
)
def test_broken_states_are_refused(change, message):
    online = scorer()
    state = {
        name: value for name, value in (online.state_dict() | change).items() if value is not None
    }
    before = online.scores().metadata
    with pytest.raises(ArgumentValueError, match=message):
        online.load_state_dict(state)
    assert online.scores().metadata == before
