"""A real S3 API on loopback, spoken to over plain HTTP."""

from __future__ import annotations

import re
import socket
import urllib.request
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import HTTPError

ACCESS_KEY, SECRET_KEY = "AKIATHEACCESSKEY", "the-secret-key"

_OWNER = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""Moto takes anybody's word."""


@dataclass
class S3:
    """A server, and what its owner can ask of it."""

    url: str

    def environment(self):
        """Return the variables by which the AWS SDKs, and obstore, find it."""
        return environment(self.url)

    def make(self, bucket):
        self._ask("PUT", bucket)
        return bucket

    def objects(self, bucket):
        """Return the names of all objects."""
        listing = self._ask("GET", f"{bucket}?list-type=2&max-keys=1000").decode()
        return sorted(re.findall("<Key>(.*?)</Key>", listing))

    def get(self, bucket, name):
        return self._ask("GET", f"{bucket}/{name}")

    def put(self, bucket, name, content):
        self._ask("PUT", f"{bucket}/{name}", content)

    def delete(self, bucket, name):
        self._ask("DELETE", f"{bucket}/{name}")

    def _ask(self, method, path, content=None):
        headers = {"Content-Type": "application/octet-stream", "Authorization": _OWNER}
        request = urllib.request.Request(f"{self.url}/{path}", data=content, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.read()
        except HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error}: {error.read()!r}") from None


def environment(url):
    """Return the variables for an S3 at *url*."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


@contextmanager
def serving():
    """Run moto's server for a while."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its dependencies are not ours
        from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield S3("http://{}:{}".format(*server.get_host_and_port()))
    finally:
        server.stop()


def closed_port():
    """Return the address of a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
