"""Find a project's lock file and read it, whichever format it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from hatch_lambda.config.project import Project
from hatch_lambda.core.codec import LOCK_LIMIT, DocumentError, check_regular, check_size
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.text import did_you_mean
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.stages.locks.formats import FORMATS, declared
from hatch_lambda.stages.locks.lock import Lock, LockRequest, normalized, resolved_name, shown
from hatch_lambda.stages.locks.workspace import workspace_root

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hatch_lambda.core.uv import Uv
    from hatch_lambda.stages.locks.formats import LockFormat
    from hatch_lambda.stages.locks.lock import LockTerms


_log = logger(__name__)

_WAYS_OUT = (
    "run `uv lock` and commit the lock file; where SAM builds a copy of the project without it, as of a workspace's"
    " member, use `sam build --build-in-source`, or let `ProjectRootDirectory`, `ContextPath` and `WorkingDirectory` in"
    " the function's Metadata name the folders; `require-lock = false` in [tool.lambda-slim] makes one all the same"
)


def read(project: Project, terms: LockTerms, uv: Uv, work: Path, python: Path | None = None) -> Lock:
    """Return the project's lock in its normal form; *work* is a folder for what is made on the way.

    *python* is an interpreter of the target's version, for uv, where one is at hand.

    Raises LockError where there is no lock and none may be made, where it is stale, and where it cannot be
    read, and ConfigurationError where the settings name a file, an extra or a group that is not there.
    """
    _check_extras(terms.settings.extras, project)
    found = discover(project, terms)
    _log.debug("the lock of %s is %s", project.root, found.path if found is not None else "still to be made")
    if found is None:
        return _without_file(project, terms, uv, work)
    from hatch_lambda.stages.locks.exclude import exclude

    found_format = format_of(found.path)
    request = LockRequest(
        path=found.path,
        project=project,
        terms=terms,
        uv=uv,
        work=work,
        maker=found_format.MAKER,
        python=python,
    )
    lock = exclude(found_format.read(request), request)
    # What an sdist carries was compared with the project when it was resolved, and may be that of a folder alone.
    vouched = lock.vouched or (terms.function is not None and found.path.name == resolved_name(terms.function))
    return replace(lock, findings=(*_passed_over(found, project), *lock.findings), vouched=vouched)


def format_of(path: Path) -> LockFormat:
    """Return the format of the lock file *path*, which its name tells."""
    for known in FORMATS:
        if known.has_name(path.name):
            return known.load()
    names = [name for known in FORMATS for name in known.shown]
    raise ConfigurationError(
        f"tool.lambda-slim.lock: {path.name!r} is not the name of a lock file that can be read"
        f"{did_you_mean(path.name, names)}",
        hint=f"formats: {', '.join(names)}",
    )


def lock_owner(project: Project) -> Project:
    """Return what the lock is read for: the project, or the folder of its function that has a lock of its own.

    Of a folder with nothing but a lock the requirements are that lock, and none of the project's.
    """
    folder = project.folder
    if folder is None or project.settings.lock.file is not None:
        return project
    if not any(known.found_in(folder) for known in FORMATS if not known.needs_project):
        return project
    own = {key: project.metadata[key] for key in ("name", "version", "requires-python") if key in project.metadata}
    lock = replace(project.settings.lock, extras=(), groups=())
    settings = replace(project.settings, lock=lock)
    return Project(root=folder, settings=settings, pyproject={"project": own} if own else {})


def _without_file(project: Project, terms: LockTerms, uv: Uv, work: Path) -> Lock:
    from hatch_lambda.stages.locks.formats.uv import MAKER

    path = workspace_root(project) / "uv.lock"
    request = LockRequest(path=path, project=project, terms=terms, uv=uv, work=work, maker=MAKER)
    return _create(request) if _has_requirements(project) else _none(request)


def _create(request: LockRequest) -> Lock:
    from hatch_lambda.stages.locks.formats import uv

    terms = request.terms
    if terms.settings.require_lock or not terms.may_create:
        why = " and `require-lock` is set" if terms.settings.require_lock else ", and a build does not make one"
        where = "" if request.path.parent == request.project.root else f" in {request.path.parent}"
        raise LockError(f"{request.project.root}: there is no lock file{why}", hint=f"run {request.maker}{where}")
    if terms.unattended is not None and terms.settings.require_lock is None:
        raise LockError(
            f"{request.project.root}: there is no lock file, and {terms.unattended} says that nobody watches: one"
            " that is made now may choose other versions than were tested, and nobody would see it",
            hint=_WAYS_OUT,
        )
    uv.create(request)
    lock = uv.read(replace(request, terms=replace(terms, in_source_tree=False)))
    made = Finding(
        code="HL010",
        severity=Severity.WARNING,
        message=f"there was no lock file: {request.shown} was made",
        hint="commit it, so that every build installs the same",
    )
    return replace(lock, findings=(made, *lock.findings), vouched=True)


def _none(request: LockRequest) -> Lock:
    """Return the lock of a project without dependencies, which needs no file."""
    from hatch_lambda.stages.locks.pylock import empty

    for known in FORMATS:
        lock_format = known.load()
        if (place := lock_format.unlocked(request.project)) is not None:
            raise LockError(
                f"{request.project.root}: there is no lock file for {place}", hint=f"run {lock_format.MAKER}"
            )
    return Lock(
        path=request.path,
        pylock=empty(),
        findings=(),
        stands_alone=False,
        asks_an_index=False,
        maker=request.maker,
        vouched=True,
    )


def _has_requirements(project: Project) -> bool:
    """Tell whether the project depends on anything; a dynamic list counts, for nobody knows it yet."""
    dynamic = project.metadata.get("dynamic", ())
    return bool(project.requirements()) or "dependencies" in dynamic


def _check_extras(chosen: Iterable[str], project: Project) -> None:
    """Refuse an extra that the project does not have, before a tool does so in its own words."""
    if "optional-dependencies" in project.metadata.get("dynamic", ()):
        return
    extras = declared(project).extras.union(project.metadata.get("optional-dependencies", ()))
    for name in chosen:
        if canonicalize_name(name) not in normalized(extras):
            raise ConfigurationError(
                f"tool.lambda-slim.extras: the project has no extra {name!r}{did_you_mean(name, extras)}"
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


class Discovery(Struct, frozen=True, kw_only=True):
    """The lock file that was taken, and others that were there."""

    path: Path
    passed_over: tuple[Path, ...] = ()


def discover(project: Project, terms: LockTerms) -> Discovery | None:
    """Return the lock file to read, or None where there is none.

    The lock that an sdist carries goes before all else, for it was resolved from the user's choice.
    Raises LockError where the choice is not clear, and ConfigurationError where the chosen file is not there.
    """
    resolved = project.root / resolved_name(terms.function)
    if not terms.in_source_tree and resolved.is_file():
        return Discovery(path=resolved)
    if terms.settings.file is not None:
        return Discovery(path=_chosen(project, terms.settings.file))
    found = [paths for known in FORMATS if (paths := known.found_in(known.folder(project)))]
    if not found:
        return None
    path, *others = found[0]
    if others:
        raise LockError(
            f"several lock files: {', '.join(other.name for other in found[0])}",
            hint=f'choose one: `lock = "{path.name}"` in [tool.lambda-slim]',
        )
    _require_file(path, path.name)
    return Discovery(path=path, passed_over=tuple(paths[0] for paths in found[1:]))


def _require_file(path: Path, shown: str) -> None:
    """Raise LockError for what has a lock's name and is no file, or too large: tools wait for it, or read it all."""
    try:
        status = path.stat()
        check_regular(status)
        check_size(status.st_size, LOCK_LIMIT)
    except (OSError, DocumentError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise LockError(f"{shown}: {why}", hint="put a lock file there, or remove it") from error


def _chosen(project: Project, lock: str) -> Path:
    path = project.root / lock
    if not path.is_file():
        raise ConfigurationError(
            f"tool.lambda-slim.lock: there is no file {lock!r} in {project.root}",
            hint="its path is relative to the project",
        )
    _require_file(path, lock)
    return path.parent.resolve() / path.name
