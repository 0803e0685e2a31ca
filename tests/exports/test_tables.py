"""Tables of scores and coresets in pandas and Arrow, and their files."""

import json
import subprocess
import sys

import numpy as np
import pytest

import ltc
from ltc.cli import main
from ltc.errors import ArgumentTypeError, ArgumentValueError, MissingExtraError
from ltc.selection.coreset import load_indices

VALUES = np.array([0.25, np.nan, -1 / 3, 0.9], np.float32)
LABELS = np.array([1, 0, 1, 0], np.int32)
NAMES = np.array(["a", 'b,"1"', "é", "d"])
IDS = {
    "integers": np.array([7, 2**60, 9, 10]),
    "strings": NAMES,
    "strings of the store": NAMES.astype(np.dtypes.StringDType()),
    "none": None,
}


@pytest.fixture(params=IDS)
def ids(request):
    return IDS[request.param]


@pytest.fixture
def scores(ids):
    return ltc.Scores(VALUES, LABELS, ids, {"signal": "loss", "checkpoints": [1.0, 2.0]})


def columns(ids):
    return ["index", "label", "score"] if ids is None else ["index", "id", "label", "score"]


def test_pandas_has_every_column(scores, ids):
    pandas = pytest.importorskip("pandas")
    table = scores.to_pandas()
    assert list(table.columns) == columns(ids)
    assert table["index"].tolist() == [0, 1, 2, 3]
    assert table["index"].dtype == np.int64
    assert table["label"].dtype == np.int32
    assert table["score"].dtype == np.float32
    np.testing.assert_array_equal(table["score"].to_numpy(), VALUES)
    if ids is not None:
        assert table["id"].tolist() == ids.tolist()
        assert (table["id"].dtype == np.int64) == (ids.dtype == np.int64)
    assert pandas.isna(table["score"]).tolist() == [False, True, False, False]
    assert table.sort_values("score", ascending=False)["index"].tolist() == [3, 0, 2, 1]


def test_a_coreset_in_pandas(scores, ids):
    pytest.importorskip("pandas")
    table = scores.select(k=2).to_pandas()
    assert list(table.columns) == columns(ids)
    assert table["index"].tolist() == [0, 3]
    assert table["label"].tolist() == [1, 0]
    assert table["score"].tolist() == VALUES[[0, 3]].tolist()
    if ids is not None:
        assert table["id"].tolist() == ids[[0, 3]].tolist()


def test_without_labels_there_is_no_such_column():
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    scores = ltc.Scores(VALUES)
    assert list(scores.to_pandas().columns) == ["index", "score"]
    assert scores.select(k=1, balance=None).to_arrow().column_names == ["index", "score"]


def test_arrow_has_types_nulls_and_metadata(scores, ids):
    arrow = pytest.importorskip("pyarrow")
    table = scores.to_arrow()
    assert table.column_names == columns(ids)
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    assert (types["index"], types["label"], types["score"]) == (
        arrow.int64(),
        arrow.int32(),
        arrow.float32(),
    )
    assert table["score"].to_pylist() == [VALUES[0], None, VALUES[2], VALUES[3]]
    if ids is not None:
        assert types["id"] == (arrow.int64() if ids.dtype == np.int64 else arrow.string())
        assert table["id"].to_pylist() == ids.tolist()
    assert json.loads(table.schema.metadata[b"ltc"]) == scores.metadata
    assert scores.select(k=3).to_arrow()["score"].to_pylist()[:2] == [VALUES[0], VALUES[2]]


def test_scores_come_back_from_parquet(scores, ids, tmp_path):
    pytest.importorskip("pyarrow")
    scores.save(tmp_path / "scores.parquet")
    found = ltc.load_scores(tmp_path / "scores.parquet")
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.values.dtype == np.float32
    assert found.labels.tolist() == LABELS.tolist()
    assert found.metadata == scores.metadata
    if ids is None:
        assert found.ids is None
    else:
        assert found.ids.tolist() == ids.tolist()


