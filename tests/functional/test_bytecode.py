"""Bytecode: made by the target's interpreter, the same bytes always, valid wherever the package is unpacked."""

from __future__ import annotations

import json
import marshal
import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from hatch_lambda import api
from hatch_lambda.config.project import Project
from hatch_lambda.core import python as interpreter
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.model import File, Silent, Tree
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError, HatchLambdaError, MissingToolError
from hatch_lambda.pipeline import contents
from hatch_lambda.pipeline.build import build as build_package
from hatch_lambda.pipeline.request import Source, open_session
from hatch_lambda.stages.bytecode import compile as stage
from hatch_lambda.stages.bytecode import worker
from hatch_lambda.stages.bytecode.plan import CompileOptions
from tests.support.wheels import make_project, make_wheel

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
HEADER = 16
OWN = {"app.py", "odd.py", "template.py"}
MODULES = """\
'''What is hard to write the same way twice.'''
import os.path as path, sys
from collections import OrderedDict as Ordered

SEPARATORS = {"/", "\\\\", ":", "a", "bc", "_", "d e"}
NUMBERS = (0, 1, 255, 256, 10**9, 1.5, 1j, b"", b"x", b"long enough", "", "\\u00e9", "\\ud800", None, ..., (1, ("a",)))

class Reader(Ordered):
    "Its docstring."
    limit: int = 1_000_000_007

    def read(self, name, *, separators=SEPARATORS, default=frozenset({"x", "y"})):
        assert name, "a name is needed"
        def inner(part, path=path):
            nonlocal name
            return [p for p in part if p in {"/", "a", "zz", "nothing", 7}] + [name, self.limit, "d e"]
        return inner(name) or {"a": 1, "b": 2}
"""


@pytest.fixture(scope="session", params=VERSIONS)
def python(request, tmp_path_factory):
    return found(request.param, tmp_path_factory.mktemp("found"))


@pytest.fixture(scope="session")
def python313(tmp_path_factory):
    return found("3.13", tmp_path_factory.mktemp("found"))


def found(version, folder):
    result = interpreter.find(version, Uv.find(os.environ), Cache(root=None), cwd=folder, download=False)
    return result or pytest.skip(f"no CPython {version} on this machine")


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """Give the sources of modules: real ones that every version understands, and a hard one."""
    folder = tmp_path_factory.mktemp("sources")
    import click
    import packaging

    real = [path for library in (click, packaging) for path in Path(library.__file__).parent.glob("*.py")]
    for number, path in enumerate(sorted(real)[:30]):
        shutil.copy(path, folder / f"real_{number}.py")
    (folder / "hard.py").write_text(MODULES)
    return sorted(folder.iterdir())


SCRAMBLE = """
import asyncio, email.message, decimal, http.client, json, sys, unittest, xml.dom.minidom
for number in range(0, 256, 3):
    sys.intern(chr(number) * 2)
sys.path.insert(0, sys.argv.pop(1))
names = [sys.intern(name) for module in list(sys.modules.values()) for name in vars(module)]
import worker
worker.main()
"""


def compile_all(python, sources, folder, order, *, scramble=False):
    """Compile *sources* in *order*, in one process; with *scramble* one that has done other things before."""
    folder.mkdir()
    batch = folder / "batch"
    made = {path.name: folder / f"{path.name}c" for path in sources}
    rows = [[str(path), f"/var/task/{path.name}", 0, str(made[path.name])] for path in order]
    batch.write_text(json.dumps(rows))
    program = ["-c", SCRAMBLE, str(Path(worker.__file__).parent)] if scramble else ["-S", worker.__file__]
    command = [python.path, "-s", "-B", *program, batch]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}, cwd=folder)
    return {name: path.read_bytes() for name, path in made.items() if path.exists()}


