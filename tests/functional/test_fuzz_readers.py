"""Whatever reads what others wrote gives a result or an error of the family, in a time in proportion to its size."""

from __future__ import annotations

import copy
import datetime as dt
import io
import json
import struct
import time
import zipfile
import zlib
from contextlib import suppress
from typing import Any, ClassVar

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatch_lambda import api
from hatch_lambda.config.functions import functions_of
from hatch_lambda.config.project import Project
from hatch_lambda.config.settings import LockSettings
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core import dist_info as records
from hatch_lambda.core.codec import from_cache
from hatch_lambda.core.elf.linkage import linkage
from hatch_lambda.core.elf.tables import Unstrippable, read
from hatch_lambda.core.model import File, Finding, Tree
from hatch_lambda.core.source import imports as names
from hatch_lambda.core.source.calls import Bindings, Evaluator, tokenize
from hatch_lambda.errors import CommandError, HatchLambdaError
from hatch_lambda.inspect.audit.facts import collect
from hatch_lambda.inspect.report.document import import_times
from hatch_lambda.inspect.report.write import _read as read_report
from hatch_lambda.inspect.report.write import write_report
from hatch_lambda.inspect.run.invoke import as_event
from hatch_lambda.pipeline.parts import DependencyPart
from hatch_lambda.pipeline.shapes.nested_loader import unpack as unpack_nested
from hatch_lambda.stages.archive.section import Section
from hatch_lambda.stages.install.folder_plan import PLAN, Note, Plan, Step, read_plan
from hatch_lambda.stages.locks.formats.requirements import parse_file
from hatch_lambda.stages.locks.lock import LockTerms
from hatch_lambda.stages.locks.pylock import dump
from hatch_lambda.stages.locks.read import read as read_lock
from hatch_lambda.stages.locks.select import select
from tests.support.elf import shared_object

TARGET = Target(runtime=runtimes()["python3.13"], architecture=Architecture.X86_64)
WORDS = names.Words(["pkg", "lib"])
SUFFIXES = names.suffix_pattern(["h", "json"])


def read_values(text):
    tokens = tokenize(text)
    bindings = Bindings.of(tokens)
    evaluator = Evaluator(bindings, lambda _: iter(()))
    return [evaluator.values(value) for found in bindings.names.values() for value in found if value]


READERS = {
    "imports": lambda text: list(names.imports(text)),
    "imports with words": lambda text: list(names.imports(text, WORDS)),
    "quoted": lambda text: list(names.quoted(text, WORDS)),
    "dotted": lambda text: list(names.dotted(text, ["pkg", "lib"])),
    "file names": lambda text: list(names.file_names(text, SUFFIXES)),
    "imports by name": lambda text: list(names.imports_by_name(text)),
    "every quoted name": lambda text: list(names.quoted(text)),
    "metadata uses": lambda text: list(names.metadata_uses(b"import importlib\n" + text)),
    "tokens": tokenize,
    "values": read_values,
}
PIECES = [
    *(
        b"import ",
        b"from ",
        b"as ",
        b"lazy",
        b"pkg",
        b".json'",
        b"'''",
        b'"""',
        b"'",
        b'"',
        b"\\",
        b"\\'",
        b'\\"',
        b"\n",
    ),
    *(
        b" ",
        b"#",
        b"(",
        b")",
        b"[",
        b"]",
        b"\\\n",
        b"version('a')",
        b"try:\n",
        b"lambda ",
        b"for ",
        b"def ",
        b"in ",
        b":",
        b"=",
    ),
    *(b"or ", b"if ", b"else ", b"a", b".", b",", b";", b">>>", b"{", b"}", b"\xff", b"\0", b"import_module(", b"x = "),
]
CODE = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=60).map(b"".join)


@given(CODE)
@settings(max_examples=100, deadline=None)
def test_any_text_gives_a_result(text):
    for reader in READERS.values():
        reader(text)


