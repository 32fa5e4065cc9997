"""A tests folder goes only if no module that stays imports it."""

from __future__ import annotations

import pytest

TESTS = {
    "pkg/__init__.py": "",
    "pkg/tests/__init__.py": "",
    "pkg/tests/test_a.py": "",
    "pkg/tests/data/a.csv": "1",
    "pkg/sub/__init__.py": "",
    "pkg/sub/tests/__init__.py": "",
    "pkg/sub/tests/helper.py": "",
}
ALL_TESTS = {path for path in TESTS if "/tests/" in path}
HELPER = {"pkg/sub/tests/__init__.py", "pkg/sub/tests/helper.py"}


def test_tests_that_nothing_imports_go(package):
    assert package.write(TESTS).gone() == ALL_TESTS


@pytest.mark.parametrize(
    "code",
    [
        "import pkg.sub.tests.helper",
        "import pkg.sub.tests.helper as helper",
        "import os, pkg.sub.tests.helper",
        "from pkg.sub.tests import helper",
        "from pkg.sub.tests.helper import thing",
        "from .sub.tests import helper",
        "from .sub.tests import (  # why (not)\n    other,\n    helper as h,\n)",
        "from .sub.tests import other, \\\n    helper",
        "from .sub.tests \\\n    import helper",
        "def f():\n    from .sub.tests import helper",
        "if TYPE_CHECKING: from .sub.tests.helper import x",
        "try: import pkg.sub.tests.helper\nexcept ImportError: pass",
        "x = 1; from pkg.sub.tests import helper",
        "importlib.import_module('pkg.sub.tests.helper')",
        '__import__("pkg.sub.tests.helper", fromlist=["x"])',
        "importlib.import_module('.sub.tests.helper', __package__)",
        "importlib.import_module(f'{__package__}.sub.tests.helper')",
        "pkgutil.resolve_name('pkg.sub.tests.helper:Thing.method')",
        "RUNNER = 'pkg.sub.tests.helper.Runner'",
        "exec('from pkg.sub.tests import helper')",
        "type X[T] = list[T]\nfrom .sub.tests import helper",  # an error to older parsers
        "def broken(:\nfrom .sub.tests import helper",
    ],
)
def test_an_imported_module_and_its_package_stay(package, code):
    package.write(TESTS | {"pkg/code.py": code})
    assert package.gone() == ALL_TESTS - HELPER
    decision = package.decide()["pkg/sub/tests/helper.py"]
    assert decision.rule == "tests"
    assert "pkg/code.py" in decision.reason


@pytest.mark.parametrize(
    "code",
    [
        "# from .sub.tests import helper",
        "'''\n>>> from pkg.sub.tests import helper\n'''",
        "'''See pkg.sub.tests.helper.'''",
        "from .sub import testing",
        "name.startswith('pkg.sub.tests.')",
        "from .sub import tests_of_something",
    ],
)
def test_what_only_talks_of_tests_keeps_none(package, code):
    assert package.write(TESTS | {"pkg/code.py": code}).gone() == ALL_TESTS


def test_dynamic_names_keep_the_whole_folder(package):
    code = "import_module(f'pkg.sub.tests.{name}')"
    assert package.write(TESTS | {"pkg/code.py": code}).gone() == ALL_TESTS - HELPER


@pytest.mark.parametrize(
    "code", ["from . import b", "from .b import x", "import pkg.tests.b", "from pkg.tests.b import x"]
)
def test_kept_tests_keep_what_they_import(package, code):
    package.write(
        {
            "pkg/__init__.py": "from .tests import a",
            "pkg/tests/__init__.py": "",
            "pkg/tests/a.py": code,
            "pkg/tests/b.py": "",
            "pkg/tests/c.py": "",
        }
    )
    assert package.gone() == {"pkg/tests/c.py"}


def test_folders_without_init_are_packages_too(package):
    package.write(
        {"pkg/__init__.py": "", "pkg/code.py": "from .tests import a", "pkg/tests/a.py": "", "pkg/tests/b.py": ""}
    )
    assert package.gone() == {"pkg/tests/b.py"}


def test_importing_a_folder_without_init_keeps_its_modules(package):
    package.write(
        {"pkg/__init__.py": "", "pkg/code.py": "import pkg.tests", "pkg/tests/a.py": "", "pkg/tests/c/d.py": ""}
    )
    assert package.gone() == {"pkg/tests/c/d.py"}


def test_entry_points_keep_what_they_name(package):
    package.write(TESTS | {"dep-1.dist-info/entry_points.txt": "[plugins]\nx = pkg.sub.tests.helper:plugin [extra]\n"})
    assert package.gone() == ALL_TESTS - HELPER


def test_the_projects_code_keeps_what_it_imports(package):
    package.write(TESTS).write({"app.py": "from pkg.sub.tests import helper"}, None, project=True)
    assert package.gone() == ALL_TESTS - HELPER


def test_code_of_no_distribution_keeps_what_it_imports(package):
    package.write(TESTS).write({"loose.py": "from pkg.sub.tests import helper"}, None)
    assert package.gone() == ALL_TESTS - HELPER