def test_the_same_module_gives_the_same_bytes_whatever_its_compiler_did_before(python, sources, tmp_path):
    """Marshal notes who else refers to an object; on 3.10 that made most modules differ after other imports."""
    first = compile_all(python, sources, tmp_path / "first", sources)
    shuffled = random.Random(1).sample(sources, len(sources))
    assert compile_all(python, sources, tmp_path / "second", shuffled) == first
    assert compile_all(python, sources, tmp_path / "third", list(reversed(sources)), scramble=True) == first
    alone = compile_all(python, sources, tmp_path / "fourth", [sources[0]])
    assert alone[sources[0].name] == first[sources[0].name]


def test_its_form_is_that_of_pep_552_and_says_nothing_of_this_machine(python, sources, tmp_path):
    made = compile_all(python, sources, tmp_path / "made", sources)
    assert len(made) > 10
    assert {content[4:8] for content in made.values()} == {b"\x01\0\0\0"}
    assert not any(os.fsencode(tmp_path.parent) in content for content in made.values())


def test_a_set_that_has_no_order_is_left_to_the_interpreter_that_meets_it(python, tmp_path):
    """Before 3.11 the order of a set with None in it depends on where None is in memory."""
    source = tmp_path / "m.py"
    source.write_text("def f(x): return x in {None, 'a', 'b', 'c', 'd'}\n")
    contents = [compile_all(python, [source], tmp_path / str(run), [source]) for run in range(6)]
    assert all(content == contents[0] for content in contents)
    assert bool(contents[0]) == (tuple(map(int, python.version.split("."))) >= (3, 11))


WHEEL = {
    "dep/__init__.py": "from dep.core import answer\n",
    "dep/core.py": '"""Doc."""\ndef answer():\n    """Doc."""\n    assert "no" == 0, "said"\n    return 42\n',
    "dep/old.py": "print 'Python 2'\n",
    "dep/shown.py": "import inspect\nSOURCE = open(__file__.replace('shown.py', 'shown.py')).read()\n",
    "dep/__pycache__/core.cpython-313.pyc": b"stale",
    "dep/warned.py": 'PATTERN = "\\d"\nif PATTERN is "x": pass\n',
}
HANDLER = "import dep.warned\nfrom dep.core import answer\ndef handler(event, context):\n    return 42\n"


class Bench:
    def __init__(self, folder):
        self.folder = folder
        wheel = make_wheel(folder / "wheels", "dep", WHEEL)
        self.other = make_wheel(folder / "wheels", "other", {"other/__init__.py": "X = 1\n"})
        self.project = make_project(
            folder / "service", wheel, self.other, settings='handler = "app.handler"\n', bytecode="auto"
        )
        (self.project / "app.py").write_text(HANDLER)

    def build(self, name="package.zip", **options):
        return api.build(self.project, output=str(self.folder / name), **options)

    def files(self, **options):
        with zipfile.ZipFile(self.build(**options).path) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture
def bench(tmp_path, monkeypatch, python313):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    return Bench(tmp_path)


def modules(files):
    return {name for name in files if ".dist-info/" not in name}


RUN = """
import importlib.machinery, sys
def fail(loader, data, path):
    raise SystemExit(f"{path} was compiled")
importlib.machinery.SourceFileLoader.source_to_code = fail
sys.path.insert(0, sys.argv[1])
import app
print(app.handler(None, None), sys.modules["dep.core"].answer.__code__.co_filename)
"""


