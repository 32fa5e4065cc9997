"""The root that a function sees: what Lambda has, and nothing of this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.process import run
from hatch_lambda.errors import CommandError, MissingToolError
from hatch_lambda.stages.archive.read import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_lambda.core.model import Tree


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
    """Return why this machine cannot make a sandbox of *folder*; None if it can."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    if os.geteuid() != 0:
        return "it needs root"
    missing = [program for program in _PROGRAMS if shutil.which(program, path=_SEARCHED) is None]
    if missing:
        return f"there is no `{missing[0]}`, which util-linux and coreutils have"
    try:
        run(sandboxed(folder, interpreter, ["/var/lang/bin/python", "-I", "-c", "pass"]), cwd=folder, environment={})
    except CommandError as error:
        return f"this machine does not allow it: {error.tail(1).strip()}"
    except MissingToolError as error:
        return error.message
    return None


def sandboxed(folder: Path, interpreter: Path, inner: Sequence[str]) -> list[str]:
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
    """Return the shell command that enters the new root and drops all privileges."""
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
    """Yield the commands that show *path*, if it exists, below *root*; a link stays a link."""
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


_READ_ONLY, _WRITABLE = 0o555, 0o755
_IN_SANDBOX = {"task": "/var/task", "opt": "/opt", "runtime": "/var/runtime", "lang": "/var/lang"}


class Place(Struct, frozen=True, kw_only=True):
    """Where things are, as the function sees them, and how an interpreter is started there."""

    folder: Path
    """All of it, as this machine sees it."""
    interpreter: Path
    tree: Tree
    """The package's files."""
    emulator: tuple[str, ...] = ()
    """What runs an interpreter for another machine."""
    is_sandbox: bool = False

    @property
    def task(self) -> str:
        """The folder of the package."""
        return self._seen("task")

    @property
    def opt(self) -> str:
        """The folder of the layers."""
        return self._seen("opt")

    @property
    def runtime(self) -> str:
        """The folder of the runtime interface client."""
        return self._seen("runtime")

    @property
    def lang(self) -> str:
        """The folder of the interpreter."""
        return self._seen("lang")

    def python(self, *arguments: str) -> list[str]:
        """Return the command that starts the interpreter with *arguments*; it never writes bytecode."""
        command = [*self.emulator, f"{self.lang}/bin/python", "-B", *arguments]
        return sandboxed(self.folder, self.interpreter, command) if self.is_sandbox else command

    @property
    def cwd(self) -> Path:
        """The folder in which that command has to be started."""
        return self.folder / "task"

    def _seen(self, name: str) -> str:
        return _IN_SANDBOX[name] if self.is_sandbox else str(self.folder / name)


@contextmanager
def laid_out(package: Path, layers: Sequence[Path], folder: Path, interpreter: Path) -> Iterator[Tree]:
    """Unpack *package* and *layers* below *folder*, beside *interpreter*, and yield the package's files.

    Their folders are read-only until the end.
    """
    tree = unpack(package, folder / "task")
    (folder / "task").mkdir(exist_ok=True)
    _lay(layers, folder)
    (folder / "runtime").mkdir()
    _make_lang(folder / "lang", interpreter)
    try:
        _set_modes(folder, _READ_ONLY)
        yield tree
    finally:
        _set_modes(folder, _WRITABLE)


def _lay(layers: Sequence[Path], folder: Path) -> None:
    """Put the layers over one another: a later one's files take the place of an earlier one's, as Lambda does it."""
    opt = folder / "opt"
    opt.mkdir()
    for number, layer in enumerate(layers):
        for file in unpack(layer, folder / f"layer-{number}"):
            destination = opt / file.path
            destination.parent.mkdir(parents=True, exist_ok=True)
            file.source.replace(destination)


def _make_lang(lang: Path, interpreter: Path) -> None:
    """Make an empty virtual environment: the interpreter with its standard library, and no other site-packages."""
    (lang / "bin").mkdir(parents=True)
    for name in ("python", "python3"):
        (lang / "bin" / name).symlink_to(interpreter)
    settings = f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
    (lang / "pyvenv.cfg").write_text(settings, encoding="utf-8")


def _set_modes(folder: Path, mode: int) -> None:
    """Let the package's and the layers' folders be written to by nobody, or by us again to remove them."""
    for name in ("task", "opt"):
        for directory, _, _ in os.walk(folder / name):
            Path(directory).chmod(mode)
