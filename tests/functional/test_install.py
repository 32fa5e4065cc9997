"""What uv makes of wheels, honest and malicious ones, and what of it comes into the package."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatch_lambda.config.project import Project
from hatch_lambda.config.settings import ProjectSettings, SdistSettings, Settings, SlimSettings
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.dist_info import digest, renew
from hatch_lambda.core.model import Tree
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import InstallError
from hatch_lambda.stages.install.distributions import read_tree, refuse_conflicts, take_distributions
from hatch_lambda.stages.install.project import take_project
from hatch_lambda.stages.install.wheel import unpack
from hatch_lambda.stages.install.writing_back import write_back
from hatch_lambda.stages.slim.plan import apply, plan
from tests.support.wheels import make_wheel, pylock

TARGET = Target(runtime=runtimes()["python3.13"], architecture=Architecture.X86_64)
HOSTS_OWN = {".lock", "uv_cache.json", "uv_build.json", "direct_url.json", "INSTALLER", "REQUESTED"}
LEAST = SlimSettings(append_default_patterns=False, dist_info="keep", scripts=True)
"""As little slimming as there can be."""


class Bench:
    """A workspace with spaces in its path, a cache of uv's own, and all that lies around them."""

    def __init__(self, folder, target=TARGET):
        self.folder = folder
        self.index = folder / "index"
        self.work = folder / "work space" / "build"
        self.work.mkdir(parents=True)
        self.cache = folder / "uv-cache"
        self.target = target
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        self.uv = Uv.find({**kept, "UV_CACHE_DIR": str(self.cache), "UV_OFFLINE": "1"})

    def wheel(self, name, files=(), **more):
        return make_wheel(self.index, name, files, **more)

    def take(self, *wheels, **hashes):
        return take_distributions(pylock(*wheels, **hashes), [], self.bench())

    def bench(self):
        from hatch_lambda.stages.install.sdists import bench

        return bench.Bench(
            target=self.target,
            settings=SdistSettings(),
            uv=self.uv,
            cache=Cache(root=None),
            workspace=self.work,
            cwd=self.folder,
        )

    def tree(self, *wheels):
        return {file.path: file for file in self.take(*wheels)[0]}

    def outside(self):
        """Return every file that is neither in the workspace nor uv's or ours before."""
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and not {self.work, self.cache, self.index} & set(path.parents)
        )

    def refusal(self, *wheels):
        with pytest.raises(InstallError) as caught:
            refuse_conflicts(self.take(*wheels)[0])
        assert self.outside() == []
        return str(caught.value)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path.resolve())


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_locked_wheels_come_whole_and_belong_to_their_distributions(bench):
    one = bench.wheel("one", {"one/__init__.py": "1\n", "one/data/x.json": "{}"})
    two = bench.wheel("Two.Parts", {"two_parts.py": "2\n"}, version="2.0")
    tree = bench.tree(one, two)
    shipped = {path: file.distribution for path, file in tree.items() if file.parts[-1] not in HOSTS_OWN}
    assert shipped == {
        "one/__init__.py": "one",
        "one/data/x.json": "one",
        **{f"one-1.0.dist-info/{name}": "one" for name in ("METADATA", "RECORD", "WHEEL")},
        "two_parts.py": "two-parts",
        **{f"Two.Parts-2.0.dist-info/{name}": "two-parts" for name in ("METADATA", "RECORD", "WHEEL")},
    }
    assert tree["one/__init__.py"].source.read_text() == "1\n"
    assert not any(file.project or file.conflicts for file in tree.values())


def test_where_there_is_nothing_to_install_uv_is_not_asked(bench):
    bench.uv = Uv(executable="/no/uv", environment={})
    assert take_distributions(None, [], bench.bench()) == (Tree(()), ())


