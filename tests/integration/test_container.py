"""Native code built in a container, with a real engine and an image made on the spot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_lambda.config.settings import SdistSettings
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core.model import Tree
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import InstallError, MissingToolError
from hatch_lambda.stages.install.sdists.bench import Bench
from hatch_lambda.stages.install.sdists.container import with_extra_files
from hatch_lambda.stages.install.sdists.engine import Containerfile
from tests.support.extensions import C_MODULE, Works, make_archive, missing, objects, setuptools_files
from tests.support.shell import Shell
from tests.support.wheels import make_project

pytestmark = [
    pytest.mark.registry,
    pytest.mark.skipif(sys.platform != "linux", reason="it is made for Linux"),
    pytest.mark.long,
]
LIMITS = ("--runtime=runc", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--network=host")
"""Without these podman asks for more than a virtual machine of few rights has."""
PACKAGES = "python3,python3-dev,python3-pip,gcc,ca-certificates"


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """Give an image of Debian 12 with Python 3.11 and a compiler, in the store of podman."""
    for program in ("podman", "runc", "debootstrap", "tar"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            missing(f"there is no {program} to make containers with")
    if os.geteuid() != 0:
        missing("debootstrap needs the rights of root")
    name = "localhost/hatch-lambda-tests:1"
    root = tmp_path_factory.mktemp("image") / "root"
    run("/usr/sbin/debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
    shutil.rmtree(root / "var/cache/apt")
    packed = root.with_suffix(".tar")
    run("tar", "-C", root, "-cf", packed, ".")
    shutil.rmtree(root)
    run("podman", "import", "--quiet", packed, name)
    packed.unlink()
    yield name
    run("podman", "rmi", "--force", name)


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing(f"{command[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout


@pytest.fixture
def works(tmp_path):
    return Works(tmp_path, tmp_path / "cache")


def build(works, source, **settings):
    return works.build(source, "python3.11", "x86_64", method="container", args=LIMITS, **settings)


def bench(works, tmp_path, **settings):
    work = tmp_path / "bench"
    work.mkdir()
    return Bench(
        target=Target(runtime=runtimes()["python3.11"], architecture=Architecture.X86_64),
        settings=SdistSettings(args=LIMITS, **settings),
        uv=Uv.find(works.environment),
        cache=works.cache,
        workspace=work,
        cwd=tmp_path,
    )


def containers():
    return run("podman", "ps", "--all", "--quiet")


STATEMENT = (
    "assert os.environ['GIVEN'] == 'by value' and os.environ['LENT'] == 'by name', 'not told';"
    "assert os.path.exists('/etc/debian_version'), 'not in the image';"
    "open('left-by-the-build', 'w')"
)


def test_native_code_is_built_in_the_image_and_nothing_is_left_behind(works, image, tmp_path):
    """Not in the user's folder, which only a copy of is in the container, and no container, even a stopped one."""
    source = works.local("cmodule", setuptools_files("cmodule", statement=STATEMENT))
    before = sorted(Path(source.directory).rglob("*"))
    works.environment["LENT"] = "by name"
    wheel = build(works, source, image=image, env=("GIVEN=by value", "LENT"))
    ((name, (machine, _)),) = objects(wheel).items()
    assert (name, machine) == ("cmodule.cpython-311-x86_64-linux-gnu.so", "EM_X86_64")
    assert sorted(Path(source.directory).rglob("*")) == before
    assert {path.owner() for path in tmp_path.rglob("*")} == {tmp_path.owner()}
    assert containers() == ""


def test_what_asks_for_no_compiler_needs_no_engine(works, monkeypatch):
    """Only the distributions that need it are built in a container."""
    files = {"pyproject.toml": setuptools_files("plain")["pyproject.toml"].replace("[]", '["plain"]'), "plain.py": ""}
    wheel = build(works, works.local("plain", files), engine="no-such-engine")
    assert wheel.name == "plain-1.0-py3-none-any.whl"


@pytest.mark.slow
def test_a_kept_wheel_needs_no_engine(works, image, tmp_path):
    source = works.sdist(make_archive(tmp_path, "kept", setuptools_files("kept")))
    first = build(works, source, image=image).read_bytes()
    assert build(works, source, image=image, engine="no-such-engine").read_bytes() == first


@pytest.mark.slow
def test_the_users_own_image_is_built_and_used(works, image, tmp_path):
    """From a file that may copy what is beside it."""
    (tmp_path / "beside.txt").write_text("told")
    file = tmp_path / "Containerfile"
    file.write_text(f"FROM {image}\nARG WORD\nCOPY beside.txt /beside.txt\nENV WORD=$WORD\n")
    statement = "assert open('/beside.txt').read() + os.environ['WORD'] == 'toldabc'"
    source = works.local("cmodule", setuptools_files("cmodule", statement=statement))
    build_args = ("--isolation=chroot", "--build-arg=WORD=abc")
    assert objects(build(works, source, containerfile=Containerfile(path=file, digest=""), build_args=build_args))


