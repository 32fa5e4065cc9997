"""What bytecode a package gets: what the settings ask for, with an interpreter that this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda import bytecode, interpreter
from hatch_lambda.bytecode import BytecodePolicy
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.model import Finding, Severity, Tree
from hatch_lambda.settings import TABLE
from hatch_lambda.slimming import Decision
from hatch_lambda.target import UNZIPPED_QUOTA, runtimes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hatch_lambda.run import Context
    from hatch_lambda.settings import Settings
    from hatch_lambda.target import Runtime

_LAYERS = "/opt"
"""Where Lambda unpacks layers."""


class Bytecode(Struct, frozen=True, kw_only=True):
    """How modules are compiled, and by which program."""

    policy: BytecodePolicy
    executable: Path

    def in_layer(self, folder: str = "python") -> Bytecode:
        """Return the same for modules in a *folder* of a layer."""
        return replace(self, policy=replace(self.policy, root=f"{_LAYERS}/{folder}"))

    def compiler(self, context: Context, work: Path) -> bytecode.Compiler:
        """Return what compiles, with results below *work*."""
        return bytecode.Compiler(
            executable=self.executable,
            environment=context.uv.environment,
            cache=context.cache,
            progress=context.progress,
            jobs=context.jobs,
            work=work,
        )


def options(settings: Settings, runtime: Runtime, context: Context, *, cwd: Path) -> tuple[Bytecode | None, ...]:
    """Return how the package may be compiled, what is wanted most first; None stands for not at all.

    Raises MissingToolError where no interpreter of the version is to be had, and ConfigurationError where one is
    named that does not fit *runtime*.
    """
    if settings.bytecode == "none":
        return (None,)
    made = _find(settings, runtime, context, cwd)
    return (made, None) if settings.bytecode == "auto" else (made,)


def for_folder(settings: Settings, runtime: str | None, context: Context, site: Path, folder: Path) -> Bytecode | None:
    """Return how the modules of *site* are compiled, *folder* itself or in this layer; None where nobody asked.

    A folder is not the whole function: whether there is room is for its owner to say.
    """
    if settings.bytecode not in {"include", "only"}:
        return None
    known = runtimes().get(runtime or "")
    if known is None:
        raise ConfigurationError(
            f"{TABLE}.bytecode: nothing in {site} tells a runtime of Lambda that its modules could be compiled for",
            hint="name it, such as `-C runtime=python3.13`",
        )
    made = _find(settings, known, context, folder)
    if site == folder:
        return made
    return made.in_layer(site.relative_to(folder).as_posix())


def foresee(decisions: Iterable[Decision], settings: Settings, runtime: Runtime) -> tuple[Decision, ...]:
    """Return *decisions* about the files of a package with those that the bytecode stage adds, compiling nothing."""
    decided = {decision.file.path: decision for decision in decisions}
    if settings.bytecode != "none":
        kept = Tree.of(decision.file for decision in decided.values() if decision.kept)
        condition = ", if Lambda's limit has room for it" if settings.bytecode == "auto" else ""
        for found in bytecode.plan(kept, _policy(settings, runtime.python)):
            file = replace(found.source, path=found.path, size=0)
            decided[found.path] = Decision(file=file, kept=True, rule=bytecode.RULE, reason=bytecode.REASON + condition)
            if found.replaces_source:
                decided[found.source.path] = Decision(
                    file=found.source, kept=False, rule=bytecode.RULE, reason=found.reason
                )
    return tuple(decided.values())


def _find(settings: Settings, runtime: Runtime, context: Context, cwd: Path) -> Bytecode:
    version = _wanted(settings, runtime)
    found = interpreter.find(version, context.uv, context.cache, cwd=cwd)
    if found is None:
        raise interpreter.missing(version, f"to compile modules for {runtime.name} with", bytecode.WITHOUT)
    return Bytecode(policy=_policy(settings, found.version), executable=found.path)


def _wanted(settings: Settings, runtime: Runtime) -> str:
    """Return the version of the interpreter that compiles: a full one if it is named, else that of *runtime*."""
    major, minor = runtime.python_version
    named = settings.bytecode_python
    if named is None:
        return f"{major}.{minor}"
    patch = named.removeprefix(f"{major}.{minor}.")
    if patch == named or not patch.isdecimal():
        raise ConfigurationError(
            f"{TABLE}.bytecode-python: {named!r} is no release of Python {major}.{minor}, which {runtime.name} has",
            hint=f'name one in full, such as "{runtime.python}": each minor version has a bytecode of its own',
        )
    return named


def _policy(settings: Settings, version: str) -> BytecodePolicy:
    """Return the stage's policy for an interpreter of the full *version*."""
    return BytecodePolicy(
        layout="only" if settings.bytecode == "only" else "include",
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