def run(python, task):
    done = subprocess.run(
        [python.path, "-I", "-S", "-c", RUN, task], capture_output=True, text=True, check=False, cwd=task
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def unpacked(package, folder):
    """Unpack a zip, give each file another date, and let nobody write there."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_file():
            os.utime(path, (number * 10**7, number * 10**7))
            path.chmod(0o444)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o555)
    return folder


@pytest.mark.parametrize("layout", ["include", "only"])
def test_nothing_is_compiled_at_run_time_whatever_the_dates(bench, layout, python313, tmp_path):
    """Two of the tools that people use ship bytecode of which none is valid after unpacking."""
    task = unpacked(bench.build(bytecode=layout).path, tmp_path / "task")
    answer, filename = run(python313, task)
    assert (answer, filename) == ("42", "/var/task/dep/core.py" if layout == "only" else str(task / "dep/core.py"))


def test_included_it_stands_beside_every_source_that_compiles(bench):
    files = bench.files(bytecode="include")
    names = ("__init__", "core", "shown", "warned")
    assert modules(files) == {
        *("app.py", "__pycache__/app.cpython-313.pyc", "dep/old.py"),
        *("other/__init__.py", "other/__pycache__/__init__.cpython-313.pyc"),
        *(f"dep/{name}.py" for name in names),
        *(f"dep/__pycache__/{name}.cpython-313.pyc" for name in names),
    }
    assert files["dep/__pycache__/core.cpython-313.pyc"] != b"stale"


def test_alone_it_takes_the_sources_place_but_for_those_that_are_read(bench):
    assert modules(bench.files(bytecode="only")) == {
        *("app.pyc", "dep/__init__.pyc", "dep/core.pyc", "dep/warned.pyc", "other/__init__.pyc"),
        *("dep/old.py", "dep/shown.py", "dep/__pycache__/shown.cpython-313.pyc"),
    }


def test_what_does_not_compile_is_told_in_a_note_and_what_is_odd_is_not(bench, capfd):
    package = bench.build(bytecode="include")
    notes = [(found.path, found.severity.value) for found in package.findings if found.code == "HL022"]
    assert notes == [("dep/old.py", "note")]
    assert "SyntaxWarning" not in "".join(capfd.readouterr())
    again = bench.build(bytecode="include")
    assert again.from_cache
    assert again.findings == package.findings


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_a_module_of_the_project_that_is_no_python_of_the_target_is_a_warning_and_the_handlers_an_error(
    bench, version, tmp_path
):
    """Whichever Python hatch-lambda itself runs on; and the audit hears it of the compiler, once."""
    found(version, tmp_path)
    target = {"runtime": f"python{version}", "verify": "static"}
    (bench.project / "template.py").write_text("{{ name }} = \n")
    (bench.project / "odd.py").write_text("def odd(x):\n    return x in {None, 1}\n")

    def told(package):
        return [(one.code, one.severity.value, one.path) for one in package.findings if one.path in OWN]

    odd = [("HL022", "note", "odd.py")] if version == "3.10" else []
    for _ in range(2):
        assert told(bench.build(**target)) == [*odd, ("HL113", "warning", "template.py")]
    assert ("HL113", "note", "template.py") in told(bench.build(**target, verify_ignore=["HL113"]))

    (bench.project / "app.py").write_text("def handler(:\n")
    with pytest.raises(
        HatchLambdaError, match=r"HL113: app\.py: is not Python 3\.\d+\.\d+: SyntaxError: .* \(line 1\)"
    ):
        bench.build(**target, handler="app.handler")


@pytest.mark.parametrize(("optimize", "assertion", "docstring"), [(0, True, True), (1, False, True), (2, False, False)])
def test_optimizing_leaves_out_what_it_says(bench, optimize, assertion, docstring):
    content = bench.files(bytecode="include", optimize=optimize)["dep/__pycache__/core.cpython-313.pyc"]
    assert (b"said" in content, b"Doc." in content) == (assertion, docstring)


def test_the_interpreter_is_an_input_that_the_result_names(bench, python313):
    assert bench.build(bytecode="include").inputs["interpreter"] == python313.version
    assert bench.build(bytecode_python=python313.version).inputs["interpreter"] == python313.version
    assert bench.build(bytecode="none").inputs["interpreter"] == "none"


def test_by_default_it_is_included(bench):
    assert bench.files() == bench.files(bytecode="include", name="other.zip")


def parts(package):
    """Return the names of the files in a package, as three parts: dependencies' code, their bytecode, the project."""
    with zipfile.ZipFile(package) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    own = [name for name in names if "app." in name]
    compiled = [name for name in names if name.endswith(".pyc") and name not in own]
    return [name for name in names if name not in {*own, *compiled}], compiled, own


def test_the_zip_has_three_parts_each_sorted(bench):
    code, compiled, own = parts(bench.build().path)
    assert code
    assert compiled
    assert own
    assert [code, compiled, own] == [sorted(code), sorted(compiled), sorted(own)]
    with zipfile.ZipFile(bench.build().path) as archive:
        names = archive.namelist()
        assert [name for name in names if not name.endswith("/")] == [*code, *compiled, *own]
        assert len(set(names)) == len(names)
        for name in names:
            folder = name.rstrip("/").rpartition("/")[0]
            assert not folder or names.index(f"{folder}/") < names.index(name)


@pytest.mark.parametrize("change", [{"optimize": 2}, {"shape": "layer"}, {"bytecode": "include"}])
def test_another_way_to_compile_renews_the_bytecode_alone(bench, monkeypatch, change):
    """Neither is anything installed again, nor is a module compressed again; and the bytes are those of a new build."""
    cache = Cache(root=Path(os.environ["HATCH_LAMBDA_CACHE_DIR"]))
    bench.build(verify="static")
    before = {entry.path.name for entry in cache.entries() if entry.kind == "sections"}
    fresh = bench.files(no_cache=True, verify="static", **change)
    monkeypatch.setattr(
        "hatch_lambda.pipeline.dependencies.install_dependencies", lambda *_: pytest.fail("it was installed again")
    )

    assert bench.files(verify="static", **change) == fresh

    after = {entry.path.name for entry in cache.entries() if entry.kind == "sections"}
    assert before < after if change != {"bytecode": "include"} else before == after


def test_bytecode_that_a_wheel_brings_gives_way_to_ours(bench):
    stale = {"dep/__init__.py": "X = 1\n", "dep/__pycache__/__init__.cpython-313.pyc": "stale"}
    wheel = make_wheel(bench.folder / "shipped", "dep", stale)
    bench.project = make_project(bench.folder / "other", wheel, bytecode="auto")
    options = {"append_default_patterns": False, "verify": "static"}
    files = bench.files(**options)
    assert files["dep/__pycache__/__init__.cpython-313.pyc"] != b"stale"
    assert bench.files(**options) == files


@pytest.fixture
def little_room(bench, monkeypatch):
    """Give a function that sets Lambda's limit to some bytes more than the package without bytecode has."""

    def little_room(more):
        size = bench.build(bytecode="none", no_cache=True).tree.size
        monkeypatch.setattr(contents, "UNZIPPED_QUOTA", size + more)

    return little_room


@pytest.mark.parametrize("more", [0, 900])
def test_without_room_for_it_there_is_none_and_the_next_build_knows(bench, little_room, more, monkeypatch):
    """Whether the dependencies alone leave too little room for theirs, or the project's bytecode is too much."""
    plain = bench.build(bytecode="none", no_cache=True).path.read_bytes()
    little_room(more)
    first = bench.build()
    assert first.path.read_bytes() == plain
    assert "HL021" in {found.code for found in first.findings}
    assert first.inputs["interpreter"] == "none"
    monkeypatch.setattr("hatch_lambda.core.uv.run", lambda arguments, **_: pytest.fail(f"{arguments} was run"))
    monkeypatch.setattr(stage, "run", lambda arguments, **_: pytest.fail(f"{arguments} was run"))
    again = bench.build()
    assert again.from_cache
    assert again.findings == first.findings


def test_layers_take_room_from_it_and_nothing_is_too_much_for_what_is_nested(bench, little_room):
    """What is remembered of one build says nothing about another that has more room."""
    little_room(1 << 20)
    with zipfile.ZipFile(bench.project / "layer.zip", "w") as archive:
        archive.writestr("data", bytes(1 << 20))
    assert bench.build(layers=["layer.zip"]).inputs["interpreter"] == "none"
    assert bench.build(layers=["layer.zip"], shape="nested").inputs["interpreter"] != "none"
    assert bench.build(no_cache=True).inputs["interpreter"] != "none"
    assert bench.build().inputs["interpreter"] != "none"


def test_an_edit_or_a_changed_distribution_costs_no_more_than_itself(bench, monkeypatch):
    bench.build()
    compiled = []
    start = stage._start

    def spy(batch, options, compiler):
        compiled.extend(module.compilation.source.path for module in batch)
        return start(batch, options, compiler)

    monkeypatch.setattr(stage, "_start", spy)
    (bench.project / "app.py").write_text(HANDLER + "# edited\n")
    bench.build()
    assert compiled == ["app.py"]
    compiled.clear()
    bench.build(patterns=["dep/warned.py"], verify="static")
    assert set(compiled) <= {"dep/__init__.py", "dep/core.py", "dep/old.py", "dep/shown.py"}


@pytest.mark.parametrize("jobs", [1, 5])
def test_the_number_of_cores_does_not_matter(bench, jobs):
    reference = bench.build(no_cache=True).sha256
    session = msgspec.structs.replace(open_session(os.environ, Cache(root=None)), jobs=jobs)
    assert build_package(Project.read(bench.project), Source(), session).sha256 == reference


def test_no_interpreter_is_an_error_that_names_both_remedies(bench):
    with pytest.raises(MissingToolError, match=r"no CPython 3\.13\.99 on this machine to compile") as caught:
        bench.build(bytecode_python="3.13.99")
    assert "`uv python install 3.13.99`" in caught.value.hint
    assert 'bytecode = "none"' in caught.value.hint


@pytest.mark.parametrize("version", ["3.12.1", "3.13", "3.13.x", "313"])
def test_an_interpreter_of_another_version_is_refused(bench, version):
    with pytest.raises(ConfigurationError, match=r"is no release of Python 3\.13, which python3\.13 has"):
        bench.build(bytecode_python=version)


def test_none_wants_no_interpreter(bench, monkeypatch):
    monkeypatch.setattr(interpreter, "find", lambda *_, **__: pytest.fail("one was looked for"))
    assert not any(name.endswith(".pyc") for name in bench.files(bytecode="none"))


POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="the interpreter is a shell script")


