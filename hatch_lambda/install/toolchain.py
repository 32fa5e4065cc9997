"""A compiler for the target: zig's, in the form of the programs and files that build systems look for.

Nothing is told to uv, which would take the machine for another: the interpreters that build learn from a
``sitecustomize`` that their extension modules are for the target. setuptools and what builds on it then ask for
nothing else; meson and CMake get files of their own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda import process
from hatch_lambda.errors import CommandError, InstallError, MissingToolError
from hatch_lambda.install.native import make_script
from hatch_lambda.workspace import make_folder

if TYPE_CHECKING:
    from hatch_lambda.install.building import Bench

ZIG = "0.17.0"
"""Version of ``ziglang`` from PyPI, as the extra ``cross`` has it too."""

_COMPILER = """\
#!/bin/sh
# Compile for the target, without what other linkers understand, and what asks for this machine's processor.
for argument do
    shift
    case $argument in
        {unknown}) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
told=$(mktemp) || exit 1
{zig} {command} "$@" 2>"$told"
status=$?
cat "$told" >&2
[ "$status" = 0 ] || cat "$told" >>{failures}
rm -f "$told"
exit "$status"
"""
_UNKNOWN = (
    *("-fno-semantic-interposition", "-fuse-linker-plugin", "-ffat-lto-objects", "-fuse-ld=*"),
    *("-march=native", "-mtune=native", "-mcpu=native"),
    *("-Wl,--exclude-libs*", "-Wl,-Bsymbolic-functions", "-Wl,--no-copy-dt-needed-entries", "-Wl,--version-script*"),
)
_CUSTOMIZE = """\
import json, os, pathlib, sysconfig

