"""As much of Google Cloud Storage's XML interface as a store needs, in memory."""

import contextlib
import itertools
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

DATE = "Wed, 25 Nov 2026 00:00:00 GMT"


@dataclass
class Double:
    """Objects, each with the generation that a write gave it.

    Attributes
    ----------
    objects : dict
        ``(data, generation)`` by ``bucket/key``.
    """

    objects: dict = field(default_factory=dict)

    def __post_init__(self):
        self.lock = threading.Lock()
        self.generations = itertools.count(1)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.double = self
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def put(self, name, data, generation=None):
        """Write an object; the new generation, None if it isn't in the one asked for."""
        with self.lock:
            _, now = self.objects.get(name, (b"", 0))
            if generation not in (None, str(now)):
                return None
            self.objects[name] = (data, next(self.generations))
            return self.objects[name][1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        name = unquote(parts.path).lstrip("/")
        if "list-type" in query:
            self.answer(200, listing(self.server.double.objects, name.rstrip("/"), query))
        elif name in self.server.double.objects:
            data, generation = self.server.double.objects[name]
            self.answer(200, data, generation)
        else:
            self.answer(404)

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = self.headers.get("x-goog-if-generation-match")
        name = unquote(self.path).lstrip("/")
        generation = self.server.double.put(name, data, wanted)
        self.answer(412 if generation is None else 200, generation=generation)

    def answer(self, status, body=b"", generation=None):
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", DATE)
        if generation is not None:
            self.send_header("x-goog-generation", str(generation))
            self.send_header("ETag", f'"{generation}"')
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def listing(objects, bucket, query):
    """The answer to a list request, all in one page."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
    keys = sorted(name.removeprefix(f"{bucket}/") for name in list(objects))
    found, prefixes = [], set()
    for key in (key for key in keys if key.startswith(prefix)):
        rest = key.removeprefix(prefix)
        if delimiter and delimiter in rest:
            prefixes.add(prefix + rest.partition(delimiter)[0] + delimiter)
        else:
            found.append(key)
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-25T00:00:00.000Z</LastModified>"
        f"<Size>{len(objects[f'{bucket}/{key}'][0])}</Size><ETag>1</ETag></Contents>"
        for key in found
    )
    common = "".join(
        f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in prefixes
    )
    return f"<ListBucketResult>{contents}{common}</ListBucketResult>".encode()
