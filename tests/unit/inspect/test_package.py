"""The result says what happened, in numbers that add up."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import msgspec
import pytest

from hatch_lambda.core.codec import to_json
from hatch_lambda.core.model import Change, File, Finding, Severity, Stage, StageResult, Tree
from hatch_lambda.core.text import size
from hatch_lambda.inspect.package import DistributionSize, Package, RuleSaving, SlimmedFolder
from hatch_lambda.inspect.report.words import finding_lines, summary_line


def change(path, rule, before, after=None):
    return Change(stage=Stage.SLIM, path=path, rule=rule, reason="because", before=before, after=after)


TREE = Tree.of(
    [
        File(path="a.py", source=Path("x"), size=10, distribution="one"),
        File(path="b.py", source=Path("x"), size=20, distribution="two"),
        File(path="c.py", source=Path("x"), size=5, distribution="one"),
        File(path="d.py", source=Path("x"), size=1, project=True),
    ]
)
FINDINGS = (
    Finding(code="HL901", severity=Severity.WARNING, message="odd", hint="mend it", path="a.py"),
    Finding(code="HL902", severity=Severity.NOTE, message="by the way"),
)
SLIMMED = {
    "tree": TREE,
    "stages": (StageResult.of("install", TREE, 0.12345),),
    "changes": (change("x", "small", 5), change("y", "large", 100, 40), change("z", "large", 1)),
    "findings": FINDINGS,
    "runtime": "python3.13",
    "architecture": "arm64",
}
SHA256 = hashlib.sha256(b"zip").hexdigest()
PACKAGE = Package(
    **SLIMMED,
    path=Path("dist/app.zip"),
    size=61_234_567,
    sha256=SHA256,
    content_sha256="c" * 64,
    from_cache=False,
    inputs={"deflate": "1.0"},
)


def as_printed(document):
    return msgspec.json.decode(to_json(document))


def test_distributions_come_largest_first_and_add_up_to_the_package():
    distributions = PACKAGE.distributions
    assert distributions == [
        DistributionSize("two", 20),
        DistributionSize("one", 15),
        DistributionSize("(project)", 1),
    ]
    assert sum(one.size for one in distributions) == TREE.size


def test_rules_come_with_what_they_saved_most_first():
    assert PACKAGE.rules == [RuleSaving("large", 2, 61), RuleSaving("small", 1, 5)]


def test_the_document_is_json_with_every_fact():
    document = as_printed(PACKAGE.document())
    assert document["schema_version"] == 1
    assert (document["zip"], document["zip_bytes"]) == (str(Path("dist/app.zip")), 61_234_567)
    assert (document["runtime"], document["architecture"]) == ("python3.13", "arm64")
    assert (document["files"], document["unzipped_bytes"]) == (4, 36)
    assert document["unzipped_quota_bytes"] == 262_144_000
    assert document["direct_upload_quota_bytes"] == 50_000_000
    assert document["stages"] == [{"name": "install", "files": 4, "bytes": 36, "seconds": 0.123}]
    assert document["inputs"] == {"deflate": "1.0"}
    assert document["findings"][0] == {
        "code": "HL901",
        "severity": "warning",
        "message": "odd",
        "hint": "mend it",
        "path": "a.py",
    }
    assert document["changes"][1] == {
        "stage": "slim",
        "path": "y",
        "rule": "large",
        "reason": "because",
        "bytes_before": 100,
        "bytes_after": 40,
        "distribution": None,
    }


def test_a_slimmed_folder_has_the_same_document_without_a_zip():
    folder = SlimmedFolder(**SLIMMED, directory=Path("lib"), dry_run=True)
    whole, slimmed = as_printed(PACKAGE.document()), as_printed(folder.document())
    assert (slimmed.pop("directory"), slimmed.pop("dry_run")) == ("lib", True)
    assert slimmed.items() <= whole.items()
    assert not {"zip", "sha256"} & set(slimmed)


def test_the_digest_is_also_given_as_lambda_gives_it():
    assert base64.b64decode(PACKAGE.code_sha256) == hashlib.sha256(b"zip").digest()
    assert as_printed(PACKAGE.document())["code_sha256"] == PACKAGE.code_sha256


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (61_234_567, "61.2 MB"),
        (999_999_999, "1.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_are_said_as_people_say_them(count, words):
    assert size(count) == words


def test_warnings_are_told_and_notes_on_request():
    assert list(finding_lines(FINDINGS)) == ["warning HL901: a.py: odd (mend it)"]
    assert list(finding_lines(FINDINGS, notes=True))[1:] == ["note HL902: by the way"]


def test_a_package_is_summed_up_in_one_line():
    line = summary_line(PACKAGE)
    assert line == f"{Path('dist/app.zip')}: 61.2 MB zipped, 36 B unzipped, 4 files for python3.13 on arm64"
