"""The store: what is put comes back as it was or not at all, and nothing that goes wrong stops a build."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import hatch_lambda
from hatch_lambda.config.project import Project
from hatch_lambda.core.cache import Cache, _trailer, digest
from hatch_lambda.core.files import make_folder, make_inside, remove_tree, workspace
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.pipeline.request import open_cache


def key(number=0):
    return digest("key", number)


def filled(root, *kinds, payload=b"payload"):
    cache = Cache(root=root)
    for kind in kinds or ("streams",):
        cache.put(kind, key(), payload)
    return cache


def files(root, ending=""):
    return [path for path in root.rglob(f"*{ending}") if path.is_file() and len(path.name) >= 62]


def entry(root):
    (path,) = files(root)
    return path


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 999, memoryview(b"view"), bytearray(b"array")])
def test_what_was_put_comes_back(tmp_path, payload):
    cache = Cache(root=tmp_path)
    assert cache.get("streams", key()) is None

    cache.put("streams", key(), payload)

    assert cache.get("streams", key()) == payload
    assert cache.get("parts", key()) is None
    assert cache.get("streams", key(1)) is None
    assert cache.settle() == []
    assert files(tmp_path, ".tmp") == []


def test_the_second_with_the_same_key_changes_nothing(tmp_path):
    cache = filled(tmp_path)
    before = entry(tmp_path).read_bytes()
    cache.put("streams", key(), b"payload")
    assert entry(tmp_path).read_bytes() == before


def test_a_file_is_adopted_and_begins_with_its_payload(tmp_path):
    made = tmp_path / "made"
    made.write_bytes(b"payload")
    cache = Cache(root=tmp_path / "cache")

    kept = cache.adopt("sections", key(), made, hashlib.sha256(b"payload").hexdigest())

    assert kept == cache.file("sections", key())
    assert kept.read_bytes().startswith(b"payload")
    assert cache.get("sections", key()) == b"payload"
    assert not made.exists()


def test_a_file_on_another_disk_is_copied_and_stays(tmp_path):
    """A build works on another disk where that of the cache is about to be full."""
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=shared_memory) as folder:
        made = Path(folder, "made")
        made.write_bytes(b"payload")
        cache = Cache(root=tmp_path / "cache")

        kept = cache.adopt("sections", key(), made, hashlib.sha256(b"payload").hexdigest())

        assert (kept, kept.read_bytes()[:7]) == (made, b"payload")
    assert cache.get("sections", key()) == b"payload"
    assert cache.problems == {}


def test_an_adopted_file_with_another_digest_is_never_returned(tmp_path):
    made = tmp_path / "made"
    made.write_bytes(b"payload")
    cache = Cache(root=tmp_path / "cache")
    cache.adopt("sections", key(), made, hashlib.sha256(b"other").hexdigest())
    assert cache.get("sections", key()) is None


def test_what_is_dropped_is_gone_and_may_be_dropped_again(tmp_path):
    cache = filled(tmp_path)
    cache.drop("streams", key())
    cache.drop("streams", key())
    assert cache.get("streams", key()) is None
    assert cache.file("streams", key()) is None
    assert cache.problems == {}


def test_without_a_folder_nothing_is_kept(tmp_path):
    cache = Cache(root=None)
    made = tmp_path / "made"
    made.write_bytes(b"payload")
    cache.put("streams", key(), b"payload")
    assert cache.adopt("sections", key(), made, hashlib.sha256(b"payload").hexdigest()) == made
    assert made.read_bytes() == b"payload"
    assert cache.get("streams", key()) is cache.file("streams", key()) is None
    cache.drop("streams", key())
    assert (list(cache.entries()), cache.prune(0), cache.clear(), cache.settle()) == ([], 0, 0, [])


def test_refreshing_reads_nothing_and_writes_all(tmp_path):
    filled(tmp_path, payload=b"old")
    cache = Cache(root=tmp_path, refresh=True)
    assert cache.get("streams", key()) is cache.file("streams", key()) is None
    cache.put("streams", key(), b"new")
    assert Cache(root=tmp_path).get("streams", key()) == b"new"


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "first bit": lambda path: flip(path, 0),
    "a bit of the digest": lambda path: flip(path, -1),
    "a bit of the size": lambda path: flip(path, -35),
    "a bit of the magic": lambda path: flip(path, -48),
    "appended": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "prepended": lambda path: path.write_bytes(b"\0" + path.read_bytes()),
    "foreign": lambda path: path.write_bytes(b"PK\3\4 a file of somebody else's " * 9),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_dropped_and_can_be_made_anew(tmp_path, damage):
    cache = filled(tmp_path)
    DAMAGES[damage](entry(tmp_path))

    assert cache.get("streams", key()) is None
    assert files(tmp_path) == []
    cache.put("streams", key(), b"payload")
    assert cache.get("streams", key()) == b"payload"


@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=40), position=st.integers(0, 87), bit=st.integers(0, 7))
def test_no_single_bit_can_change_unnoticed(tmp_path_factory, payload, position, bit):
    root = tmp_path_factory.mktemp("cache")
    cache = filled(root, payload=payload)
    content = bytearray(entry(root).read_bytes())
    content[position % len(content)] ^= 1 << bit
    entry(root).write_bytes(content)
    assert cache.get("streams", key()) is None


@pytest.mark.parametrize(("kind", "number"), [("streams", 1), ("parts", 0)])
def test_an_entry_under_another_name_is_dropped(tmp_path, kind, number):
    """Whoever moves entries about cannot make one pass for another."""
    cache = filled(tmp_path)
    stranger = cache._path(kind, key(number))
    stranger.parent.mkdir(parents=True, exist_ok=True)
    entry(tmp_path).rename(stranger)
    assert cache.get(kind, key(number)) is None
    assert not stranger.exists()


def test_a_folder_in_the_place_of_an_entry_is_told_and_done_without(tmp_path):
    cache = Cache(root=tmp_path)
    cache._path("streams", key()).mkdir(parents=True)
    assert cache.get("streams", key()) is cache.file("streams", key()) is None
    cache.put("streams", key(), b"payload")
    cache.drop("streams", key())
    assert [problem.split(":")[0] for problem in cache.settle()] == [
        "the cache cannot be read",
        "the cache cannot be written",
    ]


IN_THE_WAY = {
    "a pipe": lambda path, _: os.mkfifo(path),
    "a link to a pipe": lambda path, other: (os.mkfifo(other), path.symlink_to(other)),
    "a link to a file": lambda path, other: (other.write_bytes(b"theirs"), path.symlink_to(other)),
    "a link to nothing": lambda path, other: path.symlink_to(other),
    "a link to a device": lambda path, _: path.symlink_to("/dev/zero"),
    "a socket": lambda path, _: bind(path),
}


def bind(path):
    """Make a socket at *path*, which may be too long for one."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


@pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")
@pytest.mark.parametrize("put_there", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_is_no_file_is_never_opened_and_makes_room(tmp_path, put_there):
    """Reading a pipe would wait for ever, and a device has no end."""
    cache, other = Cache(root=tmp_path / "cache"), tmp_path / "other"
    path = cache._path("streams", key())
    path.parent.mkdir(parents=True)
    put_there(path, other)
    program = """
        import sys
        from pathlib import Path
        from hatch_lambda.core.cache import Cache, digest
        cache = Cache(root=Path(sys.argv[1]))
        assert cache.file("streams", digest("key", 0)) is None
        assert cache.get("streams", digest("key", 0)) is None
        print(cache.settle())
    """
    assert in_another_process(program, tmp_path / "cache", timeout=20) == "[]\n"
    assert not os.path.lexists(path)
    assert not other.is_file() or other.read_bytes() == b"theirs"
    cache.put("streams", key(), b"payload")
    assert cache.get("streams", key()) == b"payload"


@pytest.mark.skipif(os.name != "posix", reason="sparse files, and limits of POSIX")
@pytest.mark.parametrize("vouched", [False, True])
def test_what_is_too_large_is_dropped_and_not_read(tmp_path, vouched):
    """Ten gigabytes of holes cost nothing to put there."""
    cache = filled(tmp_path)
    path = cache._path("streams", key())
    size = 10 << 30
    with path.open("r+b") as stream:
        stream.truncate(size)
        if vouched:
            stream.seek(size)
            stream.write(_trailer(size, b"", "streams", key()))
    program = """
        import resource, sys
        from pathlib import Path
        from hatch_lambda.core.cache import Cache, digest
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        cache = Cache(root=Path(sys.argv[1]))
        assert cache.get("streams", digest("key", 0)) is None
        print(cache.settle())
    """
    assert in_another_process(program, tmp_path) == "[]\n"
    assert not path.exists()


def use_everything(cache, folder):
    """Do all that a build does, twice, and return what it tells."""
    for number in range(2):
        made = folder / f"made{number}"
        made.write_bytes(b"section")
        cache.put("streams", key(number), b"payload")
        kept = cache.adopt("sections", key(number), made, hashlib.sha256(b"section").hexdigest())
        assert kept.read_bytes().startswith(b"section")
        for kind in ("streams", "sections", "parts"):
            cache.get(kind, key(number))
            cache.file(kind, key(number))
        cache.drop("parts", key(number))
    cache.prune(0)
    cache.clear()
    return cache.settle()


@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_file_in_the_place_of_the_folder_is_told_once(tmp_path, below):
    (tmp_path / "file").write_text("")
    told = use_everything(Cache(root=tmp_path / "file" / below), tmp_path)
    assert [problem.split(":")[0] for problem in told] == ["the cache cannot be written", "the cache cannot be read"]


def test_a_missing_folder_is_made_and_marked(tmp_path):
    """Git, backups and our own search for code pass over it."""
    cache = filled(tmp_path / "some" / "where")
    assert cache.get("streams", key()) == b"payload"
    with workspace(tmp_path / "some" / "where"):
        for folder in ("v1", "work"):
            assert (tmp_path / "some" / "where" / folder / ".gitignore").read_text() == "*\n"
    assert [file.path for file in cache.entries()] == [entry(tmp_path)]


def test_what_is_not_ours_in_the_folder_is_left_alone(tmp_path):
    """``cache-dir = "."`` is a bad idea, but no reason to delete a project."""
    foreign = [tmp_path / name for name in ("v1/file", "v1/api/aa/routes.py", "v2/x", "src/app.py", ".gitignore")]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    cache = filled(tmp_path)
    cache.prune(0)
    cache.put("streams", key(), b"payload")
    assert cache.clear() == len(b"payload") + 48
    assert files(tmp_path) == []
    assert all(path.read_text() == "mine" for path in foreign)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_is_read_and_not_written(tmp_path):
    """Told once, and what is there is used all the same."""
    root = Path(tempfile.mkdtemp())
    try:
        root.chmod(0o755)
        filled(root, "streams", "sections")
        program = """
            import hashlib, os, sys, tempfile
            from pathlib import Path
            os.setuid(65534)
            from hatch_lambda.core.cache import Cache, digest
            key, cache = digest("key", 0), Cache(root=Path(sys.argv[1]))
            assert cache.get("streams", key) == b"payload"
            assert cache.file("sections", key).read_bytes().startswith(b"payload")
            for number in range(3):
                cache.put("streams", digest(number), b"new")
            made = Path(tempfile.mkdtemp(), "made")
            made.write_bytes(b"new")
            assert cache.adopt("sections", digest(1), made, hashlib.sha256(b"new").hexdigest()) == made
            cache.drop("streams", key)
            assert cache.prune(0) == cache.clear() == 0
            assert cache.get("streams", key) == b"payload"
            (told,) = cache.settle()
            print(told)
        """
        assert in_another_process(program, root).startswith("the cache cannot be written: Permission denied: ")
    finally:
        shutil.rmtree(root)


def in_another_process(program, *arguments, timeout=None):
    package = Path(hatch_lambda.__file__).parents[1]
    # A user who may not see this folder imports from it nevertheless: it is opened before.
    prologue = "import sys, hatch_lambda.core.cache, encodings.idna, pathlib, tempfile, random\n"
    done = subprocess.run(
        [sys.executable, "-c", prologue + textwrap.dedent(program), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(package)},
        cwd="/",
        capture_output=True,
        timeout=timeout,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_folder_that_refuses_is_told_once(tmp_path, monkeypatch, number):
    """Whatever the reason, and whichever call it is that fails."""
    refused = OSError(number, os.strerror(number))

    def refuse(*_, **__):
        raise refused

    cache = filled(tmp_path / "cache")
    for name in ("unlink", "replace", "mkdir"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(os, "utime", refuse)
    assert cache.get("streams", key()) == b"payload"
    assert cache.file("streams", key()) is not None

    told = use_everything(cache, tmp_path)

    assert len(told) == 1
    assert told[0].startswith(f"the cache cannot be written: {os.strerror(number)}: ")


def test_what_does_not_fit_leaves_nothing_half_written(tmp_path):
    pytest.importorskip("resource")
    program = """
        import resource, sys
        from pathlib import Path
        from hatch_lambda.core.cache import Cache, digest
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        cache = Cache(root=Path(sys.argv[1]))
        for number in range(2):
            cache.put("streams", digest("key", number), bytes(100_000))
        cache.put("streams", digest("key", 2), b"small")
        print(*cache.settle(), sep="\\n", end="")
    """
    told = in_another_process(program, tmp_path)
    assert told.startswith("the cache cannot be written: File too large: ")
    assert "\n" not in told
    assert files(tmp_path) == [Cache(root=tmp_path)._path("streams", key(2))]


def aged(path, seconds):
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_the_least_recently_used_go_first(tmp_path):
    """Reading counts as using."""
    cache = Cache(root=tmp_path, max_size=10_000)
    for number in range(10):
        cache.put("streams", key(number), bytes(952))
        aged(cache._path("streams", key(number)), 1000 - number)
    cache.get("streams", key(0))
    cache.file("streams", key(1))
    assert cache.prune() == 0

    assert cache.prune(9_999) == 3_000

    left = [number for number in range(10) if cache._path("streams", key(number)).exists()]
    assert left == [0, 1, 5, 6, 7, 8, 9]


def test_a_build_keeps_the_limit(tmp_path):
    cache = Cache(root=tmp_path, max_size=5_000)
    for number in range(10):
        cache.put("streams", key(number), bytes(952))
    assert cache.settle() == []
    assert sum(file.size for file in cache.entries()) <= 5_000


def test_a_copy_knows_what_was_added(tmp_path):
    """A build that makes things anew works with a copy, and the limit is kept all the same."""
    cache = Cache(root=tmp_path, max_size=10)
    replace(cache, refresh=True).put("streams", key(), bytes(100_000))
    assert cache.settle() == []
    assert list(cache.entries()) == []


def test_a_limit_of_nothing_keeps_nothing(tmp_path):
    cache = Cache(root=tmp_path, max_size=0)
    cache.put("streams", key(), b"")
    cache.settle()
    assert list(cache.entries()) == []


def test_a_build_that_added_nothing_looks_at_nothing(tmp_path, monkeypatch):
    filled(tmp_path).settle()
    cache = Cache(root=tmp_path, max_size=0)
    cache.get("streams", key())
    monkeypatch.setattr(Cache, "prune", lambda _: pytest.fail("an unchanged build has no time for that"))
    assert cache.settle() == []


def test_unfinished_entries_of_others_live_until_they_are_abandoned(tmp_path):
    cache = filled(tmp_path)
    folder = entry(tmp_path).parent
    young, old = (folder / f".{'a' * 62}.0000000{number}.tmp" for number in range(2))
    for path in (young, old):
        path.write_bytes(b"half")
    aged(old, 25 * 3600)
    aged(young, 23 * 3600)

    assert cache.prune() == 4

    assert young.exists()
    assert not old.exists()
    assert cache.get("streams", key()) == b"payload"
    cache.prune(0)
    assert files(tmp_path) == [young]


def test_workspaces_of_killed_builds_go_after_a_day(tmp_path):
    cache = filled(tmp_path)
    young, old = killed_build(tmp_path), killed_build(tmp_path)
    aged(old, 25 * 3600)
    with workspace(tmp_path) as mine:
        cache.prune()
        assert (mine.exists(), young.exists(), old.exists()) == (True, True, False)
    assert (tmp_path / "work" / ".gitignore").exists()


def killed_build(root):
    """Leave what a build leaves that is killed while its package is run: folders that nobody may write to."""
    program = """
        import os, sys
        from pathlib import Path
        from hatch_lambda.core.files import workspace
        with workspace(Path(sys.argv[1])) as work:
            (work / "task" / "numpy").mkdir(parents=True)
            (work / "task" / "numpy" / "file").write_text("x")
            for folder in (work / "task" / "numpy", work / "task"):
                folder.chmod(0o555)
            print(work, end="", flush=True)
            os._exit(0)
    """
    return Path(in_another_process(program, root))


def test_a_build_that_was_killed_before_it_marked_its_folder_leaves_nothing(tmp_path):
    cache = filled(tmp_path)
    with workspace(tmp_path):
        empty = tmp_path / "work" / "build-00000000"
        empty.mkdir()
        aged(empty, 25 * 3600)
        cache.prune()
    assert not empty.exists()


SOMEBODYS = {
    "a name that is not ours": "work/important",
    "a name like ours": "work/build-scripts",
    "our name and no mark": "work/build-0123abcd",
}


@pytest.mark.parametrize("path", SOMEBODYS.values(), ids=SOMEBODYS)
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("act", ["prune", "clear"])
def test_an_old_folder_of_somebody_else_stays(tmp_path, path, marked, act):
    """Whether the folder around it is ours or not."""
    if marked:
        with workspace(tmp_path):
            pass
    theirs = tmp_path / path / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    aged(theirs.parent, 3 * 24 * 3600)
    getattr(filled(tmp_path), act)()
    with workspace(tmp_path):
        pass
    assert theirs.read_text() == "years of work"


FOREIGN_TAGS = {
    "mypy": "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by mypy.\n",
    "uv": "Signature: 8a477f597d28d172789f06886806bc55",
    "like ours once": "Signature: 8a477f597d28d172789f06886806bc55\n",
}


@pytest.mark.parametrize("tag", FOREIGN_TAGS.values(), ids=FOREIGN_TAGS)
def test_the_mark_of_another_tool_is_not_ours(tmp_path, tag):
    """Every cache has a ``CACHEDIR.TAG``: mypy's, cargo's, pip's."""
    cache = filled(tmp_path)
    for name in ("work", "logs", "tools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "CACHEDIR.TAG").write_text(tag)
    theirs = [
        tmp_path / name for name in ("logs/six-python3.13-x86_64.log", "tools/zig-cache/x", "work/build-abcdefgh/x")
    ]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")
        aged(path.parent, 3 * 24 * 3600)
    cache.clear()
    assert [path.read_text() for path in theirs] == ["theirs"] * 3


def test_clearing_takes_logs_and_compilers_and_leaves_what_else_is_there(tmp_path):
    cache = filled(tmp_path)
    ours = [
        make_inside(tmp_path, "logs") / "some-lib-python3.13-arm64.log",
        make_inside(tmp_path, "tools") / "zig-cache",
    ]
    ours[0].write_text("log")
    (ours[1] / "h").mkdir(parents=True)
    theirs = [tmp_path / "logs" / "notes.txt", tmp_path / "tools" / "saw"]
    for path in theirs:
        path.write_text("theirs")
    cache.clear()
    assert [path.exists() for path in (*ours, *theirs)] == [False, False, True, True]
    for path in theirs:
        path.unlink()
    cache.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "CACHEDIR.TAG", "v1"]


def test_what_an_earlier_version_left_is_ours_still(tmp_path):
    """It put the same two marks into each folder, and none into the root."""
    for name in ("v1", "logs", "tools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".gitignore").write_text("*\n")
        (tmp_path / name / "CACHEDIR.TAG").write_text(FOREIGN_TAGS["like ours once"])
    (tmp_path / "tools" / "ziglang-0.17.0").mkdir()
    (tmp_path / "logs" / "six-python3.13-x86_64.log").write_text("")
    cache = filled(tmp_path)
    assert cache.clear() == len(b"payload") + 48
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


LINKED = ["work", "work/build-0123abcd", "v1", "v1/streams", "logs", "tools", "tools/zig-cache"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("link", LINKED)
def test_nothing_is_removed_or_written_through_a_link(tmp_path, link):
    """Not even where it leads to a folder that has our mark."""
    root, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    shard = key()[:2]
    for name in ("build-0123abcd", "zig-cache", f"streams/{shard}", shard):
        make_folder(elsewhere)
        make_folder(elsewhere / name)
    theirs = [
        elsewhere / "six-python3.13-x86_64.log",
        elsewhere / "build-0123abcd" / "x",
        elsewhere / "zig-cache" / "x",
    ]
    theirs += [elsewhere / shard / key()[2:], elsewhere / "streams" / shard / key()[2:]]
    for path in theirs:
        path.write_bytes(b"theirs")
    for folder in (elsewhere / "build-0123abcd", elsewhere):
        aged(folder, 3 * 24 * 3600)
    for name in ("v1", "work", "logs", "tools"):
        if name != link:
            make_inside(root, name)
    (root / link).symlink_to(elsewhere, target_is_directory=True)
    before = sorted(elsewhere.rglob("*"))

    cache = Cache(root=root)
    cache.get("streams", key())
    cache.put("streams", key(), b"payload")
    cache.drop("streams", key())
    cache.prune(0)
    cache.clear()
    with workspace(root):
        pass

    assert [path.read_bytes() for path in theirs] == [b"theirs"] * 5
    assert sorted(elsewhere.rglob("*")) == before
    assert (root / link).is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_cache_that_is_reached_through_a_link_is_used(tmp_path):
    """People keep theirs on another disk; what they named is theirs to name."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk", target_is_directory=True)
    cache = filled(tmp_path / "cache")
    old = killed_build(tmp_path / "cache")
    aged(old, 3 * 24 * 3600)
    assert cache.clear() == len(b"payload") + 48
    assert not old.exists()


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_tree_is_removed_with_its_links_and_not_what_they_lead_to(tmp_path):
    (tmp_path / "theirs" / "inner").mkdir(parents=True)
    (tmp_path / "theirs" / "file").write_text("x")
    ours = tmp_path / "ours"
    (ours / "deep" / "er").mkdir(parents=True)
    (ours / "deep" / "folder").symlink_to(tmp_path / "theirs", target_is_directory=True)
    (ours / "deep" / "er" / "file").symlink_to(tmp_path / "theirs" / "file")
    (ours / "nowhere").symlink_to(tmp_path / "absent")
    (tmp_path / "link").symlink_to(tmp_path / "theirs", target_is_directory=True)
    remove_tree(ours)
    remove_tree(tmp_path / "link")
    assert not ours.exists()
    assert sorted(path.name for path in (tmp_path / "theirs").iterdir()) == ["file", "inner"]


def test_a_store_without_its_mark_is_pruned_by_what_vouches_for_entries(tmp_path):
    """CI may restore a cache without its dot files; and others, too, name files by digests."""
    cache = filled(tmp_path)
    for mark in (".gitignore", "CACHEDIR.TAG"):
        (tmp_path / "v1" / mark).unlink()
    theirs = tmp_path / "v1" / "objects" / "ab" / ("c" * 62)
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"an object of git")
    assert [found.path for found in cache.entries()] == [cache._path("streams", key())]
    assert cache.clear() == len(b"payload") + 48
    assert theirs.exists()


class TestRoot:
    """What may be a cache: a folder that holds nothing, or nothing but ours."""

    def refused(self, root, environment=None):
        try:
            open_cache({"HATCH_LAMBDA_CACHE_DIR": str(root)})
        except ConfigurationError as error:
            return str(error)
        return None

    def test_a_folder_with_anything_else_is_refused_with_place_fact_and_remedy(self, tmp_path):
        (tmp_path / "work" / "important").mkdir(parents=True)
        for name in ("app.py", "pyproject.toml", "tests", "zoo"):
            (tmp_path / name).write_text("")
        told = self.refused(tmp_path)
        assert told.startswith("HATCH_LAMBDA_CACHE_DIR: ")
        assert (
            f"{tmp_path} is no cache: it holds app.py, pyproject.toml, tests and 2 more; it was left as it is" in told
        )
        assert "hint: name a folder that is empty or not there yet" in told

    def test_the_setting_is_named_where_it_is_the_settings(self, tmp_path):
        (tmp_path / "pyproject.toml").write_text('[tool.lambda-slim]\ncache-dir = "."\n')
        with pytest.raises(ConfigurationError, match=r"^tool\.lambda-slim\.cache-dir: "):
            open_cache({}, Project.read(tmp_path))

    def test_a_mark_that_a_full_disk_left_empty_is_made_again(self, tmp_path):
        (tmp_path / "CACHEDIR.TAG").write_text("")
        filled(tmp_path)
        assert "hatch-lambda" in (tmp_path / "CACHEDIR.TAG").read_text()

    @pytest.mark.parametrize("name", [None, ".gitkeep", ".gitignore", ".DS_Store", "lost+found", "CACHEDIR.TAG"])
    def test_an_empty_folder_is_fine(self, tmp_path, name):
        """CI makes one, and systems leave things in it."""
        if name is not None:
            (tmp_path / name).write_text("")
        assert self.refused(tmp_path) is None
        assert filled(tmp_path).get("streams", key()) == b"payload"
        assert self.refused(tmp_path) is None

    def test_a_folder_that_is_not_there_is_fine(self, tmp_path):
        assert self.refused(tmp_path / "some" / "where") is None
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("lost", [(), ("CACHEDIR.TAG",), (".gitignore",), (".gitignore", "CACHEDIR.TAG")])
    @pytest.mark.parametrize("where", ["", "v1", "work", "logs", "tools"])
    def test_a_cache_that_was_used_is_fine_even_where_marks_are_lost(self, tmp_path, lost, where):
        used(tmp_path)
        for mark in lost:
            (tmp_path / where / mark).unlink()
        assert self.refused(tmp_path) is None

    def test_a_cache_of_an_earlier_version_is_fine(self, tmp_path):
        used(tmp_path)
        for mark in (".gitignore", "CACHEDIR.TAG"):
            (tmp_path / mark).unlink()
            for name in ("v1", "work", "logs", "tools"):
                text = "*\n" if mark == ".gitignore" else FOREIGN_TAGS["like ours once"]
                (tmp_path / name / mark).write_text(text)
        (tmp_path / "logs" / "anything").write_text("")
        assert self.refused(tmp_path) is None

    def test_a_mark_of_ours_settles_it(self, tmp_path):
        """Another version of the tool may keep other things there."""
        used(tmp_path)
        (tmp_path / "v7").mkdir()
        (tmp_path / "README").write_text("what CI added")
        assert self.refused(tmp_path) is None

    def test_the_mark_of_another_tool_does_not(self, tmp_path):
        (tmp_path / "CACHEDIR.TAG").write_text(FOREIGN_TAGS["mypy"])
        (tmp_path / "3.13").mkdir()
        assert "it holds 3.13" in self.refused(tmp_path)

    @pytest.mark.parametrize("name", ["work", "v1", "logs", "tools"])
    def test_our_names_alone_do_not(self, tmp_path, name):
        (tmp_path / name / "important").mkdir(parents=True)
        (tmp_path / name / "important" / "file").write_text("")
        assert f"it holds {name};" in self.refused(tmp_path)

    def test_a_file_there_is_for_the_build_to_tell(self, tmp_path):
        (tmp_path / "file").write_text("")
        assert self.refused(tmp_path / "file") is None


def used(root):
    """Fill a cache with all that it can hold."""
    filled(root)
    with workspace(root):
        pass
    (make_inside(root, "logs") / "six-python3.13-x86_64.log").write_text("")
    for name in ("zig-cache", "ziglang-0.17.0"):
        (make_inside(root, "tools") / name).mkdir()


def test_clearing_leaves_running_builds_alone(tmp_path):
    cache = filled(tmp_path, "streams", "sections", "parts")
    with workspace(tmp_path) as mine:
        assert cache.clear() == 3 * (len(b"payload") + 48)
        assert mine.exists()
    assert list(cache.entries()) == []
    cache.put("streams", key(), b"payload")
    assert cache.get("streams", key()) == b"payload"


def test_a_key_tells_neighbours_apart():
    parts = [
        *(("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), (("a", "b"), "c"), ("a", ("b", "c"))),
        *((b"abc",), (1, 2), (12,), ("1", 2), ("12",), (None,), ("None",), (True,), (1,), (1.0,), ()),
        *((["a", "b"],), (("a", "b"),), ("a', 'b",), ("\udc80",), ("\\udc80",), ({"a": 1},), ({"a": "1"},)),
    ]
    assert len({digest(*some) for some in parts}) == len(parts)
    assert all(len(digest(*some)) == 64 for some in parts)


def test_a_key_is_the_same_in_every_process(tmp_path):
    program = """
        from hatch_lambda.core.cache import digest
        from hatch_lambda.config.settings import SlimSettings
        from hatch_lambda.config.target import Architecture
        print(digest(SlimSettings(patterns=("a", "b")), Architecture.ARM64, {"x": {1, }}, b"\\xff", "é"))
    """
    assert len({in_another_process(program) for _ in range(3)}) == 1


def test_threads_may_use_one_cache(tmp_path):
    cache = Cache(root=tmp_path)

    def work(number):
        for turn in range(40):
            cache.put("streams", key(turn % 4), bytes([turn % 4]) * 50_000)
            found = cache.get("streams", key((turn + number) % 4))
            assert found is None or found == bytes([(turn + number) % 4]) * 50_000

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert cache.settle() == []
    assert len(files(tmp_path)) == 4


def test_processes_may_use_one_folder(tmp_path):
    """While one of them writes, another prunes, and a third clears: nobody sees anything that is not whole."""
    program = """
        import sys
        from pathlib import Path
        from hatch_lambda.core.cache import Cache, digest
        cache, number = Cache(root=Path(sys.argv[1])), int(sys.argv[2])
        for turn in range(60):
            cache.put("streams", digest(turn % 5), bytes([turn % 5]) * 20_000)
            found = cache.get("streams", digest((turn + number) % 5))
            assert found is None or found == bytes([(turn + number) % 5]) * 20_000
            if number == 1: cache.prune(40_000)
            if number == 2 and turn % 7 == 0: cache.clear()
        # A file that is cleared between its making and its rename is the one thing to tell.
        assert all("No such file" in problem for problem in cache.settle()), cache.problems
    """
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: in_another_process(program, tmp_path, number), range(4)))
    assert files(tmp_path, ".tmp") == []


class TestWorkspace:
    """The folder in which a build works."""

    def test_it_lies_in_the_cache_and_is_gone_afterwards(self, tmp_path):
        with workspace(tmp_path / "cache") as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "file").write_text("x")
            assert folder.is_relative_to((tmp_path / "cache").resolve())
        assert not folder.exists()

    def test_it_is_gone_after_a_failure_too(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), workspace(tmp_path) as folder:
            raise KeyboardInterrupt
        assert not folder.exists()

    def test_two_builds_have_two_folders(self, tmp_path):
        with workspace(tmp_path) as one, workspace(tmp_path) as other:
            assert one != other
            assert one.parent == other.parent

    def test_a_cache_that_cannot_be_written_is_done_without(self, tmp_path):
        (tmp_path / "cache").write_text("a file where the folder should be")
        with workspace(tmp_path / "cache") as folder:
            (folder / "file").write_text("x")
            assert not folder.is_relative_to(tmp_path / "cache")
        assert not folder.exists()

    def test_without_a_cache_it_is_a_temporary_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with workspace(None) as folder:
            assert folder.parent == tmp_path.resolve()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("here", "there", "taken"), [(1, 2, "there"), (2, 1, "here"), (1, None, "here")])
    def test_a_cache_that_is_about_to_be_full_is_no_place_to_work(self, tmp_path, monkeypatch, here, there, taken):
        (tmp_path / "there").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "there"))

        def disk_usage(folder):
            if (free := there if str(folder).endswith("there") else here) is None:
                raise FileNotFoundError
            return mock.Mock(free=free)

        monkeypatch.setattr(shutil, "disk_usage", disk_usage)
        with workspace(tmp_path / "here") as folder:
            assert folder.is_relative_to(tmp_path / taken)

    def test_its_path_is_resolved(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
        with workspace(tmp_path / "link") as folder:
            assert folder == Path(folder).resolve()
            assert folder.is_relative_to((tmp_path / "real").resolve())
