"""`ltc.difficulty` on a cluster: the bits and the errors of one machine, and what an end leaves."""

import clusters
import numpy as np
import pytest
from difficulty_cases import make, negative_losses, scattered_gaps

import ltc
from ltc.cli import main
from ltc.difficulty_plan import KINDS
from ltc.distributed import difficulty as on_cluster
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store.parts import PartWriter

pytestmark = pytest.mark.usefixtures("client")

CHUNK = 70


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", CHUNK)
    monkeypatch.setattr("ltc.distributed.cluster.TASKS_PER_THREAD", 1_000)  # a chunk each


@pytest.fixture
def scored(monkeypatch):
    """The first samples of the ranges that workers in this process have scored, in any order."""
    starts, plain = [], on_cluster.score_samples

    def score(plan, bar, samples, *, alone):
        starts.append(samples.start)
        return plain(plan, bar, samples, alone=alone)

    monkeypatch.setattr(on_cluster, "score_samples", score)
    return starts


def assert_same(found, alone, path):
    """Fail unless scores are those of one machine, as they come and as they are in the store."""
    assert list(found) == list(alone)
    for kind, scores in found.items():
        for each in (scores, ltc.load_scores(path, f"all-{kind}")):
            np.testing.assert_array_equal(each.values, alone[kind].values, err_msg=kind)
            np.testing.assert_array_equal(each.labels, alone[kind].labels)
            assert each.metadata == alone[kind].metadata
    assert ltc.open_store(path).verify().ok
    assert ltc.open_store(path).unfinished_scores() == []


@pytest.mark.parametrize("change", [None, scattered_gaps], ids=["complete", "gaps"])
def test_all_kinds_are_the_same_bits(tmp_path, client, scored, change):
    store, _ = make(tmp_path / "run.zarr", change=change)
    alone = ltc.difficulty(store, KINDS)
    gathered = ltc.difficulty(store, KINDS, client=client)
    assert sorted(scored) == [0, 70, 140, 210, 280]
    for kind, scores in gathered.items():
        np.testing.assert_array_equal(scores.values, alone[kind].values, err_msg=kind)
        np.testing.assert_array_equal(scores.labels, alone[kind].labels)
        assert scores.metadata == alone[kind].metadata
    assert_same(
        ltc.difficulty(store, KINDS, client=client, save="all"), alone, tmp_path / "run.zarr"
    )


def test_options_reach_the_workers(tmp_path, client):
    path = tmp_path / "run.zarr"
    make(path, loss=None, train_labels=None, val_labels=None)
    options = {"window": 3, "classes": 4, "loss": "cross-entropy", "checkpoints": slice(1, 11)}
    kinds = ["forgetting-least", "dual"]
    alone = ltc.difficulty(path, kinds, **options)
    found = ltc.difficulty(path, kinds, client=client, save="all", **options)
    assert_same(found, alone, path)
    one = ltc.difficulty(path, "dual", client=client, **options)
    np.testing.assert_array_equal(one.values, alone["dual"].values)


def fail_at(monkeypatch, start, name):
    """Let workers in this process find the disk full when they write that part."""
    plain = PartWriter.write

    def write(writer, begin, values, report):
        if begin == start and name in writer.path:
            raise OSError(28, "No space left on device")
        return plain(writer, begin, values, report)

    monkeypatch.setattr(PartWriter, "write", write)


def test_a_run_that_ended_early_goes_on(tmp_path, client, scored, monkeypatch):
    path, kinds = tmp_path / "run.zarr", ["dual", "mean-loss"]
    make(path, change=scattered_gaps)
    with monkeypatch.context() as patched:
        fail_at(patched, 140, "all-mean-loss")  # when that of the other kind is there
        with pytest.raises(OSError, match="No space left"):
            ltc.difficulty(path, kinds, client=client, save="all")
    parts = (path / "scores").glob(".all-mean-loss.*/parts/*/*-*")
    written = {int(part.name.split("-")[0]) for part in parts}
    assert written
    assert 140 not in written
    assert ltc.open_store(path).score_names() == []
    scored.clear()
    found = ltc.difficulty(path, kinds, client=client, save="all")
    assert sorted(scored) == sorted({0, 70, 140, 210, 280} - written)
    assert_same(found, ltc.difficulty(path, kinds), path)