def test_libraries_of_the_image_come_along(works, image, tmp_path):
    """With the name that was asked for, and what a link leads to."""
    lent = bench(works, tmp_path, image=image, extra_files=("/lib/x86_64-linux-gnu/libz.so.1", "/etc/debian_version"))
    tree = with_extra_files(Tree(()), lent)
    assert [file.path for file in tree] == ["lib/debian_version", "lib/libz.so.1"]
    assert tree.files[1].source.read_bytes().startswith(b"\x7fELF")
    assert not tree.files[1].source.is_symlink()


@pytest.mark.slow
def test_a_library_that_the_image_has_not_is_named(works, image, tmp_path):
    with pytest.raises(InstallError, match=r"(?s)container-extra-files.*/lib/libnone\.so\.1"):
        with_extra_files(Tree(()), bench(works, tmp_path, image=image, extra_files=("/lib/libnone.so.1",)))


def test_a_failed_build_shows_its_last_lines_and_where_the_others_are(works, image):
    files = setuptools_files("broken", C_MODULE.replace("return PyUnicode", "retrun PyUnicode"))
    with pytest.raises(InstallError, match=r"broken 1\.0") as caught:
        build(works, works.local("broken", files), image=image)
    assert "retrun" in Path(caught.value.hint.rpartition(" ")[2]).read_text()
    assert containers() == ""


@pytest.mark.slow
def test_a_module_that_the_compiler_did_not_make_is_missed(works, image):
    files = setuptools_files("halfway", f"#error stop\n{C_MODULE}", optional=True)
    with pytest.raises(InstallError, match=r"halfway 1\.0 .* asked for a compiler"):
        build(works, works.local("halfway", files), image=image)


def test_an_image_that_is_not_there_is_named(works, image):
    with pytest.raises(InstallError, match=r"image localhost/none:1.*\n") as caught:
        build(works, works.local("cmodule", setuptools_files("cmodule")), image="localhost/none:1")
    assert caught.value.exit_code == 5


@pytest.mark.slow
def test_an_image_without_the_targets_python_is_told_apart(works, image, tmp_path):
    source = works.local("cmodule", setuptools_files("cmodule"))
    with pytest.raises(InstallError, match=r"the image has no Python 3\.12"):
        works.build(source, "python3.12", "x86_64", method="container", args=LIMITS, image=image)


@pytest.mark.parametrize(
    ("engine", "message"),
    [(None, "docker and podman are not on PATH"), ("podman", "podman is not on PATH")],
)
def test_without_an_engine_the_error_says_so(works, tmp_path, engine, message):
    """With the exit code for a missing program; uv and its compiler stay where they are."""
    works.environment["PATH"] = str(tmp_path)
    with pytest.raises(MissingToolError, match=message) as caught:
        build(works, works.local("cmodule", setuptools_files("cmodule")), engine=engine)
    assert caught.value.exit_code == 8


def test_an_engine_that_does_not_answer_is_passed_over_and_named(works, tmp_path):
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'the daemon is not running' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    works.environment["PATH"] = f"{tmp_path}:/bin"
    shutil.copy(tmp_path / "docker", tmp_path / "podman")
    with pytest.raises(MissingToolError, match=r"(?s)`docker info`.*the daemon is not running.*`podman info`"):
        build(works, works.local("cmodule", setuptools_files("cmodule")))


def test_a_wheel_of_the_image_that_is_too_new_is_refused(works, image):
    """Debian 12 has glibc 2.36; Amazon Linux 2 has 2.26."""
    code = C_MODULE.replace("#include <string.h>", "#include <string.h>\n#include <pthread.h>").replace(
        "memcpy(text", "pthread_t thread; pthread_create(&thread, NULL, NULL, NULL); memcpy(text"
    )
    with pytest.raises(InstallError, match=r"needs glibc 2\.34, and Amazon Linux 2 has 2\.26"):
        build(works, works.local("cmodule", setuptools_files("cmodule", code)), image=image)


def test_a_package_has_what_was_built_and_taken_there(works, image, tmp_path):
    """From the lock to the package, with the settings as people write them."""
    source = works.sdist(make_archive(tmp_path, "cmodule", setuptools_files("cmodule")))
    settings = f"""
        sdist = "container"
        container-engine = "podman"
        container-image = "{image}"
        container-args = {list(LIMITS)}
        container-extra-files = ["/lib/x86_64-linux-gnu/libz.so.1"]
    """
    project = make_project(tmp_path / "service", lock=source.pinned, settings=settings)
    options = ("-o", "app.zip", "--json", "--runtime", "python3.11", "--cache-dir", tmp_path / "cache")
    told = json.loads(Shell().hatch_lambda("build", *options, cwd=project).stdout)
    assert "HL070" in [finding["code"] for finding in told["findings"]]
    with zipfile.ZipFile(project / "app.zip") as archive:
        names = archive.namelist()
    assert {"cmodule.cpython-311-x86_64-linux-gnu.so", "lib/libz.so.1", "app.py"} < set(names)


@pytest.mark.slow
def test_a_real_distribution_is_built_in_the_image(works, image):
    wheel = build(works, works.published("markupsafe"), image=image)
    with zipfile.ZipFile(wheel) as archive:
        assert "markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so" in archive.namelist()
