"""``--scheduler`` and ``--workers``: clusters that commands give their work to, or start."""

import re

import numpy as np
import pytest
from pair_cases import write
from score_cases import make

import ltc
from ltc.cli import clusters, main

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
        assert made["env"] == {"RAYON_NUM_THREADS": str(threads)}
