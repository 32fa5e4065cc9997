"""The Python API."""

from __future__ import annotations

import os
import posixpath
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from hatch_lambda import pipeline, shapes
from hatch_lambda.cache import Cache
from hatch_lambda.config import decode
from hatch_lambda.environment import by_command, context, cores, open_cache, overrides, source_date_epoch
from hatch_lambda.errors import ArchiveError, ConfigurationError, HatchLambdaError, machine_errors
from hatch_lambda.functions import functions_of, one_of
from hatch_lambda.many import Task, build_each, failed
from hatch_lambda.policies import verify_policy
from hatch_lambda.project import Project
from hatch_lambda.run import Source
from hatch_lambda.verify import Told
from hatch_lambda.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_lambda.model import Change, Progress
    from hatch_lambda.remote import Bucket
    from hatch_lambda.report import Package, Slimmed
    from hatch_lambda.reporting import Written
    from hatch_lambda.savings import Saving
    from hatch_lambda.settings import Settings
    from hatch_lambda.slimming import Decision
    from hatch_lambda.verify import Verified


def build(
    project: str | os.PathLike[str] = ".",
    *,
    function: str | None = None,
    progress: Progress | None = None,
    no_cache: bool = False,
    refresh: bool = False,
    **settings: Any,
) -> Package:
    """Build the Lambda package of the project in a folder, or of its *function*, and return what was made.

    *settings* replace those of the project's ``[tool.lambda-slim]``, with ``_`` for ``-`` in their names. Where
    there is no lock file one is made, unless ``require_lock`` is set, or ``CI`` or SAM's ``ARTIFACTS_DIR`` says that
    nobody watches. With *no_cache* nothing is kept, with *refresh* nothing that is kept is used. Raises
    HatchLambdaError.

    >>> package = build("service", architecture="arm64")  # doctest: +SKIP
    >>> package.path, package.size  # doctest: +SKIP
    """
    read = Project.read(Path(project), overrides(settings))
    cache = Cache(root=None) if no_cache else open_cache(os.environ, read, refresh=refresh)
    return pipeline.build(one_of(read, function), by_command(os.environ), context(os.environ, cache, progress))


def build_all(
    projects: Sequence[str | os.PathLike[str]] = (".",),
    *,
    functions: Sequence[str] = (),
    jobs: int | None = None,
    no_cache: bool = False,
    refresh: bool = False,
    **settings: Any,
) -> Iterator[tuple[str, Package | HatchLambdaError]]:
    """Build several projects, *jobs* at a time, and yield for each its folder with its package or its error.

    Of a project that has several functions, each is built, or those of the names *functions*; their labels are
    ``folder:function``. What they have in common is installed, slimmed and compressed once, even with *no_cache*.
    """
    lent = context(os.environ, Cache(root=None))
    tasks: list[tuple[str, Task | HatchLambdaError]] = []
    buckets: dict[tuple[str, bool], Bucket] = {}

    def read_tasks(project: str) -> Iterator[tuple[str, Task | HatchLambdaError]]:
        try:
            read = Project.read(Path(project), overrides(settings))
            cache = shared or open_cache(os.environ, read, refresh=refresh, buckets=buckets)
            for one in functions_of(read, functions):
                label = f"{project}:{one.function}" if one.function else project
                yield label, (one, replace(lent, cache=cache))
        except HatchLambdaError as error:
            yield project, error

    with tempfile.TemporaryDirectory(prefix="hatch-lambda-") as folder:
        shared = Cache(root=Path(folder)) if no_cache else None
        for project in projects:
            tasks += read_tasks(os.fspath(project))
        outcomes = build_each([task for _, task in tasks], by_command(os.environ), jobs=jobs or cores())
        for (label, _), outcome in zip(tasks, outcomes, strict=True):
            yield label, outcome


def build_functions(project: Project, source: Source) -> list[Package]:
    """Build all functions of *project* for a door of Hatch; raise one error for all that failed."""
    lent = context(os.environ, open_cache(os.environ, project))
    functions = functions_of(project)
    if len(functions) == 1:
        return [pipeline.build(functions[0], source, lent)]
    labels = [str(function.function) for function in functions]
    outcomes = list(zip(labels, build_each([(one, lent) for one in functions], source, jobs=cores()), strict=True))
    if (error := failed(outcomes)) is not None:
        raise error
    return [outcome for _, outcome in outcomes if not isinstance(outcome, HatchLambdaError)]


def names_of_functions(project: str | os.PathLike[str] = ".") -> list[str]:
    """Return the names of the functions of a project; none where it is one itself. Raises HatchLambdaError."""
    return list(Project.read(Path(project)).settings.functions)


