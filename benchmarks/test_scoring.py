"""A pytest-benchmark case for each stage of scoring a store: read, kernel and reading, whole."""

import pytest

import ltc
from ltc.tiles import read_tiles


@pytest.mark.benchmark(group="scoring")
def test_read(benchmark, run_path):
    store = ltc.open_store(run_path)
    rows = list(range(store.committed))

    def read():
        width = min(32_768, store.num_train)
        return sum(losses.shape[1] for _, losses in read_tiles(store, rows, width))

    assert benchmark(read) == store.num_train


@pytest.mark.benchmark(group="scoring")
@pytest.mark.parametrize("reference", ["class-mean", "mean", "class-pairs", "pairs"])
def test_score(benchmark, run_path, reference):
    scores = benchmark(ltc.score, run_path, reference=reference)
    assert not scores.undefined.any()
