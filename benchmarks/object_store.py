"""An S3 server on the loopback interface, as fast as Python's allows, that counts what it is asked.

It keeps objects in memory and knows what stores need: conditional writes, listings, whole objects.
Nobody's signature is checked. `serve` runs it in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import urllib.request
from dataclasses import asdict, dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BUCKET", "Counts", "ObjectStore", "serve"]

BUCKET: Final = "bucket"
COUNTS, STORED = "/counts", "/stored"  # paths that are no bucket's
NOW: Final = formatdate(usegmt=True)
ISO: Final = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Counts:
    """What a server was asked for since it began.

    Attributes
    ----------
    gets, puts, others : int
        Requests; listings and questions for what is known of an object are others.
    moved : int
        Bytes of objects, both ways.
    """

    gets: int = 0
    puts: int = 0
    others: int = 0
    moved: int = 0

    def __sub__(self, earlier: Counts) -> Counts:
        """What came between."""
        then = asdict(earlier)
        return Counts(**{name: value - then[name] for name, value in asdict(self).items()})


@dataclass(frozen=True)
class ObjectStore:
    """A server that runs.

    Attributes
    ----------
    endpoint : str
        Its address.
    """

    endpoint: str

    @property
    def options(self) -> dict[str, Any]:
        """What a store needs to reach it."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": "nobody",
            "secret_access_key": "nothing",
        }

    def counts(self) -> Counts:
        """What it was asked for so far."""
        with urllib.request.urlopen(self.endpoint + COUNTS) as answer:
            return Counts(**json.load(answer))

    def stored(self) -> tuple[int, int]:
        """How many objects there are, and their bytes."""
        with urllib.request.urlopen(self.endpoint + STORED) as answer:
            count, size = json.load(answer)
        return count, size

    @contextlib.contextmanager
    def in_environment(self) -> Iterator[None]:
        """Let this process, and those that it starts in this block, reach the server."""
        options = {f"AWS_{name.upper()}": value for name, value in self.options.items()}
        with patch.dict(os.environ, options):
            yield


@contextlib.contextmanager
def serve() -> Iterator[ObjectStore]:
    """Run a server with an empty bucket in a process of its own."""
    command = [sys.executable, "-c", "from benchmarks.object_store import main; main()"]
    with Popen(command, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield ObjectStore(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


def main() -> None:
    """Serve on any free port, whose number is printed."""
    server = _Server(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of a worker that ended."""


class _Bucket:
    """The objects of a server, each with its tag, and the counts."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.counts = asdict(Counts())
        self.lock = threading.Lock()
        self._written = 0

    def put(self, key: str, data: bytes, headers: Any) -> str | None:
        """Write an object; None if it isn't in the state that the request wants."""
        with self.lock:
            _, tag = self.objects.get(key, (b"", None))
            if headers["If-None-Match"] == "*" and tag is not None:
                return None
            if headers["If-Match"] not in (None, tag):
                return None
            self._written += 1
            self.objects[key] = (data, f'"{self._written}"')
            return self.objects[key][1]

    def count(self, kind: str, moved: int = 0) -> None:
        with self.lock:
            self.counts[kind] += 1
            self.counts["moved"] += moved

    def listing(self, prefix: str, delimiter: str) -> str:
        """Describe what lies below a prefix, in S3's own way."""
        entries, folders = [], set()
        with self.lock:
            found = {key: len(data) for key, (data, _) in self.objects.items()}
        for key, size in sorted(found.items()):
            if not key.startswith(prefix):
                continue
            head, cut, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else ("",) * 3
            if cut:
                folders.add(prefix + head + cut)
                continue
            entries.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{ISO}</LastModified>"
                f"<Size>{size}</Size></Contents>"
            )
        entries += [
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
            for each in sorted(folders)
        ]
        entries.append("<IsTruncated>false</IsTruncated>")
        return f"<ListBucketResult>{''.join(entries)}</ListBucketResult>"


_BUCKET: Final = _Bucket()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with an object, a listing, or the counts."""
        path, query = self._asked()
        if path == COUNTS:
            self._answer(HTTPStatus.OK, json.dumps(_BUCKET.counts).encode())
            return
        if path == STORED:
            with _BUCKET.lock:
                sizes = [len(data) for data, _ in _BUCKET.objects.values()]
            self._answer(HTTPStatus.OK, json.dumps([len(sizes), sum(sizes)]).encode())
            return
        if "list-type" in query:
            _BUCKET.count("others")
            listing = _BUCKET.listing(query.get("prefix", ""), query.get("delimiter", ""))
            self._answer(HTTPStatus.OK, listing.encode())
            return
        data, tag = _BUCKET.objects.get(path, (b"", None))
        _BUCKET.count("gets", len(data))
        self._answer(HTTPStatus.NOT_FOUND if tag is None else HTTPStatus.OK, data, tag)

    def do_HEAD(self) -> None:
        """Answer with what is known of an object."""
        _BUCKET.count("others")
        data, tag = _BUCKET.objects.get(self._asked()[0], (b"", None))
        status = HTTPStatus.NOT_FOUND if tag is None else HTTPStatus.OK
        self._answer(status, data, tag, body=False)

    def do_PUT(self) -> None:
        """Write an object, if the conditions hold."""
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        tag = _BUCKET.put(self._asked()[0], data, self.headers)
        _BUCKET.count("puts", len(data))
        self._answer(HTTPStatus.PRECONDITION_FAILED if tag is None else HTTPStatus.OK, b"", tag)

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _asked(self) -> tuple[str, dict[str, str]]:
        """Key, or path beside the bucket, and query of a request."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return unquote(parts.path).removeprefix(f"/{BUCKET}/"), query

    def _answer(
        self, status: HTTPStatus, data: bytes, tag: str | None = None, *, body: bool = True
    ) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", NOW)
        if tag is not None:
            self.send_header("ETag", tag)
        self.end_headers()
        if body:
            self.wfile.write(data)
