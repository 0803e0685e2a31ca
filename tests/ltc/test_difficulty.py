"""`ltc.difficulty` on stores: against loops over plain numbers, and what it refuses."""

import math

import naive_difficulty
import numpy as np
import pytest
from difficulty_cases import CLASSES, make, negative_losses, scattered_gaps
from tqdm.auto import tqdm

import ltc
from assertions import assert_scores_close
from ltc import tiles
from ltc.cli import main
from ltc.difficulty_pass import finish, score_samples
from ltc.difficulty_plan import KINDS, certain_bounds, plan_difficulty
from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError, StoreCorruptError
from ltc.selection.ranking import best_first


def expected(kind, losses, window=10, classes=CLASSES):
    bounds = certain_bounds(classes)
    return [naive_difficulty.score(kind, x, window=window, bounds=bounds) for x in losses.T]


@pytest.mark.parametrize("change", [None, scattered_gaps], ids=["complete", "gaps"])
def test_all_kinds_in_one_pass(tmp_path, change):
    store, losses = make(tmp_path / "run.zarr", train=40, change=change)
    found = ltc.difficulty(store, KINDS)
    assert list(found) == list(KINDS)
    for kind, scores in found.items():
        wanted = np.array(expected(kind, losses))
        scale = np.fmax(1, np.abs(wanted))
        assert_scores_close(scores.values / scale, wanted / scale, what=kind)
        alone = ltc.difficulty(store, kind)
        np.testing.assert_array_equal(alone.values, scores.values, err_msg=kind)
        assert alone.metadata == scores.metadata
        assert scores.metadata["missing"] == {"train": int(np.isnan(losses).sum())}
        assert scores.metadata["undefined"] == int(np.isnan(wanted).sum())
        np.testing.assert_array_equal(scores.labels, store.labels("train"))


def test_undefined_scores_rank_last_and_high_ones_first(tmp_path):
    store, _ = make(tmp_path / "run.zarr", change=scattered_gaps)
    scores = ltc.difficulty(store, "mean-loss")
    assert scores.undefined.tolist() == [i == 5 for i in range(300)]
    order = scores.ranking(by=None)
    assert order[-1] == 5
    assert order[0] == np.nanargmax(scores.values)
    chosen = scores.select(k=10, balance=None)
    np.testing.assert_array_equal(np.sort(best_first(scores.values)[:10]), chosen.indices)


def test_selected_checkpoints_and_a_window(tmp_path):
    store, losses = make(tmp_path / "run.zarr")
    for checkpoints in (slice(1, None), [0, 2, 3, 7, 11]):
        found = ltc.difficulty(store, ["dual", "variability"], checkpoints=checkpoints, window=3)
        rows = losses[checkpoints]
        for kind, scores in found.items():
            assert_scores_close(scores.values, expected(kind, rows, window=3), what=kind)
    assert found["dual"].metadata["window"] == 3
    assert "window" not in found["variability"].metadata
    assert found["dual"].metadata["checkpoints"] == [0, 2, 3, 7, 11]


def test_checkpoints_without_training_losses_are_left_out(tmp_path):
    def forget_two(x):
        x[[3, 7]] = np.nan

    store, losses = make(tmp_path / "run.zarr", change=forget_two)
    scores = ltc.difficulty(store, "dyn-unc", window=4)
    assert scores.metadata["left_out"] == [3, 7]
    assert scores.metadata["missing"] == {"train": 0}
    rest = np.delete(losses, [3, 7], axis=0)
    assert_scores_close(scores.values, expected("dyn-unc", rest, window=4))


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_bits_do_not_depend_on_tiles(tmp_path, monkeypatch, compression):
    def gaps(x):
        x[2, ::11] = np.nan

    store, losses = make(
        tmp_path / "run.zarr", checkpoints=20, train=9000, change=gaps, compression=compression
    )
    whole = ltc.difficulty(store, KINDS)
    monkeypatch.setattr(tiles, "SMALLEST_SHARED", 1024)
    for limit in ("34MB", "35MB", "60MB"):
        found = ltc.difficulty(store, KINDS, memory_limit=limit)
        for kind in KINDS:
            np.testing.assert_array_equal(found[kind].values, whole[kind].values)
    # As another process does that has a range of samples only.
    plan = plan_difficulty(store, KINDS, None, 10, None, None, 10**8)
    parts = [plan.score(losses[:, begin : begin + 3001]) for begin in range(0, 9000, 3001)]
    found = finish(plan, np.concatenate(parts, axis=1), int(np.isnan(losses).sum()))
    for kind in KINDS:
        np.testing.assert_array_equal(found[kind].values, whole[kind].values)
        assert found[kind].metadata == whole[kind].metadata
    with tqdm(disable=True) as bar:
        values, missing = score_samples(plan, bar, slice(0, 9000), alone=True)
    np.testing.assert_array_equal(values, np.concatenate(parts, axis=1))
    assert missing == np.isnan(losses).sum()


