"""From a source to a wheel that fits the target, by real PEP 517 builds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from hatch_lambda.config.settings import SdistSettings
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core import python
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.model import LockedSource
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import InstallError
from hatch_lambda.stages.install.sdists.bench import Bench
from hatch_lambda.stages.install.sdists.build import build
from tests.support.elf import AARCH64, asking
from tests.support.sources import make_sdist, make_source

X86 = Target(runtime=runtimes()["python3.13"], architecture=Architecture.X86_64)
OBJECT = asking("GLIBC_2.17")
NATIVE = "cp313-cp313-linux_x86_64"


class Yard:
    """A place to build in, and a record of what was built."""

    def __init__(self, folder):
        self.folder = folder
        self.cache = Cache(root=folder / "cache")
        self.counter = folder / "built"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        self.uv = Uv.find({**kept, "UV_CACHE_DIR": str(folder / "uv-cache"), "UV_OFFLINE": "1"})
        self.rounds = 0

    def build(self, source, target=X86, **variables):
        return self.built_of(source, target, **variables).wheel

    def built_of(self, source, target=X86, **variables):
        self.rounds += 1
        work = self.folder / f"work-{self.rounds}"
        work.mkdir()
        uv = Uv(executable=self.uv.executable, environment={**self.uv.environment, **variables})
        bench = Bench(target=target, settings=SdistSettings(), uv=uv, cache=self.cache, workspace=work, cwd=self.folder)
        return build(source, bench)

    def sdist(self, name, files=(), **more):
        """Return the source of an sdist whose builds are counted."""
        statement = f"open({str(self.counter)!r}, 'a').write('x'); " + more.pop("statement", "pass")
        return self.locked(make_sdist(self.folder / "index", name, files, statement=statement, **more))

    def locked(self, sdist, sha256=None):
        name = sdist.name.split("-")[0]
        sha256 = sha256 or hashlib.sha256(sdist.read_bytes()).hexdigest()
        pinned = (
            f'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "{name}"\nversion = "1.0"\n'
            f'sdist = {{ path = "{sdist.as_posix()}", hashes = {{ sha256 = "{sha256}" }} }}\n'
        )
        return LockedSource(name=name, version="1.0", origin="the index", identity=sha256, pinned=pinned)

    @property
    def built(self):
        return len(self.counter.read_text()) if self.counter.exists() else 0

    def refusal(self, source, target=X86):
        with pytest.raises(InstallError) as caught:
            self.build(source, target)
        assert source.shown in caught.value.message
        return f"{caught.value}"


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path.resolve())


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_a_pure_sdist_becomes_a_wheel_for_every_target_and_is_built_once_for_each(yard):
    """It is kept under the hash of its source; the machine that runs the build does not matter."""
    source = yard.sdist("one", {"one/__init__.py": "", "one/data.txt": "x"})
    arm = Target(runtime=runtimes()["python3.13"], architecture=Architecture.ARM64)
    wheel = yard.build(source)
    assert wheel.name == "one-1.0-py3-none-any.whl"
    assert {"one/__init__.py", "one/data.txt"} < set(names(wheel))
    content = wheel.read_bytes()
    assert yard.build(source).read_bytes() == content
    assert yard.built == 1
    assert yard.build(source, arm).name == wheel.name
    assert yard.built == 2


@pytest.mark.parametrize("name", ["SOURCE_DATE_EPOCH", "CFLAGS", "ONE_NO_EXTENSIONS", "SETUPTOOLS_SCM_PRETEND_VERSION"])
def test_variables_that_are_known_to_change_what_is_built_are_part_of_what_it_is_kept_under(yard, name):
    source = yard.sdist("one", statement=f"open('one.py', 'w').write(os.environ.get({name!r}, ''))")
    yard.build(source)
    yard.build(source, UNRELATED="1")
    assert yard.built == 1
    with zipfile.ZipFile(yard.build(source, **{name: "1000000000"})) as archive:
        assert archive.read("one.py") == b"1000000000"


def test_what_an_interpreter_of_uv_s_choice_has_built_is_not_kept(yard, monkeypatch):
    """Where there is none of the target's version: the next time it may be another."""
    monkeypatch.setattr("hatch_lambda.stages.install.sdists.bench.find", lambda *_, **__: None)
    source = yard.sdist("one")
    for _ in range(2):
        yard.build(source)
    assert yard.built == 2


