"""The same bytes whatever the cache holds, and a key for everything that can change them.

All wheels are made here and found by their paths, so no registry is asked.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import deflate
import msgspec
import pytest
from msgspec.structs import replace
from uv import find_uv_bin

from hatch_lambda import api
from hatch_lambda.config.decode import decode
from hatch_lambda.config.project import Project
from hatch_lambda.config.settings import keys
from hatch_lambda.core import python as interpreter
from hatch_lambda.core.cache import Cache, digest
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import InstallError
from hatch_lambda.pipeline import parts
from hatch_lambda.stages.archive.zipformat import Entry, Timestamp, central_header, local_header
from hatch_lambda.stages.locks import read as reading
from tests.support.elf import shared_object
from tests.support.sources import make_sdist
from tests.support.wheels import make_project, make_wheel, pylock

KINDS = ("audits", "checked", "digests", "known", "parts", "program", "recent", "sections", "selections", "streams")
LOWEST = Timestamp.of(None)
HEAD = """
[project]
name = "service"
version = "1"
[project.optional-dependencies]
some-extra = []
[dependency-groups]
some-group = []
"""


def text(seed, size=40_000):
    """Return Python code that is worth keeping as a stream, and does not compress to nothing."""
    numbers = random.Random(seed)
    return "".join(f"NUMBER_{line} = {numbers.random()}\n" for line in range(size // 30))


def wheels(folder, version="1.0"):
    """Make a pure wheel with tests and a command, one with a shared object, and one that the tests need."""
    dep = {
        "dep/__init__.py": "",
        "dep/core.py": text(version),
        "dep/tests/__init__.py": "",
        "dep/tests/x.py": "from dep.tests import y\n",
        "dep/tests/y.py": "",
        "dep/tests/z.py": "",
        "dep-1.0.data/scripts/talk": "#!python\nprint('hello')\n",
        "dep-1.0.dist-info/entry_points.txt": "[console_scripts]\ncall = dep.core:main\n",
    }
    dep = {path.replace("dep-1.0", f"dep-{version}"): content for path, content in dep.items()}
    native = {"native/__init__.py": "", "native/lib.so": shared_object(), "native/data.bin": b"\x17" * 99}
    return (
        make_wheel(folder, "dep", dep, version=version),
        make_wheel(folder, "native", native),
        make_wheel(folder, "other", {"other.py": text("other"), "other_data/table.txt": text("table", 20_000)}),
    )


class Bench:
    """A project, its wheels, and as many caches as a test likes."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.wheels = wheels(folder / "wheels")
        self.project = make_project(folder / "service", *self.wheels, head=HEAD)
        with (self.project / "app.py").open("a") as app:
            app.write(text("app"))
        self._monkeypatch = monkeypatch
        self.use("cache")

    def use(self, name):
        self.cache = self.folder / name
        self._monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(self.cache))

    def build(self, project=None, **options):
        """Build, as if for the first time in this folder: a zip that is there would be left as it is."""
        for path in (project or self.project).glob("dist/*.zip"):
            path.unlink()
        return api.build(project or self.project, **options)

    def bytes(self, project=None, **options):
        return self.build(project, **options).path.read_bytes()

    def fresh(self, project=None, **options):
        """Return what a build without any cache makes."""
        return self.bytes(project, no_cache=True, **options)

    def entries(self, *kinds):
        found = [entry for entry in Cache(root=self.cache).entries() if not kinds or entry.kind in kinds]
        return sorted(entry.path for entry in found)

    def names(self, *kinds):
        return {path.parent.name + path.name for path in self.entries(*kinds)}

    def change_one(self):
        """Lock another version of one distribution, and return what a build of that makes without a cache."""
        newer = wheels(self.folder / "newer", "2.0")[0]
        (self.project / "pylock.toml").write_text(pylock(newer, *self.wheels[1:]))
        return self.fresh()

    def count_compressed(self):
        """Note from now on what is compressed, but for what is too small to be worth keeping."""
        self.compressed = []
        compress = deflate.deflate_compress

        def noting(content, level):
            if len(content) > 10_000:
                self.compressed.append(bytes(content))
            return compress(content, level)

        self._monkeypatch.setattr(deflate, "deflate_compress", noting)

    def keys(self):
        """Return the keys that say which wheels are chosen, and which part is made of them."""
        return self.names("known", "selections")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    return Bench(tmp_path, monkeypatch)


@pytest.fixture
def nobody_works(monkeypatch):
    """Let every process that is started, and every compressed file of a dependency, fail the test."""

    def start():
        compress = deflate.deflate_compress

        def small_only(content, level):
            assert len(content) < 10_000, "a compressor ran for the dependencies"
            return compress(content, level)

        monkeypatch.setattr("hatch_lambda.core.uv.run", lambda arguments, **_: pytest.fail(f"{arguments} was run"))
        monkeypatch.setattr(deflate, "deflate_compress", small_only)

    return start


def test_a_warm_build_copies_what_a_cold_one_made(bench, nobody_works):
    fresh = bench.fresh()
    cold = bench.build()
    assert (cold.from_cache, cold.path.read_bytes()) == (False, fresh)
    assert {entry.kind for entry in Cache(root=bench.cache).entries()} == set(KINDS)
    nobody_works()

    warm = bench.build()

    assert (warm.from_cache, warm.path.read_bytes()) == (True, fresh)
    assert replace(warm.document(), stages=[], from_cache=False) == replace(cold.document(), stages=[])
    assert warm.findings == cold.findings
    assert list((bench.cache / "work").glob("build-*")) == []


def test_without_a_cache_nothing_is_kept(bench):
    bench.fresh()
    assert not bench.cache.exists()


