"""Packages whose parts are loaded when they are first used, to keep start-up short."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def exports(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` (PEP 562) of *package*, which finds each name in the module that has it."""

    def __getattr__(name: str) -> object:  # noqa: N807 - it becomes the module's
        if name in modules:
            return getattr(import_module(f"{package}.{modules[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
