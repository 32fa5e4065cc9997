"""Packages made of nothing but what a check looks at."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core.elf.linkage import Linkage
from hatch_lambda.core.model import File, Tree
from hatch_lambda.inspect.audit.checks import audit
from hatch_lambda.inspect.audit.facts import Facts, Object, collect
from hatch_lambda.inspect.audit.subject import Subject


@pytest.fixture
def package(tmp_path):
    """Write files (path to text or bytes) and return them as a package with the facts about them."""

    def package(files, runtime="python3.13", architecture="x86_64", owners=(), project=(), **more):
        tree = []
        for number, (path, content) in enumerate(dict(files).items()):
            source = tmp_path / str(number)
            source.write_bytes(content.encode() if isinstance(content, str) else content)
            owner = next((name for name, start in dict(owners).items() if path.startswith(start)), None)
            size = source.stat().st_size
            tree.append(File(path=path, source=source, size=size, distribution=owner, project=path in project))
        target = Target(
            runtime=runtimes()[runtime or "python3.13"], architecture=Architecture(architecture or "x86_64")
        )
        return Subject(
            tree=Tree.of(tree),
            facts=collect(Tree.of(tree), target.markers),
            runtime=runtimes()[runtime] if runtime else None,
            architecture=Architecture(architecture) if architecture else None,
            **more,
        )

    return package


@pytest.fixture
def linked():
    """Return a package of objects, given as what each asks of the loader."""

    def linked(objects, runtime="python3.13", architecture="x86_64", others=(), **more):
        found = []
        for path, linkage in objects.items():
            given = {"machine": "x86_64", "is_module": True, **linkage}
            found.append(Object(path=path, linkage=Linkage(**given)))
        paths = [*objects, *others]
        return Subject(
            tree=Tree.of(File(path=path, source=Path(path), size=1) for path in paths),
            facts=Facts(objects=tuple(found)),
            runtime=runtimes()[runtime] if runtime else None,
            architecture=Architecture(architecture) if architecture else None,
            **more,
        )

    return linked


@pytest.fixture
def audited():
    """Return what the audit finds, as code, severity and path."""

    def audited(subject, **told):
        found = audit(replace(subject, **told)).findings
        return [(finding.code, finding.severity.value, finding.path) for finding in found]

    return audited
