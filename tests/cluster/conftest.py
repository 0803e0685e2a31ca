"""Clusters that many tests use: their workers are threads of this process, which start at once."""

import clusters
import pytest


@pytest.fixture(scope="session")
def client():
    """Of two workers with one thread each, in this process."""
    pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
    with clusters.started(2, processes=False) as started:
        yield started
