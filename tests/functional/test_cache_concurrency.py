"""Many builds at once on one cache, killed ones among them; disks that are full; many projects in one call."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hatch_lambda import api
from tests.support.elf import shared_object
from tests.support.wheels import make_project, make_wheel


def content(seed, size=60_000):
    numbers = random.Random(seed)
    return "".join(f"NUMBER_{line} = {numbers.random()}\n" for line in range(size // 30))


class Bench:
    """Projects that share a wheel, and one cache for all of them."""

    def __init__(self, folder):
        self.folder, self.cache = folder, folder / "cache"
        shared = {f"shared/module{number}.py": content(number) for number in range(12)}
        shared |= {"shared/__init__.py": "", "shared/native.so": shared_object()}
        self.shared = make_wheel(folder / "wheels", "shared", shared)

    def project(self, name, *wheels):
        return make_project(self.folder / name, self.shared, *wheels)

    def projects(self, names):
        """Make projects of which every second has a wheel of its own beside the shared one."""
        return [
            self.project(name, *([make_wheel(self.folder / "wheels", f"own-{name}")] if number % 2 else ()))
            for number, name in enumerate(names)
        ]

    def environment(self, **variables):
        hidden = {"SOURCE_DATE_EPOCH"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "UV_OFFLINE": "1", "HATCH_LAMBDA_CACHE_DIR": str(self.cache), **variables}

    def start(self, *arguments, cwd=None, program=("-m", "hatch_lambda"), **variables):
        return subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, code=0, **options):
        with self.start(*arguments, **options) as process:
            stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == code, stderr
        return stdout, stderr

    def build(self, *arguments, **options):
        """Run a build and return its report."""
        return json.loads(self.run("build", "--json", *arguments, **options)[0])


def zips(project):
    return sorted((project / "dist").glob("*.zip"))


def package(project):
    (path,) = zips(project)
    return path.read_bytes()


def is_whole(path):
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return Bench(tmp_path)


def fresh(project):
    """Return the bytes of a build without a cache, made in another folder."""
    copy = project.with_name(f"{project.name}-copy") / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("dist"))
    return api.build(copy, no_cache=True).path.read_bytes()


def test_builds_at_the_same_moment_do_not_disturb_one_another(bench):
    """Three of different projects and three of one, all from nothing."""
    projects = bench.projects(["a", "b", "c"])
    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(bench.build, [*projects, *projects[:1] * 3]))
    assert [report["findings"] for report in reports] == [[]] * 6
    assert [package(project) for project in projects] == [fresh(project) for project in projects]
    assert {report["sha256"] for report in (reports[0], *reports[3:])} == {reports[0]["sha256"]}
    assert not list(bench.cache.rglob("*.tmp"))
    assert not list((bench.cache / "work").glob("build-*"))


def test_builds_while_the_cache_is_pruned_and_cleared(bench):
    """It goes on without what is taken away under its hands."""
    projects = bench.projects(["a", "b"])
    wanted = [fresh(project) for project in projects]

    def disturb(_):
        for _ in range(3):
            bench.run("cache", "prune", "--max-size", 0)
            bench.run("cache", "clear")

    with ThreadPoolExecutor(3) as pool:
        disturbing = pool.submit(disturb, None)
        for _ in range(2):
            list(pool.map(bench.build, projects))
            assert [package(project) for project in projects] == wanted
        disturbing.result()


def kill(process):
    """Kill a build and what it started, as an impatient machine does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("begin_with", ["nothing", "old zips"])
