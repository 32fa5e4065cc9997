"""The syntax of requirements files that are locks."""

from __future__ import annotations

import pytest

from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.stages.locks.formats.requirements import parse_file
from hatch_lambda.stages.locks.read import read

NO_UV = Uv(executable="uv-is-not-needed-here", environment={})
HASH = "--hash=sha256:" + "a" * 64


def parsed(bench, text):
    project = bench.project()
    path = bench.root / "requirements.txt"
    path.write_text(text, encoding="utf-8")
    return parse_file(path, project)


def test_pins_are_read_with_continuations_comments_markers_and_extras(bench):
    contents = parsed(
        bench,
        f"# made by x\n--require-hashes\nA_b[x]==1.0 ; python_version < '4' \\\n    {HASH} \\\n"
        f"    --hash=sha512:bb\n    # via c\nc==2  {HASH} # a comment\n\n",
    )
    assert contents.problems == []
    assert [(pin.name, str(pin.version), pin.requirement, sorted(pin.hashes)) for pin in contents.pins] == [
        ("a-b", "1.0", "A_b[x]==1.0 ; python_version < '4'", ["sha256:" + "a" * 64, "sha512:bb"]),
        ("c", "2", "c==2", ["sha256:" + "a" * 64]),
    ]
    assert contents.options == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a", "a: not pinned with `==`"),
        (f"a>=1 {HASH}", "a>=1: not pinned with `==`"),
        (f"a==1.* {HASH}", "a==1.*: not pinned with `==`"),
        (f"a==1,>0 {HASH}", "not pinned with `==`"),
        ("a==1", "a==1: has no --hash"),
        ("a @ https://user:secret@example.invalid/a.whl", "a @ https://***@example.invalid/a.whl: has no --hash"),
        ("a @ git+https://user:secret@example.invalid/a@main", "a: from git, and not at a commit"),
        (f"https://user:secret@example.invalid/a.whl {HASH}", "https://***@example.invalid/a.whl"),
        ("-e ./lib", "./lib: no such folder"),
        ("./lib", "./lib: no such folder"),
        ("--editable=../lib", "../lib: no such folder"),
    ],
)
def test_a_line_that_locks_nothing_is_named_with_its_place(bench, line, why):
    contents = parsed(bench, f"\n# one\n{line}\nb==1 {HASH}\n")
    (problem,) = contents.problems
    assert problem.startswith("requirements.txt:3: ")
    assert why in problem
    assert "secret" not in problem
    assert [pin.name for pin in contents.pins] == ["b"]


@pytest.mark.parametrize("line", [".", "-e .", "--editable=.", "-e file://{root}", ".[x]"])
def test_the_project_itself_is_passed_over(bench, line):
    contents = parsed(bench, line.format(root=bench.root) + "\n")
    assert (contents.problems, contents.pins) == ([], [])


def test_folders_commits_and_addresses_with_hashes_are_taken(bench):
    """A folder is what it is now; ``-e`` makes no difference."""
    (bench.root / "lib").mkdir(parents=True)
    (bench.root.parent / "other").mkdir()
    commit = "a @ git+https://example.invalid/a@" + "0" * 40
    wheel = "b @ https://example.invalid/b-1-py3-none-any.whl"
    contents = parsed(bench, f"-e ./lib\n../other ; os_name == 'posix'\n{commit}\n{wheel} {HASH}\n")
    assert contents.problems == []
    assert contents.sources == [
        (bench.root / "lib").as_posix(),
        f"{(bench.root.parent / 'other').as_posix()} ; os_name == 'posix'",
        commit,
    ]
    assert [(pin.name, pin.version, pin.requirement) for pin in contents.pins] == [("b", None, wheel)]


def test_lines_without_hashes_pass_only_where_that_is_said(bench):
    """They still have to be pinned."""
    bench.project()
    path = bench.root / "requirements.txt"
    path.write_text("a==1\nb>=1\n", encoding="utf-8")
    contents = parse_file(path, bench.project(), require_hashes=False)
    assert [pin.name for pin in contents.pins] == ["a"]
    assert contents.problems == ["requirements.txt:2: b>=1: not pinned with `==`"]


def test_options_go_to_uv_with_absolute_paths(bench):
    (bench.root / "wheels").mkdir(parents=True)
    (bench.root / "limits.txt").write_text("a<2\n-r more.txt\n")
    (bench.root / "more.txt").write_text("b<2\n")
    contents = parsed(
        bench,
        "-i https://example.invalid/simple\n--extra-index-url=https://example.invalid/b\n--no-index\n"
        "--find-links wheels\n-fwheels\n--no-binary :all:\n-c limits.txt\n-c https://example.invalid/c.txt\n",
    )
    assert contents.options == [
        "-i https://example.invalid/simple",
        "--extra-index-url=https://example.invalid/b",
        "--no-index",
        f"--find-links {bench.root / 'wheels'}",
        f"--find-links {bench.root / 'wheels'}",
        "--no-binary :all:",
        f"--constraint {bench.root / 'limits.txt'}",
        "--constraint https://example.invalid/c.txt",
    ]


def test_included_files_are_read_relative_to_the_including_one(bench):
    (bench.root / "req").mkdir(parents=True)
    (bench.root / "req" / "a.txt").write_text("-r b.txt\n", encoding="utf-8")
    (bench.root / "req" / "b.txt").write_text(f"b==1 {HASH}\nc\n-r b.txt\n", encoding="utf-8")
    contents = parsed(bench, "-r req/a.txt\n")
    assert [pin.name for pin in contents.pins] == ["b"]
    assert contents.problems == [
        "req/b.txt:2: c: not pinned with `==`",
        "req/b.txt:3: b.txt includes itself",
    ]
    with pytest.raises(LockError, match=r"requirements.txt:1: gone.txt: cannot be read"):
        parsed(bench, "-r gone.txt\n")


def test_an_unlocked_file_is_one_error_with_the_commands_that_lock_it(bench, tmp_path):
    parsed(bench, "a\nb\n")
    with pytest.raises(LockError, match=r"requirements.txt:1: a: .*\n.*requirements.txt:2: b: ") as caught:
        read(bench.project(), bench.terms(), NO_UV, tmp_path)
    assert "--generate-hashes" in caught.value.hint


def test_groups_are_refused(bench, tmp_path):
    parsed(bench, f"a==1 {HASH}\n")
    project = bench.project('[dependency-groups]\nops = ["a"]\n')
    with pytest.raises(ConfigurationError, match=r"tool\.lambda-slim\.groups: requirements\.txt knows no"):
        read(project, bench.terms(groups=("ops",)), NO_UV, tmp_path)