def test_a_coreset_in_parquet_is_a_list_of_indices(scores, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    scores.select(k=3).save(tmp_path / "coreset.parquet")
    assert load_indices(tmp_path / "coreset.parquet").tolist() == [0, 2, 3]
    assert parquet.read_table(tmp_path / "coreset.parquet")["label"].to_pylist() == [1, 1, 0]


def test_the_command_line_writes_and_reads_parquet(tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    run, first = str(tmp_path / "run.zarr"), str(tmp_path / "first.parquet")
    losses = np.random.default_rng(0).random((6, 20))
    labels = {"train_labels": np.arange(20) % 2, "val_labels": np.arange(20) % 2}
    ltc.write_store(run, losses, losses + 0.1, train_ids=[f"s{i}" for i in range(20)], **labels)
    for command in (
        ["score", run, "-o", str(tmp_path / "scores.parquet")],
        ["select", run, "--k", "4", "-o", first],
        ["select", run, "--k", "16", "--exclude", first, "-o", str(tmp_path / "rest.parquet")],
    ):
        main(command)
        assert f"written to {command[-1]}" in capsys.readouterr().out
    assert ltc.load_scores(tmp_path / "scores.parquet").metadata["signal"] == "difference"
    chosen, rest = parquet.read_table(first), parquet.read_table(tmp_path / "rest.parquet")
    assert chosen["id"].to_pylist() == [f"s{i}" for i in chosen["index"].to_pylist()]
    assert sorted(chosen["index"].to_pylist() + rest["index"].to_pylist()) == list(range(20))


def test_files_that_are_no_such_tables(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "it.parquet"
    path.write_bytes(b"PAR1 but no more")
    for load in (ltc.load_scores, load_indices):
        with pytest.raises(ArgumentValueError, match=r"it\.parquet must be a Parquet file"):
            load(path)
    parquet.write_table(arrow.table({"score": [0.5]}), path)
    with pytest.raises(ArgumentValueError, match="its column 'index' doesn't count all samples"):
        ltc.load_scores(path)
    with pytest.raises(ArgumentValueError, match=r"must have a column 'index', got \['score'\]"):
        load_indices(path)
    parquet.write_table(arrow.table({"index": [0], "score": [0.5]}), path)
    with pytest.raises(ArgumentValueError, match=r"parquet': its values are float64, not float32"):
        ltc.load_scores(path)
    parquet.write_table(arrow.table({"index": [0.5]}), path)
    with pytest.raises(ArgumentTypeError, match="must hold integer indices, got float64"):
        load_indices(path)
    with pytest.raises(ArgumentValueError, match="it has no column 'score'"):
        ltc.load_scores(path)
    parquet.write_table(arrow.table({"index": [1, None]}), path)
    with pytest.raises(ArgumentValueError, match="must have no null in the column 'index'"):
        load_indices(path)
    with pytest.raises(FileNotFoundError):
        ltc.load_scores(tmp_path / "absent.parquet")


@pytest.mark.parametrize(
    ("module", "call", "message"),
    [
        ("pandas", "scores.to_pandas()", "a data frame needs pandas: pip install pandas"),
        ("pyarrow", "scores.to_arrow()", "an Arrow table needs pyarrow: pip install pyarrow"),
        ("pyarrow", "scores.save('s.parquet')", "an Arrow table needs pyarrow: pip install pyar"),
        (
            "datasets",
            "scores.select(k=1, balance=None).to_datasets([0])",
            "a data set of Hugging Face needs datasets: pip install datasets",
        ),
    ],
)
def test_what_is_missing_is_named(monkeypatch, module, call, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=message):
        eval(call, {"scores": ltc.Scores(VALUES)})  # from the table above


def test_nothing_of_others_is_imported_before_it_is_asked_for():
    code = (
        "import sys, ltc, ltc.exports.coreset, ltc.exports.scores, ltc.exports.names, "
        "ltc.exports.voxels, ltc.exports.data_sets, ltc.integrations.timm; "
        "print({'pandas', 'pyarrow', 'datasets', 'torch', 'webdataset'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
