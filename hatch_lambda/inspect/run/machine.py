"""Find what runs a function on this machine: an interpreter, and AWS's runtime interface client."""

from __future__ import annotations

import io
import platform
import sys
import zipfile
from functools import cache as memoized
from importlib.resources import files
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.cache import digest
from hatch_lambda.core.files import remove_tree
from hatch_lambda.core.log import logger
from hatch_lambda.core.process import run
from hatch_lambda.core.python import find, missing
from hatch_lambda.errors import ArchiveError, CommandError, InstallError, MissingToolError

if TYPE_CHECKING:
    from hatch_lambda.config.target import Target
    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.uv import Uv


_log = logger(__name__)

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_ASK = """
import platform, sys
print(sys.implementation.name, "%d.%d" % sys.version_info[:2], platform.machine())
"""


class Host(Struct, frozen=True, kw_only=True):
    """The services that running a package needs."""

    uv: Uv
    cache: Cache
    work: Path
    """An empty folder of theirs."""


class Runner(Struct, frozen=True, kw_only=True):
    """What runs a package."""

    interpreter: Path
    """Neither a link nor a script that starts another."""
    emulator: tuple[str, ...] = ()
    """For an interpreter of another machine."""


def machine() -> str:
    """Return what this machine is, as ELF names it."""
    name = platform.machine().lower()
    return _MACHINES.get(name, name)


def obstacle(target: Target) -> str | None:
    """Return why a package for *target* cannot be tested on this machine; None if it can."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    if machine() != target.architecture.machine:
        return f"this machine is {machine()}"
    library, version = platform.libc_ver()
    if library != "glibc":
        return "it needs glibc"
    if tuple(int(part) for part in version.split(".")[:2]) < target.runtime.glibc:
        return f"this machine's glibc is {version}, older than the runtime's"
    return None


def find_runner(target: Target, host: Host, python: Path | None = None) -> Runner:
    """Find what runs packages for *target* here; *python* is an interpreter that the user named.

    Raises MissingToolError that says what is missing.
    """
    wanted = target.architecture.machine
    if not sys.platform.startswith("linux"):
        raise MissingToolError(
            "AWS's runtime interface client is made for Linux, and so are the packages",
            hint="run this on Linux, or in your CI",
        )
    emulator: tuple[str, ...] = ()
    if wanted != machine():
        program = which(f"qemu-{wanted}-static") or which(f"qemu-{wanted}")
        if program is None:
            raise MissingToolError(
                f"to run what is for {target.architecture.value} on {machine()} takes qemu-{wanted}, which is missing",
                hint="install qemu-user-static, or run this on such a machine",
            )
        root = host.uv.environment.get("QEMU_LD_PREFIX")
        emulator = (program, "-L", root) if root else (program,)
    interpreter = python or (_find_foreign(target, host) if emulator else _find(target, host))
    runner = Runner(interpreter=interpreter.resolve(), emulator=emulator)
    _check(runner, target, host.work)
    _log.debug("%s is run by %s", target, " ".join((*emulator, str(runner.interpreter))))
    return runner


def _find(target: Target, host: Host) -> Path:
    found = find(target.runtime.version, host.uv, host.cache, cwd=host.work)
    if found is None:
        raise missing(target.runtime.version, f"to run a package for {target} with", "name one with --python")
    return found.path


def _find_foreign(target: Target, host: Host) -> Path:
    """Find an interpreter of *target* among those that uv has installed: it cannot ask one of another machine."""
    version = target.runtime.version
    folder = Path(host.uv.run("python", "dir", cwd=host.work).strip())
    name = f"cpython-{version}.*-linux-{target.architecture.machine}-gnu"
    found = sorted(folder.glob(f"{name}/bin/python{version}"))
    if not found:
        raise MissingToolError(
            f"there is no CPython {version} for {target.architecture.value}",
            hint=f"run `uv python install cpython-{version}-linux-{target.architecture.machine}-gnu`,"
            " or name one with --python",
        )
    return found[-1]


def _check(runner: Runner, target: Target, cwd: Path) -> None:
    """Raise MissingToolError unless *runner* can be started and is what *target* has."""
    try:
        told = run([*runner.emulator, str(runner.interpreter), "-I", "-S", "-c", _ASK], cwd=cwd, environment={})
    except (CommandError, MissingToolError) as error:
        detail = f"\n{error.tail(3)}" if isinstance(error, CommandError) else ""
        hint = "its C library has to be there, too; QEMU_LD_PREFIX says where" if runner.emulator else None
        raise MissingToolError(f"{runner.interpreter} cannot be started{detail}", hint=hint) from error
    found, wanted = told.strip(), f"cpython {target.runtime.version} {target.architecture.machine}"
    if found != wanted:
        raise MissingToolError(f"{runner.interpreter} is {found}, and the package is for {wanted}")


_KIND = "runtime-clients"
_PLATFORM = "unknown-linux-gnu"


def put_client(target: Target, host: Host, folder: Path) -> None:
    """Put ``awslambdaric`` for *target* into *folder*, from the cache or fetched by uv.

    It is pinned by hashes, and never built.
    """
    key = digest(_pins(), str(target))
    kept = host.cache.get(_KIND, key)
    if kept is None or not _unpacked(kept, folder):
        _log.debug("awslambdaric for %s is fetched", target)
        _install(target, host.uv, folder)
        host.cache.put(_KIND, key, _zipped(folder))


def _unpacked(kept: memoryview, folder: Path) -> bool:
    """Unpack what was *kept* into *folder*, if it is a zip that can be; else nothing is left of it."""
    from hatch_lambda.stages.archive.read import unpack

    package = folder.with_name("awslambdaric.zip")
    try:
        package.write_bytes(kept)
        unpack(package, folder)
    except ArchiveError:
        remove_tree(folder)
        return False
    return True


def _install(target: Target, uv: Uv, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder.with_name("awslambdaric.txt")
    requirements.write_bytes(_pins())
    try:
        uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--python", sys.executable, "--python-version", target.runtime.version),
            *("--python-platform", f"{target.architecture.machine}-{_PLATFORM}"),
            *("--no-config", "--link-mode", "copy", "--target", folder, "-r", requirements),
            cwd=folder,
        )
    except CommandError as error:
        raise InstallError(
            f"awslambdaric for {target}, in which handlers are run, could not be installed:\n{error.tail()}",
            hint="it has wheels on PyPI, and is kept once it was fetched: is there a connection?",
        ) from error


def _zipped(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                made.write(path, path.relative_to(folder).as_posix())
    return stream.getvalue()


@memoized
def _pins() -> bytes:
    return files("hatch_lambda.inspect.run").joinpath("awslambdaric.txt").read_bytes()