def test_another_release_of_the_interpreter_builds_anew(yard, monkeypatch):
    """A backend may ask it for its version, and for all that its standard library says."""
    source = yard.sdist("one")
    yard.build(source)
    find = python.find
    other = lambda *given, **options: replace(find(*given, **options), version="3.13.99")  # noqa: E731
    monkeypatch.setattr("hatch_lambda.stages.install.sdists.bench.find", other)
    yard.build(source)
    assert yard.built == 2


def test_a_sdist_that_is_not_the_locked_one_is_never_built(yard):
    """Its hash is compared before any of its code runs."""
    sdist = make_sdist(yard.folder / "index", "one", statement=f"open({str(yard.counter)!r}, 'a').write('x')")
    assert "hash" in yard.refusal(yard.locked(sdist, "0" * 64)).lower()
    assert yard.built == 0


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("link", ["logs", "logs/one-python3.13-x86_64.log"])
def test_a_log_is_never_written_through_a_link(yard, link):
    """The failure is told all the same, and where its log is."""
    theirs = yard.folder / "theirs"
    theirs.mkdir()
    (theirs / "one-python3.13-x86_64.log").write_text("theirs")
    path = yard.folder / "cache" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(theirs if link == "logs" else theirs / path.name)
    message = yard.refusal(yard.sdist("one", statement="raise SystemExit('no compiler')"))
    assert "no compiler" in Path(message.rpartition("the whole log is ")[2]).read_text(encoding="utf-8")
    assert (theirs / "one-python3.13-x86_64.log").read_text() == "theirs"


def test_a_build_that_fails_shows_its_last_lines_and_where_the_log_is(yard):
    """Both are needed: the first to understand, the second to look it up. No password is in either."""
    words = "raise SystemExit('no compiler; see https://me:s3cret@host/')"
    message = yard.refusal(yard.sdist("one", statement=words))
    assert "no compiler; see https://***@host/" in message
    log = yard.folder / "cache" / "logs" / "one-python3.13-x86_64.log"
    assert str(log) in message
    assert "no compiler" in log.read_text(encoding="utf-8")
    assert "s3cret" not in log.read_text(encoding="utf-8") + message
    assert not [entry for entry in yard.cache.entries() if entry.kind == "wheels"]


@pytest.mark.parametrize(
    ("files", "tag", "reason"),
    [
        ({"one.py": ""}, "cp39-cp39-linux_x86_64", "its tag is cp39-cp39-linux_x86_64"),
        ({"one.py": ""}, "cp313-cp313-linux_aarch64", "its tag is cp313-cp313-linux_aarch64"),
        ({"one.so": OBJECT}, "py3-none-any", "pure Python, and one.so is not"),
        ({"one.so": asking(machine=AARCH64)}, NATIVE, "one.so is for the machine aarch64"),
        ({"one.so": b"\x7fELF\x01" + OBJECT[5:]}, NATIVE, "one.so is for the machine x86_64, and not 64-bit"),
        ({"one.so": OBJECT[:100]}, NATIVE, "one.so is a damaged object: its headers"),
        ({"one.so": asking("GLIBC_2.17", "GLIBC_2.38")}, NATIVE, r"one.so needs glibc 2.38, and Amazon"),
        ({"one.cpython-311-x86_64-linux-gnu.so": OBJECT}, NATIVE, "is a module for cpython-311"),
        ({"one.cpython-313-aarch64-linux-gnu.so": OBJECT}, NATIVE, "is a module for aarch64-linux-gnu"),
        ({"one.so": b"\xcf\xfa\xed\xfe" + OBJECT}, NATIVE, "one.so is a binary of macOS"),
    ],
)
def test_what_was_built_for_something_else_is_refused_by_tag_name_and_object(yard, files, tag, reason):
    """A build names its own machine, and one that failed may call itself pure."""
    assert reason in yard.refusal(yard.sdist("one", files, tag=tag))
    assert not [entry for entry in yard.cache.entries() if entry.kind == "wheels"]


@pytest.mark.parametrize("name", ["one.so", "one.abi3.so", "one.cpython-313-x86_64-linux-gnu.so"])
def test_native_code_that_was_built_for_the_target_is_accepted(yard, name):
    """On a machine like Lambda nothing else is needed."""
    needs = asking("GLIBC_2.34", "GLIBC_PRIVATE") + b"\0GLIBC_2.99\0"  # which a string alone is not
    wheel = yard.build(yard.sdist("one", {name: needs}, tag=NATIVE))
    assert name in names(wheel)


