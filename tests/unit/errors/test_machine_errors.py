"""What a machine refuses is told with what was refused, and a remedy that is one."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, nullcontext

import pytest

from hatch_lambda.core.files import failing_as_archive_error, workspace
from hatch_lambda.core.staging import Staging
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import CommandError, HatchLambdaError, InternalError, machine_errors

REMEDIES = {
    "ENOSPC": "free space",
    "EDQUOT": "quota",
    "EROFS": "only be read",
    "EMFILE": "ulimit -n",
    "ENAMETOOLONG": "shorter",
    "EIO": "system's log",
    "ETXTBSY": "try again",
    "ELOOP": "link",
    "ENOMEM": "memory",
    "EACCES": "permissions",
    "ENOENT": "report",
    "EISDIR": "report",
    "ENOTDIR": "report",
}


@pytest.mark.parametrize("name", [name for name in REMEDIES if hasattr(errno, name)])
def test_each_refusal_has_the_remedy_that_helps(name):
    """Permissions do not help a full disk."""
    number = getattr(errno, name)
    with pytest.raises(HatchLambdaError) as caught, machine_errors():
        raise OSError(number, os.strerror(number), "/some/file")
    assert caught.value.message == f"/some/file: {os.strerror(number)}"
    assert REMEDIES[name] in caught.value.hint
    assert ("permissions" in caught.value.hint) is (name == "EACCES")


def test_a_full_disk_is_named_even_where_the_system_names_no_file(tmp_path):
    """Writing to a file that is open tells none; it is the build's own folder that filled up."""
    with pytest.raises(HatchLambdaError) as caught, machine_errors(), workspace(tmp_path / "cache"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.message.startswith(str(tmp_path / "cache" / "work"))


@contextmanager
def staging(place):
    with failing_as_archive_error(place), Staging() as new:
        new.folder(place)
        yield


FAULTS = {
    "a file that is missing": lambda folder: (folder / "missing").read_bytes(),
    "a folder in the place of a file": lambda folder: folder.read_bytes(),
    "a file in the place of a folder": lambda folder: ((folder / "file").touch(), (folder / "file" / "x").touch()),
    "what is there already": lambda folder: folder.mkdir(),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("writing", [nullcontext, failing_as_archive_error, staging])
def test_what_is_missing_in_a_work_folder_looks_like_the_fault_of_ours_that_it_is(fault, writing, tmp_path):
    """Nobody else has that folder, so there is nothing that a user could check, whatever was being written."""
    work, written = workspace(tmp_path / "cache"), writing(tmp_path / "dist")
    with pytest.raises(InternalError) as caught, machine_errors(), work as folder, written:
        fault(folder)
    assert str(tmp_path / "cache" / "work") in caught.value.message
    assert f"hatch-lambda {__version__}: please report" in caught.value.hint
    assert "--debug" in caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


def test_what_is_missing_elsewhere_may_have_been_moved_by_its_owner(tmp_path):
    with pytest.raises(HatchLambdaError) as caught, machine_errors(), workspace(tmp_path / "cache"):
        (tmp_path / "app.py").read_bytes()
    assert not isinstance(caught.value, InternalError)


def test_a_full_disk_is_no_fault_of_ours(tmp_path):
    with pytest.raises(HatchLambdaError) as caught, machine_errors(), workspace(tmp_path / "cache") as work:
        raise OSError(errno.ENOSPC, "No space left on device", str(work / "file"))
    assert not isinstance(caught.value, InternalError)


@pytest.mark.parametrize(
    ("code", "output", "told"),
    [
        (-9, "", ["    it was ended by the signal SIGKILL"]),
        (-9, "so far\n", ["    so far", "    it was ended by the signal SIGKILL"]),
        (-1000, "", ["    it was ended by the signal 1000"]),
        (3, " \n", ["    it said nothing, and ended with exit code 3"]),
        (3, "why\n", ["    why"]),
    ],
)
def test_a_program_that_could_not_say_why_it_ended_is_told_of_all_the_same(code, output, told):
    """A system without memory ends it, and the hint alone would send the reader elsewhere."""
    assert CommandError("uv", code, output).tail().splitlines() == told
