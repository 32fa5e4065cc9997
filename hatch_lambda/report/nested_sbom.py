"""The SBOMs that wheels bring along (PEP 770): what a compiler or auditwheel put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.dependency import Dependency
from packaging.utils import canonicalize_name

from hatch_lambda.decoding import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cyclonedx.model.component import Component

_PATH = "hatch-lambda:sbom"
_UNREAD = "hatch-lambda:sbom-not-read"


def nested(owner: Component, path: str, document: bytes) -> list[Dependency]:
    """Put what the SBOM at *path* lists below *owner*, and return who depends on whom among it.

    One that is no CycloneDX, or is broken, is named and left alone: it is in the package all the same.
    """
    try:
        bom = _read(document)
    except Exception:  # noqa: BLE001 - whatever a stranger's document makes the library raise
        owner.properties.add(Property(name=_UNREAD, value=path))
        return []
    # The names are taken before they change below.
    edges = {one.ref.value: [other.ref.value for other in one.dependencies] for one in bom.dependencies}
    own = bom.metadata.component
    listed = [*([own] if own else ()), *bom.components]
    # auditwheel lists the wheel itself among its parts.
    themselves = [component for component in listed if _is(component, owner)]
    parts = [component for component in listed if component not in themselves]
    parts += [part for component in themselves for part in component.components]
    owner.components.update(parts)
    owner.properties.add(Property(name=_PATH, value=path))
    refs = {component.bom_ref.value: owner.bom_ref for component in themselves}
    prefix = f"{owner.bom_ref.value}#{path}#"
    for number, component in enumerate(_all(parts)):
        refs[component.bom_ref.value] = component.bom_ref
        component.bom_ref.value = prefix + (component.bom_ref.value or str(number))
    return [
        Dependency(refs[one], [Dependency(refs[other]) for other in needed if other in refs])
        for one, needed in edges.items()
        if one in refs
    ]


def _read(document: bytes) -> Bom:
    content: Any = parse_json(document)
    if content.get("bomFormat") != "CycloneDX":
        raise ValueError
    read: Any = Bom  # a decorator gives it the method
    bom: Bom = read.from_json(content)
    return bom


def _is(component: Component, owner: Component) -> bool:
    """Tell whether *component* is the distribution as such, not a part of it."""
    purl = component.purl
    return purl is not None and purl.type == "pypi" and canonicalize_name(purl.name) == owner.name


def _all(components: Iterable[Component]) -> Iterator[Component]:
    for component in components:
        yield component
        yield from _all(component.components)
