"""Slim in place what an installer put into a folder."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.cache import digest
from hatch_lambda.core.files import workspace
from hatch_lambda.core.model import Finding, Log, Severity, Step, Stopwatch, Tree
from hatch_lambda.errors import machine_errors
from hatch_lambda.inspect.package import SlimmedFolder
from hatch_lambda.pipeline.steps import decide, slim
from hatch_lambda.stages.bytecode.choose import for_folder

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.settings import Settings
    from hatch_lambda.config.target import TargetHint
    from hatch_lambda.core.model import File
    from hatch_lambda.core.session import Session
    from hatch_lambda.stages.bytecode.choose import Bytecode


@machine_errors()
def slim_directory(
    folder: Path, settings: Settings, expected: TargetHint, session: Session, *, dry_run: bool
) -> SlimmedFolder:
    """Slim and strip, in place, what ``pip install --target`` or ``uv pip install --target`` put into *folder*.

    In a layer's folder that is ``python`` and ``python/lib/pythonX.Y/site-packages``, each a package of its
    own to the patterns. A changed file becomes a new one: the old may be a hard link into a cache. What is not
    *expected* of the target is told by the layer's folders and the tags of the wheels. Nothing is written
    before everything is decided, and what a run that died had decided is done first.
    """
    from hatch_lambda.config.target import TargetHint
    from hatch_lambda.inspect.audit.layout import check_unzipped
    from hatch_lambda.inspect.audit.subject import demote, raise_errors
    from hatch_lambda.stages.install.folder_plan import Note
    from hatch_lambda.stages.install.target_folder import require_target, site_folders
    from hatch_lambda.stages.install.writing_back import finish, write_back

    request = digest(settings, expected)
    files: list[File] = []
    targets: list[TargetHint] = []
    with workspace(session.cache.root) as work:
        require_target(folder)
        earlier = None if dry_run else finish(folder)
        is_done = earlier is not None and earlier.undisturbed and earlier.note.request == request
        sites = site_folders(folder, known=earlier is not None)
        log = Log()
        for number, site in enumerate(sites):
            room = work / str(number)
            room.mkdir()
            inside = replace(session, work_folder=room)
            read, target = _read_site(site, expected, inside)
            targets.append(target)
            if not is_done:
                bytecode = for_folder(settings.bytecode, target.runtime, inside, site, folder)
                read = _slim_site(read, bytecode, settings, inside)
            prefix = "" if site == folder else f"{site.relative_to(folder).as_posix()}/"
            log += read.log.below(prefix)
            files += (replace(file, path=prefix + file.path) for file in read.tree)
        everything = Tree.of(files)
        if earlier is not None:
            log = Log(changes=earlier.note.changes) + log
        if earlier is not None and is_done:
            log = replace(log, findings=earlier.note.findings)
        else:
            # A folder is not the whole function, which may be larger; so its size is no reason to fail.
            large = (replace(found, severity=Severity.WARNING) for found in check_unzipped(everything))
            log = replace(log, findings=demote([*log.findings, *large], settings.audit.ignore))
            raise_errors(log.findings)
        if not (dry_run or is_done):
            note = Note(request=request, changes=log.changes, findings=log.findings)
            write_back(folder, everything, sites, note)
        log += Log(findings=tuple(_check_interrupted(folder, was_begun=earlier is not None)))
    common = TargetHint.common(targets)
    return SlimmedFolder(
        directory=folder,
        dry_run=dry_run,
        tree=everything,
        stages=log.stages,
        changes=log.changes,
        findings=log.findings,
        runtime=common.runtime,
        architecture=common.architecture,
    )


def _read_site(site: Path, expected: TargetHint, session: Session) -> tuple[Step, TargetHint]:
    """Return what lies in *site*, and what that is for."""
    from hatch_lambda.config.target import guess_target
    from hatch_lambda.core.dist_info import read_tags
    from hatch_lambda.inspect.audit.layout import check_platforms
    from hatch_lambda.inspect.audit.verify import guess_by_files
    from hatch_lambda.stages.install.distributions import read_tree

    watch = Stopwatch()
    tree, changes = read_tree(site, session.work, ours=False)
    stages = watch.stop("folder", tree)
    tags = read_tags(tree)
    target = expected | guess_target(site.as_posix(), tags=tags)
    if not tags:
        target |= guess_by_files(tree)
    log = Log(stages=stages, changes=tuple(changes), findings=tuple(check_platforms(tags, target)))
    return Step(tree=tree, log=log), target


def _slim_site(read: Step, bytecode: Bytecode | None, settings: Settings, session: Session) -> Step:
    """Slim, strip and compile the tree that was *read*, and keep in it what tells the target."""
    from hatch_lambda.core.dist_info import telling_tags

    plan = partial(decide, read.tree, Tree(()), settings.slim, telling_tags(read.tree))
    slimmed, compiled = slim(read.tree, plan, settings, session, bytecode)
    both = [*slimmed.tree, *(compiled.tree if compiled else ())]
    return Step(tree=Tree.of(both), log=read.log + slimmed.log + (compiled.log if compiled else Log()))


def _check_interrupted(folder: Path, *, was_begun: bool) -> list[Finding]:
    """Find an earlier run that died: finished now if it *was_begun* before this one, or not yet."""
    from hatch_lambda.stages.install.writing_back import is_begun

    if was_begun:
        fact, hint = "an earlier run was interrupted; what it had left to do was done first", None
    elif is_begun(folder):
        fact, hint = "an earlier run was interrupted", "a run without --dry-run finishes it first, which changes this"
    else:
        return []
    return [
        Finding(
            code="HL009",
            severity=Severity.WARNING if hint else Severity.NOTE,
            message=f"{folder}: {fact}",
            hint=hint,
        )
    ]
