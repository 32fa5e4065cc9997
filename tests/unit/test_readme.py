"""The README says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

import hatch_lambda
from hatch_lambda import errors
from hatch_lambda.cli.commands import COMMANDS
from hatch_lambda.cli.commands import hatch_lambda as command_line
from hatch_lambda.config.schema import schema
from hatch_lambda.inspect.audit.checks import checks
from hatch_lambda.stages.locks import formats

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / ".github").glob("*.md"))]


def settings_table() -> list[str]:
    """Return the rows of the settings as the schema has them."""
    rows = []
    for key, value in schema()["properties"].items():
        default = value.get("default")
        shown = "" if default is None else f"`{json.dumps(default)}`"
        rows.append(f"| `{key}` | {shown} | {value['description']} |")
    return rows


def test_its_table_of_settings_is_what_the_schema_says():
    """Written by hand, it would lag behind."""
    table = README.partition("| key of `[tool.lambda-slim]` |")[2].split("\n\n")[0].splitlines()[2:]
    assert table == settings_table()


def checks_table() -> list[str]:
    """Return the rows of all that can be found."""
    return [f"| `{check.code}` | {', '.join(check.severities)} | {check.title} |" for check in checks()]


def locks_table() -> list[str]:
    """Return the rows of the lock files as the formats have them."""
    names = [", ".join(f"`{name}`" for name in known.shown) for known in formats.FORMATS]
    return [f"| {' | '.join((own, *known.load().ROW))} |" for own, known in zip(names, formats.FORMATS, strict=True)]


def test_its_table_of_lock_files_is_what_the_formats_are():
    """In the order in which they are looked for, as the text below it says."""
    table = README.partition("| lock | made by |")[2].split("\n\n")[0].splitlines()[2:]
    assert table == locks_table()


def test_its_table_of_checks_is_what_the_checks_are_said_to_find():
    """And every code that the program has is there: others could not be ignored."""
    table = README.partition("| code | severity |")[2].split("\n\n")[0].splitlines()[2:]
    assert table == checks_table()
    sources = [path.read_text(encoding="utf-8") for path in Path(hatch_lambda.__file__).parent.rglob("*.py")]
    emitted = {code for source in sources for code in re.findall(r'"(HL\d{3})"', source)}
    assert emitted == {check.code for check in checks()}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_names_every_command(name):
    """A command that nobody finds is no command."""
    command = command_line.get_command(None, name)
    subcommands = command.commands if isinstance(command, click.Group) else {}
    assert f"`hatch-lambda {name}" in README
    assert all(subcommand in README for subcommand in subcommands)


def test_it_names_every_exit_code():
    """Scripts rely on them."""
    codes = {error.exit_code for error in vars(errors).values() if isinstance(error, type)}  # type: ignore[attr-defined]
    line = re.search(r"Exit codes:.*?\n\n", README, re.DOTALL)
    assert line is not None
    assert codes <= {int(code) for code in re.findall(r"\b(\d+)\b", line[0])}


def test_it_names_every_function_of_the_python_api():
    """And each of them is there."""
    section = README.partition("### From Python")[2].partition("\n### ")[0]
    for name in set(hatch_lambda.__all__) - {"__version__"}:
        assert callable(getattr(hatch_lambda, name))
        assert f"`{name}`" in section or f"hatch_lambda.{name}(" in section


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_is_there(document):
    """Who looks for where something is decided finds it, also after a module has moved."""
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:hatch_lambda|tests|sample_project)/[\w/.-]+)`", text)
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert [path for path in linked if not (document.parent / path).exists()] == []
