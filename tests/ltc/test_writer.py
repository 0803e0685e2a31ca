"""Writing: arguments, order of commits, resuming, rewinding, one writer, a full disk."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import stores
import zarr

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    RecorderStateError,
    StoreCorruptError,
    StoreExistsError,
    StoreFormatError,
    StoreLockedError,
    StoreMismatchError,
    StoreNotFoundError,
)
from ltc.store import open_store
from ltc.store.commits import SplitCommit, SplitRecord
from ltc.store.files import LocalFiles
from ltc.store.writer import StoreWriter


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def create(path, **others):
    return StoreWriter.create(path, **stores.arguments(**others))


def resume(path, **others):
    return StoreWriter.resume(path, **stores.arguments(**others))


def test_commits_one_after_another(path):
    with create(path) as writer:
        for checkpoint in (-1.5, 0, 7):
            writer.append(checkpoint, *stores.records(checkpoint))
        assert writer.path == str(path)
        assert (writer.committed, writer.checkpoints) == (3, [-1.5, 0.0, 7.0])
    stores.assert_holds(path, [-1.5, 0, 7])


def test_more_commits_than_one_chunk_of_records(path, monkeypatch):
    monkeypatch.setattr("ltc.store.format.CHUNK_CHECKPOINTS", 4)
    monkeypatch.setattr("ltc.store.writer.CHUNK_CHECKPOINTS", 4)
    with create(path) as writer:
        for checkpoint in range(6):
            writer.append(checkpoint, *stores.records(checkpoint))
    with resume(path) as writer:
        writer.extend((c, *stores.records(c)) for c in range(6, 13))
        stores.assert_holds(path, range(13))
        writer.rewind(8)
        stores.assert_holds(path, range(9))
        assert not list(path.glob("commits/time/c/3"))
        writer.append(9, *stores.records(9))
    stores.assert_holds(path, range(10))


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_compression(path, compression):
    with create(path, compression=compression) as writer:
        writer.append(0, *stores.records(0))
    stores.assert_holds(path, [0])
    assert open_store(path).compression == compression
    with resume(path, compression=compression) as writer:
        writer.append(1, *stores.records(1))
    stores.assert_holds(path, [0, 1])


def test_a_checkpoint_that_no_sample_was_seen_at(path):
    nothing = stores.record(np.full(stores.NUM_VAL, np.nan), mode="none")
    with create(path) as writer:
        writer.append(0, stores.record(stores.losses("train", 0)), nothing)
    store = open_store(path)
    assert np.isnan(store.read("val")).all()
    assert store.commits[0].val.mode == "none"
    assert store.verify().ok  # its chunks are there, so that a lost one is known


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_train": 11.0}, ArgumentTypeError, "num_train must be an integer, got float"),
        ({"num_val": True}, ArgumentTypeError, "num_val must be an integer, got bool"),
        ({"num_train": 0}, ArgumentValueError, "num_train must be at least 1, got 0"),
        (
            {"train_labels": np.zeros(10, int)},
            ArgumentValueError,
            r"train_labels must have one entry per sample, shape \(11,\), got shape \(10,\)",
        ),
        ({"val_labels": np.zeros((5, 1), int)}, ArgumentValueError, r"got shape \(5, 1\)"),
        (
            {"val_labels": np.zeros(5)},
            ArgumentTypeError,
            "val_labels must be integers, got float64",
        ),
        ({"val_labels": [True] * 5}, ArgumentTypeError, "val_labels must be integers, got bool"),
        ({"val_labels": ["a"] * 5}, ArgumentTypeError, "val_labels must be integers, got <U1"),
        (
            {"val_labels": [0, 1, -1, 0, -2]},
            ArgumentValueError,
            r"val_labels must lie in 0\.\.2147483646, got -1 at sample 2",
        ),
        ({"val_labels": [0, 1, 2**31 - 1, 0, 0]}, ArgumentValueError, "got 2147483647 at sample 2"),
        (
            {"val_labels": np.full(5, 2**63, np.uint64)},
            ArgumentValueError,
            "got 9223372036854775808",
        ),
        (
            {"val_labels": None},
            ArgumentValueError,
            "train_labels and val_labels must be given together, got only train_labels",
        ),
        ({"train_labels": None}, ArgumentValueError, "got only val_labels"),
        ({"train_ids": range(10)}, ArgumentValueError, r"train_ids .* shape \(11,\)"),
        (
            {"val_ids": np.zeros(5)},
            ArgumentTypeError,
            "val_ids must be integers or strings, got float",
        ),
        (
            {"val_ids": np.full(5, 2**63, np.uint64)},
            ArgumentValueError,
            "val_ids must fit into int64",
        ),
        (
            {"val_ids": np.array(["a", 1, "b", "c", "d"], object)},
            ArgumentTypeError,
            "val_ids must all be integers or all be strings, got int at sample 1",
        ),
        (
            {"val_ids": ["a", "b", os.fsdecode(b"n\xff.jpg"), "c", "d"]},
            ArgumentValueError,
            r"val_ids must be text that UTF-8 can hold, got 'n\\udcff.jpg' at sample 2",
        ),
        (
            {"compression": "gzip"},
            ArgumentValueError,
            "compression must be None or 'zstd', got 'gzip'",
        ),
    ],
)
def test_bad_arguments_leave_nothing_behind(path, change, error, message):
    for start in (create, resume):
        with pytest.raises(error, match=message):
            start(path, **change)
        assert not path.exists()


def test_only_paths_are_written_to(path):
    for store in (zarr.storage.MemoryStore(), zarr.storage.LocalStore(path)):
        message = f"other zarr stores can't be, got {type(store).__name__}"
        with pytest.raises(ArgumentTypeError, match=message):
            create(store)
    assert not path.exists()
    with create(str(path)) as writer:
        assert writer.path == str(path)


@pytest.mark.parametrize(
    ("checkpoint", "error", "message"),
    [
        (1, ArgumentValueError, "checkpoint must be larger than the last one, 1, got 1"),
        (0.5, ArgumentValueError, "checkpoint must be larger than the last one, 1, got 0.5"),
        (np.nan, ArgumentValueError, "checkpoint must be finite, got nan"),
        (np.float32(np.inf), ArgumentValueError, "checkpoint must be finite, got inf"),
        ("2", ArgumentTypeError, "checkpoint must be a number, got str"),
        (True, ArgumentTypeError, "checkpoint must be a number, got bool"),
        (None, ArgumentTypeError, "checkpoint must be a number, got NoneType"),
    ],
)
def test_checkpoints_increase(path, checkpoint, error, message):
    with create(path) as writer:
        writer.append(np.int64(1), *stores.records(1))
        with pytest.raises(error, match=message):
            writer.append(checkpoint, *stores.records(2))
        writer.append(np.float32(2), *stores.records(2))
    stores.assert_holds(path, [1, 2])


def test_records_must_fit_the_store(path):
    train, val = stores.records(0)
    wrong = [
        (stores.record(np.ones(12)), ArgumentValueError, r"train.losses .* \(11,\), got \(12,\)"),
        (stores.record(np.ones((1, 11))), ArgumentValueError, r"got \(1, 11\)"),
        (
            type(train)(np.ones(11), 11, 0, 0, 0, "training"),
            ArgumentTypeError,
            "train.losses must be a float16 array, got float64",
        ),
        (
            type(train)([1.0] * 11, 11, 0, 0, 0, "training"),
            ArgumentTypeError,
            "train.losses must be a float16 array, got list",
        ),
        (
            type(train)(train.losses, 12, 0, 0, 0, "training"),
            ArgumentValueError,
            r"train.observed must lie in 0\.\.11, got 12",
        ),
        (
            type(train)(train.losses, 11, 0, 0, 0, "test"),
            ArgumentValueError,
            "train.mode must be one of .*, got 'test'",
        ),
    ]
    with create(path) as writer:
        for record, error, message in wrong:
            with pytest.raises(error, match=message):
                writer.append(0, record, val)
        writer.append(0, train, val)
    stores.assert_holds(path, [0])


def test_several_commits_at_once_are_all_there_or_none(path):
    rows = [(c, *stores.records(c)) for c in range(4)]
    with create(path) as writer:
        writer.append(*rows[0])
        with pytest.raises(ArgumentValueError, match="larger than the last one, 2, got 1"):
            writer.extend([rows[1], rows[2], rows[1]])
        assert writer.checkpoints == [0]
        stores.assert_holds(path, [0])
        writer.extend(iter(rows[1:]))
        writer.extend([])
    stores.assert_holds(path, range(4))


def blocks(record, width):
    """A record in blocks of so many samples, each with counts and a mode of its own."""
    for begin in range(0, record.losses.size, width):
        losses = record.losses[begin : begin + width]
        yield SplitRecord(losses, losses.size, 1, 1, 0, record.mode)


def test_a_split_may_come_in_blocks(path, monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 4)
    train, val = stores.records(0)
    with create(path) as writer:
        assert writer.block_samples == 4
        commit = writer.append(0, blocks(train, 4), blocks(val, 4))
    stores.assert_holds(path, [0])
    assert open_store(path).commits == (commit,)
    assert commit.train == SplitCommit(11, 3, 3, 0, "training")
    assert commit.val == SplitCommit(5, 2, 2, 0, "training")


def test_blocks_must_fit_the_store(path, monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 4)
    train, val = stores.records(0)
    mixed = [*blocks(train, 4)]
    mixed[1] = replace(mixed[1], mode="evaluation")
    wrong = [
        (blocks(train, 3), r"train\.losses .* shape \(4,\), got \(3,\)"),
        ([*blocks(train, 4)][:2], "train must have 11 samples, got 8 in blocks"),
        ([*blocks(train, 4)] * 2, r"train\.losses .* shape \(0,\), got \(4,\)"),
        (mixed, r"train\.mode must be the same throughout, got \['evaluation', 'training'\]"),
    ]
    with create(path) as writer:
        for losses, message in wrong:
            with pytest.raises(ArgumentValueError, match=message):
                writer.append(0, losses, val)
        assert writer.committed == 0
        writer.append(0, train, val)
    stores.assert_holds(path, [0])


def test_create_refuses_a_store_with_commits(path):
    stores.write(path)
    with pytest.raises(StoreExistsError, match="there is a store with commits already; resume it"):
        create(path)
    stores.assert_holds(path, [0, 1, 2])


def test_create_replaces_a_store_without_commits(path):
    create(path, train_ids=np.arange(11), compression="zstd").close()
    arguments = {"num_train": 7, "num_val": 2, "val_ids": ["x", "y"]}
    with StoreWriter.create(path, **arguments) as writer:
        writer.append(3, *stores.records(3, train=7, val=2))
    store = open_store(path)
    assert (store.labels("train"), store.ids("train"), store.compression) == (None, None, None)
    assert store.ids("val").tolist() == ["x", "y"]
    assert store.read("train").shape == (1, 7)
    assert not (path / "train" / "labels").exists()


def test_create_touches_nothing_else(tmp_path):
    kept = tmp_path / "thesis.txt"
    kept.write_text("text")
    with pytest.raises(
        StoreFormatError, match=r"no zarr\.json; a new store is not put in its place"
    ):
        create(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    with pytest.raises(StoreFormatError, match="a new store is not put in its place"):
        create(kept)
    zarr.create_group(tmp_path / "other", attributes={"a": 1})
    with pytest.raises(StoreFormatError, match="but no ltc store"):
        create(tmp_path / "other")
    assert dict(zarr.open_group(tmp_path / "other", mode="r").attrs) == {"a": 1}


def test_an_empty_directory_can_become_a_store(path):
    path.mkdir()
    with pytest.raises(StoreNotFoundError):
        resume(path)
    create(path).close()
    assert (path / "zarr.json").exists()


def test_resume_needs_a_commit(path):
    with pytest.raises(StoreNotFoundError, match="there is no such store"):
        resume(path)
    assert not path.exists()
    create(path).close()
    with pytest.raises(StoreNotFoundError, match="the store has no first commit"):
        resume(path)


def test_resume_goes_on_where_it_was(path):
    ids = {"train_ids": [f"image {i}" for i in range(11)], "val_ids": np.arange(5)}
    stores.write(path, **ids)
    with resume(path, **ids) as writer:
        assert (writer.committed, writer.checkpoints) == (3, [0, 1, 2])
        with pytest.raises(ArgumentValueError, match="larger than the last one, 2, got 2"):
            writer.append(2, *stores.records(2))
        writer.append(3, *stores.records(3))
    stores.assert_holds(path, range(4))
    assert open_store(path).ids("train").tolist() == ids["train_ids"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"num_train": 12, "train_labels": np.arange(12) % 3, "train_ids": range(12)},
            "num_train must be that of .*, 11, got 12",
        ),
        (
            {"train_labels": np.r_[stores.LABELS["train"][:-1], 2]},
            "train_labels must be those of .*, 1 at sample 10, got 2",
        ),
        ({"train_labels": None, "val_labels": None}, "which has some, got none"),
        ({"train_ids": None}, "train_ids must be those of .*, which has some, got none"),
        ({"train_ids": np.arange(1, 12)}, "train_ids must be those of .*, 0 at sample 0, got 1"),
        (
            {"train_ids": list("abcdefghijk")},
            "train_ids must be those of .*, int64, got StringDType",
        ),
        (
            {"val_ids": ["v", "w"] * 2 + ["x"]},
            "val_ids must be those of .*, which has none, got some",
        ),
        ({"compression": "zstd"}, "compression must be that of .*, None, got 'zstd'"),
    ],
)
def test_resume_refuses_another_run(path, change, message):
    stores.write(path, train_ids=np.arange(11))
    with pytest.raises(StoreMismatchError, match=message):
        resume(path, **{"train_ids": np.arange(11), **change})
    resume(path, train_ids=np.arange(11)).close()  # the lock was given back


def test_resume_refuses_damaged_labels_and_records(path):
    stores.write(path)
    (path / "commits" / "time" / "c" / "0").write_bytes(b"")
    with pytest.raises(StoreCorruptError, match="commits/time/c/0: the chunk was changed"):
        resume(path)
    (path / "val" / "labels" / "c" / "0").unlink()
    with pytest.raises(StoreCorruptError, match="val/labels/c/0: the chunk is lost"):
        resume(path)


def test_resume_keeps_what_users_have_added(path):
    stores.write(path)
    zarr.open_group(path, mode="r+").attrs["note"] = "mine"
    zarr.open_array(path / "train" / "losses", mode="r+").attrs["unit"] = "nat"
    with resume(path) as writer:
        writer.append(3, *stores.records(3))
    assert zarr.open_group(path, mode="r").attrs["note"] == "mine"
    assert zarr.open_array(path / "train" / "losses", mode="r").attrs["unit"] == "nat"
    stores.assert_holds(path, range(4))


@pytest.mark.parametrize(("to", "kept"), [(5, 3), (2, 3), (1.5, 2), (0, 1), (-1, 0)])
def test_rewind(path, to, kept):
    stores.write(path)
    with resume(path) as writer:
        writer.rewind(to)
        assert writer.checkpoints == [0, 1, 2][:kept]
        if kept:
            stores.assert_holds(path, range(kept))
        else:
            with pytest.raises(StoreNotFoundError, match="the store has no first commit"):
                open_store(path)
        assert len(list(path.glob("train/losses/c/*"))) == kept
        writer.append(7, *stores.records(7))
    stores.assert_holds(path, [*range(kept), 7])


def test_rewind_takes_a_number(path):
    with create(path) as writer:
        with pytest.raises(ArgumentTypeError, match="to must be a number, got str"):
            writer.rewind("1")
        with pytest.raises(ArgumentValueError, match="to must be finite, got nan"):
            writer.rewind(np.nan)


def test_rewind_changes_the_revision_and_appending_does_not(path):
    stores.write(path)
    revisions = [open_store(path).revision]
    with resume(path) as writer:
        writer.append(3, *stores.records(3))
        revisions.append(open_store(path).revision)
        writer.rewind(9)
        revisions.append(open_store(path).revision)
        writer.rewind(2)
        revisions.append(open_store(path).revision)
    assert len(set(revisions[:3])) == 1
    assert revisions[3] != revisions[0]


def test_a_closed_writer_writes_nothing(path):
    writer = create(path)
    writer.append(0, *stores.records(0))
    writer.close()
    writer.close()
    with pytest.raises(RecorderStateError, match="the writer is closed"):
        writer.append(1, *stores.records(1))
    with pytest.raises(RecorderStateError, match="the writer is closed"):
        writer.rewind(-1)
    stores.assert_holds(path, [0])


def test_a_second_writer_is_refused(path):
    first = create(path)
    for start in (create, resume):
        if start is resume:
            first.append(0, *stores.records(0))
        with pytest.raises(StoreLockedError, match="open for writing already"):
            create(path) if start is create else resume(path)
    first.append(1, *stores.records(1))
    first.close()
    with resume(path) as writer:
        writer.append(2, *stores.records(2))
    stores.assert_holds(path, [0, 1, 2])


def test_a_writer_in_another_process_is_refused(path):
    program = (
        "import sys, stores\n"
        "from ltc.errors import StoreLockedError; from ltc.store.writer import *\n"
        "try: StoreWriter.resume(sys.argv[1], **stores.arguments())\n"
        "except StoreLockedError as error: print(error)"
    )
    with create(path) as writer:
        writer.append(0, *stores.records(0))
        run = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
    assert run.stdout == f"{path} is open for writing already, here or in another process\n"


@pytest.mark.parametrize("operation", ["append", "extend", "rewind"])
def test_a_disk_that_is_full_at_any_moment(path, monkeypatch, operation):
    """Whichever file can't be written, the store is as before and the call can be repeated."""
    replace, left = LocalFiles.replace, [10**6]

    def replace_or_fail(files, key, data):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device", key)
        left[0] -= 1
        replace(files, key, data)

    def act(writer):
        if operation == "append":
            writer.append(3, *stores.records(3))
        elif operation == "extend":
            writer.extend((c, *stores.records(c)) for c in (3, 4))
        else:
            writer.rewind(1)

    before, after = [0, 1, 2], {"append": [0, 1, 2, 3], "extend": range(5), "rewind": [0, 1]}
    monkeypatch.setattr(LocalFiles, "replace", replace_or_fail)
    template = stores.write(path)
    failures = 0
    while True:
        target = shutil.copytree(template, path.with_name(f"{failures}.zarr"))
        with resume(target) as writer:
            left[0] = failures
            try:
                act(writer)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017  (the last has none)
                left[0] = 10**6
                expected = [c for c in before if c in (writer.checkpoints)]
                assert writer.checkpoints in (before, list(after[operation]))
                stores.assert_holds(target, expected)
                act(writer)
                stores.assert_holds(target, after[operation])
                failures += 1
                continue
            finally:
                left[0] = 10**6
            break
    assert failures >= 14  # the root, and the lengths of thirteen arrays


def test_a_file_size_limit(path):
    """A real refusal by the system, in the middle of a chunk."""
    size = 100_000
    arguments = {"num_train": size, "num_val": 5}
    with StoreWriter.create(path, **arguments) as writer:
        writer.append(0, *stores.records(0, train=size))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                writer.append(1, *stores.records(1, train=size))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list(path.rglob("*.partial"))
        np.testing.assert_array_equal(
            open_store(path).read("train")[0], stores.losses("train", 0, size)
        )
        writer.append(1, *stores.records(1, train=size))
    assert open_store(path).read("train").shape == (2, size)


def test_an_interrupted_commit_is_not_taken_for_none(path, monkeypatch):
    """Control-C just after the root was replaced: the commit has happened, and the writer knows."""
    replace = LocalFiles.replace

    def interrupt(files, key, data):
        replace(files, key, data)
        if key == "zarr.json":
            raise KeyboardInterrupt

    with create(path) as writer:
        monkeypatch.setattr(LocalFiles, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.append(0, *stores.records(0))
        monkeypatch.undo()
        assert writer.checkpoints == [0]
        writer.append(1, *stores.records(1))
    stores.assert_holds(path, [0, 1])
