"""The software bill of materials of a package (CycloneDX 1.6): for scanners that slimming must not blind."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hatch_lambda.core.codec import parse_json
from hatch_lambda.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.markers import Environment

    from hatch_lambda.inspect.report.document import Distribution, RemovedFile, Report
    from hatch_lambda.inspect.report.inventory import Inventory, Item, Metadata


_PREFIX = "hatch-lambda:"
_UNSIGNED = uuid.UUID(int=0)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "hatch-lambda")
_LIBRARY = re.compile(r"(?P<name>lib[^/]+?)(?:-[0-9a-f]{6,})*\.so(?P<version>(?:\.\d+)*)")
"""What auditwheel calls the libraries that it grafts into wheels."""


def sbom(
    report: Report,
    inventory: Inventory,
    wheels: Mapping[str, tuple[str, str]],
    environment: Environment,
    epoch: int | None,
) -> bytes:
    """Return the bill of materials of the package that *report* describes.

    *wheels* has the file name and the SHA-256 of each distribution's locked wheel, by name, where they are known.
    The serial number is a digest of everything else, and a date is only there for an *epoch*.
    """
    parts = defaultdict(list)
    for item in inventory.items:
        parts[item.owner].append(item)
    taken: defaultdict[str | None, list[RemovedFile]] = defaultdict(list)
    for change in report.removed:
        taken[change.distribution].append(change)
    root = _package(report, parts[None], taken[None])
    bom = Bom(serial_number=_UNSIGNED, metadata=BomMetaData(component=root))
    bom.metadata.timestamp = None if epoch is None else datetime.fromtimestamp(epoch, UTC)  # type: ignore[assignment]
    bom.metadata.tools.components.add(
        Component(name="hatch-lambda", version=__version__, type=ComponentType.APPLICATION, bom_ref="hatch-lambda")
    )
    components = {
        one.name: _component(one, inventory.metadata[one.name], wheels.get(one.name), parts[one.name], taken[one.name])
        for one in report.distributions
    }
    for component in components.values():
        bom.components.add(component)
    for name, component in components.items():
        component.components.update(_libraries(component, parts[name]))
        for path, document in sorted(inventory.metadata[name].sboms.items()):
            bom.dependencies.update(nested(component, path, document))
    edges = graph(report.package.name, inventory.metadata, environment)
    bom.dependencies.update(
        Dependency(
            component.bom_ref,
            [Dependency(components[needed].bom_ref) for needed in edges.get(name, ()) if needed in components],
        )
        for name, component in [(None, root), *components.items()]
    )
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    serial = uuid.uuid5(_NAMESPACE, hashlib.sha256(text.encode()).hexdigest())
    return (text.replace(_UNSIGNED.urn, serial.urn) + "\n").encode()


def _package(report: Report, own: Sequence[Item], removed: Sequence[RemovedFile]) -> Component:
    package = report.package
    facts = {
        "file": package.file,
        "code-sha256": package.code_sha256,
        "content-sha256": package.content_sha256,
        "runtime": package.runtime,
        "architecture": package.architecture,
        **{f"input:{name}": value for name, value in report.inputs.items()},
    }
    return Component(
        name=package.name or package.file.removesuffix(".zip"),
        version=package.version,
        type=ComponentType.APPLICATION,
        bom_ref="package",
        hashes=[_sha256(package.sha256)],
        properties=[*_properties(facts), *_kept(own), *_removed(removed)],
    )


def _component(
    one: Distribution,
    metadata: Metadata,
    wheel: tuple[str, str] | None,
    items: Sequence[Item],
    removed: Sequence[RemovedFile],
) -> Component:
    purl = PackageURL(type="pypi", name=one.name, version=one.version)
    component = Component(
        name=one.name,
        version=one.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=purl.to_string(),
        description=metadata.raw.get("summary"),
        properties=[*_kept(items), *_removed(removed)],
    )
    if one.licence is not None:
        component.licenses.add(LicenseFactory().make_from_string(one.licence))
    if wheel is not None:
        filename, sha256 = wheel
        file = PackageURL(type="pypi", name=one.name, version=one.version, qualifiers={"file_name": filename})
        component.external_references.add(
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(file.to_string()),
                hashes=[_sha256(sha256)],
                comment="the locked wheel, before slimming",
            )
        )
    return component


def _libraries(owner: Component, items: Iterable[Item]) -> Iterator[Component]:
    """Yield the native code of a distribution: what auditwheel grafted as libraries, all else as files."""
    for item in items:
        if not item.is_elf:
            continue
        folder, _, name = item.path.rpartition("/")
        grafted = _LIBRARY.fullmatch(name) if folder.endswith(".libs") else None
        yield Component(
            name=grafted["name"] if grafted else item.path,
            version=(grafted["version"].removeprefix(".") or None) if grafted else None,
            type=ComponentType.LIBRARY if grafted else ComponentType.FILE,
            bom_ref=f"{owner.bom_ref.value}#{item.path}",
            hashes=[_sha256(item.sha256)],
            properties=[Property(name=f"{_PREFIX}path", value=item.path)] if grafted else [],
        )


def _kept(items: Sequence[Item]) -> Iterator[Property]:
    lines = (f"{item.sha256} {item.path}\n" for item in items)
    facts = {
        "files": str(len(items)),
        "bytes": str(sum(item.size for item in items)),
        "files-sha256": hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest(),
    }
    return _properties(facts)


def _removed(removed: Iterable[RemovedFile]) -> Iterator[Property]:
    files: Counter[str] = Counter()
    saved: Counter[str] = Counter()
    for change in removed:
        files[change.rule] += 1
        saved[change.rule] += change.saved
    return _properties({f"slimmed:{rule}": f"{count} files, {saved[rule]} bytes" for rule, count in files.items()})


def _properties(facts: Mapping[str, str | None]) -> Iterator[Property]:
    return (Property(name=_PREFIX + name, value=value) for name, value in facts.items() if value is not None)


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


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


def graph(
    project: str | None, metadata: Mapping[str, Metadata], environment: Environment
) -> dict[str | None, list[str]]:
    """Return the distributions that each one requires, sorted; under None, those that the package itself does.

    A requirement of an extra counts if somebody asks for that extra. Without the *project*'s metadata the package
    requires every distribution that no other does.
    """
    names = set(metadata)
    extras: defaultdict[str, set[str]] = defaultdict(set)
    requirements = {name: list(_requirements(one)) for name, one in metadata.items()}
    edges: dict[str | None, set[str]] = {name: set() for name in names}
    changed = True
    while changed:
        changed = False
        for name in sorted(names):
            for requirement in requirements[name]:
                needed = str(canonicalize_name(requirement.name))
                if needed not in names or not _applies(requirement, extras[name], environment):
                    continue
                if needed not in edges[name] or not requirement.extras <= extras[needed]:
                    changed = True
                    edges[name].add(needed)
                    extras[needed] |= requirement.extras
    edges[None] = {project} & names if project is not None else set()
    for name in sorted(names, key=lambda name: (bool(_above(name, edges)), name)):
        if name not in _below(edges[None], edges):
            edges[None].add(name)
    return {name: sorted(needed) for name, needed in edges.items()}


def _requirements(one: Metadata) -> Iterator[Requirement]:
    for text in one.raw.get("requires_dist", []):
        with suppress(InvalidRequirement):  # written before there was a standard
            yield Requirement(text)


def _applies(requirement: Requirement, extras: Iterable[str], environment: Environment) -> bool:
    if requirement.marker is None:
        return True
    given: dict[str, Any] = {**environment}
    return any(requirement.marker.evaluate({**given, "extra": extra}) for extra in ("", *extras))


def _above(name: str, edges: Mapping[str | None, set[str]]) -> list[str]:
    return [other for other, needed in edges.items() if other is not None and name in needed]


def _below(starts: Iterable[str], edges: Mapping[str | None, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges[name]
    return found
