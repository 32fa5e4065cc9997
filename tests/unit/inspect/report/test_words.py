"""Results in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_lambda.core.model import Change, File, Finding, Severity, Stage, StageResult, Tree
from hatch_lambda.core.text import size
from hatch_lambda.inspect.package import Package, SlimmedFolder
from hatch_lambda.inspect.report.words import finding_lines, package_facts, slimmed_facts, summary_line, tables


def file(path, amount, distribution=None, **more):
    return File(path=path, source=Path(path), size=amount, distribution=distribution, **more)


def change(rule, before, after=None):
    return Change(stage=Stage.SLIM, path=f"{rule}.py", rule=rule, reason="because", before=before, after=after)


def slimmed(*files, changes=(), findings=(), runtime="python3.13", architecture="x86_64"):
    tree = Tree.of(files)
    return SlimmedFolder(
        directory=Path("lib"),
        dry_run=False,
        tree=tree,
        stages=(StageResult.of("slim", tree, 0.123),),
        changes=tuple(changes),
        findings=tuple(findings),
        runtime=runtime,
        architecture=architecture,
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (-28_135_981, "-28.1 MB"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (61_200_000, "61.2 MB"),
        (2_500_000_000, "2.5 GB"),
        (2_500_000_000_000, "2500.0 GB"),
    ],
)
def test_a_size_is_said_with_the_unit_that_fits(count, text):
    """Units of a thousand, and never ``1000.0 kB``."""
    assert size(count) == text


def test_a_finding_is_a_line_with_its_remedy():
    """Notes are shown when they are asked for; errors were raised before."""
    warning = Finding(code="HL001", severity=Severity.WARNING, message="too big", hint="less", path="a.py")
    note = Finding(code="HL002", severity=Severity.NOTE, message="well")

    assert list(finding_lines([warning, note])) == ["warning HL001: a.py: too big (less)"]
    assert list(finding_lines([note], notes=True)) == ["note HL002: well"]


def test_a_rule_is_listed_with_what_it_saved_most_first():
    """A rule that changes files removes none of them, and saved what it made smaller."""
    result = slimmed(file("a.py", 5), changes=[change("strip", 5000, 1000), change("type-stubs", 10)])
    _, rules, distributions = tables(result, width=None, everything=False)

    assert rules == [
        "rule        files   saved",
        "strip           1  4.0 kB",
        "type-stubs      1    10 B",
    ]
    assert distributions == ["distribution       size", "(no distribution)   5 B"]


def test_what_is_left_out_is_counted():
    """Ten distributions: eight, and a line for the others; all of them when everything is wanted."""
    files = [file(f"{number}.py", 100 - number, f"dist-{number}") for number in range(10)]
    *_, brief = tables(slimmed(*files), width=None, everything=False)
    *_, whole = tables(slimmed(*files), width=None, everything=True)
    *_, nine = tables(slimmed(*files[:9]), width=None, everything=False)

    assert len(brief) == 10
    assert brief[-1].split() == ["2", "other", "distributions", "(-v)", "183", "B"]
    assert len(whole) == 11
    assert len(nine) == 10
    assert nine[-1].startswith("dist-8")


def test_the_projects_own_files_are_told_from_those_of_nobody():
    """The first are in every package, the second in folders only."""
    result = slimmed(file("app.py", 2, project=True), file("stray.py", 1))

    assert [(one.name, one.size) for one in result.distributions] == [("(project)", 2), ("(no distribution)", 1)]


def test_an_unknown_target_is_not_made_up():
    """Pure wheels run anywhere."""
    assert slimmed_facts(slimmed(runtime=None), width=None)[0] == "target    x86_64"
    unknown = slimmed_facts(slimmed(runtime=None, architecture=None), width=None)
    assert unknown[0] == "target    any, as far as the wheels tell"


def package():
    return Package(
        tree=Tree.of([file("app.py", 26_214_400)]),
        stages=(),
        changes=(),
        findings=(),
        runtime="python3.13",
        architecture="arm64",
        path=Path("dist/app.zip"),
        size=5_000_000,
        sha256="00" * 32,
        content_sha256="11" * 32,
        from_cache=False,
        inputs={},
    )


def test_the_facts_of_a_package_fit_a_narrow_terminal_and_lose_nothing():
    """Digests are folded, not cut off."""
    lines = package_facts(package(), width=40)

    assert max(map(len, lines)) <= 40
    assert "".join(line[12:] for line in lines).count("0" * 64) == 1
    assert "unzipped    26.2 MB, 10 % of Lambda's" in lines
    assert "zipped      5.0 MB, 10 % of a direct" in lines


def test_a_package_in_one_line():
    """What build tools print."""
    assert summary_line(package()) == (
        f"{Path('dist/app.zip')}: 5.0 MB zipped, 26.2 MB unzipped, 1 files for python3.13 on arm64"
    )