@pytest.mark.parametrize("reader", READERS)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(b"".join))
@settings(max_examples=15, deadline=None)
def test_any_repetition_gives_a_result_in_bounded_time(reader, piece):
    """What begins in vain may not be tried again at every place: a second is a hundred times what is needed."""
    began = time.process_time()
    READERS[reader](piece * (4000 // len(piece)))
    assert time.process_time() - began < 1


GROWING = {
    "imports": [
        b"from a import b as ",
        b"import (#",
        b"import a, \\\n",
        b"from from ( import",
        b"x#import(\n",
        b" import a",
    ],
    "imports with words": [b"from a import b as ", b"import pkg, ", b"import pkg, \\\n"],
    "quoted": [b"'pkg' ", b"'pkg.", b"pkg "],
    "file names": [b"'a.json' ", b".json'"],
    "imports by name": [b"from a import b as ", b"import a; ", b"lazy", b"lazy ", b": ", b"import a:"],
    "every quoted name": [b"'a", b"'aaaaaaaaaaaa"],
    "metadata uses": [b"version('a')\n", b" version('a')\n", b"version('a') ", b"    x\n    version('a')\n"],
    "tokens": [b"\\'''x\n", b'\\"""x\n', b'\\"', b"\\'", b"'''\\", b'"\\\n', b"'", b"f'{'}"],
    "values": [b"lambda ", b"for ", b"(def ", b"x = y or ", b"for x in y ", b"x = "],
}


@pytest.mark.parametrize(
    ("reader", "piece"), [(reader, piece) for reader, pieces in GROWING.items() for piece in pieces]
)
def test_twice_the_text_takes_twice_the_time(reader, piece):
    """Not four times: so that a file of a few hundred bytes, packed, is no reason to wait."""

    def seconds(size):
        text = piece * (size // len(piece))
        taken = []
        for _ in range(3):
            began = time.process_time()
            READERS[reader](text)
            taken.append(time.process_time() - began)
        return min(taken)

    size = 1 << 12
    while (small := seconds(size)) < 0.01 and size < 1 << 17:
        size *= 2
    ratios = []
    for _ in range(5):
        ratios.append(seconds(2 * size) / max(small, 0.005))
        if ratios[-1] <= 2.5:
            return
        small = seconds(size)
    assert min(ratios) <= 2.5


def test_names_that_stand_for_two_others_each_are_given_up():
    text = b"".join(b"x%d = x%d or x%d\n" % (number, number + 1, number + 1) for number in range(60))
    assert read_values(text)


def test_expressions_within_one_another_have_a_depth():
    assert read_values(b"x = " + b"a or (" * 500 + b"b" + b")" * 500)
    assert read_values(b"x = " + b"(" * 500 + b"'a'" + b")" * 500)


@given(st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_any_kept_bytes_are_a_value_or_none(content):
    for kind in (DependencyPart, Section, list[Finding]):
        from_cache(memoryview(content), kind)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_any_object_is_read_or_refused(flips):
    data = bytearray(shared_object())
    for position, value in flips:
        data[position % len(data)] = value
    view = memoryview(bytes(data))
    with suppress(Unstrippable):
        read(view)
    with suppress(ValueError):
        linkage(view, "a.so")


LINES = st.sampled_from(["a==1", " --hash=sha256:x", "-r x", "-e", ";", "(", "\n", "@ "])


@given(st.text(max_size=300) | st.lists(LINES).map("".join))
@settings(max_examples=40, deadline=None)
def test_any_requirements_are_read_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("requirements")
    (folder / "pyproject.toml").write_text('[tool.lambda-slim]\nruntime = "python3.13"\n')
    path = folder / "requirements.txt"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        parse_file(path, Project.read(folder))
    except HatchLambdaError as error:
        assert error.message  # noqa: PT017 - either outcome is right


def test_requirements_that_include_one_another_are_read_once(tmp_path):
    """Twenty-six files that each include the next one twice."""
    (tmp_path / "pyproject.toml").write_text('[tool.lambda-slim]\nruntime = "python3.13"\n')
    for number in range(26):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n" * 2)
    (tmp_path / "26.txt").write_text("a==1 --hash=sha256:00\n")
    assert len(parse_file(tmp_path / "0.txt", Project.read(tmp_path)).pins) == 1


def test_a_line_of_spaces_costs_nothing(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.lambda-slim]\nruntime = "python3.13"\n')
    path = tmp_path / "requirements.txt"
    path.write_text("a==1" + " " * 200_000 + "b\n")
    began = time.process_time()
    parse_file(path, Project.read(tmp_path))
    assert time.process_time() - began < 2


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_record_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("record") / "RECORD"
    path.write_bytes(content)
    try:
        records.read(path)
    except HatchLambdaError as error:
        assert error.message  # noqa: PT017 - either outcome is right


NESTED = "(" * 5000
ODD = (f"a; {NESTED}", f"a; {NESTED}os_name == 'x'", f"a=={'1' * 5000}", "a; nobody == 'x'", "a; os_name >= 'x'")


@pytest.mark.parametrize("requirement", ODD)
def test_any_requirement_in_metadata_is_read_or_passed_over(tmp_path, requirement):
    source = tmp_path / "METADATA"
    source.write_text(f"Name: a\nRequires-Dist: {requirement}\nRequires-Dist: b\n\n")
    file = File(path="a-1.dist-info/METADATA", source=source, size=1, distribution="a")
    assert "b" in collect(Tree.of([file]), TARGET.markers).requires["a"]


# Documents: whatever of a valid one is replaced, and whatever bytes are changed.

ODD_VALUES = st.sampled_from(
    [
        *(0, -1, 2**70, True, 1.5, float("inf"), dt.date(2026, 1, 2), "", " ", "\n", "é\u2028", "a" * 5000),
        *("1" * 5000, "1.0\n-r x", "../../..", "/", "loop", "file:///x", "file://h/%00", "http://[", "://", "${HOME}"),
        *(NESTED, f"{NESTED}os_name == 'x'", "os_name > 'x'", "nobody == 'x'", "os_name == 'x' and", "'a' == 'a'"),
        *("a @ http://[", "a[b", "==", "sha256:", ">=3", "==1.*", "x-1-py3-none-any.whl", "-.whl", "git+"),
        *([], [[]], [{}], [0], ["a"], {}, {"": 0}, {"a": {}}, {"a": [0]}, {"sha256": "é"}, {"url": 0}),
    ]
)
SOURCE = {"url": "https://example.invalid/simple", "name": "x", "verify_ssl": True}
PROJECT = {
    "project": {
        "name": "demo",
        "version": "1",
        "requires-python": ">=3.11",
        "dependencies": ["one>=1", "two[x]; os_name == 'posix'"],
        "optional-dependencies": {"x": ["one"]},
        "dynamic": [],
    },
    "dependency-groups": {"dev": ["one", {"include-group": "more"}], "more": ["two"]},
    "build-system": {"requires": ["hatchling"], "build-backend": "hatchling.build"},
    "tool": {
        "uv": {"package": False, "workspace": {"members": ["a/*"], "exclude": []}, "override-dependencies": ["one==1"]},
        "pdm": {"source": [SOURCE], "dev-dependencies": {"dev": ["one"]}, "resolution": {}},
        "poetry": {"dependencies": {"one": "^1"}, "extras": {"x": ["one"]}, "group": {"dev": {"dependencies": {}}}},
        "lambda-slim": {"runtime": "python3.13", "patterns": ["x"], "functions": {"a": {"handler": "app.handler"}}},
    },
}
HASH = f"sha256:{'0' * 64}"
FILES = [{"file": "one-1.0-py3-none-any.whl", "hash": HASH}]
WHEEL = {"url": "https://example.invalid/one-1.0-py3-none-any.whl", "hashes": {"sha256": "0" * 64}, "size": 9}
DOCUMENTS = {
    "pyproject.toml": PROJECT,
    "pylock.toml": {
        "lock-version": "1.0",
        "created-by": "x",
        "requires-python": ">=3.11",
        "environments": ["os_name == 'posix'"],
        "extras": ["x"],
        "dependency-groups": ["dev"],
        "packages": [
            {
                "name": "one",
                "version": "1.0",
                "marker": "os_name == 'posix'",
                "wheels": [WHEEL],
                "index": SOURCE["url"],
            },
            {"name": "two", "version": "1", "sdist": {"path": "two-1.tar.gz", "hashes": {"sha256": "0" * 64}}},
            {"name": "three", "directory": {"path": "../three", "editable": True}},
            {"name": "four", "vcs": {"type": "git", "url": "https://example.invalid/x", "commit-id": "0" * 40}},
            {"name": "five", "archive": {"url": "file:///five.zip", "hashes": {"sha256": "0" * 64}}},
        ],
    },
    "poetry.lock": {
        "metadata": {"lock-version": "2.1", "content-hash": "0"},
        "package": [
            {
                "name": "one",
                "version": "1.0",
                "groups": ["main", "dev"],
                "files": FILES,
                "markers": {"main": "os_name == 'x'"},
            },
            {"name": "two", "version": "1.0", "groups": ["main"], "files": FILES, "markers": "extra == 'x'"},
            {
                "name": "three",
                "version": "1",
                "groups": ["main"],
                "source": {"type": "directory", "url": "../three", "resolved_reference": "0"},
                "dependencies": {"one": "*"},
            },
        ],
    },
    "pdm.lock": {
        "metadata": {"content_hash": "sha256:0", "strategy": ["inherit_metadata"], "groups": ["default", "dev", "x"]},
        "package": [
            {"name": "one", "version": "1.0", "groups": ["default"], "files": FILES, "marker": "os_name == 'posix'"},
            {"name": "two", "version": "1.0", "groups": ["default"], "path": "./two", "dependencies": ["one[x]>=1"]},
            {
                "name": "three",
                "version": "1.0",
                "groups": ["default"],
                "git": "https://example.invalid",
                "revision": "0",
            },
        ],
    },
    "Pipfile.lock": {
        "_meta": {"hash": {"sha256": "0"}, "sources": [SOURCE]},
        "default": {
            "one": {"version": "==1.0", "hashes": [HASH], "markers": "os_name == 'posix'"},
            "two": {"path": "./two"},
            "three": {"markers": "os_name == 'x'"},
        },
        "develop": {"four": {"git": "https://example.invalid", "ref": "0"}},
    },
    "Pipfile": {
        "source": [SOURCE],
        "packages": {"one": "*", "two": {"path": "./two", "editable": True}},
        "dev-packages": {},
        "requires": {"python_version": "3.13"},
    },
    "uv.lock": {
        "version": 1,
        "package": [
            {"name": "one", "version": "1.0", "source": {"registry": SOURCE["url"]}, "wheels": [WHEEL]},
            {"name": "two", "version": "1.0", "source": {"directory": "../two"}, "sdist": {"hash": HASH}},
        ],
    },
}


class Deaf:
    """Stands for uv, which refuses whatever it is asked, or exports a document."""

    environment: ClassVar = {"HOME": "/"}

    def __init__(self, exported=None):
        self.exported = exported

    def run(self, command, *_, **__):
        if command == "export" and self.exported is not None:
            return self.exported
        raise CommandError("uv", 1, "error: it refuses")


class Place:
    """A project with documents, and what reads them."""

    def __init__(self, folder):
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "loop").symlink_to("loop")

    def read(self, name, content, exported=None):
        """Read the lock *name*, or what else is read of the project, and choose of it."""
        (self.root / "pyproject.toml").write_text(tomli_w.dumps(PROJECT), encoding="utf-8")
        for lock in DOCUMENTS:
            if lock not in {"pyproject.toml", "Pipfile"}:
                (self.root / lock).unlink(missing_ok=True)
        (self.root / "Pipfile").unlink(missing_ok=True)
        (self.root / name).write_bytes(content)
        locks = [name] if name not in {"pyproject.toml", "Pipfile"} else ["poetry.lock", "pdm.lock", "Pipfile.lock"]
        for lock in locks:
            if lock != name:
                (self.root / lock).write_bytes(encoded(lock, DOCUMENTS[lock]))
            with suppress(HatchLambdaError):
                self.choose(lock, exported)

    def choose(self, lock, exported):
        project = Project.read(self.root)
        for function in functions_of(project):
            function.requirements()
            with suppress(HatchLambdaError):
                function.target  # noqa: B018 - it is made when it is asked for
        for in_source_tree in (False, True):
            chosen = LockSettings(file=lock, require_lock=False, extras=("x",), groups=("dev",))
            terms = LockTerms(settings=chosen, may_create=False, in_source_tree=in_source_tree)
            with suppress(HatchLambdaError):
                found = read_lock(project, terms, Deaf(exported), self.root)
                select(found, project, TARGET, terms)
                dump(found.pylock)


def encoded(name, document):
    return (
        json.dumps(document, default=str).encode() if name.endswith("file.lock") else tomli_w.dumps(document).encode()
    )


def places(value, at=()):
    """Yield where in a document there is anything, as the keys that lead to it."""
    if at:
        yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*at, key))


@st.composite
def mutations(draw, name):
    """Give the bytes of a valid document with up to three values replaced or removed, and some bytes changed."""
    document = copy.deepcopy(DOCUMENTS[name])
    for _ in range(draw(st.integers(1, 3))):
        if not document:
            break
        *way, last = draw(st.sampled_from(list(places(document))))
        target: Any = document
        for key in way:
            target = target[key]
        if draw(st.integers(0, 5)):
            target[last] = copy.deepcopy(draw(ODD_VALUES))
        else:
            del target[last]
    content = bytearray(encoded(name, document))
    if content and draw(st.integers(0, 2)) == 0:
        for position, value in draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)):
            content[position % len(content)] = value
        content = content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content
    return bytes(content)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("documents"))


