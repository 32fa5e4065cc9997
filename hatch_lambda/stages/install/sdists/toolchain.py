"""A compiler for the target, in the form of the programs and files that build systems look for.

Nothing is told to uv, which would take this machine for another: the interpreters that build learn from a
``sitecustomize`` that extension modules are for the target. setuptools and what builds on it ask for nothing else;
meson and CMake get a file each.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.codec import parse_json
from hatch_lambda.core.files import TOOLS, make_inside
from hatch_lambda.core.process import run
from hatch_lambda.errors import CommandError, InstallError, MissingToolError
from hatch_lambda.stages.install.sdists.native import make_script

if TYPE_CHECKING:
    from hatch_lambda.stages.install.sdists.bench import Bench


_PROGRAM = """\
#!/bin/sh
# Work for the target, without what other linkers understand or what asks for this machine's processor.
for argument do
    shift
    case $argument in
        {unknown}) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
told=$(mktemp) || exit 1
{command} "$@" 2>"$told"
status=$?
cat "$told" >&2
[ "$status" = 0 ] || cat "$told" >>{failures}
rm -f "$told"
exit "$status"
"""
_UNKNOWN = (
    *("-march=native", "-mtune=native", "-mcpu=native", "-fuse-ld=*"),
    *("-Wl,--exclude-libs*", "-Wl,-Bsymbolic-functions", "-Wl,--no-copy-dt-needed-entries"),
    *("-Wl,--warn-common", "-Wl,-Map*"),
)
_CUSTOMIZE = """\
import json, os, pathlib, sysconfig

