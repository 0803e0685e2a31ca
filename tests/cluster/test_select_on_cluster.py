"""`ltc.select` on a cluster: the samples that one machine selects, whoever counts what."""

import threading
import time

import clusters
import numpy as np
import pytest
from block_cases import CASES, SIZE, make_run

import ltc
from ltc.distributed import selection
from ltc.errors import ArgumentTypeError, StoreCorruptError
from ltc.selection.search import Limits
from ltc.store.scores import write_scores

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 256)
    make_run(tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


@pytest.mark.parametrize("arguments", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_selects_what_one_machine_selects(run, tmp_path, client, arguments):
    expected = ltc.load_scores(run, "kept").select(**arguments)
    coreset = ltc.select(run, output=tmp_path / "coreset", client=client, **arguments)
    assert np.array_equal(coreset.indices, expected.indices)
    alone = ltc.select(run, output=tmp_path / "alone", **arguments)
    assert coreset.files == alone.files
    assert coreset.arguments == alone.arguments


def test_counts_in_many_passes_are_merged_in_a_tree(run, tmp_path, client, monkeypatch):
    monkeypatch.setattr("ltc.block_selection.LIMITS", Limits(table=64, fetched=20))
    monkeypatch.setattr(selection, "FAN_IN", 2)
    arguments = {"fraction": 0.3, "cutoff": 0.2, "balance": None}
    expected = ltc.load_scores(run, "kept").select(**arguments)
    coreset = ltc.select(run, output=tmp_path / "coreset", client=client, **arguments)
    assert np.array_equal(coreset.indices, expected.indices)


def test_processes_of_workers_leave_nothing_behind(run, tmp_path):
    expected = ltc.load_scores(run, "kept").select(fraction=0.2, strategy="stratified")
    with clusters.started(3) as client:
        coreset = ltc.select(
            run, fraction=0.2, strategy="stratified", output=tmp_path / "coreset", client=client
        )
        assert np.array_equal(coreset.indices, expected.indices)
        until = time.monotonic() + 30
        while left := client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.tasks]):
            assert time.monotonic() < until, left
            time.sleep(0.05)  # a release is a message


def test_an_error_of_a_worker_is_that_of_one_machine(run, tmp_path, client, monkeypatch):
    from ltc.store.scores import SavedScores

    plain, once = SavedScores.read, threading.Lock()

    def replacing(saved, samples):
        if once.acquire(blocking=False):
            write_scores(run, "kept", np.ones(SIZE, np.float32), {"committed": 4})
        return plain(saved, samples)

    monkeypatch.setattr(SavedScores, "read", replacing)
    with pytest.raises(StoreCorruptError, match=r"the scores .*were replaced"):
        ltc.select(run, k=5, output=tmp_path / "coreset", client=client)
    assert not (tmp_path / "coreset").exists()


def test_a_client_that_is_none(run, tmp_path):
    with pytest.raises(ArgumentTypeError, match=r"client must be a distributed\.Client, got str"):
        ltc.select(run, k=5, output=tmp_path / "coreset", client="tcp://localhost:8786")
