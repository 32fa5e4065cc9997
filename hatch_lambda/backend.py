"""The PEP 517 and PEP 660 backend: hatchling's, with our build hook and the front end's ``-C`` settings.

Use it with ``build-backend = "hatch_lambda.backend"``; ``-C lambda.runtime=python3.12`` then replaces
``tool.lambda-slim.runtime`` for one build.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from hatch_lambda.errors import HatchLambdaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchling.builders.plugin.interface import BuilderInterface


_PREFIX = "lambda."


def build_wheel(
    wheel_directory: str,
    config_settings: Mapping[str, Any] | None = None,
    metadata_directory: str | None = None,  # noqa: ARG001 - PEP 517's interface
) -> str:
    """Build the wheel, and the package beside it."""
    from hatchling.builders.wheel import WheelBuilder

    return _build(WheelBuilder, wheel_directory, config_settings)


def build_sdist(sdist_directory: str, config_settings: Mapping[str, Any] | None = None) -> str:
    """Build an sdist that carries what the package is made of."""
    from hatchling.builders.sdist import SdistBuilder

    return _build(SdistBuilder, sdist_directory, config_settings)


def _build(
    builder_class: type[BuilderInterface[Any, Any]],
    directory: str,
    config_settings: Mapping[str, Any] | None,
) -> str:
    try:
        config = _with_hook(os.getcwd(), _overrides(config_settings or {}))  # noqa: PTH109 - the front end chose it
    except HatchLambdaError as error:
        sys.exit(f"hatch-lambda: {error}")
    builder = builder_class(os.getcwd(), config=config)  # noqa: PTH109
    return os.path.basename(next(builder.build(directory=directory, versions=["standard"])))  # noqa: PTH119


def _with_hook(root: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the project's ``pyproject.toml`` with our hook switched on, whether or not it was before."""
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.hatch.build_hook import OVERRIDES

    config: dict[str, Any] = dict(Project.read(Path(root), overrides).pyproject)
    table = config
    for key in ("tool", "hatch", "build", "hooks", "lambda"):
        table[key] = dict(table.get(key, {}))
        table = table[key]
    table[OVERRIDES] = overrides
    return config


def _overrides(config_settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``-C lambda.KEY=VALUE`` gives, each value read as TOML or, failing that, as text."""
    from hatch_lambda.config.decode import parse_value

    return {
        key.removeprefix(_PREFIX): parse_value(value)
        for key, value in config_settings.items()
        if key.startswith(_PREFIX)
    }