told = json.loads(pathlib.Path(__file__).with_name("target.json").read_text("utf-8"))
host = os.uname()
os.uname = lambda: os.uname_result((*host[:4], told["machine"]))
os.environ["_PYTHON_HOST_PLATFORM"] = told["platform"]
sysconfig.get_config_vars().update(told["variables"])
"""
"""Run by every interpreter that has its folder in PYTHONPATH. uv asks for the machine with ``python -I``, which has
none."""
_ASK = """\
import json, sysconfig
unusual = any(map(sysconfig.get_config_var, ("Py_GIL_DISABLED", "Py_DEBUG")))
print(json.dumps([sysconfig.get_path("include"), sysconfig.get_config_h_filename(), unusual]))
"""
_FLAGS = "-fwrapv -O2 -Wall -DNDEBUG"
_LONG_DOUBLE = {"x86_64": "INTEL_EXTENDED_16_BYTES_LE", "aarch64": "IEEE_QUAD_LE"}


class Toolchain(Struct, frozen=True, kw_only=True):
    """The programs and files for one build."""

    folder: Path
    environment: dict[str, str]
    """What the build finds in its environment."""

    @classmethod
    def make(cls, bench: Bench) -> Toolchain:
        """Make one in the workspace of *bench*.

        Raises InstallError where this machine has no headers, and MissingToolError where it has no compiler.
        """
        folder = bench.workspace / "toolchain"
        empty = folder / "empty"
        empty.mkdir(parents=True)
        headers = _take_headers(bench, folder / "include")
        programs = _make_programs(bench, folder, headers)
        _describe_to_python(bench, folder, headers, programs)
        _describe_to_meson(bench, folder, programs)
        _describe_to_cmake(bench, folder, headers, programs)
        environment = {
            "PYTHONPATH": folder,
            "CMAKE_TOOLCHAIN_FILE": folder / "toolchain.cmake",
            "PKG_CONFIG_LIBDIR": empty,
            "PKG_CONFIG_PATH": empty,
            "ZIG_GLOBAL_CACHE_DIR": tools(bench) / "zig-cache",
            "ZIG_LOCAL_CACHE_DIR": folder / "zig-cache",
        }
        return cls(folder=folder, environment={name: str(value) for name, value in (programs | environment).items()})

    def options(self, source: Path) -> tuple[str, ...]:
        """Return what ``uv build`` needs besides for the build backend of *source*."""
        pyproject = source / "pyproject.toml"
        if pyproject.is_file() and "mesonpy" in pyproject.read_text(encoding="utf-8", errors="replace"):
            return ("--config-setting", f"setup-args=--cross-file={self.folder / 'meson.ini'}")
        return ()

    def failures(self) -> list[str]:
        """Return what the programs printed where they failed, which a build may keep to itself."""
        log = self.folder / "failures"
        return log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []


def _take_headers(bench: Bench, folder: Path) -> Path:
    """Copy the headers of the target's Python from this machine's of the same version.

    Both machines are 64-bit Linux, for which ``pyconfig.h`` says the same of all that headers ask it. Debian has
    one that only leads to this machine's, so the latter takes its place.
    """
    assert bench.python is not None
    question = [bench.python, "-I", "-c", _ASK]
    answer = run(question, cwd=bench.workspace, environment=bench.uv.environment)
    include, config, unusual = parse_json(answer)
    missing = not Path(include, "Python.h").is_file()
    if missing or unusual:
        raise InstallError(
            f"{bench.python} has {'no headers' if missing else 'headers of an unusual build'} to compile with",
            hint=f"install its headers with the system's packages, or run `uv python install {bench.python_version}`",
        )
    shutil.copytree(include, folder)
    shutil.copyfile(config, folder / "pyconfig.h")
    return folder


def _make_programs(bench: Bench, folder: Path, headers: Path) -> dict[str, str]:
    """Write the programs, and return each under the name that it has in the environment."""
    flags = (
        *("-target", "{}.{}.{}".format(_triple(bench), *bench.target.runtime.glibc), "-fno-sanitize=undefined"),
        *(f"-ffile-prefix-map={bench.workspace}=.", f"-I{headers}"),
    )
    zig = find_zig(bench)
    commands = {"CC": ("cc", *flags), "CXX": ("c++", *flags), "AR": ("ar",), "RANLIB": ("ranlib",)}
    for command in commands.values():
        text = _PROGRAM.format(
            unknown="|".join(_UNKNOWN),
            command=shlex.join((str(zig), *command)),
            failures=shlex.quote(str(folder / "failures")),
        )
        make_script(folder / command[0], text)
    programs = {name: str(folder / command[0]) for name, command in commands.items()}
    return programs | {"LDSHARED": f"{programs['CC']} -shared", "LDCXXSHARED": f"{programs['CXX']} -shared"}


def _describe_to_python(bench: Bench, folder: Path, headers: Path, programs: dict[str, str]) -> None:
    """Write what ``sysconfig`` shall say: of the compiler, of names of extension modules, and of the wheel's tag."""
    version, glibc = bench.target.runtime.python_version, bench.target.runtime.glibc
    soabi = "cpython-{}{}-{}".format(*version, _triple(bench))
    nothing = str(folder / "empty")
    variables = {
        **programs,
        "BLDSHARED": programs["LDSHARED"],
        "ARFLAGS": "rcs",
        "CCSHARED": "-fPIC",
        "CFLAGS": _FLAGS,
        "PY_CFLAGS": _FLAGS,
        "OPT": "",
        "CPPFLAGS": "",
        "LDFLAGS": "",
        "SOABI": soabi,
        "EXT_SUFFIX": f".{soabi}.so",
        "MULTIARCH": _triple(bench),
        "HOST_GNU_TYPE": _triple(bench),
        "INCLUDEPY": str(headers),
        "CONFINCLUDEPY": str(headers),
        "LIBDIR": nothing,
        "LIBPL": nothing,
        "Py_ENABLE_SHARED": 0,
    }
    machine = bench.target.architecture.machine
    platform = "manylinux_{}_{}-{}".format(*glibc, machine)
    told = {"machine": machine, "platform": platform, "variables": variables}
    (folder / "target.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "sitecustomize.py").write_text(_CUSTOMIZE, encoding="utf-8")


def _describe_to_meson(bench: Bench, folder: Path, programs: dict[str, str]) -> None:
    """Write a cross file (Meson, "Cross compilation"). Programs for the target are never run, even where they could."""
    machine = bench.target.architecture.machine
    names = {"c": "CC", "cpp": "CXX", "ar": "AR", "ranlib": "RANLIB"}
    lines = (
        *("[binaries]", *(f"{name} = '{programs[variable]}'" for name, variable in names.items())),
        *("[host_machine]", "system = 'linux'", "endian = 'little'"),
        *(f"cpu_family = '{machine}'", f"cpu = '{machine}'"),
        *("[properties]", "needs_exe_wrapper = true", f"longdouble_format = '{_LONG_DOUBLE[machine]}'"),
    )
    (folder / "meson.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _describe_to_cmake(bench: Bench, folder: Path, headers: Path, programs: dict[str, str]) -> None:
    """Write a toolchain file (cmake-toolchains, "Cross Compiling for Linux")."""
    values = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": bench.target.architecture.machine,
        "CMAKE_C_COMPILER": programs["CC"],
        "CMAKE_CXX_COMPILER": programs["CXX"],
        "CMAKE_AR": programs["AR"],
        "CMAKE_RANLIB": programs["RANLIB"],
        **dict.fromkeys(("Python_INCLUDE_DIR", "Python3_INCLUDE_DIR", "PYTHON_INCLUDE_DIR"), headers),
    }
    text = "".join(f'set({name} "{value}" CACHE STRING "" FORCE)\n' for name, value in values.items())
    (folder / "toolchain.cmake").write_text(text, encoding="utf-8")


def _triple(bench: Bench) -> str:
    return f"{bench.target.architecture.machine}-linux-gnu"


VERSION = "0.17.0"
"""Of ``ziglang``, as the extra ``cross`` has it too."""


def tools(bench: Bench) -> Path:
    """Return the folder for what is too large, or too much of this machine, to be an entry of the cache."""
    if bench.cache.root is not None:
        with suppress(OSError):
            return make_inside(bench.cache.root, TOOLS)
    return bench.workspace / TOOLS


def find_zig(bench: Bench) -> Path:
    """Return the program: of the extra ``cross``, else installed by uv beside the cache. Raises MissingToolError."""
    spec = find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).with_name("zig")
    folder = tools(bench) / f"ziglang-{VERSION}"
    return (folder if folder.is_dir() else _install(bench, folder)) / "ziglang" / "zig"


def _install(bench: Bench, folder: Path) -> Path:
    unfinished = bench.workspace / "ziglang"
    try:
        bench.uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-compile-bytecode"),
            *("--python", sys.executable, "--target", unfinished, f"ziglang=={VERSION}"),
            cwd=bench.cwd,
        )
    except CommandError as error:
        raise MissingToolError(
            f'the compiler that `sdist = "cross"` needs, ziglang {VERSION}, could not be installed:\n{error.tail()}',
            hint="check the network and the configuration of indexes, or install `hatch-lambda[cross]`",
        ) from error
    try:
        folder.parent.mkdir(exist_ok=True)
        return unfinished.rename(folder)
    except OSError:  # another build was faster, or it cannot be kept
        return folder if folder.is_dir() else unfinished