@pytest.mark.parametrize("runtime", ["python3.10", "python3.14"])
@pytest.mark.parametrize("architecture", list(Architecture))
def test_a_wheel_for_the_target_is_installed_on_any_host(tmp_path, runtime, architecture):
    bench = Bench(tmp_path, Target(runtime=runtimes()[runtime], architecture=architecture))
    python = runtime.replace("python3.", "cp3")
    glibc = "_".join(map(str, bench.target.runtime.glibc))
    wheel = bench.wheel("native", {"native.py": ""}, tag=f"{python}-{python}-manylinux_{glibc}_{architecture.machine}")
    assert "native.py" in bench.tree(wheel)


def test_a_wheel_that_is_not_the_locked_one_is_refused(bench):
    wheel = bench.wheel("one")
    with pytest.raises(InstallError, match=r"(?i)hash mismatch") as caught:
        bench.take(wheel, one="0" * 64)
    assert "hashes" in caught.value.hint


def test_a_wheel_that_is_gone_is_an_error_that_names_it(bench):
    wheel = bench.wheel("one")
    text = pylock(wheel)
    wheel.unlink()
    with pytest.raises(InstallError, match="uv could not install") as caught:
        take_distributions(text, [], bench.bench())
    assert wheel.name in str(caught.value)


def test_nothing_of_this_host_comes_into_the_tree(bench):
    wheel = bench.wheel(
        "one", {"one.py": "", "one-1.0.dist-info/entry_points.txt": "[console_scripts]\none = one:main\n"}
    )
    taken, changes = bench.take(wheel)
    assert {change.rule for change in changes} == {"unrecorded"}
    tree, changes = apply(plan(taken, LEAST))
    assert not HOSTS_OWN & {file.parts[-1] for file in tree}
    assert {change.path.rpartition("/")[2] for change in changes} >= {"INSTALLER"}
    assert {change.rule for change in changes} == {"installer-leftovers"}
    hosts = [str(part).encode() for part in (bench.folder, sys.executable, os.path.dirname(sys.executable))]  # noqa: PTH120
    for file in renew(tree, bench.work):
        content = file.source.read_bytes()
        assert not [host for host in hosts if host in content], file.path


def test_the_same_lock_gives_the_same_tree_on_another_day_in_another_folder(tmp_path):
    files = {"one.py": "", "one/x.txt": "é", "one-1.0.dist-info/entry_points.txt": "[console_scripts]\none = one:f\n"}
    wheel = make_wheel(tmp_path, "one", files)
    contents = []
    for name in ("first", "the second one"):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name)
        tree = renew(bench.take(wheel)[0], bench.work)
        contents.append({file.path: (file.source.read_bytes(), file.executable) for file in tree})
    assert contents[0] == contents[1]


def test_commands_get_the_portable_first_line_and_may_be_run(bench):
    files = {
        "one.py": "def main():\n    print('ran')\n",
        "one-1.0.data/scripts/tool": "#!python\nprint('tool')\n",
        "one-1.0.data/scripts/shell": "#!/bin/sh\necho python\n",
        "one-1.0.dist-info/entry_points.txt": "[console_scripts]\ncommand = one:main\n[gui_scripts]\nwin = one:main\n",
    }
    tree = bench.tree(bench.wheel("one", files))
    scripts = {path: file for path, file in tree.items() if path.startswith("bin/")}
    assert set(scripts) == {"bin/tool", "bin/shell", "bin/command", "bin/win"}
    for path, file in scripts.items():
        first = file.source.read_bytes().splitlines()[0]
        assert first == (b"#!/bin/sh" if path == "bin/shell" else b"#!/usr/bin/env python3")
        assert file.executable
        assert file.size == file.source.stat().st_size
        assert file.distribution == "one"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_a_wheel_marks_as_executable_is_so_and_nothing_else(bench):
    modes = {"one/run": 0o100755, "one/some": 0o100744, "one/wild": 0o100666}
    tree = bench.tree(bench.wheel("one", dict.fromkeys([*modes, "one/plain"], "x"), modes=modes))
    assert sorted(path for path, file in tree.items() if file.executable) == ["one/run", "one/some"]