@pytest.mark.parametrize("name", DOCUMENTS)
@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_lock_and_any_project_is_read_or_refused(place, name, data):
    content = data.draw(mutations(name))
    place.read(name, content)


ODD_PROJECTS = [
    "[tool.pdm]\nsource = 5\n",
    "[tool.pdm]\nsource = [2026-01-02]\n",
    "[tool.pdm.dev-dependencies]\ndev = 5\n",
    "[tool.poetry]\ndependencies = 5\n",
    "[tool.poetry]\ngroup = 5\n",
    "[tool.poetry.dependencies]\none = 2026-01-02\n",
]


@pytest.mark.parametrize("lock", ["pdm.lock", "poetry.lock", None])
@pytest.mark.parametrize("text", ODD_PROJECTS)
def test_a_table_of_another_tool_may_be_anything(place, text, lock):
    for name in DOCUMENTS:
        (place.root / name).unlink(missing_ok=True)
    if lock is not None:
        (place.root / lock).write_bytes(encoded(lock, DOCUMENTS[lock]))
    head = (
        "[project]\nname = 'demo'\nversion = '1'\noptional-dependencies = { x = [] }\n[dependency-groups]\ndev = []\n"
    )
    (place.root / "pyproject.toml").write_text(f"{head}[tool.lambda-slim]\nruntime = 'python3.13'\n{text}")
    place.choose(lock, None)


