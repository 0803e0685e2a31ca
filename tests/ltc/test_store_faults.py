"""Faults of a disk: garbage for metadata, a full file system, one that can't be written to."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stores
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore

import ltc
from ltc.cli import main
from ltc.errors import StoreError, StoreFormatError
from ltc.store import open_store
from ltc.store.format import parse_root
from ltc.store.writer import StoreWriter

ARRAYS = ["train/losses", "train/checkpoint", "val/labels", "commits/time"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return stores.write(tmp_path_factory.mktemp("store") / "run.zarr", train_ids=range(11))


def damages(data):
    """Every way to cut some bytes off, and to change one of them, that is tried."""
    for position in range(len(data)):
        yield data[:position]
        for new in {data[position] ^ 1, ord("9"), ord('"'), ord("}"), 0xFF} - {data[position]}:
            yield data[:position] + bytes([new]) + data[position + 1 :]
    yield data + b"}"
    yield data * 2
    yield b"[" * 100_000


def test_a_damaged_root_is_refused_or_says_the_same(written):
    """Not one byte can be another, or missing, so that other commits are read than were made."""
    data = (written / "zarr.json").read_bytes()
    header, _ = parse_root(data, "run")
    refused = harmless = 0
    for damaged in damages(data):
        try:
            found, _ = parse_root(damaged, "run")
        except StoreFormatError:
            refused += 1
        else:
            assert found == header
            harmless += 1
    assert refused > 1000
    assert harmless < refused / 10  # spaces, and the name of the checksum


@pytest.mark.parametrize("array", ARRAYS)
def test_damaged_metadata_of_an_array_are_refused_or_say_the_same(written, array):
    objects = {
        str(file.relative_to(written)): file.read_bytes()
        for file in written.rglob("*")
        if file.is_file()
    }
    key = f"{array}/zarr.json"

    def read(data):
        changed = {name: Buffer.from_bytes(each) for name, each in {**objects, key: data}.items()}
        store = open_store(MemoryStore(changed))
        commits = [(c.checkpoint, c.time, c.train, c.val) for c in store.commits]
        arrays = [store.read("train"), store.read("val"), store.labels("val"), store.checkpoints]
        return commits, [values.tolist() for values in arrays]

    expected = read(objects[key])
    refused = 0
    for number, damaged in enumerate(damages(objects[key])):
        if number % 23 and len(damaged) < 10_000:
            continue  # each of them takes milliseconds
        try:
            found = read(damaged)
        except StoreFormatError:
            refused += 1
        else:
            assert found == expected
    assert refused > 50


def test_a_store_of_an_earlier_version_has_no_checksum_of_its_attribute(tmp_path):
    path = stores.write(tmp_path / "run.zarr")
    root = path / "zarr.json"
    document = json.loads(root.read_text())
    assert document["attributes"]["ltc"].pop("crc32") > 0
    root.write_text(json.dumps(document))
    stores.assert_holds(path, [0, 1, 2])
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        writer.append(3, *stores.records(3))
    assert "crc32" in json.loads(root.read_text())["attributes"]["ltc"]


# File systems of their own, where the system lets tests have some


def in_a_namespace(folder, mount, program):
    """Run Python with a file system mounted in it that nobody else sees."""
    script = f'{mount} && exec "$0" -c "$1" "$2"'
    command = ["unshare", "-rm", "sh", "-c", script, sys.executable, program, str(folder)]
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )


@pytest.fixture(scope="module")
def _namespaces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mount")
    try:
        done = in_a_namespace(folder, f"mount -t tmpfs -o size=1m none {folder}", "")
    except FileNotFoundError:
        pytest.skip("needs unshare, for file systems of its own")
    if done.returncode:
        pytest.skip(f"the system gives no file systems to tests: {done.stderr.strip()}")


@pytest.mark.usefixtures("_namespaces")
def test_a_file_system_that_can_not_be_written_to(tmp_path):
    """Everything is read; whatever would write says that it can't, and where."""
    path = stores.write(tmp_path / "run.zarr", range(5))
    program = """
import errno, sys
import numpy as np, stores, ltc
from ltc.cli import main
path = sys.argv[1] + "/run.zarr"
stores.assert_holds(path, range(5))
assert ltc.score(path).values.shape == (11,)
for command in ("info", "verify", "score"):
    assert main([command, path]) == 0
labels = {"train_labels": stores.LABELS["train"], "val_labels": stores.LABELS["val"]}
for place, start in (
    (path, lambda: ltc.Recorder(path, **labels, resume=True)),
    (sys.argv[1] + "/new.zarr", lambda: ltc.Recorder(sys.argv[1] + "/new.zarr", **labels)),
    (path, lambda: ltc.score(path, save="cld")),
):
    try:
        start()
    except OSError as error:
        assert (error.errno, error.filename) == (errno.EROFS, place), error
    else:
        raise AssertionError(place)
assert main(["score", path, "--save", "cld"]) == 2
"""
    mount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    done = in_a_namespace(tmp_path, mount, program)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"ltc: {path}: Read-only file system\n"
    stores.assert_holds(path, range(5))


