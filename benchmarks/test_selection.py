"""A pytest-benchmark case for each way to select, and for the rankings."""

import pytest

from benchmarks import selection

NAMES = [
    "ranking by class",
    "ranking of all",
    "top, no balance",
    "top",
    "top, equal, cutoff",
    "stratified, cutoff",
    "random",
    "coverage",
    "beta",
    "summary",
]


@pytest.fixture(scope="module")
def calls(size):
    """Return every call on scores of this size."""
    return selection.cases(selection.make_scores(size.train, size.classes))


@pytest.mark.benchmark(group="selection")
@pytest.mark.parametrize("name", NAMES)
def test_selection(benchmark, calls, name):
    assert len(benchmark(calls[name])) > 0
