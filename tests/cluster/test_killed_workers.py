"""Workers that are killed, by somebody or for want of memory, while they score and search."""

import contextlib

import clusters
import numpy as np
import pytest
from pair_cases import write
from score_cases import make

import ltc
import ltc.store.writer
from ltc.errors import ArgumentValueError, DistributedError

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")

CHUNK = 4
KILLS = 20


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", CHUNK)
    monkeypatch.setattr("ltc.distributed.cluster.TASKS_PER_THREAD", 1_000)  # a chunk each


def deadly(folder, stages):
    """Return what lets workers die in every third task, once, each time in another stage of it."""
    from distributed import WorkerPlugin

    class Deadly(WorkerPlugin):
        def setup(self, worker):  # noqa: ARG002 - Dask gives it
            import os
            import signal

            from ltc.distributed import neighbors, scoring
            from ltc.store.parts import PartWriter

            def die(stage, first):
                number, rest = divmod(first // CHUNK, 3)
                if rest or number >= KILLS or stages[number % len(stages)] != stage:
                    return
                try:
                    (folder / f"{number}").touch(exist_ok=False)
                except FileExistsError:
                    return
                os.kill(os.getpid(), signal.SIGKILL)

            score, search = scoring.score_samples, neighbors.search
            write_part, write_objects = PartWriter.write, PartWriter._write

            def deadly_score(*arguments, samples, **options):
                die("reading", samples.start)
                return score(*arguments, samples=samples, **options)

            def deadly_write(writer, begin, *arguments):
                die("computed", begin)
                part = write_part(writer, begin, *arguments)
                die("recorded", begin)
                return part

            def deadly_objects(writer, objects):
                few = list(objects)
                key = few[0][0]
                if "/parts/" in key:  # the chunk is there, its record isn't
                    die("written", int(key.rpartition("/")[2].partition("-")[0]))
                write_objects(writer, few)

            def deadly_search(*arguments):
                die("reading", arguments[-1].start)
                found = search(*arguments)
                die("computed", arguments[-1].start)
                return found

            scoring.score_samples, neighbors.search = deadly_score, deadly_search
            PartWriter.write, PartWriter._write = deadly_write, deadly_objects

    return Deadly()


@contextlib.contextmanager
def mortals(died, stages):
    """Start workers that die; a client of them.

    They die at intervals of a few tasks, and what each had at hand or had kept for others is done
    again by the next to die: Dask would soon suspect tasks that are innocent.
    """
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": KILLS}),
        clusters.started(2) as client,
    ):
        client.register_plugin(deadly(died, stages))
        yield client


@pytest.fixture
def died(tmp_path):
    """A folder with a file for each death."""
    (tmp_path / "died").mkdir()
    return tmp_path / "died"


def test_scores_are_the_same_bits_after_twenty_deaths(tmp_path, died):
    store, *_ = make(tmp_path / "run.zarr")
    with mortals(died, ("reading", "computed", "written", "recorded")) as client:
        scores = ltc.score(store, save="kept", client=client)
    assert len(list(died.iterdir())) == KILLS
    alone = ltc.score(store)
    for found in (scores, ltc.load_scores(store, "kept")):
        np.testing.assert_array_equal(found.values, alone.values)
        assert found.metadata == alone.metadata
    assert ltc.open_store(store.path).verify().ok
    assert store.unfinished_scores() == []


def test_neighbours_are_the_same_after_twenty_deaths(tmp_path, died):
    write(tmp_path / "run.zarr")
    with mortals(died, ("reading", "computed")) as client:
        found = ltc.neighbors(tmp_path / "run.zarr", k=7, client=client)
    assert len(list(died.iterdir())) == KILLS
    alone = ltc.neighbors(tmp_path / "run.zarr", k=7)
    for one, other in ((found.aligned, alone.aligned), (found.conflicting, alone.conflicting)):
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.values, other.values)


def test_a_worker_that_wants_too_much_memory(tmp_path):
    import dask
    from distributed import WorkerPlugin

    class Greedy(WorkerPlugin):
        def setup(self, worker):  # noqa: ARG002 - Dask gives it
            import time

            from ltc.distributed import scoring

            def score_samples(*_arguments, **_options):
                taken = []
                while True:
                    taken.append(bytearray(b"x" * 20_000_000))
                    time.sleep(0.02)

            scoring.score_samples = score_samples

    make(tmp_path / "run.zarr")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        clusters.started(1, memory_limit="500MB") as client,
    ):
        client.register_plugin(Greedy())
        with pytest.raises(
            DistributedError,
            match=r"scoring samples \d+ to \d+ was tried 2 times, and each time its worker died; "
            "if it was for want of memory, a lower memory_limit",
        ):
            ltc.score(tmp_path / "run.zarr", save="kept", client=client)
    with pytest.raises(ArgumentValueError, match="'kept' are unfinished: 0 of 300 samples"):
        ltc.load_scores(tmp_path / "run.zarr", "kept")
