"""What the user should know about the data that was left out, or could not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.source.files import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_lambda.config.settings import SlimSettings
    from hatch_lambda.core.model import Tree
    from hatch_lambda.stages.slim.decision import Decision
    from hatch_lambda.stages.slim.service_data import Library


_KEY = "tool.lambda-slim.data"

COMPUTED, LEFT_OUT, NOT_THERE = "HL050", "HL051", "HL052"


def check_decisions(decisions: Iterable[Decision]) -> Iterator[Finding]:
    """Tell because of which dependency's code all of a library's data stays."""
    decided = tuple(decisions)
    unsure = [decision for decision in decided if decision.unsure is not None]
    if not unsure:
        return
    from hatch_lambda.stages.slim.service_data import libraries

    paths = {decision.file.path for decision in decided}
    told: dict[tuple[str, str | None], Library] = {}
    for decision in unsure:
        library = next(each for each in libraries().values() if each.item(decision.file) is not None)
        told[library.name, decision.unsure] = library
    for (_, path), library in told.items():
        if path in paths:
            yield _computed(library, path)


def check_requests(project: Tree, dependencies: Tree, settings: SlimSettings) -> Iterator[Finding]:
    """Tell where the code of *project* asks for data that is not among the *dependencies*, or for what nobody knows."""
    if not settings.data:
        return
    from hatch_lambda.stages.slim.service_data import asks, libraries

    texts = Texts()
    for key, choice in settings.data.items():
        library = libraries()[key]
        there = {name for file in dependencies if (name := library.item(file))}
        if not there:
            yield Finding(
                code=NOT_THERE,
                severity=Severity.NOTE,
                message=f"{_KEY}.{key}: the package has no {library.what}s of {library.distribution}",
            )
            continue
        for request in asks(library, project, texts):
            place = f"{request.path}:{request.line}" if request.line else request.path
            if request.names is None and choice == "auto":
                yield _computed(library, place)
            for name in sorted(request.names or ()) if request.sure else ():
                if library.known_as(name) not in there:
                    yield Finding(
                        code=LEFT_OUT,
                        severity=Severity.WARNING,
                        message=f"{place} asks for the {library.what} {name!r}, which is not in the package",
                        hint=None if choice == "auto" else f"add it to {_KEY}.{key}",
                        path=request.path,
                    )


def _computed(library: Library, place: str) -> Finding:
    return Finding(
        code=COMPUTED,
        severity=Severity.NOTE,
        message=f'{_KEY}.{library.name} = "auto" keeps every {library.what}: {place} computes the name of one',
        hint=f"list the {library.what}s that the program needs instead",
        path=place.partition(":")[0],
    )
