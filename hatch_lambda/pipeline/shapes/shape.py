"""What every shape is made of, and what making it gives."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from hatch_lambda.core.staging import Staging
from hatch_lambda.inspect.package import Artifact
from hatch_lambda.stages.archive.write import Zip, read_packed, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.model import Finding, Tree
    from hatch_lambda.stages.archive.pack import Packed, Packer
    from hatch_lambda.stages.archive.section import StoredSection
    from hatch_lambda.stages.archive.zipformat import Timestamp


_MODULES = ("layer", "directory", "wheel", "nested")


def make(ingredients: Ingredients, new: Staging) -> tuple[Product, Zip]:
    """Make the *new* outputs of the shape that the settings ask for, and the package in one piece, to be tried."""
    shape = ingredients.project.settings.output.shape
    if shape in _MODULES:
        # What runs in one piece runs in every shape, so it is enough to try that.
        with Staging() as aside:
            tried = _write(ingredients, ingredients.work / "function.zip", aside)
            aside.commit()
        module = import_module(f"hatch_lambda.pipeline.shapes.{shape}")
        made = cast("Callable[[Ingredients, Staging], Product]", getattr(module, f"make_{shape}"))(ingredients, new)
        return made, tried
    written = _write(ingredients, ingredients.output, new)
    size = ingredients.dependencies.size + ingredients.own.size
    return Product(main=described("function", written, unzipped=size)), written


def _write(ingredients: Ingredients, output: Path, new: Staging) -> Zip:
    return write(ingredients.sections, ingredients.own, output, new, ingredients.packer, ingredients.timestamp)


class Ingredients(Struct, frozen=True, kw_only=True):
    """The parts of a package, checked, and where it goes: with the same of them a shape has the same bytes."""

    project: Project
    version: str | None
    """The project's, as its wheel says."""
    sections: tuple[StoredSection, ...]
    """The dependencies, compressed."""
    dependencies: Tree
    own: Tree
    """The project's own files."""
    output: Path
    """Path of the function's zip; what else a shape makes is called after it."""
    work: Path
    packer: Packer
    timestamp: Timestamp

    def entries(self) -> Iterator[Packed]:
        """Yield the entries of the function's zip, directories too, compressed, in their order."""
        known: set[str] = set()
        for stored in self.sections:
            yield from read_packed(stored)
            known |= stored.section.directories
        yield from self.packer.pack(self.own.files, known)

    def dependency_entries(self) -> Iterator[Packed]:
        """Yield the files of the dependencies, compressed, in their order; directories follow from them."""
        for stored in self.sections:
            yield from (packed for packed in read_packed(stored) if not packed.entry.name.endswith("/"))

    def own_entries(self) -> Iterator[Packed]:
        """Yield the project's own files, compressed, in their order."""
        return (packed for packed in self.packer.pack(self.own.files, set()) if not packed.entry.name.endswith("/"))

    def beside(self, ending: str) -> Path:
        """Return the path of something that has the zip's name with another *ending*."""
        return self.output.with_name(self.output.name.removesuffix(".zip") + ending)


class Product(Struct, frozen=True, kw_only=True):
    """What was made."""

    main: Artifact
    """What the function is deployed from."""
    others: tuple[Artifact, ...] = ()
    """What else belongs to it."""
    handler: str | None = None
    """The handler to tell Lambda, where it is not the one that the settings name."""
    findings: tuple[Finding, ...] = ()
    """What the user should know about the shape."""


def described(kind: str, written: Zip, *, unzipped: int) -> Artifact:
    """Describe a zip that was written, whose files have *unzipped* bytes."""
    return Artifact(
        kind=kind,
        path=written.path,
        size=written.size,
        unzipped=unzipped,
        sha256=written.sha256,
        content_sha256=written.content_sha256,
    )
