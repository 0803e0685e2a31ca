"""How random tests run: the same examples every time, and no clock. And groups of processes."""

import pytest
import team
from hypothesis import settings

settings.register_profile("ltc", deadline=None, derandomize=True)
settings.load_profile("ltc")


@pytest.fixture(scope="session")
def processes():
    """Runs a function of a test in several processes of a group; see `team.Team`."""
    with team.start_team() as started:
        yield started
