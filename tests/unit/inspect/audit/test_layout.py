"""A package lies as Lambda wants it."""

from __future__ import annotations

import stat

import pytest

from hatch_lambda.core.model import Tree
from hatch_lambda.inspect.audit.layout import check_entries, check_names
from hatch_lambda.inspect.audit.subject import Subject
from hatch_lambda.stages.archive.read import ReadEntry


def told(findings):
    return [(finding.code, finding.severity.value, finding.path) for finding in findings]


def listed(*entries):
    return Subject(tree=Tree(()), entries=entries)


def entry(name, mode):
    return ReadEntry(name=name, size=1, compressed_size=1, crc32=0, mode=mode, method=0, encrypted=False)


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        (["package/app.py", "package/numpy-1.0.dist-info/METADATA"], "error"),
        (["my-app-1.0/app.py"], "warning"),
        (["package/app.py", "package/pkg/__init__.py"], None),
        (["pkg/__init__.py", "pkg/app.py"], None),
        (["python/numpy/__init__.py", "python/numpy-1.0.dist-info/METADATA"], None),
        (["python/lib/python3.13/site-packages/numpy-1.0.dist-info/METADATA"], None),
        (["app.py", "numpy-1.0.dist-info/METADATA"], None),
        (["app.py"], None),
        (["my-app.py"], None),
    ],
)
def test_a_package_in_a_folder_of_the_zip_is_found(package, files, severity):
    found = told(check_names(package(dict.fromkeys(files, ""))))
    assert found == ([("HL116", severity, files[0].partition("/")[0] + "/")] if severity else [])


@pytest.mark.parametrize(
    "path",
    [".env", "a/.env.production", "id_rsa", "keys/id_ed25519", ".aws/credentials", ".git/config", ".netrc", "a/x.p12"],
)
def test_the_name_of_a_secret_is_a_warning(package, path):
    assert told(check_names(package({path: "", "app.py": ""}))) == [("HL119", "warning", path)]


@pytest.mark.parametrize("path", [".env.example", ".envrc", "env.py", "id_rsa.pub", "cacert.pem", "git/x", "x.key"])
def test_other_names_are_not(package, path):
    certificate = "-----BEGIN CERTIFICATE-----\nabc\n"
    assert told(check_names(package({path: certificate, "app.py": ""}))) == []


def test_a_folder_of_secrets_is_told_once(package):
    assert len(told(check_names(package({f".git/{number}": "" for number in range(9)} | {"app.py": ""})))) == 1


def test_a_private_key_is_told_by_its_content_unless_a_distribution_made_it_public(package):
    files = {"a.pem": "-----BEGIN RSA PRIVATE KEY-----\n", "pkg/b.pem": "-----BEGIN PRIVATE KEY-----\n", "c.py": ""}
    assert told(check_names(package(files, owners={"pkg": "pkg/"}))) == [("HL119", "warning", "a.pem")]


def test_what_a_distribution_brought_is_public_and_no_secret(package):
    assert told(check_names(package({"pkg/.env": "", "c.py": ""}, owners={"pkg": "pkg/"}))) == []


def test_names_that_differ_only_in_case_are_noted(package):
    assert told(check_names(package({"a/X.py": "", "a/x.py": "", "b.py": ""}))) == [("HL118", "note", "a/X.py")]


@pytest.mark.parametrize(
    ("name", "mode", "bad"),
    [
        ("a.py", 0o100600, True),
        ("a.py", 0o100640, True),
        ("a.py", 0, True),
        ("a.py", 0o100644, False),
        ("a.py", 0o100444, False),
        ("a.py", None, False),
        ("a/", 0o40700, True),
        ("a/", 0o40744, True),
        ("a/", 0o40755, False),
    ],
)
def test_what_lambdas_user_may_not_read_is_an_error(name, mode, bad):
    assert told(check_entries(listed(entry(name, mode)))) == ([("HL115", "error", name.rstrip("/"))] if bad else [])


def test_links_are_told():
    assert told(check_entries(listed(entry("a", stat.S_IFLNK | 0o777)))) == [("HL117", "warning", "a")]