told = json.loads(pathlib.Path(__file__).with_name("target.json").read_text("utf-8"))
host = os.uname()
os.uname = lambda: os.uname_result((*host[:4], told["machine"]))
os.environ["_PYTHON_HOST_PLATFORM"] = told["platform"]
sysconfig.get_config_vars().update(told["variables"])
"""
"""Read by every interpreter that finds its folder in PYTHONPATH. uv asks for the machine with ``python -I``, which
reads no such folder."""
_ASK = """\
import json, sysconfig
config = sysconfig.get_config_vars()
print(json.dumps({
    "include": sysconfig.get_path("include"), "header": sysconfig.get_config_h_filename(),
    "threaded": bool(config.get("Py_GIL_DISABLED")), "debug": bool(config.get("Py_DEBUG")),
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """The programs and files for one build."""

    folder: Path
    caches: Path
    """Where zig keeps what it compiled of libc and libc++."""
    triple: str
    """The machine, system and ABI as GNU names them."""
    platform: str
    """As ``sysconfig.get_platform`` has it; the wheel's tag follows from it."""

    @classmethod
    def make(cls, bench: Bench) -> Toolchain:
        """Make it below the workspace of *bench*; zig is installed where it is missing."""
        target = bench.target
        machine, glibc = target.architecture.machine, "{}.{}".format(*target.runtime.glibc)
        toolchain = cls(
            folder=bench.workspace / "toolchain",
            caches=_tools(bench) / "zig-cache",
            triple=f"{machine}-linux-gnu",
            platform=f"manylinux_{glibc.replace('.', '_')}-{machine}",
        )
        (toolchain.folder / "empty").mkdir(parents=True)
        headers = _take_headers(bench, toolchain.folder / "include")
        flags = (
            *("-target", f"{toolchain.triple}.{glibc}", "-fno-sanitize=undefined"),
            *(f"-ffile-prefix-map={bench.workspace}=.", f"-I{headers}"),
        )
        zig = _find_zig(bench)
        for name, command in {"cc": ("cc", *flags), "c++": ("c++", *flags), "ar": ("ar",), "ranlib": ("ranlib",)}.items():
            toolchain._add(name, zig, command)
        toolchain._describe(target.runtime.python_version, machine, headers)
        return toolchain

    def variables(self) -> dict[str, str]:
        """Return the environment variables of the build."""
        empty = str(self.folder / "empty")
        return {
            "CC": self._program("cc"),
            "CXX": self._program("c++"),
            "AR": self._program("ar"),
            "RANLIB": self._program("ranlib"),
            "LDSHARED": f"{self._program('cc')} -shared",
            "LDCXXSHARED": f"{self._program('c++')} -shared",
            "CMAKE_TOOLCHAIN_FILE": str(self.folder / "toolchain.cmake"),
            "PKG_CONFIG_LIBDIR": empty,
            "PKG_CONFIG_PATH": empty,
            "PYTHONPATH": str(self.folder),
            "ZIG_GLOBAL_CACHE_DIR": str(self.caches),
            "ZIG_LOCAL_CACHE_DIR": str(self.folder / "zig-cache"),
        }

    def options(self, source: Path) -> tuple[str, ...]:
        """Return what ``uv build`` needs besides for the build backend of *source*."""
        pyproject = source / "pyproject.toml"
        if pyproject.is_file() and "mesonpy" in pyproject.read_text(encoding="utf-8", errors="replace"):
            return ("--config-setting", f"setup-args=--cross-file={self.folder / 'meson.ini'}")
        return ()

    def failures(self) -> list[str]:
        """Return what the compiler printed where it failed, which a build may keep to itself."""
        log = self.folder / "failures.log"
        return log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []

    def _program(self, name: str) -> str:
        return str(self.folder / name)

    def _add(self, name: str, zig: Path, command: tuple[str, ...]) -> None:
        text = _COMPILER.format(
            unknown="|".join(_UNKNOWN),
            zig=shlex.quote(str(zig)),
            command=shlex.join(command),
            failures=shlex.quote(str(self.folder / "failures.log")),
        )
        make_script(self.folder / name, text)

    def _describe(self, version: tuple[int, int], machine: str, headers: Path) -> None:
        """Write what Python, meson and CMake have to know of the target."""
        soabi = "cpython-{}{}-{}".format(*version, self.triple)
        cc, cxx = self._program("cc"), self._program("c++")
        flags = "-fwrapv -O2 -Wall -DNDEBUG"
        told = {
            "machine": machine,
            "platform": self.platform,
            "variables": {
                **{"CC": cc, "CXX": cxx, "AR": self._program("ar"), "RANLIB": self._program("ranlib"), "ARFLAGS": "rcs"},
                **{"LDSHARED": f"{cc} -shared", "LDCXXSHARED": f"{cxx} -shared", "BLDSHARED": f"{cc} -shared"},
                **{"CFLAGS": flags, "PY_CFLAGS": flags, "OPT": "", "LDFLAGS": "", "CPPFLAGS": "", "CCSHARED": "-fPIC"},
                **{"SOABI": soabi, "EXT_SUFFIX": f".{soabi}.so", "SHLIB_SUFFIX": ".so", "MULTIARCH": self.triple},
                **{"HOST_GNU_TYPE": self.triple, "INCLUDEPY": str(headers), "CONFINCLUDEPY": str(headers)},
                **{"Py_ENABLE_SHARED": 0, "LIBDIR": str(self.folder / "empty"), "LIBPL": str(self.folder / "empty")},
            },
        }
        (self.folder / "target.json").write_text(json.dumps(told), encoding="utf-8")
        (self.folder / "sitecustomize.py").write_text(_CUSTOMIZE, encoding="utf-8")
        programs = {"c": cc, "cpp": cxx, "ar": self._program("ar"), "ranlib": self._program("ranlib")}
        lines = [
            *("[binaries]", *(f"{name} = '{path}'" for name, path in programs.items())),
            *("[host_machine]", "system = 'linux'", f"cpu_family = '{machine}'", f"cpu = '{machine}'"),
            *("endian = 'little'", "[properties]", "needs_exe_wrapper = true", "longdouble_format = 'IEEE_QUAD_LE'"),
        ]
        if machine == "x86_64":
            lines[-1] = "longdouble_format = 'INTEL_EXTENDED_16_BYTES_LE'"
        (self.folder / "meson.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
        cmake = {
            **{"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": machine},
            **{"CMAKE_C_COMPILER": cc, "CMAKE_CXX_COMPILER": cxx},
            **{"CMAKE_AR": programs["ar"], "CMAKE_RANLIB": programs["ranlib"]},
            **dict.fromkeys(("Python_INCLUDE_DIR", "Python3_INCLUDE_DIR", "PYTHON_INCLUDE_DIR"), str(headers)),
        }
        text = "".join(f'set({name} "{value}" CACHE STRING "" FORCE)\n' for name, value in cmake.items())
        (self.folder / "toolchain.cmake").write_text(text, encoding="utf-8")


def _take_headers(bench: Bench, folder: Path) -> Path:
    """Copy the headers of the target's Python from this machine's of the same version.

    Both machines are 64-bit Linux, for which ``pyconfig.h`` says the same of all that headers ask it. Debian has
    one that only leads to this machine's, so the latter takes its place.
    """
    assert bench.python is not None
    told = json.loads(
        process.run([bench.python, "-I", "-c", _ASK], cwd=bench.workspace, environment=bench.uv.environment)
    )
    include = Path(told["include"])
    if not (include / "Python.h").is_file() or told["threaded"] or told["debug"]:
        lacks = "no headers" if not (include / "Python.h").is_file() else "headers of an unusual build"
        version = "{}.{}".format(*bench.target.runtime.python_version)
        raise InstallError(
            f"{bench.python} has {lacks} to compile with",
            hint=f"`uv python install {version}`, or the system's package with its headers",
        )
    shutil.copytree(include, folder)
    shutil.copyfile(told["header"], folder / "pyconfig.h")
    return folder


def _find_zig(bench: Bench) -> Path:
    """Return the program: of the extra ``cross``, else installed by uv beside the cache."""
    spec = find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).with_name("zig")
    folder = _tools(bench) / f"ziglang-{ZIG}"
    if not folder.is_dir():
        make_folder(folder.parent)
        unfinished = bench.workspace / "ziglang"
        try:
            bench.uv.run(
                *("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-compile-bytecode"),
                *("--python", sys.executable, "--target", unfinished, f"ziglang=={ZIG}"),
                cwd=bench.cwd,
            )
        except CommandError as error:
            raise MissingToolError(
                f"the compiler ziglang {ZIG}, which `sdist = \"cross\"` needs, could not be installed:\n{error.tail()}",
                hint="check the network and the configuration of indexes, or install `hatch-lambda[cross]`",
            ) from error
        try:
            unfinished.rename(folder)
        except OSError:  # another build was faster, or the cache is on another file system
            folder = folder if folder.is_dir() else unfinished
    return folder / "ziglang" / "zig"


def _tools(bench: Bench) -> Path:
    return (bench.cache.root or bench.workspace) / "tools"
