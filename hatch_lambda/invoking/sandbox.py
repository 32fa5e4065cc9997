"""A mount namespace in which a function sees what it sees on Lambda, made by the programs of util-linux.

The function runs as a user without rights. Of this machine it sees the system's libraries and programs, the
interpreter without its site-packages, and the network, through which it reaches the Runtime API.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.errors import CommandError, MissingToolError
from hatch_lambda.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = b"\036"
"""What is written first of all: that the sandbox stands, and the function is about to begin."""

_PROGRAMS = ("unshare", "mount", "mkdir", "touch", "ln", "chroot", "setpriv", "sh")
_SYSTEM = ("usr/bin", "usr/lib", "usr/lib64", "usr/share/zoneinfo", "usr/share/ca-certificates", "bin", "lib", "lib64")
_SETTINGS = ("ld.so.cache", "ssl", "pki", "resolv.conf", "hosts", "nsswitch.conf", "ca-certificates")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SEARCHED = f"{os.defpath}:/sbin:/usr/sbin"
_USER, _GROUP = 993, 990
"""Those of Lambda's ``sbx_user1051``."""
_TEMPORARY = "mode=1777,size=512m"
"""Lambda's ``/tmp``, unless a function asks for more."""


def obstacle(folder: Path, interpreter: Path) -> str | None:
    """Say what keeps this machine from making a sandbox of *folder*, if anything does."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    if os.geteuid() != 0:
        return "it needs root"
    missing = [program for program in _PROGRAMS if shutil.which(program, path=_SEARCHED) is None]
    if missing:
        return f"there is no `{missing[0]}`, which util-linux and coreutils have"
    try:
        run(command(folder, interpreter, ["/var/lang/bin/python", "-I", "-c", "pass"]), cwd=folder, environment={})
    except CommandError as error:
        return f"this machine does not allow it: {error.tail(1).strip()}"
    except MissingToolError as error:
        return error.message
    return None


def command(folder: Path, interpreter: Path, inner: Sequence[str]) -> list[str]:
    """Return the command that runs *inner* in a sandbox made of *folder*."""
    script = "\n".join(("set -e", *_mounts(folder, folder / "root", interpreter), _entry(folder / "root", inner)))
    return [_program("unshare"), "--mount", "--propagation", "private", _program("sh"), "-c", script]


def _mounts(folder: Path, root: Path, interpreter: Path) -> Iterator[str]:
    """Yield the commands that put the new root together; it is gone with the namespace."""
    yield _line("mkdir", "-p", root)
    yield _mount(root, "tmpfs", "-o", "mode=755")
    system = Path("/")
    for name in _SYSTEM:
        yield from _shown(root, system / name)
    for name in _SETTINGS:
        yield from _shown(root, system / "etc" / name, follow=True)
    for name in _DEVICES:
        yield from _shown(root, system / "dev" / name, options="rw")
    prefix = interpreter.parents[1]
    if prefix != Path("/usr"):
        yield from _shown(root, prefix)
    for pattern in ("lib*/python3*/site-packages", "lib*/python3*/dist-packages"):
        for site in sorted(prefix.glob(pattern)):
            yield _mount(_below(root, site), "tmpfs", "-o", "ro")
    yield _line("mkdir", "-p", root / "proc", root / "tmp")
    yield _line("mount", "--rbind", "/proc", root / "proc")
    yield _mount(root / "tmp", "tmpfs", "-o", _TEMPORARY)
    for name, inside in (("task", "var/task"), ("opt", "opt"), ("runtime", "var/runtime"), ("lang", "var/lang")):
        yield from _bound(root / inside, folder / name)
    yield _line("mount", "-o", "remount,ro", root)


def _entry(root: Path, inner: Sequence[str]) -> str:
    """Return the command that goes into the new root and gives all rights away."""
    drop = (
        "setpriv",
        f"--reuid={_USER}",
        f"--regid={_GROUP}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    )
    start = ("/bin/sh", "-c", "cd /var/task && printf '\\036' && exec \"$@\"", "sh", *inner)
    return f"exec {_line('chroot', root, _program('setpriv'), *drop, *start)}"


def _shown(root: Path, path: Path, *, follow: bool = False, options: str = "ro") -> Iterator[str]:
    """Yield the commands that let *path*, if there is such a thing, be seen below *root*; a link stays a link."""
    if path.is_symlink() and not follow:
        yield _line("mkdir", "-p", _below(root, path).parent)
        yield _line("ln", "-s", path.readlink(), _below(root, path))
    elif path.exists():
        yield from _bound(_below(root, path), path.resolve(), options)


def _bound(destination: Path, source: Path, options: str = "ro") -> Iterator[str]:
    if source.is_dir():
        yield _line("mkdir", "-p", destination)
    else:
        yield _line("mkdir", "-p", destination.parent)
        yield _line("touch", destination)
    yield _line("mount", "-o", f"bind,{options}", source, destination)


def _mount(destination: Path, kind: str, *options: str) -> str:
    return _line("mount", "-t", kind, *options, kind, destination)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _line(program: str, *arguments: str | Path) -> str:
    return shlex.join([_program(program), *map(str, arguments)])


def _program(name: str) -> str:
    """Return its absolute path: the search path is the function's, not ours."""
    return shutil.which(name, path=_SEARCHED) or name
