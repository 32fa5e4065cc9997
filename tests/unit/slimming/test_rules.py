"""Each default rule removes what no program misses, and nothing else."""

from __future__ import annotations

import re

import pytest

from hatch_lambda.data import load
from hatch_lambda.slimming.rules import Unless, all_rules

PE = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(20) + b"\x0b\x02" + bytes(110)
NATIVE_DLL = PE + bytes(128)
DOTNET_DLL = PE + bytes(112) + (8192).to_bytes(8, "little") + bytes(8)


def test_every_rule_has_a_name_of_its_own_and_a_reason():
    rules = load("rules.toml")["rule"]
    known = {
        *("name", "reason", "patterns", "unless", "starts-with", "readers", "spared", "holds", "all-files"),
        *("words", "family", "beside", "copies", "metadata", "optional", "stage"),
    }
    assert len({rule["name"] for rule in rules}) == len(rules)
    for rule in rules:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule["name"])
        assert rule["reason"]
        assert rule["patterns"] if "stage" not in rule else "patterns" not in rule
        assert set(rule) <= known


def test_rules_about_imports_name_folders_only():
    for rule in all_rules():
        if rule.unless is Unless.IMPORTED:
            assert rule.folders
            assert not rule.suffixes
            assert not rule.others


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
