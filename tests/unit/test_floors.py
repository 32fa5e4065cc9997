"""The floors of the design: imports run downward only, and each concern has one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hatch_lambda

PACKAGE = Path(hatch_lambda.__file__).parent
FLOORS = {
    0: {"batches", "decoding", "errors", "lazy", "redact", "signals", "untrusted"},
    1: {"target", "cache", "workspace", "process", "interpreter", "remote", "gitignore", "data"},
    2: {"settings", "tables", "config", "model", "project", "functions"},
    3: {"locks", "install", "slimming", "elf", "bytecode", "archive"},
    4: {"verify", "report", "invoking"},
    5: {
        "pipeline",
        "run",
        "parts",
        "policies",
        "collect",
        "compiling",
        "reporting",
        "savings",
        "smoke",
        "many",
        "shapes",
    },
    6: {
        *("hatch_lambda", "__main__", "api", "environment", "trials", "schema", "cli"),
        *("hooks", "builder", "build_hook", "backend", "hatch_app", "sdist"),
    },
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}
STAGES = FLOORS[3]
HATCH_DOORS = {"hooks", "builder", "build_hook", "backend", "hatch_app"}
LONGEST = 400

SOURCES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def shown(path):
    return path.relative_to(PACKAGE).as_posix()


def part_of(path):
    """Return the part of the package that a module belongs to: itself, or the folder that it is in."""
    inner = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "hatch_lambda" if inner == "__init__" else inner


def imported(path, tree):
    """Yield every module that is imported anywhere, with its line; what ``from`` names may be modules too."""
    package = ["hatch_lambda", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def parts_imported(path):
    for name, line in imported(path, TREES[path]):
        first, *rest = name.split(".")
        if first == "hatch_lambda" and rest != ["__version__"]:
            yield (rest[0] if rest and rest[0] in FLOOR_OF else "hatch_lambda"), line


def calls(path):
    """Yield every name that is mentioned, dotted, with its line."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Attribute | ast.Name):
            yield ast.unparse(node), node.lineno


by_module = pytest.mark.parametrize("path", SOURCES, ids=shown)


def test_every_module_stands_on_a_floor():
    assert {part_of(path) for path in SOURCES} <= set(FLOOR_OF)


@by_module
def test_imports_run_downward_only(path):
    own = part_of(path)
    upward = [
        f"line {line}: {part} is on floor {FLOOR_OF[part]}, {own} on floor {FLOOR_OF[own]}"
        for part, line in parts_imported(path)
        if part != own and FLOOR_OF[part] > FLOOR_OF[own]
    ]
    assert upward == []


@by_module
def test_stages_do_not_import_one_another(path):
    own = part_of(path)
    others = [f"line {line}: {part}" for part, line in parts_imported(path) if part in STAGES - {own}]
    assert own not in STAGES or others == []


@by_module
def test_stages_get_their_policy_and_never_the_settings(path):
    names = {name for name, _ in imported(path, TREES[path])}
    assert part_of(path) not in STAGES or "hatch_lambda.settings.Settings" not in names


@by_module
def test_hatchling_is_imported_by_the_hatch_doors_alone(path):
    lines = [line for name, line in imported(path, TREES[path]) if name.split(".")[0] == "hatchling"]
    assert part_of(path) in HATCH_DOORS or lines == []


@by_module
def test_processes_are_started_in_one_place(path):
    lines = [line for name, line in imported(path, TREES[path]) if name.split(".")[0] in {"subprocess", "pty"}]
    lines += [line for name, line in calls(path) if name.startswith(("os.system", "os.exec", "os.spawn", "os.popen"))]
    assert part_of(path) == "process" or lines == []


@by_module
def test_documents_are_decoded_in_one_place(path):
    """Where one thread waits for another, and where a parser's exceptions become ours: see there."""
    decoding = {"msgspec.json.decode", "msgspec.msgpack.decode", "msgspec.toml.decode", "msgspec.convert"}
    decoding |= {"json.load", "json.loads", "tomllib", "tomllib.loads", "tomli", "tomli.loads"}
    lines = [line for name, line in calls(path) if name in decoding]
    lines += [line for name, line in imported(path, TREES[path]) if name in decoding]
    alone = path.name == "worker.py"  # a program of another interpreter, which has nothing of ours
    assert part_of(path) == "decoding" or alone or lines == []


@by_module
def test_the_environment_is_read_by_the_doors_alone(path):
    read = {"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"}
    lines = [line for name, line in calls(path) if name in read]
    lines += [line for name, line in imported(path, TREES[path]) if name in read]
    assert FLOOR_OF[part_of(path)] == 6 or lines == []


@by_module
def test_printing_happens_in_the_command_alone(path):
    spoken = {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"}
    lines = [line for name, line in calls(path) if name in spoken]
    lines += [line for name, line in imported(path, TREES[path]) if name.split(".")[0] in {"click", "rich"}]
    assert part_of(path) == "cli" or lines == []


@by_module
def test_a_module_is_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
