"""What is left when a process dies: every commit, byte for byte, and a store that goes on."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import kills
import numpy as np
import pytest
import recording_child
import stores
import zarr

from ltc.errors import RecorderStateError, StoreNotFoundError
from ltc.store import open_store
from ltc.store.files import LocalFiles
from ltc.store.writer import StoreWriter

KILLS = 50
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture
def record_until_killed():
    program = Path(recording_child.__file__)
    with subprocess.Popen(
        [sys.executable, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as nursery:

        def run(path, seed, number, delay):
            nursery.stdin.write(f"{path} {seed} {number} {delay}\n")
            nursery.stdin.flush()
            return nursery.stdout.readline().strip()

        yield run
        nursery.stdin.close()


def test_killed_at_random_moments(path, record_until_killed):
    """SIGKILL, fifty times, while one store is made, appended to, rewound and resumed."""
    random = np.random.default_rng(0)
    known = {}
    commits = 0
    for kill in range(KILLS):
        moment = int(random.integers(0, 8)), random.uniform(0, 0.03)
        said = record_until_killed(path, kill, *moment)
        possible = {int(number) for number in said.split()} if said != "unknown" else None
        known = kills.check_after_kill(path, known, possible, **recording_child.SIZES)
        commits += len(known)
    assert commits > KILLS, "the children hardly lived"
    with recording_child.open_writer(path) as writer:
        committed = writer.committed
        writer.append(committed, *stores.records(committed, **recording_child.SIZES))
    assert not list(path.rglob("*.partial"))
    kills.check_after_kill(path, known, {committed + 1}, **recording_child.SIZES)


def test_the_lock_ends_with_the_process_even_if_its_children_live(path):
    """A killed training leaves data loader workers for some seconds; a restart need not wait."""
    program = (
        "import os, sys, time, stores; from ltc.store.writer import StoreWriter\n"
        "writer = StoreWriter.create(sys.argv[1], **stores.arguments())\n"
        "writer.append(0, *stores.records(0))\n"
        "if os.fork() == 0: print(os.getpid(), flush=True); time.sleep(60); os._exit(0)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        try:
            with StoreWriter.resume(path, **stores.arguments()) as writer:
                writer.append(1, *stores.records(1))
            os.kill(child, 0)  # it was alive all the time
        finally:
            os.kill(child, signal.SIGKILL)
    stores.assert_holds(path, [0, 1])


def test_a_forked_child_can_not_write(path):
    with StoreWriter.create(path, **stores.arguments()) as writer:
        writer._directory.release()  # what happens to the child's copy
        with pytest.raises(RecorderStateError, match="belongs to the process that forked this one"):
            writer.append(0, *stores.records(0))


@pytest.fixture
def snapshots_of(path, tmp_path):
    """Copy the store after every single step that a writer takes."""

    def run(act):
        taken = []
        folder = tmp_path / str(len(list(tmp_path.iterdir())))

        def watched(step):
            def take(*arguments):
                step(*arguments)
                taken.append(shutil.copytree(path, folder / str(len(taken))))

            return take

        with pytest.MonkeyPatch.context() as patch:
            for name in ("replace", "remove"):
                patch.setattr(LocalFiles, name, watched(getattr(LocalFiles, name)))
            act()
        return taken

    return run


def states(snapshots):
    """What each snapshot holds, in their order, each state once."""
    found = []
    for snapshot in snapshots:
        try:
            checkpoints = open_store(snapshot).checkpoints.tolist()
        except StoreNotFoundError:
            checkpoints = []
        else:
            stores.assert_holds(snapshot, checkpoints)
        if found[-1:] != [checkpoints]:
            found.append(checkpoints)
    return found


def go_on(snapshot):
    """Do what a run that is started again does."""
    (snapshot / "commits/time/.writer").mkdir(parents=True, exist_ok=True)
    (snapshot / "commits/time/.writer/dead.partial").write_bytes(b"half a chunk")
    try:
        writer = StoreWriter.resume(snapshot, **stores.arguments())
    except StoreNotFoundError:
        writer = StoreWriter.create(snapshot, **stores.arguments())
    with writer:
        checkpoints = [*writer.checkpoints, 50]
        assert not list(snapshot.rglob("*.partial"))
        for split in ("train", "val"):
            array = zarr.open_array(snapshot / split / "losses", mode="r")
            assert array.shape[0] == writer.committed
            assert len(list(snapshot.glob(f"{split}/losses/c/*"))) == writer.committed
        writer.append(50, *stores.records(50))
    stores.assert_holds(snapshot, checkpoints)


OPERATIONS = {
    "append": (lambda writer: writer.append(3, *stores.records(3)), [[0, 1, 2], [0, 1, 2, 3]]),
    "extend": (
        lambda writer: writer.extend((c, *stores.records(c)) for c in (3, 4)),
        [[0, 1, 2], [0, 1, 2, 3, 4]],
    ),
    "rewind": (lambda writer: writer.rewind(0), [[0]]),
    "rewind all": (lambda writer: writer.rewind(-1), [[]]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_crash_between_any_two_steps(path, snapshots_of, operation):
    act, expected = OPERATIONS[operation]
    stores.write(path)
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        snapshots = snapshots_of(lambda: act(writer))
    assert states(snapshots) == expected
    for snapshot in snapshots:
        go_on(snapshot)


@pytest.mark.parametrize("over", ["nothing", "a store without a commit"])
def test_a_crash_while_a_store_is_made(path, snapshots_of, over):
    if over != "nothing":
        StoreWriter.create(path, num_train=3, num_val=4, val_ids=range(4)).close()
    arguments = stores.arguments(train_ids=range(11))
    snapshots = snapshots_of(lambda: StoreWriter.create(path, **arguments).close())
    assert states(snapshots) == [[]]
    for snapshot in snapshots:
        go_on(snapshot)


def test_a_crash_before_a_store_has_its_root(path):
    (path / "commits/time/.writer").mkdir(parents=True)
    go_on(path)


def test_a_crash_while_another_crash_is_cleaned_up(path, snapshots_of):
    stores.write(path)
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        *_, last, _ = snapshots_of(lambda: writer.append(3, *stores.records(3)))
    shutil.rmtree(path)
    shutil.copytree(last, path)  # everything but the number of commits
    snapshots = snapshots_of(lambda: StoreWriter.resume(path, **stores.arguments()).close())
    assert len(snapshots) > 10
    assert states(snapshots) == [[0, 1, 2]]
    for snapshot in snapshots:
        go_on(snapshot)


def test_no_file_is_ever_written_in_place(path, tmp_path):
    """Other names of the same files keep what they held."""
    stores.write(path)
    linked = shutil.copytree(path, tmp_path / "linked.zarr", copy_function=os.link)
    with StoreWriter.resume(path, **stores.arguments()) as writer:
        writer.append(3, *stores.records(3))
        writer.rewind(1)
        writer.append(7, *stores.records(7))
    stores.assert_holds(path, [0, 1, 7])
    stores.assert_holds(linked, [0, 1, 2])


@pytest.mark.parametrize("operation", ["create", "append", "rewind"])
def test_fsync_puts_everything_on_the_disk_before_the_root_names_it(path, monkeypatch, operation):
    """Files before their names, names before the root, the root before the call returns."""
    events = watch_disk(monkeypatch)
    writer = StoreWriter.create(path, **stores.arguments(), fsync=True)
    writer.append(0, *stores.records(0))
    if operation != "create":
        events.clear()
        writer.append(1, *stores.records(1))
    if operation == "rewind":
        events.clear()
        writer.rewind(0)
    writer.close()
    unsettled, synced = set(), set()
    for event, target in events:
        if event == "fsync":
            synced.add(target)
            unsettled.discard(target)
            continue
        source, destination = target
        assert source in synced
        if destination == path / "zarr.json" and operation != "rewind":
            assert not unsettled
        unsettled |= {destination.parent}
    assert not unsettled
    if operation == "create":
        assert {path, path.parent, path / "commits/time"} <= synced


def watch_disk(monkeypatch):
    events, fsync, replace = [], os.fsync, Path.replace

    def watched_fsync(descriptor):
        fsync(descriptor)
        events.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink()))

    def watched_replace(source, destination):
        replace(source, destination)
        events.append(("rename", (source, destination)))

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    return events


def test_without_fsync_nothing_waits_for_the_disk(path, monkeypatch):
    events = watch_disk(monkeypatch)
    stores.write(path)
    assert {event for event, _ in events} == {"rename"}


def test_readers_see_whole_commits_while_a_writer_goes_on(path):
    """Plain zarr too, at any moment: rows up to `committed` are there, as recorded."""
    stores.write(path, [0])
    stop = threading.Event()
    seen, wrong = set(), []

    def look():
        while not stop.is_set():
            store = open_store(path)
            root = zarr.open_group(path, mode="r")
            committed = root.attrs["ltc"]["committed"]
            expected = [stores.losses("train", c) for c in range(max(committed, store.committed))]
            right = np.array_equal(store.read("train"), expected[: store.committed])
            plain = root["train/losses"][:committed]
            if not (right and np.array_equal(plain, expected[:committed])):
                wrong.append(committed)
            seen.add(store.committed)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        with StoreWriter.resume(path, **stores.arguments()) as writer:
            for checkpoint in range(1, 40):
                writer.append(checkpoint, *stores.records(checkpoint))
    finally:
        stop.set()
        reader.join()
    assert not wrong
    assert len(seen) > 3
