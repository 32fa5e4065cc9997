"""Which modules are compiled, where to, and whose source something still reads."""

from __future__ import annotations

import pytest

from hatch_lambda.core.model import File, Tree
from hatch_lambda.stages.bytecode.plan import CompileOptions, plan


@pytest.fixture
def planned(tmp_path):
    """Give a function that plans for files (path to text), and returns where what goes and which sources leave."""

    def planned(files, layout="include", *, project=False):
        made = []
        for number, (path, text) in enumerate(files.items()):
            source = tmp_path / str(number)
            source.write_text(text)
            distribution = None if project else path.partition("/")[0]
            made.append(File(path=path, source=source, size=len(text), project=project, distribution=distribution))
        options = CompileOptions(layout=layout, optimize=0, interpreter="3.13.7")
        return {found.source.path: (found.path, found.replaces_source) for found in plan(Tree.of(made), options)}

    return planned


def left(plan):
    """Return the sources that stay."""
    return {path for path, (_, replaces) in plan.items() if not replaces}


def test_beside_its_source_a_module_is_where_lambdas_interpreter_looks(planned):
    assert planned({"a.py": "", "p/__init__.py": "", "p/b.c.py": "", "p/data.txt": "", "p/x.pyc": ""}) == {
        "a.py": ("__pycache__/a.cpython-313.pyc", False),
        "p/__init__.py": ("p/__pycache__/__init__.cpython-313.pyc", False),
        "p/b.c.py": ("p/__pycache__/b.c.cpython-313.pyc", False),
    }


def test_in_its_sources_place_a_module_has_the_plain_name(planned):
    assert planned({"a.py": "", "p/__init__.py": "", "p/b.py": ""}, "only") == {
        "a.py": ("a.pyc", True),
        "p/__init__.py": ("p/__init__.pyc", True),
        "p/b.py": ("p/b.pyc", True),
    }


def test_what_nobody_can_import_is_not_compiled(planned):
    """Templates of code, and what an extension module hides; of the project's own, a handler may have any name."""
    files = {"p/__init__.py": "", "p/a.py": "", "p/a.cpython-313-x86_64-linux-gnu.so": "", "p/{{name}}/x.py": ""}
    assert set(planned(files)) == {"p/__init__.py"}
    assert set(planned({"my-functions/my-handler.py": ""}, project=True)) == {"my-functions/my-handler.py"}


def test_a_source_stays_that_code_of_its_distribution_names(planned):
    files = {"p/__init__.py": "open(here / 'b.py')\n", "p/b.py": "", "p/c.py": "", "q/__init__.py": "", "q/b.py": ""}
    assert left(planned(files, "only")) == {"p/b.py"}


@pytest.mark.parametrize("code", ["glob('*.py')\n", "name.endswith('.py')\n", 'f"{name}.py"\n'])
def test_sources_stay_below_code_that_looks_for_sources(planned, code):
    files = {"p/__init__.py": "", "p/plugins/__init__.py": code, "p/plugins/b.py": "", "p/plugins/c/__init__.py": ""}
    assert left(planned(files, "only")) == {"p/plugins/__init__.py", "p/plugins/b.py", "p/plugins/c/__init__.py"}


def test_a_source_stays_where_it_may_be_data(planned):
    files = {"p/__init__.py": "", "p/templates/env.py": "", "google/api.py": "", "top.py": ""}
    assert left(planned(files, "only")) == {"p/templates/env.py", "google/api.py"}


@pytest.mark.parametrize(
    "line", ["import numba", "from numba import njit", "    import torch.jit", "import numba as nb"]
)
def test_a_source_stays_that_is_given_to_a_compiler_of_sources(planned, line):
    files = {"p/__init__.py": "", "p/fast.py": f"def f():\n    pass\n{line}\n", "p/slow.py": "import numbats\n"}
    assert left(planned(files, "only")) == {"p/fast.py"}
    assert left(planned({"numba/__init__.py": ""}, "only")) == {"numba/__init__.py"}
