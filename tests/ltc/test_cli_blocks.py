"""`ltc select` into blocks, on this machine and on clusters, and coresets that would be empty."""

import numpy as np
import pytest
from block_cases import SIZE, make_run

import ltc
from ltc.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 256)
    make_run(tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


@pytest.fixture
def select(run, capsys):
    """Run ``ltc select``; its status, and what it prints."""

    def call(*arguments):
        status = main(["select", str(run), *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def test_an_output_that_ends_in_a_slash_gets_blocks(select, run, tmp_path):
    few = tmp_path / "few.npy"
    np.save(few, np.arange(100, 900))
    options = ["--cutoff", "0.2", "--strategy", "random", "--seed", "3", "--exclude", few]
    status, out, err = select("--fraction", "0.1", *options, "-o", f"{tmp_path}/coreset/")
    assert (status, err) == (0, "")
    assert "420 (8.4 %) of 5,000 samples" in out
    assert "'kept'" in out
    assert f"written to {tmp_path}/coreset" in out
    expected = ltc.load_scores(run, "kept").select(
        fraction=0.1, cutoff=0.2, strategy="random", seed=3, exclude=np.arange(100, 900)
    )
    coreset = ltc.CoresetBlocks.open(tmp_path / "coreset")
    assert np.array_equal(coreset.indices, expected.indices)


@pytest.mark.parametrize("given", [["--workers", 2], ["--scheduler"]], ids=["workers", "scheduler"])
def test_a_cluster_selects_what_one_machine_selects(select, tmp_path, given, request):
    pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
    if given == ["--scheduler"]:
        from distributed import LocalCluster

        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        )
        request.addfinalizer(cluster.close)
        given = ["--scheduler", cluster.scheduler_address]
    assert select("--k", 700, "-o", tmp_path / "alone.npy")[0] == 0
    status, out, _ = select("--k", 700, *given, "-o", tmp_path / "coreset")
    assert status == 0
    assert "700 (14.0 %) of 5,000 samples" in out
    coreset = ltc.CoresetBlocks.open(tmp_path / "coreset")
    assert np.array_equal(coreset.indices, np.load(tmp_path / "alone.npy"))


def test_blocks_need_scores_that_a_run_keeps(run, tmp_path, capsys):
    ltc.write_store(tmp_path / "bare.zarr", *np.random.default_rng(0).random((2, 6, 40)))
    ltc.load_scores(run, "kept").save(tmp_path / "scores.npz")
    for name, text in (
        ("bare.zarr", "it keeps none: ltc score"),
        ("scores.npz", "RUN must be a run that keeps its scores"),
    ):
        assert main(["select", str(tmp_path / name), "--k", "3", "-o", f"{tmp_path}/new/"]) == 2
        assert text in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_one_ranking_where_there_are_no_labels(tmp_path, capsys):
    scores = make_run(tmp_path / "run.zarr", labelled=False)
    path, output = str(tmp_path / "run.zarr"), f"{tmp_path}/coreset/"
    assert main(["select", path, "--k", "9", "-o", output]) == 0
    expected = scores.select(k=9, balance=None)
    assert np.array_equal(ltc.CoresetBlocks.open(output).indices, expected.indices)
    assert main(["select", path, "--k", "9", "--balance", "class", "-o", output]) == 2
    assert "balance must be None for scores without labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--k", "0", "-o", "new/"], "--k must be at least 1, got 0"),
        (["--k", "0", "-o", "new.npy"], "--k must be at least 1, got 0"),
        (["--fraction", "0.00009", "-o", "new/"], "got 9e-05, which rounds to none"),
        (["--fraction", "0.00009", "-o", "new.csv"], "--fraction must be enough for a sample"),
        (["--fraction", "0", "-o", "new.npy"], "got 0, which rounds to none"),
        (["--k", SIZE + 1, "-o", "new/"], "k must be at most the 5000 samples, got 5001"),
        (["--k", 3, "-o", "new/", "--scores", "other"], "name must be among the saved scores"),
        (["--k", 3, "-o", "new/", "--strategy", "coverage"], "to select in blocks, got 'coverage'"),
        (["--k", 3, "-o", "new.npy", "--workers", 2], "--output must be a folder, for blocks"),
        (["--k", 3, "-o", "s3://bucket/new.NPY"], "got 's3://bucket/new.NPY'"),
        (
            ["--k", 3, "-o", "new", "--workers", 2, "--scheduler", "tcp://nowhere"],
            "--scheduler and --workers exclude each other",
        ),
    ],
)
def test_what_is_refused_writes_nothing(select, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    status, out, err = select(*arguments)
    assert (status, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]
