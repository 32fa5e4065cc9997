"""A layer with the dependencies, or several, and the function without them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from hatch_lambda.core.files import failing_as_archive_error
from hatch_lambda.core.model import Finding, Severity, Tree
from hatch_lambda.inspect.package import Artifact
from hatch_lambda.pipeline.ours import require_ours
from hatch_lambda.pipeline.shapes.cohesion import PROJECT, clusters
from hatch_lambda.pipeline.shapes.shape import Ingredients, Product, described
from hatch_lambda.stages.archive.pack import with_directories
from hatch_lambda.stages.archive.write import write_packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hatch_lambda.core.model import File
    from hatch_lambda.core.staging import Staging


_FOLDER = "python/"
"""Where Lambda's Python runtimes look for modules in a layer (AWS, "Packaging your layer content")."""


def make_layer(ingredients: Ingredients, new: Staging) -> Product:
    """Write the layers, what AWS has to be told about each, and the zip of the function.

    All layers are unpacked into one folder, so a package may be spread over them. A function that shares a
    regular package with its dependencies cannot be told apart from them, which is an error.
    """
    from hatch_lambda.inspect.audit.layout import check_zipped

    groups = clusters(ingredients)
    findings = [*_torn(groups)]
    settings = ingredients.project.settings.output.layer
    spread = _spread(groups, ingredients.dependencies, settings.split)
    marks = [f"-{number}" if len(spread) > 1 else "" for number in range(1, len(spread) + 1)]
    require_ours(
        (path for mark in marks for path in _outputs(ingredients, mark)),
        named=ingredients.project.settings.output.path is not None,
    )
    artifacts: list[Artifact] = []
    for mark, chosen in zip(marks, spread, strict=True):
        artifact = _write_layer(ingredients, chosen, ingredients.beside(f"-layer{mark}.zip"), new)
        artifacts.append(artifact)
        findings += check_zipped(artifact.size, artifact.path.name)
        artifacts += _write_inputs(ingredients, mark, new)
    if not spread:
        findings.append(_no_layer())
    if not ingredients.own.files and artifacts:  # a project that is nothing but its layer
        main, *artifacts = artifacts
    else:
        packed = with_directories(ingredients.own_entries())
        written = write_packed(packed, ingredients.output, new, ingredients.timestamp)
        main = described("function", written, unzipped=ingredients.own.size)
    return Product(main=main, others=tuple(artifacts), findings=tuple(findings))


def _outputs(ingredients: Ingredients, mark: str) -> Iterator[Path]:
    """Yield where a layer goes, and what AWS has to be told about it."""
    yield ingredients.beside(f"-layer{mark}.zip")
    yield ingredients.beside(f"-layer{mark}.json")
    for account in ingredients.project.settings.output.layer.allowed_accounts:
        yield _permission(ingredients, mark, account)


def _permission(ingredients: Ingredients, mark: str, account: str) -> Path:
    return ingredients.beside(f"-layer{mark}-permission-{_whom(account)}.json")


def _whom(account: str) -> str:
    return "everyone" if account == "*" else account


def _write_layer(ingredients: Ingredients, chosen: frozenset[str], output: Path, new: Staging) -> Artifact:
    files = {file.path: file for file in ingredients.dependencies if _owner(file.distribution) in chosen}
    packed = (
        packed.renamed(_folder(files[packed.entry.name]) + packed.entry.name)
        for packed in ingredients.dependency_entries()
        if packed.entry.name in files
    )
    written = write_packed(with_directories(packed), output, new, ingredients.timestamp)
    return described("layer", written, unzipped=sum(file.size for file in files.values()))


def _write_inputs(ingredients: Ingredients, mark: str, new: Staging) -> Iterator[Artifact]:
    """Write what ``aws lambda ... --cli-input-json`` takes: one file to publish, one for each account."""
    project = ingredients.project
    settings = project.settings.output.layer
    name = (settings.name or "-".join(filter(None, (project.distribution, project.function)))) + mark
    publish: dict[str, Any] = {
        "LayerName": name,
        "Description": settings.description or f"Dependencies of {name.removesuffix(mark)}",
        "CompatibleRuntimes": list(settings.compatible_runtimes or (project.target.runtime.name,)),
        "CompatibleArchitectures": list(settings.compatible_architectures or (project.target.architecture.value,)),
    }
    if settings.license_info is not None:
        publish["LicenseInfo"] = settings.license_info
    yield _write_json(publish, "layer-input", ingredients.beside(f"-layer{mark}.json"), new)
    for account in settings.allowed_accounts:
        permission = {
            "LayerName": name,
            "StatementId": f"account-{_whom(account)}",
            "Action": "lambda:GetLayerVersion",
            "Principal": account,
        }
        yield _write_json(permission, "permission-input", _permission(ingredients, mark, account), new)


def _write_json(document: dict[str, Any], kind: str, path: Path, new: Staging) -> Artifact:
    content = f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode("utf-8", "surrogateescape")
    with failing_as_archive_error(path):
        new.text(path, content)
    sha256 = hashlib.sha256(content).hexdigest()
    return Artifact(kind=kind, path=path, size=len(content), unzipped=len(content), sha256=sha256)


def _spread(groups: Sequence[frozenset[str]], dependencies: Tree, count: int) -> list[frozenset[str]]:
    """Put each group, largest first, into the layer that is the smallest so far; none of them stays empty."""
    sizes: Counter[str] = Counter()
    for file in dependencies:
        sizes[_owner(file.distribution)] += file.size
    weights = {group: sum(sizes[owner] for owner in group) for group in groups if PROJECT not in group}
    layers: list[frozenset[str]] = [frozenset()] * count
    for group in sorted(weights, key=lambda group: (-weights[group], sorted(group))):
        lightest = min(range(count), key=lambda number: sum(sizes[owner] for owner in layers[number]))
        layers[lightest] |= group
    return [layer for layer in layers if layer]


def _folder(file: File) -> str:
    """Return the folder of the layer for *file*: a library of no distribution is in ``lib/`` already."""
    return _FOLDER if file.distribution is not None else ""


def _owner(distribution: str | None) -> str:
    return distribution or "(no distribution)"


def _torn(groups: Sequence[frozenset[str]]) -> Iterator[Finding]:
    """Find distributions that have files in a regular package of the project, or the other way round."""
    for group in groups:
        if PROJECT in group and len(group) > 1:
            names = ", ".join(sorted(group - {PROJECT}))
            yield Finding(
                code="HL040",
                severity=Severity.ERROR,
                message=f"the project and {names} have files in one import package with an `__init__.py`:"
                " Python would find only the function's half of it, not the layer's",
                hint='rename the project\'s package, or use shape = "function"',
            )


def _no_layer() -> Finding:
    return Finding(
        code="HL041",
        severity=Severity.WARNING,
        message="there are no dependencies, so no layer was made",
        hint='shape = "function" says so',
    )
