"""Addresses: what is one, what is none, and that none of them tells a secret."""

import functools
import http.server
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import stores

import ltc
from ltc.cli import main
from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    StoreConnectionError,
    StoreError,
    StoreNotFoundError,
)
from ltc.store import open_store, remote
from ltc.store.addresses import Address, redacted
from ltc.store.places import locate
from ltc.store.remote import Retries
from ltc.store.writer import StoreWriter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/run.zarr", ("s3", "bucket", "run.zarr")),
        ("s3://bucket/a/b c/run.zarr/", ("s3", "bucket", "a/b c/run.zarr")),
        ("gs://bucket", ("gs", "bucket", "")),
        ("s3://bucket/a@b/100%.zarr", ("s3", "bucket", "a@b/100%.zarr")),
        ("https://host.example:8443/x/run.zarr", ("https", "host.example:8443", "x/run.zarr")),
        ("http://[::1]:80/run.zarr", ("http", "[::1]:80", "run.zarr")),
    ],
)
def test_parts(text, expected):
    address = Address.parse(text)
    assert (address.scheme, address.host, address.path) == expected
    assert str(address) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "s3://user:hush@bucket/run.zarr",
        "s3://user:hu/sh@bucket/run.zarr",
        "s3://user:123/hush@bucket/run.zarr",
        "gs://hush@bucket/run.zarr",
        "https://user:hush@host/run.zarr",
        "https://user:123/hush@host/run.zarr",
        "https://host/run.zarr?token=hush",
        "https://host/run.zarr?sig=hush@x",
        "https://host/run.zarr#hush",
        "s3://us?hush:er@bucket/run.zarr",
        "s3://bucket/run.zarr?X-Amz-Signature=hush",
        "ftp://user:hush@host/run.zarr",
    ],
)
def test_secrets_are_refused_and_not_repeated(text, capsys):
    for start in (
        open_store,
        ltc.score,
        lambda path: ltc.Recorder(path, num_train=1, num_val=1),
        lambda path: ltc.write_store(path, np.ones((1, 1)), np.ones((1, 1))),
    ):
        with pytest.raises(ArgumentValueError, match=r"path must .* got .*\*\*\*") as caught:
            start(text)
        assert "hush" not in str(caught.value)
        assert caught.value.__context__ is None
    assert main(["info", text]) == 2
    assert "hush" not in "".join(capsys.readouterr())
    assert "hush" not in redacted(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/run.zarr", "begins with s3://, gs:// or https://, got 'ftp://host/run.zarr'"),
        ("s3:///run.zarr", "must name a bucket or host"),
        ("s3://bucket//run.zarr", "none of its parts empty"),
        ("s3://bucket/../run.zarr", "none of its parts empty"),
        ("https:// host/run.zarr", "must name a bucket or host"),
    ],
)
def test_what_is_no_address(text, message):
    with pytest.raises(ArgumentValueError, match=message):
        Address.parse(text)


def test_options_must_be_those_of_the_store():
    for options in ({"regions": "x"}, {"client_options": 3}, {"client_options": {"timeout": "x"}}):
        with pytest.raises(
            (ArgumentTypeError, ArgumentValueError),
            match=r"storage_options must be keyword arguments of obstore's store for s3://, got",
        ):
            open_store("s3://bucket/run.zarr", storage_options=options)
    with pytest.raises(ArgumentTypeError, match="storage_options must be a mapping, got str"):
        open_store("s3://bucket/run.zarr", storage_options="region")


def test_without_obstore_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "obstore", None)
    message = r"s3://bucket/run.zarr needs the package obstore: pip install 'ltc\[objects\]'"
    with pytest.raises(BackendUnavailableError, match=message):
        open_store("s3://bucket/run.zarr")
    stores.write(tmp_path / "run.zarr")
    stores.assert_holds(tmp_path / "run.zarr", [0, 1, 2])


def test_obstore_is_imported_for_an_address_only(tmp_path):
    stores.write(tmp_path / "run.zarr")
    program = (
        "import sys, ltc\n"
        "ltc.open_store(sys.argv[1]).read('train')\n"
        "assert 'obstore' not in sys.modules\n"
        "try: ltc.open_store('https://host:x/run.zarr')\n"
        "except ltc.LtcError: pass\n"
        "from ltc.store.places import locate\n"
        "locate('https://127.0.0.1/run.zarr')\n"
        "assert 'obstore' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "run.zarr"], check=True)


def test_no_credentials_are_told_so(monkeypatch):
    """Nothing listens where a machine in a cloud would ask for them."""
    monkeypatch.setattr(remote, "RETRIES", Retries(count=0))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    options = {"client_options": {"connect_timeout": "1s", "timeout": "1s"}, "region": "x"}
    options["metadata_endpoint"] = "http://169.254.169.254:1"
    with pytest.raises(StoreConnectionError, match=r"zarr\.json could not be read: "):
        open_store("s3://bucket/run.zarr", storage_options=options)


# https


class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """Address and folder of what a plain file server shows."""
    handler = functools.partial(Files, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", tmp_path
        server.shutdown()


@pytest.fixture
def published(web):
    address, folder = web
    stores.write(folder / "run.zarr", range(5), train_ids=range(11))
    scores = ltc.score(folder / "run.zarr", save="cld")
    return f"{address}/run.zarr", folder / "run.zarr", scores


def test_a_store_on_a_web_server_is_read(published):
    address, folder, scores = published
    store = open_store(address)
    assert store.path == address
    np.testing.assert_array_equal(store.read("train"), open_store(folder).read("train"))
    assert store.ids("train").tolist() == list(range(11))
    np.testing.assert_array_equal(ltc.score(address).values, scores.values)
    np.testing.assert_array_equal(ltc.load_scores(address, "cld").values, scores.values)
    (folder / "train/losses/c/2/0").unlink()
    assert np.isnan(open_store(address).read("train")[2]).all()


def test_what_can_not_be_listed_is_said(published, capsys):
    address, folder, _ = published
    store = open_store(address)
    with pytest.raises(StoreError, match="can't be listed; scores there are read by their name"):
        store.score_names()
    with pytest.raises(ArgumentValueError, match="must be among the saved scores, got 'other'"):
        store.read_scores("other")
    with pytest.warns(UserWarning, match="saved scores are not verified"):
        assert store.verify().ok
    (folder / "val/losses/c/1/0").unlink()
    warnings.simplefilter("default")
    assert main(["verify", address]) == 1
    told = capsys.readouterr()
    assert "val/losses/c/1/0" in told.out
    assert told.err.startswith(f"ltc: warning: {address}: saved scores are not verified")


def test_a_web_server_is_only_read(published, web):
    address = published[0]
    with pytest.raises(StoreNotFoundError, match="there is no such store"):
        open_store(f"{web[0]}/absent.zarr")
    for start in (
        lambda: StoreWriter.resume(address, **stores.arguments()),
        lambda: ltc.Recorder(f"{web[0]}/new.zarr", num_train=1, num_val=1),
        lambda: ltc.score(address, save="mine"),
    ):
        with pytest.raises(ArgumentValueError, match="or begin with s3:// or gs:// where it is wr"):
            start()


def test_a_place_is_located_once(published):
    store = open_store(published[0])
    assert locate(store.place) is store.place