def test_refreshing_makes_everything_anew(bench):
    first = bench.bytes()
    again = bench.build(refresh=True)
    assert (again.from_cache, again.path.read_bytes()) == (False, first)
    assert bench.build().from_cache


@pytest.mark.parametrize("seed", range(8))
def test_a_half_filled_cache_makes_the_same_bytes(bench, seed):
    """Some of each kind are gone, as pruning leaves it."""
    fresh = bench.fresh()
    bench.build()
    chance = random.Random(seed)
    for path in bench.entries():
        if chance.random() < 0.5:
            path.unlink()
    assert bench.bytes() == fresh
    assert bench.bytes() == fresh


def flip(content, chance):
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def truncate(content, chance):
    del content[chance.randrange(len(content)) :]


def swap(content, chance):
    content[:] = content[::-1]


@pytest.mark.parametrize("damage", [flip, truncate, swap])
@pytest.mark.parametrize("kind", sorted({*KINDS} - {"recent"}))
def test_a_damaged_entry_is_never_shipped(bench, kind, damage):
    """Not in this build, nor in the next, and in the end the cache is in order again."""
    fresh = bench.fresh()
    bench.build()
    chance = random.Random(f"{kind} {damage.__name__}")
    for path in bench.entries(kind):
        content = bytearray(path.read_bytes())
        damage(content, chance)
        path.write_bytes(content)

    told = bench.build()

    assert told.path.read_bytes() == fresh
    assert told.sha256 == bench.build(no_cache=True).sha256
    assert [bench.bytes(), bench.bytes()] == [fresh, fresh]
    assert bench.build().from_cache


@pytest.mark.parametrize("position", [0, 30, 0.5, 0.9])
def test_any_bit_of_the_sections_blob_matters(bench, position):
    fresh = bench.fresh()
    with zipfile.ZipFile(bench.build().path) as archive:
        size = archive.getinfo("app.py").header_offset
    (path,) = bench.entries("sections")
    content = bytearray(path.read_bytes())
    content[int(position * size) if isinstance(position, float) else position] ^= 1
    path.write_bytes(content)
    rebuilt = bench.build()
    assert (rebuilt.path.read_bytes(), rebuilt.from_cache) == (fresh, False)


def test_a_section_that_is_gone_is_made_anew(bench):
    """Another build may prune at any moment, also between looking and copying."""
    fresh = bench.fresh()
    bench.build()
    real = parts.load

    def load(*arguments):
        stored = real(*arguments)
        if stored is not None:
            stored.file.unlink()
        return stored

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "load", load)
        assert bench.bytes() == fresh
    assert bench.bytes() == fresh


@pytest.mark.parametrize("kind", ["parts", "selections"])
def test_a_whole_entry_with_foreign_content_is_made_anew(bench, kind):
    """Nobody but somebody with bad intentions writes such: no reason for a traceback."""
    fresh = bench.fresh()
    bench.build()
    for path in bench.entries(kind):
        Cache(root=bench.cache).put(kind, path.parent.name + path.name, b"\x93\x01\x02\x03")
    assert bench.bytes() == fresh
    assert bench.build().from_cache


def test_the_order_of_filling_does_not_matter(bench):
    """Two projects share some distributions; either may come first."""
    second = make_project(bench.folder / "second", *bench.wheels[1:])
    fresh = [bench.fresh(), bench.fresh(second)]
    for name, order in (("ab", (0, 1)), ("ba", (1, 0))):
        bench.use(name)
        projects = [bench.project, second]
        made = {number: bench.bytes(projects[number]) for number in order}
        assert [made[0], made[1]] == fresh


@pytest.mark.parametrize("first", ["fast", "smallest"])
def test_another_compression_leaves_nothing_behind(bench, first):
    fresh = bench.fresh()
    other = bench.fresh(compression=first)
    assert other != fresh
    assert bench.bytes(compression=first) == other
    assert bench.bytes() == fresh
    assert bench.bytes(compression=first) == other


def test_one_changed_distribution_costs_that_distribution(bench):
    """What the others hold is compressed already, and the bytes are those of a build from nothing."""
    bench.build()
    fresh = bench.change_one()
    bench.count_compressed()

    changed = bench.build()

    assert (changed.from_cache, changed.path.read_bytes()) == (False, fresh)
    assert bench.compressed == [text("2.0").encode()]


@pytest.mark.parametrize("damage", [flip, truncate, swap, None])
@pytest.mark.parametrize("kind", ["parts", "recent", "sections"])
def test_what_an_earlier_part_lends_is_right(bench, kind, damage):
    """Or it is compressed again."""
    bench.build()
    fresh = bench.change_one()
    for path in bench.entries(kind):
        content = bytearray(path.read_bytes())
        if damage is None:
            path.unlink()
        else:
            damage(content, random.Random(kind))
            path.write_bytes(content)

    assert [bench.bytes(), bench.bytes()] == [fresh, fresh]


def test_what_an_earlier_part_lends_has_the_bytes_that_it_had(bench):
    """A bit behind the end of a stream means nothing, and would be in every later package."""
    package = bench.build().path
    (section,) = bench.entries("sections")
    content = bytearray(section.read_bytes())
    with zipfile.ZipFile(package) as archive:
        for info in archive.infolist():
            start = info.header_offset + 30 + len(info.filename)
            data = bytearray(content[start : start + info.compress_size])
            if info.file_size > 10_000 and not info.filename.startswith(("app", "dep")):
                data[-1] ^= 0x80
                with suppress(deflate.DeflateError):
                    if deflate.deflate_decompress(data, info.file_size) == archive.read(info):
                        break
        else:
            pytest.fail("every stream needs all of its bits")
    content[start : start + len(data)] = data
    section.write_bytes(content)
    fresh = bench.change_one()
    assert [bench.bytes(), bench.bytes()] == [fresh, fresh]