def slim(
    directory: str | os.PathLike[str],
    *,
    project: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Slimmed:
    """Slim and strip, in place, what an installer's ``--target`` put into a folder, and return what was done.

    The settings are those of *project* where it is named, else the defaults, with *settings* in their place.
    Without *project* the tags of the wheels tell the target. With *dry_run* nothing is written. Raises
    HatchLambdaError.
    """
    chosen, expected = _expected(project, overrides(settings))
    lent = context(os.environ, open_cache(os.environ), progress)
    return pipeline.slim_directory(Path(directory), chosen, expected, lent, dry_run=dry_run)


def explain(
    project: str | os.PathLike[str],
    path: str,
    *,
    function: str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> tuple[list[Change], list[Decision]]:
    """Return why the file *path* of the package, or each file in the folder *path*, is in it or not.

    Of a project that has several functions, *function* says which package.
    The path ``.`` stands for the whole package. First come the Changes of the install stage, then the Decisions
    of the slim stage. Raises HatchLambdaError.
    """
    wanted = posixpath.normpath(path.replace(os.sep, "/").strip("/"))
    read = one_of(Project.read(Path(project), overrides(settings)), function)
    lent = context(os.environ, open_cache(os.environ, read), progress)
    changes, decisions = pipeline.plan(read, by_command(os.environ), lent)

    def concerns(name: str) -> bool:
        return wanted in {".", name} or name.startswith(f"{wanted}/")

    return (
        [change for change in changes if concerns(change.path)],
        [decision for decision in decisions if concerns(decision.file.path)],
    )


def rules(
    project: str | os.PathLike[str] = ".", *, progress: Progress | None = None, **settings: Any
) -> tuple[Saving, ...]:
    """Return the rules of slimming, and for a project that has a lock, what each saves or would save.

    Nothing is built, and no lock is made. Raises HatchLambdaError.
    """
    from hatch_lambda.savings import savings

    read = Project.read(Path(project), overrides(settings))
    return savings(read, Source(), context(os.environ, open_cache(os.environ, read), progress))


def verify_package(
    package: str | os.PathLike[str], *, project: str | os.PathLike[str] | None = None, **settings: Any
) -> Verified:
    """Find what keeps a package, a zip or a folder with its content, from working on Lambda.

    It may be anybody's. The settings are those of *project* where it is named, else the defaults, with *settings*
    in their place; what they do not say of the target, the package's files tell. Raises HatchLambdaError.
    """
    from hatch_lambda import verify

    chosen, expected = _expected(project, overrides(settings))
    policy = verify_policy(chosen)
    layers = tuple(os.path.join(project or "", layer) for layer in policy.layers)  # noqa: PTH118 - both are strings
    cache = open_cache(os.environ)
    with machine_errors(), workspace(cache.root) as work:
        return verify.verify_package(Path(package), expected, replace(policy, layers=layers), cache, work)


def clean(project: str | os.PathLike[str] = ".", *, dry_run: bool = False) -> list[Path]:
    """Remove the packages that were made of a project, and return their paths. Raises HatchLambdaError."""
    read = Project.read(Path(project))
    made = shapes.made_here(read, read.root / "dist")
    try:
        for path in () if dry_run else made:
            shapes.remove(path)
    except OSError as error:
        raise ArchiveError(f"{error.filename}: {error.strerror}", hint="check the folder's permissions") from error
    return made


def write_report(
    package: Package | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    previous: str | os.PathLike[str] | None = None,
    coldstart: str | os.PathLike[str] | None = None,
) -> Written:
    """Write ``report.json``, ``report.html`` and ``sbom.cdx.json`` about a package to *folder*.

    *package* is what ``build`` returned, or the path of a zip that anybody made, of which less is known. It is
    compared with the package of the ``report.json`` at *previous*, or else in *folder*. *coldstart* is what
    ``hatch-lambda coldstart --json`` printed. Needs the extra ``report``. Raises HatchLambdaError.
    """
    from hatch_lambda import reporting

    if isinstance(package, (str, os.PathLike)):
        package = Path(package)
    elif package.sha256 is None:
        raise ConfigurationError(f"{package.path}: a report is about a file", hint='build it with shape = "function"')
    return reporting.write_report(
        package,
        Path(folder),
        previous=None if previous is None else Path(previous),
        coldstart=None if coldstart is None else Path(coldstart),
        epoch=source_date_epoch(os.environ.get("SOURCE_DATE_EPOCH")),
    )


def _expected(project: str | os.PathLike[str] | None, given: Mapping[str, Any]) -> tuple[Settings, Told]:
    """Return the settings of *project* or the defaults, with those *given*, and what they say of the target."""
    chosen = Project.read(Path(project), given).settings if project is not None else decode({}, given)
    says_architecture = project is not None or given.get("architecture") is not None
    return chosen, Told(
        runtime=chosen.runtime,
        architecture=chosen.architecture.value if says_architecture else None,
    )