def test_uvs_cache_is_never_changed(bench):
    files = {
        "one/__init__.py": "x = 1\n",
        "one/lib.so": b"\x7fELF" + b"x" * 500,
        "one-1.0.data/scripts/t": "#!python\n",
    }
    wheel = bench.wheel("one", files, modes={"one/lib.so": 0o100755})
    bench.take(wheel)
    before = snapshot(bench.cache)
    second = Bench(bench.folder / "second")
    second.cache, second.uv = bench.cache, bench.uv
    tree, _ = second.take(wheel)
    library = next(file for file in tree if file.path == "one/lib.so")
    assert os.name != "posix" or library.source.stat().st_nlink > 1, "uv links from its cache"
    new = second.work / "new"
    new.write_bytes(b"stripped")
    from msgspec.structs import replace

    changed = [replace(file, source=new, size=8) if file is library else file for file in renew(tree, second.work)]
    write_back(second.work / "dependencies", Tree.of(file for file in changed if file.path != "one/__init__.py"))
    assert (second.work / "dependencies" / "one" / "lib.so").read_bytes() == b"stripped"
    assert snapshot(bench.cache) == before


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "../../evil.py", "one/../../../evil.py", "/tmp/hatch-lambda-evil.py", "..\\evil.py", "C:\\evil.py"],
)
def test_a_name_that_would_leave_the_package_writes_nothing_outside(bench, name):
    wheel = bench.wheel("one", {"one.py": "", name: "evil"})
    try:
        tree = bench.tree(wheel)
    except InstallError:
        pass
    else:
        assert not [path for path in tree if ".." in path.split("/") or path.startswith("/") or "\\" in path]
    assert bench.outside() == []
    assert not os.path.exists("/tmp/hatch-lambda-evil.py")  # noqa: PTH110


def test_a_link_in_a_wheel_brings_nothing_of_this_machine(bench):
    secret = bench.index / "secret"
    wheel = bench.wheel(
        "one", {"one/link.txt": str(secret), "one.py": ""}, modes={"one/link.txt": stat.S_IFLNK | 0o777}
    )
    secret.write_text("SECRET")
    try:
        tree = bench.tree(wheel)
    except InstallError:
        return
    for file in tree.values():
        assert not file.source.is_symlink()
        assert b"SECRET" not in file.source.read_bytes()


@pytest.mark.parametrize("row", ["../../evil.py,,", "/etc/passwd,,", "..\\evil.py,,", "C:evil.py,,"])
def test_a_record_that_lists_files_elsewhere_is_refused_or_forgotten(bench, row):
    (bench.index).mkdir()
    names = ["one.py", "one-1.0.dist-info/METADATA", "one-1.0.dist-info/WHEEL", "one-1.0.dist-info/RECORD"]
    wheel = bench.wheel("one", record="".join(f"{name},,\n" for name in names) + f"{row}\n")
    try:
        tree = bench.tree(wheel)
    except InstallError as error:
        assert "would leave the package" in error.message or "uv could not install" in error.message  # noqa: PT017
    else:
        assert row.split(",")[0] not in tree
        (record,) = (file for file in renew(Tree.of(tree.values()), bench.work) if file.path.endswith("RECORD"))
        assert b"evil" not in record.source.read_bytes()
        assert b"passwd" not in record.source.read_bytes()
    assert bench.outside() == []


def test_a_file_that_a_wheel_forgot_to_list_has_an_owner_all_the_same(bench):
    names = ["one.py", "one-1.0.dist-info/METADATA", "one-1.0.dist-info/WHEEL", "one-1.0.dist-info/RECORD"]
    wheel = bench.wheel("one", {"one.py": "", "stowaway.py": "x"}, record="".join(f"{name},,\n" for name in names))
    assert bench.tree(wheel)["stowaway.py"].distribution == "one"


