"""The Hatch builder: ``hatch build -t lambda``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hatchling.builders.config import BuilderConfig
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.manager import PluginManager

from hatch_lambda.api import build_functions, inner_build
from hatch_lambda.config.project import Project
from hatch_lambda.config.settings import Shape
from hatch_lambda.hatch.app import aborting, show
from hatch_lambda.pipeline.ours import remove
from hatch_lambda.pipeline.outputs import made_here
from hatch_lambda.pipeline.request import Source

if TYPE_CHECKING:
    from collections.abc import Callable


class LambdaBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """Build the Lambda package of a Hatch project, with the project as its own wheel."""

    PLUGIN_NAME = "lambda"

    @classmethod
    def get_config_class(cls) -> type[BuilderConfig]:
        """Return Hatch's own configuration of a target: all our settings live in ``[tool.lambda-slim]``."""
        return BuilderConfig

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return what ``hatch build -t lambda:VERSION`` can build."""
        return {"standard": self.build_standard, **{shape: self._build_as(shape) for shape in get_args(Shape)}}

    def get_default_versions(self) -> list[str]:
        """Return what ``hatch build -t lambda`` builds: the shape that the settings name."""
        return ["standard"]

    def build_standard(self, directory: str, **_build_data: Any) -> str:
        """Build the package in *directory* and return its path; of several functions, that of the first."""
        return self._build(directory)

    def _build_as(self, shape: str) -> Callable[..., str]:
        """Return a function that builds the package in *shape*, instead of the shape in the settings."""
        return lambda directory, **_build_data: self._build(directory, shape=shape)

    def _build(self, directory: str, **overrides: Any) -> str:
        with aborting(self.app), tempfile.TemporaryDirectory(prefix="hatch-lambda-") as folder:
            project = Project.read(Path(self.root), overrides)
            wheels = WheelBuilder(self.root, plugin_manager=self.plugin_manager, metadata=self.metadata, app=self.app)
            with inner_build():
                wheel = next(wheels.build(directory=folder, versions=["standard"]))
            packages = build_functions(project, Source(wheel=Path(wheel), directory=Path(directory)))
            for package in packages:
                show(self.app, package)
            return str(packages[0].path)
        raise AssertionError

    def clean(self, directory: str, versions: list[str]) -> None:  # noqa: ARG002 - Hatch's interface
        """Remove the packages that this builder made in *directory*, and nothing else."""
        with aborting(self.app):
            for path in made_here(Project.read(Path(self.root)), Path(directory)):
                remove(path)
