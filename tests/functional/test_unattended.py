"""Where nobody watches no lock is made: what a new one chooses would ship unseen."""

from __future__ import annotations

import shutil

import pytest

from hatch_lambda import api
from hatch_lambda.errors import LockError
from hatch_lambda.pipeline.request import unattended
from tests.support.wheels import make_wheel

from .test_kinds import Site

WAYS_OUT = (
    *("`uv lock`", "commit", "require-lock", "--build-in-source"),
    *("ProjectRootDirectory", "ContextPath", "WorkingDirectory"),
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path.resolve(), monkeypatch)
    for version in ("1.0", "2.0"):
        make_wheel(site.folder / "index", "tiny", {"tiny.py": f"VERSION = '{version}'\n"}, version=version)
    site.project("tiny")
    return site


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("CI", value) for value in ("true", "True", "1", "yes", "woodpecker")), ("ARTIFACTS_DIR", "/tmp/artifacts")],
)
def test_a_missing_lock_is_an_error_that_names_what_says_so_and_the_ways_out(site, monkeypatch, name, value):
    """None is left behind either, which the next build would take."""
    monkeypatch.setenv(name, value)
    for command in (
        api.build,
        lambda root: dict(api.build_all([root]))[str(root)],
        lambda root: api.explain(root, "."),
    ):
        try:
            error = command(site.root)
        except LockError as raised:
            error = raised
        assert isinstance(error, LockError)
        assert f"there is no lock file, and {name}={value} " in error.message
        assert [word for word in WAYS_OUT if word not in error.hint] == []
    assert not (site.root / "uv.lock").exists()


@pytest.mark.parametrize("value", ["", " ", "0", "false", "FALSE", "no", "off"])
def test_a_variable_that_denies_it_is_as_good_as_none(site, monkeypatch, value):
    """Some shells set it so."""
    monkeypatch.setenv("CI", value)
    monkeypatch.setenv("ARTIFACTS_DIR", "")
    assert site.content()["tiny.py"] == b"VERSION = '2.0'\n"
    assert (site.root / "uv.lock").is_file()


def test_who_asks_for_a_lock_gets_one(site, monkeypatch):
    """By the setting, or by committing it."""
    monkeypatch.setenv("CI", "true")
    assert "HL010" in [found.code for found in site.build(require_lock=False).findings]
    assert "HL010" not in [found.code for found in site.build().findings]


def test_a_project_that_depends_on_nothing_needs_none(site, monkeypatch):
    monkeypatch.setenv("CI", "true")
    site.project()
    assert set(site.content()) == {"app.py"}


def test_a_member_that_was_copied_without_its_workspace_is_not_locked_anew(site, monkeypatch):
    """SAM's makefile method does that, and hides every warning: another version shipped."""
    workspace = site.folder / "ws"
    site.project("tiny", settings="", sources="")
    shutil.copytree(site.root, workspace / "packages" / "service")
    table = f'[tool.uv]\nno-index = true\nfind-links = ["{(site.folder / "index").as_posix()}"]\n'
    constraint = 'constraint-dependencies = ["tiny<2"]\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    (workspace / "pyproject.toml").write_text(table + constraint)
    site.lock(workspace)
    monkeypatch.setenv("ARTIFACTS_DIR", str(site.folder / "artifacts"))
    assert site.content(workspace / "packages" / "service")["tiny.py"] == b"VERSION = '1.0'\n"
    copied = shutil.copytree(workspace / "packages" / "service", site.folder / "scratch")
    with pytest.raises(LockError, match=r"there is no lock file, and ARTIFACTS_DIR="):
        site.build(copied)


def test_of_two_variables_the_one_that_everybody_knows_is_named():
    assert unattended({"CI": "1", "ARTIFACTS_DIR": "x"}) == "CI=1"
    assert unattended({}) is None
