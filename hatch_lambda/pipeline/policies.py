"""What each stage has to know of the settings, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.config.settings import TABLE
from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import SETTINGS_LIMIT, Document
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.inspect.audit.subject import VerifyPolicy
from hatch_lambda.stages.install.project import ProjectPolicy
from hatch_lambda.stages.install.sdists.bench import BuildPolicy
from hatch_lambda.stages.install.sdists.engine import ContainerPolicy
from hatch_lambda.stages.locks.lock import LockPolicy
from hatch_lambda.stages.slim.decision import SlimPolicy
from hatch_lambda.stages.strip.tree import StripPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.settings import Settings


def lock_policy(
    settings: Settings,
    *,
    may_create: bool,
    in_source_tree: bool,
    function: str | None = None,
    unattended: str | None = None,
) -> LockPolicy:
    """Return the lock stage's, for a door that may do so much."""
    return LockPolicy(
        lock=settings.lock,
        require_lock=settings.require_lock,
        extras=settings.extras,
        groups=settings.groups,
        may_create=may_create,
        unattended=unattended,
        in_source_tree=in_source_tree,
        function=function,
        without_groups=settings.without_groups,
        only_groups=settings.only_groups,
        require_hashes=settings.require_hashes,
        install_args=settings.install_args,
        exclude_packages=settings.exclude_packages,
        keep_dependencies=settings.keep_dependencies,
        exclude_runtime_packages=settings.exclude_runtime_packages,
        vendor=settings.vendored_wheels(),
        may_build=settings.sdist != "never",
    )


def project_policy(project: Project, wheel: Path | None) -> ProjectPolicy:
    """Return the install stage's for the project itself."""
    settings = project.settings
    return ProjectPolicy(
        wheel=wheel if project.folder is None else None,
        folder=project.folder,
        is_package=project.is_package,
        handler=settings.handler,
        include=settings.included_patterns(),
        placed=settings.placed(),
        exclude=(*_modules(project), *settings.exclude),
        scripts=settings.scripts,
    )


def _modules(project: Project) -> tuple[str, ...]:
    """Return patterns of the folders that are the code of some function, and of no other."""
    if project.is_package or project.folder is not None:
        return ()
    tables = (own for own in project.table.get("functions", {}).values() if isinstance(own, dict))
    return tuple(f"/{own['module'].strip('/')}/" for own in tables if "module" in own)


def build_policy(project: Project) -> BuildPolicy:
    """Return the install stage's for what has to be built."""
    settings = project.settings
    return BuildPolicy(sdist=settings.sdist, install_args=settings.install_args, container=_container_policy(project))


def _container_policy(project: Project) -> ContainerPolicy:
    settings = project.settings
    if problems := list(_contradictions(settings)):
        raise ConfigurationError("\n".join(f"{TABLE}.{problem}" for problem in problems))
    file = project.root / settings.container_file if settings.container_file else None
    file_digest = None
    if file is not None:
        where, hint = f"{TABLE}.container-file: {file}", "name a Containerfile, relative to the project"
        document = Document(path=file, shown=where, family=ConfigurationError, hint=hint, limit=SETTINGS_LIMIT)
        file_digest = digest(document.content())
    return ContainerPolicy(
        engine=settings.container_engine,
        image=settings.container_image,
        file=file,
        file_digest=file_digest,
        build_args=settings.container_build_args,
        args=settings.container_args,
        env=settings.container_env,
        ssh=settings.container_ssh,
        extra_files=settings.container_extra_files,
    )


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.container_image and settings.container_file:
        yield "container-file: an image is made of it, and `container-image` names another"
    names = [path.rpartition("/")[2] for path in settings.container_extra_files]
    for path, name in zip(settings.container_extra_files, names, strict=True):
        if not (path.startswith("/") and name):
            yield f"container-extra-files: {path!r} is not the full path of a file"
        elif names.count(name) > 1:
            yield f"container-extra-files: {path!r} is not the only one of that name"


def slim_policy(settings: Settings) -> SlimPolicy:
    """Return the slim stage's."""
    return SlimPolicy(
        patterns=settings.patterns,
        append_default_patterns=settings.append_default_patterns,
        dist_info=settings.dist_info,
        keep_dist_info=settings.keep_dist_info,
        scripts=settings.scripts,
        aggressive=settings.aggressive,
        rules=tuple(sorted(settings.rules.items())),
        data=tuple(sorted(settings.data.items())),
    )


def strip_policy(settings: Settings) -> StripPolicy:
    """Return the strip stage's."""
    return StripPolicy(
        enabled=settings.strip,
        exclude=settings.strip_exclude,
        realign=settings.rules.get("realign-segments", settings.aggressive),
    )


def verify_policy(settings: Settings) -> VerifyPolicy:
    """Return what the audit has to know."""
    return VerifyPolicy(
        handler=settings.handler,
        ignore=settings.verify_ignore,
        layers=settings.layers,
        nested=settings.shape == "nested",
    )
