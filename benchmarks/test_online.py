"""A pytest-benchmark case for an update of the online scorer, and for its scores."""

import numpy as np
import pytest

from benchmarks import inputs, online

CASES = pytest.mark.parametrize(
    ("signal", "gaps"),
    [("difference", False), ("difference", True), ("loss", False), ("loss", True)],
)


@pytest.fixture
def scorer(size, signal, gaps):
    """Return a scorer some checkpoints into a run."""
    short = inputs.Size(online.CHECKPOINTS, size.train, size.val, size.classes)
    losses = inputs.losses(short, "train")
    if gaps:
        losses[2, ::1000] = np.nan
    return online.scorer(short, losses, inputs.losses(short, "val"), signal)


@CASES
@pytest.mark.benchmark(group="online")
def test_update(benchmark, size, scorer, signal, gaps):
    rng = np.random.default_rng(0)
    train, val = (rng.random(length, dtype=np.float32) for length in (size.train, size.val))
    benchmark(scorer.update, train, val)
    assert scorer.nbytes <= (36 if gaps else 20) * size.train, signal


@CASES
@pytest.mark.benchmark(group="online")
def test_scores(benchmark, scorer, signal, gaps):
    scores = benchmark(scorer.scores)
    assert not scores.undefined.any(), (signal, gaps)