LOOPS = [
    ("pylock.toml", "packages", 2, {"name": "three", "directory": {"path": "loop"}}),
    (
        "poetry.lock",
        "package",
        2,
        {**DOCUMENTS["poetry.lock"]["package"][2], "source": {"type": "file", "url": "loop"}},
    ),
    ("pdm.lock", "package", 1, {**DOCUMENTS["pdm.lock"]["package"][1], "path": "loop"}),
    ("Pipfile.lock", "default", "two", {"path": "loop"}),
    ("Pipfile", "source", 0, dt.date(2026, 1, 2)),
]


@pytest.mark.parametrize("url", ["https://example.invalid/", "https://example.invalid/a.whl", "file:///"])
def test_an_archive_may_have_any_name_or_none(place, url):
    archive = {"name": "five", "archive": {"url": url, "hashes": {"sha256": "0" * 64}}}
    document = DOCUMENTS["pylock.toml"]
    exported = encoded("pylock.toml", {**document, "packages": [*document["packages"][:2], archive]}).decode()
    place.read("uv.lock", encoded("uv.lock", DOCUMENTS["uv.lock"]), exported)


@pytest.mark.parametrize(("name", "table", "key", "value"), LOOPS)
def test_a_circle_of_links_and_a_date_are_what_a_path_and_a_source_may_be(place, name, table, key, value):
    document = copy.deepcopy(DOCUMENTS[name])
    document[table][key] = value
    place.read(name, encoded(name, document))


