"""Coresets in blocks: what `Scores.select` takes, in files, however it comes about."""

import json

import numpy as np
import pytest
from block_cases import CASES, SIZE, make_run

import ltc
from ltc.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    StoreCorruptError,
    StoreFormatError,
    StoreNotFoundError,
)
from ltc.scores import StaleScoresWarning
from ltc.store.scores import write_scores

CHUNK = 256


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", CHUNK)


@pytest.fixture
def run(tmp_path):
    make_run(tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


@pytest.mark.parametrize("arguments", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_selects_what_scores_in_memory_select(run, tmp_path, arguments):
    expected = ltc.load_scores(run, "kept").select(**arguments)
    coreset = ltc.select(run, output=tmp_path / "coreset", **arguments)
    assert np.array_equal(coreset.indices, expected.indices)
    assert len(coreset) == len(expected)
    opened = ltc.CoresetBlocks.open(tmp_path / "coreset")
    assert np.array_equal(opened.indices, expected.indices)
    assert opened.num_samples == SIZE
    assert opened.arguments["k"] == len(expected)


def test_blocks_are_ranges_of_whole_chunks_in_order(run, tmp_path):
    coreset = ltc.select(run, scores="kept", fraction=0.5, output=tmp_path / "coreset")
    assert [file.begin for file in coreset.files] == [0, 1280, 2560, 3840]
    for file, block in zip(coreset.files, coreset, strict=True):
        assert block.dtype == np.int64
        assert (block >= file.begin).all()
        assert (block < file.end).all()
        assert np.array_equal(np.load(tmp_path / "coreset" / file.name), block)
    assert coreset.files[0].name == "000000000000000.npy"


def test_a_run_without_labels_has_one_ranking(tmp_path):
    scores = make_run(tmp_path / "run.zarr", labelled=False)
    arguments = {"k": 700, "balance": None, "cutoff": 0.1}
    coreset = ltc.select(tmp_path / "run.zarr", output=tmp_path / "coreset", **arguments)
    assert np.array_equal(coreset.indices, scores.select(**arguments).indices)
    with pytest.raises(ArgumentValueError, match="balance must be None for scores without labels"):
        ltc.select(tmp_path / "run.zarr", k=3, output=tmp_path / "other")


def test_scores_of_other_groups_have_no_labels(tmp_path):
    make_run(tmp_path / "run.zarr", groups="given")
    with pytest.raises(ArgumentValueError, match="balance must be None for scores without labels"):
        ltc.select(tmp_path / "run.zarr", k=3, output=tmp_path / "coreset")


def test_a_coreset_is_replaced_whole(run, tmp_path):
    ltc.select(run, fraction=0.5, output=tmp_path / "coreset")
    second = ltc.select(run, k=7, output=tmp_path / "coreset")
    opened = ltc.CoresetBlocks.open(tmp_path / "coreset")
    assert np.array_equal(opened.indices, second.indices)
    assert len(opened) == 7


def test_what_stops_halfway_is_no_coreset(run, tmp_path, monkeypatch):
    ltc.select(run, k=5, output=tmp_path / "coreset")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ltc.block_selection.write_block", full)
    with pytest.raises(OSError, match="No space left"):
        ltc.select(run, k=6, output=tmp_path / "coreset")
    with pytest.raises(StoreNotFoundError, match="the coreset is unfinished; select it again"):
        ltc.CoresetBlocks.open(tmp_path / "coreset")
    monkeypatch.undo()
    assert len(ltc.select(run, k=6, output=tmp_path / "coreset")) == 6


def test_a_wrong_argument_leaves_the_coreset_that_is_there(run, tmp_path):
    ltc.select(run, k=5, output=tmp_path / "coreset")
    for arguments, error, text in (
        ({"k": SIZE + 1}, ArgumentValueError, "k must be at most the 5000 samples, got 5001"),
        ({"k": 5, "exclude": [SIZE]}, ArgumentIndexError, "got 5000 at position 0"),
        ({"k": 5, "scores": "others"}, ArgumentValueError, "name must be among the saved scores"),
        ({"k": 5.0}, ArgumentTypeError, "k must be an integer"),
    ):
        with pytest.raises(error, match=text):
            ltc.select(run, output=tmp_path / "coreset", **arguments)
    assert len(ltc.CoresetBlocks.open(tmp_path / "coreset")) == 5


def test_the_name_of_scores_is_needed_where_there_are_several(run, tmp_path):
    values = np.zeros(SIZE, np.float32)
    write_scores(run, "more", values, {"committed": 4})
    with pytest.raises(ArgumentValueError, match="which has 'kept', 'more'"):
        ltc.select(run, k=5, output=tmp_path / "coreset")
    coreset = ltc.select(run, scores="more", k=5, balance=None, output=tmp_path / "coreset")
    assert coreset.indices.tolist() == [0, 1, 2, 3, 4]


def test_stale_scores_warn_the_caller(run, tmp_path):
    write_scores(run, "kept", np.zeros(SIZE, np.float32), {"committed": 3})
    with pytest.warns(StaleScoresWarning, match="were made from 3 committed") as caught:
        ltc.select(run, k=5, output=tmp_path / "coreset")
    assert caught[0].filename == __file__


def test_another_folder_is_left_alone(run, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("mine")
    with pytest.raises(ArgumentValueError, match="output must be a new folder"):
        ltc.select(run, k=5, output=tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["precious.txt"]


def test_scores_that_are_replaced_meanwhile_are_noticed(run, tmp_path, monkeypatch):
    from ltc.selection import members

    plain = members.Rule.members
    calls = []

    def replacing(rule, block, part):
        calls.append(part)
        if len(calls) == 3:
            write_scores(run, "kept", np.ones(SIZE, np.float32), {"committed": 4})
        return plain(rule, block, part)

    monkeypatch.setattr(members.Rule, "members", replacing)
    with pytest.raises(StoreCorruptError, match=r"the scores .*were replaced"):
        ltc.select(run, k=5, output=tmp_path / "coreset")


@pytest.mark.parametrize(
    ("damage", "error", "text"),
    [
        (lambda folder: (folder / "000000000001280.npy").unlink(), StoreCorruptError, "is lost"),
        (
            lambda folder: (folder / "000000000001280.npy").write_bytes(b"\x93NUMPY"),
            StoreCorruptError,
            "000000000001280.npy: the block was changed",
        ),
        (
            lambda folder: np.save(folder / "000000000000000.npy", np.arange(3)),
            StoreCorruptError,
            "000000000000000.npy: the block was changed",
        ),
        (
            lambda folder: (folder / "coreset.json").write_text("[]"),
            StoreFormatError,
            "is no list of blocks",
        ),
        (
            lambda folder: (folder / "coreset.json").write_text(
                json.dumps({"ltc": {"format": 2, "samples": 1, "arguments": {}, "files": []}})
            ),
            StoreFormatError,
            "is of format 2, this version of ltc reads 1",
        ),
        (
            lambda folder: (folder / "coreset.json").unlink(),
            StoreNotFoundError,
            "there is no coreset",
        ),
    ],
)
def test_damage_is_named(run, tmp_path, damage, error, text):
    ltc.select(run, fraction=0.5, output=tmp_path / "coreset")
    damage(tmp_path / "coreset")
    with pytest.raises(error, match=text):
        _ = ltc.CoresetBlocks.open(tmp_path / "coreset").indices


@pytest.mark.parametrize("strategy", ["coverage", "beta", "best"])
def test_other_strategies_are_refused(run, tmp_path, strategy):
    text = f"'random' to select in blocks, got '{strategy}'"
    with pytest.raises(ArgumentValueError, match=text):
        ltc.select(run, k=5, strategy=strategy, output=tmp_path / "coreset")
    assert not (tmp_path / "coreset").exists()
