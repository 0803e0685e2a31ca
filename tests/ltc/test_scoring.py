"""`ltc.score` on stores, against the definition and against the published procedure."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from score_cases import BAD_ARGUMENTS, NUM_CLASSES, make, scattered_gaps

import ltc
from assertions import assert_scores_close
from kernels import cases
from ltc import score_pass
from ltc.errors import (
    ArgumentValueError,
)
from ltc_kernels import reference


def expected_scores(x, y, labels, val_labels, *, signal, kind):
    """The definition, sample by sample, in float64."""
    y64 = y.astype(np.float64)
    scores = np.full(x.shape[1], np.nan)
    for i, label in enumerate(labels):
        chosen = val_labels == label if kind.startswith("class") else np.ones(len(val_labels), bool)
        if kind.endswith("pairs"):
            found = [
                reference.pearson(x[:, i], y[:, m], signal=signal) for m in np.flatnonzero(chosen)
            ]
            defined = np.array(found)[~np.isnan(found)] if found else np.array([])
            scores[i] = defined.mean() if len(defined) else np.nan
            continue
        observed = np.isfinite(y64[:, chosen])
        total = np.where(observed, y64[:, chosen], 0).sum(axis=1)
        count = observed.sum(axis=1)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        scores[i] = reference.pearson(x[:, i], mean, signal=signal)
    return scores


@pytest.mark.parametrize("change", [None, scattered_gaps], ids=["complete", "gaps"])
@pytest.mark.parametrize("kind", ["class-mean", "mean", "class-pairs", "pairs"])
@pytest.mark.parametrize("signal", ["difference", "loss"])
def test_references_and_signals(tmp_path, signal, kind, change):
    store, x, y, labels, val_labels = make(tmp_path / "run.zarr", change=change)
    scores = ltc.score(store, signal=signal, reference=kind)
    expected = expected_scores(x, y, labels, val_labels, signal=signal, kind=kind)
    assert_scores_close(scores.values, expected)
    np.testing.assert_array_equal(scores.labels, labels)
    assert scores.metadata["missing"] == {
        "train": int(np.isnan(x).sum()),
        "val": int(np.isnan(y).sum()),
    }


def test_the_published_procedure(tmp_path):
    """Per class: mean validation loss per checkpoint, differences, Pearson with each sample's."""
    store, x, y, labels, val_labels = make(tmp_path / "run.zarr", checkpoints=30, train=500)
    scores = ltc.score(store)
    for label in range(NUM_CLASSES):
        val_loss = np.mean(y[:, val_labels == label].astype(np.float64), axis=1)
        val_change = val_loss[1:] - val_loss[:-1]
        members = np.flatnonzero(labels == label)
        published = []
        for i in members:
            loss = x[:, i].astype(np.float64)
            published.append(np.corrcoef(loss[1:] - loss[:-1], val_change)[0, 1])
        assert_scores_close(scores.values[members], published)
        assert np.unique(published).size == len(members)
        best_first = members[np.argsort(-np.array(published), kind="stable")]
        np.testing.assert_array_equal(scores.ranking()[label], best_first)


@pytest.mark.parametrize(
    "checkpoints",
    [slice(None, 6), slice(None, None, 3), [0, 1, 2, 3], [1, 4, 5, 9, 11], slice(3, 99)],
)
def test_checkpoints_are_selected_before_differences(tmp_path, checkpoints):
    store, x, y, labels, val_labels = make(tmp_path / "run.zarr")
    scores = ltc.score(store, checkpoints=checkpoints)
    expected = expected_scores(
        x[checkpoints], y[checkpoints], labels, val_labels, signal="difference", kind="class-mean"
    )
    assert_scores_close(scores.values, expected)
    chosen = np.arange(12.0)[checkpoints]
    assert scores.metadata["checkpoints"] == chosen.tolist()


def test_a_checkpoint_that_one_split_lacks_is_left_out(tmp_path):
    def change(x, y):
        x[4] = np.nan
        y[7] = np.nan

    store, x, y, labels, val_labels = make(tmp_path / "run.zarr", change=change)
    kept = [t for t in range(12) if t not in (4, 7)]
    scores = ltc.score(store)
    expected = expected_scores(
        x[kept], y[kept], labels, val_labels, signal="difference", kind="class-mean"
    )
    assert_scores_close(scores.values, expected)
    assert scores.metadata["left_out"] == [4.0, 7.0]
    assert not scores.undefined.any()


def test_groups_take_the_place_of_labels(tmp_path):
    store, x, y, *_ = make(tmp_path / "run.zarr")
    groups = np.arange(300) % 3, np.arange(60) % 3
    scores = ltc.score(store, groups=groups)
    expected = expected_scores(x, y, *groups, signal="difference", kind="class-mean")
    assert_scores_close(scores.values, expected)
    np.testing.assert_array_equal(scores.labels, groups[0])


def test_a_store_without_labels(tmp_path):
    x, y = cases.trajectories(8, 20), cases.trajectories(8, 10, seed=4)
    ltc.write_store(tmp_path / "run.zarr", x, y)
    for kind in ("mean", "pairs"):
        scores = ltc.score(tmp_path / "run.zarr", reference=kind)
        zeros = np.zeros(20, int), np.zeros(10, int)
        assert_scores_close(
            scores.values, expected_scores(x, y, *zeros, signal="difference", kind=kind)
        )
        assert scores.labels is None
    with pytest.raises(ArgumentValueError, match="reference 'class-mean' needs labels or groups="):
        ltc.score(tmp_path / "run.zarr")
    groups = np.zeros(20, int), np.zeros(10, int)
    assert not ltc.score(tmp_path / "run.zarr", groups=groups).undefined.any()