def test_a_file_that_no_distribution_lists_is_left_out_and_that_is_told(bench):
    bench.take(bench.wheel("one"))
    (bench.work / "dependencies" / "stowaway.py").write_text("x")
    tree, changes = read_tree(bench.work / "dependencies", bench.work, ours=True)
    assert "stowaway.py" not in {file.path for file in tree}
    assert ("stowaway.py", "unrecorded") in {(change.path, change.rule) for change in changes}


@pytest.mark.parametrize(
    "declared",
    ["[console_scripts]\n../../../evil = one:main\n", "[console_scripts]\n/tmp/hatch-lambda-evil = one:main\n",
     "[console_scripts]\nx = one\n", "nonsense\n", b"\xff\xfe"],
)  # fmt: skip
def test_hostile_or_broken_entry_points_do_no_harm(bench, declared):
    wheel = bench.wheel("one", {"one.py": "", "one-1.0.dist-info/entry_points.txt": declared})
    try:
        tree = bench.tree(wheel)
    except InstallError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert not [path for path in tree if path.startswith("bin/")]
    assert bench.outside() == []
    assert not os.path.exists("/tmp/hatch-lambda-evil")  # noqa: PTH110


def test_two_metadata_folders_in_one_wheel_are_refused(bench):
    message = bench.refusal(bench.wheel("one", {"one.py": "", "two-1.0.dist-info/METADATA": "Name: two\n"}))
    assert "one" in message


def test_a_file_that_two_distributions_have_alike_is_no_conflict(bench):
    files = {"google/__init__.py": "# shared\n"}
    one = bench.wheel("one", {**files, "google/one.py": ""})
    two = bench.wheel("two", {**files, "google/two.py": ""})
    tree = bench.tree(one, two)
    refuse_conflicts(Tree.of(tree.values()))
    assert {"google/__init__.py", "google/one.py", "google/two.py"} < set(tree)


def test_a_file_that_two_distributions_have_with_other_content_is_refused(bench):
    one, two = bench.wheel("one", {"util.py": "1\n"}), bench.wheel("two", {"util.py": "2\n"})
    message = bench.refusal(one, two)
    assert re.search(r"^util\.py differs in one, two$", message, re.MULTILINE)
    assert "hint: depend on one of them only" in message


def test_a_conflict_goes_with_its_file(bench):
    one, two = bench.wheel("one", {"LICENSE": "1\n"}), bench.wheel("two", {"LICENSE": "2\n"})
    tree, _ = bench.take(one, two)
    refuse_conflicts(Tree.of(file for file in tree if file.path != "LICENSE"))


@pytest.mark.skipif(sys.platform != "linux", reason="the file system may not tell case")
def test_names_that_differ_in_case_alone_are_two_files_as_on_lambda(bench):
    tree = bench.tree(bench.wheel("one", {"one/Data.txt": "1", "one/data.txt": "2"}))
    assert [tree[path].source.read_text() for path in ("one/Data.txt", "one/data.txt")] == ["1", "2"]


def test_data_goes_where_target_puts_it_and_headers_do_no_harm(bench):
    files = {
        "one.py": "",
        "one-1.0.data/data/share/one.txt": "data",
        "one-1.0.data/purelib/pure.py": "",
        "one-1.0.data/platlib/plat.py": "",
        "one-1.0.data/headers/one.h": "header",
    }
    tree = bench.tree(bench.wheel("one", files))
    assert {"one.py", "share/one.txt", "pure.py", "plat.py"} <= set(tree)
    assert not [path for path in tree if ".data/" in path]
    assert bench.outside() == []


