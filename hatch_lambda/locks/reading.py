"""Find the lock file, read it, and make one where there is none and that is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from packaging.utils import canonicalize_name

from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.locks import pdm, pipenv, poetry, pylock, requirements, uv_lock
from hatch_lambda.locks.discovery import discover, is_pylock, workspace_root
from hatch_lambda.locks.exclusion import exclude
from hatch_lambda.locks.lock import Lock, LockPolicy, Request, shown
from hatch_lambda.locks.messages import did_you_mean
from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from hatch_lambda.locks.discovery import Discovery
    from hatch_lambda.process import Uv
    from hatch_lambda.project import Project


FORMATS: Mapping[str, Callable[[Request], Lock]] = {
    "uv.lock": uv_lock.read,
    "pylock.toml": pylock.read,
    "poetry.lock": poetry.read,
    "pdm.lock": pdm.read,
    "Pipfile.lock": pipenv.read,
    "requirements.txt": requirements.read,
}
"""How to read each format, by the name that its file usually has; the first that is found is taken."""


_WAYS_OUT = (
    "run `uv lock` and commit the lock file; where SAM builds a copy of the project without it, as of a workspace's"
    " member, use `sam build --build-in-source`, or let `ProjectRootDirectory`, `ContextPath` and `WorkingDirectory` in"
    " the function's Metadata name the folders; `require-lock = false` in [tool.lambda-slim] makes one all the same"
)


def read(project: Project, policy: LockPolicy, uv: Uv, workspace: Path, python: Path | None = None) -> Lock:
    """Return the project's lock in its normal form; *workspace* is a folder for what is made on the way.

    *python* is an interpreter of the target's version, for uv, where one is at hand.

    Raises LockError where there is no lock and none may be made, where it is stale, and where it cannot be
    read, and ConfigurationError where the settings name a file, an extra or a group that is not there.
    """
    _check_extras(policy.extras, project)
    found = discover(project, policy)
    if found is None:
        path = workspace_root(project) / "uv.lock"
        request = Request(path=path, project=project, policy=policy, uv=uv, workspace=workspace)
        return _create(request) if _has_requirements(project) else _none(request)
    request = Request(path=found.path, project=project, policy=policy, uv=uv, workspace=workspace, python=python)
    lock = exclude(format_of(found.path)(request), request)
    # What an sdist carries was compared with the project when it was resolved, and may be that of a folder alone.
    vouched = lock.vouched or (policy.function is not None and found.path.name == policy.resolved_name)
    return replace(lock, findings=(*_passed_over(found, project), *lock.findings), vouched=vouched)


def format_of(path: Path) -> Callable[[Request], Lock]:
    """Return how to read the lock file *path*, which its name tells."""
    if is_pylock(path):
        return FORMATS["pylock.toml"]
    if path.name in FORMATS:
        return FORMATS[path.name]
    if path.suffix == ".txt":
        return FORMATS["requirements.txt"]
    raise ConfigurationError(
        f"tool.lambda-slim.lock: {path.name!r} is not the name of a lock file that can be read"
        f"{did_you_mean(path.name, FORMATS)}",
        hint="formats: uv.lock, pylock.toml, pylock.NAME.toml, poetry.lock, pdm.lock, Pipfile.lock, requirements.txt"
        " (any name in .txt)",
    )


def _create(request: Request) -> Lock:
    policy = request.policy
    if policy.require_lock or not policy.may_create:
        why = " and `require-lock` is set" if policy.require_lock else ", and a build does not make one"
        where = "" if request.path.parent == request.project.root else f" in {request.path.parent}"
        raise LockError(f"{request.project.root}: there is no lock file{why}", hint=f"run `uv lock`{where}")
    if policy.unattended is not None and policy.require_lock is None:
        raise LockError(
            f"{request.project.root}: there is no lock file, and {policy.unattended} says that nobody watches: one"
            " that is made now may choose other versions than were tested, and nobody would see it",
            hint=_WAYS_OUT,
        )
    uv_lock.create(request)
    lock = uv_lock.read(replace(request, policy=replace(policy, in_source_tree=False)))
    made = Finding(
        code="HL010",
        severity=Severity.WARNING,
        message=f"there was no lock file: {request.shown} was made",
        hint="commit it, so that every build installs the same",
    )
    return replace(lock, findings=(made, *lock.findings), vouched=True)


def _none(request: Request) -> Lock:
    """Return the lock of a project without dependencies, which needs no file."""
    tool = request.project.pyproject.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    if isinstance(poetry, dict) and set(poetry.get("dependencies", ())) - {"python"}:
        raise LockError(
            f"{request.project.root}: there is no lock file for [tool.poetry.dependencies]",
            hint="run `poetry lock`",
        )
    return Lock(path=request.path, pylock=pylock.empty(), findings=(), stands_alone=False, vouched=True)


def _has_requirements(project: Project) -> bool:
    """Tell whether the project depends on anything; a dynamic list counts, for nobody knows it yet."""
    dynamic = project.metadata.get("dynamic", ())
    return bool(project.requirements()) or "dependencies" in dynamic


def _check_extras(chosen: Iterable[str], project: Project) -> None:
    """Refuse an extra that the project does not have, before a tool does so in its own words."""
    tool = project.pyproject.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    table = {
        **(poetry.get("extras", {}) if isinstance(poetry, dict) else {}),
        **project.metadata.get("optional-dependencies", {}),
    }
    unknown = "optional-dependencies" in project.metadata.get("dynamic", ())
    names = {canonicalize_name(name) for name in table}
    for name in chosen:
        if canonicalize_name(name) not in names and not unknown:
            raise ConfigurationError(
                f"tool.lambda-slim.extras: the project has no extra {name!r}{did_you_mean(name, table)}"
            )


def _passed_over(found: Discovery, project: Project) -> tuple[Finding, ...]:
    if not found.passed_over:
        return ()
    others = ", ".join(shown(path, project) for path in found.passed_over)
    taken = shown(found.path, project)
    return (
        Finding(
            code="HL011",
            severity=Severity.NOTE,
            message=f"of several lock files, {taken} was taken, and not {others}",
            hint=f'`lock = "{found.passed_over[0].name}"` in [tool.lambda-slim] would choose another',
        ),
    )
