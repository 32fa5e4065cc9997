"""Sdists and wheels that are made to harm, through uv and our own reading: an error of ours or a right package.

Nothing outside of the outputs and the caches is written, in bounded time and memory, and nothing of the machine comes
into the package. What the backend of an sdist does when it is run is another matter: it may do what it likes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import pytest

from hatch_lambda import api
from hatch_lambda.core.untrusted import name_problem
from hatch_lambda.errors import HatchLambdaError, InstallError, LockError
from hatch_lambda.stages.archive.read import entries
from tests.functional.test_addresses import served  # noqa: F401 - a fixture
from tests.support.sources import make_source
from tests.support.wheels import make_project, make_wheel, pylock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits, links and devices of POSIX")

RUNTIME = f"python3.{sys.version_info[1]}"
MOST_FILE, MOST_MEMORY, SECONDS = 64 << 20, 1 << 30, 60
LIMITED = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, ({MOST_FILE}, {MOST_FILE}))
resource.setrlimit(resource.RLIMIT_DATA, ({MOST_MEMORY}, {MOST_MEMORY}))
runpy.run_module("hatch_lambda", run_name="__main__", alter_sys=True)
"""
OURS = ("cache", "uv-cache", "service/dist")
SECRET = "the secret of this machine"


class Room:
    """A project, its caches, and around them all that is to stay as it is."""

    def __init__(self, folder):
        self.folder = folder
        self.index = folder / "index"
        for name in ("index", "home", "temporary", "outside/folder", "cache/work"):
            (folder / name).mkdir(parents=True)
        self.secret = folder / "outside" / "secret.txt"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)

    def outside(self):
        """Return all that is not ours to write: names, what they are, and bytes."""
        found = {}
        pending = [self.folder]
        while pending:  # not by pathlib, whose recursion ends at a thousand folders in one another
            for path in pending.pop().iterdir():
                is_lock_of_uv = path.name.startswith("uv-setuptools-") and path.suffix == ".lock"
                if path not in {self.folder / ours for ours in OURS} and not is_lock_of_uv:
                    found[str(path)] = (path.lstat().st_mode, _content(path))
                    pending += [path] if path.is_dir() and not path.is_symlink() else []
        return found

    def build(self, lock, *, limited=False):
        """Build a project with that *lock*; return what is in the package, or None, and what was told.

        What is *limited* is a process of its own, for there memory and files have limits.
        """
        settings = 'output = "dist/app.zip"\n'
        project = make_project(self.folder / "service", settings=settings, lock=lock)
        pyproject = project / "pyproject.toml"
        pyproject.write_text(pyproject.read_text().replace("python3.13", RUNTIME))
        (project / "dist").mkdir(exist_ok=True)
        before = self.outside()
        told = _limited(project) if limited else _here(project)
        after = self.outside()
        assert after == before
        assert [path.name for path in (self.folder / "cache" / "work").glob("build-*")] == []
        package = project / "dist" / "app.zip"
        if told is not None:
            assert not package.exists()
            return None, told
        listed = entries(package)
        assert not [entry.name for entry in listed if name_problem(entry.name) or entry.is_symlink]
        with zipfile.ZipFile(package) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        assert not [name for name, data in content.items() if SECRET.encode() in data]
        return content, ""


def _here(project):
    try:
        api.build(project)
    except HatchLambdaError as error:
        return str(error)
    return None


