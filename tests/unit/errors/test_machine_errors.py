"""What a machine refuses is told with what was refused, and a remedy that is one."""

from __future__ import annotations

import errno
import os

import pytest

from hatch_lambda.core.files import workspace
from hatch_lambda.errors import HatchLambdaError, machine_errors

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
