"""A pytest-benchmark case for each kernel of pairs, and for neighbours from a store."""

import numpy as np
import pytest

import ltc
from benchmarks import inputs
from ltc_kernels import pair_correlation, pair_sums, pair_topk, prepare_pairs

K = 10
QUERIES = 256  # at most


@pytest.fixture(scope="module")
def losses(size):
    """Return training losses and those of a few queries."""
    return inputs.losses(size, "train"), inputs.losses(size, "val")[:, :QUERIES]


@pytest.mark.benchmark(group="pairs")
@pytest.mark.parametrize("signal", ["difference", "loss"])
def test_topk(benchmark, losses, signal):
    values, indices = benchmark(pair_topk, *losses, K, signal=signal)
    assert values.shape == indices.shape == (losses[1].shape[1], K)
    assert (values[:, 0] >= values[:, -1]).all()


@pytest.mark.benchmark(group="pairs")
def test_correlation(benchmark, losses):
    train, val = losses
    matrix = benchmark(pair_correlation, train, val[:, :32], signal="difference")
    assert matrix.shape == (32, train.shape[1])


@pytest.mark.benchmark(group="pairs")
@pytest.mark.parametrize("gaps", [False, True])
def test_sums(benchmark, size, losses, gaps):
    train, val = losses
    if gaps:
        train = train.copy()
        train[2, ::1000] = np.nan
    groups = np.arange(val.shape[1], dtype=np.int32) % size.classes
    pairs = prepare_pairs(val, groups, size.classes, signal="difference")
    _, counts = benchmark(pair_sums, train, pairs, inputs.labels(size, "train"))
    assert counts.max() > 0


@pytest.mark.benchmark(group="neighbours")
@pytest.mark.parametrize("within", ["all", "class"])
def test_neighbours(benchmark, run_path, within):
    found = benchmark(ltc.neighbors, run_path, np.arange(16), k=K, within=within)
    assert (found.aligned.indices[:, 0] >= 0).all()
