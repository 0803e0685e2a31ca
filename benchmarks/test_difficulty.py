"""A pytest-benchmark case for scores of difficulty: all kinds, and the simplest."""

import pytest

import ltc
from ltc.difficulty_plan import KINDS


@pytest.mark.benchmark(group="difficulty")
@pytest.mark.parametrize("kinds", [KINDS, ("mean-loss",)], ids=["all", "mean-loss"])
def test_difficulty(benchmark, run_path, kinds):
    options = {"window": 5, "loss": "cross-entropy"}
    found = benchmark(ltc.difficulty, run_path, kinds, **options)
    assert list(found) == list(kinds)
    assert not any(scores.undefined.any() for scores in found.values())
