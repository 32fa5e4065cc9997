"""The shapes of a package: each made of the same two parts, the dependencies and the project."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from hatch_lambda import archive
from hatch_lambda.shapes.files import remove
from hatch_lambda.shapes.places import check_older, made_here, output_of
from hatch_lambda.shapes.product import Ingredients, Product, described

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Ingredients", "Product", "check_older", "made_here", "make", "output_of", "remove"]

_MODULES = ("layer", "directory", "wheel", "nested")


def make(ingredients: Ingredients) -> Product:
    """Make the package in the shape that the settings ask for, and put it in its place."""
    shape = ingredients.project.settings.shape
    if shape in _MODULES:
        # What runs in one piece runs in every shape, so it is enough to try that.
        _write(ingredients, ingredients.work / "function.zip")
        module = import_module(f"{__name__}.{shape}")
        return cast("Callable[[Ingredients], Product]", getattr(module, f"make_{shape}"))(ingredients)
    written = _write(ingredients, ingredients.output)
    return Product(main=described("function", written, unzipped=ingredients.dependencies.size + ingredients.own.size))


def _write(ingredients: Ingredients, output: Path) -> archive.Written:
    return archive.write(
        ingredients.stored,
        ingredients.own,
        output,
        ingredients.packer,
        ingredients.timestamp,
        ingredients.inspect,
    )
