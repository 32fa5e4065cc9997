"""The Hatchling build hook: it writes the zip beside the wheel that ``uv build`` or ``python -m build`` makes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from hatch_lambda.core.uv import INNER_BUILD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_lambda.config.project import Project
    from hatch_lambda.pipeline.request import Source


OVERRIDES = "overrides"
"""Key of the hook's table under which our backend hands on the front end's ``-C`` settings."""


class LambdaBuildHook(BuildHookInterface[BuilderConfig]):
    """Build the package after a wheel, and add to an sdist what building the package from it needs."""

    PLUGIN_NAME = "lambda"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the resolved lock and the included files to an sdist: the wheel may be built from it."""
        if self.target_name == "sdist" and self._is_wanted(version):
            from hatch_lambda.hatch.app import aborting
            from hatch_lambda.hatch.sdist import carried

            with aborting(self.app):
                project = self._project()
                if not project.settings.output.enabled:
                    return
                self._carried = tempfile.TemporaryDirectory(prefix="hatch-lambda-")
                build_data["force_include"].update(carried(project, self._source(), Path(self._carried.name)))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - Hatch's interface
        """Build the package from the wheel that was just built."""
        if self.target_name == "wheel" and self._is_wanted(version):
            from hatch_lambda.api import build_functions
            from hatch_lambda.hatch.app import aborting, show

            with aborting(self.app):
                project = self._project()
                if project.settings.output.enabled:
                    for package in build_functions(project, self._source(Path(artifact_path))):
                        show(self.app, package)
        elif self.target_name == "sdist" and hasattr(self, "_carried"):
            self._carried.cleanup()

    def clean(self, versions: list[str]) -> None:  # noqa: ARG002 - Hatch's interface
        """Remove the packages in the output folder that a build made, and nothing else."""
        if self.target_name == "wheel":
            from hatch_lambda.hatch.app import aborting
            from hatch_lambda.pipeline.ours import remove
            from hatch_lambda.pipeline.outputs import made_here

            with aborting(self.app):
                for path in made_here(self._project(), Path(self.directory)):
                    remove(path)

    def _is_wanted(self, version: str) -> bool:
        if version != "standard" or os.environ.get(INNER_BUILD) == "1":
            return False
        is_thrown_away = is_install(os.environ, Path(self.directory))
        if is_thrown_away:
            self.app.display_debug("hatch-lambda: no package is made of a wheel that is only installed", level=2)
        return not is_thrown_away

    def _project(self) -> Project:
        from hatch_lambda.config.project import Project

        return Project.read(Path(self.root), self.config.get(OVERRIDES))

    def _source(self, wheel: Path | None = None) -> Source:
        from hatch_lambda.pipeline.request import Source

        in_source_tree = not (Path(self.root) / "PKG-INFO").is_file()
        return Source(wheel=wheel, directory=Path(self.directory), in_source_tree=in_source_tree)


def is_install(environment: Mapping[str, str], output: Path) -> bool:
    """Tell whether the wheel is built only to be installed: a package would be thrown away.

    pip says so in ``PIP_BUILD_TRACKER``. uv lets installs write to a temporary folder of its cache, beside
    that of the build environment, while ``uv build`` writes to the user's folder.
    """
    if "PIP_BUILD_TRACKER" in environment:
        return True
    build_environment = Path(environment.get("VIRTUAL_ENV", ""))
    return output.name.startswith(".tmp") and build_environment.parent.resolve() == output.parent.resolve()
