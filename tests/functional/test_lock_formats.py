"""What finding a lock costs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from hatch_lambda.config.project import Project
from hatch_lambda.stages.locks.choice import discover
from hatch_lambda.stages.locks.lock import LockTerms

project = Project.read(Path(sys.argv[1]))
terms = LockTerms(settings=project.settings.lock, may_create=False, in_source_tree=True)
print(discover(project, terms).path.name)
print(*sorted(name for name in sys.modules if "locks.formats." in name or name.startswith(("packaging.py", "tomli"))))
"""


def test_a_lock_is_found_without_any_format(tmp_path):
    """An unchanged build reads none of them, and their libraries take as long as all else that it does."""
    (tmp_path / "pylock.toml").touch()
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "pylock.toml\n\n"
