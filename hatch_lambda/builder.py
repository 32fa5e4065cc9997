"""The Hatch builder: ``hatch build -t lambda``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.manager import PluginManager

from hatch_lambda import api, pipeline
from hatch_lambda.hatch_app import reporting, show
from hatch_lambda.project import Project
from hatch_lambda.run import Source

if TYPE_CHECKING:
    from collections.abc import Callable


class LambdaBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """Build the Lambda package of a Hatch project, with the project as its own wheel."""

    PLUGIN_NAME = "lambda"

    @classmethod
    def get_config_class(cls) -> type[BuilderConfig]:
        """Return Hatch's own configuration of a target: there are no settings but ``[tool.lambda-slim]``."""
        return BuilderConfig

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return what ``hatch build -t lambda:VERSION`` can build."""
        return {"standard": self.build_standard}

    def build_standard(self, directory: str, **_build_data: Any) -> str:
        """Build the zip in *directory* and return its path."""
        with reporting(self.app), tempfile.TemporaryDirectory(prefix="hatch-lambda-") as folder:
            project = Project.read(Path(self.root))
            wheels = WheelBuilder(self.root, plugin_manager=self.plugin_manager, metadata=self.metadata, app=self.app)
            with api.inner_build():
                wheel = next(wheels.build(directory=folder, versions=["standard"]))
            package = pipeline.build(
                project,
                Source(wheel=Path(wheel), directory=Path(directory)),
                api.context(os.environ, api.open_cache(os.environ, project)),
            )
            show(self.app, package)
            return str(package.path)
        raise AssertionError

    def clean(self, directory: str, versions: list[str]) -> None:  # noqa: ARG002 - Hatch's interface
        """Remove the packages that this builder made in *directory*, and nothing else."""
        with reporting(self.app):
            for path in pipeline.made_here(Project.read(Path(self.root)), Path(directory)):
                path.unlink()
