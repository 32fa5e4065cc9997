"""Trees made of a few lines, for the tests of slimming."""

from __future__ import annotations

import pytest

from hatch_lambda.config.settings import SlimSettings
from hatch_lambda.core.model import File, Tree
from hatch_lambda.stages.slim.plan import plan


class Maker:
    """Writes files to a temporary folder, and asks what would stay of them."""

    def __init__(self, root):
        self.root = root
        self.files = []

    def write(self, files, distribution="dep", *, project=False):
        for path, content in files.items():
            source = self.root / path
            source.parent.mkdir(parents=True, exist_ok=True)
            data = content if isinstance(content, bytes) else content.encode()
            source.write_bytes(data)
            self.files.append(
                File(
                    path=path,
                    source=source,
                    size=len(data),
                    distribution=distribution,
                    project=project,
                )
            )
        return self

    @property
    def tree(self):
        return Tree.of(self.files)

    def decide(self, **settings):
        return {decision.file.path: decision for decision in plan(self.tree, SlimSettings(**settings))}

    def gone(self, **settings):
        return {path for path, decision in self.decide(**settings).items() if not decision.kept}

    def kept(self, **settings):
        return {path for path, decision in self.decide(**settings).items() if decision.kept}


@pytest.fixture
def package(tmp_path):
    return Maker(tmp_path)
