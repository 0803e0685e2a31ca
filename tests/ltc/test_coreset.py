import csv
import os

import numpy as np
import pytest

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.scores import Scores
from ltc.selection.coreset import Coreset, load_indices
from ltc.tables import coreset_table

INDICES = np.array([1, 7, 20_000_000], np.int64)
SCORES = np.array([0.1, np.nan, -1 / 3], np.float32)
CORESET = Coreset(INDICES, np.array(["a", 'b,"1"', "é"]), np.array([0, 2, 1], np.int32), SCORES)
PLAIN = Coreset(INDICES, None, None, SCORES)


def test_selection_fills_every_field():
    values, labels = np.array([0.3, 0.9, 0.5], np.float32), np.array([4, 4, 2], np.int32)
    coreset = Scores(values, labels, np.array(["x", "y", "z"])).select(k=2)
    assert coreset.indices.tolist() == [1, 2]
    assert coreset.ids.tolist() == ["y", "z"]
    assert coreset.labels.tolist() == [4, 2]
    assert coreset.scores.tolist() == [np.float32(0.9), 0.5]
    assert len(coreset) == 2


def test_npy_holds_the_indices(tmp_path):
    CORESET.save(tmp_path / "coreset.npy")
    found = np.load(tmp_path / "coreset.npy", allow_pickle=False)
    assert found.dtype == np.int64
    assert found.tolist() == INDICES.tolist()


def test_txt_holds_an_index_per_line(tmp_path):
    CORESET.save(str(tmp_path / "coreset.txt"))
    assert (tmp_path / "coreset.txt").read_bytes() == b"1\n7\n20000000\n"