class Bare:
    """The stage alone, with modules of which each may be what it likes, and a cache."""

    def __init__(self, folder, python):
        self.folder = folder
        self.python = python
        self.program = Path(python.path)
        self.cache = Cache(root=folder / "cache")

    def file(self, path, text):
        source = self.folder / f"source-{path}"
        source.write_text(text)
        return File(path=path, source=source, size=len(text))

    def compile(self, *files, **others):
        """Return each path's content, and the findings."""
        from hatch_lambda.stages.bytecode.compile import Compiler, compile_tree

        compiler = Compiler(
            executable=self.program,
            environment=os.environ,
            cache=self.cache,
            progress=Silent(),
            jobs=2,
            work=self.folder,
            **others,
        )
        options = CompileOptions(layout="only", optimize=0, interpreter=self.python.version)
        tree, _, findings = compile_tree(Tree.of(files), options, compiler)
        return {file.path: file.source.read_bytes() for file in tree}, [(one.path, one.message) for one in findings]

    def through(self, script):
        """Let a *script* of the shell start the interpreter."""
        self.program = self.folder / "python"
        self.program.write_text(f'#!/bin/sh\n{script}\nexec {self.python.path} "$@"\n')
        self.program.chmod(0o755)

    def undisturbed(self):
        self.program = Path(self.python.path)

    @property
    def kept(self):
        return sum(entry.kind == "bytecode" for entry in self.cache.entries())


