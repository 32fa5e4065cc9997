"""The locked distributions: installed by uv into a folder, and read from there as a Tree."""

from __future__ import annotations

import hashlib
import re
import sys
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.dist_info import DistInfoPath, read
from hatch_lambda.core.files import is_executable, package_path, walk
from hatch_lambda.core.model import Change, File, Stage, Tree
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.stages.install.scripts import entry_point_scripts, with_portable_shebang
from hatch_lambda.stages.install.target_folder import is_own, is_theirs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hatch_lambda.stages.install.sdists.bench import Bench


_FOLDER = "dependencies"
_UPWARDS = re.compile(r"^(\.\./)+")


def take_distributions(pylock: str | None, built: Sequence[Path], bench: Bench) -> tuple[Tree, tuple[Change, ...]]:
    """Install the wheels that *pylock* (the text of a ``pylock.toml``) lists and those *built*, and read what came.

    uv checks the hashes that are listed.
    """
    if pylock is not None:
        lock = bench.workspace / "pylock.toml"
        lock.write_text(pylock, encoding="utf-8")
        _install(bench, "--requirements", lock)
    if built:
        _install(bench, *built)
    if pylock is None and not built:
        return Tree(()), ()
    return read_tree(bench.workspace / _FOLDER, bench.workspace, ours=True)


def _install(bench: Bench, *what: str | Path) -> None:
    """Let uv unpack wheels into one folder.

    It runs in the user's project so that the configuration there (indexes, credentials, certificates) applies. The
    platform only has to be one that uv accepts the wheels under: which wheels these are was decided before, by the
    target's tags.
    """
    target = bench.target
    major, minor = target.runtime.python_version
    glibc_major, glibc_minor = max(target.runtime.glibc, (2, 28))
    try:
        bench.uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--no-build", "--no-compile-bytecode"),
            *("--link-mode", "hardlink", "--python", sys.executable, "--target", bench.workspace / _FOLDER),
            *("--python-version", f"{major}.{minor}"),
            *("--python-platform", f"{target.architecture.machine}-manylinux_{glibc_major}_{glibc_minor}"),
            *bench.install_args,
            *what,
            cwd=bench.cwd,
        )
    except CommandError as error:
        raise InstallError(
            f"uv could not install the locked distributions:\n{error.tail()}",
            hint="check the network, the credentials of private indexes, and that the lock's hashes are right",
        ) from error


def read_tree(folder: Path, workspace: Path, *, ours: bool) -> tuple[Tree, tuple[Change, ...]]:
    """Read what an installer put into *folder*: its files, and whom they belong to by the RECORDs.

    Where the folder is *ours* alone, files that no RECORD lists are not part of the tree and come back as Changes.
    Commands get a first line that does not name this machine's interpreter.
    """
    claims = _claims(folder, strict=ours)
    files: list[File] = []
    changes: list[Change] = []
    for path, source in walk(folder) if ours else walk(folder, is_own, is_theirs):
        status = source.stat()
        owners = claims.get(path, {})
        distribution = min(owners, default=None)
        file = File(
            path=path,
            source=source,
            size=status.st_size,
            executable=is_executable(source, status.st_mode),
            distribution=distribution,
            conflicts=tuple(sorted(name for name in owners if owners[name] != owners.get(distribution or ""))),
        )
        if distribution is None and ours:
            reason = "no distribution lists it in its RECORD"
            changes.append(Change.of(file, Stage.INSTALL, rule="unrecorded", reason=reason))
        else:
            files.append(file)
    return Tree.of(_portable_scripts(files, folder, workspace)), tuple(changes)


def _claims(folder: Path, *, strict: bool) -> dict[str, dict[str, str]]:
    """Return, for each path, which distributions list it, each with the digest that it promises.

    pip moves ``../../bin`` to ``bin`` under ``--target`` and leaves the RECORD as it was: unless *strict*,
    such paths are read as what they became.
    """
    claims: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        info = DistInfoPath.parse(f"{record.parent.name}/{record.name}")
        assert info is not None
        name = info.distribution
        for row in read(record):
            path = row.path if strict else _UPWARDS.sub("", row.path)
            claims[package_path(path, name)][name] = row.digest
    return claims


def _portable_scripts(files: list[File], folder: Path, workspace: Path) -> Iterator[File]:
    entry_points = dict(_entry_points(folder))
    scripts = workspace / "scripts"
    for file in files:
        if not file.path.startswith("bin/"):
            yield file
            continue
        path = file.path.removesuffix(".exe")
        original = file.source.read_bytes()
        text = entry_points.get(path) or with_portable_shebang(original)
        if text == original:
            yield file
            continue
        source = scripts / path.removeprefix("bin/")
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(text)
        yield replace(file, path=path, source=source, size=len(text), executable=True)


def _entry_points(folder: Path) -> Iterator[tuple[str, bytes]]:
    for declared in sorted(folder.glob("*.dist-info/entry_points.txt")):
        for name, text in _declared_scripts(declared):
            yield f"bin/{name}", text


def _declared_scripts(declared: Path) -> list[tuple[str, bytes]]:
    try:
        return list(entry_point_scripts(declared.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        where = f"{declared.parent.name}/{declared.name}"
        raise InstallError(f"{where}: {error}", hint="tell the distribution's authors") from error


_SHOWN = 5


def set_apart(project: Tree, dependencies: Tree, digests: Mapping[str, str]) -> Tree:
    """Return the files of *project* that are not among *dependencies* already, which have these SHA-256 *digests*.

    Raises InstallError where both have a file of one name with different content.
    """
    owners = {file.path: file.distribution or "a dependency" for file in dependencies}
    names = [file.path for file in dependencies]
    own: list[File] = []
    touched: dict[str, File] = {}
    for file in project:
        if file.path not in owners:
            own.append(file)
            touched |= {names[index]: dependencies.files[index] for index in _clashing(file, names)}
        elif file.path.endswith(".pyc") and "__pycache__" in file.parts:
            continue  # of a source that both have: either the same, or a conflict itself
        elif hashlib.sha256(file.source.read_bytes()).hexdigest() != digests[file.path]:
            own.append(replace(file, conflicts=(owners[file.path],)))
    refuse_conflicts(Tree.of([*own, *touched.values()]))
    return Tree.of(own)


def _clashing(file: File, names: Sequence[str]) -> Iterator[int]:
    """Yield the positions in the sorted *names* of a file where *file* needs a folder, or the other way round."""
    for depth in range(1, len(file.parts)):
        folder = "/".join(file.parts[:depth])
        index = bisect_left(names, folder)
        if names[index : index + 1] == [folder]:
            yield index
    index = bisect_left(names, f"{file.path}/")
    if index < len(names) and names[index].startswith(f"{file.path}/"):
        yield index


def refuse_conflicts(tree: Tree) -> None:
    """Raise InstallError if two distributions claim a file that is left, each with other content.

    Which of them would win depends on the order of installation, so no choice would be right.
    """
    folders = {"/".join(file.parts[:depth]) for file in tree for depth in range(1, len(file.parts))}
    conflicts = [
        f"{file.path} differs in {', '.join((file.distribution or 'the project', *file.conflicts))}"
        if file.conflicts
        else f"{file.path} is a file and a folder"
        for file in tree
        if file.conflicts or file.path in folders
    ]
    if not conflicts:
        return
    if len(conflicts) > _SHOWN:
        conflicts[_SHOWN:] = [f"and {len(conflicts) - _SHOWN} more"]
    raise InstallError(
        "\n".join(conflicts),
        hint="depend on one of them only, or remove the files with tool.lambda-slim.patterns",
    )