def _limited(project):
    command = [sys.executable, "-c", LIMITED, "build", "--quiet", str(project)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        return None
    assert done.returncode in {5, 6, 7}, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def _content(path):
    if path.is_symlink():
        return path.readlink()
    return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None


@pytest.fixture
def room(tmp_path, monkeypatch):
    room = Room(tmp_path.resolve())
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    places = {"UV_CACHE_DIR": "uv-cache", "HATCH_LAMBDA_CACHE_DIR": "cache", "HOME": "home", "TMPDIR": "temporary"}
    for name, place in places.items():
        monkeypatch.setenv(name, str(room.folder / place))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setattr(tempfile, "tempdir", None)  # which remembers another
    return room


# Sdists


def member(name, kind=tarfile.REGTYPE, content=b"EVIL", link="", **more):
    """Return a member of an archive and its content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    for field, value in more.items():
        setattr(info, field, value)
    return info, io.BytesIO(content) if kind == tarfile.REGTYPE else None


def sdist(room, *members):
    """Write an honest sdist of ``one``, whose backend packs ``one.py``, with *members* behind it."""
    tree = make_source(room.index / "tree" / "one-1.0", "one", {"one.py": "HONEST = 1\n"})
    (tree / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
    path = room.index / "one-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tree, "one-1.0")
        for info, content in members:
            if content is not None and info.size > len(content.getvalue()):  # what no tool would write
                archive.fileobj.write(info.tobuf() + content.getvalue())
            else:
                archive.addfile(info, content)
    return path


def locked(path):
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return (
        'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "one"\nversion = "1.0"\n'
        f'sdist = {{ path = "{path.as_posix()}", hashes = {{ sha256 = "{sha256}" }} }}\n'
    )


UP = "../" * 3
SDISTS = {
    "upwards": lambda room: [member("../evil.py")],
    "upwards from inside": lambda room: [member(f"one-1.0/{UP * 3}evil.py")],
    "upwards and back": lambda room: [member("one-1.0/../../one-1.0/evil.py")],
    "absolute": lambda room: [member(f"{room.folder}/outside/evil.py")],
    "absolute with two slashes": lambda room: [member(f"/{room.folder}/outside/evil.py")],
    "backslashes": lambda room: [member("one-1.0\\..\\..\\evil.py")],
    "link to a folder outside and a file below it": lambda room: [
        member("one-1.0/link", tarfile.SYMTYPE, link=f"{room.folder}/outside/folder"),
        member("one-1.0/link/evil.py"),
    ],
    "link upwards and a file below it": lambda room: [
        member("one-1.0/link", tarfile.SYMTYPE, link=UP * 2),
        member("one-1.0/link/evil.py"),
    ],
    "links in two steps": lambda room: [
        member("one-1.0/a", tarfile.SYMTYPE, link="."),
        member("one-1.0/a/b", tarfile.SYMTYPE, link="../.."),
        member("one-1.0/b/evil.py"),
    ],
    "link to a secret that is packed": lambda room: [
        member("one-1.0/one.py", tarfile.SYMTYPE, link=str(room.secret)),
    ],
    "hard link to a secret that is packed": lambda room: [
        member("one-1.0/one.py", tarfile.LNKTYPE, link=str(room.secret)),
    ],
    "hard link to a secret and then its bytes": lambda room: [
        member("one-1.0/hard", tarfile.LNKTYPE, link=str(room.secret)),
        member("one-1.0/hard"),
    ],
    "hard link upwards and then its bytes": lambda room: [
        member("one-1.0/hard", tarfile.LNKTYPE, link=f"one-1.0/{UP * 3}outside/secret.txt"),
        member("one-1.0/hard"),
    ],
    "hard link to a link": lambda room: [
        member("one-1.0/soft", tarfile.SYMTYPE, link=str(room.secret)),
        member("one-1.0/hard", tarfile.LNKTYPE, link="one-1.0/soft"),
        member("one-1.0/hard"),
    ],
    "pipe that is packed": lambda room: [member("one-1.0/one.py", tarfile.FIFOTYPE)],
    "pipe beside": lambda room: [member("one-1.0/pipe", tarfile.FIFOTYPE)],
    "device that is packed": lambda room: [member("one-1.0/one.py", tarfile.CHRTYPE, devmajor=1, devminor=5)],
    "device beside": lambda room: [member("one-1.0/zero", tarfile.CHRTYPE, devmajor=1, devminor=5)],
    "block device": lambda room: [member("one-1.0/disk", tarfile.BLKTYPE, devmajor=8, devminor=0)],
    "the folder itself is a link": lambda room: [
        member("one-1.0", tarfile.SYMTYPE, link=f"{room.folder}/outside/folder"),
        member("one-1.0/evil.py"),
    ],
    "set user id": lambda room: [member("one-1.0/suid", mode=0o4777, uid=0)],
    "a name twice": lambda room: [member("one-1.0/one.py", content=b"SECOND = 1\n")],
    "another case": lambda room: [member("one-1.0/ONE.py"), member("ONE-1.0/one.py")],
    "a file and a folder": lambda room: [member("one-1.0/one.py/evil.py")],
    "a long name": lambda room: [member("one-1.0/" + "a" * 300)],
    "a deep name": lambda room: [member("one-1.0/" + "a/" * 300 + "b")],
    "a second project": lambda room: [member("two-1.0/pyproject.toml", content=b"[project]\nname='two'\n")],
    "a project above": lambda room: [member("pyproject.toml", content=b"[project]\nname='two'\n")],
    "a claim of 4 GiB": lambda room: [member("one-1.0/large", size=4 << 30)],
}


@pytest.mark.parametrize("name", SDISTS)
def test_a_hostile_sdist_gives_an_error_or_what_its_backend_packs(room, name):
    content, _ = room.build(locked(sdist(room, *SDISTS[name](room))))
    if content is not None:
        assert content["one.py"] in {b"HONEST = 1\n", b"SECOND = 1\n"}
        assert {path for path in content if ".dist-info/" not in path} == {"app.py", "one.py"}


@pytest.mark.parametrize(
    "content",
    [b"", b"nothing", gzip.compress(b"", mtime=0), gzip.compress(bytes(10240), mtime=0)],
    ids=["empty", "text", "an empty gzip", "an empty tar"],
)
def test_what_is_no_sdist_is_an_error(room, content):
    path = room.index / "one-1.0.tar.gz"
    path.write_bytes(content)
    content, told = room.build(locked(path))
    assert content is None
    assert "one 1.0" in told


def test_an_sdist_that_unpacks_to_much_ends(room):
    """Here at a limit of the system for a file; else it would be the disk's."""
    path = room.index / "one-1.0.tar.gz"
    info = tarfile.TarInfo("one-1.0/bomb")
    info.size = 2 * MOST_FILE
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(info.tobuf())
        stream.write(bytes(info.size))
    content, told = room.build(locked(path), limited=True)
    assert content is None
    assert "one 1.0" in told
    assert "SIGXFSZ" in told


# Wheels


def odd_wheel(folder, members, *, record=None, replaced=()):
    """Write a wheel of ``one`` with *members*, of which names may be there twice; in the zip itself bytes are replaced.

    What replaces a name is as long as it. RECORD lists names as they are in *members*, or is *record*.
    """
    info = "one-1.0.dist-info"
    members = [
        *members,
        (f"{info}/METADATA", b"Metadata-Version: 2.1\nName: one\nVersion: 1.0\n"),
        (f"{info}/WHEEL", b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    ]
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in members
    ]
    data = "".join([*lines, f"{info}/RECORD,,\n"]).encode() if record is None else record
    path = folder / "one-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in [*members, (f"{info}/RECORD", data)]:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=1)
    content = path.read_bytes()
    for old, new in replaced:
        assert len(old) == len(new)
        assert old in content
        content = content.replace(old, new)
    path.write_bytes(content)
    return path


ONE = ("one.py", b"HONEST = 1\n")
DATA = "one-1.0.data"
ENTRY_POINTS = "one-1.0.dist-info/entry_points.txt"


def one_with(*names, **more):
    return lambda room: odd_wheel(
        room.index, [ONE, *((name.format(room=room.folder), b"EVIL") for name in names)], **more
    )


def claims(size, packed=None):
    """Let the headers of ``one.py`` claim another size."""

    def make(room):
        path = odd_wheel(room.index, [ONE])
        content = bytearray(path.read_bytes())
        for magic, at in ((b"PK\3\4", 18), (b"PK\1\2", 20)):
            start = content.index(magic)
            if packed is not None:
                content[start + at : start + at + 4] = struct.pack("<L", packed)
            content[start + at + 4 : start + at + 8] = struct.pack("<L", size)
        path.write_bytes(content)
        return path

    return make


def twice(first, second):
    def make(room):
        with pytest.warns(UserWarning, match="Duplicate name"):
            return odd_wheel(room.index, [("one.py", first), ("one.py", second)])

    return make


def overlapping(room):
    """Let many names of the directory stand for the same bytes, as a bomb does."""
    path = odd_wheel(room.index, [("one.py", bytes(1 << 20))])
    content = path.read_bytes()
    start, end = content.index(b"PK\1\2"), content.rindex(b"PK\5\6")
    entry = content[start : content.index(b"PK\1\2", start + 4)]
    more = b"".join(entry.replace(b"one.py", b"n%04d." % number) for number in range(2000))
    directory = content[start:end] + more
    tail = bytearray(content[end:])
    struct.pack_into("<HHL", tail, 8, 2005, 2005, len(directory))
    path.write_bytes(content[:start] + directory + bytes(tail))
    return path


WHEELS = {
    "record upwards": one_with(record=b"one.py,,\n../../../evil.py,,\none-1.0.dist-info/RECORD,,\n"),
    "record absolute": lambda room: odd_wheel(
        room.index, [ONE], record=f"one.py,,\n{room.secret},,\none-1.0.dist-info/RECORD,,\n".encode()
    ),
    "record is none": one_with(record=b'"\0\xff\n"'),
    "record is empty": one_with(record=b""),
    "record with a long line": one_with(record=b"one.py," + b"x" * 1_000_000),
    "script upwards": one_with(f"{DATA}/scripts/../../../x"),
    "script absolute": one_with(f"{DATA}/scripts/{{room}}/outside/x"),
    "command upwards": lambda room: odd_wheel(
        room.index, [ONE, (ENTRY_POINTS, b"[console_scripts]\n../../../x = one:main\n")]
    ),
    "command absolute": lambda room: odd_wheel(
        room.index, [ONE, (ENTRY_POINTS, f"[console_scripts]\n{room.folder}/outside/x = one:main\n".encode())]
    ),
    "command with a line": lambda room: odd_wheel(
        room.index, [ONE, (ENTRY_POINTS, b"[console_scripts]\nx = one:main\\nimport os\n")]
    ),
    "headers": one_with(f"{DATA}/headers/one.h"),
    "headers upwards": one_with(f"{DATA}/headers/../../../../x.h"),
    "data": one_with(f"{DATA}/data/etc/one.cfg"),
    "data upwards": one_with(f"{DATA}/data/../../../../x"),
    "data absolute": one_with(f"{DATA}/data/{{room}}/outside/x"),
    "data over the metadata": one_with(f"{DATA}/data/one-1.0.dist-info/RECORD"),
    "data over a module": one_with(f"{DATA}/purelib/one.py"),
    "data of no scheme": one_with(f"{DATA}/nonsense/x"),
    "data of another": one_with("two-1.0.data/data/x"),
    "upwards": one_with("../x.py"),
    "absolute": one_with("{room}/outside/x.py"),
    "backslash": one_with("..q..qx.py", replaced=[(b"..q..qx.py", b"..\\..\\x.py")]),
    "drive": one_with("C:/x.py"),
    "NUL": one_with("one/qx.py", replaced=[(b"one/qx.py", b"one/\0x.py")]),
    "no UTF-8": one_with("one/qx.py", replaced=[(b"one/qx.py", b"one/\xffx.py")]),
    "line": one_with("one/q\nx.py"),
    "empty name": one_with("one/"),
    "dots": one_with("one/./x.py", "one//x.py"),
    "case": one_with("ONE.py", "One.py"),
    "twice": twice(b"HONEST = 1\n", b"SECOND = 1\n"),
    "file and folder": one_with("one.py/x.py"),
    "pth": one_with("evil.pth"),
    "long": one_with("a" * 300),
    "deep": one_with("a/" * 300 + "x.py"),
    "claims 4 GiB": claims(0xFFFFFFF0),
    "claims 4 GiB packed": claims(0xFFFFFFF0, 0xFFFFFFF0),
    "claims nothing": claims(0),
    "needs zip64": claims(0xFFFFFFFF, 0xFFFFFFFF),
    "bomb": lambda room: odd_wheel(room.index, [ONE, *((f"{number}.bin", bytes(60 << 20)) for number in range(5))]),
    "large bomb": lambda room: odd_wheel(room.index, [ONE, ("zeros.bin", bytes(2 * MOST_FILE))]),
    "overlapping": overlapping,
}


LIMITS = ("bomb", "large bomb", "overlapping")


@pytest.mark.parametrize("name", WHEELS)
def test_a_hostile_wheel_gives_an_error_or_a_right_package(room, name):
    wheel = WHEELS[name](room)
    content, _ = room.build(pylock(wheel), limited=name in LIMITS)
    if content is not None:
        assert content["one.py"] in {b"HONEST = 1\n", b"SECOND = 1\n"} or name == "data over a module"
        assert not [path for path in content if path.endswith((".h", "/RECORD")) and b"EVIL" in content[path]]
        assert not {path for path in content if path.startswith("bin/")}


@pytest.mark.parametrize("lock", ["uv.lock", "requirements.txt"])
def test_an_index_that_has_another_wheel_of_that_name_is_refused(served, lock):  # noqa: F811 - the fixture
    """Even if the index vouches for it: what was locked decides."""
    wheel = make_wheel(served.files, "dep")
    served.index(wheel)
    served.depends("dep")
    if lock == "uv.lock":
        served.lock()
    else:
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines = f"--index-url {served.address}/simple/\ndep==1.0 --hash=sha256:{sha256}\n"
        (served.root / lock).write_text(lines)
    assert set(served.content()) == {"app.py", "dep.py"}
    shutil.rmtree(served.root / "dist")
    served.forget()
    make_wheel(served.files, "dep", {"dep.py": "EVIL = 1\n"})
    served.index(wheel)
    assert "hash" in served.refusal((InstallError, LockError)).lower()
