"""Reading: which part, through which pipeline, and what is found where others have written."""

import asyncio
import json
import os
import shutil
import sys
import threading
import zlib

import numpy as np
import pytest
import stores
import zarr
from zarr.storage import LocalStore, MemoryStore

import ltc.store.writer
from ltc.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreNotFoundError,
)
from ltc.store import open_store
from ltc.store.writer import StoreWriter

CHECKPOINTS = (0.5, 1, 2, 4, 8)
EXPECTED = np.stack([stores.losses("train", checkpoint) for checkpoint in CHECKPOINTS])
LOSSES_CHUNK = "train/losses/c/2/1"


IDS = {"train_ids": np.arange(11) - 5, "val_ids": ["a", "bb", "", "ä/4", "e"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A store with three chunks to a row of train, and two to one of val."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 4)
        return stores.write(tmp_path_factory.mktemp("store") / "run.zarr", CHECKPOINTS, **IDS)


@pytest.fixture
def path(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run.zarr")


@pytest.fixture
def store(path):
    return open_store(path)


def in_memory(path):
    """Copy a store to one of zarr's that zarrs doesn't read."""
    files = (file for file in path.rglob("*") if file.is_file())
    cpu = zarr.core.buffer.cpu.Buffer
    return MemoryStore({str(f.relative_to(path)): cpu.from_bytes(f.read_bytes()) for f in files})


def change(file):
    """Flip one bit in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def set_attribute(path, **values):
    root = path / "zarr.json"
    document = json.loads(root.read_text())
    attribute = document["attributes"]["ltc"]
    attribute.update(values)
    del attribute["crc32"]
    attribute["crc32"] = zlib.crc32(json.dumps(attribute, sort_keys=True).encode())
    root.write_text(json.dumps(document))


def test_what_a_store_says_of_itself(store, path):
    assert repr(store) == f"Store(path={str(path)!r}, committed=5, num_train=11, num_val=5)"
    assert (store.size("train"), store.size("val"), store.num_groups) == (11, 5, 3)
    assert (store.chunk_samples, store.compression) == (4, None)
    assert store.checkpoints.dtype == np.float64
    assert store.checkpoints.tolist() == list(CHECKPOINTS)
    assert store.labels("train").dtype == np.int32
    np.testing.assert_array_equal(store.labels("val"), stores.LABELS["val"])
    np.testing.assert_array_equal(store.ids("train"), np.arange(11) - 5)
    assert store.ids("val").tolist() == ["a", "bb", "", "ä/4", "e"]
    assert store.ids("val").dtype.kind == "U"


def test_commits(store):
    commit = store.commits[3]
    assert (len(store.commits), commit.checkpoint) == (5, 4.0)
    assert commit.train.observed == 11
    assert (commit.val.clipped, commit.val.nonfinite, commit.val.duplicate) == (0, 0, 0)
    assert commit.train.mode == "training"
    assert [c.time for c in store.commits] == sorted(c.time for c in store.commits)


@pytest.fixture(params=["direct", "zarrs", "without zarrs", "memory"])
def any_store(request, path, monkeypatch):
    if request.param == "memory":
        return open_store(in_memory(path))
    if request.param != "direct":
        monkeypatch.setattr("ltc.store.direct.DirectReader.of", lambda *_: None)
    if request.param == "without zarrs":
        monkeypatch.setitem(sys.modules, "zarrs", None)
    return open_store(path)


SAMPLES = [
    slice(None),
    slice(0, 4),
    slice(3, 9),
    slice(5, 6),
    slice(-3, None),
    slice(4, 4),
    slice(7, 3),
    slice(0, 100),
    slice(1, 10, 3),
    slice(None, None, -1),
    [],
    [10],
    [3, 4, 0],
    [5, 5, 1, 10, 5],
    np.array([9, 2], np.uint8),
    range(8, 2, -2),
]
ROWS = [None, slice(None), slice(0, 3), slice(1, None, 2), slice(2, 2), [], [4], [0, 2, 3], (1, 4)]


@pytest.mark.parametrize("samples", SAMPLES, ids=str)
def test_any_samples(any_store, samples):
    picked = samples if isinstance(samples, slice) else np.asarray(samples, dtype=int)
    np.testing.assert_array_equal(any_store.read("train", samples), EXPECTED[:, picked])


@pytest.mark.parametrize("checkpoints", ROWS, ids=str)
def test_any_checkpoints(any_store, checkpoints):
    rows = slice(None) if checkpoints is None else checkpoints
    rows = rows if isinstance(rows, slice) else np.asarray(rows, dtype=int)
    for samples in (slice(2, 7), [10, 0, 5]):
        read = any_store.read("train", samples, checkpoints)
        np.testing.assert_array_equal(read, EXPECTED[rows][:, samples])


def test_samples_in_any_order_are_read_in_windows(any_store, monkeypatch):
    monkeypatch.setattr("ltc.store.picking._WINDOW_BYTES", 16)  # two checkpoints of four samples
    np.testing.assert_array_equal(
        any_store.read("train", [10, 0, 3, 4, 0]), EXPECTED[:, [10, 0, 3, 4, 0]]
    )


def test_reading_into_an_array(any_store):
    out = np.full((7, 6), np.nan, np.float16)
    assert any_store.read("train", slice(3, 9), out=out[:5]) is not None
    np.testing.assert_array_equal(out[:5], EXPECTED[:, 3:9])
    assert np.isnan(out[5:]).all()
    np.testing.assert_array_equal(
        any_store.read("train", [9, 1, 4], out=out.reshape(-1)[:15].reshape(5, 3)),
        EXPECTED[:, [9, 1, 4]],
    )


def test_out_may_have_rows_farther_apart_than_they_are_long(any_store):
    room = np.full((5, 20), 7, np.float16)
    out = room[:, 4:15]
    assert any_store.read("train", out=out) is out
    np.testing.assert_array_equal(out, EXPECTED)
    assert (room[:, :4] == 7).all()
    assert (room[:, 15:] == 7).all()


def test_out_must_fit(store):
    with pytest.raises(ArgumentTypeError, match="out must be a float16 array, got float32"):
        store.read("train", out=np.empty((5, 11), np.float32))
    with pytest.raises(ArgumentValueError, match=r"out must have shape \(5, 11\), got \(5, 10\)"):
        store.read("train", out=np.empty((5, 10), np.float16))
    with pytest.raises(ArgumentValueError, match="out must have contiguous rows and be writeable"):
        store.read("train", out=np.empty((11, 5), np.float16).T)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split": "test"}, ArgumentValueError, "split must be 'train' or 'val', got 'test'"),
        (
            {"samples": [0, 11]},
            ArgumentIndexError,
            r"samples must lie in 0..10, got 11 at position 1",
        ),
        ({"samples": [-1]}, ArgumentIndexError, r"samples must lie in 0..10, got -1"),
        ({"samples": [0.0]}, ArgumentTypeError, "samples must be a slice or integers, got float64"),
        (
            {"samples": [True] * 11},
            ArgumentTypeError,
            "samples must be a slice or integers, got bool",
        ),
        ({"samples": 3}, ArgumentValueError, "samples must be one-dimensional"),
        (
            {"checkpoints": [0, 5]},
            ArgumentIndexError,
            r"checkpoints must be positions in 0..4, got 5",
        ),
        ({"checkpoints": [2, 1]}, ArgumentValueError, "unique and ascending, got 1 after 2"),
        ({"checkpoints": [1, 1]}, ArgumentValueError, "unique and ascending, got 1 after 1"),
        ({"checkpoints": slice(None, None, -1)}, ArgumentValueError, "must be ascending"),
        ({"checkpoints": ["a"]}, ArgumentTypeError, "checkpoints must be a slice or integers"),
    ],
)
def test_bad_arguments(store, arguments, error, message):
    with pytest.raises(error, match=message):
        store.read(**{"split": "train", **arguments})


def test_an_unknown_split_is_refused_everywhere(store):
    for method in (store.size, store.labels, store.ids):
        with pytest.raises(ArgumentValueError, match="split must be"):
            method("training")


def test_without_labels_and_ids(tmp_path):
    with StoreWriter.create(tmp_path / "run", num_train=11, num_val=5) as writer:
        writer.append(0, *stores.records(0))
    store = open_store(tmp_path / "run")
    assert (store.labels("train"), store.ids("val"), store.num_groups) == (None, None, None)


def test_one_sample_and_one_checkpoint(tmp_path):
    with StoreWriter.create(tmp_path / "run", num_train=1, num_val=1) as writer:
        writer.append(-3, *stores.records(7, train=1, val=1))
    assert open_store(tmp_path / "run").read("train").shape == (1, 1)


def test_the_codec_pipeline_is_chosen_by_the_store_alone(path, monkeypatch):
    from zarrs import ZarrsCodecPipeline

    def pipeline(store):
        return store._reader("train/losses")._pipeline

    before = zarr.config.to_dict() if hasattr(zarr.config, "to_dict") else dict(zarr.config.config)
    assert isinstance(pipeline(open_store(path)), ZarrsCodecPipeline)
    assert isinstance(pipeline(open_store(LocalStore(path, read_only=True))), ZarrsCodecPipeline)
    assert pipeline(open_store(in_memory(path))) is None
    monkeypatch.setitem(sys.modules, "zarrs", None)
    assert pipeline(open_store(path)) is None
    assert dict(zarr.config.config) == before


def test_the_users_zarr_configuration_does_not_reach_a_store(tmp_path):
    with zarr.config.set(
        {
            "codec_pipeline.path": "zarrs.ZarrsCodecPipeline",
            "array.order": "F",
            "array.write_empty_chunks": False,
            "default_zarr_format": 2,
        }
    ):
        stores.write(tmp_path / "run.zarr")
        stores.assert_holds(tmp_path / "run.zarr", [0, 1, 2])
    stores.assert_holds(tmp_path / "run.zarr", [0, 1, 2])


def test_several_threads_read_at_the_same_time(store):
    right = []

    def read(samples):
        right.extend(
            np.array_equal(store.read("train", samples), EXPECTED[:, samples]) for _ in range(20)
        )

    threads = [threading.Thread(target=read, args=(slice(i, i + 5),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 120


def test_a_lost_chunk_of_losses_is_missing_and_never_zero(path, any_store):
    if any_store.path == str(path):
        (path / LOSSES_CHUNK).unlink()
    else:
        del any_store._store._store_dict[LOSSES_CHUNK]
    expected = EXPECTED.copy()
    expected[2, 4:8] = np.nan
    np.testing.assert_array_equal(any_store.read("train"), expected)
    np.testing.assert_array_equal(any_store.read("train", [7, 8]), expected[:, [7, 8]])
    found = any_store.verify()
    assert (found.ok, found.lost, found.changed) == (False, (LOSSES_CHUNK,), ())


class SilentStore(MemoryStore):
    """Gives no answer for some keys, and counts how many are asked for at a time."""

    silent = "nothing"
    asked = at_once = 0

    async def get(self, key, *arguments):
        self.asked += 1
        self.at_once = max(self.at_once, self.asked)
        try:
            await asyncio.sleep(0.001)
            if self.silent in key:
                raise ConnectionResetError(f"no answer for {key}")
            return await super().get(key, *arguments)
        finally:
            self.asked -= 1


def test_no_answer_is_neither_missing_nor_changed(path):
    """Whatever is read: an error, for a store of zarr's that nobody here knows too."""
    silent = SilentStore(in_memory(path)._store_dict)
    store = open_store(silent)
    store.read("train")
    for key, read in [
        (LOSSES_CHUNK, lambda: store.read("train")),
        (LOSSES_CHUNK, lambda: store.read("train", [7, 8])),
        (LOSSES_CHUNK, store.verify),
        ("train/labels/c/1", lambda: store.labels("train")),
        ("commits/time/c/0", lambda: store.commits),
    ]:
        silent.silent = key
        with pytest.raises(ConnectionResetError, match=f"no answer for {key}"):
            read()
    silent.silent = "nothing"
    assert store.verify().ok


def test_chunks_are_asked_for_together_but_not_all_at_once(path, monkeypatch):
    monkeypatch.setattr("ltc.store.fetching.FETCHED_AT_ONCE", 4)
    silent = SilentStore(in_memory(path)._store_dict)
    np.testing.assert_array_equal(open_store(silent).read("train"), EXPECTED)
    assert silent.at_once == 4


@pytest.mark.parametrize("damage", ["a bit", "cut", "longer", "empty"])
def test_a_changed_chunk_of_losses_is_named(path, damage, monkeypatch):
    file = path / LOSSES_CHUNK
    data = file.read_bytes()
    if damage == "a bit":
        change(file)
    else:
        file.write_bytes({"cut": data[:-3], "longer": data + b"x", "empty": b""}[damage])
    for with_zarrs in (True, False):
        if not with_zarrs:
            monkeypatch.setitem(sys.modules, "zarrs", None)
        store = open_store(path)
        np.testing.assert_array_equal(store.read("train", slice(0, 4)), EXPECTED[:, :4])
        with pytest.raises(StoreCorruptError, match=LOSSES_CHUNK):
            store.read("train")
        found = store.verify()
        assert (found.lost, found.changed) == ((), (LOSSES_CHUNK,))


@pytest.mark.parametrize("group", ["train", "val", "commits"])
def test_verify_misses_the_metadata_of_a_group(path, group):
    (path / group / "zarr.json").unlink()
    with pytest.raises(StoreFormatError, match=f"{group}/zarr.json is missing"):
        open_store(path).verify()


def test_verify_lists_everything_that_is_wrong(path, store):
    assert store.verify().ok
    lost = ["train/losses/c/0/0", "val/ids/c/0", "commits/time/c/0"]
    changed = ["train/labels/c/1", "val/losses/c/4/1", "val/checkpoint/c/0"]
    for key in lost:
        (path / key).unlink()
    for key in changed:
        change(path / key)
    found = open_store(path).verify()
    assert sorted(found.lost) == sorted(lost)
    assert sorted(found.changed) == sorted(changed)
    # losses, labels, ids of both splits; checkpoints; counts, modes and time
    assert found.chunks == 5 * (3 + 2) + 2 * (3 + 2) + 2 + 2 * 5 + 1


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("train/labels/c/1", lambda store: store.labels("train")),
        ("train/ids/c/2", lambda store: store.ids("train")),
        ("val/ids/c/0", lambda store: store.ids("val")),
        ("commits/train_mode/c/0", lambda store: store.commits),
        ("train/checkpoint/c/0", lambda store: store.checkpoints),
    ],
)
def test_a_lost_or_changed_chunk_of_anything_else_is_an_error(path, key, read):
    change(path / key)
    with pytest.raises(StoreCorruptError, match=f"{key}: the chunk was changed"):
        read(open_store(path))
    (path / key).unlink()
    with pytest.raises(StoreCorruptError, match=f"{key}: the chunk is lost"):
        read(open_store(path))


@pytest.mark.parametrize("label", [-1, 3, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_are_checked_again_when_read(path, split, label):
    zarr.open_array(path / split / "labels", mode="r+")[2] = label
    store = open_store(path)
    message = rf"{split}/labels must lie in 0\.\.2, the labels it was made with, got {label}"
    with pytest.raises(StoreCorruptError, match=message):
        store.labels(split)
    assert store.verify().ok  # its checksum is right: zarr wrote it


def test_labels_of_another_type_are_refused(path):
    zarr.create_array(
        path / "train" / "labels", shape=(11,), dtype="float32", chunks=(4,), overwrite=True
    )
    with pytest.raises(StoreFormatError, match="train/labels: data_type must be int32"):
        open_store(path).labels("train")


def test_losses_of_another_shape_are_refused(path):
    zarr.open_array(path / "train" / "losses", mode="r+").resize((5, 12))
    with pytest.raises(StoreFormatError, match=r"train/losses: shape must be \(5, 11\)"):
        open_store(path).read("train")


def test_rows_beyond_those_committed_do_not_exist(path):
    set_attribute(path, committed=3)
    store = open_store(path)
    assert store.checkpoints.tolist() == list(CHECKPOINTS[:3])
    np.testing.assert_array_equal(store.read("train"), EXPECTED[:3])
    assert len(store.commits) == 3
    assert store.verify().ok


def test_fewer_rows_than_committed_are_refused(path):
    set_attribute(path, committed=6)
    with pytest.raises(
        StoreFormatError, match=r"train/checkpoint: shape must be \(6,\), got \(5,\)"
    ):
        open_store(path)


def test_checkpoints_must_ascend(path):
    zarr.open_array(path / "train" / "checkpoint", mode="r+")[1] = 9
    with pytest.raises(StoreCorruptError, match="checkpoint must be finite and ascending"):
        open_store(path)


def test_checkpoints_of_both_splits_must_agree(path):
    zarr.open_array(path / "val" / "checkpoint", mode="r+")[1] = 1.5
    with pytest.raises(StoreCorruptError, match="val/checkpoint must equal train/checkpoint"):
        _ = open_store(path).commits


def test_an_unknown_mode_is_an_error(path):
    zarr.open_array(path / "commits" / "val_mode", mode="r+")[1] = 9
    with pytest.raises(
        StoreCorruptError, match=r"commits/val_mode must lie in 0..3, got 9 at row 1"
    ):
        _ = open_store(path).commits


def test_attributes_that_a_user_adds_are_no_trouble(path):
    zarr.open_group(path, mode="r+").attrs["note"] = "mine"
    zarr.open_array(path / "train" / "losses", mode="r+").attrs["unit"] = "nat"
    assert open_store(path).verify().ok


def test_what_is_not_a_store(tmp_path):
    with pytest.raises(StoreNotFoundError, match="there is no such store"):
        open_store(tmp_path / "absent")
    with pytest.raises(StoreNotFoundError, match="there is no such store"):
        open_store(tmp_path)  # an empty directory
    file = tmp_path / "file"
    file.write_text("text")
    with pytest.raises(StoreFormatError, match=r"not an ltc store, it has no zarr\.json"):
        open_store(file)
    with pytest.raises(StoreFormatError, match=r"not an ltc store, it has no zarr\.json"):
        open_store(tmp_path)
    zarr.create_group(tmp_path / "group")
    with pytest.raises(StoreFormatError, match="a Zarr group, but no ltc store"):
        open_store(tmp_path / "group")
    zarr.create_array(tmp_path / "array", shape=(1,), dtype="int8")
    with pytest.raises(StoreFormatError, match="must be a Zarr group, got 'array'"):
        open_store(str(tmp_path / "array"))
    zarr.create_group(tmp_path / "old", zarr_format=2)
    with pytest.raises(StoreFormatError, match="not an ltc store"):
        open_store(os.fsencode(tmp_path / "old").decode())
    with pytest.raises(StoreFormatError, match="not an ltc store"):
        open_store(MemoryStore())


def test_what_is_not_a_path(tmp_path):
    with pytest.raises(ArgumentTypeError, match=r"path must be a str or os\.PathLike"):
        open_store(3)
    with pytest.raises(ArgumentTypeError, match=r"os.PathLike\[str\], got bytes"):
        open_store(os.fsencode(tmp_path))
    with pytest.raises(ArgumentValueError, match="storage_options must be given for an address"):
        open_store(tmp_path / "run.zarr", storage_options={"region": "eu-west-1"})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"zarr_format": 2}', '{"zarr_format": 3}']
)
def test_a_broken_root(path, text):
    (path / "zarr.json").write_text(text)
    with pytest.raises(StoreFormatError, match="zarr"):
        open_store(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, r"format 2 is newer than this version of ltc reads \(up to 1\)"),
        ({"format": "1"}, "ltc.format must be an integer from 1, got '1'"),
        ({"dtype": "float32"}, "ltc.dtype must be float16, got 'float32'"),
        ({"committed": -1}, "ltc.committed must be an integer from 0, got -1"),
        ({"committed": 2.0}, "ltc.committed must be an integer from 0, got 2.0"),
        ({"committed": None}, "ltc.committed must be an integer from 0, got None"),
        ({"num_train": 0}, "ltc.num_train must be an integer from 1, got 0"),
        ({"num_groups": True}, "ltc.num_groups must be an integer from 1, got True"),
        ({"train_ids": "int8"}, "ltc.train_ids must be null, int64 or string, got 'int8'"),
        ({"val_ids": []}, r"ltc.val_ids must be null, int64 or string, got \[\]"),
        ({"compression": "lz4"}, "ltc.compression must be null or zstd, got 'lz4'"),
        ({"revision": 3}, "ltc.revision must be a string, got 3"),
    ],
)
def test_broken_attributes(path, values, message):
    set_attribute(path, **values)
    with pytest.raises(StoreFormatError, match=message):
        open_store(path)


