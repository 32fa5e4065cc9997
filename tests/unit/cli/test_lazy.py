"""Commands find and load only what they need."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = {"http", "asyncio", "plotly", "cyclonedx", "hatchling", "rich"}


def test_a_build_loads_nothing_that_only_running_or_reporting_needs():
    """A build in which nothing is new is mostly the start of this program."""
    code = "import sys, hatch_lambda.api; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_what_does_without_uv_does_not_ask_for_it(tmp_path):
    """Its absence is told where it is missed."""
    info = tmp_path / "package" / "a-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("a.py,,\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a\nVersion: 1.0\n")
    (tmp_path / "package" / "a.py").write_text("")
    environment = {**os.environ, "UV": "nonsense", "HATCH_LAMBDA_CACHE_DIR": str(tmp_path / "cache")}
    for arguments in (("slim", "package"), ("verify", "package"), ("clean",), ("cache", "info")):
        command = [sys.executable, "-m", "hatch_lambda", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
