"""What a target accepts, whatever this host is."""

from __future__ import annotations

import datetime as dt

import pytest
import tomli_w
from packaging.markers import Marker, default_environment
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag

from hatch_lambda.config.target import (
    Architecture,
    Runtimes,
    Target,
    TargetHint,
    guess_target,
    highest_runtime,
    runtimes,
)
from hatch_lambda.core.codec import DocumentError, from_toml

TARGETS = [
    Target(runtime=runtime, architecture=architecture)
    for runtime in runtimes().values()
    for architecture in Architecture
]


def target(runtime, architecture=Architecture.X86_64):
    return Target(runtime=runtimes()[runtime], architecture=architecture)


def tags(runtime, architecture=Architecture.X86_64):
    return [str(tag) for tag in target(runtime, architecture).tags]


@pytest.mark.parametrize("runtime", ["python3.10", "python3.11"])
def test_amazon_linux_2_takes_wheels_up_to_glibc_2_26(runtime):
    cp = runtime.replace("python3.", "cp3")
    accepted = tags(runtime)
    assert f"{cp}-{cp}-manylinux_2_26_x86_64" in accepted
    assert not [tag for tag in accepted if "_2_27_" in tag or "_2_28_" in tag or "_2_34_" in tag]


@pytest.mark.parametrize("runtime", ["python3.12", "python3.13", "python3.14"])
def test_amazon_linux_2023_takes_wheels_up_to_glibc_2_34(runtime):
    cp = runtime.replace("python3.", "cp3")
    accepted = tags(runtime, Architecture.ARM64)
    assert f"{cp}-{cp}-manylinux_2_34_aarch64" in accepted
    assert not [tag for tag in accepted if "_2_35_" in tag]


@pytest.mark.parametrize("built_for", TARGETS, ids=str)
def test_nothing_of_another_machine_system_or_libc_is_accepted(built_for):
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[built_for.architecture.machine]
    for tag in built_for.tags:
        assert tag.platform == "any" or tag.platform.endswith(f"_{built_for.architecture.machine}")
        assert not tag.platform.endswith(other)
        assert tag.platform.startswith(("any", "manylinux", "linux_"))
        assert not tag.abi.endswith("t"), "a free-threaded build"


@pytest.mark.parametrize("built_for", TARGETS, ids=str)
def test_no_tag_comes_twice(built_for):
    assert len(set(built_for.tags)) == len(built_for.tags)


def test_the_best_tag_comes_first():
    order = tags("python3.13")
    wanted = [
        "cp313-cp313-manylinux_2_34_x86_64",
        "cp313-cp313-manylinux_2_17_x86_64",
        "cp313-cp313-manylinux2014_x86_64",
        "cp313-cp313-manylinux_2_5_x86_64",
        "cp313-cp313-manylinux1_x86_64",
        "cp313-cp313-linux_x86_64",
        "cp313-abi3-manylinux_2_34_x86_64",
        "cp313-none-manylinux_2_34_x86_64",
        "cp38-abi3-manylinux_2_34_x86_64",
        "py313-none-manylinux_2_34_x86_64",
        "py3-none-manylinux_2_34_x86_64",
        "py313-none-any",
        "py3-none-any",
        "py30-none-any",
    ]
    assert order[0] == wanted[0]
    assert [tag for tag in order if tag in wanted] == wanted


def test_arm_has_none_of_the_names_that_manylinux_gave_to_x86_alone():
    platforms = {tag.platform for tag in target("python3.13", Architecture.ARM64).tags}
    assert "manylinux2014_aarch64" in platforms
    assert not platforms & {"manylinux1_aarch64", "manylinux2010_aarch64", "manylinux_2_5_aarch64"}


@pytest.mark.parametrize("built_for", TARGETS, ids=str)
def test_every_marker_variable_is_the_targets(built_for):
    markers = built_for.markers
    assert markers.keys() == default_environment().keys()
    assert Marker(
        f"sys_platform == 'linux' and platform_machine == '{built_for.architecture.machine}'"
        f" and python_version == '{built_for.runtime.name.removeprefix('python')}' and os_name == 'posix'"
    ).evaluate(markers)
    assert not Marker("sys_platform == 'win32' or platform_system == 'Darwin'").evaluate(markers)


@pytest.mark.parametrize(
    ("requires_python", "runtime"),
    [
        (None, "python3.14"),
        ("", "python3.14"),
        (">=3.10", "python3.14"),
        (">=3.10,<3.13", "python3.12"),
        ("==3.11.*", "python3.11"),
        ("~=3.12.1", "python3.12"),
        ("<3.12", "python3.11"),
        (">=3.99", None),
        ("<3.5", None),
    ],
)
def test_the_highest_runtime_that_is_allowed_is_taken(requires_python, runtime):
    found = highest_runtime(None if requires_python is None else SpecifierSet(requires_python))
    assert (found and found.name) == runtime


def test_the_data_is_sorted_and_complete():
    known = list(runtimes().values())
    assert [runtime.end_of_support for runtime in known] == sorted(runtime.end_of_support for runtime in known)
    for name, runtime in runtimes().items():
        assert name == runtime.name == "python{}.{}".format(*runtime.python_version)
        assert runtime.glibc == {"Amazon Linux 2": (2, 26), "Amazon Linux 2023": (2, 34)}[runtime.amazon_linux]


