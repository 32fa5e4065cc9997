"""validate-pyproject finds our schema by its entry point, and uses it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytestmark = pytest.mark.skipif(
    not entry_points(group="validate_pyproject.tool_schema", name="lambda-slim"),
    reason="hatch-lambda itself is not installed here",
)


def validate(folder, table):
    path = folder / "pyproject.toml"
    path.write_text(f'[project]\nname = "demo"\nversion = "1"\n[tool.lambda-slim]\n{table}\n', encoding="utf-8")
    command = [sys.executable, "-m", "validate_pyproject", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_right_table_is_valid(tmp_path):
    code, output = validate(tmp_path, 'runtime = "python3.13"\npatterns = ["*.md"]\ndist-info = "keep"')
    assert code == 0, output


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ('runtime = "python2.7"', "runtime"),
        ("strip = 1", "strip"),
        ("colour = 1", "colour"),
        ('extras = "a"', "extras"),
    ],
)
def test_a_wrong_table_is_invalid_and_its_key_named(tmp_path, table, word):
    code, output = validate(tmp_path, table)
    assert code != 0
    assert word in output
