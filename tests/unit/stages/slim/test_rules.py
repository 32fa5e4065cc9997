"""Each default rule removes what no program misses, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from hatch_lambda.core.codec import DocumentError, from_toml
from hatch_lambda.stages.slim.rules import Rules, all_rules

PE = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(20) + b"\x0b\x02" + bytes(110)
NATIVE_DLL = PE + bytes(128)
DOTNET_DLL = PE + bytes(112) + (8192).to_bytes(8, "little") + bytes(8)


SOUND = {"name": "sound", "reason": "nobody reads it", "patterns": ["tests/"]}


@pytest.mark.parametrize(
    ("slip", "what"),
    [
        ({"patern": ["*.c"]}, "unknown field `patern`"),
        ({"all_files": True}, "unknown field `all_files`"),
        ({"patterns": "*.c"}, "Expected `array`, got `str`"),
        ({"optional": "yes"}, "Expected `bool`, got `str`"),
        ({"unless": "import"}, "'import'"),
        ({"stage": "stripp"}, "'stripp'"),
        ({"name": "Sound"}, "matching regex"),
        ({"reason": ""}, "length >= 1"),
        ({"patterns": []}, "a rule of the stage slim needs `patterns`"),
        ({"stage": "strip"}, "only a rule of the stage slim may have `patterns`"),
        ({"unless": "imported", "patterns": ["tests/", "*.c"]}, 'with `unless = "imported"`, patterns are folders'),
        ({"readers": ["reader"]}, '`readers` need `unless = "read-at-run-time"`'),
        ({"patterns": ["*.c"], "holds": ["*.py"]}, "`holds` needs a pattern of a folder"),
        ({"family": ["boto3"]}, "`family` needs `words`"),
    ],
)
def test_a_slip_in_a_rule_is_an_error_that_names_the_file_and_the_rule(slip, what):
    """Whoever adds a rule changes one place, and learns of a mistake there."""
    text = tomli_w.dumps({"rule": [{**SOUND, "name": "first"}, {**SOUND, **slip}]})
    with pytest.raises(DocumentError) as caught:
        from_toml(text, "rules.toml", Rules)
    message = str(caught.value)
    assert message.startswith("rules.toml: ")
    assert what in message
    assert f'[[rule]] "{slip.get("name", "sound")}"' in message


def test_two_rules_have_two_names():
    with pytest.raises(DocumentError, match=r"rules.toml: two rules have the name 'sound'"):
        from_toml(tomli_w.dumps({"rule": [SOUND, SOUND]}), "rules.toml", Rules)


@pytest.mark.parametrize(
    ("path", "content", "rule"),
    [
        ("pkg/__pycache__/a.cpython-313.pyc", "", "bytecode"),
        ("pkg/a.pyi", "", "type-stubs"),
        ("pkg/src/a.c", "", "native-sources"),
        ("pkg/include/pkg/a.hpp", "", "native-sources"),
        ("pkg/_a.pyx.in", "", "native-sources"),
        ("pkg/lib/liba.a", "!<arch>\n...", "static-libraries"),
        ("pkg/lib/a.lib", "!<arch>\n...", "static-libraries"),
        ("pkg/liba.la", "# liba.la - a libtool library file", "build-leftovers"),
        ("pkg/a.o", b"\x7fELF...", "build-leftovers"),
        ("pkg/a.pyd", NATIVE_DLL, "foreign-libraries"),
        ("pkg/a.dll", NATIVE_DLL, "foreign-programs"),
        ("pkg/a.exe", NATIVE_DLL, "foreign-programs"),
        ("pkg/a.dylib", "", "foreign-libraries-macos"),
        ("share/man/man1/a.1", "", "manual-pages"),
    ],
)
def test_what_no_program_misses_goes(package, path, content, rule):
    package.write({path: content, "pkg/__init__.py": ""})
    decision = package.decide()[path]
    assert (decision.kept, decision.rule) == (False, rule)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("pkg/old.pyc", ""),
        ("pkg/__pycache__/kernel.nbi", ""),
        ("pkg/typeshed/stdlib/os.pyi", ""),
        ("pkg/templates/module.c", ""),
        ("pkg/circuit.lib", "* SPICE"),
        ("pkg/words.la", "lorem"),
        ("pkg/model.o", "o teapot"),
        ("pkg/mesh.obj", "v 1 2 3"),
        ("pkg/a.dll", DOTNET_DLL),
        ("pkg/kernel.cl", ""),
        ("pkg/docs/__init__.py", ""),
        ("pkg/examples/a.py", ""),
        ("pkg/README.md", ""),
        ("pkg/LICENSE", ""),
        ("pkg/py.typed", ""),
        ("pkg/man/page.py", ""),
        ("pkg/_vendor/foo-1.dist-info/RECORD", ""),
    ],
)
def test_what_a_program_may_read_stays(package, path, content):
    assert package.write({path: content, "pkg/__init__.py": ""}).gone() == set()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("pkg/kernel.cu", "read('kernel.cu')"),
        ("pkg/sub/kernel.cu", "read(f'{name}.cu')"),
        ("pkg/sub/kernel.cu", "glob('*.cu')"),
        ("pkg/sub/kernel.cu", "read(name + '.cu')"),
        ("pkg/a.pyi", "lazy.attach_stub(__name__, __file__)"),
    ],
)
def test_what_its_own_distribution_reads_stays(package, path, code):
    package.write({path: "", "pkg/__init__.py": code})
    decision = package.decide()[path]
    assert decision.kept
    assert "pkg/__init__.py" in decision.reason


def test_what_other_distributions_name_goes(package):
    package.write({"pkg/kernel.cu": ""}).write({"other/__init__.py": "'kernel.cu'"}, "other")
    assert package.gone() == {"pkg/kernel.cu"}


def test_computed_names_keep_only_what_is_below_the_code(package):
    package.write({"pkg/a.h": "", "pkg/tool/b.h": "", "pkg/tool/c.py": "f'{name}.h'"})
    assert package.gone() == {"pkg/a.h"}


def test_compilers_keep_their_headers(package):
    package.write({"ziglang/lib/stdio.h": ""}, "ziglang")
    assert package.gone() == set()


FILES = {"app/tests/test_x.py": "", "app/a.c": "", "app/a.pyi": "", "app/b.dylib": "", "app/bin/x": "", "bin/y": "#!"}


@pytest.mark.parametrize("project", [True, False])
def test_files_of_the_project_and_of_no_distribution_stay(package, project):
    package.write({**FILES, "app/__pycache__/a.pyc": ""}, None, project=project)
    assert package.gone() == {"app/__pycache__/a.pyc"}


def test_without_the_defaults_only_policies_apply(package):
    package.write({"pkg/a.c": "", "pkg/tests/b.py": "", "dep-1.dist-info/RECORD": ""})
    assert package.gone(append_default_patterns=False) == {"dep-1.dist-info/RECORD"}


def test_scripts_go_unless_asked_for_and_programs_stay(package):
    package.write({"bin/tool": "#!/usr/bin/python\n", "bin/uv": b"\x7fELF"})
    assert package.gone() == {"bin/tool"}
    assert package.gone(scripts=True) == set()


ELF = b"\x7fELF\0"
COPIES = ("pkg/liba.so", "pkg/liba.so.1", "pkg/liba.so.1.2")


def test_of_copies_of_a_library_the_one_that_is_linked_stays(package):
    """Wheels have copies where other systems have links; an object's own name is in each of them."""
    package.write(dict.fromkeys(COPIES, ELF + b"liba.so.1\0"))
    package.write({"other/mod.so": ELF + b"libc.so.6\0liba.so.1\0", "pkg/__init__.py": ""}, "other")
    assert package.gone() == {"pkg/liba.so", "pkg/liba.so.1.2"}
    assert package.decide()["pkg/liba.so"].rule == "library-copies"


