"""A package is called alike by every door, and found again by its name alone."""

from __future__ import annotations

import pytest

from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.pipeline.outputs import package_name, packages_in, packages_of

TARGET = Target(runtime=runtimes()["python3.13"], architecture=Architecture.ARM64)


@pytest.mark.parametrize(
    ("version", "name"),
    [("1.0", "demo-1.0-python3.13-arm64.zip"), (None, "demo-python3.13-arm64.zip")],
)
def test_the_name_says_what_is_inside_and_what_it_runs_on(version, name):
    assert package_name("demo", version, TARGET) == name


def test_only_what_was_made_here_is_found(tmp_path):
    made = [
        "demo-1.0-python3.13-arm64.zip",
        "demo-2.0+local.1-python3.9-x86_64.zip",
        "demo-python3.13-arm64.zip",
        "demo-1.0-thumbnail-python3.13-arm64.zip",
        "demo-1.0-python3.13-arm64-layer.zip",
        "demo-1.0-python3.13-arm64-layer-2.json",
        "demo-1.0-python3.13-arm64-layer-permission-123456789012.json",
        "demo_lambda-1.0-cp313-cp313-manylinux_2_34_aarch64.whl",
        ".demo-1.0-python3.13-arm64.0123abcd.old.tmp",
        ".demo-1.0-python3.13-arm64.zip.0123abcd.tmp",
    ]
    foreign = [
        "demo-1.0-py3-none-any.whl",
        "demo-1.0.tar.gz",
        "demo-1.0.zip",
        "demo-1.0-python3.13-arm64.zip.bak",
        "demo-1.0-python3.13-sparc.zip",
        "demo_tools-1.0-python3.13-arm64.zip",
        "mydemo-1.0-python3.13-arm64.zip",
        "demo-extra-1.0-python3.13-arm64.zip",
        ".demo-1.0-python3.13-arm64.zip.tmp",
        "demoX1.0-python3.13-arm64.zip",
    ]
    for name in (*made, *foreign):
        (tmp_path / name).write_text("x")
    (tmp_path / "demo-3.0-python3.13-arm64.zip").mkdir()
    assert sorted(path.name for path in packages_in(tmp_path, "demo")) == sorted(made)


def test_a_name_with_signs_of_patterns_finds_itself_alone(tmp_path):
    for name in ("a.c", "abc", "(x"):
        (tmp_path / f"{name}-1-python3.13-arm64.zip").write_text("x")
    assert [path.name[:3] for path in packages_in(tmp_path, "a.c")] == ["a.c"]
    assert [path.name[:2] for path in packages_in(tmp_path, "(x")] == ["(x"]


def test_every_name_that_is_given_is_found(tmp_path):
    for runtime in runtimes().values():
        for architecture in Architecture:
            for version in ("1!2.0rc1.post2.dev3+x.1", None):
                target = Target(runtime=runtime, architecture=architecture)
                (tmp_path / package_name("my service", version, target)).write_text("x")
    assert len(list(packages_in(tmp_path, "my service"))) == len(list(tmp_path.iterdir()))


def test_a_killed_builds_leftover_of_a_name_of_ones_own_is_found(tmp_path):
    for name in (
        ".app.zip.0123abcd.tmp",
        ".app.zip.tmp",
        "app.zip",
        ".other.zip.0123abcd.tmp",
        ".appXzip.0123abcd.tmp",
    ):
        (tmp_path / name).write_text("x")
    assert [path.name for path in packages_of(tmp_path / "app.zip")] == [".app.zip.0123abcd.tmp", "app.zip"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert list(packages_in(tmp_path / "absent", "demo")) == []
    assert list(packages_of(tmp_path / "absent" / "app.zip")) == []
