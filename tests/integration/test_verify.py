"""Real wheels: the audit finds the real fault in each package, and none in sound ones."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hatch_lambda.api import verify_package

pytestmark = [pytest.mark.registry, pytest.mark.slow]

LINUX, MACOS, ARM = "x86_64-manylinux_2_28", "macos", "aarch64-manylinux_2_28"


@pytest.fixture
def installed(shell, tmp_path):
    """Install from the registry as people do, into a folder."""

    def installed(*requirements, platform=LINUX, python="3.13"):
        folder = tmp_path / "package"
        only = ("--only-binary", ":all:", "--link-mode", "copy")
        where = ("--target", folder, "--python-platform", platform, "--python-version", python)
        shell.uv("pip", "install", "--quiet", *only, *where, *requirements, cwd=tmp_path)
        return folder

    return installed


def told(package, runtime="python3.13", architecture="x86_64"):
    findings = verify_package(package, runtime=runtime, architecture=architecture).findings
    return [(found.code, found.severity.value, found.path) for found in findings if found.severity.value != "note"]


@pytest.mark.skipif(shutil.which("strip") is None, reason="there is no GNU strip")
def test_what_gnu_strip_broke_is_found(installed):
    """It exits with 0, and newer systems than Lambda's load the result: a test there proves nothing."""
    package = installed("scipy==1.16.3")
    assert told(package) == []
    objects = [path for path in package.rglob("*.so*") if path.read_bytes()[:4] == b"\x7fELF"]
    subprocess.run(["strip", *objects], check=True)
    broken = told(package)
    assert {(code, severity) for code, severity, _ in broken} == {("HL106", "error")}
    assert {path.split("-")[0] for _, _, path in broken} == {"scipy.libs/libgfortran", "scipy.libs/libscipy_openblas"}


@pytest.mark.parametrize(("platform", "code"), [(MACOS, "HL108"), (ARM, "HL101")])
def test_wheels_for_another_system_or_machine_are_found(installed, platform, code):
    package = installed("markupsafe", "cryptography", platform=platform)
    found = told(package)
    assert {(code, severity) for code, severity, _ in found} == {(code, "error")}
    assert {"cryptography/hazmat/bindings/_rust.abi3.so"} < {path for _, _, path in found}


def test_wheels_for_another_python_are_found(installed):
    assert {found[0] for found in told(installed("markupsafe", python="3.12"))} == {"HL109"}


def test_opencv_needs_a_desktop_and_its_headless_twin_does_not(installed):
    package = installed("opencv-python==4.12.0.88")
    found = told(package)
    assert {code for code, _, _ in found} <= {"HL103", "HL104"}
    assert any(code == "HL103" and severity == "error" for code, severity, _ in found)
    shutil.rmtree(package)
    assert told(installed("opencv-python-headless==4.12.0.88")) == []


def test_pydantic_asks_for_the_metadata_of_email_validator(installed):
    package = installed("pydantic[email]")
    assert told(package) == []
    (metadata,) = package.glob("email_validator-*.dist-info/METADATA")
    metadata.unlink()
    assert told(package) == [("HL110", "error", "pydantic/networks.py")]


@pytest.mark.parametrize(
    ("platform", "python", "architecture"),
    [(LINUX, "3.13", "x86_64"), ("x86_64-manylinux2014", "3.11", "x86_64"), (ARM, "3.13", "arm64")],
)
def test_sound_packages_raise_no_alarm(installed, platform, python, architecture):
    stack = ("psycopg[binary]", "lxml", "cryptography", "psutil", "uvloop", "grpcio", "shapely")
    package = installed(*stack, platform=platform, python=python)
    assert told(package, f"python{python}", architecture) == []
