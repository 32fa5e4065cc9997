"""Nothing gets into the package, or out of its folder, by its name."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatch_lambda.core.files import package_path, walk
from hatch_lambda.errors import InstallError

PIECES = st.sampled_from(["..", ".", "", "a", "b.py", "...", "C:", "\\", "\0", " ", "é"])


@given(st.lists(PIECES, max_size=6).map("/".join) | st.text(max_size=20))
@example("a/../../b")
@example("./C:x")
@example("a/..")
def test_an_accepted_name_stays_in_the_package(name):
    try:
        path = package_path(name, "evil")
    except InstallError as error:
        assert repr(name) in error.message  # noqa: PT017 - either outcome is right
        return
    joined = posixpath.normpath(posixpath.join("/package", path))
    assert joined == f"/package/{path}"
    assert not {"", ".", ".."} & set(path.split("/"))
    assert not {"\\", "\0"} & set(path)
    assert path[1:2] != ":"


@given(st.lists(st.text("abc.-_ é", min_size=1).filter(lambda text: text not in {".", ".."}), min_size=1))
def test_an_honest_name_is_kept_as_it_is(parts):
    name = "/".join(parts)
    assert package_path(name, "good") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../evil",
        "a/../../evil",
        "/etc/passwd",
        "//host/share",
        "a/../b",
        "C:evil",
        "C:/evil",
    ],
)
def test_a_hostile_name_is_refused_with_whose_it_is(name):
    with pytest.raises(InstallError) as caught:
        package_path(name, "some-distribution")
    assert caught.value.message == f"some-distribution: the file name {name!r} would leave the package"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        *(
            (name, "no two systems read alike")
            for name in ("a\\..\\evil", "a\0b", "a\nb", "a\x1b[2Jb", "a\x7f", "a\x9b2J")
        ),
        ("\udcff.py", "is not UTF-8"),
        ("a" * 256, "is longer than the 255 bytes"),
        ("é" * 128, "is longer than the 255 bytes"),
        ("/".join(["a" * 250] * 17), "is longer than the 255 bytes, or its path than the 4000"),
        ("a/" * 65 + "b", "is more than 64 folders deep"),
    ],
)
def test_a_name_that_not_every_system_can_have_is_refused(name, told):
    with pytest.raises(InstallError, match=told):
        package_path(name, "some-distribution")


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "a/" * 64 + "b", "a b", "a..b/...", "日本語.py"])
def test_a_name_that_every_system_can_have_is_kept(name):
    assert package_path(name, "good") == name


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "sub" / "b.txt").write_text("b")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "file").write_text("s")
    return root


def paths(folder, *arguments):
    found = list(walk(folder, *arguments))
    for path, source in found:
        assert source == folder / path
    return sorted(path for path, _ in found)


def is_no_link(path):
    return path != "link"


def test_every_file_is_found_and_no_folder(folder):
    (folder / "empty").mkdir()
    assert paths(folder) == ["a.txt", "sub/b.txt"]


def test_a_folder_that_is_not_entered_is_not_even_read(folder):
    entered = []
    assert paths(folder, entered.append) == ["a.txt"]
    assert entered == ["sub"]


def test_a_link_to_a_file_inside_counts_as_that_file(folder):
    (folder / "link").symlink_to("sub/b.txt")
    assert paths(folder) == ["a.txt", "link", "sub/b.txt"]


def test_a_link_to_a_folder_is_not_followed_even_in_a_circle(folder):
    (folder / "again").symlink_to("sub", target_is_directory=True)
    (folder / "sub" / "up").symlink_to("..", target_is_directory=True)
    assert paths(folder) == ["a.txt", "sub/b.txt"]


def test_links_that_lead_nowhere_are_no_files(folder):
    (folder / "dangling").symlink_to("absent")
    (folder / "circle").symlink_to("circle")
    assert paths(folder) == ["a.txt", "sub/b.txt"]


@pytest.mark.parametrize("target", ["../secret", "../root-beside/file", "../root-beside", "..", "../absent", "/"])
def test_a_link_that_leaves_the_folder_is_refused_with_its_name(folder, target):
    (folder / "sub" / "link").symlink_to(os.path.join("..", target))  # noqa: PTH118 - also for an absolute one
    with pytest.raises(InstallError, match=r"^sub/link: the symbolic link leads out of"):
        paths(folder)


@pytest.mark.parametrize("target", ["../secret", "../root-beside"])
def test_a_link_that_nobody_wants_may_lead_anywhere(folder, target):
    (folder / "link").symlink_to(target)
    assert paths(folder, lambda _: True, is_no_link) == ["a.txt", "sub/b.txt"]


def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "here").symlink_to(folder, target_is_directory=True)
    (folder / "link").symlink_to("a.txt")
    assert paths(tmp_path / "here") == ["a.txt", "link", "sub/b.txt"]


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it():
    with pytest.raises(InstallError, match="/absent: No such file or directory"):
        paths(Path("/absent"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_opened(folder):
    os.mkfifo(folder / "pipe")
    assert paths(folder) == ["a.txt", "sub/b.txt"]
