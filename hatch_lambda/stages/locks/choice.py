"""What the lock chooses for a target, in the form that the install stage and the caches need."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from packaging import __version__ as packaging_version

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import LOCK_LIMIT, SETTINGS_LIMIT, WHEEL_LIMIT, DocumentError, from_json, read_regular
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, LockedSource, LockedWheel
from hatch_lambda.core.version import __version__ as hatch_lambda_version
from hatch_lambda.errors.secrets import has_secret
from hatch_lambda.stages.locks.read import discover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.target import Target
    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.uv import Uv
    from hatch_lambda.stages.locks.lock import LockTerms


_log = logger(__name__)

_SELECTIONS = "selections"


class Choice(Struct, frozen=True, kw_only=True):
    """What is installed for a target."""

    identities: tuple[str, ...]
    """For each distribution but local folders a digest of its name and hashes: with the same ones the same bytes are
    installed."""
    pinned: str | None
    """A ``pylock.toml`` that lists its wheels and no others; None where there are none."""
    lock: str
    """Name of the lock file."""
    findings: tuple[Finding, ...] = ()
    sources: tuple[LockedSource, ...] = ()
    """What there is no wheel of, and has to be built."""


def choose(  # noqa: PLR0913, PLR0917 - each is of another owner
    project: Project, target: Target, terms: LockTerms, uv: Uv, cache: Cache, work: Path
) -> Choice:
    """Read the project's lock and choose its wheels for *target*, or remember what was chosen from the same file.

    Raises what ``read`` and ``select`` raise.
    """
    key = fingerprint(project, target, terms, uv)
    if key is not None and (kept := _kept(cache, key)) is not None:
        _log.debug("%s and all that it depends on are as before: so is what is installed", kept.lock)
        return kept
    from hatch_lambda.core.python import nearby
    from hatch_lambda.stages.locks.exclude import moving
    from hatch_lambda.stages.locks.pylock import pinned
    from hatch_lambda.stages.locks.read import read
    from hatch_lambda.stages.locks.select import select
    from hatch_lambda.stages.locks.sources import vendored_wheels

    lock = read(project, terms, uv, work, nearby("{}.{}".format(*target.runtime.python_version), uv, cache))
    vendored = vendored_wheels(project, target, terms.vendor)
    instead = {wheel.name for wheel in vendored}
    chosen = [locked for locked in select(lock, project, target, terms) if locked.name not in instead]
    wheels = [*vendored, *(locked for locked in chosen if isinstance(locked, LockedWheel))]
    sources = tuple(locked for locked in chosen if isinstance(locked, LockedSource))
    choice = Choice(
        identities=tuple(
            sorted((*map(_identity, wheels), *(source.identity for source in sources if source.identity)))
        ),
        pinned=pinned(wheels, lock.path.parent) if wheels else None,
        lock=lock.path.name,
        findings=(*lock.findings, *moving(terms.settings, target)),
        sources=sources,
    )
    _log.debug("%s: %d wheels, and %d sources to build", choice.lock, len(wheels), len(sources))
    texts = [choice.pinned or "", *(source.pinned or "" for source in sources)]
    certain = lock.stands_alone and not lock.findings and not (sources and lock.asks_an_index)
    certain = certain and not any(map(has_secret, texts))
    # Once more: the files may have been edited between the two looks at them.
    if key is not None and certain and key == fingerprint(project, target, terms, uv):
        cache.put(_SELECTIONS, key, msgspec.json.encode(choice))
    return choice


def _kept(cache: Cache, key: str) -> Choice | None:
    kept = cache.get(_SELECTIONS, key)
    try:
        return None if kept is None else from_json(kept, Choice)
    except msgspec.MsgspecError:  # whole, but none of ours
        cache.drop(_SELECTIONS, key)
        return None


def _identity(locked: LockedWheel) -> str:
    return digest(locked.wheel.filename, sorted(locked.wheel.hashes.items()))


_RESOLVED_ELSEWHERE = frozenset({"dependencies", "optional-dependencies", "requires-python"})
"""Fields of ``[project]`` that are part of a lock, and of which a build backend may ask any file."""


def fingerprint(project: Project, target: Target, terms: LockTerms, uv: Uv) -> str | None:
    """Return a key of everything that the selection for *target* follows from, uv's answers among it.

    None where that cannot be told: where there is no lock, in workspaces, and for dynamic dependencies. What follows
    from other files, too, must not be kept under it: the lock, when it is read, tells whether it stands alone. The
    key holds on this machine only, for it names this uv and this folder.
    """
    found = discover(project, terms)
    if not _RESOLVED_ELSEWHERE.isdisjoint(project.metadata.get("dynamic", ())):
        return None
    if found is None or found.path.parent != project.root or found.passed_over:
        return None
    status = os.stat(uv.executable)  # noqa: PTH116 - a name that may have been found on PATH
    return digest(
        str(project.root),
        found.path.name,
        read_regular(found.path, LOCK_LIMIT),
        dict(project.pyproject),
        target,
        replace(terms, unattended=None),
        (uv.executable, status.st_size, status.st_mtime_ns),
        sorted(item for item in uv.environment.items() if item[0].startswith("UV_")),
        list(_configuration(project, uv.environment)),
        [(name, _content(project.root / name)) for name in terms.vendor],
        packaging_version,
        hatch_lambda_version,
    )


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path, WHEEL_LIMIT)
    except (OSError, DocumentError):
        return None


def _configuration(project: Project, environment: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files that may configure uv in the project: its own, those above it, the user's, the system's."""
    paths = [folder / name for folder in project.root.parents for name in ("uv.toml", "pyproject.toml")]
    paths.append(project.root / "uv.toml")
    home = environment.get("HOME") or environment.get("USERPROFILE", "")
    folders = [
        environment.get("XDG_CONFIG_HOME") or f"{home}/.config",
        *environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"),
        "/etc",
        *(environment[name] for name in ("APPDATA", "PROGRAMDATA") if name in environment),
    ]
    paths += [Path(folder, "uv", "uv.toml") for folder in folders]
    if named := environment.get("UV_CONFIG_FILE"):
        paths.append(project.root / named)
    for path in paths:
        with suppress(OSError, DocumentError):
            yield str(path), read_regular(path, SETTINGS_LIMIT)