def test_a_sdist_with_a_member_that_leaves_its_folder_is_refused(yard):
    """And nothing is written where it leads."""
    sdist = make_sdist(yard.folder / "index", "one")
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(yard.folder / "index" / "tree-one-1.0" / "one-1.0", "one-1.0")
        archive.add(yard.folder / "index" / "tree-one-1.0" / "one-1.0" / "one.py", "../../../../../escaped.py")
    message = yard.refusal(yard.locked(sdist))
    assert not list(yard.folder.rglob("escaped.py"))
    assert not [entry for entry in yard.cache.entries() if entry.kind == "wheels"]
    assert "escaped.py" in message


@pytest.mark.parametrize("subdirectory", [None, "parts/one"])
def test_a_commit_is_fetched_and_built(yard, subdirectory):
    """Also where the project is not in the root of the repository, which may be a project as well."""
    repository = yard.folder / "repository"
    make_source(repository, "outer")
    make_source(repository / (subdirectory or ""), "one")
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=repository, check=True, env={**os.environ, **identity})
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    commit = head.stdout.strip()
    where = f', subdirectory = "{subdirectory}"' if subdirectory else ""
    pinned = (
        'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "one"\nversion = "1.0"\n'
        f'vcs = {{ type = "git", url = "{repository.as_uri()}", commit-id = "{commit}"{where} }}\n'
    )
    source = LockedSource(
        name="one", version="1.0", origin="git", identity=commit, pinned=pinned, subdirectory=subdirectory
    )
    assert "one.py" in names(yard.build(source))


def native(yard, **more):
    """Return a folder of the user's that has native code, and whose builds are counted."""
    statement = f"open({str(yard.counter)!r}, 'a').write('x'); " + more.pop("statement", "pass")
    folder = make_source(yard.folder / "lib", "one", {"one.so": OBJECT}, tag=NATIVE, statement=statement, **more)
    return LockedSource(name="one", version=None, origin="../lib", identity=None, directory=str(folder))


def test_native_code_of_a_local_folder_is_compiled_once_for_each_state_of_its_sources(yard):
    """It may take minutes, and need not give the same bytes twice; so its sources are its identity."""
    source = native(yard)
    first = yard.built_of(source)
    assert yard.built_of(source).identity == first.identity
    assert yard.built == 1
    (yard.folder / "lib" / ".config").write_text("x")
    assert yard.built_of(source).identity != first.identity
    assert yard.built == 2


def test_what_was_compiled_while_its_sources_changed_is_not_kept(yard):
    """Nobody knows of which state it was made; what a build itself writes only once costs a second one."""
    source = native(yard, statement="open('generated.c', 'w').write('x')")
    first, second, third = (yard.built_of(source).identity for _ in range(3))
    assert yard.built == 2
    assert first != second == third
    assert len([entry for entry in yard.cache.entries() if entry.kind == "wheels"]) == 1


def test_the_identity_of_a_local_folder_is_what_is_in_its_wheel(yard):
    """Not when it was made, and no file that the wheel does not have."""
    folder = make_source(yard.folder / "lib", "one")
    source = LockedSource(name="one", version=None, origin="../lib", identity=None, directory=str(folder))
    first = yard.built_of(source).identity
    (folder / "tests.py").write_text("")
    assert yard.built_of(source).identity == first
    (folder / "one.py").chmod(0o755)
    second = yard.built_of(source).identity
    (folder / "one.py").write_text("")
    assert len({first, second, yard.built_of(source).identity}) == (2 if os.name == "nt" else 3)


def test_a_local_folder_is_built_as_it_is_now_and_left_as_it_was(yard):
    """Nothing of an earlier build is taken for it."""
    folder = make_source(yard.folder / "lib", "one")
    source = LockedSource(name="one", version=None, origin="../lib", identity=None, directory=str(folder))
    before = sorted(folder.rglob("*"))
    yard.build(source)
    (folder / "one.py").write_text("NEW = 1\n")
    with zipfile.ZipFile(yard.build(source)) as archive:
        assert archive.read("one.py") == b"NEW = 1\n"
    assert sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts) == before
