"""The Python API."""

from __future__ import annotations

import os
import posixpath
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from hatch_lambda.config.decode import decode
from hatch_lambda.config.functions import functions_of, one_of
from hatch_lambda.config.project import Project
from hatch_lambda.config.settings import Settings
from hatch_lambda.config.target import Architecture, TargetHint, guess_target, runtimes
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.files import workspace
from hatch_lambda.core.model import Silent
from hatch_lambda.core.parallel import cores
from hatch_lambda.core.uv import INNER_BUILD, Uv
from hatch_lambda.errors import ArchiveError, ConfigurationError, HatchLambdaError, machine_errors
from hatch_lambda.errors.secrets import hide_settings
from hatch_lambda.pipeline.build import build as build_package
from hatch_lambda.pipeline.many import Task, build_each, failed
from hatch_lambda.pipeline.ours import remove
from hatch_lambda.pipeline.outputs import made_here
from hatch_lambda.pipeline.request import Source, by_command, open_cache, open_session, source_date_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hatch_lambda.core.bucket import Bucket
    from hatch_lambda.core.model import Change, Progress
    from hatch_lambda.inspect.audit.verify import Verified
    from hatch_lambda.inspect.package import Package, SlimmedFolder
    from hatch_lambda.inspect.report.write import ReportFiles
    from hatch_lambda.inspect.run.coldstart import ColdStart
    from hatch_lambda.inspect.run.function import Invocation
    from hatch_lambda.inspect.run.invoke import Invoked, Trial
    from hatch_lambda.pipeline.explain import Saving
    from hatch_lambda.stages.slim.decision import Decision


def build(  # noqa: PLR0913 - each is a choice of the caller
    project: str | os.PathLike[str] = ".",
    *,
    function: str | None = None,
    progress: Progress | None = None,
    no_cache: bool = False,
    refresh: bool = False,
    cache_folder: str | None = None,
    **settings: Any,
) -> Package:
    """Build the Lambda package of the project in a folder, or of its *function*, and return what was made.

    *settings* replace those of the project's ``[tool.lambda-slim]``, with ``_`` for ``-`` in their names. Where
    there is no lock file one is made, unless ``require_lock`` is set, or ``CI`` or SAM's ``ARTIFACTS_DIR`` says that
    nobody watches. With *no_cache* nothing is kept, with *refresh* nothing that is kept is used; what is kept is in
    *cache_folder*, if that is given, whatever the environment and the settings say. Raises HatchLambdaError.

    >>> package = build("service", architecture="arm64")  # doctest: +SKIP
    >>> package.path, package.size  # doctest: +SKIP
    """
    read = Project.read(Path(project), overrides(settings))
    cache = Cache(root=None) if no_cache else open_cache(os.environ, read, folder=cache_folder, refresh=refresh)
    return build_package(one_of(read, function), by_command(os.environ), open_session(os.environ, cache, progress))


def build_all(  # noqa: PLR0913 - each is a choice of the caller
    projects: Sequence[str | os.PathLike[str]] = (".",),
    *,
    functions: Sequence[str] = (),
    jobs: int | None = None,
    no_cache: bool = False,
    refresh: bool = False,
    cache_folder: str | None = None,
    **settings: Any,
) -> Iterator[tuple[str, Package | HatchLambdaError]]:
    """Build several projects, *jobs* at a time, and yield for each its folder with its package or its error.

    Of a project that has several functions, each is built, or those of the names *functions*; their labels are
    ``folder:function``. What they have in common is installed, slimmed and compressed once, even with *no_cache*.
    """
    session = open_session(os.environ, Cache(root=None))
    tasks: list[tuple[str, Task | HatchLambdaError]] = []
    buckets: dict[tuple[str, bool], Bucket] = {}

    def read_tasks(project: str) -> Iterator[tuple[str, Task | HatchLambdaError]]:
        try:
            read = Project.read(Path(project), overrides(settings))
            cache = shared or open_cache(os.environ, read, folder=cache_folder, refresh=refresh, buckets=buckets)
            for one in functions_of(read, functions):
                label = f"{project}:{one.function}" if one.function else project
                yield label, (one, replace(session, cache=cache))
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
    session = open_session(os.environ, open_cache(os.environ, project))
    functions = functions_of(project)
    if len(functions) == 1:
        return [build_package(functions[0], source, session)]
    labels = [str(function.function) for function in functions]
    outcomes = list(zip(labels, build_each([(one, session) for one in functions], source, jobs=cores()), strict=True))
    if (error := failed(outcomes)) is not None:
        raise error
    return [outcome for _, outcome in outcomes if not isinstance(outcome, HatchLambdaError)]


def names_of_functions(project: str | os.PathLike[str] = ".") -> list[str]:
    """Return the names of the functions of a project; none where it is one itself. Raises HatchLambdaError."""
    return list(Project.read(Path(project)).settings.project.functions)


