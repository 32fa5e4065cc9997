"""What each stage has to know of the settings, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.inspect.audit.subject import VerifyPolicy
from hatch_lambda.stages.slim.decision import SlimPolicy
from hatch_lambda.stages.strip.tree import StripPolicy

if TYPE_CHECKING:
    from hatch_lambda.config.settings import Settings


def slim_policy(settings: Settings) -> SlimPolicy:
    """Return the slim stage's."""
    return SlimPolicy(
        patterns=settings.slim.patterns,
        append_default_patterns=settings.slim.append_default_patterns,
        dist_info=settings.slim.dist_info,
        keep_dist_info=settings.slim.keep_dist_info,
        scripts=settings.slim.scripts,
        aggressive=settings.slim.aggressive,
        rules=tuple(sorted(settings.slim.rules.items())),
        data=tuple(sorted(settings.slim.data.items())),
    )


def strip_policy(settings: Settings) -> StripPolicy:
    """Return the strip stage's."""
    return StripPolicy(
        enabled=settings.strip.enabled,
        exclude=settings.strip.exclude,
        realign=settings.slim.rules.get("realign-segments", settings.slim.aggressive),
    )


def verify_policy(settings: Settings) -> VerifyPolicy:
    """Return what the audit has to know."""
    return VerifyPolicy(
        handler=settings.project.handler,
        ignore=settings.audit.ignore,
        layers=settings.audit.layers,
        nested=settings.output.shape == "nested",
    )
