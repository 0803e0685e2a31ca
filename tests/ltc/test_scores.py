import json
import os
import pickle
import warnings

import numpy as np
import pytest

from ltc.errors import ArgumentTypeError, ArgumentValueError, StoreError, StoreNotFoundError
from ltc.scores import Scores, StaleScoresWarning, load_scores
from ltc.store import open_store
from ltc.store.scores import write_scores
from ltc.store.writer import StoreWriter

VALUES = np.array([0.5, np.nan, 0.9, 0.5, -0.25], np.float32)
LABELS = np.array([1, 0, 3, 1, 1], np.int32)
METADATA = {
    "signal": "difference",
    "reference": "class-mean",
    "committed": 4,
    "checkpoints": [0.0, 1.0, 2.0, 3.5],
    "left_out": [],
    "modes": {"train": ["training"], "val": ["evaluation"]},
}


@pytest.fixture
def scores():
    return Scores(VALUES, LABELS, np.array(["a", "b,1", 'c"', "dé", "e"]), METADATA)


# The array of scores


def test_undefined_are_the_nans(scores):
    assert scores.undefined.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            (VALUES.astype(np.float64),),
            ArgumentTypeError,
            "values must be a NumPy array of float32",
        ),
        (([0.5],), ArgumentTypeError, "got list"),
        ((VALUES[None],), ArgumentValueError, r"values must .* got shape \(1, 5\)"),
        ((np.array([np.inf], np.float32),), ArgumentValueError, "values must be finite"),
        ((VALUES, LABELS[:3]), ArgumentValueError, r"labels .* shape \(5,\), got shape \(3,\)"),
        ((VALUES, LABELS.astype(np.int64)), ArgumentTypeError, "labels must .* got int64"),
        ((VALUES, LABELS - 1), ArgumentValueError, "labels must be at least 0, got -1"),
        ((VALUES, None, LABELS[:3]), ArgumentValueError, "ids must have one entry per sample"),
        ((np.float32(1),), ArgumentTypeError, "values must be a NumPy array"),
    ],
)
def test_arrays_are_checked(arguments, error, text):
    with pytest.raises(error, match=text):
        Scores(*arguments)


# Ranking


def test_ranking_by_class_has_ties_by_index_and_undefined_last():
    values = np.array([0.5, np.nan, 0.9, 0.5, np.nan, 0.1], np.float32)
    ranking = Scores(values, np.array([1, 1, 7, 1, 1, 7], np.int32)).ranking()
    assert {c: indices.tolist() for c, indices in ranking.items()} == {1: [0, 3, 1, 4], 7: [2, 5]}


def test_ranking_of_all(scores):
    assert scores.ranking(by=None).tolist() == [2, 0, 3, 4, 1]
    assert scores.ranking(by=None).dtype == np.int64


def test_ranking_by_class_of_many_classes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 70_000, 5000).astype(np.int32)  # more than a 16-bit sort can hold
    values = rng.integers(-3, 3, 5000).astype(np.float32)
    ranking = Scores(values, labels).ranking()
    assert list(ranking) == sorted(set(labels.tolist()))
    for c, indices in ranking.items():
        expected = sorted(np.flatnonzero(labels == c), key=lambda i: (-values[i], i))
        assert indices.tolist() == expected


def test_ranking_of_nothing():
    empty = Scores(VALUES[:0], LABELS[:0])
    assert empty.ranking() == {}
    assert empty.ranking(by=None).size == 0


@pytest.mark.parametrize(
    ("labels", "by", "text"),
    [(None, "class", "by must be None for scores without labels"), (LABELS, "id", "got 'id'")],
)
def test_ranking_checks_by(labels, by, text):
    with pytest.raises(ArgumentValueError, match=text):
        Scores(VALUES, labels).ranking(by=by)


# Files


