"""The smoke test of a build: the package is run before it takes the old one's place.

What came of it is kept under the digest of the package's content and of all else that has a say, so a package that
did not change is not run again. That its handler could be imported proves that it can be; that it could not may be the
fault of this machine, the network or the moment, and is looked at again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hatch_lambda.config.decode import inside
from hatch_lambda.config.settings import TABLE
from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_cache
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.python import find
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import ConfigurationError, machine_errors
from hatch_lambda.errors.secrets import hide_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.model import Change
    from hatch_lambda.core.session import Session
    from hatch_lambda.inspect.run.machine import Host


_log = logger(__name__)

_KIND = "smoke-tests"
_CERTAIN = frozenset({"HL138"})
"""Findings that every run of the same package would have."""

_DEEPEST = 5
"""Folders of any depth in a pattern: each multiplies what is looked at."""
_MEMORY, _TIMEOUT = 10240, 120.0
"""Megabytes and seconds: a build asks whether the package runs, not how well."""


@machine_errors()
def smoke_test(
    package: Path, content_sha256: str, project: Project, session: Session, changes: Sequence[Change]
) -> tuple[str | None, list[Finding]]:
    """Run *package* as ``verify`` says: return the stage that this is, and what it found; no stage where it was not.

    Its *changes* may be the reason why something is missing.
    """
    settings = project.settings
    mode = settings.run.method
    if mode == "static":
        return None, []
    hide_settings(settings.run.env)
    from hatch_lambda.inspect.run.import_handler import not_tried
    from hatch_lambda.inspect.run.machine import Host, obstacle

    if settings.project.handler is None:
        return None, [not_tried("no handler is set", Severity.WARNING)] if mode is not None else []
    events = _events(project) if mode == "invoke" else {}
    if mode == "invoke" and not events:
        return None, [not_tried("there are no verify-events", Severity.WARNING)]
    host = Host(uv=session.uv, cache=session.cache, work=session.work / "smoke")
    host.work.mkdir()
    problem, version = obstacle(project.target), project.target.runtime.version
    may_download = mode is not None and problem is None
    interpreter = None
    if problem is None or mode is not None:
        interpreter = find(version, host.uv, host.cache, cwd=host.work, download=may_download)
    if problem is None and interpreter is None:
        problem = f"there is no CPython {version} on this machine (`uv python install {version}`)"
    if problem is not None and mode is None:
        return None, [not_tried(problem)]
    key = digest(
        content_sha256,
        str(project.target),
        settings.project.handler,
        sorted(settings.run.env.items()),
        sorted(events.items()),
        [digest(layer.read_bytes()) for layer in project.layers],
        interpreter,
        __version__,
    )
    found = from_cache(session.cache.get(_KIND, key), list[Finding])
    stage = "invoke" if events else "import"
    _log.debug("%s is %s", package.name, "run" if found is None else "not run again: the same was run before")
    if found is None:
        session.progress.start(stage, 0)
        found = _run(package, project, host, events, changes)
        if all(finding.code in _CERTAIN for finding in found):
            session.cache.put(_KIND, key, msgspec.msgpack.encode(found))
    return stage, found


def _events(project: Project) -> dict[str, bytes]:
    """Return the content of the files that ``verify-events`` names, by their names."""
    from hatch_lambda.inspect.run.invoke import read_event

    events: dict[str, bytes] = {}
    for pattern in project.settings.run.events:
        for path in _matches(project.root, pattern):
            name = os.path.relpath(path, project.root).replace(os.sep, "/")
            events[name] = read_event(inside(project.root, name, f"{TABLE}.verify-events"), name)
    return events


def _matches(root: Path, pattern: str) -> list[Path]:
    hint = "patterns are relative to the project, such as `events/*.json`"
    where = f"{TABLE}.verify-events: {pattern!r}"
    if Path(pattern).is_absolute():
        raise ConfigurationError(f"{where} is not in the project", hint=hint)
    if pattern.count("**") > _DEEPEST:
        raise ConfigurationError(f"{where} has more than {_DEEPEST} `**`", hint=hint)
    try:
        return sorted(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise ConfigurationError(f"{where} is not a pattern: {error}", hint=hint) from error


def _run(
    package: Path, project: Project, host: Host, events: dict[str, bytes], changes: Sequence[Change]
) -> list[Finding]:
    from hatch_lambda.inspect.run.function import Environment, Function
    from hatch_lambda.inspect.run.import_handler import import_handler, judge_import, judge_invocations
    from hatch_lambda.inspect.run.invoke import Trial, placed
    from hatch_lambda.inspect.run.machine import put_client

    settings, target = project.settings, project.target
    assert settings.project.handler is not None
    function = Function(
        handler=settings.project.handler,
        runtime=target.runtime.name,
        memory=_MEMORY,
        timeout=_TIMEOUT,
        variables=settings.run.env,
    )
    trial = Trial(package=package, function=function, layers=project.layers, architecture=target.architecture)
    with placed(trial, host) as place:
        imported = import_handler(function, place, host.work)
        found = [*judge_import(imported, settings.project.handler, place.task, changes)]
        if events and all(finding.severity is not Severity.ERROR for finding in found):
            put_client(target, host, host.work / "runtime")
            with Environment(function, place, lambda _: None) as environment:
                found += judge_invocations((name, environment.invoke(event)) for name, event in events.items())
    return found
