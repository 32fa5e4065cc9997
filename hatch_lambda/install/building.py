"""From the source of a locked distribution to a wheel of it that fits the target.

A way of building is a function ``build(tree: SourceTree, bench: Bench) -> Path`` in a module of its own and one entry
of :data:`WAYS`, under the value of the setting ``sdist`` that chooses it. It is given the unpacked source, which it may
write to unless ``tree.immutable`` is false, and returns the wheel that it made below ``bench.workspace``. It need not
ask whether that wheel fits: :func:`build` does so for every way, by the wheel's tags, its file names and its
objects, and keeps what was made of an immutable source.

It raises InstallError where the build fails (see :func:`failed`). A way that is meant for native code may call
:func:`hatch_lambda.install.pure.build` first, and :func:`~hatch_lambda.install.fitness.unfit` to see whether that is
good enough, so that only what needs it is built otherwise.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from hatch_lambda.cache import digest
from hatch_lambda.decoding import from_msgpack
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.install.engine import ContainerPolicy
from hatch_lambda.install.fetching import fetch
from hatch_lambda.install.fitness import unfit
from hatch_lambda.install.paths import package_path
from hatch_lambda.install.snapshot import snapshot
from hatch_lambda.interpreter import find
from hatch_lambda.workspace import LOGS, make_inside, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_lambda.cache import Cache
    from hatch_lambda.interpreter import Interpreter
    from hatch_lambda.model import LockedSource
    from hatch_lambda.process import Uv
    from hatch_lambda.target import Target

_WHEELS = "wheels"

_HEEDED = re.compile(
    r"SOURCE_DATE_EPOCH|CC|CXX|CPP|AR|AS|LD|FC|RUSTC|(?:C|CPP|CXX|F|AR|LD|RUST)FLAGS"
    r"|(?:CMAKE|SKBUILD|SETUPTOOLS|MESON|CARGO_BUILD|CARGO_PROFILE)_\w+|\w+_NO_EXTENSIONS"
    r"|UV_(?:BUILD_CONSTRAINT|CONFIG_SETTINGS?|EXCLUDE_NEWER|NO_BUILD_ISOLATION)\w*"
)
"""Variables that are known to change what is built."""

WAYS: Mapping[str, str] = {
    "pure": "hatch_lambda.install.pure",
    "cross": "hatch_lambda.install.cross",
    "container": "hatch_lambda.install.container",
}
"""The module of each way, by the value of ``sdist``; imported when it is needed."""


class BuildPolicy(Struct, frozen=True, kw_only=True):
    """What the settings say about building; every field is part of the key under which a wheel is kept."""

    sdist: str
    """How: a key of :data:`WAYS`."""
    install_args: tuple[str, ...] = ()
    """Further options for uv."""
    container: ContainerPolicy = field(default_factory=ContainerPolicy)


class Bench(Struct, frozen=True, kw_only=True, dict=True):
    """What building needs besides a source."""

    target: Target
    policy: BuildPolicy
    uv: Uv
    cache: Cache
    workspace: Path
    """A folder that is removed after the build; a way gets one of its own for every distribution."""
    cwd: Path
    """The user's project, in which uv runs so that its configuration there applies."""

    @cached_property
    def interpreter(self) -> Interpreter | None:
        """That of the target's version on this machine; None where there is none. Nothing is downloaded."""
        return find(self.python_version, self.uv, self.cache, cwd=self.workspace, download=False)

    @property
    def python(self) -> str | None:
        """Its path."""
        return None if self.interpreter is None else str(self.interpreter.path)

    @property
    def python_version(self) -> str:
        """The major and minor version of the target's interpreter."""
        return "{}.{}".format(*self.target.runtime.python_version)


class SourceTree(Struct, frozen=True, kw_only=True):
    """An unpacked source distribution, or a local folder that is like one."""

    source: LockedSource
    folder: Path
    """It holds ``pyproject.toml`` or ``setup.py``."""

    @property
    def immutable(self) -> bool:
        """Whether the folder is ours: unpacked for this build. Else it is the user's, and nothing may be left in it."""
        return self.source.directory is None


class Way(Protocol):
    """A module that knows one way of building."""

    def build(self, tree: SourceTree, bench: Bench) -> Path:
        """Build a wheel of *tree* below the workspace of *bench*, and return its path."""


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
        return Built(source=source, wheel=kept, identity=identity)
    folder = directory or fetch(source, own.uv, room, cwd=own.cwd)
    way = cast("Way", import_module(WAYS[bench.policy.sdist]))
    wheel = way.build(SourceTree(source=source, folder=folder), own)
    if (reason := unfit(wheel, bench.target)) is not None:
        raise InstallError(
            f"{source.shown} (from {source.place}): what was built of it is not for {bench.target}: {reason}",
            hint=f"{_needs_python(own)}choose a version that has wheels for the target"
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


def failed(error: CommandError, source: LockedSource, bench: Bench) -> InstallError:
    """Return the error for a build that failed: its last lines, and where all the others are."""
    log = _write_log(f"{source.name}-{bench.target}.log", error.output.encode("utf-8"), bench.cache.root)
    return InstallError(
        f"{source.shown} (from {source.place}) could not be built:\n{error.tail()}",
        hint=f"{_needs_python(bench)}the whole log is {log}",
    )


def _write_log(name: str, content: bytes, cache: Path | None) -> Path:
    """Write a log to the *cache*, else to a temporary folder: what failed is told in any case."""
    if cache is not None:
        with suppress(OSError):
            log = make_inside(cache, LOGS) / name
            replace_file(log, content)
            return log
    log = Path(tempfile.mkdtemp(prefix="hatch-lambda-"), name)
    log.write_bytes(content)
    return log


def _needs_python(bench: Bench) -> str:
    if bench.python is not None:
        return ""
    version = bench.python_version
    return f"this machine has no Python {version}, with which it should be built (`uv python install {version}`); "


def surroundings(policy: BuildPolicy, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the variables that compilers and build backends heed. A backend may ask others, which nobody can know."""
    lent = {name for name in policy.container.env if "=" not in name}
    return sorted((name, value) for name, value in environment.items() if name in lent or _HEEDED.fullmatch(name))


def _key(identity: str, bench: Bench) -> str:
    """Return what a kept wheel is known by."""
    version = bench.uv.run("--version", cwd=bench.workspace).split()[1]
    python = None if bench.interpreter is None else bench.interpreter.version
    around = surroundings(bench.policy, bench.uv.environment)
    return digest(identity, str(bench.target), bench.policy, version, python, around)


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