@pytest.fixture
def bare(tmp_path, python):
    return Bare(tmp_path, python)


@pytest.fixture
def bare313(tmp_path, python313):
    return Bare(tmp_path, python313)


MANY = "".join(f"def f{number}(a, b={number}):\n    return a + b\n" for number in range(8_000))
"""A module that takes 60 MB of memory to compile."""

DISTURBANCES = {
    "killed": ("kill -9 $$", r"many\.py: .*python, which compiles it, was killed by SIGKILL", "memory"),
    "failed": ("echo 'it is Sunday' >&2; exit 3", r"failed with exit code 3: it is Sunday", "leaves the module out"),
    "too large a file": ("trap '' XFSZ; ulimit -f 100", r"many\.py: .*: /.*\.pyc: File too large", "free some space"),
}


def check_disturbed(bare, script, fact, remedy):
    files = [*(bare.file(f"m{number}.py", f"X = {number}\n") for number in range(3)), bare.file("many.py", MANY)]
    bare.through(script)
    with pytest.raises(HatchLambdaError, match=fact) as caught:
        bare.compile(*files)
    assert remedy in caught.value.hint
    assert 'bytecode = "none"' in caught.value.hint
    assert bare.kept == 0
    bare.undisturbed()
    content, findings = bare.compile(*files)
    assert findings == []
    assert sorted(content) == ["m0.pyc", "m1.pyc", "m2.pyc", "many.pyc"]
    assert len(content["many.pyc"]) > len(MANY)


