"""The nested shape: what goes into the inner archive, and the loader that unpacks it in the function."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

import hatch_lambda.pipeline.shapes
from hatch_lambda import api
from hatch_lambda.core.model import Severity
from hatch_lambda.errors import VerificationError
from hatch_lambda.pipeline.shapes import nested
from hatch_lambda.pipeline.shapes.nested_loader import unpack
from tests.functional.test_shapes import ANSWER, HEAD
from tests.support.elf import library
from tests.support.packages import call, contents, names
from tests.support.shell import interpreter
from tests.support.shell import unpack as unzip
from tests.support.wheels import comments, make_project, make_wheel

APP = """
import json, pathlib, importlib.metadata
import big, small, native

def handler(event, context):
    return [big.VALUE, small.VALUE, importlib.metadata.version("big"), pathlib.Path(small.__file__).name]
"""
LOADER = Path(hatch_lambda.pipeline.shapes.__file__).with_name("nested_loader.py")
INNER = "hatch_lambda_nested.zip"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    folder = tmp_path / "wheels"
    wheels = [
        make_wheel(folder, "big", {"big/__init__.py": f"VALUE = 7\nOURS = {str(tmp_path)!r}\n",
                                   "big/data.py": comments("big", 4_000_000)}),
        make_wheel(folder, "small", {"small/__init__.py": "VALUE = 5\n", "small/run.sh": "#!/bin/sh\n"},
                   modes={"small/run.sh": 0o100755}),
        make_wheel(folder, "native", {"native/__init__.py": "", "native/_core.so": library("libfoo-1a2b.so.1")}),
        make_wheel(folder, "foo", {"foo.libs/libfoo-1a2b.so.1": library(), "foo.py": comments("foo", 90_000)}),
    ]  # fmt: skip
    project = make_project(tmp_path / "service", *wheels, head=HEAD, settings='handler = "app.handler"')
    (project / "app.py").write_text(APP)
    return project


@pytest.fixture
def task(tmp_path):
    """Unpack a package as Lambda does; what its loader unpacked to the real /tmp in turn is removed afterwards.

    That folder is named after its content, and no other test has the same: see ``OURS``.
    """
    folder = tmp_path / "task"
    yield lambda package: unzip(package, folder)
    made = Path(unpack(str(folder / INNER), str(tmp_path)))
    shutil.rmtree(Path("/tmp", made.name))


def inner_names(package, tmp_path):
    with zipfile.ZipFile(package) as outer:
        outer.extract(INNER, tmp_path / "inner")
    return names(tmp_path / "inner" / INNER)


def test_only_what_does_not_fit_is_nested(project, tmp_path):
    """The rest is imported from where Lambda puts it, and costs nothing at a cold start."""
    whole = api.build(project)
    made = api.build(project, shape="nested", nested_limit=1_000_000)
    inner = inner_names(made.path, tmp_path)
    assert {name.partition("/")[0] for name in inner} == {"big", "big-1.0.dist-info"}
    outer = names(made.path)
    generated = {"hatch_lambda_nested.py", INNER, "hatch_lambda_handler.py", "unzip_requirements.py"}
    assert outer == (names(whole.path) - inner) | generated
    with zipfile.ZipFile(made.path) as archive:
        assert sum(info.file_size for info in archive.infolist()) <= 1_000_000
    (note,) = [finding.message for finding in made.findings if finding.code == "HL043"]
    assert note.startswith("unpacked to /tmp at a cold start: big (")


def test_what_fits_is_not_nested_and_runs_with_the_same_handler(project, tmp_path):
    made = api.build(project, shape="nested")
    assert INNER not in names(made.path)
    assert made.handler == "hatch_lambda_handler.handler"
    assert [finding.code for finding in made.findings if finding.code.startswith("HL04")] == ["HL042"]
    assert call(unzip(made.path, tmp_path / "task"), handler=made.handler) == ANSWER


def test_what_loads_one_another_is_nested_together(project, tmp_path):
    inner = inner_names(api.build(project, shape="nested", nested_limit=4_075_000).path, tmp_path)
    assert {name.partition("/")[0] for name in inner if "dist-info" not in name} == {"foo.py", "foo.libs", "native"}


def test_a_package_that_fits_in_no_way_is_refused(project):
    (project / "data.py").write_text(comments("own", 2_000_000))
    with pytest.raises(VerificationError, match="HL001: even with its dependencies nested the package is"):
        api.build(project, shape="nested", nested_limit=1_000_000)


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_a_nested_package_runs_on_every_interpreter(version, project, task, monkeypatch):
    monkeypatch.setenv("PYENV_VERSION", os.environ.get("PYENV_VERSION", ""))
    monkeypatch.setattr(sys, "executable", interpreter(version))
    made = api.build(project, shape="nested", nested_limit=0)
    folder = task(made.path)
    assert (folder / INNER).is_file()
    assert not (folder / "big").exists()
    assert call(folder, handler=made.handler) == ANSWER
    assert call(folder, handler=made.handler) == ANSWER


@pytest.mark.parametrize("line", ["import unzip_requirements", "import hatch_lambda_nested"])
def test_one_line_in_the_handlers_module_does_as_well(line, project, task):
    """Code that was written for serverless-python-requirements keeps working."""
    (project / "app.py").write_text(f"try:\n    {line}\nexcept ImportError:\n    pass\n{APP}")
    made = api.build(project, shape="nested", nested_limit=0, handler=None)
    assert call(task(made.path), handler="app.handler") == ANSWER


@pytest.mark.parametrize(("most", "severity"), [(1_000, Severity.WARNING), (3, Severity.ERROR)])
def test_more_than_tmp_holds_is_told_with_the_setting_that_helps(most, severity, project, monkeypatch):
    monkeypatch.setattr(nested, "DEFAULT_STORAGE", 2)
    monkeypatch.setattr(nested, "LARGEST_STORAGE", most)
    if severity is Severity.ERROR:
        with pytest.raises(VerificationError, match="HL045: the inner archive unpacks to 4 MB"):
            api.build(project, shape="nested", nested_limit=0)
        assert not (project / "dist").exists()
        return
    (told,) = [
        finding
        for finding in api.build(project, shape="nested", nested_limit=0).findings
        if finding.severity is Severity.WARNING and finding.code == "HL045"
    ]
    assert "EphemeralStorage: {Size: 4}" in told.hint


def test_without_a_handler_somebody_has_to_import_the_loader(project):
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('handler = "app.handler"', ""))
    made = api.build(project, shape="nested", nested_limit=0)
    assert "hatch_lambda_handler.py" not in names(made.path)
    (told,) = [finding for finding in made.findings if finding.code == "HL044"]
    assert "import hatch_lambda_nested" in told.hint


# The loader


@pytest.fixture
def inner(tmp_path):
    """Make an inner archive of many small files and a few large ones."""
    path = tmp_path / "inner.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(400):
            archive.writestr(f"package{number % 7}/module{number}.py", comments(str(number), 3_000), 8)
        for number in range(4):
            archive.writestr(f"large/{number}.bin", os.urandom(1_500_000) + bytes(9_000_000), 8)
        archive.writestr("stored.bin", os.urandom(3_000_000), 0)
        archive.writestr("empty.py", "")
        command = zipfile.ZipInfo("bin/größe")
        command.external_attr = 0o100755 << 16
        archive.writestr(command, "#!/bin/sh\n", 8)
    return path


@pytest.fixture
def expected(inner, tmp_path):
    return {path: entry[0] for path, entry in contents(unzip(inner, tmp_path / "expected")).items()}


def start(inner, parent, *, pause=0.0):
    """Start the loader in a process of its own, in which each file takes a *pause*, in seconds, longer."""
    program = (
        "import sys, runpy\n"
        f"loader = runpy.run_path({str(LOADER)!r})\n"
        f"import time, os; write = os.write\n"
        f"os.write = lambda *a: (time.sleep({pause}), write(*a))[1]\n"
        f"print(loader['unpack']({str(inner)!r}, {str(parent)!r}))"
    )
    return subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def parent(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def assert_whole(parent, expected):
    """Assert that the folder is there with all files, and that nothing else is."""
    (folder,) = parent.iterdir()
    assert {path: entry[0] for path, entry in contents(folder).items()} == expected
    assert os.access(folder / "bin" / "größe", os.X_OK)
    assert not os.access(folder / "empty.py", os.X_OK)


def test_the_loader_unpacks_what_zipfile_unpacks(inner, expected, parent):
    folder = unpack(str(inner), str(parent))
    assert_whole(parent, expected)
    state = {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*")}
    assert unpack(str(inner), str(parent)) == folder
    assert {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*")} == state


def test_several_that_start_together_end_with_one_whole_folder(inner, expected, parent):
    processes = [start(inner, parent) for _ in range(4)]
    told = {process.communicate(timeout=300)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(told) == 1
    assert_whole(parent, expected)


def test_what_a_killed_process_began_is_finished_by_the_next(inner, expected, parent):
    """Lambda ends an initialization after ten seconds, and begins anew in the same container."""
    process = start(inner, parent, pause=0.1)
    while len(list(parent.glob("*/*/*"))) < 20:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (begun,) = parent.iterdir()
    assert begun.name.endswith(f".{process.pid}")
    with zipfile.ZipFile(inner) as archive:
        sizes = {begun / info.filename: info.file_size for info in archive.infolist()}
    done = {path: path.stat().st_mtime_ns for path in begun.rglob("*") if path.is_file()}
    assert 20 <= len(done) < len(expected)
    whole = {path for path in done if path.stat().st_size == sizes[path]}
    assert whole
    folder = Path(unpack(str(inner), str(parent)))
    assert_whole(parent, expected)
    now = {path: (folder / path.relative_to(begun)).stat().st_mtime_ns for path in whole}
    assert now == {path: done[path] for path in whole}


def test_a_process_that_is_at_work_is_left_alone(inner, expected, parent):
    process = start(inner, parent, pause=0.005)
    while not list(parent.glob("*/*/*")):
        time.sleep(0.005)
    unpack(str(inner), str(parent))
    assert process.communicate(timeout=300)[0].strip() == str(next(parent.iterdir()))
    assert_whole(parent, expected)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("ending", ["", ".999999999"], ids=["the folder", "what a dead process began"])
def test_a_link_in_the_place_of_the_folder_is_not_followed(inner, parent, tmp_path, ending):
    """Elsewhere than on Lambda anybody can make one in /tmp; nothing is read or written through it."""
    folder = Path(unpack(str(inner), str(parent)))
    shutil.rmtree(folder)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    folder.with_name(folder.name + ending).symlink_to(theirs, target_is_directory=True)
    with suppress(OSError):
        assert unpack(str(inner), str(parent)) == str(folder)
        assert not folder.is_symlink()
    assert list(theirs.iterdir()) == []


def test_a_full_disk_is_told_with_what_is_needed(inner, parent, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RuntimeError, match=r"is full: the function's dependencies need \d+ MB of ephemeral storage"):
        unpack(str(inner), str(parent))


@pytest.mark.parametrize("name", ["large/0.bin", "package0/module0.py"])
def test_a_damaged_archive_is_no_folder(name, inner, parent):
    """What is seen under the final name is whole."""
    content = inner.read_bytes()
    with zipfile.ZipFile(inner) as archive:
        info = archive.getinfo(name)
    start = info.header_offset + 30 + len(name)
    inner.write_bytes(content[:start] + b"\xff" * info.compress_size + content[start + info.compress_size :])
    with pytest.raises((OSError, zlib.error), match=r"damaged|Error -3"):
        unpack(str(inner), str(parent))
    assert [path for path in parent.iterdir() if "." not in path.name] == []


def test_the_loader_imports_little():
    """Each of its imports is part of every cold start; those that remain are there when a runtime starts anyway."""
    program = f"__file__ = __name__ = 'nothing'; exec(open({str(LOADER)!r}, encoding='utf-8').read())"
    command = [sys.executable, "-I", "-S", "-X", "importtime", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"zipfile", "tempfile", "shutil", "pathlib", "concurrent.futures", "hashlib", "typing"})
