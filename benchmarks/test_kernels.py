"""A pytest-benchmark case for each kernel and its peers."""

import pytest

from benchmarks import kernels

NAMES = [
    kernels.FLOOR,
    "difference, labels sorted",
    "difference, labels shuffled",
    "loss, labels sorted",
    "loss, labels shuffled",
    *kernels.FASTER,
]


@pytest.fixture(scope="module")
def calls(size):
    """Make every call once; this checks their results."""
    return kernels.cases(size)


@pytest.mark.benchmark(group="group kernel")
@pytest.mark.parametrize("name", NAMES)
def test_group_kernel(benchmark, calls, name):
    benchmark(calls[name])
