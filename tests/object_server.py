"""An S3 server on the loopback interface, and a proxy before it that fails when told to.

The server is moto's, a process of its own from an environment of its own: `make` builds that, and
tells where it is in ``MOTO_SERVER``. The proxy counts requests, and answers for the server what a
test wants to see answered.
"""

import contextlib
import http.client
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

BUCKET = "bucket"
KEY_ID, SECRET = "KEYIDENTITY", "SECRETSECRET"
# The server wants to know who asks, and believes everything.
SIGNED = {
    "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}


def find_server():
    """Path of the program, None if it isn't there; what ``MOTO_SERVER`` says must be there."""
    if path := os.environ.get("MOTO_SERVER"):
        if not Path(path).is_file():
            raise FileNotFoundError(f"MOTO_SERVER must be a program, got {path}")
        return path
    beside = Path(sys.executable).with_name("moto_server")
    return str(beside) if beside.is_file() else shutil.which("moto_server")


@contextlib.contextmanager
def serve(program):
    """Run the server; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.kill()


def _wait_for(port, process):
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("the S3 server did not start")


def request(port, method, path, body=b"", headers=None):
    """Send one request and return the whole answer: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()


@dataclass
class Fault:
    """What happens to some requests.

    Attributes
    ----------
    kind : str
        ``"503"`` and other numbers: that answer. ``"refuse"``: the connection is cut before the
        server hears of it. ``"lose"``: it is cut after the server has done it. ``"half"``: it is
        cut within the answer. ``"slow"``: the answer takes `seconds`. ``"hold"``: the connection is
        cut, and the server hears of it when the proxy is told to let it through. ``"heedless"``:
        the server hears of no condition.
    method, key : str
        Patterns of the requests; the key is that below the bucket.
    skip, times : int
        How many requests go well first, and to how many it happens.
    """

    kind: str
    method: str = ".*"
    key: str = ".*"
    skip: int = 0
    times: int = 1
    seconds: float = 0.0
    body: bytes = b""

    def takes(self, method, key):
        if not (re.fullmatch(self.method, method) and re.search(self.key, key) and self.times):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class CutError(Exception):
    """The connection is to be closed, whatever of the answer has been sent."""


@dataclass
class Proxy:
    """Passes requests on to a server, but for faults.

    Attributes
    ----------
    log : list of (method, key, status)
        What was answered; the status is the fault where the answer wasn't whole.
    """

    upstream: int
    faults: list = field(default_factory=list)
    log: list = field(default_factory=list)
    held: list = field(default_factory=list)

    def __post_init__(self):
        self.lock = threading.Lock()
        self.writing = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def reset(self):
        self.faults, self.log, self.held = [], [], []

    def count(self, method=".*", key=".*"):
        return sum(
            bool(re.fullmatch(method, m) and re.search(key, k)) for m, k, _ in list(self.log)
        )

    def let_through(self):
        """Send to the server what was held; the statuses that it gives."""
        held, self.held = self.held, []
        return [self.forward(*each)[0] for each in held]

    def forward(self, method, path, body, headers):
        # The server looks at a condition and writes in two steps: one request at a time.
        with self.writing if method == "PUT" else contextlib.nullcontext():
            return request(self.upstream, method, path, body, headers)

    def handle(self, method, path, body, headers):
        """Return status, headers and body of the answer, and how much of it to send."""
        key = path.partition("?")[0].removeprefix(f"/{BUCKET}").lstrip("/")
        with self.lock:
            fault = next((each for each in self.faults if each.takes(method, key)), None)
        kind = fault.kind if fault else None
        if kind == "hold":
            self.held.append((method, path, body, headers))
        if kind in ("hold", "refuse"):
            self.log.append((method, key, kind))
            raise CutError
        if kind and kind.isdigit():
            self.log.append((method, key, int(kind)))
            return int(kind), [], fault.body, None
        if kind == "heedless":
            headers = {n: headers[n] for n in headers if not n.lower().startswith("if-")}
        status, answered, content = self.forward(method, path, body, headers)
        self.log.append((method, key, kind or status))
        if kind == "slow":
            time.sleep(fault.seconds)
        if kind == "lose":
            raise CutError
        return status, answered, content, len(content) // 2 if kind == "half" else None


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, _request, _address):
        """A client that gave up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("connection", "host", "content-length")
        }
        try:
            status, answered, content, limit = self.server.proxy.handle(
                self.command, self.path, body, headers
            )
        except CutError:
            self.cut()
            return
        self.send_response_only(status)
        length = str(len(content))
        for name, value in answered:
            if name.lower() == "content-length":
                length = value  # that of a HEAD is not the body's
            elif name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:limit])
        if limit is not None:
            self.wfile.flush()
            self.cut()

    def cut(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


for _method in ("GET", "PUT", "HEAD", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler.answer)
