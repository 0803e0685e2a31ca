"""Threads of a worker: as many as it was given, whatever kernels and decoders would take."""

import clusters
import numpy as np
import pytest
from pair_cases import CLASSES

import ltc
import ltc.store.writer
from ltc.cli.clusters import make_cluster

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")

FOREIGN = "not Python's"


def write(path, **options):
    """Write chunks, each large enough that kernels would divide it among threads."""
    rng = np.random.default_rng(0)
    train, val = (rng.random((8, size), np.float32) for size in (60_000, 400))
    train[3, ::50], val[5, ::3] = np.nan, np.nan
    labels = np.arange(60_000) % CLASSES, np.arange(400) % CLASSES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 20_000)
        ltc.write_store(path, train, val, train_labels=labels[0], val_labels=labels[1], **options)


@pytest.fixture(params=[1, 2])
def worker(request, monkeypatch):
    """A process as ``--workers 1`` starts it, whose kernels believe that it has eight processors.

    A client of it, and how many threads it was given.
    """
    from distributed import Client, WorkerPlugin

    class Wide(WorkerPlugin):
        def setup(self, worker):  # noqa: ARG002 - Dask gives it
            from ltc_kernels.cpu import threads

            threads.thread_count = lambda: 8

    with monkeypatch.context() as patch:
        patch.setattr("ltc_kernels.thread_count", lambda: request.param)
        with clusters.quick_starts(), make_cluster(1, "cpu") as cluster, Client(cluster) as client:
            client.register_plugin(Wide())
            yield client, request.param


def threads_of_process():
    """Return the name of every thread, the interpreter's or not, and how long it has worked."""
    import threading
    from pathlib import Path

    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found = []
    for folder in Path("/proc/self/task").iterdir():
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # of a clock with a hundred in a second
        found.append((names.get(int(folder.name), FOREIGN), ticks))
    return found


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_task_uses_the_thread_that_it_runs_in(tmp_path, worker, compression):
    client, given = worker
    write(tmp_path / "run.zarr", compression=compression)
    ltc.score(tmp_path / "run.zarr", client=client)
    ltc.score(tmp_path / "run.zarr", reference="pairs", client=client)
    ltc.neighbors(tmp_path / "run.zarr", k=5, within="class", client=client)
    (found,) = client.run(threads_of_process).values()
    names = [name for name, _ in found]
    assert 1 <= sum("Dask-Default-Threads" in name for name in names) <= given
    assert not [name for name in names if name.startswith(("ltc_", "ltc-tile"))]
    # What decodes losses that are compressed has a pool of its own, others have none.
    assert names.count(FOREIGN) <= (given if compression else 0)