def test_memory_that_holds_no_tile(tmp_path):
    store, _ = make(tmp_path / "run.zarr")
    with pytest.raises(ArgumentValueError, match="memory_limit must hold"):
        ltc.difficulty(store, "mean-loss", memory_limit="1MB")


def test_scores_are_kept_in_the_store(tmp_path):
    path = tmp_path / "run.zarr"
    make(path)
    scores = ltc.difficulty(path, "confidence", save="easy")
    both = ltc.difficulty(path, ["dual", "mean-loss"], save="d")
    assert ltc.open_store(path).score_names() == ["d-dual", "d-mean-loss", "easy"]
    kept = ltc.load_scores(path, "easy")
    np.testing.assert_array_equal(kept.values, scores.values)
    assert kept.metadata == scores.metadata
    kept = ltc.load_scores(path, "d-mean-loss")
    np.testing.assert_array_equal(kept.values, both["mean-loss"].values)


def test_losses_that_are_not_known_to_be_cross_entropy(tmp_path):
    store, losses = make(tmp_path / "run.zarr", loss=None)
    for kind in KINDS[:3]:
        assert not ltc.difficulty(store, kind).undefined.any()
    for kind in KINDS[3:]:
        with pytest.raises(
            ArgumentValueError,
            match=f"kind '{kind}' needs hard-label cross-entropy.* at 12 of 12 checkpoints, .*"
            "doesn't know.* pass loss='cross-entropy', or --loss cross-entropy",
        ):
            ltc.difficulty(store, ["mean-loss", kind])
        scores = ltc.difficulty(store, kind, loss="cross-entropy")
        assert scores.metadata["loss"] == "cross-entropy, claimed"
    assert_scores_close(scores.values, expected(kind, losses))


def test_losses_that_were_given_to_a_recorder(tmp_path):
    path = tmp_path / "run.zarr"
    with ltc.Recorder(path, num_train=3, num_val=1) as recorder:
        for epoch in range(4):
            if epoch == 2:
                recorder.update("train", [0, 1, 2], losses=np.ones(3))
            else:
                logits, targets = np.zeros((3, 5), np.float32), np.zeros(3, int)
                recorder.update("train", [0, 1, 2], logits=logits, targets=targets)
            recorder.update("val", [0], losses=np.ones(1))
            recorder.commit(epoch)
    with pytest.raises(ArgumentValueError, match=r"at 1 of 4 checkpoints, were given to it"):
        ltc.difficulty(path, "confidence")
    scores = ltc.difficulty(path, "confidence", checkpoints=[0, 1, 3])
    np.testing.assert_allclose(scores.values, 1 / 5, atol=2e-4)  # ln 5 as float16
    assert scores.metadata["loss"] == "cross-entropy"


def test_negative_losses(tmp_path):
    store, _ = make(tmp_path / "run.zarr", change=negative_losses)
    assert ltc.difficulty(store, "final-loss").values.shape == (300,)
    with pytest.raises(
        ArgumentValueError,
        match=r"kind 'variability' needs losses of at least 0.* got -0.5 at sample 7 \(2 samples",
    ):
        ltc.difficulty(store, ["mean-loss", "variability"])


def test_a_changed_chunk_is_told_of_before_negative_losses(tmp_path):
    path = tmp_path / "run.zarr"
    make(path)
    chunk = path / "train" / "losses" / "c" / "3" / "0"
    data = bytearray(chunk.read_bytes())
    data[1] |= 0x80  # the sign of the first loss
    chunk.write_bytes(data)
    with pytest.raises(StoreCorruptError, match="train/losses"):
        ltc.difficulty(path, "confidence")