def test_several_kinds_are_kept_at_an_address(site, client, monkeypatch):
    kinds = ["dual", "mean-loss"]
    make(site.path)
    with monkeypatch.context() as patched:
        fail_at(patched, 140, "all-mean-loss")
        with pytest.raises(OSError, match="No space left"):
            ltc.difficulty(site.path, kinds, client=client, save="all")
    names = [each.name for each in ltc.open_store(site.path).unfinished_scores()]
    assert names == ["all-dual", "all-mean-loss"]
    found = ltc.difficulty(site.path, kinds, client=client, save="all")
    alone = ltc.difficulty(site.path, kinds)
    for kind in kinds:
        for each in (found[kind], ltc.load_scores(site.path, f"all-{kind}")):
            np.testing.assert_array_equal(each.values, alone[kind].values)
    store = ltc.open_store(site.path)
    assert store.unfinished_scores() == []
    assert store.verify().ok


def test_other_arguments_begin_anew(tmp_path, client, monkeypatch):
    path = tmp_path / "run.zarr"
    make(path)
    with monkeypatch.context() as patched:
        fail_at(patched, 280, "kept")
        with pytest.raises(OSError, match="No space left"):
            ltc.difficulty(path, "dual", window=4, client=client, save="kept")
    scores = ltc.difficulty(path, "dual", window=5, client=client, save="kept")
    alone = ltc.difficulty(path, "dual", window=5)
    np.testing.assert_array_equal(scores.values, alone.values)


@pytest.mark.parametrize("save", [None, "kept"])
def test_negative_losses_are_refused_and_leave_nothing(tmp_path, client, save):
    path = tmp_path / "run.zarr"
    make(path, change=negative_losses)
    before = ltc.difficulty(path, "mean-loss", save="kept")
    text = r"'variability' needs losses of at least 0.* got -0.5 at sample 7 \(2 samples"
    with pytest.raises(ArgumentValueError, match=text):
        ltc.difficulty(path, "variability", client=client, save=save)
    kept = ltc.load_scores(path, "kept")
    np.testing.assert_array_equal(kept.values, before.values)
    assert [each.name for each in (path / "scores").iterdir() if "kept." in each.name] == []
    assert not ltc.difficulty(path, "final-loss", client=client).undefined.any()


def test_lost_losses_are_told_of(tmp_path, client):
    path = tmp_path / "run.zarr"
    make(path)
    (path / "train" / "losses" / "c" / "2" / "0").unlink()
    for save in (None, "kept"):
        with pytest.warns(UserWarning, match="at least 70 losses of train that were") as found:
            scores = ltc.difficulty(path, "mean-loss", client=client, save=save)
        assert found[0].filename == __file__
        assert scores.metadata["lost"] == {"train": 70}


def test_what_is_refused(tmp_path, client):
    path = tmp_path / "run.zarr"
    make(path, loss=None)
    with pytest.raises(ArgumentValueError, match="'dual' needs hard-label cross-entropy"):
        ltc.difficulty(path, ["mean-loss", "dual"], client=client, save="kept")
    with pytest.raises(ArgumentTypeError, match=r"must be a distributed\.Client, got str"):
        ltc.difficulty(path, "mean-loss", client="tcp://localhost:8786")
    assert ltc.open_store(path).score_names() == []


def test_a_worker_that_dies_between_the_parts_of_two_kinds(tmp_path):
    path, died = tmp_path / "run.zarr", tmp_path / "died"
    make(path, change=scattered_gaps)
    kinds = ["dual", "mean-loss"]

    def let_die():
        """Let whoever is first to write that part die; the part of the other kind is there."""
        import os
        import signal

        from ltc.store.parts import PartWriter

        plain = PartWriter.write

        def write(writer, begin, values, report):
            if begin == 140 and "mean-loss" in writer.path and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(writer, begin, values, report)

        PartWriter.write = write

    with clusters.started(2) as client:
        client.run(let_die)
        found = ltc.difficulty(path, kinds, client=client, save="all")
    assert died.exists()
    assert_same(found, ltc.difficulty(path, kinds), path)


def test_the_command_on_processes_of_this_machine(tmp_path, capsys):
    path = tmp_path / "run.zarr"
    make(path)
    command = ["difficulty", str(path), "--kind", "dual", "--save", "kept", "--window", "4"]
    assert main([*command, "--workers", "2"]) == 0
    out, err = capsys.readouterr()
    assert f"kept in {path} as 'kept'" in out.splitlines()
    assert err.startswith("ltc: the cluster's dashboard: http://")
    kept, alone = ltc.load_scores(path, "kept"), ltc.difficulty(path, "dual", window=4)
    np.testing.assert_array_equal(kept.values, alone.values)
    assert kept.metadata == alone.metadata