def test_namespace_packages_and_odd_names_come_through(bench):
    names = [
        "space/one/a.py",
        "space/zwei/größe.txt",
        "space/with blank/x y.txt",
        'space/comma,"quote".txt',
        "日本/語.py",
    ]
    tree = bench.tree(bench.wheel("one", {name: name for name in names}))
    for name in names:
        assert tree[name].source.read_text(encoding="utf-8") == name
        assert tree[name].distribution == "one"


def test_a_folder_that_pip_or_uv_filled_for_the_user_keeps_files_that_nobody_lists(bench):
    bench.take(bench.wheel("one", {"one.py": "", "one-1.0.data/scripts/t": "#!python\n"}))
    folder = bench.work / "dependencies"
    (folder / "handler.py").write_text("mine")
    record = folder / "one-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("bin/t,", "../../bin/t,"))
    tree, changes = read_tree(folder, bench.work / "scratch", ours=False)
    files = {file.path: file for file in tree}
    assert files["handler.py"].distribution is None
    assert files["bin/t"].distribution == "one"
    assert changes == ()
    slim, changes = apply(plan(tree, LEAST))
    assert not HOSTS_OWN & {file.parts[-1] for file in slim}
    assert ".lock" in {change.path for change in changes}
    assert {change.rule for change in changes} == {"installer-leftovers"}


def project(bench, wheel, *, scripts=False, **changes):
    made = Project(root=bench.folder, settings=Settings(), pyproject={"build-system": {}})
    return take_project(made, ProjectSettings(**changes), bench.uv, bench.work, wheel=wheel, scripts=scripts)


FILES = {
    "demo/__init__.py": "",
    "demo/größe x.txt": "ä",
    "demo/run.sh": "#!/bin/sh\n",
    "demo-1.0.data/scripts/tool": "#!python\nprint()\n",
    "demo-1.0.data/data/share/x": "data",
    "demo-1.0.data/headers/x.h": "header",
    "demo-1.0.dist-info/entry_points.txt": "[console_scripts]\ncommand = demo:main\n",
}


def test_the_projects_wheel_is_unpacked_as_an_installer_would(bench):
    part = project(bench, bench.wheel("demo", FILES, modes={"demo/run.sh": 0o100755}))
    files = {file.path: file for file in part.tree}
    info = [f"demo-1.0.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")]
    assert sorted(files) == sorted(["demo/__init__.py", "demo/größe x.txt", "demo/run.sh", "share/x", *info])
    assert all(file.project and file.distribution == "demo" for file in files.values())
    assert [path for path, file in files.items() if file.executable] == ["demo/run.sh"]
    assert (part.version, part.backend) == ("1.0", "by-hand")


def test_its_commands_come_with_scripts_only(bench):
    part = project(bench, bench.wheel("demo", FILES), scripts=True)
    scripts = [file for file in part.tree if file.path.startswith("bin/")]
    assert [file.path for file in scripts] == ["bin/command", "bin/tool"]
    for file in scripts:
        assert file.executable
        assert file.source.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_exclude_and_include_have_their_say_about_a_wheel(bench):
    (bench.folder / "extra.json").write_text("{}")
    part = project(bench, bench.wheel("demo", FILES), include=("extra.json",), exclude=("/demo/run.sh", "share/"))
    paths = {file.path for file in part.tree}
    assert "extra.json" in paths
    assert not {"demo/run.sh", "share/x"} & paths


def test_a_project_and_its_dependencies_make_one_tree(bench):
    dependencies, _ = bench.take(bench.wheel("one"))
    tree = Tree.of([*dependencies, *project(bench, bench.wheel("demo", FILES)).tree])
    refuse_conflicts(tree)
    renewed = renew(tree, bench.work)
    (record,) = (file for file in renewed if file.path == "demo-1.0.dist-info/RECORD")
    rows = record.source.read_text(encoding="utf-8").splitlines()
    assert f"demo/größe x.txt,{digest('ä'.encode())},2" in rows
    assert len(rows) == len([file for file in renewed if file.distribution == "demo"])


