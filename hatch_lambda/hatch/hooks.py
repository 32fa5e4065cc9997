"""Register the plugins with Hatch.

Hatch loads this module for any target that is not its own, so the classes are imported only when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

if TYPE_CHECKING:
    from hatch_lambda.hatch.build_hook import LambdaBuildHook
    from hatch_lambda.hatch.builder import LambdaBuilder


@hookimpl
def hatch_register_builder() -> type[LambdaBuilder]:
    """Offer the target of ``hatch build -t lambda``."""
    from hatch_lambda.hatch.builder import LambdaBuilder

    return LambdaBuilder


@hookimpl
def hatch_register_build_hook() -> type[LambdaBuildHook]:
    """Offer ``[tool.hatch.build.hooks.lambda]``."""
    from hatch_lambda.hatch.build_hook import LambdaBuildHook

    return LambdaBuildHook