RUNTIME = {
    "name": "python3.13",
    "python": "3.13.1",
    "bytecode-magic": 3571,
    "amazon-linux": "Amazon Linux 2023",
    "end-of-support": dt.date(2029, 6, 30),
}
NEXT = {**RUNTIME, "name": "python3.14", "python": "3.14.1"}
SYSTEM = {"name": "Amazon Linux 2023", "versions": {"GLIBC": [2, 34]}}


def decode(*entries, system=SYSTEM):
    return from_toml(tomli_w.dumps({"runtime": entries, "system": [system]}), "runtimes.toml", Runtimes)


@pytest.mark.parametrize(
    ("slip", "what"),
    [
        ({"glibc": "2.34"}, "unknown field `glibc`"),
        ({"end_of_support": dt.date(2029, 6, 30)}, "unknown field `end_of_support`"),
        ({"end-of-support": "soon"}, "Invalid RFC3339"),
        ({"python": "3.14"}, "matching regex"),
        ({"python": "3.13.1"}, "`python` is 3.13.1, which is not python3.14"),
        ({"bytecode-magic": 70_000}, "<= 65535"),
    ],
)
def test_a_slip_in_a_runtime_is_an_error_that_names_the_file_and_the_runtime(slip, what):
    """Whoever adds a runtime changes one place, and learns of a mistake there."""
    with pytest.raises(DocumentError) as caught:
        decode(RUNTIME, {**NEXT, **slip})
    message = str(caught.value)
    assert message.startswith("runtimes.toml: ")
    assert what in message
    assert '[[runtime]] "python3.14"' in message


def test_a_runtime_without_a_key_is_an_error_that_names_the_key():
    for key in NEXT:
        with pytest.raises(DocumentError, match=f"missing required field `{key}`"):
            decode(RUNTIME, {name: value for name, value in NEXT.items() if name != key})


def test_runtimes_stand_oldest_first_on_a_system_that_is_there():
    assert [runtime.name for runtime in decode(RUNTIME, NEXT).runtime] == ["python3.13", "python3.14"]
    with pytest.raises(DocumentError, match=r"python3.13 stands after python3.14, which is not older"):
        decode(NEXT, RUNTIME)
    with pytest.raises(DocumentError, match=r"python3.14: no \[\[system\]\] has the name 'Amazon Linux 2025'"):
        decode(RUNTIME, {**NEXT, "amazon-linux": "Amazon Linux 2025"})
    with pytest.raises(DocumentError, match=r"needs `GLIBC`, of two numbers - at `.* \"Amazon Linux 2023\"`"):
        decode(RUNTIME, system={**SYSTEM, "versions": {"GLIBC": [2]}})


def test_an_architecture_has_the_names_of_aws_and_of_elf():
    assert [(each.value, each.machine) for each in Architecture] == [("x86_64", "x86_64"), ("arm64", "aarch64")]
    assert str(target("python3.13", Architecture.ARM64)) == "python3.13-arm64"
    assert Tag("cp313", "cp313", "manylinux_2_17_aarch64") in target("python3.13", Architecture.ARM64).tags


SO, PYC = "a.cpython-312-aarch64-linux-gnu.so", "__pycache__/a.cpython-313.pyc"


@pytest.mark.parametrize(
    ("known", "runtime", "architecture"),
    [
        ({}, None, None),
        ({"location": "a-1.0-python3.13-x86_64.zip"}, "python3.13", "x86_64"),
        ({"location": "a-1.0-python3.13-arm64-layer.zip"}, "python3.13", "arm64"),
        ({"location": "/layer/python/lib/python3.13/site-packages"}, "python3.13", None),
        ({"location": "/layer/python"}, None, None),
        ({"paths": [SO]}, "python3.12", "arm64"),
        ({"paths": [PYC]}, "python3.13", None),
        ({"paths": [SO, PYC, f"b/{PYC}"]}, "python3.12", "arm64"),
        ({"paths": ["a.abi3.so"], "machines": ["x86_64", "aarch64", "aarch64", "riscv"]}, None, "arm64"),
        ({"location": "a-python3.13-x86_64.zip", "paths": [SO], "machines": ["aarch64"]}, "python3.13", "x86_64"),
        ({"location": "lib/python3.13/site-packages", "paths": [SO]}, "python3.13", "arm64"),
    ],
)
def test_the_surest_evidence_tells_what_a_package_is_for(known, runtime, architecture):
    """One answer for `verify`, `invoke`, `slim` and the report: each had its own."""
    assert guess_target(**known) == TargetHint(runtime=runtime, architecture=architecture)


@pytest.mark.parametrize("order", [1, -1])
def test_of_equals_the_first_by_name_is_taken_in_whatever_order_they_come(order):
    paths = ["a.cpython-312-x86_64-linux-gnu.so", SO.replace("312", "313")][::order]
    assert guess_target(paths=paths) == TargetHint(runtime="python3.12", architecture="arm64")
