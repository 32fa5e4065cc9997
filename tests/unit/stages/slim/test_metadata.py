"""Metadata that programs or audits read stays; notes between installers go."""

from __future__ import annotations

import pytest

PREFIX = "my_dep-1.0.dist-info/"
READ = {
    f"{PREFIX}{name}": ""
    for name in (
        "METADATA",
        "entry_points.txt",
        "top_level.txt",
        "LICENSE.md",
        "licenses/sub/tests/LICENSE",
        "licenses/a.c",
        "sboms/auditwheel.cdx.json",
        "pbr.json",
    )
}
NOTES = {f"{PREFIX}{name}": "" for name in ("RECORD", "WHEEL", "zip-safe")}
LEFTOVERS = {
    f"{PREFIX}{name}": "" for name in ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")
}
ALL = READ | NOTES | LEFTOVERS | {".lock": ""}


@pytest.fixture
def metadata(package):
    return package.write(ALL, "my-dep")


def test_minimal_keeps_what_programs_and_audits_read(metadata):
    assert metadata.kept() == set(READ)


def test_keep_keeps_all_but_what_installers_left(metadata):
    assert metadata.kept(dist_info="keep") == set(READ | NOTES)


def test_remove_removes_all(metadata):
    assert metadata.kept(dist_info="remove") == set()


def test_remove_spares_distributions_in_any_spelling(metadata):
    assert metadata.kept(dist_info="remove", keep_dist_info=("My.Dep",)) == set(READ)


def test_leftovers_are_told_apart(metadata):
    assert {metadata.decide(dist_info="keep")[path].rule for path in (*LEFTOVERS, ".lock")} == {"installer-leftovers"}


def test_egg_info_keeps_what_replaces_metadata(package):
    prefix = "old-1.0-py3.13.egg-info/"
    package.write({f"{prefix}{name}": "" for name in ("PKG-INFO", "requires.txt", "SOURCES.txt", "top_level.txt")})
    assert package.gone() == {f"{prefix}SOURCES.txt"}


def test_the_projects_own_metadata_follows_the_policy_too(package):
    package.write(ALL, "my-dep", project=True)
    assert package.gone(dist_info="remove") == set(ALL)


@pytest.mark.parametrize(
    "code", ["importlib.metadata.packages_distributions()", "from importlib import metadata\nmetadata.files('x')"]
)
def test_lists_of_files_stay_where_code_asks_for_them(metadata, code):
    metadata.write({"other/__init__.py": code}, "other")
    assert metadata.gone() == set(LEFTOVERS | {".lock": ""}) | {f"{PREFIX}WHEEL", f"{PREFIX}zip-safe"}


def test_the_library_that_answers_does_not_ask(metadata):
    metadata.write({"importlib_metadata/__init__.py": "def packages_distributions(): importlib"}, "importlib-metadata")
    assert f"{PREFIX}RECORD" in metadata.gone()