@pytest.mark.usefixtures("_namespaces")
def test_a_file_system_that_fills_up(tmp_path):
    """Commits until there is no room: each that returned is there, and room lets it go on."""
    program = """
import errno, pathlib, sys
import numpy as np, stores
from ltc.errors import StoreError
from ltc.store import open_store
from ltc.store.writer import StoreWriter
folder = pathlib.Path(sys.argv[1])
sizes = {"train": 40_000, "val": 300}
ballast = folder / "ballast"
ballast.write_bytes(bytes(200_000))
path = folder / "run.zarr"
done = 0
with StoreWriter.create(path, num_train=sizes["train"], num_val=sizes["val"]) as writer:
    for checkpoint in range(1000):
        try:
            writer.append(checkpoint, *stores.records(checkpoint, **sizes))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            assert not isinstance(error, StoreError)
            break
        done += 1
    assert done > 3
    for _ in range(3):
        assert writer.committed == open_store(path).committed == done
        expected = [stores.losses("train", c, sizes["train"]) for c in range(done)]
        np.testing.assert_array_equal(open_store(path).read("train"), expected)
        assert open_store(path).verify().ok
        if ballast.exists():
            ballast.unlink()
            writer.append(checkpoint, *stores.records(checkpoint, **sizes))
            done += 1
print(done)
"""
    mount = f"mount -t tmpfs -o size=1m none {tmp_path}"
    done = in_a_namespace(tmp_path, mount, program)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_directory_that_refuses_the_lock_is_named(tmp_path, monkeypatch, number):
    """Also where tests get no file system of their own."""
    path = stores.write(tmp_path / "run.zarr")
    real = os.open

    def refuse(name, flags, *others, **more):
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), str(name))
        return real(name, flags, *others, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        StoreWriter.resume(path, **stores.arguments())
    assert (caught.value.filename, caught.value.errno) == (str(path), number)
    assert not isinstance(caught.value, StoreError)
    monkeypatch.undo()
    stores.assert_holds(path, [0, 1, 2])
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        writer.append(3, *stores.records(3))


def test_a_second_writer_is_refused_at_once_and_the_first_goes_on(tmp_path, capsys):
    path = tmp_path / "run.zarr"
    losses = np.arange(4.0)
    with ltc.Recorder(path, num_train=4, num_val=4) as recorder:
        for epoch in range(5):
            for split in ("train", "val"):
                recorder.update(split, range(4), losses=losses + epoch)
            recorder.commit(epoch)
            for resume in (True, False):
                with pytest.raises(StoreError):
                    ltc.Recorder(path, num_train=4, num_val=4, resume=resume)
    assert main(["verify", str(path)]) == 0
    assert open_store(path).committed == 5
    assert Path(path).is_dir()
    assert capsys.readouterr().err == ""
