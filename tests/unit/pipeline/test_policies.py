"""Each stage is told what the settings say, unless they contradict one another."""

from __future__ import annotations

import pytest

from hatch_lambda.config.decode import decode
from hatch_lambda.config.project import Project
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.pipeline.policies import build_policy, strip_policy


@pytest.mark.parametrize(
    ("table", "realign"),
    [
        ({}, False),
        ({"aggressive": True}, True),
        ({"rules": {"realign-segments": True}}, True),
        ({"aggressive": True, "rules": {"realign-segments": False}}, False),
    ],
)
def test_the_rule_about_segments_is_for_the_strip_stage(table, realign):
    assert strip_policy(decode(table)).realign is realign


def problems(folder, settings):
    (folder / "pyproject.toml").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        build_policy(Project.read(folder, settings))
    return caught.value.message.splitlines()


def test_a_container_has_one_image(tmp_path):
    """One of both would otherwise be ignored."""
    (problem,) = problems(tmp_path, {"container-image": "localhost/image:1", "container-file": "Containerfile"})
    assert problem.startswith("tool.lambda-slim.container-file: ")
    assert "`container-image`" in problem


def test_the_file_of_an_image_is_there(tmp_path):
    assert "Containerfile: cannot be read: No such file" in problems(tmp_path, {"container-file": "Containerfile"})[0]


@pytest.mark.parametrize(
    ("paths", "what"),
    [
        (["libpq.so.5"], "'libpq.so.5' is not the full path of a file"),
        (["/usr/lib/"], "'/usr/lib/' is not the full path of a file"),
        (["/lib/a.so", "/usr/lib/a.so", "/lib/b.so"], "'/lib/a.so' is not the only one of that name"),
    ],
)
def test_extra_files_are_named_so_that_each_has_a_place(tmp_path, paths, what):
    """All of them go into one folder."""
    assert problems(tmp_path, {"container-extra-files": paths})[0] == f"tool.lambda-slim.container-extra-files: {what}"