def test_compiled_modules_keep_what_they_name(package):
    package.write(TESTS | {"pkg/fast.cpython-313-x86_64-linux-gnu.so": b"\x7fELF\0pkg.sub.tests.helper\0"})
    assert package.gone() == ALL_TESTS - HELPER


def test_compiled_modules_keep_the_folder_of_a_relative_import(package):
    package.write(TESTS | {"pkg/sub/fast.so": b"\x7fELF\0helper\0tests\0"})
    assert package.gone() == ALL_TESTS - HELPER


def test_prose_in_compiled_modules_keeps_nothing(package):
    assert package.write(TESTS | {"pkg/sub/fast.so": b"\x7fELF\0number of tests done\0"}).gone() == ALL_TESTS


def test_sourceless_modules_keep_what_they_name(package):
    package.write(TESTS | {"pkg/old.pyc": b"\0\0pkg.sub.tests.helper\0"})
    assert package.gone() == ALL_TESTS - HELPER


def test_extension_modules_in_tests_stay_when_imported(package):
    package.write(
        {
            "pkg/__init__.py": "from pkg.tests import _speed",
            "pkg/tests/__init__.py": "",
            "pkg/tests/_speed.cpython-313-x86_64-linux-gnu.so": b"\x7fELF",
            "pkg/tests/_other.cpython-313-x86_64-linux-gnu.so": b"\x7fELF",
        }
    )
    assert package.gone() == {"pkg/tests/_other.cpython-313-x86_64-linux-gnu.so"}


@pytest.mark.parametrize(
    "code",
    [
        "open(join(dirname(__file__), 'tests', 'data', name))",
        "open(join(here, 'tests/data/a.csv'))",
        "open(find('a.csv'))",
    ],
)
def test_data_that_kept_code_names_stays(package, code):
    package.write(TESTS | {"pkg/code.py": code})
    assert "pkg/tests/data/a.csv" in package.kept()
    assert "pkg/tests/test_a.py" in package.gone()


def test_data_below_a_kept_test_module_stays_if_it_names_the_folder(package):
    package.write(
        {
            "pkg/__init__.py": "from .tests import a",
            "pkg/tests/__init__.py": "",
            "pkg/tests/a.py": "open(here / 'data' / name)",
            "pkg/tests/data/x.bin": "",
            "pkg/tests/more/y.bin": "",
        }
    )
    assert package.gone() == {"pkg/tests/more/y.bin"}


def test_code_removed_by_the_project_keeps_nothing(package):
    package.write(TESTS | {"pkg/code.py": "from .sub.tests import helper"})
    assert package.gone(patterns=("pkg/code.py",)) == ALL_TESTS | {"pkg/code.py"}


def test_tests_kept_by_the_project_keep_what_they_import(package):
    package.write(TESTS | {"pkg/tests/test_a.py": "from ..sub.tests import helper"})
    expected = HELPER | {"pkg/tests/__init__.py", "pkg/tests/test_a.py"}
    assert package.gone(patterns=("!pkg/tests/test_a.py",)) == ALL_TESTS - expected


def test_vendored_packages_import_themselves_by_their_own_names(package):
    package.write(
        {
            "pkg/__init__.py": "",
            "pkg/_vendor/lib/__init__.py": "from lib.tests import a",
            "pkg/_vendor/lib/tests/__init__.py": "",
            "pkg/_vendor/lib/tests/a.py": "",
        }
    )
    assert package.gone() == set()


def test_a_distribution_keeps_its_only_package_whatever_its_name(package):
    package.write({"test/__init__.py": "", "test/test_x.py": ""}, "oddly-named").write(
        {"tests/__init__.py": "", "tests/test_y.py": "", "lib/__init__.py": ""}, "careless"
    )
    assert package.gone() == {"tests/__init__.py", "tests/test_y.py"}


def test_tests_at_the_top_stay_when_imported(package):
    package.write({"tests/__init__.py": "", "tests/helper.py": "", "lib/__init__.py": "from tests import helper"})
    assert package.gone() == set()


def test_a_folder_called_test_goes_only_with_tests_in_it(package):
    package.write(
        {
            "django/test/__init__.py": "",
            "django/test/client.py": "",
            "django/__init__.py": "",
            "joblib/__init__.py": "",
            "joblib/test/__init__.py": "",
            "joblib/test/test_memory.py": "",
            "models/__init__.py": "",
            "models/test/part.csv": "",
            "models/tests/part.csv": "",
        }
    )
    assert package.gone() == {"joblib/test/__init__.py", "joblib/test/test_memory.py"}


def test_names_that_only_resemble_tests_stay(package):
    package.write(
        {
            "jinja2/tests.py": "",
            "numpy/testing/__init__.py": "",
            "pkg/doctests/test_x.py": "",
            "pkg/tests_and_more/test_x.py": "",
            "unittest2/__init__.py": "",
        }
    )
    assert package.gone() == set()


def test_generators_of_tables_go_with_the_tests_that_only_they_import(package):
    package.write(
        {
            "scipy/__init__.py": "",
            "scipy/special/_precompute/hyp2f1_data.py": "from scipy.special.tests.test_hyp2f1 import x",
            "scipy/special/tests/test_hyp2f1.py": "from scipy.special._precompute import y",
        }
    )
    assert package.kept() == {"scipy/__init__.py"}
