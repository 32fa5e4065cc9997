"""From the source of a locked distribution to a wheel of it that fits the target.

A way of building is a function ``build(tree: SourceTree, bench: Bench) -> Path`` in a module of its own and one entry
of :data:`WAYS`, under the value of the setting ``sdist`` that chooses it. It is given the unpacked source, which it may
write to unless ``tree.immutable`` is false, and returns the wheel that it made below ``bench.workspace``. It need not
ask whether that wheel fits: :func:`build` does so for every way, by the wheel's tags, its file names and its
objects, and keeps what was made of an immutable source.

It raises InstallError where the build fails (see :func:`failed`). A way that is meant for native code may call
:func:`hatch_lambda.stages.install.sdists.pure.build` first, and :func:`unfit` to see whether that is
good enough, so that only what needs it is built otherwise.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_msgpack
from hatch_lambda.core.files import package_path
from hatch_lambda.core.log import logger
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.stages.install.sdists.bench import Bench, SourceTree, Way, needs_python
from hatch_lambda.stages.install.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.config.settings import SdistSettings
    from hatch_lambda.config.target import Target
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

WAYS: Mapping[str, str] = {
    "pure": "hatch_lambda.stages.install.sdists.pure",
    "cross": "hatch_lambda.stages.install.sdists.cross",
    "container": "hatch_lambda.stages.install.sdists.container",
}
"""The module of each way, by the value of ``sdist``; imported when it is needed."""


class Built(Struct, frozen=True, kw_only=True):
    """A wheel that fits the target, and what it is known by."""

    source: LockedSource
    wheel: Path
    identity: str
    """A digest: with the same one the same is installed."""


def build(source: LockedSource, bench: Bench) -> Built:
    """Build *source*, or take what was kept of it.

    Only its build backend knows what it takes of a local folder, and from elsewhere: a folder is built each time, as
    the project itself is, and what comes of it is its identity. But to compile may take minutes, and rarely gives the
    same bytes twice: what was compiled is kept, and known by all that :func:`~hatch_lambda.install.snapshot.snapshot`
    can know of its sources, unless these changed meanwhile.

    Raises InstallError where it cannot be fetched or built, and where what comes of it does not fit.
    """
    room = bench.workspace / f"build-{source.name}"
    room.mkdir(parents=True)
    own = replace(bench, workspace=room)
    directory = Path(source.directory) if source.directory is not None else None
    identity = source.identity if directory is None else snapshot(directory)
    assert identity is not None, "what is no folder is certain"
    key = _key(identity, own)
    if (kept := _kept(key, own)) is not None:
        _log.debug("%s: %s was built before", source.shown, kept.name)
        return Built(source=source, wheel=kept, identity=identity)
    folder = directory or fetch(source, own.uv, room, cwd=own.cwd)
    way = cast("Way", import_module(WAYS[bench.settings.method]))
    wheel = way.build(SourceTree(source=source, folder=folder), own)
    _log.debug('%s: %s was built by sdist = "%s"', source.shown, wheel.name, bench.settings.method)
    if (reason := unfit(wheel, bench.target)) is not None:
        raise InstallError(
            f"{source.shown} (from {source.place}): what was built of it is not for {bench.target}: {reason}",
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


def is_pure(wheel: Path) -> bool:
    """Tell whether *wheel* says that it is for every platform."""
    return all(tag.platform == "any" for tag in parse_wheel_filename(wheel.name)[-1])


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
        f"{source.shown} (from {source.place}) could not be fetched{tail}",
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


_MACHINES = {62: "x86_64", 183: "aarch64"}
"""``e_machine`` of the ELF header (System V ABI)."""
_64_BIT_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_FOREIGN = {
    b"MZ": "a binary of Windows",
    b"\xcf\xfa\xed\xfe": "a binary of macOS",
    b"\xca\xfe\xba\xbe": "a binary of macOS",
}
_MODULE = re.compile(r"\.(?P<python>cpython-3\d+|cp3\d+|abi3)(?:-(?P<platform>[\w-]+))?\.(?:so|pyd)$")
_GLIBC = re.compile(rb"(?<=\0)GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)")
"""A version of glibc's symbols, as the string table of an object that needs it has it."""


def unfit(wheel: Path, target: Target) -> str | None:
    """Return why *wheel* does not run on *target*, or None if it does.

    Its tag alone says too little: a build names the machine it ran on whatever it made (``linux_x86_64`` says nothing
    of glibc), and one whose compiler failed may be called pure.
    """
    import zipfile

    try:
        tags = parse_wheel_filename(wheel.name)[-1]
    except InvalidWheelFilename as error:
        return str(error)
    if tags.isdisjoint(target.tags):
        return f"its tag is {'.'.join(sorted(map(str, tags)))}"
    pure = all(tag.platform == "any" for tag in tags)
    with zipfile.ZipFile(wheel) as archive:
        reasons = (_strange_member(archive, name, target, pure=pure) for name in archive.namelist())
        return next(filter(None, reasons), None)


def _strange_member(archive: zipfile.ZipFile, name: str, target: Target, *, pure: bool) -> str | None:
    if reason := _strange_name(name, target):
        return f"{name} is {reason}"
    with archive.open(name) as stream:
        head = stream.read(20)
        foreign = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
        if foreign and name.endswith((".so", ".pyd", ".dll", ".dylib")):
            return f"{name} is {foreign}"
        if not head.startswith(b"\x7fELF"):
            return None
        if pure and ".so" in name:
            return f"its tag says that it is pure Python, and {name} is not"
        reason = _strange_object(head, stream.read(), target)
        return reason and f"{name} {reason}"


def _strange_name(name: str, target: Target) -> str | None:
    """Read the suffix of an extension module (PEP 3149): an interpreter imports only what has its own."""
    match = _MODULE.search(name)
    if match is None:
        return None
    major, minor = target.runtime.python_version
    if match["python"] not in {f"cpython-{major}{minor}", "abi3"} or name.endswith(".pyd"):
        return f"a module for {match['python']}"
    expected = f"{target.architecture.machine}-linux-gnu"
    if match["platform"] is not None and match["platform"] != expected:
        return f"a module for {match['platform']}"
    return None


def _strange_object(head: bytes, rest: bytes, target: Target) -> str | None:
    machine = _MACHINES.get(int.from_bytes(head[18:20], "little")) if head.startswith(_64_BIT_LITTLE_ENDIAN) else None
    if machine != target.architecture.machine:
        return f"is for the machine {machine or 'of another kind'}"
    newest = max((int(match[1]) for match in _GLIBC.finditer(rest)), default=0)
    major, minor = target.runtime.glibc
    if newest > minor:
        return f"needs glibc {major}.{newest}, and {target.runtime.amazon_linux} has {major}.{minor}"
    return None