def test_attributes_that_are_missing(path):
    root = path / "zarr.json"
    document = json.loads(root.read_text())
    del document["attributes"]["ltc"]["committed"]
    root.write_text(json.dumps(document))
    with pytest.raises(StoreFormatError, match="the attribute ltc lacks committed"):
        open_store(path)


@pytest.mark.parametrize("text", [None, "{", '{"zarr_format": 3, "node_type": "array"}'])
def test_lost_or_broken_metadata_of_an_array(path, text):
    file = path / "train" / "losses" / "zarr.json"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(StoreFormatError, match="train/losses"):
        open_store(path).read("train")


def test_a_store_without_a_commit_counts_as_absent(tmp_path):
    path = tmp_path / "run.zarr"
    with (
        StoreWriter.create(path, **stores.arguments()),
        pytest.raises(StoreNotFoundError, match="the store has no first commit"),
    ):
        open_store(path)


def test_a_view_stays_as_it_was_while_commits_go_on(path):
    early = open_store(path)
    with StoreWriter.resume(path, **stores.arguments(**IDS)) as writer:
        writer.append(9, *stores.records(9))
        np.testing.assert_array_equal(early.read("train"), EXPECTED)
        assert len(early.commits) == 5
        assert open_store(path).committed == 6


def test_a_view_notices_that_the_store_was_rewound(path):
    early = open_store(path)
    with StoreWriter.resume(path, **stores.arguments(**IDS)) as writer:
        writer.rewind(2)
    for read in (early.read, early.labels, early.ids):
        with pytest.raises(StoreError, match="was rewound or made anew since it was opened"):
            read("train")
    with pytest.raises(StoreError, match="was rewound or made anew since it was opened"):
        _ = early.commits
    np.testing.assert_array_equal(open_store(path).read("train"), EXPECTED[:3])


def test_opening_waits_for_a_rewind_to_settle(path, monkeypatch):
    """The root is read before a rewind, the arrays after it."""
    read, rewound = ltc.store.reading.read_bytes, []

    def rewind_first(store, key):
        if key == "train/checkpoint/zarr.json" and not rewound:
            rewound.append(True)
            with StoreWriter.resume(path, **stores.arguments(**IDS)) as writer:
                writer.rewind(1)
        return read(store, key)

    monkeypatch.setattr("ltc.store.reading.read_bytes", rewind_first)
    assert open_store(path).checkpoints.tolist() == [0.5, 1]
