"""``slim`` heals: whatever ends it, at any of its file operations, doing it again leaves what one run leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from hatch_lambda import api
from hatch_lambda.errors import ArchiveError, HatchLambdaError
from tests.support.elf import shared_object
from tests.support.faults import Killed, faults, fill_disk, interrupt, kill
from tests.support.wheels import make_wheel

TAG = "cp313-cp313-manylinux_2_17_x86_64"
ASKING = "import importlib.metadata\n\n\ndef owners():\n    return importlib.metadata.packages_distributions()\n"
BELOW = "python/lib/python3.13/site-packages"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def install(folder, *wheels):
    """Unpack wheels as installers do, with the bytes linked from a cache."""
    for wheel in wheels:
        cached = wheel.with_suffix(".unpacked")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(cached)
        for path in (path for path in sorted(cached.rglob("*")) if path.is_file()):
            target = folder / path.relative_to(cached)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)


def compiled(tmp_path):
    return make_wheel(
        tmp_path / "wheels",
        "compiled",
        {
            "compiled/__init__.py": "",
            "compiled/__init__.pyi": "",
            "compiled/native.so": shared_object(),
            "compiled/py.typed": "",
            "compiled/tests/__init__.py": "",
            "compiled/tests/test_it.py": "import pytest\n",
        },
        tag=TAG,
    )


def asking(tmp_path):
    """Make a wheel because of which every RECORD stays, and is renewed."""
    return make_wheel(tmp_path / "wheels", "asking", {"asking.py": ASKING, "bin/ask": "#!/usr/bin/python3\n"})


def plain(tmp_path):
    folder = tmp_path / "plain"
    install(folder, compiled(tmp_path), asking(tmp_path))
    (folder / "compiled" / "native.so").chmod(0o755)
    (folder / "compiled" / "alias.so").symlink_to("native.so")
    return folder


def layer(tmp_path):
    folder = tmp_path / "layer"
    install(folder / "python", asking(tmp_path))
    install(folder / BELOW, compiled(tmp_path))
    return folder


def content(folder):
    """Return all that is in *folder*: names, bytes, modes, links."""
    return {
        path.relative_to(folder).as_posix(): (
            path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None,
            path.lstat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
    }


def copy(folder):
    """Copy *folder* and link its files again: its neighbours share them."""
    target = folder.with_name("copy") / folder.name
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(folder, target, symlinks=True, copy_function=os.link))


class Case:
    """A folder, what one undisturbed run leaves of it, and how many operations that takes."""

    def __init__(self, folder: Path, **settings) -> None:
        self.before, self.settings = folder, settings
        self.folder = copy(folder)
        with faults(self.folder) as counted:
            self.result = self.slim()
        self.operations = counted.done
        self.after = content(self.folder)
        self.untouched = content(folder)

    def slim(self):
        return api.slim(self.folder, **self.settings)

    def stopped(self, at, fault):
        """Give a fresh folder, on which a run stops."""
        self.folder = copy(self.before)
        with faults(self.folder, at=at, fault=fault):
            try:
                self.slim()
            except (Killed, HatchLambdaError) as error:
                return error
        return None

    def changed_from(self):
        """Return the first operation at which the folder is no longer as it was."""
        names = [(name, Path(path).name) for name, path in self.operations]
        return names.index(("os.rename", ".hatch-lambda.plan")) + 2


@pytest.fixture(params=[plain, layer])
def case(request, tmp_path):
    return Case(request.param(tmp_path))


@pytest.mark.parametrize("fault", [kill, interrupt])
def test_whatever_stops_it_repeating_it_leaves_what_one_run_leaves(fault, case):
    assert case.after != case.untouched
    assert len(case.operations) > 15
    for at in range(1, len(case.operations) + 1):
        assert isinstance(case.stopped(at, fault), Killed), at
        case.slim()
        assert content(case.folder) == case.after, case.operations[at - 1]
        assert content(case.before) == case.untouched, "the cache's files are what they were"


def test_what_is_stopped_before_the_plan_is_in_its_place_changed_nothing(case):
    for at in range(1, case.changed_from()):
        case.stopped(at, interrupt)
        assert content(case.folder) == case.untouched, case.operations[at - 1]


def test_a_run_that_finishes_another_tells_all_that_was_done(case):
    for at in (case.changed_from(), len(case.operations)):
        case.stopped(at, kill)
        result = case.slim()
        assert result.changes == case.result.changes
        assert [found.code for found in result.findings] == [*(found.code for found in case.result.findings), "HL009"]
        assert (result.runtime, result.architecture) == (case.result.runtime, case.result.architecture)


def test_a_run_that_finishes_another_may_be_stopped_too(case):
    for at in (case.changed_from(), len(case.operations) - 3):
        case.stopped(at, kill)
        for _ in case.operations:
            with faults(case.folder, at=2), suppress(Killed):
                case.slim()
        assert content(case.folder) == case.after


def test_a_full_disk_names_a_file_of_the_folder_and_repeating_heals(case):
    for at in range(1, len(case.operations) + 1):
        error = case.stopped(at, fill_disk)
        if error is not None:
            assert isinstance(error, ArchiveError)
            named = error.message.partition(": No space left on device")[0]
            assert Path(named).is_relative_to(case.folder), error
            assert ".tmp" not in named
            assert "make room on that disk, then repeat the command" in error.hint
            if at < case.changed_from():
                assert content(case.folder) == case.untouched
                assert "nothing in the folder was changed" in error.hint
            case.slim()
        assert content(case.folder) == case.after, case.operations[at - 1]


def test_a_dry_run_leaves_what_is_to_be_finished(case):
    case.stopped(case.changed_from() + 1, kill)
    before = content(case.folder)
    result = api.slim(case.folder, dry_run=True)
    assert content(case.folder) == before
    assert [found.code for found in result.findings if found.severity.value == "warning"] == ["HL009"]
    assert not [file.path for file in result.tree if ".hatch-lambda" in file.path]


def test_what_was_installed_in_between_stays_and_is_slimmed(tmp_path):
    case = Case(plain(tmp_path))
    fresh = make_wheel(tmp_path / "wheels", "fresh", {"fresh/__init__.py": "", "fresh/__init__.pyi": ""})
    for at in range(case.changed_from(), len(case.operations) + 1):
        case.stopped(at, kill)
        install(case.folder, fresh)
        library = case.folder / "compiled" / "native.so"
        library.unlink()
        library.write_bytes(b"a newer one")
        case.slim()
        left = content(case.folder)
        assert library.read_bytes() == b"a newer one"
        assert "fresh/__init__.py" in left
        assert "fresh/__init__.pyi" not in left
        assert not [path for path in left if ".hatch-lambda" in path]


def test_other_settings_count_when_the_folder_is_slimmed_again(tmp_path):
    case = Case(plain(tmp_path))
    case.stopped(case.changed_from(), kill)
    api.slim(case.folder, patterns=["/asking.py"])
    assert not (case.folder / "asking.py").exists()


def test_sources_that_stay_because_another_names_them_stay_in_a_repeated_run(tmp_path):
    """With the source of ``one`` gone, nobody could tell why that of ``template`` stays."""
    files = {"one.py": "NAME = 'template.py'\n", "template.py": "", "other.py": ""}
    install(tmp_path / "folder", make_wheel(tmp_path / "wheels", "dep", files))
    version = f"python3.{sys.version_info[1]}"
    case = Case(tmp_path / "folder", bytecode="only", runtime=version)
    assert {"one.pyc", "template.py", "other.pyc"} <= set(case.after)
    for at in range(case.changed_from(), len(case.operations) + 1):
        case.stopped(at, kill)
        case.slim()
        assert content(case.folder) == case.after, case.operations[at - 1]


def test_a_folder_that_keeps_no_metadata_can_be_finished(tmp_path):
    case = Case(plain(tmp_path), dist_info="remove")
    for at in range(case.changed_from(), len(case.operations) + 1):
        case.stopped(at, kill)
        case.slim()
        assert content(case.folder) == case.after


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_a_name_that_is_no_utf_8_heals_too(tmp_path):
    folder = plain(tmp_path)
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/compiled/\xff.pyi")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    case = Case(folder, patterns=["*.pyi"])
    assert not [path for path in case.after if path.endswith(".pyi")]
    case.stopped(case.changed_from(), kill)
    case.slim()
    assert content(case.folder) == case.after


def test_a_process_that_really_ends_leaves_what_heals(tmp_path):
    case = Case(plain(tmp_path))
    last = len(case.operations)
    for at in {1, case.changed_from() - 1, case.changed_from(), (case.changed_from() + last) // 2, last}:
        case.folder = copy(case.before)
        command = [sys.executable, "-m", "tests.support.faults", case.folder, str(at), "slim", case.folder]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
        assert done.returncode == 77, done.stderr
        case.slim()
        assert content(case.folder) == case.after, case.operations[at - 1]


def test_what_older_versions_left_is_swept(tmp_path):
    folder = plain(tmp_path)
    for path in (".hatch-lambda.0123abcd.tmp", "compiled/.hatch-lambda.0123abcd.tmp"):
        (folder / path).write_text("half a file")
    (folder / ".hatch-lambda.notes.tmp").write_text("somebody's")
    assert not [file.path for file in api.slim(folder, dry_run=True).tree if "0123abcd" in file.path]
    api.slim(folder)
    assert [path.name for path in folder.rglob(".hatch-lambda*")] == [".hatch-lambda.notes.tmp"]


class TestAPlanThatAStrangerMade:
    """It is read as if it meant harm."""

    @pytest.fixture
    def case(self, tmp_path):
        case = Case(plain(tmp_path))
        case.stopped(case.changed_from(), kill)
        return case

    def plant(self, case, **values):
        plan = case.folder / ".hatch-lambda.plan"
        plan.write_text(json.dumps({**json.loads(plan.read_bytes()), **values}))

    @pytest.mark.parametrize("path", ["../precious", "{0}/precious", "way/precious", "../copy/../precious"])
    def test_it_reaches_nothing_outside(self, path, case, tmp_path):
        (tmp_path / "precious").write_text("x")
        (case.folder / "way").symlink_to(tmp_path)
        (case.folder.parent / "precious").write_text("x")
        digest = "file 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        steps = [{"path": path.format(tmp_path), "before": digest, "after": None}]
        self.plant(case, steps=steps)
        with suppress(HatchLambdaError):  # the link itself is refused, where it is met
            case.slim()
        assert (tmp_path / "precious").read_text() == (case.folder.parent / "precious").read_text() == "x"

    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{}", '{"format": 2, "written_by": "9.9"}', "[" * 100_000, "\0", '{"format": 1}', '"' + "x" * 99],
    )
    def test_what_is_none_is_told_and_nothing_is_changed(self, text, case):
        (case.folder / ".hatch-lambda.plan").write_text(text)
        before = content(case.folder)
        with pytest.raises(ArchiveError, match=r"\.hatch-lambda\.plan: .* cannot be read") as caught:
            case.slim()
        assert "install anew into an empty folder" in caught.value.hint
        assert ("hatch-lambda 9.9" in caught.value.hint) is ("9.9" in text)
        assert content(case.folder) == before

    def test_the_new_bytes_come_from_no_link(self, case, tmp_path):
        self.plant(case, new=".hatch-lambda.00000000.tmp")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "0").write_text("x")
        (case.folder / ".hatch-lambda.00000000.tmp").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ArchiveError, match="cannot be read"):
            case.slim()
        assert (tmp_path / "elsewhere" / "0").read_text() == "x"