@pytest.mark.parametrize(
    "ids", [None, np.array([7, -1, 3, 2**40, 0]), np.array(["a", "bb", "", "é", "e"])]
)
@pytest.mark.parametrize("labels", [None, LABELS])
def test_a_file_holds_everything(tmp_path, labels, ids):
    Scores(VALUES, labels, ids, METADATA).save(tmp_path / "scores.npz")
    found = load_scores(tmp_path / "scores.npz")
    assert found.values.tobytes() == VALUES.tobytes()
    assert found.metadata == METADATA
    for saved, loaded in ((labels, found.labels), (ids, found.ids)):
        if saved is None:
            assert loaded is None
        else:
            assert loaded.dtype == saved.dtype
            assert np.array_equal(loaded, saved)


def test_a_file_has_no_pickles_even_of_object_ids(tmp_path):
    ids = np.array(["a", "bb", "c", "d", "e"], dtype=object)
    Scores(VALUES, LABELS, ids).save(tmp_path / "scores.npz")
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as file:
        assert file["ids"].dtype == np.dtype("U2")
        assert json.loads(str(file["metadata"])) == {}


def test_saving_needs_the_suffix(scores, tmp_path):
    with pytest.raises(
        ArgumentValueError, match=r"path must end in .npz or .parquet, got .*scores.npy"
    ):
        scores.save(tmp_path / "scores.npy")
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_what_was_there(scores, tmp_path, monkeypatch):
    path = tmp_path / "scores.npz"
    scores.save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Scores(-VALUES).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut", [0, 10, 400])
def test_a_cut_file_is_named(scores, tmp_path, cut):
    path = tmp_path / "scores.npz"
    scores.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    message = r"path must be a file that Scores.save wrote, got '.*npz': it is no \.npz file"
    with pytest.raises(ArgumentValueError, match=message):
        load_scores(path)


def test_a_changed_file_is_named(scores, tmp_path):
    path = tmp_path / "scores.npz"
    scores.save(path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = load_scores(path)
        except ArgumentValueError as error:
            assert "path must be a file that Scores.save wrote" in str(error)  # noqa: PT017
            refused += 1
        else:  # a byte that says nothing, such as one of a date
            np.testing.assert_array_equal(found.values, scores.values)
    assert refused > len(whole) / 7 / 2


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"something": np.ones(3)}, "it has no array 'metadata'"),
        ({"metadata": np.array("{}")}, "it has no array 'values'"),
        ({"values": VALUES, "metadata": np.array("3")}, "its metadata are no JSON object"),
        ({"values": VALUES, "metadata": np.array("{")}, "it is damaged, or has arrays of Python"),
        (
            {"values": VALUES.astype(np.float64), "metadata": np.array("{}")},
            r"other\.npz': its values are float64, not float32",
        ),
        (
            {"values": VALUES, "labels": LABELS.astype(np.int64), "metadata": np.array("{}")},
            "its labels are int64, not int32",
        ),
        ({"values": np.array([None]), "metadata": np.array("{}")}, "has arrays of Python objects"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "other.npz", allow_pickle=True, **arrays)
    with pytest.raises(ArgumentValueError, match=reason):
        load_scores(tmp_path / "other.npz")


@pytest.mark.parametrize("content", [b"", b"text", np.ones(3).tobytes(), pickle.dumps([1, 2])])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ArgumentValueError, match=r"got '.*other.npz': it is no .npz file"):
        load_scores(path)
    np.save(path.with_suffix(".npy"), np.ones(3))
    path.with_suffix(".npy").rename(path)
    with pytest.raises(ArgumentValueError, match=r"it is no .npz file"):
        load_scores(path)
    with pytest.raises(FileNotFoundError):
        load_scores(tmp_path / "absent.npz")


def test_a_name_is_for_stores_only(scores, tmp_path):
    scores.save(tmp_path / "scores.npz")
    with pytest.raises(ArgumentValueError, match="name must be None for a file"):
        load_scores(tmp_path / "scores.npz", name="default")


# Stores


