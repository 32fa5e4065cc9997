"""A zip holds exactly its tree, and its bytes depend on nothing else."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import deflate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hatch_lambda.core.cache import Cache
from hatch_lambda.core.model import File, Silent, Tree
from hatch_lambda.core.staging import Staging
from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.archive.pack import Packer, SectionStreams
from hatch_lambda.stages.archive.section import DamagedSectionError, StoredSection
from hatch_lambda.stages.archive.write import write, write_section
from hatch_lambda.stages.archive.zipformat import Timestamp

PYTHONPATH = [str(Path(__file__).parents[4]), *filter(None, sys.path)]
"""For programs that use this module."""


def put(sections, project, output, packer, timestamp):
    """Write a zip, and put it in its place."""
    with Staging() as new:
        written = write(sections, project, output, new, packer, timestamp)
        new.commit()
    return written


class Bench:
    """A folder of sources, and packages made of them."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.output = folder / "out" / "app.zip"

    def file(self, path, content=b"x", **changes):
        self.count += 1
        source = self.folder / f"source-{self.count}"
        source.write_bytes(content)
        return File(path=path, source=source, size=len(content), **changes)

    def write(
        self, *files, jobs=2, output=None, progress=None, compression="fast", epoch=None, cache=None, begun=False
    ):
        packer = Packer(
            compression=compression, cache=cache or Cache(root=None), progress=progress or Silent(), jobs=jobs
        )
        parts = [Tree.of(file for file in files if file.project is project) for project in (False, True)]
        file = self.folder / "section.bin"
        file.unlink(missing_ok=True)
        with packer:
            for one in files if begun else ():
                packer.begin(one)
            first = StoredSection(section=write_section(parts[0], file, packer, Timestamp.of(epoch)), file=file)
            return put([first], parts[1], output or self.output, packer, Timestamp.of(epoch))

    def names(self):
        with zipfile.ZipFile(self.output) as archive:
            return archive.namelist()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


