"""``requirements.txt`` with hashes: read here, and resolved to addresses by ``uv pip compile``.

Such a file says which hashes are good, and not where the files are. uv finds them, and every file whose
hash the user's file does not list is dropped afterwards: uv itself would admit an sdist that nobody vetted.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hatch_lambda.errors import CommandError, ConfigurationError, LockError
from hatch_lambda.locks.lock import Lock
from hatch_lambda.locks.messages import command_in_header, listed
from hatch_lambda.locks.pylock import applies, empty, parse, rebase
from hatch_lambda.locks.requirements_file import Contents, Pin, parse_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.pylock import PackageSdist, PackageWheel, Pylock
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from hatch_lambda.locks.lock import Request

    _F = TypeVar("_F", PackageSdist, PackageWheel)

_MAKER = "uv pip compile --universal --generate-hashes pyproject.toml -o requirements.txt"


def read(request: Request) -> Lock:
    """Read a ``requirements.txt`` all of whose lines are pinned and hashed.

    Raises LockError for lines that are not, for what uv cannot find, and where no file has a listed hash.
    """
    if request.policy.groups:
        raise ConfigurationError(
            f"tool.lambda-slim.groups: {request.shown} knows no dependency groups",
            hint="make the file with the groups in it (`uv export --group NAME`) and leave `groups` out, "
            "or use uv.lock or pylock.toml",
        )
    contents = parse_file(request.path, request.project)
    if contents.problems:
        raise LockError(
            f"{request.shown}: not every line is pinned and hashed:{listed(contents.problems)}",
            hint=f"a lock file is made by `{_MAKER}` or `uv export --format requirements.txt`; "
            "`uv lock` makes a uv.lock, which is taken instead",
        )
    folder = request.path.parent
    mend = command_in_header(contents.text) or _MAKER
    pylock = empty()
    if contents.pins:
        with tempfile.TemporaryDirectory(dir=request.workspace) as name:
            pylock = rebase(_resolve(request, contents, Path(name)), Path(name), folder)
        pylock = _vetted(pylock, contents.pins, request)
    return Lock(path=request.path, pylock=pylock, findings=(), mend=f"`{mend}`")


def _resolve(request: Request, contents: Contents, folder: Path) -> Pylock:
    """Let uv find the files of the pinned versions, and nothing else (``--no-deps``).

    Hashes are compared afterwards, so every index may be asked for the best match without the danger of
    dependency confusion.
    """
    source, result = folder / "requirements.txt", folder / "pylock.toml"
    lines = [*contents.options, *(pin.requirement for pin in contents.pins)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    major, minor = request.project.target.runtime.python_version
    try:
        request.uv.run(
            "pip",
            "compile",
            "--no-deps",
            "--universal",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--quiet",
            "--no-python-downloads",
            "--index-strategy=unsafe-best-match",
            f"--python-version={major}.{minor}",
            "--format=pylock.toml",
            "--output-file",
            result,
            source,
            cwd=request.project.root,
            UV_HTTP_RETRIES="1",
        )
    except CommandError as error:
        raise LockError(
            f"{request.shown}: uv cannot find what it pins (the file carries no addresses, so the index is "
            f"asked); uv says:\n{error.tail()}",
            hint="a uv.lock or pylock.toml carries the addresses and needs no index here",
        ) from error
    return parse(result.read_text(encoding="utf-8"), f"{request.shown}, as uv resolves it")


def _vetted(pylock: Pylock, pins: Iterable[Pin], request: Request) -> Pylock:
    """Keep the files that have a listed hash, and of their hashes the listed ones."""
    listed_hashes: dict[tuple[NormalizedName, Version], set[str]] = defaultdict(set)
    for pin in pins:
        listed_hashes[pin.name, pin.version] |= pin.hashes
    packages, missing = [], []
    for package in pylock.packages:
        assert package.version is not None, "uv states the version of everything that is pinned"
        allowed = listed_hashes[package.name, package.version]
        kept = replace(
            package,
            wheels=_with_listed_hash(package.wheels or (), allowed) or None,
            sdist=next(iter(_with_listed_hash([package.sdist] if package.sdist else [], allowed)), None),
        )
        if kept.wheels or kept.sdist:
            packages.append(kept)
        elif applies(package, request.project.target):
            missing.append(f"{package.name} {package.version}")
    if missing:
        raise LockError(
            f"{request.shown}: no file that uv finds has a hash that is listed for:{listed(missing)}",
            hint="the files on the index have changed, or the hashes are of another index; "
            "find out which before you make the lock file again",
        )
    return replace(pylock, packages=packages)


def _with_listed_hash(files: Sequence[_F], allowed: set[str]) -> list[_F]:
    kept: list[_F] = []
    for file in files:
        hashes = {name: value for name, value in file.hashes.items() if f"{name}:{value}" in allowed}
        vetted = replace(file, hashes=hashes)
        if hashes and vetted not in kept:  # uv lists a file twice that it finds in a folder twice
            kept.append(vetted)
    return kept