@POSIX_ONLY
@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_compiler_that_does_not_come_to_its_end_fails_the_build_and_nothing_of_it_is_kept(bare313, disturbance):
    """It says nothing about the module: left out, every later build had the wrong bytes."""
    check_disturbed(bare313, *DISTURBANCES[disturbance])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
def test_too_little_memory_is_no_fault_of_the_module_in_any_version(bare):
    """Before 3.12 nothing but that there is plenty tells it from a parser whose stack is full."""
    check_disturbed(bare, "ulimit -v 120000", r"many\.py: .* has too little memory here", "add some")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_told_with_the_file_and_nothing_of_it_is_kept(bare313):
    full = bare313.folder / "full.py"
    full.write_text(
        "import json, os, sys\n"
        "for *_, destination in json.load(open(sys.argv[-1])):\n"
        "    if not os.path.lexists(destination): os.symlink('/dev/full', destination)\n"
    )
    bare313.through(f'{bare313.python.path} {full} "$@"')
    with pytest.raises(HatchLambdaError, match=r": /.*\.pyc: No space left on device") as caught:
        bare313.compile(bare313.file("m.py", "X = 1\n"))
    assert "check the free space" in caught.value.hint
    assert bare313.kept == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_disk_that_is_full_before_anything_is_compiled_is_told_with_the_file(bare313, monkeypatch):
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: Path("/dev/full").write_bytes(bytes(1)))
    file = File(path="m.py", source=Path(os.devnull), size=0)
    with pytest.raises(OSError, match=r"No space left on device: '/.*batch'"):
        bare313.compile(file)


DEEP = {
    "parser": f"X = {'-' * 7000}1\n",
    "branches": "if a: pass\n" + "elif b: pass\n" * 7000,
    "compiler": f"X = {'+'.join('a' * 20_000)}\n",
    "brackets": f"X = {'(' * 300}{')' * 300}\n",
    "number": f"X = {'1' * 6000}\n",
    "zero": "X = 1\0\n",
    "encoding": "# coding: nothing-of-that-kind\n",
}


