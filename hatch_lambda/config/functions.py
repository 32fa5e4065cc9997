"""The functions of a project: each a project of its own to all that builds, with the project's settings and its own.

Where ``module`` names a folder, that folder's content is the function's code. If it has a ``[project]`` of its own,
as a member of a uv workspace has, it is built as that project.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from hatch_lambda.config.decode import decode, did_you_mean, inside, merged
from hatch_lambda.config.project import Project
from hatch_lambda.config.settings import TABLE
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


_ONE_FUNCTIONS = ("handler", "output", "module")
"""Settings that cannot be the same for several functions."""

_OF_THE_PROJECT = frozenset(
    {
        *("extras", "groups", "without-groups", "only-groups", "lock", "include", "exclude", "vendor", "layers"),
        *("container-file", "verify-events", "functions", "module"),
    }
)
"""Settings that are about a project's own names and paths, so that another project inherits none of them."""


def functions_of(project: Project, names: Sequence[str] = ()) -> list[Project]:
    """Return the functions *names* of *project*, by default all; the project itself where it says nothing of any.

    Raises ConfigurationError for a name that it does not have, and for a ``module`` that is no folder.
    """
    tables: Mapping[str, Mapping[str, Any]] = project.settings.project.functions
    if unknown := [name for name in names if name not in tables]:
        known = f"it has {', '.join(tables)}" if tables else f"[{TABLE}.functions] names none"
        raise ConfigurationError(
            f"{project.root}: the project has no function {unknown[0]!r}{did_you_mean(unknown[0], tables)}",
            hint=known,
        )
    chosen = list(dict.fromkeys(names)) or list(tables)
    if not chosen:
        return [_located(project, {}, TABLE)]
    if len(chosen) > 1 and (shared := [key for key in _ONE_FUNCTIONS if project.overrides.get(key) is not None]):
        raise ConfigurationError(
            f"option `{shared[0]}`: it cannot be the same for {len(chosen)} functions ({', '.join(chosen)})",
            hint="choose one of them with `--function`",
        )
    return [_function(project, name, tables[name]) for name in chosen]


def one_of(project: Project, name: str | None) -> Project:
    """Return the function *name* of *project*, or its only one. Raises ConfigurationError if that leaves a choice."""
    found = functions_of(project, [name] if name is not None else ())
    if len(found) > 1:
        names = ", ".join(str(function.function) for function in found)
        raise ConfigurationError(
            f"{project.root}: the project has several functions: {names}", hint="choose one with `--function NAME`"
        )
    return found[0]


def _function(project: Project, name: str, own: Mapping[str, Any]) -> Project:
    settings = decode(merged(project.table, own), project.overrides)
    function = replace(project, settings=settings, function=name)
    return _located(function, own, f"{TABLE}.functions.{name}")


def _located(function: Project, own: Mapping[str, Any], where: str) -> Project:
    """Return *function* with the folder that its ``module`` names, as a project of its own if it is one."""
    module = function.settings.project.module
    if module is None:
        return function
    given = "module" in function.overrides
    place = "option `module`" if given else f"{where}.module"
    is_there = os.path.lexists(function.root / module)
    folder = inside(function.root, module, place) if is_there else function.root
    if not is_there or not folder.is_dir():
        raise ConfigurationError(
            f"{place}: there is no folder {module!r} in {function.root}{_meant(function.root, module)}",
            hint="its path is relative to the project",
        )
    pyproject = Project.read_file(folder)
    if "project" not in pyproject:
        return replace(function, folder=folder)
    inherited = {key: value for key, value in function.table.items() if key not in _OF_THE_PROJECT}
    member = Project(root=folder, settings=function.settings, pyproject=pyproject)
    decode(member.table)  # what is wrong there is told with its own place
    table = merged(merged(inherited, member.table), {key: own[key] for key in own if key != "module"})
    settings = decode(table, {key: value for key, value in function.overrides.items() if key != "module"})
    return replace(member, settings=settings, function=function.function, home=function)


def _meant(root: Path, module: str) -> str:
    parent = (root / module).parent
    siblings = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    return did_you_mean(module.rstrip("/").rpartition("/")[2], siblings)
