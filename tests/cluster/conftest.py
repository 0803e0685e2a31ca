"""What tests of clusters share. Workers are threads of this process, which start at once."""

import clusters
import pytest
import sites

from ltc.store import remote
from ltc.store.remote import Retries


@pytest.fixture(scope="session")
def client():
    """Of two workers with one thread each, in this process."""
    pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
    with clusters.started(2, processes=False) as started:
        yield started


@pytest.fixture
def site(s3_proxy, monkeypatch):
    """An address that workers and this process reach by what the environment says."""
    monkeypatch.setattr(remote, "RETRIES", Retries(**sites.QUICK))
    found = sites.S3Site(s3_proxy)
    for name, value in {
        "AWS_ENDPOINT_URL": found.options["endpoint"],
        "AWS_REGION": found.options["region"],
        "AWS_ACCESS_KEY_ID": found.options["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": found.options["secret_access_key"],
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return found