def slim(
    directory: str | os.PathLike[str],
    *,
    project: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> SlimmedFolder:
    """Slim and strip, in place, what an installer's ``--target`` put into a folder, and return what was done.

    The settings are those of *project* where it is named, else the defaults, with *settings* in their place.
    Without *project* the tags of the wheels tell the target. With *dry_run* nothing is written. Raises
    HatchLambdaError.
    """
    from hatch_lambda.pipeline.slim_folder import slim_directory

    chosen, expected = _expected(project, overrides(settings))
    session = open_session(os.environ, open_cache(os.environ), progress)
    return slim_directory(Path(directory), chosen, expected, session, dry_run=dry_run)


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
    from hatch_lambda.pipeline.explain import plan

    wanted = posixpath.normpath(path.replace(os.sep, "/").strip("/"))
    read = one_of(Project.read(Path(project), overrides(settings)), function)
    session = open_session(os.environ, open_cache(os.environ, read), progress)
    changes, decisions = plan(read, by_command(os.environ), session)

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
    from hatch_lambda.pipeline.explain import savings

    read = Project.read(Path(project), overrides(settings))
    return savings(read, Source(), open_session(os.environ, open_cache(os.environ, read), progress))


def verify_package(
    package: str | os.PathLike[str], *, project: str | os.PathLike[str] | None = None, **settings: Any
) -> Verified:
    """Find what keeps a package, a zip or a folder with its content, from working on Lambda.

    It may be anybody's. The settings are those of *project* where it is named, else the defaults, with *settings*
    in their place; what they do not say of the target, the package's files tell. Raises HatchLambdaError.
    """
    from hatch_lambda.inspect.audit.verify import verify_package as audit_package

    chosen, expected = _expected(project, overrides(settings))
    layers = tuple(os.path.join(project or "", layer) for layer in chosen.audit.layers)  # noqa: PTH118 - both are strings
    cache = open_cache(os.environ)
    with machine_errors(), workspace(cache.root) as work:
        return audit_package(
            Path(package),
            expected,
            replace(chosen.audit, layers=layers),
            cache,
            work,
            handler=chosen.project.handler,
            nested=chosen.output.shape == "nested",
        )


def clean(project: str | os.PathLike[str] = ".", *, dry_run: bool = False) -> list[Path]:
    """Remove the packages that were made of a project, and return their paths. Raises HatchLambdaError."""
    read = Project.read(Path(project))
    made = made_here(read, read.root / "dist")
    try:
        for path in () if dry_run else made:
            remove(path)
    except OSError as error:
        raise ArchiveError(f"{error.filename}: {error.strerror}", hint="check the folder's permissions") from error
    return made


def write_report(
    package: Package | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    previous: str | os.PathLike[str] | None = None,
    coldstart: str | os.PathLike[str] | None = None,
) -> ReportFiles:
    """Write ``report.json``, ``report.html`` and ``sbom.cdx.json`` about a package to *folder*.

    *package* is what ``build`` returned, or the path of a zip that anybody made, of which less is known. It is
    compared with the package of the ``report.json`` at *previous*, or else in *folder*. *coldstart* is what
    ``hatch-lambda coldstart --json`` printed. Needs the extra ``report``. Raises HatchLambdaError.
    """
    from hatch_lambda.inspect.report import write

    if isinstance(package, (str, os.PathLike)):
        package = Path(package)
    elif package.sha256 is None:
        raise ConfigurationError(f"{package.path}: a report is about a file", hint='build it with shape = "function"')
    return write.write_report(
        package,
        Path(folder),
        previous=None if previous is None else Path(previous),
        coldstart=None if coldstart is None else Path(coldstart),
        epoch=source_date_epoch(os.environ.get("SOURCE_DATE_EPOCH")),
    )


def _expected(project: str | os.PathLike[str] | None, given: Mapping[str, Any]) -> tuple[Settings, TargetHint]:
    """Return the settings of *project* or the defaults, with those *given*, and what they say of the target."""
    chosen = Project.read(Path(project), given).settings if project is not None else decode({}, given)
    says_architecture = project is not None or given.get("architecture") is not None
    return chosen, TargetHint(
        runtime=chosen.target.runtime,
        architecture=chosen.target.architecture.value if says_architecture else None,
    )


UNSLIMMED = "unslimmed"

_PathLike = str | os.PathLike[str]


@machine_errors()
def invoke(  # noqa: PLR0913 - what a caller may want to say
    package: _PathLike,
    events: Sequence[Any] = ({},),
    *,
    layers: Sequence[_PathLike] = (),
    project: _PathLike = ".",
    env: Mapping[str, str] | None = None,
    timeout: float = 3.0,
    memory: int = 128,
    sandbox: bool | None = None,
    python: _PathLike | None = None,
    log: Callable[[str], None] = lambda _: None,
    done: Callable[[Invocation], None] = lambda _: None,
    **settings: Any,
) -> Invoked:
    """Let the handler of *package* answer *events*, in AWS's own runtime interface client, as Lambda does.

    An event is a value for JSON, or its bytes. What *settings* do not name (``handler``, ``runtime``,
    ``architecture``) is told by the package, else by the settings of *project*. *log* hears the function's log while
    it comes, *done* each result. A function that fails is a result, too. Raises HatchLambdaError.
    """
    import json

    from hatch_lambda.inspect.run.invoke import invoke as run_trial
    from hatch_lambda.inspect.run.machine import Host

    trial = make_trial(
        package, layers=layers, project=project, env=env, timeout=timeout, memory=memory, python=python, **settings
    )
    payloads = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    cache = cache_of(project)
    with workspace(None) as work:
        host = Host(uv=Uv.find(os.environ), cache=cache, work=work)
        return run_trial(replace(trial, sandbox=sandbox), payloads, host, tell=log, done=done)


@machine_errors()
def coldstart(
    package: _PathLike,
    *,
    baseline: _PathLike | None = None,
    runs: int = 10,
    project: _PathLike = ".",
    progress: Progress | None = None,
    **options: Any,
) -> ColdStart:
    """Measure how long *package* takes to start, and *baseline* in turn with it.

    A baseline is another zip, or ``"unslimmed"``: the *project* built with nothing taken away. The *options* are those
    of :func:`invoke` that say how a package is run. Raises HatchLambdaError.
    """
    from hatch_lambda.inspect.run.coldstart import measure
    from hatch_lambda.inspect.run.machine import Host

    show = progress or Silent()
    trial = make_trial(package, project=project, memory=10240, **options)
    with workspace(None) as work:
        trials = [("package", trial)]
        if baseline is not None:
            other = Path(baseline)
            if baseline == UNSLIMMED:
                other = work / "unslimmed.zip"
                _build_unslimmed(project, trial, other, show)
            trials.append((UNSLIMMED if baseline == UNSLIMMED else "baseline", replace(trial, package=other)))
        show.start("start", runs * len(trials))
        host = Host(uv=Uv.find(os.environ), cache=cache_of(project), work=work)
        return measure(trials, runs, host, show.advance)


def _build_unslimmed(project: _PathLike, trial: Trial, output: Path, progress: Progress) -> None:
    """Build *project* with nothing taken away, stripped or added."""
    settings: dict[str, Any] = {
        "patterns": [],
        "append_default_patterns": False,
        "dist_info": "keep",
        "strip": False,
        "bytecode": "none",
        "compression": "fast",
        "verify": "static",
    }
    known = {field.name for field in msgspec.structs.fields(Settings)}
    build(
        project,
        progress=progress,
        runtime=trial.function.runtime,
        architecture=trial.architecture.value,
        output=str(output),
        **{name: value for name, value in settings.items() if name in known},
    )


def make_trial(  # noqa: PLR0913 - what a caller may want to say
    package: _PathLike,
    *,
    layers: Sequence[_PathLike] = (),
    project: _PathLike = ".",
    env: Mapping[str, str] | None = None,
    timeout: float = 3.0,
    memory: int = 128,
    python: _PathLike | None = None,
    **settings: Any,
) -> Trial:
    """Return what to run, from what the caller named, the package tells and the project's settings say."""
    from hatch_lambda.inspect.run.function import Function
    from hatch_lambda.inspect.run.invoke import Trial
    from hatch_lambda.stages.archive.read import entries

    path = Path(package)
    given = {name: value for name, value in settings.items() if value is not None}
    Project.read(Path(project), overrides(given))  # a slip in what is given is told as always
    chosen = Project.read(Path(project)).settings
    hint = guess_target(path.name, paths=(entry.name for entry in entries(path)))
    environment = {**chosen.run.env, **(env or {})}
    hide_settings(environment)
    handler = given.get("handler") or chosen.project.handler
    runtime = given.get("runtime") or hint.runtime or chosen.target.runtime
    architecture = given.get("architecture") or hint.architecture or chosen.target.architecture
    if handler is None:
        raise ConfigurationError(
            f"{path}: which of its functions is the handler?", hint="name it: --handler package.module.function"
        )
    if runtime is None:
        raise ConfigurationError(
            f"{path}: nothing in it tells its runtime", hint="name it, such as `--runtime python3.13`"
        )
    if runtime not in runtimes():
        raise ConfigurationError(f"{path}: {runtime} is not a Lambda runtime", hint=f"known: {', '.join(runtimes())}")
    return Trial(
        package=path,
        function=Function(
            handler=handler,
            runtime=runtime,
            memory=memory,
            timeout=timeout,
            variables=environment,
        ),
        layers=tuple(map(Path, layers)),
        architecture=Architecture(architecture),
        python=Path(python) if python is not None else None,
    )


def overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return *settings* with the names that TOML has."""
    return {name.replace("_", "-"): value for name, value in settings.items()}


def cache_of(project: str | os.PathLike[str] = ".") -> Cache:
    """Open the cache that builds of a project use. Raises HatchLambdaError."""
    return open_cache(os.environ, Project.read(Path(project)))


@contextmanager
def inner_build() -> Iterator[None]:
    """Let builds that this process starts or makes itself know that they are part of ours."""
    before = os.environ.get(INNER_BUILD)
    os.environ[INNER_BUILD] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[INNER_BUILD]
        else:
            os.environ[INNER_BUILD] = before
