"""The project's patterns have the last word."""

from __future__ import annotations

import pytest

from hatch_lambda.errors import ConfigurationError
from hatch_lambda.stages.slim.rules import ProjectPatterns


def kept(patterns, *paths):
    judge = ProjectPatterns.of(patterns).judge
    return [path for path in paths if (verdict := judge(path)) is None or verdict.kept]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["numpy/**", "!numpy/__init__.py"], ["numpy/__init__.py", "pandas/b.md"]),
        (["numpy/", "!numpy/__init__.py"], ["numpy/__init__.py", "pandas/b.md"]),
        (["**/*.md", "!numpy/**/*.md"], ["numpy/__init__.py", "numpy/tests/a.md"]),
        (["!**/tests/**", "numpy/tests/"], ["numpy/__init__.py", "pandas/b.md"]),
        (["numpy/", "!numpy/"], ["numpy/__init__.py", "numpy/tests/a.md", "pandas/b.md"]),
        (["*", "!*/", "!*.py"], ["numpy/__init__.py"]),
        (["*.md", "!numpy/"], ["numpy/__init__.py"]),
        (["!numpy/", "*.md"], ["numpy/__init__.py"]),
    ],
)
def test_the_last_match_decides(patterns, expected):
    assert kept(patterns, "numpy/__init__.py", "numpy/tests/a.md", "pandas/b.md") == expected


@pytest.mark.parametrize("pattern", ["", "!", "/", "[", "[z-a]", "a\\", "# note", "./numpy", "!../x", "   "])
def test_a_pattern_that_can_match_nothing_is_refused_by_name(pattern):
    with pytest.raises(ConfigurationError) as caught:
        ProjectPatterns.of(["*.md", pattern])
    assert "tool.lambda-slim.patterns" in caught.value.message
    assert repr(pattern) in caught.value.message


def test_the_deciding_pattern_is_named(package):
    package.write({"a/x.md": "", "a/y.md": "", "a/z.py": ""})
    decisions = package.decide(patterns=("*.md", "!y.md"))
    assert [(d.kept, d.rule, d.pattern) for d in decisions.values()] == [
        (False, "patterns", "*.md"),
        (True, "patterns", "!y.md"),
        (True, "default", None),
    ]


def test_patterns_overrule_the_conditions(package):
    package.write(
        {
            "scipy/__init__.py": "from .linalg.tests import helper",
            "scipy/linalg/tests/helper.py": "",
            "scipy/stats/tests/test_x.py": "",
        }
    )
    assert package.gone(patterns=("helper.py", "!scipy/stats/**/tests/**")) == {"scipy/linalg/tests/helper.py"}


def test_patterns_remove_the_projects_files_and_metadata_too(package):
    package.write({"app/notes.md": ""}, None, project=True).write({"dep-1.dist-info/METADATA": ""})
    assert package.gone(patterns=("*.md", "**/METADATA")) == {"app/notes.md", "dep-1.dist-info/METADATA"}