def test_csv_holds_everything(tmp_path):
    CORESET.save(tmp_path / "coreset.csv")
    with (tmp_path / "coreset.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["index", "id", "label", "score"]
    assert [row[:3] for row in rows[1:]] == [
        ["1", "a", "0"],
        ["7", 'b,"1"', "2"],
        ["20000000", "é", "1"],
    ]
    read_back = np.array([row[3] for row in rows[1:]], np.float32)
    assert read_back.tobytes() == SCORES.tobytes()


def test_csv_holds_any_id(tmp_path):
    ids = np.array(["a\rb", "a\nb", "\r\n", " a", "", 'a"', "a\x00b", "\u2028", "=1", "a,b"])
    size = ids.size
    indices, path = np.arange(size), tmp_path / "coreset.csv"
    Coreset(indices, ids, None, np.zeros(size, np.float32)).save(path)
    with path.open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ids.tolist()
    assert load_indices(path).tolist() == indices.tolist()


def test_csv_leaves_absent_ids_and_labels_empty(tmp_path):
    PLAIN.save(tmp_path / "coreset.csv")
    assert (tmp_path / "coreset.csv").read_text().splitlines()[:3] == [
        "index,id,label,score",
        "1,,,0.1",
        "7,,,nan",
    ]


def test_suffixes_in_capitals_are_the_same(tmp_path):
    PLAIN.save(tmp_path / "coreset.TXT")
    assert load_indices(tmp_path / "coreset.TXT").tolist() == INDICES.tolist()


@pytest.mark.parametrize("name", ["coreset", "coreset.json", "coreset.npz", ".npy"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(
        ArgumentValueError, match=r"path must end in .npy or .txt or .csv or .parquet, got"
    ):
        CORESET.save(tmp_path / name)
    with pytest.raises(
        ArgumentValueError, match=r"path must end in .npy or .txt or .csv or .parquet, got"
    ):
        load_indices(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_absent_directory_is_an_error(tmp_path):
    path = tmp_path / "absent" / "coreset.npy"
    with pytest.raises(FileNotFoundError) as caught:
        CORESET.save(path)
    assert caught.value.filename == str(path)  # not the file that would have been renamed


def test_a_directory_of_that_name_is_an_error(tmp_path):
    path = tmp_path / "coreset.npy"
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        CORESET.save(path)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["npy", "txt", "csv"])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch, suffix, step):
    path = tmp_path / f"coreset.{suffix}"
    path.write_text("what was there")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        CORESET.save(path)
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_a_saved_file_has_ordinary_permissions(tmp_path):
    (tmp_path / "other").write_text("")
    PLAIN.save(tmp_path / "coreset.npy")
    assert (tmp_path / "coreset.npy").stat().st_mode == (tmp_path / "other").stat().st_mode


# Reading indices


@pytest.mark.parametrize("suffix", ["npy", "txt", "csv"])
@pytest.mark.parametrize("coreset", [CORESET, PLAIN, Coreset(INDICES[:0], None, None, SCORES[:0])])
def test_indices_are_read_back(tmp_path, coreset, suffix):
    coreset.save(tmp_path / f"coreset.{suffix}")
    found = load_indices(tmp_path / f"coreset.{suffix}")
    assert found.dtype == np.int64
    assert found.tolist() == coreset.indices.tolist()


@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_indices_are_read_back_from_a_file_that_a_spreadsheet_saved(tmp_path, suffix):
    path = tmp_path / f"coreset.{suffix}"
    CORESET.save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_indices(path).tolist() == INDICES.tolist()


def test_text_by_hand_is_read(tmp_path):
    (tmp_path / "few.txt").write_bytes(b"3\r\n\r\n 12 \n5")
    assert load_indices(tmp_path / "few.txt").tolist() == [3, 12, 5]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("few.txt", b"3\n4.0\n", "line 2 must be an index, got '4.0'"),
        ("few.txt", b"-3\n", "line 1 must be an index, got '-3'"),
        ("few.txt", b"1_000\n", "line 1 must be an index"),
        ("few.txt", b"9" * 30, "line 1 must be an index"),
        ("few.txt", b"\xff\xfe", "must be a text file in UTF-8"),
        ("few.csv", b"id,score\na,1\n", "must have a column 'index', got"),
        ("few.csv", b"", "must have a column 'index', got None"),
        ("few.csv", b"id,index\na\n", "line 2 must be an index, got ''"),
        ("few.npy", b"nothing", "must be a NumPy array file"),
        ("few.npy", b"", "must be a NumPy array file"),
    ],
)
def test_other_contents_are_refused(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArgumentValueError, match=text):
        load_indices(tmp_path / name)


def test_other_arrays_are_refused(tmp_path):
    path = tmp_path / "few.npy"
    np.save(path, np.array([1.0]))
    with pytest.raises(ArgumentTypeError, match="must hold integer indices, got float64"):
        load_indices(path)
    np.save(path, np.array([[1]]))
    with pytest.raises(ArgumentValueError, match=r"one-dimensional, got shape \(1, 1\)"):
        load_indices(path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(ArgumentValueError, match="must be a NumPy array file"):
        load_indices(path)


# The table


def test_table_of_a_coreset():
    values = np.array([0.5, 0.25, np.nan, 1.0], np.float32)
    scores = Scores(values, np.array([0, 0, 1, 1], np.int32))
    lines = coreset_table(scores.select(k=2), scores).splitlines()
    assert lines == [
        "coreset    2 (50.0 %) of 4 samples",
        "undefined  0, of 1 in the run",
        "classes    2, 1 to 1 samples from each",
        "",
        "score    lowest    5 %   25 %  median   75 %   95 %  highest   mean",
        "coreset   0.500  0.525  0.625   0.750  0.875  0.975    1.000  0.750",
        "all       0.250  0.275  0.375   0.500  0.750  0.950    1.000  0.583",
    ]


def test_table_of_an_empty_coreset():
    scores = Scores(np.array([0.5], np.float32))
    assert coreset_table(scores.select(k=0, balance=None), scores).startswith(
        "coreset    0 (0.0 %)"
    )
