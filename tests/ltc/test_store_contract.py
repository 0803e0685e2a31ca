"""The contract of `store_contract.StoreContract`, wherever a store may be."""

import gcs_double
import pytest
import sites
from store_contract import FullError, StoreContract

from ltc.store import remote
from ltc.store.files import LocalFiles
from ltc.store.remote import Remote, Retries


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(remote, "RETRIES", Retries(**sites.QUICK))


@pytest.fixture(scope="module")
def double():
    started = gcs_double.Double()
    yield started
    started.close()


class TestLocal(StoreContract):
    @pytest.fixture
    def site(self, tmp_path):
        return sites.LocalSite(tmp_path)

    @staticmethod
    def fail_writes(site, monkeypatch, after):  # noqa: ARG004
        return fail(monkeypatch, LocalFiles, "_write", after)


class Remotely(StoreContract):
    moments = (30,)  # each request takes some milliseconds; test_remote_faults tries others

    @staticmethod
    def fail_writes(site, monkeypatch, after):  # noqa: ARG004
        return fail(monkeypatch, Remote, "put", after)


class TestS3(Remotely):
    @pytest.fixture
    def site(self, s3_proxy):
        return sites.S3Site(s3_proxy)


class TestGoogle(Remotely):
    @pytest.fixture
    def site(self, double):
        return sites.GCSSite(double)


def fail(monkeypatch, owner, name, after):
    """Let a method fail from some call on."""
    method, left = getattr(owner, name), [after]

    def fail_or_act(*arguments):
        if left[0] <= 0:
            raise FullError("no space")
        left[0] -= 1
        return method(*arguments)

    monkeypatch.setattr(owner, name, fail_or_act)
    return lambda: monkeypatch.setattr(owner, name, method)