@pytest.mark.parametrize("code", ["CDLL('liba.so')", "CDLL(folder + '/liba.so')", "CDLL(f'{name}.so')"])
def test_a_copy_that_code_opens_stays(package, code):
    package.write(dict.fromkeys(COPIES, ELF + b"liba.so.1\0"))
    package.write({"pkg/__init__.py": code, "pkg/mod.so": ELF + b"liba.so.1\0"})
    assert package.gone() == {"pkg/liba.so.1.2"}


def test_copies_of_which_nothing_tells_the_name_stay(package):
    package.write({**dict.fromkeys(COPIES, ELF + b"liba.so.1\0"), "pkg/__init__.py": "", "pkg/mod.so": ELF})
    assert package.gone() == set()


def test_libraries_of_different_content_are_no_copies(package):
    package.write({"pkg/liba.so": ELF + b"a", "pkg/liba.so.1": ELF + b"b", "pkg/mod.so": ELF + b"liba.so.1\0"})
    assert package.gone() == set()


def test_catalogues_lose_their_sources_only_where_they_are_compiled(package):
    package.write({"pkg/de/a.po": "", "pkg/de/a.mo": "", "pkg/fr/a.po": "", "pkg/__init__.py": ""})
    assert package.gone() == {"pkg/de/a.po"}
    assert package.decide()["pkg/de/a.po"].rule == "message-sources"


