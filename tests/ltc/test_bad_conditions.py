"""A full disk, chunks that vanish, too little memory, Ctrl-C: an error or all of it, never a part.

And whatever happens, the store stays what it was.
"""

import contextlib
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pytest

import ltc
import ltc.score_pass
import ltc.store.writer
from assertions import assert_scores_close
from ltc.cli import main
from ltc.errors import ArgumentValueError, StoreCorruptError, StoreNotFoundError
from ltc.store.scores import write_scores
from ltc.store.sweep import DecodingSweep, DirectSweep
from ltc_kernels import group_correlation

CHECKPOINTS, TRAIN, VAL, CLASSES = 8, 20_000, 60, 3
CHUNK = 4096  # samples: five chunks of train
LIMIT = 10_000  # bytes of a file: less than any result has, more than any metadata


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", CHUNK)
    rng = np.random.default_rng(0)
    train, val = (rng.random((CHECKPOINTS, size), np.float32) for size in (TRAIN, VAL))
    train[2, ::1000] = np.nan
    ltc.write_store(
        tmp_path / "run.zarr",
        train,
        val,
        train_labels=np.arange(TRAIN) % CLASSES,
        val_labels=np.arange(VAL) % CLASSES,
        train_ids=np.arange(TRAIN),
    )
    return tmp_path / "run.zarr"


