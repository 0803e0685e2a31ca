"""Scores in a store: replaced as a whole, never seen in part."""

import errno
import functools
import itertools
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import stores
import zarr

import ltc.store.writer
from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    StoreCorruptError,
    StoreFormatError,
    StoreLockedError,
    StoreNotFoundError,
)
from ltc.store import open_store
from ltc.store.files import LocalFiles
from ltc.store.places import locate
from ltc.store.scores import write_scores
from ltc.store.writer import StoreWriter

VALUES = np.random.default_rng(0).uniform(-1, 1, stores.NUM_TRAIN).astype(np.float32)
VALUES[3] = np.nan
ATTRIBUTES = {"signal": "loss", "committed": 3, "checkpoints": [0.0, 1.0, 2.0], "groups": None}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 4)  # three chunks
    return stores.write(tmp_path / "run.zarr")


def test_what_is_saved_is_read(path):
    assert open_store(path).score_names() == []
    write_scores(path, "cld", VALUES, ATTRIBUTES)
    write_scores(str(path), "a.b-c_2", -VALUES, {})
    store = open_store(path)
    assert store.score_names() == ["a.b-c_2", "cld"]
    values, attributes = store.read_scores("cld")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, VALUES)
    assert attributes == ATTRIBUTES
    assert store.read_scores("a.b-c_2")[1] == {}
    assert store.verify().ok


def test_plain_zarr_reads_them_with_their_parameters(path):
    write_scores(path, "cld", VALUES, ATTRIBUTES)
    array = zarr.open_array(path / "scores" / "cld", mode="r")
    np.testing.assert_array_equal(array[:], VALUES)
    assert array.attrs["committed"] == 3
    assert array.metadata.dimension_names == ("sample",)


def test_scores_are_replaced(path):
    write_scores(path, "cld", VALUES, ATTRIBUTES)
    write_scores(path, "cld", VALUES[::-1], {"signal": "difference"})
    values, attributes = open_store(path).read_scores("cld")
    np.testing.assert_array_equal(values, VALUES[::-1])
    assert attributes == {"signal": "difference"}


def test_a_recording_may_go_on_meanwhile(path):
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        write_scores(path, "cld", VALUES, ATTRIBUTES)
        writer.append(3, *stores.records(3))
    stores.assert_holds(path, range(4))
    np.testing.assert_array_equal(open_store(path).read_scores("cld")[0], VALUES)


def test_they_stay_when_a_recording_is_resumed_or_rewound(path):
    write_scores(path, "cld", VALUES, ATTRIBUTES)
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        writer.rewind(1)
    assert open_store(path).score_names() == ["cld"]


STEPS = [(LocalFiles, "make_directory"), (LocalFiles, "_write"), (Path, "rename")]


def found(path):
    """Values and attributes of the scores, None where there are none."""
    store = open_store(path)
    assert store.verify().ok
    if not store.score_names():
        return None
    values, attributes = store.read_scores("cld")
    return values.tobytes(), attributes


NEW = VALUES.tobytes(), ATTRIBUTES
OLD = (-VALUES).tobytes(), {"mine": "old"}


@pytest.mark.parametrize("start", [None, OLD])
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left")])
def test_whatever_stops_a_save_leaves_what_was_there(path, monkeypatch, start, done, error):
    """Each step is the last one in turn, and what it does is done or not."""
    if start is not None:
        write_scores(path, "cld", -VALUES, OLD[1])
    steps = itertools.count()
    last = -1

    def act(*arguments, step, **options):
        stops = next(steps) == last
        if done or not stops:
            step(*arguments, **options)
        if stops:
            raise error

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, functools.partialmethod(act, step=getattr(owner, name)))
    for last in itertools.count():
        assert last < 100, "it never ends"
        steps = itertools.count()
        try:
            write_scores(path, "cld", VALUES, ATTRIBUTES)
        except (KeyboardInterrupt, OSError):
            assert not list(path.rglob("*.partial"))
            # The last rename is what makes them the new ones.
            assert found(path) == start or (done and found(path) == NEW)
        else:
            break
    assert last > 5
    assert found(path) == NEW


@pytest.mark.parametrize("start", [None, OLD])
def test_a_crash_at_any_moment_shows_no_part_of_them(path, tmp_path, monkeypatch, start):
    """Whichever step is the last one, there are the old scores, the new ones, or none."""
    if start is not None:
        write_scores(path, "cld", -VALUES, OLD[1])
    snapshots = []

    def act(*arguments, step, **options):
        step(*arguments, **options)
        snapshots.append(shutil.copytree(path, tmp_path / "crashed" / str(len(snapshots))))

    with monkeypatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, functools.partialmethod(act, step=getattr(owner, name)))
        write_scores(path, "cld", VALUES, ATTRIBUTES)
    seen = [found(snapshot) for snapshot in snapshots]
    assert seen[0] == start
    assert seen[-1] == NEW
    assert all(state in (start, None, NEW) for state in seen)
    for snapshot in snapshots:
        write_scores(snapshot, "cld", VALUES, ATTRIBUTES)
        assert found(snapshot) == NEW
        assert not list(snapshot.rglob("*.partial"))


