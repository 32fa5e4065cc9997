"""What the settings say of a container's image, unless they contradict one another."""

from __future__ import annotations

import pytest

from hatch_lambda.config.decode import decode
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.stages.install.sdists.engine import containerfile


def problems(folder, settings):
    with pytest.raises(ConfigurationError) as caught:
        containerfile(folder, decode(settings).sdist)
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
