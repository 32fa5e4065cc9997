"""What the lock chooses for a target, in the form that the install stage and the caches need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hatch_lambda.cache import digest
from hatch_lambda.decoding import from_json
from hatch_lambda.locks.fingerprint import fingerprint
from hatch_lambda.model import Finding, LockedSource, LockedWheel
from hatch_lambda.redact import has_secret

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.cache import Cache
    from hatch_lambda.locks.lock import Lock, LockPolicy
    from hatch_lambda.process import Uv
    from hatch_lambda.project import Project
    from hatch_lambda.target import Target

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
    project: Project, target: Target, policy: LockPolicy, uv: Uv, cache: Cache, workspace: Path
) -> Choice:
    """Read the project's lock and choose its wheels for *target*, or remember what was chosen from the same file.

    Raises what ``read`` and ``select`` raise.
    """
    key = fingerprint(project, target, policy, uv)
    if key is not None and (kept := _kept(cache, key)) is not None:
        return kept
    from hatch_lambda.interpreter import nearby
    from hatch_lambda.locks.exclusion import moving
    from hatch_lambda.locks.pylock import pinned
    from hatch_lambda.locks.reading import read
    from hatch_lambda.locks.selection import select
    from hatch_lambda.locks.vendored import vendored_wheels

    lock = read(project, policy, uv, workspace, nearby("{}.{}".format(*target.runtime.python_version), uv, cache))
    vendored = vendored_wheels(project, target, policy)
    instead = {wheel.name for wheel in vendored}
    chosen = [locked for locked in select(lock, project, target, policy) if locked.name not in instead]
    wheels = [*vendored, *(locked for locked in chosen if isinstance(locked, LockedWheel))]
    sources = tuple(locked for locked in chosen if isinstance(locked, LockedSource))
    choice = Choice(
        identities=tuple(
            sorted((*map(_identity, wheels), *(source.identity for source in sources if source.identity)))
        ),
        pinned=pinned(wheels, lock.path.parent) if wheels else None,
        lock=lock.path.name,
        findings=(*lock.findings, *moving(policy, target)),
        sources=sources,
    )
    texts = [choice.pinned or "", *(source.pinned or "" for source in sources)]
    certain = lock.stands_alone and not lock.findings and not (sources and _asks_an_index(lock))
    certain = certain and not any(map(has_secret, texts))
    # Once more: the files may have been edited between the two looks at them.
    if key is not None and certain and key == fingerprint(project, target, policy, uv):
        cache.put(_SELECTIONS, key, msgspec.json.encode(choice))
    return choice


def _asks_an_index(lock: Lock) -> bool:
    """Tell whether an index said which files there are, for the lock has no addresses: it may have lacked a wheel."""
    from hatch_lambda.locks.discovery import is_pylock

    return lock.path.name != "uv.lock" and not is_pylock(lock.path)


def _kept(cache: Cache, key: str) -> Choice | None:
    kept = cache.get(_SELECTIONS, key)
    try:
        return None if kept is None else from_json(kept, Choice)
    except msgspec.MsgspecError:  # whole, but none of ours
        cache.drop(_SELECTIONS, key)
        return None


def _identity(locked: LockedWheel) -> str:
    return digest(locked.wheel.filename, sorted(locked.wheel.hashes.items()))
