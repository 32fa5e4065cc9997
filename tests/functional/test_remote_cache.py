"""A bucket behind the cache: other machines build from it, and nobody has to be able to reach it."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hatch_lambda import api
from hatch_lambda.core import bucket as remote
from hatch_lambda.core.cache import digest
from hatch_lambda.errors import MissingToolError
from tests.support.buckets import ACCESS_KEY, SECRET_KEY, closed_port, environment, serving
from tests.support.elf import shared_object
from tests.support.wheels import make_project, make_wheel

pytest.importorskip("obstore")
pytest.importorskip("moto")


@pytest.fixture(scope="module")
def s3():
    with serving() as server:
        yield server


OPEN = remote.Bucket


class Fleet:
    """Machines that share a bucket and a project, each with a cache of its own."""

    def __init__(self, s3, bucket, folder, monkeypatch):
        self.s3, self.bucket, self.folder = s3, bucket, folder
        self.url = f"s3://{bucket}/team"
        self._monkeypatch = monkeypatch
        self.wheels = folder / "wheels"
        files = {"dep/__init__.py": "", "dep/core.py": "X = 1\n" * 9000, "dep/native.so": shared_object()}
        self.project = make_project(folder / "service", make_wheel(self.wheels, "dep", files))
        (self.project / "app.py").write_text("import dep\n")
        self.fresh = api.build(self.project, no_cache=True).path.read_bytes()

    def build(self, machine, *, write=False, **options):
        self._monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(self.folder / machine))
        return api.build(self.project, cache_url=self.url, cache_write=write, **options)

    def objects(self):
        return self.s3.objects(self.bucket)

    def by_kind(self, kind):
        (name,) = (name for name in self.objects() if f"/{kind}/" in name)
        return name


@pytest.fixture
def fleet(s3, tmp_path, monkeypatch, request):
    monkeypatch.setenv("UV_OFFLINE", "1")
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return Fleet(s3, s3.make(f"bucket-{digest(request.node.name)[:20]}"), tmp_path, monkeypatch)


@pytest.fixture
def installing_fails(fleet, monkeypatch):
    """Take away all that an install would need."""

    def start():
        shutil.rmtree(fleet.wheels)
        monkeypatch.setenv("UV_CACHE_DIR", str(fleet.folder / "empty"))
        monkeypatch.setattr("hatch_lambda.core.uv.run", lambda arguments, **_: pytest.fail(f"{arguments} was run"))

    return start


def test_nothing_is_written_unless_that_was_asked_for(fleet):
    """Who can write there can put code into packages."""
    built = fleet.build("one")
    assert (built.from_cache, built.path.read_bytes()) == (False, fleet.fresh)
    assert fleet.objects() == []
    assert not fleet.build("two").from_cache


def test_a_second_machine_builds_without_installing(fleet, installing_fails):
    assert not fleet.build("ci", write=True).from_cache
    installing_fails()

    built = fleet.build("laptop")

    assert (built.from_cache, built.path.read_bytes()) == (True, fleet.fresh)
    assert built.findings == ()


def test_what_was_fetched_is_not_fetched_again(fleet, installing_fails, monkeypatch):
    """The second build of the second machine does not even need the bucket."""
    fleet.build("ci", write=True)
    installing_fails()
    fleet.build("laptop")
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed_port())
    again = fleet.build("laptop")
    assert (again.from_cache, again.path.read_bytes(), again.findings) == (True, fleet.fresh, ())


def test_what_is_shared_says_nothing_of_the_machine(fleet):
    """No selection, which names this uv and absolute paths; no path and no user anywhere."""
    fleet.build("ci", write=True)
    assert {name.split("/")[2] for name in fleet.objects()} == {"known", "parts", "sections"}
    assert all(name.startswith("team/v1/") for name in fleet.objects())
    everything = b"".join(fleet.s3.get(fleet.bucket, name) for name in fleet.objects())
    for word in (str(fleet.folder), sys.executable, sys.prefix, "/tmp", ACCESS_KEY, SECRET_KEY):
        assert word.encode() not in everything


def flip(content, chance):
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


TAMPERED = {
    "flipped": flip,
    "truncated": lambda content, chance: content[: chance.randrange(len(content))],
    "empty": lambda content, chance: b"",
    "foreign": lambda content, chance: b"PK\3\4" + chance.randbytes(len(content)),
}


@pytest.mark.parametrize("tampered", TAMPERED)
@pytest.mark.parametrize("kind", ["known", "parts", "sections"])
def test_a_tampered_object_is_refused_and_replaced(fleet, kind, tampered):
    fleet.build("ci", write=True)
    name = fleet.by_kind(kind)
    whole = fleet.s3.get(fleet.bucket, name)
    for seed in range(3):
        bad = TAMPERED[tampered](whole, random.Random(seed))
        fleet.s3.put(fleet.bucket, name, bad)
        built = fleet.build(f"laptop {seed}")
        assert (built.path.read_bytes(), built.from_cache) == (fleet.fresh, False)
        assert fleet.s3.get(fleet.bucket, name) == bad

    fleet.build("ci 2", write=True)

    assert fleet.s3.get(fleet.bucket, name) == whole
    assert fleet.build("laptop").from_cache


def test_the_part_of_another_lock_cannot_take_its_place(fleet):
    """An object that is whole, but was stored under another key."""
    fleet.build("ci", write=True)
    old = {kind: fleet.s3.get(fleet.bucket, fleet.by_kind(kind)) for kind in ("parts", "sections")}
    for name in fleet.objects():
        fleet.s3.delete(fleet.bucket, name)
    fleet.build("ci", write=True, compression="fast", refresh=True)
    fresh = api.build(fleet.project, no_cache=True, compression="fast").path.read_bytes()
    for kind, content in old.items():
        fleet.s3.put(fleet.bucket, fleet.by_kind(kind), content)
    built = fleet.build("laptop", compression="fast")
    assert (built.path.read_bytes(), built.from_cache) == (fresh, False)


def test_an_object_that_vanished_is_made_anew(fleet):
    fleet.build("ci", write=True)
    fleet.s3.delete(fleet.bucket, fleet.by_kind("sections"))
    assert fleet.build("laptop").path.read_bytes() == fleet.fresh


def run(fleet, *arguments, machine="laptop", **variables):
    return subprocess.run(
        [sys.executable, "-m", "hatch_lambda", "build", *arguments],
        cwd=fleet.project,
        env={**os.environ, "HATCH_LAMBDA_CACHE_DIR": str(fleet.folder / machine), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


TROUBLE = {
    "offline": lambda fleet: {"AWS_ENDPOINT_URL": closed_port()},
    "with a password": lambda fleet: environment(closed_port().replace("//", "//user:the-password@")),
    "no such bucket": lambda fleet: {},
    "nonsense": lambda fleet: {},
}
URLS = {"no such bucket": "s3://no-such-bucket/x", "nonsense": "nope://user:the-password@host/x"}


@pytest.mark.parametrize("write", ["true", "false"])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_bucket_that_does_not_work_is_one_warning(fleet, trouble, write):
    """The build goes on, soon, and no secret is told."""
    url = URLS.get(trouble, fleet.url)
    before = time.monotonic()

    done = run(fleet, "-C", f"cache-url={url}", "-C", f"cache-write={write}", "--json", **TROUBLE[trouble](fleet))

    assert time.monotonic() - before < 30
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (finding,) = result["findings"]
    assert (finding["code"], finding["severity"]) == ("HL030", "warning")
    assert finding["message"].startswith("the shared cache was not used: ")
    assert Path(result["zip"]).read_bytes() == fleet.fresh
    for secret in (ACCESS_KEY, SECRET_KEY, "the-password"):
        assert secret not in done.stdout + done.stderr


def test_the_warning_is_shown_to_people(fleet):
    done = run(fleet, "-C", f"cache-url={fleet.url}", AWS_ENDPOINT_URL=closed_port())
    assert done.returncode == 0
    assert done.stderr.count("HL030") == 1
    assert SECRET_KEY not in done.stdout + done.stderr


def test_without_obstore_the_remedy_is_named(fleet, monkeypatch):
    """Unless no cache is used at all."""
    for name in [name for name in sys.modules if name.split(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingToolError, match="cache-url: obstore is not installed") as caught:
        fleet.build("laptop")
    assert "hatch-lambda[remote-cache]" in caught.value.hint
    assert fleet.build("laptop", no_cache=True).path.read_bytes() == fleet.fresh


def test_many_projects_share_what_another_machine_made(fleet, installing_fails):
    fleet.build("ci", write=True)
    second = fleet.folder / "second"
    shutil.copytree(fleet.project, second, ignore=shutil.ignore_patterns("dist"))
    (second / "app.py").write_text("import dep\n\ndef handler(event, context):\n    return 'second'\n")
    installing_fails()
    fleet._monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(fleet.folder / "laptop"))
    opened = []
    fleet._monkeypatch.setattr(remote, "Bucket", lambda **given: opened.append(given) or OPEN(**given))
    outcomes = dict(api.build_all([fleet.project, second], jobs=2, cache_url=fleet.url))
    assert [package.from_cache for package in outcomes.values()] == [True, True]
    assert len(opened) == 1


def test_a_bucket_is_asked_once_for_what_it_does_not_have(fleet, monkeypatch):
    """Each question is a journey."""
    asked = []
    get = remote.Bucket.get
    monkeypatch.setattr(remote.Bucket, "get", lambda bucket, name: asked.append(name) or get(bucket, name))
    fleet.build("laptop")
    assert len(asked) == len(set(asked))
