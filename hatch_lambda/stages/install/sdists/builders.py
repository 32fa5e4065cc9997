"""The builders of source distributions, one for each value of the setting ``sdist`` that lets anything be built.

A new one is a module beside this file, a value of :data:`~hatch_lambda.config.settings.Sdist` and its case below,
which mypy asks for. It need not ask whether its wheel fits the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.settings import Sdist
    from hatch_lambda.stages.install.sdists.bench import Bench, SourceTree


class SdistBuilder(Protocol):
    """A module that knows one way of building."""

    def build(self, tree: SourceTree, bench: Bench) -> Path:
        """Build a wheel of *tree* below the workspace of *bench*, and return its path.

        It may write to the source if ``tree.immutable``. Raises InstallError where the build fails.
        """


def builder_of(method: Sdist) -> SdistBuilder:
    """Import the builder that the setting chooses."""
    match method:
        case "pure":
            from hatch_lambda.stages.install.sdists import pure

            return pure
        case "cross":
            from hatch_lambda.stages.install.sdists import cross

            return cross
        case "container":
            from hatch_lambda.stages.install.sdists import container

            return container
        case "never":
            raise AssertionError("what has no wheel is refused when it is chosen")
