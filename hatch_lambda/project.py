"""A project as its ``pyproject.toml`` describes it."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from hatch_lambda import config
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.target import Target, highest_runtime, runtimes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_lambda.config import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True)
class Project:
    """A folder with a ``pyproject.toml`` (or without one: then everything has its default)."""

    root: Path
    settings: Settings
    pyproject: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, root: Path, overrides: Mapping[str, Any] | None = None) -> Project:
        """Read the project in the folder *root*, with *overrides* of its settings.

        Raises ConfigurationError for a folder that is none, for TOML that is none, and for wrong settings.
        """
        if not root.is_dir():
            raise ConfigurationError(f"{root}: there is no such folder", hint="name the folder of a project")
        path = root / "pyproject.toml"
        try:
            pyproject = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            pyproject = {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
        tool = _table(pyproject, "tool")
        table = _table(tool, "lambda-slim", "tool.lambda-slim")
        return cls(root=root.resolve(), settings=config.decode(table, overrides), pyproject=pyproject)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The ``[project]`` table (PEP 621); empty where there is none."""
        return _table(self.pyproject, "project")

    @cached_property
    def name(self) -> str:
        """Its name as wheels spell it; the folder's name where there is no ``[project]``."""
        return re.sub(r"[-_.]+", "_", str(self.metadata.get("name") or self.root.name)).lower()

    @property
    def distribution(self) -> str:
        """Its normalized name (PEP 503)."""
        return canonicalize_name(self.name)

    @property
    def version(self) -> str | None:
        """Its version where the file says it; None where it is dynamic or absent."""
        version = self.metadata.get("version")
        return str(version) if version is not None else None

    @property
    def is_package(self) -> bool:
        """Whether it is built as a wheel: as uv sees it, unless ``tool.uv.package`` says otherwise."""
        package = _table(_table(self.pyproject, "tool"), "uv").get("package")
        return bool(package) if package is not None else "build-system" in self.pyproject

    @cached_property
    def requires_python(self) -> SpecifierSet | None:
        """The Python versions that it allows."""
        text = self.metadata.get("requires-python")
        try:
            return SpecifierSet(text) if text else None
        except InvalidSpecifier as error:
            raise ConfigurationError(f"project.requires-python: {text!r} is not a version specifier") from error

    @cached_property
    def target(self) -> Target:
        """What it is built for; see :attr:`runtime_was_guessed`."""
        settings = self.settings
        runtime = runtimes()[settings.runtime] if settings.runtime else highest_runtime(self.requires_python)
        if runtime is None:
            raise ConfigurationError(
                f"project.requires-python: no Lambda runtime has a Python that fits {self.requires_python}",
                hint=f"known runtimes: {', '.join(runtimes())}",
            )
        return Target(runtime=runtime, architecture=settings.architecture)

    @property
    def runtime_was_guessed(self) -> bool:
        """Whether no setting names the runtime."""
        return self.settings.runtime is None

    def requirements(self) -> list[Requirement]:
        """Return the direct requirements of the project with the chosen extras and dependency groups.

        Markers are not evaluated. A dynamic list of dependencies cannot be known and counts as empty.
        """
        lines = list(self.metadata.get("dependencies", ()))
        optional = {
            canonicalize_name(name): entries for name, entries in self.metadata.get("optional-dependencies", {}).items()
        }
        for extra in self.settings.extras:
            lines += optional.get(canonicalize_name(extra), ())
        groups = _table(self.pyproject, "dependency-groups")
        if self.settings.groups and groups:
            from packaging.dependency_groups import DependencyGroupResolver

            resolver = DependencyGroupResolver(groups)
            for group in self.settings.groups:
                if group in groups:
                    lines += map(str, resolver.resolve(group))
        try:
            return [Requirement(line) for line in lines]
        except InvalidRequirement as error:
            raise ConfigurationError(f"project.dependencies: {error}") from error


def _table(parent: Mapping[str, Any], key: str, where: str | None = None) -> Mapping[str, Any]:
    table = parent.get(key, {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where or key}: a table was expected, found {type(table).__name__}")
    return table
