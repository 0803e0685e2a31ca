"""`ltc.score` on a cluster when its client goes away, or its store stumbles or fails."""

import subprocess
import sys
import threading

import clusters
import numpy as np
import pytest
from object_server import Fault
from score_cases import make
from team import ENVIRONMENT

import ltc
import ltc.store.writer
from ltc.cli import main
from ltc.errors import ArgumentValueError, StoreConnectionError
from ltc.store.parts import PartWriter

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")

CHUNK = 25
STARTS = range(0, 300, CHUNK)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", CHUNK)
    monkeypatch.setattr("ltc.distributed.cluster.TASKS_PER_THREAD", 1_000)  # a chunk each


@pytest.fixture
def written(monkeypatch):
    """The first samples of the parts that workers in this process have written."""
    starts, plain = [], PartWriter.write

    def write(writer, begin, values, report):
        part = plain(writer, begin, values, report)
        starts.append(begin)
        return part

    monkeypatch.setattr(PartWriter, "write", write)
    return starts


def assert_whole(run, scores, **options):
    """Fail unless the scores in the store are those of one process, and nothing else is there."""
    alone = ltc.score(run, **options)
    for found in (scores, ltc.load_scores(run, "kept")):
        np.testing.assert_array_equal(found.values, alone.values)
        assert found.metadata == alone.metadata
    store = ltc.open_store(run)
    assert store.verify().ok
    assert store.unfinished_scores() == []


CLIENT = """
import sys
import ltc
import ltc.distributed.cluster
from distributed import Client
ltc.distributed.cluster.TASKS_PER_THREAD = 1_000
ltc.score(sys.argv[1], save="kept", client=Client(sys.argv[2]))
"""


def test_a_client_that_is_killed_leaves_its_parts_to_the_next(
    tmp_path, written, monkeypatch, capsys
):
    run = tmp_path / "run.zarr"
    make(run)
    some, go_on, plain = threading.Event(), threading.Event(), PartWriter.write

    def wait_after_three(writer, *arguments):
        if len(written) >= 3:
            some.set()
            assert go_on.wait(clusters.PATIENCE)
        return plain(writer, *arguments)

    with clusters.started(2, processes=False, protocol="tcp://") as client:
        with monkeypatch.context() as patch:
            patch.setattr(PartWriter, "write", wait_after_three)
            command = [sys.executable, "-c", CLIENT, run, client.scheduler.address]
            with subprocess.Popen(command, env=ENVIRONMENT) as process:
                assert some.wait(clusters.PATIENCE)
                process.kill()
            clusters.wait_until(lambda: len(clients_of(client)) == 1)
            go_on.set()
            clusters.wait_until(lambda: clusters.is_idle(client))
        there = set(written)
        # Each of two threads may have had one more, and begun another before it was told.
        assert 3 <= len(there) <= 7
        missing = set(STARTS) - there
        (left,) = ltc.open_store(run).unfinished_scores()
        assert {b for each in left.missing for b in range(each.start, each.stop, CHUNK)} == missing
        says = f"scores 'kept' are unfinished: {len(there) * CHUNK} of 300 samples have theirs"
        with pytest.raises(ArgumentValueError, match=says):
            ltc.load_scores(run, "kept")
        assert main(["info", str(run)]) == 0
        assert says in " ".join(capsys.readouterr().out.split())
        written.clear()
        scores = ltc.score(run, save="kept", client=client)
    assert sorted(written) == sorted(missing)
    assert_whole(run, scores)


def clients_of(client):
    """Return the clients that a scheduler has, but for its own."""
    names = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))
    return [name for name in names if name.startswith("Client-")]


@pytest.mark.parametrize("kind", ["503", "refuse", "lose", "half"])
def test_an_object_store_that_stumbles(site, client, kind, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 2 * CHUNK)
    make(site.path)
    site.proxy.faults = [
        Fault(kind, "GET", "train/losses/c", skip=7, times=3),
        Fault(kind, "PUT", "scores/kept/c", skip=2, times=3),
        Fault(kind, "PUT", "scores/kept/parts", skip=2, times=3),
    ]
    scores = ltc.score(site.path, save="kept", client=client)
    assert not any(fault.times for fault in site.proxy.faults)
    assert_whole(site.path, scores)


def test_an_object_store_that_fails_has_what_was_written(site, client, written, capsys):
    make(site.path)
    site.proxy.faults = [Fault("503", "PUT", "scores/kept/c/.", skip=5, times=1_000)]
    with pytest.raises(StoreConnectionError, match="503"):
        ltc.score(site.path, save="kept", client=client)
    clusters.wait_until(lambda: clusters.is_idle(client))
    site.proxy.reset()
    there = set(written)
    assert len(there) == 5
    says = f"scores 'kept' are unfinished: {5 * CHUNK} of 300 samples have theirs"
    with pytest.raises(ArgumentValueError, match=says):
        ltc.load_scores(site.path, "kept")
    assert main(["info", site.path]) == 0
    assert says in " ".join(capsys.readouterr().out.split())
    written.clear()
    scores = ltc.score(site.path, save="kept", client=client)
    assert sorted(written) == sorted(set(STARTS) - there)
    assert_whole(site.path, scores)
