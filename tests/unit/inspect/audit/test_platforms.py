"""What the tags of wheels tell."""

from __future__ import annotations

import pytest
from packaging.tags import parse_tag

from hatch_lambda.config.target import TargetHint, guess_target
from hatch_lambda.inspect.audit.layout import check_platforms


def tags(**wheels):
    return {
        name: frozenset(tag for text in tag_set.split() for tag in parse_tag(text)) for name, tag_set in wheels.items()
    }


NATIVE = "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64"
LAMBDA = TargetHint(runtime="python3.13", architecture="x86_64")


@pytest.mark.parametrize(
    ("wheels", "runtime", "architecture"),
    [
        ({}, None, None),
        ({"pure": "py3-none-any"}, None, None),
        ({"universal": "py2.py3-none-any"}, None, None),
        ({"native": NATIVE, "pure": "py3-none-any"}, "python3.13", "x86_64"),
        ({"arm": "cp312-cp312-manylinux_2_28_aarch64"}, "python3.12", "arm64"),
        ({"stable": "cp39-abi3-manylinux2010_x86_64"}, None, "x86_64"),
        ({"binary": "py3-none-manylinux1_x86_64"}, None, "x86_64"),
        ({"built": "cp313-cp313-linux_aarch64"}, "python3.13", "arm64"),
        ({"apple": "cp313-cp313-macosx_11_0_arm64"}, "python3.13", None),
        ({"one": NATIVE, "two": NATIVE, "old": "cp312-cp312-manylinux_2_17_aarch64"}, "python3.13", "x86_64"),
    ],
)
def test_compiled_wheels_tell_the_target(wheels, runtime, architecture):
    """Most of them, where they disagree; pure ones tell nothing."""
    assert guess_target(tags=tags(**wheels)) == TargetHint(runtime=runtime, architecture=architecture)


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("cp313-cp313-manylinux_2_17_aarch64", "manylinux_2_17_aarch64"),
        ("cp313-cp313-macosx_11_0_arm64", "macosx_11_0_arm64"),
        ("cp313-cp313-win_amd64", "win_amd64"),
        ("cp313-cp313-musllinux_1_2_x86_64", "musllinux_1_2_x86_64"),
        ("py3-none-win32", "win32"),
        ("cp311-cp311-manylinux_2_17_x86_64 cp312-cp312-manylinux_2_17_x86_64", "python3.11, python3.12"),
        ("cp312-none-any", None),
        ("py3-none-any", None),
        ("cp39-abi3-manylinux_2_17_x86_64", None),
        (NATIVE, None),
        ("cp313-cp313-manylinux_2_17_x86_64 cp313-cp313-manylinux_2_17_aarch64", None),
    ],
)
def test_what_does_not_fit_is_named(tag, told):
    """With what it is for."""
    findings = list(check_platforms(tags(native=NATIVE, other=tag), LAMBDA))

    expected = [] if told is None else [("HL007", f"not for python3.13 on x86_64: other is for {told}")]
    assert [(finding.code, finding.message) for finding in findings] == expected


def test_many_are_counted():
    """A laptop's whole folder would fill the screen."""
    apple = {f"apple{number}": "cp313-cp313-macosx_11_0_arm64" for number in range(7)}
    (finding,) = check_platforms(tags(**apple), TargetHint())

    assert finding.message.startswith("not for Lambda: apple0 is for macosx_11_0_arm64; ")
    assert finding.message.endswith("; and 2 more")
