"""Change a user's folder so that a run which dies can be finished.

What a rule decides depends on what is there, so nobody could decide about a folder that is changed by half. The new
bytes are laid ready in a folder of ours; then the plan, a file that names every change, gets its name by one rename:
before that the folder is as it was, and from then on whoever comes next makes the changes that are left. The plan says
what each file was and is to be, so what somebody has put there since stays as it is. Removing it is the last operation.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.files import walk
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.install.folder_plan import (
    PLAN,
    UNFINISHED,
    Note,
    Plan,
    Step,
    file_state,
    is_direct,
    read_plan,
    state,
)
from hatch_lambda.stages.install.target_folder import is_own, is_theirs

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from hatch_lambda.core.model import File, Tree


_NEW = re.compile(r"[0-9]+|plan")
"""The names in a folder of new bytes: numbers of steps, and the plan before it gets its place."""
_CHUNK = 1 << 20
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class Finished(Struct, frozen=True, kw_only=True):
    """The plan of an earlier run, carried out to its end."""

    note: Note
    undisturbed: bool
    """Whether the folder is now as that run would have left it: nobody has put or changed anything since."""


def write_back(folder: Path, tree: Tree, sites: Iterable[Path] = (), note: Note | None = None) -> None:
    """Make *sites*, by default *folder* itself, hold the files of *tree* and no others, changing none in place.

    Its paths are relative to *folder*. A changed file takes the place of the old one as a new inode. Raises
    ArchiveError where that is not possible: the folder is as it was, or the plan is in it and ``finish`` goes on.
    """
    places = tuple(sites) or (folder,)
    with _told(folder, "nothing in the folder was changed"):
        changes = list(_changes(folder, tree, _present(folder, places)))
        plan = _write_down(folder, changes, places, tree, note or Note()) if changes else None
    with _told(folder, "what is left is done then"):
        if plan is not None:
            _carry_out(folder, plan, is_new=True)
            _remove_plan(folder, plan)
        else:
            for site in places:
                _remove_empty_folders(site)


def is_begun(folder: Path) -> bool:
    """Tell whether *folder* has a plan that is not carried out to its end."""
    return os.path.lexists(folder / PLAN)


def finish(folder: Path) -> Finished | None:
    """Carry out what a run that died left to do in *folder*, and remove what it left behind; None: no plan was there.

    Raises ArchiveError for a plan that nobody can read, and for what is not possible.
    """
    with _told(folder, "what is left is done then"):
        plan = read_plan(folder) if is_begun(folder) else None
        _sweep(folder, plan.new if plan else "")
        if plan is None:
            return None
        undisturbed = _carry_out(folder, plan, is_new=False)
        present = _present(folder, [folder / site for site in plan.sites])
        undisturbed = undisturbed and present.keys() == set(plan.left)
        _remove_plan(folder, plan)
        return Finished(note=plan.note, undisturbed=undisturbed)


def _present(folder: Path, sites: Iterable[Path]) -> dict[str, Path]:
    return {
        (site / path).relative_to(folder).as_posix(): source
        for site in sites
        for path, source in walk(site, is_own, is_theirs)
    }


def _changes(folder: Path, tree: Tree, present: dict[str, Path]) -> Iterator[tuple[str, File | None]]:
    """Yield the paths that change, each with its new file; None where the old one goes."""
    gone = dict(present)
    kept = {file.path for file in tree}
    for file in tree:
        original = gone.pop(file.path, None)
        if original is None and not is_direct(folder, file.path):
            raise ArchiveError(
                f"{folder / file.path}: a symbolic link leads there; nothing in the folder was changed",
                hint="replace the link by the folder that it leads to",
            )
        if original is None or _differs(file, original, folder, kept):
            yield file.path, file
    yield from ((path, None) for path in gone)


def _differs(file: File, original: Path, folder: Path, kept: Container[str]) -> bool:
    if original.is_symlink():
        return file.source != original or _leads_to(original, folder) not in kept
    return file.source != original and not filecmp.cmp(file.source, original, shallow=False)


def _leads_to(link: Path, folder: Path) -> str:
    return link.resolve().relative_to(folder.resolve()).as_posix()


def _write_down(
    folder: Path, changes: Iterable[tuple[str, File | None]], sites: Iterable[Path], tree: Tree, note: Note
) -> Plan:
    """Lay the new bytes ready, and then, by one rename, the plan."""
    new = folder / f".hatch-lambda.{secrets.token_hex(4)}.tmp"
    try:
        with _naming(folder):
            new.mkdir()
        steps = []
        for number, (path, file) in enumerate(changes):
            before = state(folder / path)
            after = None if file is None else _lay_ready(file, new / str(number), folder / path)
            steps.append(Step(path=path, before=before, after=after))
        plan = Plan(
            written_by=__version__,
            new=new.name,
            sites=tuple(site.relative_to(folder).as_posix() for site in sites),
            steps=tuple(steps),
            left=tuple(file.path for file in tree),
            note=note,
        )
        with _naming(folder / PLAN):
            (new / "plan").write_text(plan.text(), encoding="ascii")
            (new / "plan").rename(folder / PLAN)
    except BaseException:
        if not is_begun(folder):
            with suppress(OSError):
                _discard(new)
        raise
    return plan


def _lay_ready(file: File, new: Path, original: Path) -> str:
    """Copy *file* to *new*, with the permissions of the *original* if there is one, and return its state."""
    digest = hashlib.sha256()
    with file.source.open("rb") as reading, _naming(original), new.open("xb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
    with _naming(original):
        if original.exists():
            shutil.copymode(original, new)
        elif file.executable:
            new.chmod(0o755)
    return file_state(digest.hexdigest())


def _carry_out(folder: Path, plan: Plan, *, is_new: bool) -> bool:
    """Make the changes of *plan* that are left, and tell whether none had to be left out.

    Unless the plan *is_new*, made by this process a moment ago, each file is looked at: it may be what it is to
    become, or something else that somebody has put there.
    """
    left_out = False
    for number, step in enumerate(plan.steps):
        path, new = folder / step.path, folder / plan.new / str(number)
        if not is_new:
            now = state(path) if is_direct(folder, step.path) else "elsewhere"
            if now == step.after:
                continue
            if now != step.before or (step.after is not None and state(new) != step.after):
                left_out = True
                continue
        if step.after is None:
            path.unlink(missing_ok=True)
        else:
            with _naming(path):
                if not path.parent.is_dir():
                    path.parent.mkdir(parents=True, exist_ok=True)
                new.replace(path)
    for site in plan.sites:
        if is_direct(folder, f"{site}/{PLAN}"):
            _remove_empty_folders(folder / site)
    return not left_out


def _remove_empty_folders(folder: Path) -> None:
    for directory, _, _ in os.walk(folder, topdown=False):
        if directory != os.fspath(folder) and not os.listdir(directory):  # noqa: PTH208 - os.walk gives strings
            Path(directory).rmdir()


def _remove_plan(folder: Path, plan: Plan) -> None:
    _discard(folder / plan.new)
    (folder / PLAN).unlink(missing_ok=True)


def _discard(new: Path) -> None:
    """Remove a folder of new bytes, and nothing in it that we did not put there."""
    if new.is_symlink() or not new.is_dir():
        return
    for path in list(new.iterdir()):
        if _NEW.fullmatch(path.name):
            path.unlink()
    new.rmdir()


def _sweep(folder: Path, needed: str) -> None:
    """Remove what runs that died left behind in *folder*, but for the folder *needed* by the plan."""
    for directory, folders, names in os.walk(folder):
        for name in filter(UNFINISHED.fullmatch, names):
            Path(directory, name).unlink()
        if directory == os.fspath(folder):
            for name in filter(UNFINISHED.fullmatch, list(folders)):
                folders.remove(name)
                if name != needed:
                    _discard(folder / name)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error name the file that the user knows, and not the one that stands in for it."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise


@contextmanager
def _told(folder: Path, then: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "make room on that disk" if error.errno in _NO_ROOM else "check the folder's permissions"
        raise ArchiveError(
            f"{error.filename or folder}: {error.strerror}",
            hint=f"{remedy}, then repeat the command; {then}",
        ) from error