def test_a_class_without_validation_samples_is_undefined(tmp_path):
    x, y = cases.trajectories(8, 20), cases.trajectories(8, 10, seed=4)
    labels = np.arange(20) % 4
    ltc.write_store(tmp_path / "run.zarr", x, y, train_labels=labels, val_labels=np.arange(10) % 3)
    for kind in ("class-mean", "class-pairs"):
        scores = ltc.score(tmp_path / "run.zarr", reference=kind)
        np.testing.assert_array_equal(scores.undefined, labels == 3)
        assert scores.metadata["undefined"] == 5
        assert (scores.ranking(by=None)[-5:] == np.flatnonzero(labels == 3)).all()


@pytest.mark.parametrize("kind", ["class-mean", "class-pairs", "pairs"])
def test_neither_tiles_nor_memory_show_in_the_scores(tmp_path, kind, monkeypatch):
    store, *_ = make(tmp_path / "run.zarr", train=5000, val=900, change=scattered_gaps)
    whole = ltc.score(store, reference=kind)
    monkeypatch.setattr(score_pass, "WORKSPACE", 0)
    tiny = ltc.score(store, reference=kind, memory_limit="600kB")
    if kind == "class-mean":
        np.testing.assert_array_equal(whole.values, tiny.values)
    else:  # sums over tiles of validation samples are added in another order
        assert_scores_close(tiny.values, whole.values, backend="cpu")


def test_a_memory_limit_that_is_too_small_says_so(tmp_path):
    make(tmp_path / "run.zarr", train=5000)
    with pytest.raises(ArgumentValueError, match=r"memory_limit must hold .* MB more than it does"):
        ltc.score(tmp_path / "run.zarr", memory_limit="1MB")


def test_a_stray_label_is_refused_before_memory_is_taken(tmp_path):
    x, y = cases.trajectories(8, 20), cases.trajectories(8, 10)
    labels = np.r_[np.zeros(19, int), 2**31 - 3]
    ltc.write_store(tmp_path / "r.zarr", x, y, train_labels=labels, val_labels=np.zeros(10, int))
    for kind in ("class-mean", "class-pairs"):
        with pytest.raises(ArgumentValueError, match=r"memory_limit must .* \d{6}\.\d MB more"):
            ltc.score(tmp_path / "r.zarr", reference=kind)
    assert not ltc.score(tmp_path / "r.zarr", reference="mean").undefined.any()


def test_a_lost_chunk_is_missing_data(tmp_path):
    _store, x, y, labels, val_labels = make(tmp_path / "run.zarr")
    (tmp_path / "run.zarr/train/losses/c/3/0").unlink()
    with pytest.warns(UserWarning, match="300 losses of train that were recorded are lost"):
        scores = ltc.score(tmp_path / "run.zarr")
    x[3] = np.nan
    expected = expected_scores(x, y, labels, val_labels, signal="difference", kind="class-mean")
    assert_scores_close(scores.values, expected)
    assert scores.metadata["missing"]["train"] == 300


def test_scores_are_saved_where_asked_for_only(tmp_path):
    path = tmp_path / "run.zarr"
    make(path)
    before = sorted(path.rglob("*"))
    ltc.score(path)
    assert sorted(path.rglob("*")) == before
    scores = ltc.score(path, save="first")
    loaded = ltc.load_scores(path, name="first")
    np.testing.assert_array_equal(loaded.values, scores.values)
    assert loaded.metadata["reference"] == "class-mean"
    json.dumps(scores.metadata)


def test_scores_with_groups_are_loaded_with_no_class_labels(tmp_path):
    make(tmp_path / "run.zarr")
    groups = np.arange(300) % 3, np.arange(60) % 3
    ltc.score(tmp_path / "run.zarr", groups=groups, save="three")
    assert ltc.load_scores(tmp_path / "run.zarr", name="three").labels is None


def test_one_sample_and_two(tmp_path):
    for train in (1, 2):
        path = tmp_path / f"{train}.zarr"
        _store, x, y, labels, val_labels = make(path, train=train)
        expected = expected_scores(x, y, labels, val_labels, signal="difference", kind="class-mean")
        assert_scores_close(ltc.score(path).values, expected)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    BAD_ARGUMENTS,
)
def test_bad_arguments(tmp_path, options, error, message):
    make(tmp_path / "run.zarr")
    with pytest.raises(error, match=message):
        ltc.score(tmp_path / "run.zarr", **options)


def test_threads_can_score_at_the_same_time(tmp_path):
    make(tmp_path / "run.zarr", train=5000)
    expected = ltc.score(tmp_path / "run.zarr").values
    found = [None] * 4

    def work(k):
        found[k] = ltc.score(tmp_path / "run.zarr").values

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for values in found:
        np.testing.assert_array_equal(values, expected)


def test_a_child_process_can_score_after_its_parent_did(tmp_path):
    """A pool of threads doesn't survive a fork; loaders fork."""
    make(tmp_path / "run.zarr", train=20_000)
    code = """
import os, sys
import numpy as np
from ltc_kernels import group_correlation
losses = np.random.default_rng(0).random((5, 300_000), dtype=np.float32)
arguments = losses, np.random.default_rng(1).random((1, 5)), np.zeros(300_000, int)
first = group_correlation(*arguments, signal="loss")
child = os.fork()
if child == 0:
    again = group_correlation(*arguments, signal="loss")
    os._exit(0 if np.array_equal(first, again) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_progress_is_shown_when_asked_for(tmp_path, capsys):
    make(tmp_path / "run.zarr")
    ltc.score(tmp_path / "run.zarr")
    assert capsys.readouterr().err == ""
    ltc.score(tmp_path / "run.zarr", progress=True)
    assert "300/300" in capsys.readouterr().err