def test_what_is_wrong_with_a_module_itself_is_a_result_that_is_kept(bare, monkeypatch):
    """Among it what a parser whose stack is full calls, in every version, a MemoryError."""
    files = [bare.file("good.py", "X = 1\n"), *(bare.file(f"{name}.py", text) for name, text in DEEP.items())]
    content, findings = bare.compile(*files)
    assert [path for path, _ in findings] == sorted(f"{name}.py" for name in DEEP)
    assert "good.pyc" in content
    assert "nested too deeply for the parser" in dict(findings)["parser.py"]
    monkeypatch.setattr(stage, "run", lambda arguments, **_: pytest.fail(f"{arguments} was run"))
    assert bare.compile(*files) == (content, findings)


@POSIX_ONLY
def test_how_deep_a_module_may_be_does_not_depend_on_the_stack_that_a_shell_allows(bare):
    deep = [f"X = {'-' * depth}1\n" for depth in (900, 2900, 5900)] + ["if a: pass\n" + "elif b: pass\n" * 2900]
    files = [bare.file(f"m{number}.py", text) for number, text in enumerate(deep)]
    expected = bare.compile(*files)
    bare.cache.clear()
    bare.through("ulimit -s 256")
    assert bare.compile(*files) == expected


def test_what_was_edited_while_it_was_compiled_is_neither_shipped_nor_kept(bare313, monkeypatch):
    """Its bytecode would be kept as that of the text which it was before."""
    file = bare313.file("m.py", "X = 1\n")
    start = stage._start

    def edited(*arguments):
        file.source.write_text("X = 12\n")
        return start(*arguments)

    monkeypatch.setattr(stage, "_start", edited)
    with pytest.raises(HatchLambdaError, match=r"source-m\.py: somebody changed it while it was compiled"):
        bare313.compile(file)
    assert bare313.kept == 0


def folder_of(bench):
    folder = bench.folder / "target"
    for wheel in (bench.folder / "wheels").iterdir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder


def test_a_folder_gets_bytecode_only_if_it_is_asked_for(bench, python313):
    """Whether there is room, and for which runtime, is for its owner to say."""
    folder = folder_of(bench)
    api.slim(folder)
    assert not list(folder.rglob("*.pyc"))
    with pytest.raises(ConfigurationError, match=r"nothing in .* tells a runtime"):
        api.slim(folder, bytecode="include")
    api.slim(folder, bytecode="include", runtime="python3.13")
    made = folder / "dep" / "__pycache__" / "core.cpython-313.pyc"
    if sys.version_info[:2] == (3, 13):
        assert marshal.loads(made.read_bytes()[HEADER:]).co_filename == "/var/task/dep/core.py"
    assert b"/var/task/dep/core.py" in made.read_bytes()
    api.slim(folder, bytecode="only", runtime="python3.13")
    assert not (folder / "dep" / "core.py").exists()
    assert (folder / "dep" / "core.pyc").exists()


def test_in_a_layers_folder_it_knows_where_layers_are(bench):
    folder = folder_of(bench)
    layer = bench.folder / "layer"
    layer.mkdir()
    folder.rename(layer / "python")
    api.slim(layer, bytecode="include", runtime="python3.13")
    made = layer / "python" / "dep" / "__pycache__" / "core.cpython-313.pyc"
    assert b"/opt/python/dep/core.py" in made.read_bytes()


def explained(bench, path, **settings):
    _, decisions = api.explain(bench.project, path, **settings)
    return {decision.file.path: (decision.kept, decision.rule) for decision in decisions}


def test_explain_tells_of_bytecode_and_of_the_sources_that_it_replaces(bench):
    assert explained(bench, "dep/__pycache__") == {
        f"dep/__pycache__/{name}.cpython-313.pyc": (True, "compile")
        for name in ("__init__", "core", "old", "shown", "warned")
    }
    only = explained(bench, "dep", bytecode="only")
    assert only["dep/core.py"] == (False, "compile")
    assert only["dep/core.pyc"] == (True, "compile")
    assert only["dep/shown.py"] == (True, "default")
    assert explained(bench, "dep/__pycache__", bytecode="none") == {
        "dep/__pycache__/core.cpython-313.pyc": (False, "bytecode")
    }