def test_an_earlier_part_may_go_while_it_lends(bench):
    """Another build may prune at any moment."""
    bench.build()
    fresh = bench.change_one()
    (section,) = bench.entries("sections")
    real = parts.streams

    def streams(*arguments):
        found = real(*arguments)
        section.unlink()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "streams", streams)
        assert bench.bytes() == fresh


def test_several_parts_lend_what_they_have(bench):
    """Also such as another project made, of other versions, and for another target."""
    second = make_project(bench.folder / "second", *bench.wheels[1:])
    bench.build(second)
    third = make_project(bench.folder / "third", bench.wheels[0], settings='architecture = "arm64"')
    bench.build(third, refresh=True)
    fresh = bench.fresh()
    bench.count_compressed()
    assert bench.bytes() == fresh
    assert bench.compressed == [(bench.project / "app.py").read_bytes()]


def test_a_part_of_the_same_kind_lends_first(bench):
    """Bytecode is that of one version of Python, whoever else has the same wheels."""
    other = make_project(bench.folder / "other", *bench.wheels, settings='shape = "layer"')
    options = {"bytecode": "only", "verify": "static"}
    bench.build(**options)
    newer = wheels(bench.folder / "newer", "2.0")[0]
    (other / "pylock.toml").write_text(pylock(newer, *bench.wheels[1:]))
    bench.build(other, **options)
    bench.change_one()
    bench.count_compressed()
    bench.build(**options)
    assert len(bench.compressed) == 1


def sections(package, own):
    """Return the entries of the zip that are not the project's *own*, with all that is said about them."""
    with zipfile.ZipFile(package) as archive:
        infos = [info for info in archive.infolist() if not info.filename.startswith(own)]
        return [(info.filename, info.header_offset, info.CRC, info.external_attr, info.date_time) for info in infos]


def test_an_edit_of_the_project_changes_the_projects_part_alone(bench, nobody_works):
    before = sections(bench.build().path, "app.py")
    parts_before = bench.entries("parts", "sections")
    (bench.project / "app.py").write_text("def handler(event, context):\n    return 'edited'\n")
    fresh = bench.fresh()
    nobody_works()

    edited = bench.build()

    assert (edited.from_cache, edited.path.read_bytes()) == (True, fresh)
    assert sections(edited.path, "app.py") == before
    assert bench.entries("parts", "sections") == parts_before


INFLUENCES = {
    "imports": "import dep.tests.x\n",
    "names": "MODULE = 'dep.tests.z'\n",
    "lists": "import importlib.metadata\nprint(importlib.metadata.files('dep'), importlib.metadata.files)\n",
}


def names_in(package):
    return set(zipfile.ZipFile(package).namelist())


@pytest.mark.parametrize("influence", INFLUENCES)
@pytest.mark.parametrize("begin_with", ["plain", "influence"])
def test_what_the_project_asks_of_its_dependencies_is_there(bench, influence, begin_with):
    """And is gone when it does not ask any more: both ways, cold and warm."""
    app = bench.project / "app.py"
    codes = {"plain": app.read_text(), "influence": INFLUENCES[influence] + app.read_text()}
    fresh = {}
    for name, code in codes.items():
        app.write_text(code)
        fresh[name] = bench.fresh()
    assert fresh["plain"] != fresh["influence"]
    order = ["plain", "influence"] if begin_with == "plain" else ["influence", "plain"]
    for turn, name in enumerate(order * 2):
        app.write_text(codes[name])
        built = bench.build()
        assert (built.path.read_bytes(), built.from_cache) == (fresh[name], turn > 1)
    app.write_text(codes["influence"])
    wanted = {"imports": "dep/tests/y.py", "names": "dep/tests/z.py", "lists": "dep-1.0.dist-info/RECORD"}[influence]
    assert wanted in names_in(bench.build().path)


def test_a_new_module_of_the_project_is_seen(bench):
    """It is not the handler that imports, but a file that was not there before."""
    bench.build()
    (bench.project / "more.py").write_text("from dep.tests import z\n")
    fresh = bench.fresh()
    assert bench.bytes() == fresh
    assert "dep/tests/z.py" in names_in(bench.build().path)


@pytest.mark.parametrize("cached", [False, True])
def test_a_file_that_both_have_differently_is_refused(bench, cached):
    """Cold as well as warm, and what others make of the same dependencies is not touched by it."""
    fresh = bench.fresh()
    second = make_project(bench.folder / "second", *bench.wheels)
    (second / "dep").mkdir()
    (second / "dep" / "core.py").write_text("NAME = 'not that of the dependency'\n")
    third = make_project(bench.folder / "third", *bench.wheels)
    (third / "dep").mkdir()
    (third / "dep" / "more.py").write_text("NAME = 'not that of the dependency'\n")
    if cached:
        bench.build(third)

    with pytest.raises(InstallError, match=r"^dep/core\.py differs in the project, dep\n"):
        bench.build(second)

    assert bench.bytes(third) == bench.fresh(third)
    assert "dep/core.py" in names_in(bench.build(third).path)
    assert bench.bytes() == fresh


def test_a_file_that_both_have_alike_is_there_once(bench):
    second = make_project(bench.folder / "second", *bench.wheels)
    (second / "dep").mkdir()
    (second / "dep" / "core.py").write_text(text("1.0"))
    fresh = bench.fresh(second)
    assert [bench.bytes(second), bench.bytes(second)] == [fresh, fresh]
    with zipfile.ZipFile(bench.build(second).path) as archive:
        assert archive.namelist().count("dep/core.py") == 1


