"""The install stage: the locked distributions and the project, as one Tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.lazy import exports

if TYPE_CHECKING:
    from hatch_lambda.install.building import Bench, BuildPolicy, Built, build, surroundings
    from hatch_lambda.install.container import with_extra_files
    from hatch_lambda.install.directory import require_target, site_folders, site_runtime
    from hatch_lambda.install.distributions import read_tree, take_distributions
    from hatch_lambda.install.engine import ContainerPolicy
    from hatch_lambda.install.folder_plan import Note
    from hatch_lambda.install.local import build_folders
    from hatch_lambda.install.merging import refuse_conflicts, set_apart
    from hatch_lambda.install.native import native_notes
    from hatch_lambda.install.paths import is_executable, walk
    from hatch_lambda.install.placing import placed_files
    from hatch_lambda.install.project import ProjectPart, ProjectPolicy, take_project
    from hatch_lambda.install.records import renew
    from hatch_lambda.install.source import included, read_folder
    from hatch_lambda.install.wheel import build_wheel
    from hatch_lambda.install.wheel_tags import read_tags, telling_tags
    from hatch_lambda.install.writing_back import finish, is_begun, write_back

__all__ = [
    "Bench",
    "BuildPolicy",
    "Built",
    "ContainerPolicy",
    "Note",
    "ProjectPart",
    "ProjectPolicy",
    "build",
    "build_folders",
    "build_wheel",
    "finish",
    "included",
    "is_begun",
    "is_executable",
    "native_notes",
    "placed_files",
    "read_folder",
    "read_tags",
    "read_tree",
    "refuse_conflicts",
    "renew",
    "require_target",
    "set_apart",
    "site_folders",
    "site_runtime",
    "surroundings",
    "take_distributions",
    "take_project",
    "telling_tags",
    "walk",
    "with_extra_files",
    "write_back",
]
__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(("Bench", "BuildPolicy", "Built", "build", "surroundings"), "building"),
        "with_extra_files": "container",
        **dict.fromkeys(("require_target", "site_folders", "site_runtime"), "directory"),
        **dict.fromkeys(("read_tree", "take_distributions"), "distributions"),
        **dict.fromkeys(("is_executable", "walk"), "paths"),
        "ContainerPolicy": "engine",
        "Note": "folder_plan",
        "build_folders": "local",
        **dict.fromkeys(("refuse_conflicts", "set_apart"), "merging"),
        "native_notes": "native",
        **dict.fromkeys(("ProjectPart", "ProjectPolicy", "take_project"), "project"),
        "placed_files": "placing",
        "renew": "records",
        "build_wheel": "wheel",
        **dict.fromkeys(("included", "read_folder"), "source"),
        **dict.fromkeys(("read_tags", "telling_tags"), "wheel_tags"),
        **dict.fromkeys(("finish", "is_begun", "write_back"), "writing_back"),
    },
)
