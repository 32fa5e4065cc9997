"""The Python API, and what all doors share: it turns a process's environment into the pipeline's context."""

from __future__ import annotations

import os
import posixpath
import re
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_lambda import pipeline
from hatch_lambda.cache import Cache
from hatch_lambda.config import decode
from hatch_lambda.errors import ArchiveError, ConfigurationError
from hatch_lambda.model import Progress, Silent
from hatch_lambda.process import INNER_BUILD, Uv
from hatch_lambda.project import Project
from hatch_lambda.verify import Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.model import Change
    from hatch_lambda.report import Package, Slimmed
    from hatch_lambda.slimming import Decision

_LAST_SECOND = 4_354_819_199
"""The last second of 2107 (UTC), the last year of a zip's dates."""

_SECONDS = re.compile(r"[0-9]{1,10}")


def build(project: str | os.PathLike[str] = ".", *, progress: Progress | None = None, **settings: Any) -> Package:
    """Build the Lambda package of the project in a folder and return what was made.

    *settings* replace those of the project's ``[tool.lambda-slim]``, with ``_`` for ``-`` in their names. Where
    there is no lock file one is made, unless ``require_lock`` is set. Raises HatchLambdaError.

    >>> package = build("service", architecture="arm64")  # doctest: +SKIP
    >>> package.path, package.size  # doctest: +SKIP
    """
    return pipeline.build(
        Project.read(Path(project), overrides(settings)),
        pipeline.Source(may_create_lock=True),
        context(os.environ, progress),
    )


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
    given = overrides(settings)
    chosen = Project.read(Path(project), given).settings if project is not None else decode({}, given)
    says_architecture = project is not None or "architecture" in given
    expected = Told(
        runtime=chosen.runtime,
        architecture=chosen.architecture.value if says_architecture else None,
    )
    lent = context(os.environ, progress)
    return pipeline.slim_directory(Path(directory), chosen, expected, lent, dry_run=dry_run)


def explain(
    project: str | os.PathLike[str], path: str, *, progress: Progress | None = None, **settings: Any
) -> tuple[list[Change], list[Decision]]:
    """Return why the file *path* of the package, or each file in the folder *path*, is in it or not.

    The path ``.`` stands for the whole package. First come the Changes of the install stage, then the Decisions
    of the slim stage. Raises HatchLambdaError.
    """
    wanted = posixpath.normpath(path.replace(os.sep, "/").strip("/"))
    changes, decisions = pipeline.plan(
        Project.read(Path(project), overrides(settings)),
        pipeline.Source(may_create_lock=True),
        context(os.environ, progress),
    )

    def concerns(name: str) -> bool:
        return wanted in {".", name} or name.startswith(f"{wanted}/")

    return (
        [change for change in changes if concerns(change.path)],
        [decision for decision in decisions if concerns(decision.file.path)],
    )


def clean(project: str | os.PathLike[str] = ".", *, dry_run: bool = False) -> list[Path]:
    """Remove the packages that were made of a project, and return their paths. Raises HatchLambdaError."""
    read = Project.read(Path(project))
    made = pipeline.made_here(read, read.root / "dist")
    try:
        for path in () if dry_run else made:
            path.unlink()
    except OSError as error:
        raise ArchiveError(f"{error.filename}: {error.strerror}", hint="check the folder's permissions") from error
    return made


def overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return *settings* with the names that TOML has."""
    return {name.replace("_", "-"): value for name, value in settings.items()}


def context(environment: Mapping[str, str], progress: Progress | None = None) -> pipeline.Context:
    """Return what the pipeline has to know about this process."""
    return pipeline.Context(
        uv=Uv.find(environment),
        cache=Cache(root=_cache_dir(environment)),
        jobs=_cores(),
        today=datetime.now(timezone.utc).date(),
        source_date_epoch=_source_date_epoch(environment.get("SOURCE_DATE_EPOCH")),
        progress=progress or Silent(),
    )


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


def _cache_dir(environment: Mapping[str, str]) -> Path:
    """Return the folder of the cache: as ``HATCH_LAMBDA_CACHE_DIR`` says, or where this system has caches."""
    from platformdirs import user_cache_path

    named = environment.get("HATCH_LAMBDA_CACHE_DIR")
    return Path(named) if named else user_cache_path("hatch-lambda", appauthor=False)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


def _source_date_epoch(text: str | None) -> int | None:
    """Read the variable of reproducible-builds.org, as far as a zip can hold its date."""
    if not text:
        return None
    if _SECONDS.fullmatch(text) and int(text) <= _LAST_SECOND:
        return int(text)
    raise ConfigurationError(
        f"SOURCE_DATE_EPOCH={text}: not a number of seconds from 1970 to 2107, which a zip could hold",
        hint="give it as `date +%s` prints it, or unset the variable",
    )
