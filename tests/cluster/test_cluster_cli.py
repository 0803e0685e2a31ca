"""``--scheduler`` and ``--workers``: clusters that commands give their work to, or start."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from types import ModuleType

import numpy as np
import pytest
from pair_cases import write
from score_cases import make

import ltc
from ltc.cli import clusters, main
from ltc.cli.interrupts import INTERRUPTED

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")


@pytest.fixture
def run(tmp_path):
    make(tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


def test_workers_of_this_machine_do_what_one_process_does(run, capsys):
    assert main(["score", str(run), "--workers", "2", "--save", "kept"]) == 0
    out, err = capsys.readouterr()
    assert f"kept in {run} as 'kept'" in out.splitlines()
    assert err.startswith("ltc: the cluster's dashboard: http://")
    assert err.count("\n") == 1
    kept = ltc.load_scores(run, "kept")
    np.testing.assert_array_equal(kept.values, ltc.score(run).values)


def test_a_scheduler_that_is_there(tmp_path, client, capsys):
    write(tmp_path / "run.zarr")
    command = ["neighbors", str(tmp_path / "run.zarr"), "--query", "3", "--k", "5"]
    assert main(command) == 0
    alone = capsys.readouterr().out
    assert main([*command, "--scheduler", client.scheduler.address]) == 0
    out, err = capsys.readouterr()
    assert out == alone
    port = client.scheduler_info()["services"]["dashboard"]
    assert re.fullmatch(rf"ltc: the cluster's dashboard: http://\S+:{port}/status\n", err)
    assert client.nthreads(), "the workers outlive the command"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "scheduler that answers, got 'tcp://127.0.0.1:9': "),
        (["--scheduler", "nowhere://x"], "got 'nowhere://x': unknown address scheme 'nowhere'"),
        (["--scheduler", "x:1", "--workers", "2"], "exclude each other, got 'x:1' and 2"),
        (["--workers", "0"], "greater than or equal to 1"),
    ],
)
def test_a_cluster_that_can_not_be_had(run, capsys, monkeypatch, options, text):
    monkeypatch.setattr(clusters, "TIMEOUT", 0.5)
    assert main(["score", str(run), "--save", "kept", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.count("\n") == 1
    assert ltc.open_store(run).score_names() == []


def test_without_dask(run, capsys, monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda _name: None)
    assert main(["score", str(run), "--workers", "2"]) == 2
    assert "need the package distributed: pip install 'ltc[cluster]'" in capsys.readouterr().err


def test_processors_are_shared_out(monkeypatch):
    import distributed

    monkeypatch.setattr(distributed, "LocalCluster", lambda **options: options)
    monkeypatch.setattr("ltc_kernels.thread_count", lambda: 7)
    for workers, threads in ((1, 7), (2, 3), (9, 1)):
        made = clusters.make_cluster(workers, "cpu")
        assert (made["n_workers"], made["threads_per_worker"]) == (workers, threads)
        assert made["processes"]


def test_gpus_have_a_process_each(monkeypatch):
    import distributed

    double = ModuleType("dask_cuda")
    double.LocalCUDACluster = lambda **options: ("cuda", options)
    monkeypatch.setitem(sys.modules, "dask_cuda", double)
    monkeypatch.setattr(distributed, "LocalCluster", lambda **options: ("local", options))
    for there, device, expected in (
        (True, "cuda", "cuda"),
        (True, "cpu", "local"),
        (False, "cuda", "local"),
    ):
        monkeypatch.setattr(clusters, "find_spec", lambda _name, found=there: found or None)
        kind, options = clusters.make_cluster(3, device)
        assert kind == expected
        assert options["n_workers"] == 3
        assert device == "cpu" or options["threads_per_worker"] == 1


def test_ctrl_c_ends_all_processes_and_tells_it_in_a_line(tmp_path):
    rng = np.random.default_rng(0)  # half a minute of work
    train, val = (rng.random((20, size), np.float32) for size in (100_000, 6_000))
    train[7], val[9, ::2] = np.nan, np.nan
    ltc.write_store(tmp_path / "long.zarr", train, val)
    command = ["score", tmp_path / "long.zarr", "--reference", "pairs", "--workers", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "ltc", *command],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert "dashboard" in process.stderr.readline()
            time.sleep(1)
            os.killpg(process.pid, signal.SIGINT)  # all that a terminal has begun
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out, err) == (INTERRUPTED, "", "ltc: interrupted\n")
            assert not living(process.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def living(session):
    """Return what is running of a session; what has ended and waits to be collected is not."""
    found = subprocess.run(
        ["ps", "-s", str(session), "-o", "stat=,args="], capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if not line.startswith("Z")]