@pytest.mark.parametrize("code", ["open('a.po')", "glob('*.po')", "read_po(stream)", "polib.pofile(path)"])
def test_catalogues_that_their_distribution_reads_stay(package, code):
    package.write({"pkg/de/a.po": "", "pkg/de/a.mo": "", "pkg/__init__.py": code})
    assert package.gone() == set()


FLIGHT = {
    "pyarrow/flight.py": "from pyarrow._flight import x",
    "pyarrow/_flight.cpython-313-x86_64-linux-gnu.so": ELF + b"libarrow_flight.so.26\0libarrow_python_flight.so.26\0",
    "pyarrow/libarrow_flight.so.26": ELF + b"libarrow_flight.so.26\0",
    "pyarrow/libarrow_python_flight.so.26": ELF + b"libarrow_flight.so.26\0",
}
SUBSTRAIT = {
    "pyarrow/substrait.py": "",
    "pyarrow/_substrait.cpython-313-x86_64-linux-gnu.so": ELF + b"libarrow_substrait.so.26\0",
    "pyarrow/libarrow_substrait.so.26": ELF,
}


def test_optional_rules_are_off_unless_turned_on(package):
    package.write({**FLIGHT, "pyarrow/__init__.py": "", "pyarrow/py.typed": ""}, "pyarrow")
    assert package.gone() == set()
    assert package.gone(rules={"py-typed": True}) == {"pyarrow/py.typed"}
    assert package.gone(aggressive=True) == {*FLIGHT, "pyarrow/py.typed"}
    assert package.gone(aggressive=True, rules={"pyarrow-flight": False}) == {"pyarrow/py.typed"}


def test_a_default_rule_can_be_turned_off(package):
    package.write({"pkg/a.c": "", "pkg/b.pyi": "", "pkg/__init__.py": ""})
    assert package.gone(rules={"native-sources": False}) == {"pkg/b.pyi"}
    assert package.gone(append_default_patterns=False, rules={"native-sources": True}) == {"pkg/a.c"}


def test_a_library_that_another_needs_stays_though_its_module_goes(package):
    package.write(
        {**SUBSTRAIT, "pyarrow/lib.so": ELF + b"libarrow_substrait.so.26\0", "pyarrow/__init__.py": ""}, "pyarrow"
    )
    assert package.gone(aggressive=True) == {*SUBSTRAIT} - {"pyarrow/libarrow_substrait.so.26"}


@pytest.mark.parametrize("project", [True, False])
def test_what_other_code_mentions_stays(package, project):
    package.write({**FLIGHT, "pyarrow/__init__.py": "import pyarrow.flight"}, "pyarrow")
    package.write({"app.py": "from pyarrow import flight"}, None if project else "other", project=project)
    assert package.gone(aggressive=True) == set()


def test_licences_of_what_was_compiled_in_go_only_on_demand(package):
    """The distribution's own stays in any case, and so does all that programs read."""
    info = {f"dep-1.dist-info/{name}": "" for name in ("METADATA", "entry_points.txt", "licenses/LICENSE")}
    others = ("licenses/a/tests/LICENSE", "sboms/b.json", "LICENSES_bundled.txt")
    bundled = {f"dep-1.dist-info/{name}": "" for name in others}
    package.write({**info, **bundled, "dep.py": ""})
    assert package.gone() == set()
    assert package.gone(rules={"bundled-licences": True}) == {*bundled}


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        ("generators", "scipy/special/_precompute/a.py", "import scipy.special._precompute.a"),
        ("tests", "pkg/tests/a.py", "import pkg.tests.a"),
        ("tests-singular", "pkg/test/test_a.py", "import pkg.test.test_a"),
        ("service-examples", "botocore/data/s3/2006-03-01/examples-1.json", "load_data(f'{name}/examples-1')"),
        ("sample-data", "matplotlib/mpl-data/sample_data/a.csv", "cbook.get_sample_data('a.csv')"),
        ("example-datasets", "sklearn/datasets/data/iris.csv", "from sklearn.datasets import load_iris"),
        ("pyarrow-substrait", "pyarrow/substrait.py", "import pyarrow.substrait"),
    ],
)
def test_what_nobody_asks_for_goes_until_somebody_does(package, rule, path, code):
    package.write({path: "", f"{path.partition('/')[0]}/__init__.py": ""})
    decision = package.decide(rules={rule: True})[path]
    assert (decision.kept, decision.rule) == (False, rule)
    package.write({"app.py": code}, None, project=True)
    assert path in package.kept(rules={rule: True})


def test_every_rule_stands_in_a_test():
    """By its name or by what it removes: a rule that nothing tests would one day remove too much."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[3].rglob("test_*.py"))
    missing = [rule.name for rule in all_rules() if f'"{rule.name}"' not in tests]
    assert missing == []