def test_a_killed_build_harms_nobody(bench, begin_with):
    """At no moment is there a zip that is not whole, and the next build is right."""
    projects = bench.projects(["a", "b"])
    wanted = [fresh(project) for project in projects]
    old = []
    if begin_with == "old zips":
        for project in projects:
            bench.build(project, "-C", "compression=fast")
            old.append(package(project))
        bench.run("cache", "clear")
    chance = random.Random(begin_with)
    for turn in range(5):
        running = [bench.start("build", "--quiet", project) for project in projects]
        time.sleep(0.15 + chance.random() * 0.5)
        for process in running:
            kill(process)
        for number, project in enumerate(projects):
            for path in zips(project):
                assert is_whole(path)
                assert path.read_bytes() in {wanted[number], *old}, turn
    for number, project in enumerate(projects):
        report = bench.build(project)
        assert package(project) == wanted[number]
        assert report["findings"] == []
        assert bench.build(project)["dependencies_from_cache"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_killed_builds_left_goes_later(bench):
    """After a day, with the next build that adds something."""
    (project,) = bench.projects(["a"])
    deadline = time.monotonic() + 20
    running = bench.start("build", project)
    while not list((bench.cache / "work").glob("build-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    kill(running)
    (left,) = (bench.cache / "work").glob("build-*")
    bench.build(project)
    assert left.exists()
    os.utime(left, (0, 0))
    bench.build(project, "--refresh")
    assert not left.exists()


# Full disks.


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system that holds 200 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k,mode=0755", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_cache_is_a_warning(bench, small_disk):
    """Before it is full, while it gets full, and when it is: always the same package."""
    (project,) = bench.projects(["a"])
    wanted = fresh(project)
    (small_disk / "ballast").write_bytes(bytes(100_000))
    bench.cache = small_disk / "cache"
    for _ in range(3):
        report = bench.build(project)
        (finding,) = report["findings"]
        assert (finding["code"], finding["severity"]) == ("HL030", "warning")
        assert finding["message"].startswith("the cache cannot be written: No space left on device: ")
        assert package(project) == wanted
    assert not list(small_disk.rglob("*.tmp"))


def test_a_full_disk_keeps_the_old_zip(bench, small_disk):
    """With an error that says where, and what to do."""
    (project,) = bench.projects(["a"])
    output = small_disk / "app.zip"
    bench.run("build", project, "-o", output, "-C", "patterns=['shared/']")
    old = output.read_bytes()

    _, told = bench.run("build", project, "-o", output, code=6)

    assert output.read_bytes() == old
    assert is_whole(output)
    assert f"{output}: the package could not be written: No space left on device" in told
    assert "hint: check the free space" in told
    assert "Traceback" not in told
    assert [path.name for path in small_disk.iterdir()] == ["app.zip"]


LIMITED = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
runpy.run_module("hatch_lambda", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("cached", [False, True])
def test_a_limit_for_files_keeps_the_old_zip(bench, cached):
    """Both when the dependencies' part is made and when it is copied."""
    pytest.importorskip("resource")
    (project,) = bench.projects(["a"])
    bench.build(project, "-C", "patterns=['shared/']")
    old = package(project)
    if cached:
        bench.build(bench.project("other"))

    _, told = bench.run("build", project, code=6, program=("-c", LIMITED))

    assert package(project) == old
    assert "File too large" in told
    assert "Traceback" not in told
    assert [path.name for path in (project / "dist").iterdir()] == [path.name for path in zips(project)]
    assert bench.build(project)["findings"] == []
    assert package(project) == fresh(project)


def test_a_folder_that_cannot_be_written_is_a_warning(bench):
    (project,) = bench.projects(["a"])
    bench.cache.write_text("a file where the folder should be")
    report = bench.build(project)
    assert {finding["code"] for finding in report["findings"]} == {"HL030"}
    assert len(report["findings"]) == len({finding["message"] for finding in report["findings"]}) <= 2
    assert package(project) == fresh(project)


# Many projects in one call.


def test_what_projects_share_is_made_once(bench):
    projects = [bench.project(name) for name in "abc"]
    reports = bench.build(*projects, "--jobs", 1)["packages"]
    assert [report["project"] for report in reports] == list(map(str, projects))
    assert [report["dependencies_from_cache"] for report in reports] == [False, True, True]
    assert [package(project) for project in projects] == [fresh(project) for project in projects]


def test_it_is_made_once_by_many_workers_too(bench):
    """The others wait for the one that makes it, with no cache and a cache alike."""
    projects = [bench.project(name) for name in "abcd"]
    for option in ("--no-cache", "--quiet"):
        reports = bench.build(*projects, "--jobs", 4, option)["packages"]
        assert sorted(report["dependencies_from_cache"] for report in reports) == [False, True, True, True]
    assert bench.cache.is_dir()


def test_the_number_of_workers_does_not_matter(bench):
    projects = bench.projects("abcd")
    wanted = [fresh(project) for project in projects]
    for jobs in (1, 4):
        bench.run("build", *projects, "--jobs", jobs, "--no-cache")
        assert [package(project) for project in projects] == wanted
        bench.run("build", *projects, "--jobs", jobs)
        assert [package(project) for project in projects] == wanted
        bench.run("cache", "clear")


def test_the_error_of_one_project_does_not_stop_the_others(bench):
    """The exit code is that of the first error, and each is told with its project."""
    good = bench.projects("ab")
    no_lock = bench.project("no-lock")
    (no_lock / "pylock.toml").write_text("not TOML")
    no_settings = bench.project("no-settings")
    (no_settings / "pyproject.toml").write_text("[tool.lambda-slim]\nruntimes = 1\n")
    missing = bench.folder / "missing"

    stdout, told = bench.run("build", good[0], no_lock, no_settings, missing, good[1], code=4)

    assert [package(project) for project in good] == [fresh(project) for project in good]
    assert told.count("error: ") == 3
    for project in (no_lock, no_settings, missing):
        assert f"error: {project}: " in told
    assert "Traceback" not in told
    assert stdout.count(".zip: ") == 2
    told = json.loads(bench.run("build", "--json", good[0], no_lock, no_settings, missing, good[1], code=4)[0])
    assert [Path(one["project"]) for one in told["packages"]] == good
    assert [(Path(one["project"]), one["exit_code"]) for one in told["errors"]] == [
        (no_lock, 4),
        (no_settings, 3),
        (missing, 3),
    ]
    assert bench.run("build", missing, good[0], no_lock, code=3)


def test_one_file_cannot_hold_many_packages(bench):
    projects = bench.projects("ab")
    _, told = bench.run("build", *projects, "-o", "app.zip", code=2)
    assert "--output" in told


# Looking after the cache.


def test_the_cache_can_be_looked_at_and_emptied(bench):
    (project,) = bench.projects(["a"])
    assert bench.run("cache", "dir")[0].strip() == str(bench.cache)
    assert json.loads(bench.run("cache", "info", "--json")[0])["bytes"] == 0
    assert not bench.cache.exists()

    bench.build(project)

    told = json.loads(bench.run("cache", "info", "--json")[0])
    on_disk = [path for path in (bench.cache / "v1").rglob("*") if path.is_file() and path.parent.name != "v1"]
    assert told["folder"] == str(bench.cache)
    assert told["bytes"] == sum(path.stat().st_size for path in on_disk)
    assert sum(kind["entries"] for kind in told["kinds"].values()) == len(on_disk)
    assert {"parts", "recent", "sections"} <= set(told["kinds"])
    assert "sections" in bench.run("cache", "info")[0]
    assert bench.run("cache", "prune")[0] == "0 B freed\n"
    bench.run("cache", "prune", "--max-size", told["bytes"] // 2)
    left = json.loads(bench.run("cache", "info", "--json")[0])["bytes"]
    assert 0 < left <= told["bytes"] // 2
    assert " freed" in bench.run("cache", "clear")[0]
    assert json.loads(bench.run("cache", "info", "--json")[0])["bytes"] == 0
    assert bench.build(project)["dependencies_from_cache"] is False
    assert bench.build(project)["dependencies_from_cache"] is True


def test_a_build_keeps_the_limit_of_its_project(bench):
    (project,) = bench.projects(["a"])
    with (project / "pyproject.toml").open("a") as settings:
        settings.write("cache-max-size = 50000\n")
    assert bench.build(project)["findings"] == []
    told = json.loads(bench.run("cache", "info", "--json", cwd=project)[0])
    assert (told["bytes"] <= 50_000, told["max_bytes"]) == (True, 50_000)
    assert package(project) == fresh(project)


def test_the_folder_can_be_named(bench):
    (project,) = bench.projects(["a"])
    bench.build(project, "--cache-dir", bench.folder / "named")
    assert (bench.folder / "named" / "v1").is_dir()
    assert not Path(bench.cache).exists()