@pytest.fixture
def call(capfd):
    """Run the command line in this process."""

    def command(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return command


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A disk that fills up


@contextlib.contextmanager
def full_disk():
    """Let the system refuse to write more than a little into any file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_scores_that_the_disk_has_no_room_for(run, call):
    with full_disk():
        status, out, err = call("score", run, "--save", "new")
    assert (status, out) == (2, "")
    assert err == f"ltc: {run}/scores/new: File too large\n"
    store = ltc.open_store(run)
    assert store.score_names() == []
    assert store.verify().ok


def test_scores_that_are_there_stay_when_the_disk_is_full(run, call):
    old = ltc.score(run, signal="loss", save="default")
    before = contents(run)
    with full_disk():
        status, out, err = call("score", run, "--save", "default")
    assert (status, out) == (2, "")
    assert "File too large" in err
    assert contents(run) == before
    np.testing.assert_array_equal(ltc.load_scores(run, name="default").values, old.values)


# NumPy 2.0 leaves its archive to be closed when it is collected, which a full disk refuses again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("before", [None, b"what was there"])
@pytest.mark.parametrize(
    ("command", "options", "suffix"),
    [
        ("score", [], "npz"),
        ("select", ["--fraction", "1"], "npy"),
        ("select", ["--fraction", "1"], "txt"),
        ("select", ["--fraction", "1"], "csv"),
    ],
)
def test_files_that_the_disk_has_no_room_for(run, tmp_path, call, command, options, suffix, before):
    folder = tmp_path / "results"
    folder.mkdir()
    path = folder / f"result.{suffix}"
    if before is not None:
        path.write_bytes(before)
    files, chunks = contents(folder), contents(run)
    with full_disk():
        status, out, err = call(command, run, *options, "-o", path)
    assert status == 2
    assert err == f"ltc: {path}: File too large\n"
    assert "written" not in out
    assert contents(folder) == files
    assert contents(run) == chunks


def test_a_plot_that_the_disk_has_no_room_for(run, tmp_path, call):
    pytest.importorskip("matplotlib")
    path = tmp_path / "query.png"
    with full_disk():
        status, out, err = call("neighbors", run, "--query", 3, "--plot", path)
    assert status == 2
    assert err == f"ltc: {path}: File too large\n"
    assert "written" not in out
    assert list(tmp_path.iterdir()) == [run]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")  # noqa: PTH110
def test_output_that_the_disk_has_no_room_for(run):
    command = [sys.executable, "-m", "ltc", "info", str(run)]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "ltc: [Errno 28] No space left on device\n"


# Chunks that vanish while they are read


def without(run, key):
    path = run / key
    shutil.rmtree(path) if path.is_dir() else path.unlink()


LOST = [  # what vanishes, how many losses that were recorded are gone with it
    ("train/losses/c/3/1", {"train": CHUNK, "val": 0}),
    ("train/losses/c/3/4", {"train": TRAIN - 4 * CHUNK, "val": 0}),
    ("train/losses/c/5", {"train": TRAIN, "val": 0}),
    ("val/losses/c/0/0", {"train": 0, "val": VAL}),
]


@pytest.mark.parametrize(("key", "lost"), LOST)
def test_losses_that_vanish_after_opening_are_missing_and_told_of(run, key, lost):
    store = ltc.open_store(run)
    recorded = {split: store.read(split) for split in ("train", "val")}
    without(run, key)
    split = key.partition("/")[0]
    with pytest.warns(UserWarning, match=f"at least {lost[split]:,} losses of {split} that were"):
        scores = ltc.score(store, save="mine")
    _, _, _, row, *chunks = key.split("/")
    first = CHUNK * int(chunks[0]) if chunks else 0
    recorded[split][int(row), first : first + lost[split]] = np.nan
    labels = store.labels("val")
    means = [recorded["val"][:, labels == c].mean(axis=1, dtype=float) for c in range(3)]
    expected = group_correlation(
        recorded["train"], np.stack(means), store.labels("train"), signal="difference"
    )
    assert_scores_close(scores.values, expected, backend="cpu")
    # Who loads them later, or reads their summary, knows it too.
    assert ltc.load_scores(run, name="mine").metadata["lost"] == lost
    assert f"{split} lost" in scores.summary()


def test_nothing_is_lost_where_nothing_was_recorded(run):
    scores = ltc.score(run)
    assert scores.metadata["missing"]["train"] == 20
    assert scores.metadata["lost"] == {"train": 0, "val": 0}
    assert "lost" not in scores.summary()


@pytest.mark.parametrize("kind", [DirectSweep, DecodingSweep])
def test_losses_that_vanish_between_two_tiles(run, monkeypatch, kind):
    if kind is DecodingSweep:
        monkeypatch.setattr(ltc.store.pipeline.DirectReader, "of", lambda *_: None)
    whole = ltc.score(run)
    read, gone, seen = kind.read, threading.Event(), []

    def remove_and_read(sweep, number, out):
        if number:
            assert gone.wait(10)
        missing = read(sweep, number, out)
        if not number:
            without(run, "train/losses/c/4/4")
            gone.set()
        seen.append(out.shape[1])
        return missing

    monkeypatch.setattr(kind, "read", remove_and_read)
    with pytest.warns(UserWarning, match="at least 3,616 losses of train that were recorded"):
        scores = ltc.score(run)
    assert sorted(seen) == [3616] + [CHUNK] * 4
    np.testing.assert_array_equal(scores.values[: 4 * CHUNK], whole.values[: 4 * CHUNK])
    assert (scores.values[4 * CHUNK :] != whole.values[4 * CHUNK :]).mean() > 0.99


@pytest.mark.parametrize(
    "ask",
    [
        ltc.stability,
        lambda store: ltc.neighbors(store, [3, 4, 3]),
        lambda store: ltc.correlation(store, [3, 3], np.r_[CHUNK : 2 * CHUNK, CHUNK]),
    ],
)
def test_whoever_reads_lost_losses_is_told(run, ask):
    store = ltc.open_store(run)
    ask(store)  # does not warn
    without(run, "train/losses/c/3/1")
    with pytest.warns(UserWarning, match="losses of train that were recorded are lost"):
        ask(store)


@pytest.mark.parametrize("key", ["train/labels/c/0", "val/labels/c/0", "train/ids/c/0"])
def test_labels_and_ids_that_vanish_after_opening_are_an_error(run, call, key):
    store = ltc.open_store(run)
    without(run, key)
    with pytest.raises(StoreCorruptError, match=f"{key}: the chunk is lost"):
        ltc.score(store, save="mine")
    status, out, err = call("score", run, "--save", "mine")
    assert (status, out, err) == (2, "", f"ltc: {key}: the chunk is lost\n")
    assert ltc.open_store(run).score_names() == []


@pytest.mark.parametrize("key", ["train/labels/c/0", "train/ids/c/0"])
def test_labels_and_ids_that_vanish_while_they_are_read_are_an_error(run, monkeypatch, key):
    store = ltc.open_store(run)
    opened = os.open

    def remove_and_open(path, *arguments):
        if str(path) == str(run / key):
            without(run, key)
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", remove_and_open)
    with pytest.raises(StoreCorruptError, match=f"{key}: the chunk is lost"):
        ltc.score(store, save="mine")
    assert ltc.open_store(run).score_names() == []


def test_a_store_that_vanishes_after_opening_is_an_error(run):
    store = ltc.open_store(run)
    shutil.rmtree(run)
    with pytest.raises(StoreNotFoundError, match=r"run\.zarr: there is no such store"):
        ltc.score(store, save="mine")
    assert not run.exists()


# A memory limit that is too small


def test_less_memory_means_smaller_tiles_and_the_same_scores(run, monkeypatch):
    monkeypatch.setattr(ltc.score_pass, "WORKSPACE", 0)
    widths = []
    share = ltc.score_pass.share_tiles

    def watched(store, rows, tiling, *others):
        widths.append(tiling.width)
        share(store, rows, tiling, *others)

    monkeypatch.setattr(ltc.score_pass, "share_tiles", watched)
    whole = ltc.score(run)
    for limit in ("1MB", "600kB", "300kB"):
        np.testing.assert_array_equal(ltc.score(run, memory_limit=limit).values, whole.values)
    assert widths[0] == CHUNK
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < CHUNK / 2


@pytest.mark.parametrize("reference", ["class-mean", "mean", "class-pairs", "pairs"])
def test_less_memory_than_a_tile_takes_is_refused(run, call, reference):
    before = contents(run)
    options = "--reference", reference, "--save", "mine"
    status, out, err = call("score", run, *options, "--memory-limit", "100kB")
    assert (status, out) == (2, "")
    assert err.startswith("ltc: memory_limit must hold the references and a tile of 1024 samples")
    assert err.endswith(" MB more than it does\n")
    assert contents(run) == before


def test_stability_with_less_memory_than_a_tile_takes_is_refused(run):
    with pytest.raises(ArgumentValueError, match=r"memory_limit must hold .* more than it does"):
        ltc.stability(run, memory_limit="20kB")


# An interrupt

# Ctrl-C while Python runs a generated text, as Numba makes them, ends it by the signal itself.
STATUS = 130, -signal.SIGINT  # which a shell shows as 130
LONG = 6_000  # validation samples; with as many gaps, to compare them all takes half a minute


@pytest.fixture
def long_run(tmp_path):
    """A store whose scoring against every pair takes much longer than any test waits."""
    rng = np.random.default_rng(0)
    train, val = (rng.random((20, size), np.float32) for size in (100_000, LONG))
    train[7], val[9, ::2] = np.nan, np.nan
    train[7, 0] = 1
    path = tmp_path / "long.zarr"
    ltc.write_store(path, train, val)
    write_scores(path, "old", np.zeros(100_000, np.float32), {})
    return path


@contextlib.contextmanager
def started(*command, **streams):
    """A process that an interrupt reaches, even where those who started the tests ignore it."""
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **streams,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_ends_the_command_and_leaves_nothing(long_run, tmp_path):
    before = contents(long_run)
    output = tmp_path / "scores.npz"
    options = "--reference", "pairs", "--save", "mine", "-o", output
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))  # without a width there is no progress bar
    with started(
        "-m", "ltc", "score", long_run, *options, stdout=subprocess.PIPE, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = os.read(controller, 4096)
        while b"score:" not in shown:  # the progress bar: it is at work
            shown += os.read(controller, 4096)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) in STATUS
        with contextlib.suppress(OSError):  # Linux: the other side is closed
            while more := os.read(controller, 4096):
                shown += more
        out = process.stdout.read()
    os.close(controller)
    text = shown.decode().replace("\r", "\n")
    assert text.rstrip().endswith("\nltc: interrupted")
    assert "Traceback" not in text
    assert "Exception" not in text
    assert out == b""
    assert not output.exists()
    assert contents(long_run) == before
    assert ltc.open_store(long_run).verify().ok


def test_an_interrupt_of_score_saves_nothing(long_run):
    before = contents(long_run)
    program = (
        "import sys, ltc; from ltc import score_pass\n"
        "ltc.score(sys.argv[1], reference='pairs', checkpoints=slice(4))\n"  # compiles
        "share = score_pass.share_tiles\n"
        "def told(*arguments):\n"
        "    print('reading', flush=True)\n"
        "    share(*arguments)\n"
        "score_pass.share_tiles = told\n"
        "try: ltc.score(sys.argv[1], reference='pairs', save='old')\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)\n"
    )
    with started("-c", program, long_run, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"reading\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == b"interrupted\n"
    assert contents(long_run) == before
    assert ltc.open_store(long_run).verify().ok
