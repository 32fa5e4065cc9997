"""From the source of a locked distribution to a wheel of it that fits the target.

What was built is looked at, whoever built it, by its tags, its file names and its objects; what was made of an
immutable source is kept.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_msgpack
from hatch_lambda.core.files import package_path
from hatch_lambda.core.log import logger
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.stages.install.sdists.bench import Bench, Built, SourceTree, needs_python
from hatch_lambda.stages.install.sdists.builders import builder_of
from hatch_lambda.stages.install.sdists.fitness import is_pure, unfit
from hatch_lambda.stages.install.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.config.settings import SdistSettings
    from hatch_lambda.core.model import LockedSource
    from hatch_lambda.core.uv import Uv


_log = logger(__name__)

_WHEELS = "wheels"

_HEEDED = re.compile(
    r"SOURCE_DATE_EPOCH|CC|CXX|CPP|AR|AS|LD|FC|RUSTC|(?:C|CPP|CXX|F|AR|LD|RUST)FLAGS"
    r"|(?:CMAKE|SKBUILD|SETUPTOOLS|MESON|CARGO_BUILD|CARGO_PROFILE)_\w+|\w+_NO_EXTENSIONS"
    r"|UV_(?:BUILD_CONSTRAINT|CONFIG_SETTINGS?|EXCLUDE_NEWER|NO_BUILD_ISOLATION)\w*"
)
"""Variables that are known to change what is built."""


def build(source: LockedSource, bench: Bench) -> Built:
    """Build *source*, or take what was kept of it.

    Only its build backend knows what it takes of a local folder, and from elsewhere: a folder is built each time, as
    the project itself is, and what comes of it is its identity. But to compile may take minutes, and rarely gives the
    same bytes twice: what was compiled is kept, and known by all that
    :func:`~hatch_lambda.stages.install.snapshot.snapshot` can know of its sources, unless these changed meanwhile.

    Raises InstallError where it cannot be fetched or built, and where what comes of it does not fit.
    """
    work = bench.workspace / f"build-{source.name}"
    work.mkdir(parents=True)
    own = replace(bench, workspace=work)
    directory = Path(source.directory) if source.directory is not None else None
    identity = source.identity if directory is None else snapshot(directory)
    assert identity is not None, "what is no folder is certain"
    key = _key(identity, own)
    if (kept := _kept(key, own)) is not None:
        _log.debug("%s: %s was built before", source.shown, kept.name)
        return Built(source=source, wheel=kept, identity=identity)
    folder = directory or fetch(source, own.uv, work, cwd=own.cwd)
    wheel = builder_of(bench.settings.method).build(SourceTree(source=source, folder=folder), own)
    _log.debug('%s: %s was built by sdist = "%s"', source.shown, wheel.name, bench.settings.method)
    if (reason := unfit(wheel, bench.target)) is not None:
        raise InstallError(
            f"{source.shown} (from {source.origin}): what was built of it is not for {bench.target}: {reason}",
            hint=f"{needs_python(own)}choose a version that has wheels for the target"
            ", or another `sdist` in [tool.lambda-slim]",
        )
    if directory is not None and (is_pure(wheel) or snapshot(directory) != identity):
        return Built(source=source, wheel=wheel, identity=contents(wheel))
    if own.interpreter is not None:  # else who knows which one uv has taken
        own.cache.put(_WHEELS, key, msgspec.msgpack.encode((wheel.name, wheel.read_bytes())))
    return Built(source=source, wheel=wheel, identity=identity)


def build_wheel(source: LockedSource, bench: Bench) -> Path:
    """Do so, and return the wheel alone."""
    return build(source, bench).wheel


def contents(wheel: Path) -> str:
    """Return a digest of what is in *wheel*: names, content and what may be executed, and not when it was made."""
    with zipfile.ZipFile(wheel) as archive:
        members = [
            (member.filename, bool(member.external_attr >> 16 & 0o111), hashlib.sha256(archive.read(member)).digest())
            for member in archive.infolist()
        ]
    return digest(wheel.name, sorted(members))


def surroundings(settings: SdistSettings, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the variables that compilers and build backends heed. A backend may ask others, which nobody can know."""
    lent = {name for name in settings.env if "=" not in name}
    return sorted((name, value) for name, value in environment.items() if name in lent or _HEEDED.fullmatch(name))


def _key(identity: str, bench: Bench) -> str:
    """Return what a kept wheel is known by."""
    version = bench.uv.run("--version", cwd=bench.workspace).split()[1]
    python = None if bench.interpreter is None else bench.interpreter.version
    around = surroundings(bench.settings, bench.uv.environment)
    return digest(identity, str(bench.target), bench.key, version, python, around)


def _kept(key: str, bench: Bench) -> Path | None:
    content = bench.cache.get(_WHEELS, key)
    if content is None:
        return None
    try:
        name, data = from_msgpack(content, tuple[str, bytes])
        parse_wheel_filename(name)
    except (msgspec.MsgspecError, InvalidWheelFilename):  # whole, but none of ours
        bench.cache.drop(_WHEELS, key)
        return None
    wheel = bench.workspace / package_path(name.replace("/", "_"), "the cache")
    wheel.write_bytes(data)
    return wheel


_MARKS = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO"})
_NO_SOURCES = ("archive-", "builds-", "wheels-")
"""What a cache of uv holds besides sources."""
_INERT = "import sys; sys.flags.isolated or sys.exit('fetched')\n"
"""A line of a ``.pth`` file that ends every program but those which, as uv's own question, ask for isolation."""


def fetch(source: LockedSource, uv: Uv, workspace: Path, *, cwd: Path) -> Path:
    """Download, check and unpack *source*, and return the folder of its project.

    uv has no command that only fetches. So it is told to install the distribution into an environment whose
    interpreter runs no build backend: it comes as far as that, and a cache of its own then holds this source alone.
    """
    assert source.pinned is not None, "a folder need not be fetched"
    lock = workspace / "pylock.toml"
    lock.write_text(source.pinned, encoding="utf-8")
    cache, inert = workspace / "fetched", workspace / "inert"
    uv.run("venv", "--quiet", "--python", sys.executable, "--no-project", inert, cwd=workspace)
    for site in (*inert.glob("lib/python*/site-packages"), *inert.glob("Lib/site-packages")):
        (site / "inert.pth").write_text(_INERT, encoding="ascii")
    try:
        uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--cache-dir", cache),
            *("--no-binary", source.name, "--python", inert, "--target", workspace / "nothing"),
            *("--requirements", lock),
            cwd=cwd,
            UV_NO_CACHE="0",
            UV_NO_BUILD="0",
        )
    except CommandError as error:
        problem: CommandError | None = error
    else:
        problem = None
    suffix = f"/{source.subdirectory}" if source.subdirectory else ""
    for folder in _project_folders(cache):
        if folder.as_posix().endswith(suffix):
            return folder
    tail = f":\n{problem.tail()}" if problem is not None else ", for no project is in what uv fetched"
    raise InstallError(
        f"{source.shown} (from {source.origin}) could not be fetched{tail}",
        hint="check the network, the credentials, and that the lock's hashes are right",
    )


def _project_folders(cache: Path) -> Iterator[Path]:
    """Yield the folders in which a project begins, outermost first."""
    found: list[Path] = []
    for directory, folders, names in os.walk(cache):
        if Path(directory) == cache:
            folders[:] = [name for name in folders if not name.startswith(_NO_SOURCES)]
        if not _MARKS.isdisjoint(names):
            found.append(Path(directory))
    yield from sorted(found, key=lambda folder: (len(folder.parts), folder))
