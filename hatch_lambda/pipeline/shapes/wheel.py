"""The package as one wheel for its platform (PEP 427), for ``pip install --no-compile --no-deps --target``."""

from __future__ import annotations

import base64
from itertools import chain
from typing import TYPE_CHECKING

from hatch_lambda.core.version import __version__
from hatch_lambda.pipeline.ours import require_ours
from hatch_lambda.pipeline.shapes.shape import Ingredients, Product, described
from hatch_lambda.stages.archive.write import write_packed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.target import Target
    from hatch_lambda.core.staging import Staging
    from hatch_lambda.stages.archive.pack import Packed


def make_wheel(ingredients: Ingredients, new: Staging) -> Product:
    """Write the wheel beside where the zip would be, under the name that its content asks for.

    It is a distribution of its own, ``NAME-lambda``, that requires nothing: what the project requires is in it.
    Installers accept one ``*.dist-info`` in a wheel, so those of the tree go in as files of ``platlib``.
    """
    name, version = wheel_name(ingredients.project), ingredients.version or "0"
    tag = platform_tag(ingredients.project.target)
    stem = f"{name}-{version}"
    output = wheel_path(ingredients)
    require_ours([output], named=False)
    packer, info = ingredients.packer, f"{stem}.dist-info"

    def content() -> Iterator[Packed]:
        yield from _placed(chain(ingredients.dependency_entries(), ingredients.own_entries()), f"{stem}.data/platlib/")
        yield packer.pack_text(f"{info}/METADATA", _metadata(ingredients.project, name, version))
        yield packer.pack_text(f"{info}/WHEEL", _wheel(tag))

    def recorded() -> Iterator[Packed]:
        record: list[str] = []
        for packed in content():
            digest = base64.urlsafe_b64encode(bytes.fromhex(packed.entry.sha256)).rstrip(b"=").decode("ascii")
            record.append(f"{_quoted(packed.entry.name)},sha256={digest},{packed.entry.size}\n")
            yield packed
        yield packer.pack_text(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))

    written = write_packed(recorded(), output, new, ingredients.timestamp)
    size = ingredients.dependencies.size + ingredients.own.size
    return Product(main=described("wheel", written, unzipped=size))


def wheel_path(ingredients: Ingredients) -> Path:
    """Return where the wheel goes: beside where the zip would be."""
    stem = f"{wheel_name(ingredients.project)}-{ingredients.version or '0'}"
    return ingredients.output.with_name(f"{stem}-{platform_tag(ingredients.project.target)}.whl")


def wheel_name(project: Project) -> str:
    """Return the name of the wheel's distribution: not the project's, whose own wheel holds the project alone."""
    function = project.function.lower().replace("-", "_") if project.function else None
    return "_".join(filter(None, (project.name, function, "lambda")))


def platform_tag(target: Target) -> str:
    """Return the tag of what runs on *target* alone (PEP 425, PEP 600)."""
    major, minor = target.runtime.python_version
    glibc = "_".join(map(str, target.runtime.glibc))
    return f"cp{major}{minor}-cp{major}{minor}-manylinux_{glibc}_{target.architecture.machine}"


def _placed(files: Iterator[Packed], data: str) -> Iterator[Packed]:
    for packed in files:
        name = packed.entry.name
        top = name.partition("/")[0]
        yield packed.renamed(data + name) if top.endswith((".dist-info", ".data")) else packed


def _metadata(project: Project, name: str, version: str) -> str:
    """Return METADATA. The tag alone says which Python it is for: pip compares Requires-Python with its own."""
    return (
        "Metadata-Version: 2.1\n"
        f"Name: {name.replace('_', '-')}\n"
        f"Version: {version}\n"
        f"Summary: {project.distribution} and all that it needs, for {project.target}\n"
    )


def _wheel(tag: str) -> str:
    return f"Wheel-Version: 1.0\nGenerator: hatch-lambda {__version__}\nRoot-Is-Purelib: false\nTag: {tag}\n"


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if set(path) & {",", '"', "\n"} else path
