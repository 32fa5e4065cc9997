"""What each stage has to know of the settings, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.inspect.audit.subject import VerifyPolicy

if TYPE_CHECKING:
    from hatch_lambda.config.settings import Settings


def verify_policy(settings: Settings) -> VerifyPolicy:
    """Return what the audit has to know."""
    return VerifyPolicy(
        handler=settings.project.handler,
        ignore=settings.audit.ignore,
        layers=settings.audit.layers,
        nested=settings.output.shape == "nested",
    )
