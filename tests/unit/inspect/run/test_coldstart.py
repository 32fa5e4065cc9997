"""Whose the time of imports is."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_lambda.core.model import File
from hatch_lambda.inspect.run.coldstart import PROJECT, STANDARD_LIBRARY, costs, module_owners, modules, read_imports

LOG = """import time: self [us] | cumulative | imported package
what the handler prints
import time:       100 |        100 |     numpy._core
import time:       200 |        300 |   numpy
import time:        10 |         10 |   json
import time:        50 |        360 | app
import time:         5 |          5 | numpy.late
"""


def test_imports_are_read_with_what_is_inside_them():
    """An import is written behind those that it caused."""
    app, late = read_imports(LOG)

    assert (app.module, app.own, app.total) == ("app", 0.00005, 0.00036)
    assert [inner.module for inner in app.inner] == ["numpy", "json"]
    assert [inner.module for inner in app.inner[0].inner] == ["numpy._core"]
    assert late.inner == []
    assert sorted(modules([app, late])) == ["app", "json", "numpy", "numpy._core", "numpy.late"]


def test_the_time_of_a_distribution_counts_once():
    """What numpy imports of itself is inside numpy's time already."""
    found = costs(read_imports(LOG), {"app": PROJECT, "numpy": "numpy"})

    assert {cost.owner: (cost.self_ms, cost.cumulative_ms) for cost in found} == {
        "numpy": (0.305, 0.305),
        PROJECT: (0.05, 0.36),
        STANDARD_LIBRARY: (0.01, 0.01),
    }
    assert found[0].owner == "numpy"


@pytest.mark.parametrize(
    ("path", "distribution", "module", "owner"),
    [
        ("PIL/__init__.py", "pillow", "PIL", "pillow"),
        ("PIL/_imaging.cpython-313-x86_64-linux-gnu.so", "pillow", "PIL._imaging", "pillow"),
        ("sklearn/base.py", None, "sklearn.base", "sklearn"),
        ("six.py", "six", "six", "six"),
        ("helpers.py", None, "helpers", PROJECT),
        ("app/inner/handler.py", None, "app.inner.handler", PROJECT),
    ],
)
def test_a_module_belongs_to_its_distribution_or_to_the_project(path, distribution, module, owner):
    """Where no RECORD is left, the folder at the top has to do."""
    file = File(path=path, source=Path("x"), size=1, distribution=distribution)
    assert module_owners([file], "app.inner.handler.handle") == {module: owner}


def test_files_that_are_no_modules_have_no_owner():
    """Data, and what is compiled of a module that is there."""
    files = [File(path=path, source=Path("x"), size=1) for path in ("a/data.json", "a/__pycache__/b.cpython-313.pyc")]
    assert module_owners(files, "app.handler") == {}
