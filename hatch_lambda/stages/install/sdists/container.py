"""Build native code in a container whose image has what the target has, and take libraries out of that image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.model import File, Tree
from hatch_lambda.core.uv import INNER_BUILD
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.stages.install.sdists.bench import failed
from hatch_lambda.stages.install.sdists.engine import RESULTS, Engine
from hatch_lambda.stages.install.sdists.fitness import has_objects
from hatch_lambda.stages.install.sdists.native import build_if_pure, writable

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.stages.install.sdists.bench import Bench, SourceTree


_BUILD = f"""\
set -eu
for python in "python$1" python3 python ""; do
    [ -n "$python" ] || {{ echo "the image has no Python $1" >&2; exit 1; }}
    command -v "$python" >/dev/null || continue
    [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$1" ] && break
done
work=$(mktemp -d)
export HOME="$work"
cp -r /hatch-lambda-source "$work/source"
exec "$python" -m pip wheel --no-deps --no-cache-dir --wheel-dir {RESULTS} "$work/source"
"""
"""The image's user may be any, and need not be able to write where the source is, or have a home."""
_TAKE = f'mkdir -p {RESULTS} && cp -L -- "$@" {RESULTS}'
_VARIABLES = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONHASHSEED": "0",
    INNER_BUILD: "1",
}


def build(tree: SourceTree, bench: Bench) -> Path:
    """Build *tree*, in a container if it has native code. Raises InstallError, and MissingToolError without engine."""
    tree = replace(tree, folder=writable(tree, bench))
    return build_if_pure(tree, bench) or _build_inside(tree, bench)


def _build_inside(tree: SourceTree, bench: Bench) -> Path:
    out = bench.workspace / "out"
    try:
        _engine(bench).work(_BUILD, bench.python_version, given={"source": tree.folder}, out=out, **_VARIABLES)
    except CommandError as error:
        raise failed(error, tree.source, bench) from error
    (wheel,) = out.glob("*.whl")
    if not has_objects(wheel):
        raise InstallError(
            f"{tree.source.shown} (from {tree.source.origin}) asked for a compiler, and no native code came of it",
            hint='let the image have what it needs; or `sdist = "pure"` takes it so',
        )
    return wheel


def with_extra_files(tree: Tree, bench: Bench) -> Tree:
    """Return *tree* with the files of the image that the settings name.

    Each is ``lib/NAME``, where Lambda's loader looks for libraries. Raises InstallError where one is not there, or
    a distribution has another of that name.
    """
    paths = bench.settings.extra_files
    if not paths:
        return tree
    taken = {f"lib/{path.rpartition('/')[2]}": path for path in paths}
    for file in tree:
        if file.path in taken:
            raise InstallError(
                f"tool.lambda-slim.container-extra-files: {taken[file.path]} would take the place of {file.path},"
                f" which {file.distribution} brings",
                hint="leave it out",
            )
    out = bench.workspace / "extra-files"
    try:
        _engine(bench).work(_TAKE, *paths, given={}, out=out)
    except CommandError as error:
        raise InstallError(
            f"tool.lambda-slim.container-extra-files: not all could be taken out of the image:\n{error.tail(5)}",
            hint="give each file's full path in the image",
        ) from error
    extra = (File(path=f"lib/{source.name}", source=source, size=source.stat().st_size) for source in out.iterdir())
    return Tree.of([*tree, *extra])


def _engine(bench: Bench) -> Engine:
    return Engine.find(bench.settings, bench.containerfile, bench.target, bench.uv.environment, bench.workspace)