PART = st.text(
    st.characters(exclude_characters="/:\\", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6
).filter(lambda text: text not in {".", ".."})
PATHS = st.lists(PART, min_size=1, max_size=4).map("/".join)
CONTENT = st.binary(max_size=40) | st.integers(0, 5000).map(lambda count: b"a" * count)
TREES = st.dictionaries(PATHS, st.tuples(CONTENT, st.booleans(), st.booleans()), max_size=12).filter(
    lambda tree: (
        not {"/".join(path.split("/")[:depth]) for path in tree for depth in range(1, path.count("/") + 1)} & set(tree)
    )
)


@given(TREES, st.randoms(use_true_random=False), st.sampled_from(["fast", "balanced", "smallest"]))
@settings(max_examples=60, deadline=None)
def test_any_tree_comes_back_whole_whatever_the_order_and_the_number_of_threads(tree, shuffler, compression):
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        files = [
            bench.file(path, content, executable=executable, project=project)
            for path, (content, executable, project) in tree.items()
        ]
        once = bench.write(*files, jobs=1, compression=compression)
        content = bench.output.read_bytes()
        with zipfile.ZipFile(bench.output) as archive:
            assert archive.testzip() is None
            back = {
                info.filename: (archive.read(info), bool(info.external_attr >> 16 & 0o111))
                for info in archive.infolist()
                if not info.is_dir()
            }
        assert back == {path: (content, executable) for path, (content, executable, _) in tree.items()}
        shuffler.shuffle(files)
        again = bench.write(*files, jobs=4, compression=compression, output=bench.folder / "again.zip")
        assert again.path.read_bytes() == content
        assert (again.sha256, again.content_sha256) == (once.sha256, once.content_sha256)


def test_every_entry_has_the_lowest_date_the_plain_modes_and_no_extras(bench):
    bench.write(bench.file("a/b.py"), bench.file("a/run", executable=True), bench.file("c.py", b"c" * 100))
    with zipfile.ZipFile(bench.output) as archive:
        assert archive.comment == b""
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.create_system == 3
            assert info.extra == info.comment == b""
            assert info.flag_bits == 0
            assert (info.volume, info.internal_attr) == (0, 0)
        modes = {info.filename: stat.filemode(info.external_attr >> 16) for info in archive.infolist()}
    assert modes == {"a/": "drwxr-xr-x", "a/b.py": "-rw-r--r--", "a/run": "-rwxr-xr-x", "c.py": "-rw-r--r--"}


def test_modes_dates_and_links_of_the_sources_do_not_matter(bench):
    files = [bench.file("a.py"), bench.file("b.py")]
    before = bench.write(*files).sha256
    files[0].source.chmod(0o600)
    os.utime(files[0].source, (1, 1))
    os.link(files[1].source, bench.folder / "link")
    assert bench.write(*files).sha256 == before


@pytest.mark.parametrize(("mask", "zone"), [(0o077, "UTC"), (0o000, "Asia/Kolkata")])
def test_the_process_does_not_matter(bench, mask, zone):
    code = (
        "import os, sys; from pathlib import Path; from tests.unit.stages.archive.test_write import Bench;"
        "os.umask(int(sys.argv[1])); bench = Bench(Path(sys.argv[2]));"
        "print(bench.write(bench.file('a/b.py'), epoch=1_700_000_000, jobs=3).sha256)"
    )
    (bench.folder / "other").mkdir()
    environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(mask), "PYTHONPATH": os.pathsep.join(PYTHONPATH)}
    arguments = [sys.executable, "-c", code, str(mask), str(bench.folder / "other")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == bench.write(bench.file("a/b.py"), epoch=1_700_000_000).sha256


def test_dependencies_come_first_then_the_project_each_in_order(bench):
    bench.write(
        bench.file("zlib/x.py"),
        bench.file("shared/dep.py"),
        bench.file("shared/own.py", project=True),
        bench.file("app/sub/y.py", project=True),
        bench.file("app.py", project=True),
        bench.file("B.py"),
        bench.file("a.py"),
    )
    assert bench.names() == [
        *("B.py", "a.py", "shared/", "shared/dep.py", "zlib/", "zlib/x.py"),
        *("app.py", "app/", "app/sub/", "app/sub/y.py", "shared/own.py"),
    ]


@given(TREES)
@settings(max_examples=40, deadline=None)
def test_every_folder_has_one_entry_before_all_that_it_holds(tree):
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        bench.write(*(bench.file(path, b"", project=project) for path, (_, _, project) in tree.items()))
        names = bench.names()
    assert len(set(names)) == len(names)
    for number, name in enumerate(names):
        parts = name.rstrip("/").split("/")
        for depth in range(1, len(parts)):
            assert "/".join(parts[:depth]) + "/" in names[:number]
    own = [tree[name][2] for name in names if name in tree]
    assert own == sorted(own)


def test_the_dependencies_part_is_the_same_whatever_the_project_is(bench):
    dependencies = [bench.file("a/x.py", b"x" * 50), bench.file("shared/y.py", b"y" * 50)]
    bench.write(*dependencies, bench.file("z.py", project=True))
    with zipfile.ZipFile(bench.output) as archive:
        end = archive.getinfo("z.py").header_offset
    first = bench.output.read_bytes()[:end]
    bench.write(*dependencies, bench.file("a/0.py", project=True), bench.file("shared/z.py", project=True))
    assert bench.output.read_bytes()[:end] == first


@pytest.mark.skipif(shutil.which("unzip") is None, reason="there is no unzip")
def test_unzip_and_zipinfo_read_it(bench):
    bench.write(
        bench.file("app/é ü.txt", "ä".encode() * 100),
        bench.file("app/bin/run", b"#!/bin/sh\n", executable=True),
        bench.file("empty"),
        epoch=1_700_000_001,
    )
    tested = subprocess.run(["unzip", "-tq", bench.output], capture_output=True, text=True, check=True)
    assert "No errors detected" in tested.stdout
    environment = {**os.environ, "TZ": "UTC"}
    info = subprocess.run(
        ["unzip", "-Z", "-T", "-l", bench.output], capture_output=True, text=True, check=True, env=environment
    )
    rows = {line.split()[-1]: line.split() for line in info.stdout.splitlines()}
    assert rows["app/"][:3] == ["drwxr-xr-x", "2.0", "unx"]
    assert rows["app/bin/run"][:4] == ["-rwxr-xr-x", "2.0", "unx", "10"]
    assert rows["empty"][6:8] == ["stor", "20231114.221320"]
    unpacked = bench.folder / "unpacked"
    subprocess.run(["unzip", "-q", bench.output, "-d", unpacked], check=True, env={**environment, "LC_ALL": "C.UTF-8"})
    assert (unpacked / "app" / "é ü.txt").read_text(encoding="utf-8") == "ä" * 100
    assert os.access(unpacked / "app/bin/run", os.X_OK)


def test_other_scripts_bear_the_flag_of_unicode(bench):
    bench.write(bench.file("plain.py"), bench.file("größe/日本.py"))
    with zipfile.ZipFile(bench.output) as archive:
        flags = {info.filename: info.flag_bits for info in archive.infolist()}
    assert flags == {"plain.py": 0, "größe/": 0x800, "größe/日本.py": 0x800}


def test_what_does_not_get_smaller_is_stored(bench):
    bench.write(
        bench.file("noise", random.Random(1).randbytes(1000)), bench.file("text", b"a" * 1000), bench.file("e", b"")
    )
    with zipfile.ZipFile(bench.output) as archive:
        methods = {info.filename: info.compress_type for info in archive.infolist()}
        assert archive.getinfo("noise").compress_size == 1000
    assert methods == {"noise": zipfile.ZIP_STORED, "text": zipfile.ZIP_DEFLATED, "e": zipfile.ZIP_STORED}


def test_a_higher_level_is_smaller_with_the_same_content_digest(bench):
    file = bench.file("text", b"".join(str(number * number).encode() for number in range(20_000)))
    made = [bench.write(file, compression=compression) for compression in ("fast", "balanced", "smallest")]
    assert made[0].size > made[1].size > made[2].size
    assert len({each.content_sha256 for each in made}) == 1
    assert len({each.sha256 for each in made}) == 3


def test_the_content_digest_sees_names_modes_and_contents_and_no_dates(bench):
    before = bench.write(bench.file("a", b"1")).content_sha256
    assert bench.write(bench.file("a", b"1"), epoch=1_700_000_000).content_sha256 == before
    assert bench.write(bench.file("b", b"1")).content_sha256 != before
    assert bench.write(bench.file("a", b"2")).content_sha256 != before
    assert bench.write(bench.file("a", b"1", executable=True)).content_sha256 != before


def test_size_and_digest_are_those_of_the_file(bench):
    written = bench.write(bench.file("a/b.py", b"x" * 999))
    content = bench.output.read_bytes()
    assert written.path == bench.output
    assert written.size == len(content)
    assert written.sha256 == hashlib.sha256(content).hexdigest()


def test_an_empty_package_is_a_zip_too(bench):
    bench.write()
    assert bench.names() == []


@pytest.mark.parametrize("begun", [False, True])
def test_progress_counts_every_byte_once(bench, begun):
    class Counter(Silent):
        done = 0
        lock = threading.Lock()

        def advance(self, amount=1):
            with self.lock:
                self.done += amount

    counter = Counter()
    files = bench.file("a", b"x" * 100), bench.file("b", b"y" * 50, project=True)
    bench.write(*files, progress=counter, begun=begun)
    assert counter.done == 150


def test_what_a_section_has_is_compared_with_what_is_wanted(bench):
    """Damaged, it may unpack to as many bytes, and be something else."""
    text = b"".join(b"%d, " % random.Random(number).getrandbits(30) for number in range(4_000))
    file = bench.folder / "section"
    sha256 = hashlib.sha256(text).hexdigest()
    with Packer(compression="balanced", cache=Cache(root=None), progress=Silent(), jobs=1) as packer:
        section = write_section(Tree.of([bench.file("a", text)]), file, packer, Timestamp.of(None))
    streams = SectionStreams([StoredSection(section=section, file=file)])
    data = file.read_bytes()[31:]
    assert streams.get(text, sha256) == data
    for position in range(len(data) // 2, len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        with suppress(deflate.DeflateError):
            unpacked = deflate.deflate_decompress(damaged, len(text))
            if len(unpacked) == len(text) and unpacked != text:
                break
    else:
        pytest.fail("no bit was found that makes it something else")
    file.write_bytes(bytes(31) + damaged)
    assert streams.get(text, sha256) is None
    file.write_bytes(data[:-1])
    assert streams.get(text, sha256) is None
    file.unlink()
    assert streams.get(text, sha256) is None


def test_the_old_package_is_replaced_and_the_folder_made(bench):
    bench.write(bench.file("a"))
    bench.write(bench.file("b"))
    assert bench.names() == ["b"]
    assert leftovers(bench.output.parent) == []


def test_a_package_that_somebody_linked_is_not_changed(bench):
    bench.write(bench.file("a"))
    os.link(bench.output, bench.folder / "link")
    before = (bench.folder / "link").read_bytes()
    bench.write(bench.file("b"))
    assert (bench.folder / "link").read_bytes() == before


@pytest.mark.parametrize("project", [True, False])
def test_a_source_that_is_gone_leaves_the_old_package_and_is_named(bench, project):
    bench.write(bench.file("a"))
    before = bench.output.read_bytes()
    lost = bench.file("lost", project=project)
    lost.source.unlink()
    with pytest.raises(ArchiveError) as caught:
        bench.write(*(bench.file(f"{number}") for number in range(50)), lost)
    assert caught.value.message.endswith(f"{lost.source}: No such file or directory")
    assert bench.output.read_bytes() == before
    assert leftovers(bench.output.parent) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("begun", [False, True])
def test_an_interrupted_build_leaves_the_old_package(bench, error, begun):
    """Whoever is told of progress may raise; nobody waits for ever, and nothing is swallowed."""

    class Interrupting(Silent):
        def advance(self, amount=1):
            raise error

    bench.write(bench.file("a"))
    before = bench.output.read_bytes()
    with pytest.raises(error):
        bench.write(*(bench.file(f"{number}") for number in range(10)), progress=Interrupting(), begun=begun)
    assert bench.output.read_bytes() == before
    assert leftovers(bench.output.parent) == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_compressor_that_fails_leaves_the_old_package(bench, monkeypatch, begun):
    def fail(*_):
        raise MemoryError

    bench.write(bench.file("a"))
    before = bench.output.read_bytes()
    monkeypatch.setattr(deflate, "deflate_compress", fail)
    with pytest.raises(MemoryError):
        bench.write(*(bench.file(f"{number}") for number in range(10)), begun=begun)
    assert bench.output.read_bytes() == before
    assert leftovers(bench.output.parent) == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from hatch_lambda.errors import ArchiveError
from hatch_lambda.core.model import File
from tests.unit.stages.archive.test_write import Bench
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
bench = Bench(Path(sys.argv[1]))
files = [File(path=f"{n}", source=bench.folder / "noise", size=10_000, project=n % 2 == 1) for n in range(9)]
try:
    bench.write(*files)
except ArchiveError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
@pytest.mark.parametrize("limit", [0, 1000, 40_000, 60_000, 90_000])
def test_a_full_disk_leaves_the_old_package_and_no_other_file(bench, limit):
    bench.write(bench.file("a"))
    before = bench.output.read_bytes()
    (bench.folder / "noise").write_bytes(random.Random(2).randbytes(10_000))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PYTHONPATH), "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-c", LIMITED, str(bench.folder), str(bench.output), str(limit)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "the package could not be written: File too large" in done.stdout
    assert "hint: check the free space" in done.stdout
    assert bench.output.read_bytes() == before
    assert leftovers(bench.output.parent) == []


@pytest.mark.parametrize("name", [".", "/", "folder"])
def test_a_folder_is_no_place_for_a_package(bench, name):
    (bench.folder / "folder").mkdir()
    with pytest.raises(ArchiveError, match="this is a folder"):
        bench.write(output=bench.folder / name)


def test_a_folder_that_cannot_be_made_is_an_error(bench):
    (bench.folder / "file").write_text("x")
    with pytest.raises(ArchiveError, match=r"app\.zip: the package could not be written"):
        bench.write(output=bench.folder / "file" / "app.zip")


def test_a_ready_part_that_was_damaged_is_noticed_and_nothing_written(bench):
    packer = Packer(compression="fast", cache=Cache(root=None), progress=Silent(), jobs=1)
    file = bench.folder / "section"
    section = write_section(Tree.of([bench.file("a", b"noise")]), file, packer, Timestamp.of(None))
    content = file.read_bytes()
    for damaged in (content[:-1], content[:-1] + b"!", b""):
        file.write_bytes(damaged)
        with pytest.raises(DamagedSectionError):
            put([StoredSection(section=section, file=file)], Tree(()), bench.output, packer, Timestamp.of(None))
        assert not bench.output.parent.exists()


@pytest.mark.parametrize("fast", [True, False])
def test_what_stands_behind_a_ready_part_in_its_file_is_not_copied(bench, monkeypatch, fast):
    if not fast:
        monkeypatch.delattr("os.copy_file_range", raising=False)
    expected = bench.write(bench.file("a", b"x" * 100), bench.file("b", project=True)).sha256
    packer = Packer(compression="fast", cache=Cache(root=None), progress=Silent(), jobs=1)
    file = bench.folder / "section"
    section = write_section(Tree.of([bench.file("a", b"x" * 100)]), file, packer, Timestamp.of(None))
    with file.open("ab") as stream:
        stream.write(b"trailer" * 1000)
    first = StoredSection(section=section, file=file)
    written = put([first], Tree.of([bench.file("b", project=True)]), bench.output, packer, Timestamp.of(None))
    assert written.sha256 == expected == hashlib.sha256(bench.output.read_bytes()).hexdigest()


@pytest.mark.parametrize("fast", [True, False])
def test_parts_follow_one_another_and_a_directory_belongs_to_the_first(bench, monkeypatch, fast):
    if not fast:
        monkeypatch.delattr("os.copy_file_range", raising=False)
    trees = (["pkg/b.py", "pkg/c.py"], ["pkg/__pycache__/b.pyc", "pkg/a.pyc"], ["pkg/a.py", "pkg/__pycache__/z.pyc"])
    first, second, own = (Tree.of(bench.file(path, path.encode()) for path in paths) for paths in trees)
    packer = Packer(compression="fast", cache=Cache(root=None), progress=Silent(), jobs=1)
    stored = []
    for name, tree in (("first", first), ("second", second)):
        file = bench.folder / name
        after = stored[0].section if stored else None
        stored.append(StoredSection(section=write_section(tree, file, packer, Timestamp.of(None), after), file=file))
        with file.open("ab") as stream:
            stream.write(b"trailer" * 1000)

    written = put(stored, own, bench.output, packer, Timestamp.of(None))

    assert bench.names() == [
        *("pkg/", "pkg/b.py", "pkg/c.py"),
        *("pkg/__pycache__/", "pkg/__pycache__/b.pyc", "pkg/a.pyc"),
        *("pkg/__pycache__/z.pyc", "pkg/a.py"),
    ]
    with zipfile.ZipFile(bench.output) as archive:
        assert all(archive.read(name) == name.encode() for name in bench.names() if not name.endswith("/"))
    assert written.sha256 == hashlib.sha256(bench.output.read_bytes()).hexdigest()


def test_a_part_fits_only_after_the_one_that_it_was_made_for(bench):
    packer = Packer(compression="fast", cache=Cache(root=None), progress=Silent(), jobs=1)

    def section(*paths, after=None):
        tree = Tree.of(bench.file(path, path.encode()) for path in paths)
        return write_section(tree, bench.folder / f"section-{bench.count}", packer, Timestamp.of(None), after)

    first = section("a/b", "c")
    assert section("a/d", after=first).may_follow(first)
    assert not section("a/d").may_follow(first), "its offsets are those of a zip's beginning"
    assert not section("c", after=first).may_follow(first), "a name is there twice"
    assert not section("c/d", after=first).may_follow(first), "a file is a folder"
    assert not section("a", after=first).may_follow(first), "a folder is a file"
    assert not replace(section("d/e"), offset=first.size).may_follow(section("d/f"))


@given(TREES)
@settings(max_examples=30, deadline=None)
def test_a_cache_changes_no_byte_and_no_digest(tree):
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        files = [
            bench.file(path, content * 2000, executable=executable, project=project)
            for path, (content, executable, project) in tree.items()
        ]
        expected = bench.write(*files)
        cache = Cache(root=bench.folder / "cache")
        for _ in range(2):
            assert bench.write(*files, cache=cache) == expected
            assert hashlib.sha256(bench.output.read_bytes()).hexdigest() == expected.sha256


def test_a_zip_that_is_there_already_is_left_as_it_is(bench, tmp_path):
    """Nothing is copied, and whoever looks at its date sees that it is the same."""
    cache = Cache(root=tmp_path / "cache")
    files = [bench.file("a.py", b"a" * 5000), bench.file("app.py", b"b" * 5000, project=True)]
    written = bench.write(*files, cache=cache)
    os.utime(bench.output, ns=(1, 1))
    assert bench.write(*files, cache=cache) == written
    assert bench.output.stat().st_mtime_ns == 1


@pytest.mark.parametrize("position", [40, -200, -1], ids=["section", "directory", "end"])
def test_a_zip_that_somebody_changed_is_replaced(bench, tmp_path, position):
    cache = Cache(root=tmp_path / "cache")
    files = [bench.file("a.py", os.urandom(5000)), bench.file("app.py", b"b" * 5000, project=True)]
    bench.write(*files, cache=cache)
    fresh = bench.output.read_bytes()
    changed = bytearray(fresh)
    changed[position] ^= 1
    bench.output.write_bytes(changed)
    bench.write(*files, cache=cache)
    assert bench.output.read_bytes() == fresh


def test_a_link_to_the_zip_is_replaced_by_the_zip(bench, tmp_path):
    """The link's target is somebody else's, and may change."""
    cache = Cache(root=tmp_path / "cache")
    bench.write(bench.file("a.py"), cache=cache)
    elsewhere = bench.output.rename(tmp_path / "elsewhere.zip")
    bench.output.symlink_to(elsewhere)
    bench.write(bench.file("a.py"), cache=cache)
    assert not bench.output.is_symlink()
