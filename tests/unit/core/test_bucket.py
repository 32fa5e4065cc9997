"""The shared cache: read unless writing was asked for, checked, and never a reason to fail."""

from __future__ import annotations

import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import pytest

from hatch_lambda.core.bucket import Bucket
from hatch_lambda.core.cache import SHARED, Cache, digest
from hatch_lambda.errors import MissingToolError
from tests.support.buckets import ACCESS_KEY, SECRET_KEY, closed_port, environment, serving

obstore = pytest.importorskip("obstore")
pytest.importorskip("moto")

KEY = digest("key")
NAME = f"v1/parts/{KEY[:2]}/{KEY[2:]}"


@pytest.fixture(scope="module")
def s3():
    with serving() as server:
        yield server


@pytest.fixture
def bucket(s3, monkeypatch, request):
    """Give the name of a bucket of its own, which the environment leads to."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3.make(f"bucket-{digest(request.node.name)[:20]}")


def test_what_was_put_comes_back(s3, bucket):
    store = Bucket(url=f"s3://{bucket}/some/prefix", may_write=True)
    assert store.get(NAME) is None
    store.put(NAME, b"content")
    assert store.get(NAME) == b"content"
    assert s3.objects(bucket) == [f"some/prefix/{NAME}"]
    assert store.problem is None


def test_it_is_only_read_unless_writing_was_asked_for(s3, bucket):
    store = Bucket(url=f"s3://{bucket}", may_write=False)
    store.put(NAME, b"content")
    assert s3.objects(bucket) == []
    s3.put(bucket, NAME, b"content")
    assert store.get(NAME) == b"content"
    assert store.problem is None


def test_what_no_entry_can_be_is_not_fetched(s3, bucket):
    """Its size is known before its content is; somebody else may write to the bucket."""
    s3.put(bucket, NAME, b"content")
    for largest, content in ((7, b"content"), (6, None)):
        with mock.patch("hatch_lambda.core.bucket.LARGEST", largest):
            assert Bucket(url=f"s3://{bucket}", may_write=False).get(NAME) == content


class Denying(BaseHTTPRequestHandler):
    """Answer as S3 does to a key that is wrong, and say that key as S3 does."""

    def do_GET(self):
        body = f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def denied(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Denying) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for name, value in environment(f"http://127.0.0.1:{server.server_port}").items():
            monkeypatch.setenv(name, value)
        yield
        server.shutdown()


def every_problem(url):
    """Return what reading and what writing tells."""
    reading, writing = (Bucket(url=url, may_write=True) for _ in range(2))
    assert reading.get(NAME) is None
    writing.put(NAME, b"content")
    return [reading.problem, writing.problem]


def test_who_is_denied_is_told_so_without_the_key(denied):
    for told in every_problem("s3://bucket"):
        assert "403 Forbidden: InvalidAccessKeyId" in told
        assert ACCESS_KEY not in told
        assert "\n" not in told


def test_a_bucket_that_is_not_there_is_more_than_a_miss(s3, bucket):
    for told in every_problem("s3://no-such-bucket-anywhere"):
        assert told.endswith("404 Not Found: NoSuchBucket")


SECRETS = ("user", "pass-word", "tok-en", SECRET_KEY, ACCESS_KEY)


@pytest.mark.parametrize(
    "url",
    [
        "nope://user:pass-word@host/prefix?sig=tok-en",
        "user:pass-word@host",
        "https://user:pass-word@127.0.0.1:9/prefix?sig=tok-en",
        "s3://user:pass-word@bucket/prefix?sig=tok-en",
        "file:///no/such/folder",
        "not a url at all",
        "s3://",
        "",
    ],
)
def test_nothing_that_an_address_holds_is_told(url, monkeypatch):
    for name, value in environment(closed_port().replace("//", "//user:pass-word@")).items():
        monkeypatch.setenv(name, value)
    for told in every_problem(url):
        assert told
        assert not [secret for secret in SECRETS if secret in told]


def test_what_does_not_work_is_tried_once(monkeypatch):
    for name, value in environment(closed_port()).items():
        monkeypatch.setenv(name, value)
    store = Bucket(url="s3://bucket", may_write=True)
    assert store.get(NAME) is None
    problem = store.problem
    for name in ("get", "put"):
        monkeypatch.setattr(obstore, name, lambda *_: pytest.fail("it was asked again"))
    assert store.get(NAME) is None
    store.put(NAME, b"content")
    assert store.problem == problem


def test_without_obstore_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingToolError, match="obstore") as caught:
        Bucket(url="s3://bucket", may_write=False)
    assert "hatch-lambda[remote-cache]" in caught.value.hint
    assert caught.value.exit_code == 8


# The cache in front of it.


class Recorder:
    """A remote that remembers what it was asked."""

    problem = None

    def __init__(self, content=None):
        self.asked, self.stored, self.content = [], {}, content or {}

    def get(self, name):
        self.asked.append(name)
        return self.content.get(name)

    def put(self, name, content):
        self.stored[name] = content


def test_only_what_machines_can_share_leaves_this_one(tmp_path):
    """A selection holds paths and addresses; streams and digests are made sooner than sent."""
    remote = Recorder()
    cache = Cache(root=tmp_path / "cache", remote=remote)
    for kind in ("selections", "streams", "digests", "something-new"):
        assert cache.get(kind, KEY) is None
        assert cache.file(kind, KEY) is None
        cache.put(kind, KEY, b"payload")
        made = tmp_path / "made"
        made.write_bytes(b"payload")
        cache.adopt(kind, KEY, made, hashlib.sha256(b"payload").hexdigest())
    assert (remote.asked, remote.stored) == ([], {})
    assert {"known", "parts", "sections"} == SHARED


def test_what_the_remote_has_is_kept_here_too(tmp_path):
    writer = Recorder()
    Cache(root=None, remote=writer).put("parts", KEY, b"payload")
    remote = Recorder(writer.stored)
    cache = Cache(root=tmp_path, remote=remote)
    assert [cache.get("parts", KEY) for _ in range(2)] == [b"payload", b"payload"]
    assert remote.asked == [NAME]
    assert cache.file("parts", KEY).read_bytes() == writer.stored[NAME]
    assert Cache(root=None, remote=remote).get("parts", KEY) == b"payload"


def test_an_adopted_file_is_sent_as_it_is_kept(tmp_path):
    made = tmp_path / "made"
    made.write_bytes(b"payload")
    remote = Recorder()
    cache = Cache(root=tmp_path / "cache", remote=remote)
    kept = cache.adopt("parts", KEY, made, hashlib.sha256(b"payload").hexdigest())
    assert remote.stored == {NAME: kept.read_bytes()}


@pytest.mark.parametrize(
    "content", [b"", b"x" * 48, b"foreign " * 99, lambda whole: whole[:-1], lambda whole: b"!" + whole[1:]]
)
def test_what_the_remote_has_is_checked(tmp_path, content):
    writer = Recorder()
    Cache(root=None, remote=writer).put("parts", KEY, b"payload")
    bad = content(writer.stored[NAME]) if callable(content) else content
    cache = Cache(root=tmp_path, remote=Recorder({NAME: bad}))
    assert cache.get("parts", KEY) is None
    assert cache.file("parts", KEY) is None
    assert list(cache.entries()) == []


def test_an_entry_of_the_remote_under_another_name_is_refused(tmp_path):
    """Who can copy objects cannot make an old part pass for a new one."""
    writer, other = Recorder(), digest("other")
    Cache(root=None, remote=writer).put("parts", other, b"payload")
    cache = Cache(root=tmp_path, remote=Recorder({NAME: next(iter(writer.stored.values()))}))
    assert cache.get("parts", KEY) is None


def test_refreshing_writes_to_the_remote_and_does_not_read_it(tmp_path):
    remote = Recorder()
    cache = Cache(root=tmp_path, remote=remote, refresh=True)
    assert cache.get("parts", KEY) is cache.file("parts", KEY) is None
    cache.put("parts", KEY, b"payload")
    assert (remote.asked, list(remote.stored)) == ([], [NAME])


def test_a_damaged_entry_here_is_fetched_anew(tmp_path):
    remote = Recorder()
    cache = Cache(root=tmp_path, remote=remote)
    cache.put("parts", KEY, b"payload")
    remote.content = remote.stored
    cache.file("parts", KEY).write_bytes(b"damaged")
    assert cache.get("parts", KEY) == b"payload"
    assert Cache(root=tmp_path).get("parts", KEY) == b"payload"


def test_what_kept_it_from_working_is_told_at_the_end(tmp_path):
    remote = Recorder()
    remote.problem = "403 Forbidden"
    assert Cache(root=tmp_path, remote=remote).settle() == ["the shared cache was not used: 403 Forbidden"]
