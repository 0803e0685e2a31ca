"""The bar of a command that runs on a cluster, and Ctrl-C while it does."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time

import clusters
import numpy as np
import pytest
from clusters import PATIENCE, wait_until
from pair_cases import write
from score_cases import make
from team import ENVIRONMENT

import ltc
import ltc.store.writer
from ltc.cli import main
from ltc.cli.interrupts import INTERRUPTED
from ltc.store.parts import PartWriter

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")


class Terminal:
    """A command in a terminal of its own, and what it has shown there."""

    def __init__(self, *arguments):
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))  # a bar takes what there is
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ltc", *map(str, arguments)],
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=ENVIRONMENT,
        )
        os.close(slave)
        self._master = master
        self.shown = ""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self):
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(self._master, 4096):
                self.shown += data.decode()

    def wait_for(self, pattern):
        """Wait until what is shown has a pattern."""
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.shown)):
            assert self.process.poll() is None, self.shown
            assert time.monotonic() < until, self.shown
            time.sleep(0.02)
        return found

    def press_ctrl_c(self):
        """Send the signal to all that the command has begun, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self):
        """Wait for the end; the exit status and the last line that was shown."""
        status = self.process.wait(PATIENCE)
        self._reading.join(PATIENCE)
        return status, re.split(r"[\r\n]+", self.shown.rstrip())[-1]

    def close(self):
        """Leave nothing behind, whatever has happened."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self._reading.join(PATIENCE)
        os.close(self._master)


@pytest.fixture
def terminal():
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            started = Terminal(*arguments)
            stack.callback(started.close)
            return started

        yield start


def processes_of(session):
    """Return what is running of a session; what has ended and waits to be collected is not."""
    found = subprocess.run(
        ["ps", "-s", str(session), "-o", "stat=,args="], capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if not line.startswith("Z")]


def make_long(path, monkeypatch):
    """Write a store that takes a minute to score by pairs, in dozens of tasks."""
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 2_000)
    rng = np.random.default_rng(0)
    train, val = (rng.random((5, size), np.float32) for size in (100_000, 10_000))
    val[3, ::2] = np.nan  # pair by pair
    ltc.write_store(path, train, val)


def test_ctrl_c_ends_all_processes_and_tells_it_in_a_line(tmp_path, terminal, monkeypatch):
    run = tmp_path / "long.zarr"
    make_long(run, monkeypatch)
    command = terminal("score", run, "--reference", "pairs", "--workers", 2, "--save", "kept")
    command.wait_for(r"ltc: the cluster's dashboard: http://\S+/status\r\n")
    command.wait_for(r"score: +[1-9]\d?%")  # the bar follows the cluster
    assert len(processes_of(command.process.pid)) >= 3
    command.press_ctrl_c()
    assert command.end() == (INTERRUPTED, "ltc: interrupted")
    assert "Traceback" not in command.shown
    wait_until(lambda: not processes_of(command.process.pid))
    assert command.process.stdout.read() == b""
    (left,) = ltc.open_store(run).unfinished_scores()
    assert 0 < sum(each.stop - each.start for each in left.missing) < 100_000


def test_ctrl_c_while_the_cluster_starts(tmp_path, terminal):
    make(tmp_path / "run.zarr")
    command = terminal("score", tmp_path / "run.zarr", "--workers", 2)
    wait_until(lambda: "multiprocessing" in "".join(processes_of(command.process.pid)))
    command.press_ctrl_c()
    assert command.end() == (INTERRUPTED, "ltc: interrupted")
    wait_until(lambda: not processes_of(command.process.pid))


def test_ctrl_c_cancels_the_tasks_of_a_cluster_that_goes_on(tmp_path, terminal, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 20)
    run = tmp_path / "run.zarr"
    make(run)
    written, some, go_on, plain = [], threading.Event(), threading.Event(), PartWriter.write

    def wait_after_three(writer, begin, *arguments):
        if len(written) >= 3:
            some.set()
            assert go_on.wait(PATIENCE)
        part = plain(writer, begin, *arguments)
        written.append(begin)
        return part

    monkeypatch.setattr(PartWriter, "write", wait_after_three)
    with clusters.started(2, processes=False, protocol="tcp://") as client:
        address = client.scheduler.address
        command = terminal("score", run, "--scheduler", address, "--save", "kept")
        assert some.wait(PATIENCE)
        assert tasks_of(client)
        command.press_ctrl_c()
        assert command.end() == (INTERRUPTED, "ltc: interrupted")
        wait_until(lambda: not tasks_of(client))
        go_on.set()
        wait_until(lambda: clusters.is_idle(client))  # what workers were at, they have written
        assert len(client.nthreads()) == 2
        scores = ltc.score(run, save="kept", client=client)
    np.testing.assert_array_equal(scores.values, ltc.score(run).values)
    assert len(written) == len(set(written)), "none twice"


def tasks_of(client):
    """Return the tasks that a scheduler knows."""
    return client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))


@pytest.mark.parametrize("command", ["score", "neighbors", "select"])
def test_a_bar_for_the_cluster(tmp_path, client, command, monkeypatch, capsys):
    write(tmp_path / "run.zarr")
    ltc.score(tmp_path / "run.zarr", save="kept")
    rest = {
        "score": ["--save", "again"],
        "neighbors": ["--query", "3"],
        "select": ["--fraction", "0.1", "-o", str(tmp_path / "coreset")],
    }[command]
    address = client.scheduler.address
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([command, str(tmp_path / "run.zarr"), *rest, "--scheduler", address]) == 0
    shown = capsys.readouterr().err
    assert re.search(rf"{command}: +100%.* 260/260 ", shown)
    port = client.scheduler_info()["services"]["dashboard"]
    assert re.search(rf"^ltc: the cluster's dashboard: http://\S+:{port}/status\n", shown)
