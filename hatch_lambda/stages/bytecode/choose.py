"""What bytecode a package gets: what the settings ask for, with an interpreter that this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.config.settings import TABLE
from hatch_lambda.config.target import UNZIPPED_QUOTA, runtimes
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.python import find, missing
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.stages.bytecode.plan import CompileOptions

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.settings import BytecodeSettings
    from hatch_lambda.config.target import Runtime
    from hatch_lambda.core.session import Session
    from hatch_lambda.stages.bytecode.compile import Compiler


_log = logger(__name__)

_LAYERS = "/opt"
"""Where Lambda unpacks layers."""


class Bytecode(Struct, frozen=True, kw_only=True):
    """How modules are compiled, and by which program."""

    options: CompileOptions
    executable: Path

    def in_layer(self, folder: str = "python") -> Bytecode:
        """Return the same for modules in a *folder* of a layer."""
        return replace(self, options=replace(self.options, root=f"{_LAYERS}/{folder}"))

    def compiler(self, session: Session, work: Path) -> Compiler:
        """Return what compiles, with results below *work*."""
        from hatch_lambda.stages.bytecode.compile import Compiler

        return Compiler(
            executable=self.executable,
            environment=session.uv.environment,
            cache=session.cache,
            progress=session.progress,
            jobs=session.jobs,
            work=work,
        )


def for_package(settings: BytecodeSettings, runtime: Runtime, session: Session, cwd: Path) -> Bytecode | None:
    """Return how the modules of a package are compiled; None where they are not to be.

    Raises MissingToolError where no interpreter of the version is to be had, and ConfigurationError where one is
    named that does not fit *runtime*.
    """
    return None if settings.layout == "none" else _find(settings, runtime, session, cwd)


def for_folder(
    settings: BytecodeSettings, runtime: str | None, session: Session, site: Path, folder: Path
) -> Bytecode | None:
    """Return how the modules of *site* are compiled, *folder* itself or in this layer; None where nobody asked.

    A folder is not the whole function: whether there is room is for its owner to say.
    """
    if settings.layout not in {"include", "only"}:
        return None
    known = runtimes().get(runtime or "")
    if known is None:
        raise ConfigurationError(
            f"{TABLE}.bytecode: nothing in {site} tells a runtime of Lambda that its modules could be compiled for",
            hint="name it, such as `-C runtime=python3.13`",
        )
    made = _find(settings, known, session, folder)
    if site == folder:
        return made
    return made.in_layer(site.relative_to(folder).as_posix())


def _find(settings: BytecodeSettings, runtime: Runtime, session: Session, cwd: Path) -> Bytecode:
    from hatch_lambda.stages.bytecode.compile import WITHOUT

    version = _wanted(settings, runtime)
    found = find(version, session.uv, session.cache, cwd=cwd)
    if found is None:
        raise missing(version, f"to compile modules for {runtime.name} with", WITHOUT)
    _log.debug("modules are compiled by CPython %s, %s", found.version, found.path)
    return Bytecode(options=compile_options(settings, found.version), executable=found.path)


def _wanted(settings: BytecodeSettings, runtime: Runtime) -> str:
    """Return the version of the interpreter that compiles: a full one if it is named, else that of *runtime*."""
    major, minor = runtime.python_version
    named = settings.python
    if named is None:
        return f"{major}.{minor}"
    patch = named.removeprefix(f"{major}.{minor}.")
    if patch == named or not patch.isdecimal():
        raise ConfigurationError(
            f"{TABLE}.bytecode-python: {named!r} is no release of Python {major}.{minor}, which {runtime.name} has",
            hint=f'name one in full, such as "{runtime.python}": each minor version has a bytecode of its own',
        )
    return named


def compile_options(settings: BytecodeSettings, version: str) -> CompileOptions:
    """Return how an interpreter of the full *version* compiles."""
    return CompileOptions(
        layout="only" if settings.layout == "only" else "include",
        optimize=settings.optimize,
        interpreter=version,
    )


def left_out() -> Finding:
    """Return the finding that there was no room for bytecode."""
    return Finding(
        code="HL021",
        severity=Severity.NOTE,
        message="no bytecode: with it the package would be larger unzipped than Lambda takes"
        f" ({UNZIPPED_QUOTA // (1 << 20)} MiB)",
        hint='each cold start compiles what it imports; bytecode = "only" needs less room than "include"',
    )
