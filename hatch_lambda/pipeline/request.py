"""What a door lends to the pipeline: how it comes by the project, and the session of its process."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.config.decode import decode
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.files import strangers_in
from hatch_lambda.core.model import Progress, Silent
from hatch_lambda.core.parallel import cores
from hatch_lambda.core.session import Session
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.errors.secrets import hide_environment
from hatch_lambda.stages.archive.zipformat import LAST_SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.bucket import Bucket


class Source(Struct, frozen=True, kw_only=True):
    """How a door comes by the project."""

    wheel: Path | None = None
    """The project's wheel, where the door has it already."""
    directory: Path | None = None
    """Where the zip goes unless ``output`` is set; None: ``dist`` in the project."""
    may_create_lock: bool = False
    unattended: str | None = None
    """What tells that nobody watches, so that none is made; see ``environment``."""
    in_source_tree: bool = True
    """False in an unpacked sdist."""


_CACHE_DIR = "HATCH_LAMBDA_CACHE_DIR"
_SHOWN = 3
_NO = frozenset({"", "0", "false", "f", "no", "n", "off"})
"""Values of ``CI`` that say that it is none; any other says that it is."""
_SECONDS = re.compile(r"[0-9]{1,10}")


def open_session(environment: Mapping[str, str], cache: Cache, progress: Progress | None = None) -> Session:
    """Return what the pipeline has to know about this process.

    Raises ConfigurationError where this Python reads the names of files as anything but UTF-8, as Lambda does.
    """
    _require_unicode_names()
    hide_environment(environment)
    return Session(
        find_uv=partial(Uv.find, environment),
        cache=cache,
        jobs=cores(),
        today=datetime.now(UTC).date(),
        source_date_epoch=source_date_epoch(environment.get("SOURCE_DATE_EPOCH")),
        progress=progress or Silent(),
    )


def open_cache(
    environment: Mapping[str, str],
    project: Project | None = None,
    *,
    folder: str | None = None,
    refresh: bool = False,
    buckets: dict[tuple[str, bool], Bucket] | None = None,
) -> Cache:
    """Open the cache: in *folder*, else where ``HATCH_LAMBDA_CACHE_DIR`` says, else the project, else the system.

    The *buckets* that were opened before are not opened again. Raises ConfigurationError for a folder that holds
    anything else: a slip may have named a home or a project.
    """
    settings = project.settings if project is not None else decode({})
    if named := folder or environment.get(_CACHE_DIR):
        root = Path(named).absolute()
        _refuse_strangers(root, "option `--cache-dir`" if folder else _CACHE_DIR)
    elif project is not None and settings.cache.folder is not None:
        root = project.root / settings.cache.folder
        _refuse_strangers(root, "tool.lambda-slim.cache-dir")
    else:
        from platformdirs import user_cache_path

        root = user_cache_path("hatch-lambda", appauthor=False)
    remote = None
    if settings.cache.url is not None:
        from hatch_lambda.core.bucket import Bucket

        known, key = buckets if buckets is not None else {}, (settings.cache.url, settings.cache.may_write)
        remote = known.get(key) or known.setdefault(key, Bucket(url=key[0], may_write=key[1]))
    return Cache(root=root, max_size=settings.cache.max_size, refresh=refresh, remote=remote)


def _require_unicode_names() -> None:
    """Refuse a locale in which names with other letters than ASCII's would come into the package as other names."""
    encoding = sys.getfilesystemencoding()
    if encoding.lower() not in {"utf-8", "utf8"}:
        raise ConfigurationError(
            f"this Python reads the names of files as {encoding}, as the locale says; on Lambda they are UTF-8",
            hint="set PYTHONUTF8=1, or a locale with UTF-8, such as LC_ALL=C.UTF-8",
        )


def _refuse_strangers(root: Path, where: str) -> None:
    strangers = strangers_in(root)
    if strangers:
        more = f" and {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else ""
        raise ConfigurationError(
            f"{where}: {root} is no cache: it holds {', '.join(strangers[:_SHOWN])}{more}; it was left as it is",
            hint="name a folder that is empty or not there yet, such as `.cache/hatch-lambda`",
        )


def unattended(environment: Mapping[str, str]) -> str | None:
    """Return what tells that nobody watches this process, as a variable with its value; None where a person may.

    Every CI service sets ``CI``. ``sam build`` sets ``ARTIFACTS_DIR`` for the makefile that it runs, in a copy of the
    project, and shows nothing of what that prints when all goes well (AWS, "Building Lambda functions with custom
    runtimes").
    """
    if environment.get("CI", "").strip().lower() not in _NO:
        return f"CI={environment['CI']}"
    if environment.get("ARTIFACTS_DIR"):
        return f"ARTIFACTS_DIR={environment['ARTIFACTS_DIR']}"
    return None


def by_command(environment: Mapping[str, str]) -> Source:
    """Return how a command comes by a project: from its folder, where a missing lock may be made."""
    return Source(may_create_lock=True, unattended=unattended(environment))


def source_date_epoch(text: str | None) -> int | None:
    """Read the variable of reproducible-builds.org, as far as a zip can hold its date."""
    if not text:
        return None
    if _SECONDS.fullmatch(text) and int(text) <= LAST_SECOND:
        return int(text)
    raise ConfigurationError(
        f"SOURCE_DATE_EPOCH={text}: not a number of seconds from 1970 to 2107, which a zip could hold",
        hint="give it as `date +%s` prints it, or unset the variable",
    )