def test_forgetting_needs_the_number_of_classes(tmp_path):
    store, losses = make(tmp_path / "run.zarr", train_labels=None, val_labels=None)
    with pytest.raises(ArgumentValueError, match="classes must be given for forgetting"):
        ltc.difficulty(store, "forgetting-most")
    scores = ltc.difficulty(store, "forgetting-most", classes=3)
    assert scores.labels is None
    np.testing.assert_array_equal(scores.values, expected("forgetting-most", losses, classes=3))
    assert scores.metadata["classes"] == 3
    for wrong, error in ((1, ArgumentValueError), (2.5, ArgumentTypeError)):
        with pytest.raises(error, match="classes must be"):
            ltc.difficulty(store, "forgetting-most", classes=wrong)


@pytest.mark.parametrize("classes", [2, 3, 7, 10, 100, 1000, 21843])
def test_bounds_hold_for_every_loss_that_is_rounded_to_a_stored_one(classes):
    right, wrong = certain_bounds(classes)
    exact = np.concatenate(
        [border + np.linspace(-0.02, 0.02, 20_001) for border in (math.log(2), math.log(classes))]
    )
    stored = exact.astype(np.float16)
    assert (exact[stored < right] < math.log(2)).all()
    assert (exact[stored > wrong] > math.log(classes)).all()
    # And they give away no more than one float16.
    assert (stored[exact < math.log(2) - 1e-3] < right).all()
    assert (stored[exact > math.log(classes) + 0.01] > wrong).all()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"kind": "el2n"}, ArgumentValueError, "kind must be of cumulative-loss, .*'el2n'"),
        ({"kind": "least-loss"}, ArgumentValueError, "'least-loss'"),
        ({"kind": []}, ArgumentValueError, "kind must name at least one"),
        ({"kind": None}, ArgumentTypeError, "kind must be a string or a list"),
        ({"kind": "dual", "window": 1}, ArgumentValueError, "window must be at least 2, got 1"),
        (
            {"kind": "dual", "window": 13},
            ArgumentValueError,
            "at least 13 for kind 'dual' with window=13, got 12 of 12 committed",
        ),
        (
            {"kind": "variability", "checkpoints": [3]},
            ArgumentValueError,
            "at least 2 for kind 'variability', got 1 of 12",
        ),
        ({"kind": "mean-loss", "checkpoints": []}, ArgumentValueError, "at least one"),
        ({"kind": "mean-loss", "checkpoints": [12]}, ArgumentIndexError, "checkpoints"),
        ({"kind": "dual", "loss": "mse"}, ArgumentValueError, "loss must be 'cross-entropy'"),
    ],
)
def test_arguments(tmp_path, arguments, error, text):
    store, _ = make(tmp_path / "run.zarr")
    with pytest.raises(error, match=text):
        ltc.difficulty(store, **arguments)


def test_lost_losses_are_told_of(tmp_path):
    path = tmp_path / "run.zarr"
    make(path)
    (path / "train" / "losses" / "c" / "2" / "0").unlink()
    with pytest.warns(UserWarning, match="300 losses of train that were recorded are lost"):
        scores = ltc.difficulty(path, "mean-loss")
    assert scores.metadata["lost"] == {"train": 300}


def run_command(capsys, *arguments):
    status = main(["difficulty", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_command_line(tmp_path, capsys):
    path, file = tmp_path / "run.zarr", tmp_path / "dual.npz"
    make(path, loss=None)
    status, out, err = run_command(capsys, path, "--kind", "dual")
    assert (status, out) == (2, "")
    assert err.startswith("ltc: kind 'dual' needs hard-label cross-entropy")
    assert err.count("\n") == 1
    options = ["--window", "4", "--checkpoints", "1:", "--loss", "cross-entropy"]
    arguments = [path, "--kind", "dual", *options, "--save", "dual", "-o", file]
    status, out, _ = run_command(capsys, *arguments)
    assert status == 0
    facts = [line.split(maxsplit=1) for line in out.splitlines() if line]
    for fact in (["kind", "dual"], ["window", "4"], ["checkpoints", "11: 1, 2, 3, ..., 11"]):
        assert fact in facts
    assert f"kept in {path} as 'dual'" in out
    assert f"written to {file}" in out
    scores = ltc.difficulty(
        path, "dual", window=4, checkpoints=slice(1, None), loss="cross-entropy"
    )
    for kept in (ltc.load_scores(path, "dual"), ltc.load_scores(file)):
        np.testing.assert_array_equal(kept.values, scores.values)