def test_values_of_another_save_are_noticed(path):
    """A reader has opened the metadata of the old scores, and gets the chunks of the new ones."""
    write_scores(path, "cld", VALUES, ATTRIBUTES)
    old = (path / "scores" / "cld" / "zarr.json").read_bytes()
    write_scores(path, "cld", VALUES[::-1], {})
    (path / "scores" / "cld" / "zarr.json").write_bytes(old)
    with pytest.raises(StoreCorruptError, match="scores/cld: the values are not those that were"):
        open_store(path).read_scores("cld")


def test_a_lost_or_changed_chunk_is_named(path):
    write_scores(path, "cld", VALUES, ATTRIBUTES)
    chunk = path / "scores" / "cld" / "c" / "1"
    chunk.write_bytes(bytes(20))
    store = open_store(path)
    with pytest.raises(StoreCorruptError, match="scores/cld/c/1: the chunk was changed"):
        store.read_scores("cld")
    assert store.verify().changed == ("scores/cld/c/1",)
    chunk.unlink()
    with pytest.raises(StoreCorruptError, match="scores/cld/c/1: the chunk is lost"):
        store.read_scores("cld")
    assert store.verify().lost == ("scores/cld/c/1",)


def test_one_process_saves_at_a_time(path, monkeypatch):
    monkeypatch.setattr("ltc.store.scores.PATIENCE", 0.05)
    held = locate(path).lock("scores", "scores/other/zarr.json", fsync=False)
    with pytest.raises(StoreLockedError, match="is open for writing already"):
        write_scores(path, "cld", VALUES, ATTRIBUTES)
    held.release()
    write_scores(path, "cld", VALUES, ATTRIBUTES)


def test_who_saves_while_others_do_waits_for_its_turn(path):
    held = locate(path).lock("scores", "scores/other/zarr.json", fsync=False)
    with ThreadPoolExecutor(2) as executor:
        saved = [executor.submit(write_scores, path, "cld", VALUES, {"by": by}) for by in "ab"]
        time.sleep(0.1)
        assert not any(one.done() for one in saved)
        held.release()
        assert [one.result() for one in saved] == [None, None]
    values, attributes = open_store(path).read_scores("cld")
    np.testing.assert_array_equal(values, VALUES)
    assert attributes["by"] in "ab"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": "a/b"}, ArgumentValueError, "name must consist of letters, .* got 'a/b'"),
        ({"name": "..", "values": VALUES}, ArgumentValueError, r"got '\.\.'"),
        ({"name": ""}, ArgumentValueError, "got ''"),
        ({"name": "zarr.json"}, ArgumentValueError, r"got 'zarr\.json'"),
        ({"name": 3}, ArgumentTypeError, "name must be a str, got int"),
        ({"values": VALUES[1:]}, ArgumentValueError, r"values must .* \(11,\), got \(10,\)"),
        ({"values": VALUES.astype(float)}, ArgumentTypeError, "a float32 array, got float64"),
        ({"values": VALUES.tolist()}, ArgumentTypeError, "a float32 array, got list"),
        (
            {"attributes": {"a": np.arange(2)}},
            ArgumentTypeError,
            "attributes must be what JSON can",
        ),
        (
            {"attributes": {"a": np.inf}},
            ArgumentValueError,
            "attributes must be what JSON can hold",
        ),
        ({"attributes": {"ltc": 1}}, ArgumentValueError, "attributes must not contain 'ltc'"),
    ],
)
def test_bad_arguments(path, change, error, message):
    with pytest.raises(error, match=message):
        write_scores(path, **{"name": "cld", "values": VALUES, "attributes": {}, **change})
    assert open_store(path).score_names() == []


def test_a_store_must_be_there(tmp_path, path):
    with pytest.raises(StoreNotFoundError, match="there is no such store"):
        write_scores(tmp_path / "absent", "cld", VALUES, {})
    assert not (tmp_path / "absent").exists()
    with pytest.raises(
        ArgumentValueError, match=r"name must be among the saved scores \[\], got 'a'"
    ):
        open_store(path).read_scores("a")


def test_what_others_put_there(path):
    zarr.create_array(path / "scores" / "foreign", shape=(11,), dtype="float32")
    (path / "scores" / "notes.txt").write_text("text")
    store = open_store(path)
    assert store.score_names() == ["foreign"]
    with pytest.raises(StoreFormatError, match="scores/foreign: not scores of ltc"):
        store.read_scores("foreign")
