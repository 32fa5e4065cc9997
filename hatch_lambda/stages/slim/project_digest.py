"""What of the project can change the decisions about its dependencies.

A part of a package that was made earlier fits only if this is as it was. An edit of the project's code usually
changes nothing here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hatch_lambda.core.source.files import Texts, is_module, is_source
from hatch_lambda.core.source.imports import Words
from hatch_lambda.stages.slim.metadata import locate, reads_file_lists
from hatch_lambda.stages.slim.rules import Unless, active_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.config.settings import SlimSettings
    from hatch_lambda.core.model import Tree


def influence(project: Tree, settings: SlimSettings) -> str:
    """Return a digest (SHA-256) of all in the files of *project* that ``plan`` asks about dependencies.

    That is code that has the name of a folder that goes unless it is imported, or asks for lists of files; entry
    points; the names from which imports start; the rules that code, or a library, of the project's stops; and the
    data that its code asks for.
    """
    digest = hashlib.sha256()
    for line in _lines(project, settings):
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _lines(project: Tree, settings: SlimSettings) -> Iterator[str]:
    rules = active_rules(settings)
    texts = Texts()
    folders = {
        folder.strip("/").rpartition("/")[2]
        for rule in rules
        if rule.unless is Unless.IMPORTED
        for folder in rule.folders
    }
    words = Words(folders)
    yield from sorted({file.parts[0].partition(".")[0] for file in project})
    for file in project:
        place = locate(file.path)
        if place is not None and place[1] == "entry_points.txt":
            yield f"{file.path} {hashlib.sha256(file.source.read_bytes()).hexdigest()}"
        elif is_source(file) or is_module(file):
            text = texts.of(file)
            concerns = is_source(file) and (words.search(text) or reads_file_lists(file.distribution, text))
            if concerns or not folders.isdisjoint(file.parts[:-1]):
                yield f"{file.path} {hashlib.sha256(text).hexdigest()}"
        if ".so" in file.path:
            yield f"{file.path} {hashlib.sha256(texts.of(file)).hexdigest()}"
    for rule in rules:
        if rule.words:
            used = any(is_source(file) and Words(rule.words).search(texts.of(file)) for file in project)
            yield f"{rule.name} {used}"
    for key, choice in settings.data.items():
        if choice == "auto":
            from hatch_lambda.stages.slim.service_data import asks, libraries

            asked = [request.names for request in asks(libraries()[key], project, texts)]
            yield f"{key} {None in asked} {sorted(frozenset().union(*filter(None, asked)))}"
