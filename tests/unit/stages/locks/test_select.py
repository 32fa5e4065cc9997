"""What is chosen from a lock, and what is refused."""

from __future__ import annotations

import pytest

from hatch_lambda.config.target import Architecture
from hatch_lambda.errors import LockError

X86 = "cp313-cp313-manylinux_2_17_x86_64"
ARM = "cp313-cp313-manylinux_2_17_aarch64"
NEW = "cp313-cp313-manylinux_2_39_x86_64"
OLD = "cp313-cp313-manylinux_2_5_x86_64"


def files(wheels):
    return [wheel.wheel.filename for wheel in wheels]


def test_the_best_wheel_is_chosen_for_each_architecture(bench, package):
    lock = bench.lock(package("b", "1.0", OLD, X86, ARM, "py3-none-any"), package("a"))
    assert files(bench.select(lock)) == ["a-1.0-py3-none-any.whl", f"b-1.0-{X86}.whl"]
    assert files(bench.select(lock, architecture=Architecture.ARM64))[1] == f"b-1.0-{ARM}.whl"


def test_markers_are_evaluated_for_the_target_and_not_for_the_host(bench, package):
    lock = bench.lock(
        package("a", more="marker = \"sys_platform == 'win32'\""),
        package("b", more="marker = \"platform_machine == 'aarch64'\""),
        package("c", more="marker = \"python_full_version >= '3.13.1'\""),
    )
    assert files(bench.select(lock)) == ["c-1.0-py3-none-any.whl"]


def test_every_distribution_without_a_wheel_is_listed_in_one_error(bench, package):
    sdist = f'sdist = {{ url = "https://example.invalid/SRC-1.0.tar.gz", hashes = {{ sha256 = "{"b" * 64}" }} }}'
    lock = bench.lock(
        package("newer", "1.0", NEW, "cp313-cp313-win_amd64"),
        f'[[packages]]\nname = "src"\nversion = "1.0"\n{sdist.replace("SRC", "src")}\n',
        package("both", "1.0", "cp312-cp312-win_amd64", more=sdist.replace("SRC", "both")),
        '[[packages]]\nname = "here"\ndirectory = { path = "../here" }\n',
        '[[packages]]\nname = "git"\n[packages.vcs]\ntype = "git"\ncommit-id = "abc"\n'
        'url = "https://user:secret@example.invalid/git"\n',
        f'[[packages]]\nname = "arch"\narchive = {{ path = "arch.tar.gz", hashes = {{ sha256 = "{"c" * 64}" }} }}\n',
        '[[packages]]\nname = "gone"\ndirectory = { path = "../gone" }\n',
        '[[packages]]\nname = "unsure"\narchive = { path = "unsure.tar.gz", hashes = { md5 = "abc" } }\n',
        package("weak", hashes='md5 = "abc"'),
        package("python", more='requires-python = ">=3.14"'),
    )
    (bench.root.parent / "here").mkdir()
    (bench.root.parent / "here" / "setup.py").touch()
    with pytest.raises(LockError) as caught:
        bench.select(lock, may_build=False)
    assert caught.value.message.splitlines() == [
        "pylock.toml: no wheel for python3.13-x86_64:",
        '    arch: there is arch.tar.gz to build, and `sdist` is "never"',
        '    both 1.0: there is https://example.invalid/both-1.0.tar.gz to build, and `sdist` is "never"',
        '    git: there is https://***@example.invalid/git at abc to build, and `sdist` is "never"',
        "    gone: it is the folder ../gone, and it is not there",
        '    here: there is ../here to build, and `sdist` is "never"',
        f"    newer 1.0: it has wheels for {NEW}, cp313-cp313-win_amd64",
        "    python 1.0: needs Python >=3.14, and python3.13 has "
        + caught.value.message.split("python3.13 has ")[1].split("\n")[0],
        '    src 1.0: there is https://example.invalid/src-1.0.tar.gz to build, and `sdist` is "never"',
        "    unsure: unsure.tar.gz has no sha256 in the lock (only md5)",
        "    weak 1.0: weak-1.0-py3-none-any.whl has no sha256 in the lock (only md5)",
    ]
    assert "build a wheel of it and depend on that" in caught.value.hint


def test_what_has_no_wheel_is_built_from_what_its_content_makes_certain(bench, package):
    """A hash or a commit; of a folder nothing is certain until it was built."""
    sdist = f'sdist = {{ url = "https://example.invalid/src-1.0.tar.gz", hashes = {{ sha256 = "{"b" * 64}" }} }}'
    here = bench.root.parent / "here"
    here.mkdir(parents=True)
    (here / "pyproject.toml").touch()
    lock = bench.lock(
        f'[[packages]]\nname = "src"\nversion = "1.0"\n{sdist}\n',
        '[[packages]]\nname = "here"\ndirectory = { path = "../here", editable = true }\n',
        '[[packages]]\nname = "git"\nversion = "2"\n[packages.vcs]\ntype = "git"\ncommit-id = "abc"\n'
        'subdirectory = "x"\nurl = "https://user:secret@example.invalid/git"\n',
    )
    git, folder, source = chosen = bench.select(lock)
    assert [(locked.shown, locked.origin) for locked in chosen] == [
        ("git 2", "https://***@example.invalid/git at abc"),
        ("here", "../here"),
        ("src 1.0", "https://example.invalid/src-1.0.tar.gz"),
    ]
    assert git.subdirectory == "x"
    assert (folder.directory, folder.pinned) == (str(here), None)
    assert "b" * 64 in source.pinned
    assert [locked.identity is None for locked in chosen] == [False, True, False]


