"""All that a build or an audit can find, and the checks that look for it in a package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.core.codec import convert, from_cache, load, to_msgpack
from hatch_lambda.core.model import Severity  # noqa: TC001 - msgspec reads the annotations
from hatch_lambda.inspect.audit.subject import Audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hatch_lambda.core.model import Finding
    from hatch_lambda.inspect.audit.subject import Subject


_AUDITS = "audits"


class Check(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be found: an entry of ``checks.toml``, which is all that knows of it."""

    code: str
    severities: tuple[Severity, ...]
    title: str
    run: str | None = None
    """The function of a module beside this that finds it in a Subject; None: a stage of a build finds it."""
    every_time: bool = False
    """Whether it depends on what can change without anything else that the audit is told."""


def checks() -> tuple[Check, ...]:
    """Return every check, by code."""
    entries = load("inspect/audit/checks.toml", dict[str, Any]).items()
    return tuple(convert({"code": code, **entry}, Check) for code, entry in entries)


def audit(subject: Subject, key: str | None = None) -> Audit:
    """Run all checks on *subject*.

    What they found is remembered under *key*, a digest of the facts, the target, the policy and the layers.
    """
    known = checks()
    audited = from_cache(subject.cache.get(_AUDITS, key), Audit) if key is not None else None
    if audited is None:
        from hatch_lambda.inspect.audit.distributions import find_unused

        subject = replace(subject, unused=tuple(find_unused(subject)))
        audited = Audit(
            findings=tuple(_run(subject, (check for check in known if not check.every_time))),
            unused=subject.unused,
            requires=subject.facts.requires,
        )
        if key is not None:
            subject.cache.put(_AUDITS, key, to_msgpack(audited))
    subject = replace(subject, unused=audited.unused)
    more = _run(subject, (check for check in known if check.every_time))
    return replace(audited, findings=(*audited.findings, *more))


def _run(subject: Subject, found: Iterable[Check]) -> Iterator[Finding]:
    for name in dict.fromkeys(check.run for check in found if check.run is not None):
        yield from function_of(name)(subject)


def function_of(name: str) -> Callable[[Subject], Iterable[Finding]]:
    """Return the function that ``checks.toml`` calls *name*: modules are imported when a check in them runs."""
    module, _, function = name.partition(".")
    found: Callable[[Subject], Iterable[Finding]] = getattr(
        import_module(f"hatch_lambda.inspect.audit.{module}"), function
    )
    return found