# What makes another key.

VALUES = {
    "runtime": ("python3.13", "python3.12"),
    "architecture": ("x86_64", "arm64"),
    "lock": ("pylock.toml", "pylock.second.toml"),
    "require_lock": (False, True),
    "extras": ([], ["some-extra"]),
    "groups": ([], ["some-group"]),
    "without_groups": ([], ["some-group"]),
    "only_groups": ([], ["some-group"]),
    "require_hashes": (True, False),
    "sdist": ("pure", "never"),
    "container_image": (None, "image"),
    "container_file": (None, "Containerfile"),
    "container_build_args": ([], ["--pull"]),
    "container_args": ([], ["--network=host"]),
    "container_env": ([], ["NAME=value"]),
    "install_args": ([], ["--no-config"]),
    "exclude_packages": ([], ["no-such-thing"]),
    "keep_dependencies": (False, True),
    "exclude_runtime_packages": (False, True),
    "scripts": (False, True),
    "patterns": ([], ["other_data/"]),
    "append_default_patterns": (True, False),
    "dist_info": ("minimal", "keep"),
    "keep_dist_info": ([], ["dep"]),
    "aggressive": (False, True),
    "rules": ({}, {"type-stubs": False}),
    "data": ({}, {"babel": ["de"]}),
    "strip": (True, False),
    "strip_exclude": ([], ["native/"]),
    "bytecode": ("none", "include"),
    "optimize": (0, 2),
    "compression": ("balanced", "fast"),
}
"""Two values of each setting that has a say about the dependencies."""

NEEDS = {"optimize": {"bytecode": "include"}}
"""Settings that have a say only together with others."""

OTHER_PROJECTS = ("module", "functions")
"""Exempt settings that make another project of it, with a lock of its own."""

EXEMPT = {
    "enabled": (True, False, "only the Hatch doors ask for it"),
    "handler": (
        "app.handler",
        "app.other",
        "says where an src folder counts, and is checked; the dependencies have no part",
    ),
    "output": ("one.zip", "other.zip", "where the finished zip goes"),
    "layers": ([], ["layer.zip"], "counted and looked into, by the checks of the whole package"),
    "verify_ignore": ([], ["HL104"], "what of the findings counts, not what is in the package"),
    "shape": ("function", "wheel", "what is made of the finished parts"),
    "layer": ({}, {"name": "deps"}, "what is said about the finished parts, and where they are cut"),
    "nested_limit": (262_144_000, 1_000, "what is made of the finished parts"),
    "module": (None, "folder", "the project's own files, which are taken anew each time, and its lock"),
    "functions": ({}, {"one": {}}, "each is a project to all that builds"),
    "include": ([], ["app.txt"], "the project's own files, which are taken anew each time"),
    "exclude": ([], ["app.txt"], "the project's own files, which are taken anew each time"),
    "bytecode_python": (None, "3.13.7", "which interpreter is looked for; the version that compiled is in the key"),
    "verify": ("static", "import", "the finished package is run, not changed"),
    "verify_events": ([], ["events/*.json"], "the finished package is run, not changed"),
    "verify_env": ({}, {"TABLE": "x"}, "the finished package is run, not changed"),
    "vendor": ([], ["vendored"], "a folder is the project's own; its wheels are told apart by their hashes"),
    "container_engine": (None, "podman", "who runs the image, not what is in it"),
    "container_ssh": (False, True, "by which right something is fetched"),
    "cache_dir": (None, "elsewhere", "where the cache is, not what is in it"),
    "cache_max_size": (5_000_000_000, 4_000_000_000, "what goes, not what stays"),
    "cache_url": (None, "memory:///", "where the cache is, not what is in it"),
    "cache_write": (False, True, "who fills it, not what is in it"),
}
"""The settings that cannot change what is kept, two values of each, and why."""

IN_THE_KEY = {"container_extra_files": ([], ["/lib/library.so"])}
"""Two values of each setting with a say that nothing but a container could show; they are part of the key."""

FIELDS = [key.replace("-", "_") for key in keys()]


def test_every_setting_was_thought_about():
    """Put a new one into ``VALUES``; into ``EXEMPT`` only if no byte of the dependencies can depend on it."""
    assert sorted(FIELDS) == sorted([*VALUES, *EXEMPT, *IN_THE_KEY])


@pytest.mark.parametrize("field", VALUES)
def test_every_setting_alters_the_key(bench, field):
    """Another key of the selection or of the part: so nothing is taken for what it is not."""
    (bench.project / "pylock.second.toml").write_text(pylock(*bench.wheels))
    (bench.project / "Containerfile").write_text("FROM image\n")
    given = {"lock": "pylock.toml", **NEEDS.get(field, {})}
    if "bytecode" in {field, *given} and not interpreter.find(
        "3.13", Uv.find(os.environ), Cache(root=None), cwd=bench.folder, download=False
    ):
        pytest.skip("no CPython 3.13 on this machine")
    one, other = VALUES[field]
    bench.build(**{**given, field: one})
    before = bench.keys()
    fresh = bench.fresh(**{**given, field: other})

    assert bench.bytes(**{**given, field: other}) == fresh

    assert bench.keys() - before
    assert bench.keys() > before


@pytest.mark.parametrize("field", IN_THE_KEY)
def test_every_setting_about_containers_alters_the_key(field):
    settings = [decode({field.replace("_", "-"): value}).sdist.shaping for value in IN_THE_KEY[field]]
    assert len({msgspec.structs.replace(KEY, policies=(one,)).digest() for one in settings}) == 2


