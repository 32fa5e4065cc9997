"""Metadata that is asked for is there, and what is never imported is told."""

from __future__ import annotations

import pytest

from hatch_lambda.core.source.imports import imports, imports_by_name, metadata_uses, quoted
from hatch_lambda.inspect.audit.distributions import check_metadata, find_unused

ASK = "from importlib.metadata import version\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{ASK}x = version('email-validator')", ["email-validator"]),
        (f'{ASK}def f():\n    if version("a.b").split()[0]:\n        pass', ["a.b"]),
        (f"{ASK}__version__ = version(__name__)", [""]),
        ("import importlib.metadata as m\nm.metadata(\n  'a')", ["a"]),
        ("import pkg_resources\npkg_resources.get_distribution('a').version", ["a"]),
        (f"{ASK}try:\n    v = version('a')\nexcept Exception:\n    v = None", []),
        (
            f"{ASK}def f():\n    try:\n\n        # why\n        if x:\n            version('a')\n    except E: ...",
            [],
        ),
        (f"{ASK}with suppress(Exception):\n    v = version('a')", []),
        (f"{ASK}try:\n    pass\nexcept E:\n    pass\nversion('a')", ["a"]),
        (f"{ASK}# version('a')\n>>> version('a')", []),
        (f"{ASK}def version(__name__):\n    pass", []),
        ("x = version('a')", []),
        ("from importlib.resources import files\nfiles('a')", []),
    ],
)
def test_asks_for_metadata_are_found_unless_they_are_guarded(text, names):
    assert list(metadata_uses(text.encode())) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import a, b.c as d\n", ["a", "b.c"]),
        ("from a.b import c, d as e  # x\n", ["a.b.c", "a.b.d"]),
        ("from a import (\n  b,  # x\n  c as d,\n)\n", ["a.b", "a.c"]),
        ("from a import (b, c)\n", ["a.b", "a.c"]),
        ("from a import *\nfrom . import b\nfrom .c import d\n", ["a.*", ".b", ".c.d"]),
        ("from .. import b\nfrom ..c import *\n", ["..b", "..c.*"]),
        ("from a import b, \\\n  c\nimport d, \\\n  e\n", ["a.b", "a.c", "d", "e"]),
        ("if x: import a; import b\n", ["a", "b"]),
        ("try: from a import b\n", ["a.b"]),
        ("import a  # from b import c\n", ["a"]),
        ("import\ta\r\nfrom\tb\timport\tc\r\n", ["a", "b.c"]),
        ("from importer import imports\nimport imports, b\n", ["importer.imports", "imports", "b"]),
        (">>> import a\n# import b\nimportant = 1\n", []),
    ],
)
def test_imports_are_found(text, names):
    assert list(imports(text.encode())) == names


def test_imports_by_name_are_found():
    assert list(imports_by_name(b"import_module('a.b')\n__import__('c')")) == ["a.b", "c"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("INSTALLED = ['a.apps', \"b\"]", ["a.apps", "b"]),
        ("run('a.b:main', 'c/d.py', 'e-f')", ["a.b", "c", "e"]),
        ("f'a.b.{name}' + 'c.' + name", ["a.b", "c"]),
        ("'''See a.b, and c'''\n>>> 'd'", []),
        ("connect('postgresql+pg8000://')", ["postgresql"]),
    ],
)
def test_names_in_strings_may_be_modules(text, names):
    assert [found.module for found in quoted(text.encode())] == names


FILES = {
    "pydantic/networks.py": f"{ASK}def f():\n    return version('email-validator')\n",
    "email_validator/__init__.py": "",
    "pydantic-2.0.dist-info/METADATA": "Name: pydantic\n",
}


def test_metadata_that_went_although_somebody_asks_is_an_error(package, audited):
    """The package that slimming without a look at the code makes of pydantic's EmailStr."""
    assert audited(package(FILES)) == [("HL110", "error", "pydantic/networks.py")]
    (finding,) = check_metadata(package(FILES))
    assert "email-validator" in finding.message


@pytest.mark.parametrize("prefix", ["", "python/", "python/lib/python3.13/site-packages/"])
def test_metadata_that_is_there_and_distributions_that_are_not_are_no_finding(package, prefix):
    described = {**FILES, "email_validator-2.3.0.dist-info/METADATA": "Name: email-validator\n"}
    absent = {path: text for path, text in FILES.items() if not path.startswith("email")}
    for files in (described, absent):
        assert list(check_metadata(package({prefix + path: text for path, text in files.items()}))) == []
    assert len(list(check_metadata(package({prefix + path: text for path, text in FILES.items()})))) == 1


OWNERS = {"a": "a", "b": "b", "c": "c", "d": "d", "plug": "plug"}


def unused(package, files, owners=OWNERS, **more):
    return [(item.name, item.required_by) for item in find_unused(package(files, owners=owners, **more))]


def test_distributions_that_no_import_reaches_are_told_with_who_requires_them(package):
    files = {
        "handler.py": "import a\n",
        "a/__init__.py": "from b.x import y\n",
        "b/x.py": "import os\n",
        "c/__init__.py": "import d\n",
        "c-1.0.dist-info/METADATA": "Requires-Dist: d>=1\nRequires-Dist: a; extra == 'x'\n\nRequires-Dist: b\n",
        "d.py": "x = 1\n" * 100,
    }
    assert unused(package, files) == [("d", ("c",)), ("c", ())]


def test_plug_ins_and_names_in_strings_of_the_project_count_as_reached(package):
    files = {
        "handler.py": "INSTALLED = ['c.apps']\n",
        "c/__init__.py": "",
        "plug/__init__.py": "import d\n",
        "plug-1.0.dist-info/entry_points.txt": "[some.group]\nx = plug:x\n",
        "d/__init__.py": "",
        "b/__init__.py": "",
        "b-1.0.dist-info/entry_points.txt": "[console_scripts]\nb = b:main\n",
    }
    assert unused(package, files) == [("b", ())]


def test_a_compiled_distribution_imports_what_it_requires(package):
    files = {
        "handler.py": "import a\n",
        "a/__init__.py": "",
        "a-1.0.dist-info/METADATA": "Name: a\nRequires-Dist: b\n",
        "b/__init__.py": "",
    }
    assert unused(package, files) == [("b", ("a",))]
    assert unused(package, {**files, "a/fast.so": b"\x7fELF" + bytes(60)}) == []


def test_the_parts_of_a_namespace_package_are_told_apart(package):
    owners = {"a": "google/cloud/a", "b": "google/cloud/b"}
    files = {"google/cloud/a/__init__.py": "", "google/cloud/b/__init__.py": ""}
    assert unused(package, {"h.py": "from google.cloud import a\n", **files}, owners) == [("b", ())]
    assert unused(package, {"h.py": "from google.cloud import (\n  a\n)\n", **files}, owners) == [("b", ())]
    assert unused(package, {"h.py": "from google.cloud import *\n", **files}, owners) == []
