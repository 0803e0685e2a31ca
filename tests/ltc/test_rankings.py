"""Rankings by class, in the form of the papers' scripts."""

import pickle
import pickletools

import numpy as np
import pytest

import ltc
from ltc.cli import main
from ltc.errors import ArgumentValueError
from ltc.rankings import class_rankings, write_rankings

T, N, M = 8, 60, 12
RANDOM = np.random.default_rng(0)
TRAIN, VAL = RANDOM.random((T, N)), RANDOM.random((T, M))
# Class 2 has no validation samples, class 4 no training samples.
TRAIN_LABELS = RANDOM.choice([0, 1, 2, 3], N)
VAL_LABELS = np.repeat([0, 1, 3, 4], 3)
IDS = RANDOM.permutation(1000)[:N]


def write_run(path, **options):
    labels = {"train_labels": TRAIN_LABELS, "val_labels": VAL_LABELS, **options}
    ltc.write_store(path, TRAIN, VAL, **labels)
    return str(path)


def naive_rankings(ids):
    """Correlations of differences with the class mean, sorted, in NumPy's own words."""
    train, val = TRAIN.astype(np.float16).astype(float), VAL.astype(np.float16).astype(float)
    rankings = {}
    for label in range(5):
        samples, queries = (np.flatnonzero(y == label) for y in (TRAIN_LABELS, VAL_LABELS))
        rankings[str(label)] = np.empty(0, np.int64)
        if samples.size and queries.size:
            reference = np.diff(val[:, queries].mean(axis=1))
            r = [np.corrcoef(np.diff(train[:, k]), reference)[0, 1] for k in samples]
            rankings[str(label)] = ids[samples[np.argsort(-np.array(r), kind="stable")]]
    return rankings


def load(path):
    return pickle.loads(path.read_bytes())


def assert_same(found, expected):
    assert list(found) == list(expected)
    for label, samples in expected.items():
        assert found[label].dtype == np.int64
        np.testing.assert_array_equal(found[label], samples)


def test_it_is_what_the_script_writes_by_id(tmp_path, capsys):
    run = write_run(tmp_path / "run.zarr", train_ids=IDS)
    path = tmp_path / "ranking.pkl"
    assert main(["ranking", run, "--pickle", str(path)]) == 0
    out, err = capsys.readouterr()
    ranked = np.count_nonzero(TRAIN_LABELS != 2)
    assert out == f"{ranked} samples of 5 classes, by their ids of the run\n\nwritten to {path}\n"
    assert err == ""
    assert_same(load(path), naive_rankings(IDS))


@pytest.mark.parametrize("ids", [None, [f"image{k}" for k in range(N)], "--positions"])
def test_without_ids_that_are_integers_samples_are_told_by_position(tmp_path, capsys, ids):
    options = ["--positions"] if ids == "--positions" else []
    run = write_run(tmp_path / "run.zarr", train_ids=IDS if options else ids)
    path = tmp_path / "ranking.pickle"
    assert main(["ranking", run, "--pickle", str(path), *options]) == 0
    assert "by their positions in the training split" in capsys.readouterr().out
    assert_same(load(path), naive_rankings(np.arange(N)))


def test_scores_that_are_kept_are_used(tmp_path):
    run = write_run(tmp_path / "run.zarr")
    path = tmp_path / "ranking.pkl"
    ltc.score(run, signal="loss", save="loss")
    main(["ranking", run, "--pickle", str(path), "--scores", "loss"])
    expected = ltc.load_scores(run, "loss").ranking()
    np.testing.assert_array_equal(load(path)["1"], expected[1])
    assert load(path)["1"].tolist() != naive_rankings(np.arange(N))["1"].tolist()


def test_undefined_scores_come_last():
    scores = ltc.Scores(np.array([np.nan, 0.5, 0.7], np.float32), np.zeros(3, np.int32))
    found = class_rankings(scores, np.zeros(1, np.int32), by_id=False)
    assert found["0"].tolist() == [2, 1, 0]


def test_older_numpys_read_it(tmp_path):
    """They know `numpy.core.multiarray` only, and newer ones read it without a warning."""
    rankings = {"0": np.array([3, 1, 2]), "1": np.empty(0, np.int64), "2": np.arange(300)}
    write_rankings(tmp_path / "ranking.pkl", rankings)
    data = (tmp_path / "ranking.pkl").read_bytes()
    named = [argument for code, argument, _ in pickletools.genops(data) if code.name == "GLOBAL"]
    assert named == [
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    ]
    assert_same(load(tmp_path / "ranking.pkl"), rankings)


def test_errors(tmp_path, capsys):
    run = write_run(tmp_path / "run.zarr", train_ids=IDS)
    ltc.write_store(tmp_path / "bare.zarr", TRAIN, VAL)
    for arguments, text in (
        ([run], "Missing option '--pickle'"),
        ([run, "--pickle", "r.npz"], "path must end in .pickle or .pkl, got 'r.npz'"),
        ([run, "--pickle", "absent/r.pkl"], "must lie in a directory that exists"),
        (["absent.zarr", "--pickle", "r.pkl"], "absent.zarr: there is no such store"),
        ([str(tmp_path / "bare.zarr"), "--pickle", "r.pkl"], "must have labels to be ranked by"),
        ([run, "--pickle", "r.pkl", "--scores", "no"], "got 'no'"),
    ):
        assert main(["ranking", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert text in err
    scores = ltc.score(write_run(tmp_path / "named.zarr", train_ids=["a"] * N))
    with pytest.raises(ArgumentValueError, match=r"ids must be integers .*, got ids of <U1"):
        class_rankings(scores, VAL_LABELS, by_id=True)