@pytest.mark.parametrize("field", [field for field in EXEMPT if field not in OTHER_PROJECTS])
def test_no_exempt_setting_alters_the_dependencies(bench, field):
    (bench.project / "app.txt").write_text("x")
    with zipfile.ZipFile(bench.project / "layer.zip", "w") as layer:
        layer.writestr("lib/libfoo.so", "x")
    for folder in ("vendored", "folder"):
        (bench.project / folder).mkdir()
    (bench.project / "folder" / "app.py").write_text("handler = print\n")
    (bench.project / "vendored" / "app.json").write_text("x")
    (bench.project / "app.py").write_text("handler = other = print\n")
    one, other, _ = EXEMPT[field]
    bench.build(**{field: one})
    before = bench.keys()
    fresh = bench.fresh(**{field: other})

    built = bench.build(**{field: other})

    assert built.from_cache
    assert built.path.read_bytes() == fresh
    assert bench.keys() == before


@pytest.mark.parametrize("first", ["x86_64", "arm64"])
def test_each_architecture_gets_its_wheels(bench, first):
    """Though the lock is the same, and nothing else has changed."""
    built = [
        make_wheel(bench.folder / "wheels", "fast", {"fast.py": machine}, tag=f"cp313-cp313-manylinux_2_17_{machine}")
        for machine in ("x86_64", "aarch64")
    ]
    (bench.project / "pylock.toml").write_text(pylock(*built))
    for architecture in (first, "x86_64", "arm64", "x86_64"):
        with zipfile.ZipFile(bench.build(architecture=architecture).path) as archive:
            assert archive.read("fast.py") == {"x86_64": b"x86_64", "arm64": b"aarch64"}[architecture]


