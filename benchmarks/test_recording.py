"""A pytest-benchmark case for each stage of recording: an update, rounding, a commit."""

import itertools

import numpy as np
import pytest

import ltc
from benchmarks.recording import BATCH
from ltc.store.rounding import to_stored
from ltc_kernels import round_losses


@pytest.fixture
def recorder(size, tmp_path):
    """Return a recorder of a run of this size."""
    with ltc.Recorder(tmp_path / "run.zarr", num_train=size.train, num_val=size.val) as recorder:
        yield recorder
        recorder.rewind(-1)  # what was not committed is not to be


@pytest.mark.benchmark(group="recording")
def test_update(benchmark, size, recorder):
    index = np.random.default_rng(0).integers(size.train, size=BATCH)
    benchmark(recorder.update, "train", index, losses=np.ones(BATCH, np.float32))


@pytest.mark.benchmark(group="recording")
def test_commit(benchmark, size, recorder):
    rng = np.random.default_rng(0)
    counter = itertools.count()

    def update():
        for split, length in (("train", size.train), ("val", size.val)):
            losses = rng.random(length, dtype=np.float32)
            recorder.update(split, np.arange(length), losses=losses)
        return (next(counter),), {}

    benchmark.pedantic(recorder.commit, setup=update, rounds=20)
    assert len(recorder.checkpoints) >= 1


@pytest.mark.benchmark(group="rounding")
@pytest.mark.parametrize("rounding", [to_stored, round_losses])
def test_rounding(benchmark, size, rounding):
    losses = np.random.default_rng(0).random(size.train, dtype=np.float32)
    stored, clipped, missing = benchmark(rounding, losses)
    assert (stored.size, clipped, missing) == (size.train, 0, 0)
