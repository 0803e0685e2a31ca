"""Where tests make stores: on a disk, at an S3 server, at a double of Google Cloud Storage.

A site has one store, reached by `path` and `options`, and lets a test at its objects behind it.
"""

import itertools
import shutil
from xml.etree import ElementTree

import object_server
from object_server import BUCKET

NUMBERS = itertools.count()
# As soon as possible, and not for long.
QUICK = {"count": 4, "seconds": 20.0, "first": 0.002, "longest": 0.02}


class Site:
    """What all have: `keys`, `read`, `write` and `remove` are each one's own."""

    options = None

    def objects(self):
        """Everything there is, by keys."""
        return {key: self.read(key) for key in self.keys()}

    def restore(self, objects):
        """Make the store consist of these objects."""
        now = self.objects()
        for key in now.keys() - objects.keys():
            self.remove(key)
        for key, data in objects.items():
            if now.get(key) != data:
                self.write(key, data)


class LocalSite(Site):
    """A directory."""

    def __init__(self, folder):
        self.folder = folder / "run.zarr"
        self.path = str(self.folder)

    def keys(self):
        files = (file for file in self.folder.rglob("*") if file.is_file())
        keys = (file.relative_to(self.folder) for file in files)
        return sorted(str(key) for key in keys if not any(p.startswith(".") for p in key.parts))

    def read(self, key):
        return (self.folder / key).read_bytes()

    def write(self, key, data):
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(data)

    def remove(self, key):
        (self.folder / key).unlink()

    def restore(self, objects):
        if not objects:  # empty directories are something, too
            shutil.rmtree(self.folder, ignore_errors=True)
        super().restore(objects)


class S3Site(Site):
    """A place of its own in the bucket of the S3 server, reached through the proxy."""

    def __init__(self, proxy, prefix=None):
        self.proxy = proxy
        self.prefix = prefix or f"test{next(NUMBERS)}/run.zarr"
        self.path = f"s3://{BUCKET}/{self.prefix}"
        self.options = {
            "endpoint": f"http://127.0.0.1:{proxy.port}",
            "region": "us-east-1",
            "access_key_id": object_server.KEY_ID,
            "secret_access_key": object_server.SECRET,
            "client_options": {"timeout": "2s"},
        }

    def keys(self):
        query = f"/{BUCKET}?list-type=2&prefix={self.prefix}/"
        found = ElementTree.fromstring(self._request("GET", query))
        keys = (each.text for each in found.iter() if each.tag.rpartition("}")[2] == "Key")
        return sorted(key.removeprefix(f"{self.prefix}/") for key in keys)

    def read(self, key):
        return self._request("GET", f"/{BUCKET}/{self.prefix}/{key}")

    def write(self, key, data):
        self._request("PUT", f"/{BUCKET}/{self.prefix}/{key}", data)

    def remove(self, key):
        self._request("DELETE", f"/{BUCKET}/{self.prefix}/{key}")

    def _request(self, method, path, body=b""):
        # To the server itself: the proxy counts and fails what the store asks for.
        port, signed = self.proxy.upstream, object_server.SIGNED
        status, _, answer = object_server.request(port, method, path, body, signed)
        assert status < 300, (method, path, status, answer)
        return answer


class GCSSite(Site):
    """A place of its own in a double of Google Cloud Storage."""

    def __init__(self, double):
        self.double = double
        self.prefix = f"test{next(NUMBERS)}/run.zarr"
        self.path = f"gs://{BUCKET}/{self.prefix}"
        self.options = {
            "service_account_key": f'{{"gcs_base_url": "{double.address}", "disable_oauth": true, '
            '"client_email": "", "private_key": "", "private_key_id": ""}'
        }

    def keys(self):
        start = f"{BUCKET}/{self.prefix}/"
        return sorted(k.removeprefix(start) for k in self.double.objects if k.startswith(start))

    def read(self, key):
        return self.double.objects[f"{BUCKET}/{self.prefix}/{key}"][0]

    def write(self, key, data):
        self.double.put(f"{BUCKET}/{self.prefix}/{key}", data)

    def remove(self, key):
        del self.double.objects[f"{BUCKET}/{self.prefix}/{key}"]