def test_a_date_is_part_of_the_key(bench, monkeypatch):
    first = bench.fresh()
    for epoch in ("1700000000", "1700000002", "", "1700000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        fresh = bench.fresh()
        assert bench.bytes() == fresh
        assert (fresh == first) == (epoch == "")
    assert len(bench.names("known")) == 3


def test_the_content_of_the_lock_is_part_of_the_key(bench):
    """Not its name, nor those of the wheels: they may be the same."""
    first = bench.bytes()
    again = make_wheel(bench.folder / "again", "other", {"other.py": "CHANGED = True\n"})
    assert again.name == bench.wheels[2].name
    (bench.project / "pylock.toml").write_text(pylock(*bench.wheels[:2], again))
    fresh = bench.fresh()
    assert bench.bytes() == fresh != first


def test_a_lock_that_is_edited_while_it_is_read_is_not_remembered(bench, monkeypatch):
    """What was chosen from the new content would stand for the old, which may come back."""
    first = bench.fresh()
    path, read = bench.project / "pylock.toml", reading.read
    before = path.read_text()
    newer = wheels(bench.folder / "newer", "2.0")[0]

    def edited(*given):
        path.write_text(pylock(newer, *bench.wheels[1:]))
        return read(*given)

    monkeypatch.setattr(reading, "read", edited)
    bench.build()
    monkeypatch.setattr(reading, "read", read)
    path.write_text(before)
    assert bench.bytes() == first


def test_that_an_index_lacked_a_wheel_for_a_moment_is_not_remembered(bench):
    """Where the lock has no addresses the index is asked, and a source is what is left."""
    links = bench.folder / "links"
    sdist = make_sdist(links, "some", {"some.py": "OF = 'the source'\n"})
    wheel = make_wheel(bench.folder / "later", "some", {"some.py": "OF = 'the wheel'\n"})
    (bench.project / "pylock.toml").unlink()
    (bench.project / "uv.toml").write_text(f'no-index = true\nfind-links = ["{links.as_posix()}"]\n')
    digests = " ".join(f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in (sdist, wheel))
    (bench.project / "requirements.txt").write_text(f"some==1.0 {digests}\n")
    (bench.project / "app.py").write_text("import some\n")
    options = {"sdist": "pure"}
    source = bench.bytes(**options)
    shutil.move(wheel, links / wheel.name)
    fresh = bench.fresh(**options)
    assert bench.bytes(**options) == fresh != source


@pytest.mark.parametrize("name", ["CFLAGS", "SOME_NO_EXTENSIONS"])
def test_what_changes_a_build_is_part_of_the_key_of_what_was_built(bench, monkeypatch, name):
    statement = f"open('some.py', 'w').write('OF = ' + repr(os.environ.get({name!r})))"
    sdist = make_sdist(bench.folder / "sources", "some", {"some.py": ""}, statement=statement)
    sha256 = hashlib.sha256(sdist.read_bytes()).hexdigest()
    (bench.project / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "some"\nversion = "1.0"\n'
        f'sdist = {{ path = "{sdist.as_posix()}", hashes = {{ sha256 = "{sha256}" }} }}\n'
    )
    (bench.project / "app.py").write_text("import some\n")
    first = bench.bytes(sdist="pure")
    monkeypatch.setenv(name, "1")
    fresh = bench.fresh(sdist="pure")
    assert bench.bytes(sdist="pure") == fresh != first


KEY = parts.Key(
    wheels="wheels",
    target="python3.13-x86_64",
    policies=("policy",),
    compression="balanced",
    timestamp=Timestamp.of(None),
    tool="tool",
)


@pytest.mark.parametrize("field", parts.Key.__struct_fields__)
def test_every_field_of_the_key_counts(field):
    other = {"policies": ("another",), "timestamp": Timestamp.of(1_700_000_000)}.get(field, "another")
    changed = msgspec.structs.replace(KEY, **{field: other})
    assert changed.digest() != KEY.digest()
    assert changed.digest("influence") != KEY.digest("influence")


def test_the_programs_that_shape_bytes_are_part_of_the_key(monkeypatch):
    """The compressor, the texts of commands, and what patterns match; for our own source see below."""
    keys = [KEY.digest(), KEY.digest("influence")]
    for patch in (
        lambda patch: patch.setattr(parts, "__version__", "0"),
        lambda patch: patch.setattr(deflate, "__version__", "0"),
        lambda patch: patch.setattr(parts, "_version", lambda library: "0" if library == "installer" else "1"),
        lambda patch: patch.setattr(parts, "_version", lambda library: "1" if library == "installer" else "0"),
    ):
        with monkeypatch.context() as context:
            patch(context)
            keys.append(KEY.digest())
    assert len(set(keys)) == len(keys)
    assert KEY.digest() == keys[0]


def test_our_own_source_is_read_whole(tmp_path, monkeypatch):
    """A changed rule or line of code makes another key, in development too, whatever its file's date and size say."""
    copy = tmp_path / "hatch_lambda"
    shutil.copytree(Path(parts.__file__).parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(parts, "__file__", str(copy / "pipeline" / "parts.py"))
    monkeypatch.setattr(parts, "_program", parts._program.__wrapped__)
    caches = (Cache(root=None), Cache(root=tmp_path / "cache"))

    def digest():
        """Return it as a new process reads it, as kept, and as it is taken from what is kept."""
        (made,) = {parts.tool(cache) for cache in (*caches, *caches)}
        return made

    seen = [digest()]
    for name in ("stages/slim/rules.toml", "config/runtimes.toml", "stages/strip/strip.py", "core/cache.py"):
        status = (copy / name).stat()
        text = (copy / name).read_text()
        (copy / name).write_text(text.replace("e", "E", 1))
        os.utime(copy / name, ns=(status.st_atime_ns, status.st_mtime_ns))
        seen.append(digest())
    (copy / "stages" / "slim" / "new.py").write_text("")
    seen.append(digest())
    assert len(set(seen)) == 6


def test_our_own_source_that_is_edited_while_it_is_read_is_not_remembered(tmp_path, monkeypatch):
    copy = tmp_path / "hatch_lambda"
    shutil.copytree(Path(parts.__file__).parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(parts, "__file__", str(copy / "pipeline" / "parts.py"))
    before = parts._program.__wrapped__()
    monkeypatch.setattr(parts, "_program", lambda: before)
    (copy / "core" / "cache.py").write_text("EDITED = True\n")
    cache = Cache(root=tmp_path / "cache")
    parts.tool(cache)
    assert list(cache.entries()) == []


def test_the_versions_of_libraries_are_known():
    for library in parts._SHAPING:
        assert parts._version(library).startswith(f"{library}-")


# What is remembered of a lock.


def test_a_project_that_was_moved_finds_its_wheels(bench):
    """What was chosen is remembered with absolute paths, so only for this folder."""
    inside = bench.project / "vendored"
    moved = bench.folder / "moved"
    shutil.copytree(bench.folder / "wheels", inside)
    lock = pylock(*(inside / wheel.name for wheel in bench.wheels)).replace(f"{bench.project.as_posix()}/", "")
    (bench.project / "pylock.toml").write_text(lock)
    first = bench.bytes()
    shutil.move(bench.project, moved)
    for path in bench.entries("parts", "sections", "known"):
        path.unlink()
    assert bench.bytes(moved) == first


def uv_project(bench, **options):
    """Make a project that uv locks from a folder of wheels, of which it then notes no hashes."""
    project = bench.folder / "uv"
    project.mkdir()
    links = bench.folder / "links"
    make_wheel(links, "some", {"some.py": "VERSION = 'old'\n"})
    (project / "pyproject.toml").write_text(
        '[project]\nname = "uv-project"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["some"]\n'
        '[tool.uv]\nno-index = true\nfind-links = ["../links"]\n'
        '[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "none"\n'
    )
    (project / "app.py").write_text("")
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=project, check=True)
    return project, links


def test_a_wheel_that_is_replaced_in_a_local_folder_is_noticed(bench):
    """``uv.lock`` has no hashes for such; a remembered choice would ship the old one for ever."""
    project, links = uv_project(bench)
    old = bench.bytes(project)
    assert bench.bytes(project) == old
    time.sleep(0.01)
    make_wheel(links, "some", {"some.py": "VERSION = 'new'\n"})
    fresh = bench.fresh(project)
    assert bench.bytes(project) == fresh != old


@pytest.mark.parametrize("name", ["service/uv.toml", "uv.toml", "pyproject.toml", "home/.config/uv/uv.toml"])
def test_the_configuration_of_uv_is_part_of_what_is_remembered(bench, monkeypatch, name):
    monkeypatch.setenv("HOME", str(bench.folder / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    bench.build()
    before = bench.names("selections")
    path = bench.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[tool.uv]\n" if path.name == "pyproject.toml" else "# another index could stand here\n")
    bench.build()
    assert len(bench.names("selections") - before) == 1


@pytest.mark.parametrize("field", ["dependencies", "optional-dependencies", "requires-python"])
def test_what_a_build_backend_may_read_from_anywhere_is_not_remembered(bench, field):
    text = (bench.project / "pyproject.toml").read_text()
    text = text.replace("[project.optional-dependencies]\nsome-extra = []\n", "")
    (bench.project / "pyproject.toml").write_text(
        text.replace('version = "1"\n', f'version = "1"\ndynamic = ["{field}"]\n')
    )
    bench.build()
    assert bench.names("selections") == set()


@pytest.mark.parametrize("secret", ["user:password@", "token@", ""])
def test_a_password_in_a_lock_is_not_written_to_the_cache(bench, tmp_path, secret):
    """The lock's owner may protect it; the cache would be one more place to do so."""
    from hatch_lambda.stages.locks.choice import choose as choose_lock
    from hatch_lambda.stages.locks.lock import LockTerms

    address = f"https://{secret}example.invalid/a/dep-1.0-py3-none-any.whl"
    path = f'path = "{bench.wheels[0].as_posix()}"'
    (bench.project / "pylock.toml").write_text(pylock(bench.wheels[0]).replace(path, f'url = "{address}"'))
    project = Project.read(bench.project)
    terms = LockTerms(settings=project.settings.lock, may_create=False, in_source_tree=True)
    chosen = choose_lock(project, project.target, terms, Uv.find({"PATH": ""}), Cache(root=bench.cache), tmp_path)
    assert address in chosen.pinned
    assert len(bench.names("selections")) == (0 if secret else 1)


# The folder itself.


@pytest.mark.parametrize("leftover", [False, True])
def test_a_cache_inside_the_project_is_no_part_of_it(bench, monkeypatch, leftover):
    """Not even while dependencies are installed there, or what a killed build left of them."""
    monkeypatch.delenv("HATCH_LAMBDA_CACHE_DIR")
    fresh = bench.fresh()
    if leftover:
        bench.build(cache_dir="cache")
        killed = bench.project / "cache" / "work" / "build-killed" / "dependencies"
        killed.mkdir(parents=True)
        (killed / "secret.py").write_text("import dep.tests.x\n")
    assert bench.bytes(cache_dir="cache") == fresh
    assert bench.bytes(cache_dir="cache") == fresh
    assert (bench.project / "cache" / "v1").is_dir()


def test_no_name_leads_out_of_the_folder():
    """Keys are digests, whatever distributions and settings are called."""
    assert len(digest("../../etc")) == 64
    assert set(digest("../../etc")) <= set("0123456789abcdef")


class Plant:
    """What somebody puts into a cache who knows how entries are made, and what a build makes of it."""

    def __init__(self, bench, fresh):
        self.bench = bench
        self.fresh = fresh
        self.store = Cache(root=bench.cache)
        (path,) = bench.entries("parts")
        self.key = path.parent.name + path.name
        self.part = msgspec.msgpack.decode(bytes(self.store.get("parts", self.key)))
        self.section = self.part["section"]
        self.content = bytes(self.store.get("sections", self.key))

    def add(self, name, content=b"ESCAPED = 1\n", *, data=None, header=None, directory=None, **claims):
        """Add a member that is whole in every respect but its *name* and what it *claims*."""
        entry = {
            "name": name,
            "executable": False,
            "method": 0,
            "crc32": deflate.crc32(content),
            "size": len(content),
            "compressed_size": len(content if data is None else data),
            "sha256": hashlib.sha256(content).hexdigest(),
            **claims,
        }
        real = msgspec.convert({**entry, "name": header or name}, Entry)
        try:
            local = local_header(real, LOWEST) + (content if data is None else data)
            central = central_header(directory or real, LOWEST, len(self.content))
        except struct.error:  # a claim that no zip could hold
            local = central = b""
        self.section["entries"].append(entry)
        if not name.endswith("/"):
            self.part["distributions"].append(None)
        self.section["directory"] += central
        self.content += local

    def put(self):
        self.section |= {
            "size": len(self.content),
            "crc32": deflate.crc32(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }
        self.store.put("sections", self.key, self.content)
        self.store.put("parts", self.key, msgspec.msgpack.encode(self.part))

    def is_refused(self, **options):
        """Tell whether the next build makes what it makes without a cache, and nothing beside it."""
        self.put()
        before = everything(self.bench.folder)
        built = self.bench.build(**options)
        made = built.path.read_bytes() if built.path.is_file() else None
        return not built.from_cache and everything(self.bench.folder) == before and made in {None, self.fresh}

    def again(self):
        """Begin once more with what the build made, which took the place of what was planted."""
        return Plant(self.bench, self.fresh)


def everything(folder):
    """Return the files that are neither a package nor in the cache."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not {"cache", "dist", "__pycache__"} & set(path.relative_to(folder).parts)
    }


@pytest.fixture
def plant(bench):
    fresh = bench.fresh()
    bench.build()
    return Plant(bench, fresh)


def test_a_member_that_is_right_is_taken(plant):
    """Who may write to a cache may put code into packages: what is refused below is refused for what it claims."""
    plant.add("planted.py", bytes(9), data=deflate.deflate_compress(bytes(9), 6), method=8)
    plant.put()
    built = plant.bench.build()
    assert built.from_cache
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("planted.py") == bytes(9)


NAMES = (
    *("../../../escaped.py", "dep/../../escaped.py", "/tmp/escaped-hatch-lambda.py", "dep/../x.py", "..", "a/..", ""),
    *("a\\..\\b.py", "C:/x.py", "C:x.py", "a\0.py", "a\nb.py", "\x1b[2J.py", "a\x7f", "./a.py", "a//b.py", "a/./b.py"),
    *("a" * 256, "/".join(["a" * 200] * 30), "d/" * 65 + "x.py", "dep/core.py", "dep/core.py/x.py", "dep", "dep/"),
    *("../", "dep/core.py/", "/", "a/../b/"),
)


def test_a_member_of_a_kept_part_stays_in_the_package(plant):
    taken = []
    for name in NAMES:
        folder = name.endswith("/")
        plant.add(name, b"" if folder else b"X = 1\n", **({"sha256": ""} if folder else {}))
        if not plant.is_refused():
            taken.append(name)
        plant = plant.again()
    assert taken == []
    assert plant.bench.build().from_cache


def test_a_kept_part_writes_nothing_beside_an_unpacked_package(plant):
    plant.add("../../../escaped.py")
    assert plant.is_refused(shape="directory")


CLAIMS = {
    "more than deflate can": {"size": 10**9, "method": 8},
    "less than it is": {"size": 3},
    "a negative size": {"size": -1},
    "a negative packed size": {"compressed_size": -1},
    "four gigabytes": {"size": 1 << 32, "compressed_size": 1 << 32},
    "more than the file has": {"compressed_size": 10**6, "size": 10**6},
    "a method that nobody has": {"method": 99},
    "another checksum": {"crc32": 1},
    "a checksum that is none": {"crc32": 1 << 40},
    "another digest": {"sha256": "0" * 64},
    "a digest that is none": {"sha256": "../../../x"},
    "no digest": {"sha256": ""},
}


def test_a_member_of_a_kept_part_is_what_it_claims(plant):
    taken = []
    for claim, claims in CLAIMS.items():
        plant.add("claims.py", b"X = 1\n" * 50, **claims)
        if not plant.is_refused():
            taken.append(claim)
        plant = plant.again()
    assert taken == []


def test_a_member_that_unpacks_to_more_than_it_claims_stops(plant):
    bomb = deflate.deflate_compress(bytes(64 << 20), 12)
    small = bytes(len(bomb))
    plant.add("bomb.bin", small, data=bomb, method=8)
    assert plant.is_refused()


def test_a_zip_shows_what_was_audited(plant):
    """A header of the kept bytes may not name another file than the table, which is what everybody here sees."""
    plant.add("shown.py", header="evil0.py")
    assert plant.is_refused()


def test_the_directory_shows_what_was_audited(plant):
    plant.add(
        "shown.py", directory=Entry(name="evil0.py", executable=True, method=0, crc32=0, size=0, compressed_size=0)
    )
    assert plant.is_refused()


def test_every_file_of_a_kept_part_has_an_owner(plant):
    plant.part["distributions"].pop()
    assert plant.is_refused()


@pytest.mark.parametrize("owner", ["../../x", "/x", "\x1b[2J"])
def test_an_owner_is_no_path(plant, owner):
    plant.part["distributions"][0] = owner
    assert plant.is_refused()


def test_removed_metadata_has_names_of_the_package(plant):
    plant.part["log"]["metadata"]["../../../escaped"] = b"x"
    assert plant.is_refused()


FOREIGN = (
    *(b"", b"\x93\x01\x02\x03", b"\xff" * 99, b"\x90", b"\x91\x90", b"{}", b"[]", b"null", b"0", b"\xc0"),
    b"../../x" * 9,
)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"known"}))
def test_a_whole_entry_with_any_content_costs_time_alone(bench, kind):
    """Of every kind; nobody is told another digest, and no other file goes or comes."""
    fresh = bench.fresh()
    told = bench.build()
    (bench.folder / "victim").write_text("x")
    entries = bench.entries(kind)
    for content in FOREIGN:
        for path in entries:
            Cache(root=bench.cache).put(kind, path.parent.name + path.name, content)
        built = bench.build()
        assert (built.path.read_bytes(), built.sha256, built.findings) == (fresh, told.sha256, told.findings)
    assert (bench.folder / "victim").is_file()


def test_what_is_remembered_of_other_parts_names_no_file(bench):
    """Whatever is dropped is an entry of the cache."""
    bench.build()
    victim = bench.folder / "victim"
    victim.write_text("x")
    (path,) = bench.entries("recent")
    key = path.parent.name + path.name
    store = Cache(root=bench.cache)
    ((_, kind, wheels),) = msgspec.msgpack.decode(bytes(store.get("recent", key)))
    fresh = bench.change_one()
    store.put("recent", key, msgspec.msgpack.encode([(f"..{victim}", kind, wheels)]))
    assert bench.bytes() == fresh
    assert victim.read_text() == "x"


def test_what_a_cache_says_to_people_is_only_text(plant):
    """A terminal obeys some characters; a page is made of others."""
    evil = "\x1b]0;owned\x07\x1b[8m\x9b2J\u202e<script>alert(1)</script>"
    finding = {"code": "HL020", "severity": "warning", "message": evil, "hint": evil, "path": evil}
    change = {"stage": "slim", "path": evil, "rule": evil, "reason": evil, "bytes_before": 1, "bytes_after": None}
    plant.part["log"]["findings"].append(finding)
    plant.part["log"]["changes"].append(change)
    plant.put()
    done = subprocess.run(
        [sys.executable, "-m", "hatch_lambda", "build", "-v", "--report", "dist"],
        cwd=plant.bench.project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "owned" in done.stderr
    said = done.stdout + done.stderr
    pages = [path.read_text() for path in plant.bench.project.glob("dist/*.html")]
    assert pages
    for text_ in (said, *pages):
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text_)
    assert not [page for page in pages if "<script>alert(1)" in page]


def test_what_was_checked_once_is_not_checked_again(plant, monkeypatch):
    """Unpacking everything would cost more than the rest of a build that has all it needs."""
    plant.add("planted.py")
    plant.put()
    assert plant.bench.build().from_cache
    monkeypatch.setattr(
        "hatch_lambda.stages.archive.section.check_content", lambda *_: pytest.fail("it was unpacked again")
    )
    assert plant.bench.build().from_cache