@pytest.fixture
def run(tmp_path):
    """A store of five training samples and four checkpoints, with scores made from these."""
    from ltc.store.arrays import write_store

    path = tmp_path / "run.zarr"
    train = np.arange(20, dtype=np.float32).reshape(4, 5)
    write_store(
        path,
        train,
        train[:, :2],
        train_labels=LABELS,
        val_labels=[0, 3],
        train_ids=[10, 11, 12, 13, 14],
        checkpoints=[0, 1, 2, 3.5],
    )
    write_scores(path, "mine", VALUES, METADATA)
    return path


def append(path):
    from ltc.store.writer import SplitRecord

    with_labels = {"train_labels": LABELS, "val_labels": np.array([0, 3])}
    writer = StoreWriter.resume(
        path, num_train=5, num_val=2, train_ids=np.arange(10, 15), **with_labels
    )
    try:
        records = [
            SplitRecord(np.ones(size, np.float16), size, 0, 0, 0, "training") for size in (5, 2)
        ]
        writer.append(4.0, *records)
    finally:
        writer.close()


def test_scores_of_a_store_have_its_labels_and_ids(run):
    for source in (run, str(run), open_store(run)):
        found = load_scores(source, name="mine")
        assert found.values.tobytes() == VALUES.tobytes()
        assert found.metadata == METADATA
        assert found.labels.tolist() == LABELS.tolist()
        assert found.ids.tolist() == [10, 11, 12, 13, 14]


def test_scores_by_other_groups_have_no_labels(run):
    write_scores(run, "grouped", VALUES, {**METADATA, "groups": "given"})
    assert load_scores(run, name="grouped").labels is None


def test_loading_from_a_store_needs_a_name(run):
    with pytest.raises(ArgumentValueError, match=r"name must be given .* which has 'mine'"):
        load_scores(run)
    with pytest.raises(ArgumentValueError, match="got 'yours'"):
        load_scores(run, name="yours")
    with pytest.raises(StoreNotFoundError):
        load_scores(run.parent / "absent.zarr", name="mine")


def test_stale_scores_warn(run):
    append(run)
    with pytest.warns(StaleScoresWarning, match="'mine' were made from 4 committed .* has 5"):
        load_scores(run, name="mine")


def test_scores_from_before_a_rewind_warn(run):
    write_scores(run, "old", VALUES, {**METADATA, "revision": "of another history"})
    with pytest.warns(StaleScoresWarning, match="'old' were made before the store was rewound"):
        load_scores(run, name="old")


def test_scores_of_all_checkpoints_do_not_warn(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_scores(run, name="mine")


def test_damaged_scores_of_a_store_are_an_error(run):
    [chunk] = [path for path in (run / "scores/mine/c").rglob("*") if path.is_file()]
    data = bytearray(chunk.read_bytes())
    data[3] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(StoreError):
        load_scores(run, name="mine")


# Summary


def test_summary_says_how_scores_were_made_and_how_they_are_spread(scores):
    text = scores.summary()
    for line in (
        "samples      5",
        "signal       difference",
        "reference    class-mean",
        "checkpoints  4: 0, 1, 2, 3.5",
        "train mode   training",
        "undefined    1 (20.0 %)",
        "       -0.250  -0.137  0.312   0.500  0.600  0.840    0.900  0.412",
        "0            1          1      -",
        "1            3          0  0.250",
        "3            1          0  0.900",
        "1 of 3 classes without any score",
    ):
        assert line in text.splitlines()


def test_summary_of_many_classes_shows_both_ends():
    values = np.linspace(-1, 1, 4000).astype(np.float32)
    text = Scores(values, (np.arange(4000) // 4).astype(np.int32)).summary()
    assert max(map(len, text.splitlines())) <= 80
    assert [line.split()[0] for line in text.splitlines()[-11:]] == [
        *("999", "998", "997", "996", "995", "..."),
        *("4", "3", "2", "1", "0"),
    ]


def test_summary_of_nothing_defined():
    for size in (0, 3):
        text = Scores(np.full(size, np.nan, np.float32), LABELS[:size]).summary()
        assert f"samples    {size}" in text
