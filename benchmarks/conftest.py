"""The size that pytest-benchmark cases run at: ``pytest benchmarks --size imagenet-1k``."""

import pytest

from benchmarks import inputs


def pytest_addoption(parser):
    """Add ``--size``."""
    parser.addoption("--size", choices=list(inputs.SIZES), default="smallest")


@pytest.fixture(scope="session")
def size(request):
    """Return the size that was asked for."""
    return inputs.SIZES[request.config.getoption("--size")]


@pytest.fixture(scope="session")
def run_path(size, tmp_path_factory):
    """Write a store of that size, once."""
    from benchmarks import scoring

    return scoring.write(str(tmp_path_factory.mktemp("store")), size)