def test_many_tags_are_cut_short_with_those_for_the_machine_first(bench, package):
    tags = [f"cp3{minor}-cp3{minor}-win_amd64" for minor in range(10)]
    with pytest.raises(LockError, match=rf"wheels for {NEW}, cp30-.* and 3 more"):
        bench.select(bench.lock(package("a", "1.0", *tags, NEW)))


def test_an_archive_that_is_a_wheel_is_chosen_where_its_tags_fit(bench):
    entry = (
        '[[packages]]\nname = "a"\narchive = {{ path = "w/a-1.0-{}.whl", hashes = {{ sha256 = "'
        + "c" * 64
        + '" }} }}\n'
    )
    (chosen,) = bench.select(bench.lock(entry.format(X86)))
    assert (chosen.wheel.path, str(chosen.version)) == (f"w/a-1.0-{X86}.whl", "1.0")
    with pytest.raises(LockError, match=f"a: has only a-1.0-{ARM}.whl"):
        bench.select(bench.lock(entry.format(ARM)))


def test_the_project_itself_is_never_chosen(bench, package):
    lock = bench.lock(
        package("a"),
        '[[packages]]\nname = "demo"\ndirectory = { path = "." }\n',
    )
    assert files(bench.select(lock)) == ["a-1.0-py3-none-any.whl"]
    assert files(bench.select(bench.lock(package("demo"), package("a")))) == ["a-1.0-py3-none-any.whl"]


def test_a_nameless_project_in_a_folder_that_is_called_like_a_dependency_keeps_it(bench, package):
    lock = bench.lock(package("project"))
    assert files(bench.select(lock, bench.project(""))) == ["project-1.0-py3-none-any.whl"]


def test_a_lock_for_another_python_names_both_and_the_setting(bench, package):
    lock = bench.lock(package("a"), head='requires-python = ">=3.14"')
    with pytest.raises(LockError, match=r"made for Python >=3.14; python3.13 has 3.13") as caught:
        bench.select(lock)
    assert "`runtime`" in caught.value.hint
    assert bench.select(bench.lock(package("a"), head='requires-python = ">=3.13.5"'))


def test_a_lock_for_other_environments_is_refused(bench, package):
    lock = bench.lock(package("a"), head="environments = [\"sys_platform == 'darwin'\"]")
    with pytest.raises(LockError, match="darwin"):
        bench.select(lock)


def test_two_entries_for_one_name_are_ambiguous(bench, package):
    with pytest.raises(LockError, match=r"locked more than once for python3\.13-x86_64:\n    a"):
        bench.select(bench.lock(package("a"), package("a", "2.0")))


def test_groups_that_stand_for_the_project_are_taken_and_those_of_developers_are_not(bench, package):
    project = bench.project('[project]\nname = "demo"\nversion = "1"\n[dependency-groups]\ntest = []\nops = []\n')
    marked = [
        package(name, more=f"marker = \"'{group}' in dependency_groups\"")
        for name, group in [("a", "default"), ("b", "test"), ("c", "dev"), ("d", "ops")]
    ]
    extra = package("e", more="marker = \"'fast' in extras\"")
    lock = bench.lock(*marked, extra, head='default-groups = ["default", "test", "dev"]')
    assert [wheel.name for wheel in bench.select(lock, project)] == ["a"]
    assert [wheel.name for wheel in bench.select(lock, project, groups=("ops",), extras=("Fast",))] == [
        "a",
        "d",
        "e",
    ]


NEEDS = '[project]\nname = "demo"\nversion = "1"\ndependencies = {}\n[tool.lambda-slim]\nextras = {}\n'


@pytest.mark.parametrize(
    ("dependency", "problem"),
    [
        ("a>=2", "a>=2 is required, and a 1.0 is locked"),
        ("A_b", "A_b is required, and not locked for python3.13-x86_64"),
        ("c @ https://user:secret@example.invalid/c.whl", "https://***@example.invalid"),
        ("c ; sys_platform == 'linux'", "not locked"),
    ],
)
def test_a_direct_requirement_that_is_not_met_is_named_with_the_remedy(bench, package, dependency, problem):
    lock = bench.lock(package("a"), maker="`make lock`")
    with pytest.raises(LockError) as caught:
        bench.select(lock, bench.project(NEEDS.format([dependency], [])))
    assert problem in caught.value.message
    assert "secret" not in str(caught.value)
    assert caught.value.hint == "run `make lock`"
    assert bench.select(bench.lock(package("a"), vouched=True), bench.project(NEEDS.format([dependency], [])))


@pytest.mark.parametrize(
    "dependency",
    ["a", "a<2", "a @ https://example.invalid/a.whl", "a[x]==1.*", "c ; sys_platform == 'win32'", "demo[x]"],
)
def test_a_direct_requirement_that_is_met_says_nothing(bench, package, dependency):
    assert bench.select(bench.lock(package("a")), bench.project(NEEDS.format([dependency], [])))


def test_a_prerelease_meets_a_requirement(bench, package):
    assert bench.select(bench.lock(package("a", "2.0rc1")), bench.project(NEEDS.format(["a>1"], [])))


@pytest.mark.parametrize(
    "table",
    [
        '[tool.uv]\noverride-dependencies = ["a>=1"]\n',
        '[tool.pdm.resolution.overrides]\nA = ">=1"\n',
        '[tool.pdm.resolution]\nexcludes = ["A"]\n',
    ],
)
def test_a_requirement_that_a_tool_overrides_is_left_to_the_tool(bench, package, table):
    assert bench.select(bench.lock(package("a")), bench.project(NEEDS.format(["a<1"], []) + table))
