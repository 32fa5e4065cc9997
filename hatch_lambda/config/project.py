"""A project as its ``pyproject.toml`` describes it."""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_lambda.config.decode import decode, in_words
from hatch_lambda.config.settings import TABLE
from hatch_lambda.config.target import Target, highest_runtime, runtimes
from hatch_lambda.core.codec import SETTINGS_LIMIT, Document, convert
from hatch_lambda.core.log import logger
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_lambda.config.settings import Settings


_log = logger(__name__)

_SHAPES: dict[str, Any] = {
    "project": dict,
    "project.name": str,
    "project.version": str,
    "project.requires-python": str,
    "project.dynamic": list[str],
    "project.dependencies": list[str],
    "project.optional-dependencies": dict[str, list[str]],
    "dependency-groups": dict[str, list[Any]],
    "tool": dict,
    "tool.uv": dict,
    "tool.uv.package": bool,
    "tool.uv.override-dependencies": list[Any],
    "tool.uv.exclude-dependencies": list[Any],
    "tool.poetry.extras": dict[str, Any],
    TABLE: dict,
}
"""What is read of a ``pyproject.toml``, and the type that each of it must have."""


class Project(Struct, frozen=True, kw_only=True, dict=True):
    """A folder with a ``pyproject.toml`` (or without one: then everything has its default)."""

    root: Path
    settings: Settings
    pyproject: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """What a door was given in place of settings."""
    function: str | None = None
    """Which of the project's functions this is; None where there is one only."""
    folder: Path | None = None
    """The folder whose content takes the place of the project's files; see ``functions``."""
    home: Project | None = None
    """The project that this is a function of, if that is in another folder."""

    @classmethod
    def read(cls, root: Path, overrides: Mapping[str, Any] | None = None) -> Project:
        """Read the project in the folder *root*, with *overrides* of its settings.

        Raises ConfigurationError for a folder that is none, for TOML that is none, and for wrong settings.
        """
        pyproject = cls.read_file(root)
        given = dict(overrides or {})
        settings = decode(_at(pyproject, TABLE) or {}, given)
        _log.debug("the project is %s; given beside it: %s", root, ", ".join(given) or "no settings")
        return cls(root=root.resolve(), settings=settings, pyproject=pyproject, overrides=given)

    @staticmethod
    def read_file(root: Path) -> dict[str, Any]:
        """Read the ``pyproject.toml`` in *root*, and check what of it is not ours; empty where there is none."""
        if not root.is_dir():
            raise ConfigurationError(f"{root}: there is no such folder", hint="name the folder of a project")
        path = root / "pyproject.toml"
        if not os.path.lexists(path):
            return {}
        pyproject = Document(
            path=path,
            shown=str(path),
            family=ConfigurationError,
            hint="it must be a file that can be read, with TOML in UTF-8",
            limit=SETTINGS_LIMIT,
            has_paths=False,
        ).toml()
        if problems := list(_wrong_shapes(pyproject)):
            raise ConfigurationError("\n".join(problems), hint=f"correct {path}")
        return pyproject

    @property
    def table(self) -> Mapping[str, Any]:
        """Its ``[tool.lambda-slim]`` as it stands there."""
        table: Mapping[str, Any] = _at(self.pyproject, TABLE) or {}
        return table

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The ``[project]`` table (PEP 621); empty where there is none."""
        table: Mapping[str, Any] = self.pyproject.get("project", {})
        return table

    @cached_property
    def name(self) -> str:
        """Its name as wheels spell it; the folder's name where there is no ``[project]``."""
        return re.sub(r"[-_.]+", "_", self.metadata.get("name") or self.root.name).lower()

    @property
    def distribution(self) -> str:
        """Its normalized name (PEP 503)."""
        return canonicalize_name(self.name)

    @property
    def layers(self) -> tuple[Path, ...]:
        """The zips of the layers that the function has."""
        return tuple(self.root / layer for layer in self.settings.audit.layers)

    @property
    def version(self) -> str | None:
        """Its version where the file says it, as wheels spell it; None where it is dynamic or absent."""
        version = self.metadata.get("version")
        return str(Version(version)) if version is not None else None

    @property
    def is_package(self) -> bool:
        """Whether it is built as a wheel: as uv sees it, unless ``tool.uv.package`` says otherwise."""
        package = _at(self.pyproject, "tool.uv.package") if self.folder is None else False
        return bool(package) if package is not None else "build-system" in self.pyproject

    @cached_property
    def requires_python(self) -> SpecifierSet | None:
        """The Python versions that it allows."""
        text = self.metadata.get("requires-python")
        return SpecifierSet(text) if text else None

    @cached_property
    def target(self) -> Target:
        """What it is built for; see :attr:`runtime_was_guessed`."""
        settings = self.settings
        runtime = (
            runtimes()[settings.target.runtime] if settings.target.runtime else highest_runtime(self.requires_python)
        )
        if runtime is None:
            raise ConfigurationError(
                f"project.requires-python: no Lambda runtime has a Python that fits {self.requires_python}",
                hint=f"known runtimes: {', '.join(runtimes())}",
            )
        return Target(runtime=runtime, architecture=settings.target.architecture)

    @property
    def runtime_was_guessed(self) -> bool:
        """Whether no setting names the runtime."""
        return self.settings.target.runtime is None

    @property
    def dependency_groups(self) -> Mapping[str, Any]:
        """The ``[dependency-groups]`` (PEP 735)."""
        table: Mapping[str, Any] = self.pyproject.get("dependency-groups", {})
        return table

    def requirements(self) -> list[Requirement]:
        """Return the direct requirements of the project with the chosen extras and dependency groups.

        Markers are not evaluated. A dynamic list of dependencies cannot be known and counts as empty.
        """
        from packaging.requirements import InvalidRequirement, Requirement

        lines = [] if self.settings.lock.only_groups else list(self.metadata.get("dependencies", ()))
        optional = {
            canonicalize_name(name): entries for name, entries in self.metadata.get("optional-dependencies", {}).items()
        }
        for extra in () if self.settings.lock.only_groups else self.settings.lock.extras:
            lines += optional.get(canonicalize_name(extra), ())
        try:
            return [*map(Requirement, lines), *self._group_requirements()]
        except InvalidRequirement as error:
            raise ConfigurationError(f"project.dependencies: {error}") from error

    def _group_requirements(self) -> Iterator[Requirement]:
        groups = self.dependency_groups
        wanted = self.settings.lock.only_groups or self.settings.lock.groups
        names = set(groups if "*" in wanted else wanted)
        kept = set(map(canonicalize_name, names)) - set(map(canonicalize_name, self.settings.lock.without_groups))
        chosen = [group for group in groups if canonicalize_name(group) in kept]
        if chosen:
            from packaging.dependency_groups import DependencyGroupResolver
            from packaging.errors import ExceptionGroup  # noqa: A004 - Python 3.11 has one, packaging raises its own

            try:
                resolver = DependencyGroupResolver(groups)
                for group in chosen:
                    yield from resolver.resolve(group)
            except ExceptionGroup as error:
                problems = dict.fromkeys(f"dependency-groups: {problem}" for problem in error.exceptions)
                raise ConfigurationError("\n".join(problems)) from error
            except RecursionError as error:
                raise ConfigurationError("dependency-groups: they include one another too deeply") from error


def _at(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted *path*; None where there is none, or where its parent is no table."""
    value: Any = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def table_at(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the table at a dotted *path*; empty where there is none."""
    value = _at(document, path)
    return value if isinstance(value, dict) else {}


def _wrong_shapes(pyproject: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for everything in the standard tables that later steps could not work with."""
    for path, shape in _SHAPES.items():
        value = _at(pyproject, path)
        if value is None:
            continue
        try:
            convert(value, shape)
        except msgspec.ValidationError as error:
            yield f"{path}: {in_words(error)}"
        else:
            if problem := _wrong_value(path, value):
                yield f"{path}: {problem}"


def _wrong_value(path: str, value: Any) -> str | None:
    try:
        if path == "project.name":
            canonicalize_name(value, validate=True)
        elif path == "project.version":
            Version(value)
        elif path == "project.requires-python":
            SpecifierSet(value).contains("3")  # which reads its numbers
    except InvalidName:
        return f"{value!r} is not a name for a distribution (letters, digits, `-`, `_` and `.`)"
    except InvalidVersion:
        return f"{value!r} is not a version (PEP 440)"
    except InvalidSpecifier:
        return f"{value!r} is not a version specifier"
    except ValueError:
        return "a number in it has thousands of digits"
    return None
