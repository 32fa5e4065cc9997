"""What would make a package start faster, as far as a measured start tells."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hatch_lambda.invoking.importtime import PROJECT, STANDARD_LIBRARY, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_lambda.invoking.coldstart import Start
    from hatch_lambda.invoking.importtime import Import
    from hatch_lambda.model import Tree

_WORTH = 0.02
"""Seconds below which nobody should change a program."""
_SHARE = 0.3
_PERCENT = 100


def give_advice(start: Start, imports: Sequence[Import], tree: Tree, owners: Mapping[str, str]) -> Iterator[str]:
    """Yield what to do about the slow parts of *start*, most certain first."""
    if start.compiled:
        yield (
            f"{start.compiled} of {start.modules} imported modules have no bytecode, so every cold start compiles them:"
            ' bytecode = "include" in [tool.lambda-slim]'
        )
    total = sum(cost.own for cost in start.imports)
    unused = _unused(tree, owners)
    for item in _outermost_of_others(imports, owners):
        owner = owner_of(item.module, owners)
        if item.total < _WORTH:
            continue
        if places := unused.get(item.module.partition(".")[0]):
            yield f"{places[0]} imports {item.module}, which takes {_ms(item.total)}, and does not use it"
        elif item.total > _SHARE * total and owner != STANDARD_LIBRARY:
            share = f"{item.total / total * _PERCENT:.0f} %"
            yield (
                f"{item.module} takes {_ms(item.total)}, {share} of all imports: where only some events need it, import"
                " it in the function that uses it"
            )


def _outermost_of_others(imports: Sequence[Import], owners: Mapping[str, str]) -> Iterator[Import]:
    """Yield the imports that the project itself asks for."""
    for item in imports:
        if owner_of(item.module, owners) == PROJECT:
            yield from _outermost_of_others(item.inner, owners)
        else:
            yield item


def _unused(tree: Tree, owners: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the import packages that modules of the project import and do not use, with the lines that do it."""
    found: dict[str, list[str]] = {}
    for file in tree:
        module = file.path.removesuffix(".py").replace("/", ".")
        if not file.path.endswith(".py") or owners.get(module) != PROJECT:
            continue
        try:
            parsed = ast.parse(file.source.read_bytes())
        except (SyntaxError, ValueError):  # of a newer Python than ours
            continue
        used: set[object] = {node.id for node in ast.walk(parsed) if isinstance(node, ast.Name)}
        used |= {
            node.value for node in ast.walk(parsed) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for node in parsed.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if (alias.asname or alias.name.partition(".")[0]) not in used:
                        found.setdefault(alias.name.partition(".")[0], []).append(f"{file.path}:{node.lineno}")
    return found


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