@given(mutations("pylock.toml"))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_uv_exports_is_read_or_refused(place, content):
    place.read("uv.lock", encoded("uv.lock", DOCUMENTS["uv.lock"]), content.decode("utf-8", "replace"))


@pytest.mark.parametrize("name", DOCUMENTS)
@given(st.binary(max_size=100))
@settings(max_examples=10, deadline=None)
def test_any_bytes_are_read_or_refused(place, name, content):
    place.read(name, content)


def damaged(content, flips, length):
    """Return *content* with some bytes changed and its end cut off."""
    made = bytearray(content)
    for position, value in flips:
        made[position % len(made)] = value
    return bytes(made[: len(made) - length % len(made)])


FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)


def _plan():
    note = Note(request="0" * 64, changes=(), findings=())
    steps = (Step(path="one.py", before="file 0", after=None), Step(path="two.py", before=None, after="file 1"))
    return Plan(written_by="1", new=".hatch-lambda.00000000.tmp", sites=("",), steps=steps, left=(), note=note).text()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Give a real report, and the folder that it is in."""
    folder = tmp_path_factory.mktemp("report")
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.writestr("app.py", "def handler(event, context): ...\n")
    written = write_report(folder / "app.zip", folder / "report")
    return written.document.read_bytes(), folder


@given(FLIPS, st.integers(0, 10**6) | st.just(0))
@settings(max_examples=60, deadline=None)
def test_any_earlier_report_is_read_or_refused(report, flips, length):
    content, folder = report
    path = folder / "report.json"
    path.write_bytes(damaged(content, flips, length))
    for read_document in (lambda: read_report(path, must_exist=True), lambda: import_times(path, 1)):
        with suppress(HatchLambdaError):
            read_document()


@given(
    FLIPS | st.just([]),
    st.integers(0, 10**6) | st.just(0),
    st.dictionaries(
        st.sampled_from(["sites", "steps", "new", "left", "format", "note", "written_by"]), ODD_VALUES, max_size=2
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_plan_in_a_folder_is_carried_out_or_refused(tmp_path_factory, flips, length, odd):
    """And touches nothing outside of the folder."""
    folder = tmp_path_factory.mktemp("plan") / "folder"
    folder.mkdir()
    (folder / "one.py").touch()
    around = folder.parent / "around.py"
    around.touch()
    document = {**json.loads(_plan()), **odd}
    (folder / PLAN).write_bytes(damaged(json.dumps(document, default=str).encode(), flips, length))
    with suppress(HatchLambdaError):
        read_plan(folder)
    with suppress(HatchLambdaError):
        api.slim(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["around.py", "folder"]


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: json.dumps({"a": text}).encode())
    | st.sampled_from([b"[" * 10**5, b"1" * 5000, b"NaN", b"\xef\xbb\xbf{}", b'"\\ud800"'])
)
@settings(max_examples=60, deadline=None)
def test_any_event_is_taken_or_refused(content):
    with suppress(HatchLambdaError):
        assert json.loads(as_event(content, "an event")) is not NotImplemented


def _inner(flips, length):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.py", "X = 1\n" * 50)
        archive.writestr("two/data.bin", bytes(300))
    return damaged(made.getvalue(), flips, length)


@given(FLIPS, st.integers(0, 10**6) | st.just(0))
@settings(max_examples=60, deadline=None)
def test_any_inner_archive_of_a_nested_package_is_unpacked_or_refused(tmp_path_factory, flips, length):
    """By the loader, which has nothing of ours, with an error of the interpreter's; and by all that reads packages."""
    folder = tmp_path_factory.mktemp("nested")
    content = _inner(flips, length)
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.writestr("app.py", "import hatch_lambda_nested\ndef handler(event, context): ...\n")
        archive.writestr("hatch_lambda_nested.py", "")
        archive.writestr("hatch_lambda_nested.zip", content)
    with suppress(HatchLambdaError):
        api.verify_package(folder / "app.zip")
    (folder / "inner.zip").write_bytes(content)
    (folder / "tmp").mkdir()
    with suppress(OSError, ValueError, struct.error, zlib.error, RuntimeError):
        unpack_nested(str(folder / "inner.zip"), str(folder / "tmp"))