@pytest.mark.parametrize(
    ("files", "record", "fact"),
    [
        ({"demo.py": "", "../evil.py": "x"}, None, "would leave the package"),
        ({"demo.py": "", "/evil.py": "x"}, None, "not a usable wheel"),
        ({"demo.py": "", "..\\evil.py": "x"}, None, "not a usable wheel"),
        ({"demo.py": "", "demo-1.0.data/scripts/../../evil": "x"}, None, "would leave the package"),
        ({"demo.py": "", "demo-1.0.data/nonsense/x": "x"}, None, "not a usable wheel"),
        ({"demo.py": "x"}, "demo.py,sha256=AAAA,1\n", "demo.py didn't match RECORD"),
        ({"demo.py": "x"}, "demo.py,,\n", "demo.py is not included in RECORD"),
        ({"demo.py": "x", "more.py": "y"}, "demo.py,,\n", "more.py is not mentioned in RECORD"),
        ({"demo.py": "x"}, "\0", "RECORD"),
        ({"demo.py": "", "two-1.0.dist-info/METADATA": ""}, None, "exactly one .dist-info"),
        ({"demo.py": "", "demo.py/x": ""}, None, "not a usable wheel"),
        ({"demo-1.0.dist-info/entry_points.txt": "nonsense"}, None, "not a usable wheel"),
        ({"demo-1.0.dist-info/entry_points.txt": "[console_scripts]\na = b\n"}, None, "not a usable wheel"),
        ({"demo-1.0.dist-info/entry_points.txt": "[console_scripts]\n../../a = b:c\n"}, None, "would leave"),
    ],
)  # fmt: skip
def test_a_damaged_or_malicious_project_wheel_is_refused_with_the_fact(bench, files, record, fact):
    wheel = bench.wheel("demo", files, record=record)
    with pytest.raises(InstallError) as caught:
        project(bench, wheel, scripts=True)
    assert fact in str(caught.value)
    assert bench.outside() == []


def test_a_link_in_the_projects_wheel_is_only_its_text(bench):
    wheel = bench.wheel("demo", {"demo.txt": "/etc/passwd"}, modes={"demo.txt": stat.S_IFLNK | 0o777})
    (file,) = (file for file in project(bench, wheel).tree if file.path == "demo.txt")
    assert not file.source.is_symlink()
    assert file.source.read_text() == "/etc/passwd"


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\5\6" + bytes(18)])
def test_what_is_no_wheel_is_refused(bench, content):
    wheel = bench.wheel("demo")
    wheel.write_bytes(content)
    with pytest.raises(InstallError, match=r"demo-1\.0-py3-none-any\.whl: not a usable wheel: "):
        project(bench, wheel)


def test_a_file_with_another_kind_of_name_is_refused(bench):
    wheel = bench.wheel("demo").rename(bench.index / "demo.whl")
    with pytest.raises(InstallError, match="not a usable wheel"):
        project(bench, wheel)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_wheel_is_refused_or_harmless(bench, damage):
    wheel = make_wheel(bench.folder / "damaged", "demo", FILES)
    content = bytearray(wheel.read_bytes())
    for place, value in damage:
        content[place % len(content)] = value
    wheel.write_bytes(content)
    try:
        tree = unpack(wheel, bench.work, scripts=True)
    except InstallError:
        return
    with zipfile.ZipFile(wheel) as archive:
        for file in tree:
            if file.path in archive.namelist() and not file.path.endswith("RECORD"):
                assert file.source.read_bytes() == archive.read(file.path)


def test_a_wheel_that_cannot_be_built_shows_what_the_backend_said(bench):
    (bench.folder / "backend.py").write_text("def build_wheel(*_, **__):\n    raise SystemExit('the reason')\n")
    (bench.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    with pytest.raises(InstallError, match="the project's wheel could not be built") as caught:
        project(bench, None)
    assert "the reason" in str(caught.value)
