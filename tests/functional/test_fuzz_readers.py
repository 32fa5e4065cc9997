"""Whatever reads what others wrote gives a result or an error of the family, in a time in proportion to its size."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_lambda.config.project import Project
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core import dist_info as records
from hatch_lambda.core.codec import from_cache
from hatch_lambda.core.elf.linkage import linkage
from hatch_lambda.core.elf.tables import Unstrippable, read
from hatch_lambda.core.model import File, Finding, Tree
from hatch_lambda.core.source import imports as names
from hatch_lambda.core.source.calls import Bindings, Evaluator, tokenize
from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.inspect.audit.facts import collect
from hatch_lambda.pipeline.dependencies import Part
from hatch_lambda.stages.archive.section import Section
from hatch_lambda.stages.locks.formats.requirements import parse_file
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
    "imported": [b"from a import b as ", b"import a; ", b"lazy", b"lazy ", b": ", b"import a:"],
    "named": [b"'a", b"'aaaaaaaaaaaa"],
    "asked": [b"version('a')\n", b" version('a')\n", b"version('a') ", b"    x\n    version('a')\n"],
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
    for kind in (Part, Section, list[Finding]):
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
