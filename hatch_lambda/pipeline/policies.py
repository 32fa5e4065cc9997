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
from hatch_lambda.stages.slim.decision import SlimPolicy
from hatch_lambda.stages.strip.tree import StripPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.settings import Settings


def project_policy(project: Project, wheel: Path | None) -> ProjectPolicy:
    """Return the install stage's for the project itself."""
    settings = project.settings
    return ProjectPolicy(
        wheel=wheel if project.folder is None else None,
        folder=project.folder,
        is_package=project.is_package,
        handler=settings.project.handler,
        include=settings.project.included_patterns(),
        placed=settings.project.placed(),
        exclude=(*_modules(project), *settings.project.exclude),
        scripts=settings.slim.scripts,
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
    return BuildPolicy(
        sdist=settings.sdist.method, install_args=settings.lock.install_args, container=_container_policy(project)
    )


def _container_policy(project: Project) -> ContainerPolicy:
    settings = project.settings
    if problems := list(_contradictions(settings)):
        raise ConfigurationError("\n".join(f"{TABLE}.{problem}" for problem in problems))
    file = project.root / settings.sdist.file if settings.sdist.file else None
    file_digest = None
    if file is not None:
        where, hint = f"{TABLE}.container-file: {file}", "name a Containerfile, relative to the project"
        document = Document(path=file, shown=where, family=ConfigurationError, hint=hint, limit=SETTINGS_LIMIT)
        file_digest = digest(document.content())
    return ContainerPolicy(
        engine=settings.sdist.engine,
        image=settings.sdist.image,
        file=file,
        file_digest=file_digest,
        build_args=settings.sdist.build_args,
        args=settings.sdist.args,
        env=settings.sdist.env,
        ssh=settings.sdist.ssh,
        extra_files=settings.sdist.extra_files,
    )


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.sdist.image and settings.sdist.file:
        yield "container-file: an image is made of it, and `container-image` names another"
    names = [path.rpartition("/")[2] for path in settings.sdist.extra_files]
    for path, name in zip(settings.sdist.extra_files, names, strict=True):
        if not (path.startswith("/") and name):
            yield f"container-extra-files: {path!r} is not the full path of a file"
        elif names.count(name) > 1:
            yield f"container-extra-files: {path!r} is not the only one of that name"


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
