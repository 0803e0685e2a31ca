"""How random tests run: the same examples every time, and no clock. And groups of processes."""

import object_server
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


@pytest.fixture(scope="session")
def s3_server():
    """The port of an S3 server with one bucket."""
    program = object_server.find_server()
    if program is None:
        pytest.skip("needs moto_server, which `make test` installs for itself")
    with object_server.serve(program) as port:
        object_server.request(port, "PUT", f"/{object_server.BUCKET}")
        yield port


@pytest.fixture(scope="session")
def s3_session(s3_server):
    proxy = object_server.Proxy(s3_server)
    yield proxy
    proxy.close()


@pytest.fixture
def s3_proxy(s3_session):
    """A proxy before it, without faults; see `object_server.Proxy`."""
    s3_session.reset()
    return s3_session
