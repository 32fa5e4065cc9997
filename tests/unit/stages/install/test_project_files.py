"""Of a project without a build system the product is taken, and none of the tooling."""

from __future__ import annotations

import os

import pytest

from hatch_lambda.errors import ConfigurationError, InstallError
from hatch_lambda.stages.install.project_files import included, read_source, select


class Folder:
    """A project's folder, written by hand."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def write(self, *paths, text="x\n"):
        for path in paths:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return self

    def ignore(self, *lines, where=""):
        return self.write(f"{where}.gitignore", text="\n".join(lines) + "\n")

    def taken(self, handler=None, include=(), exclude=()):
        tree = select(self.root, read_source(self.root, handler), include=include, exclude=exclude)
        for file in tree:
            assert file.project
            assert file.size == file.source.stat().st_size
        return [file.path for file in tree]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path.resolve() / "repository" / "project")


def test_root_modules_and_import_packages_are_taken_with_their_data(folder):
    folder.write("handler.py", "app/__init__.py", "app/data/x.json", "app/deep/er/y.txt", "space/only/z.py")
    folder.write("README.md", "data/only.json", "not-a-package/x.py", "Makefile", "requirements.txt")
    assert folder.taken() == [
        "app/__init__.py",
        "app/data/x.json",
        "app/deep/er/y.txt",
        "handler.py",
        "space/only/z.py",
    ]


def test_names_with_spaces_and_other_scripts_are_taken(folder):
    folder.write("app/__init__.py", "app/données é.json", "app/with space/x.txt", "größe.py")
    assert folder.taken() == ["app/__init__.py", "app/données é.json", "app/with space/x.txt", "größe.py"]


@pytest.mark.parametrize(
    "path",
    [
        ".env", ".hidden.py", ".venv/lib/x.py", "app/.DS_Store", "app/.cache/x.py",
        "tests/test_app.py", "tests/data.json", "test/x.py", "app/tests/__init__.py", "app/test_models.py",
        "models_test.py", "conftest.py", "app/conftest.py",
        "setup.py", "noxfile.py", "docs/conf.py", "build/lib/app/x.py", "dist/x.py",
        "pyproject.toml", "uv.lock", "pylock.toml", "pylock.dev.toml", "app/__pycache__/a.cpython-313.pyc", "old.pyc",
        "app.egg-info/PKG-INFO", "node_modules/x/y.py", "__pypackages__/3.13/lib/x.py", ".git/hooks/x.py",
        "app/state.lock/a.json", "conftest.py/x.py", "pylock.dev.toml/x.py",
    ],
)  # fmt: skip
def test_tooling_is_left_out(folder, path):
    folder.write("handler.py", path)
    assert folder.taken() == ["handler.py"]


@pytest.mark.parametrize("path", ["app/docs/x.py", "app/build/x.py", "app/setup.py", "tasks.py", "docs/__init__.py"])
def test_code_that_only_looks_like_tooling_is_taken(folder, path):
    assert folder.write("handler.py", path).taken() == sorted(["handler.py", path])


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
@pytest.mark.parametrize("name", ["venv", "my_env", "app/sub"])
def test_an_environment_is_left_out_whatever_its_name(folder, name, mark):
    folder.write("app/__init__.py", f"{name}/{mark}", f"{name}/lib/python3.13/site-packages/x.py")
    (folder.root / name / "python").symlink_to("/bin/sh")
    assert folder.taken() == ["app/__init__.py"]
    assert included(folder.root, ("**/*.py",)) == ["app/__init__.py"]


def test_what_git_ignores_is_left_out(folder):
    folder.write("handler.py", "local.py", "app/__init__.py", "app/x.log", "app/cache/y.py", "secret/z.py")
    folder.ignore("# a comment", "", "*.log", "/local.py", "cache/", "secret")
    assert folder.taken() == ["app/__init__.py", "handler.py"]


def test_a_nested_gitignore_speaks_about_its_folder_alone(folder):
    folder.write("a/__init__.py", "a/x.txt", "a/deep/x.txt", "b/__init__.py", "b/x.txt")
    folder.ignore("/x.txt", where="a/")
    assert folder.taken() == ["a/__init__.py", "a/deep/x.txt", "b/__init__.py", "b/x.txt"]


def test_the_last_pattern_and_the_innermost_file_decide(folder):
    folder.write("app/__init__.py", "app/a.json", "app/b.json", "app/sub/c.json")
    folder.ignore("*.json", "!b.json").ignore("!c.json", where="app/sub/")
    assert folder.taken() == ["app/__init__.py", "app/b.json", "app/sub/c.json"]


def test_nothing_comes_back_from_an_ignored_folder(folder):
    folder.write("app/__init__.py", "app/sub/x.json").ignore("sub/", "!sub/x.json")
    assert folder.taken() == ["app/__init__.py"]


@pytest.mark.parametrize("marker", ["directory", "file"])
def test_the_repositorys_own_patterns_count_up_to_its_root(folder, marker):
    above = folder.root.parent
    (above / ".git").mkdir() if marker == "directory" else (above / ".git").write_text("gitdir: elsewhere")
    (above.parent / ".gitignore").write_text("*\n")
    (above / ".gitignore").write_text("*.log\n/project/local.py\n/local2.py\n")
    folder.write("app/__init__.py", "app/x.log", "local.py", "local2.py")
    assert folder.taken() == ["app/__init__.py", "local2.py"]


def test_of_the_folders_above_the_nearest_decides(tmp_path):
    (tmp_path / "outer" / ".git").mkdir(parents=True)
    folder = Folder(tmp_path.resolve() / "outer" / "inner" / "project")
    (tmp_path / "outer" / ".gitignore").write_text("*.log\n")
    (tmp_path / "outer" / "inner" / ".gitignore").write_text("!keep.log\n")
    folder.write("app/__init__.py", "app/keep.log", "app/x.log")
    assert folder.taken() == ["app/__init__.py", "app/keep.log"]


def test_without_a_repository_no_folder_above_has_a_say(folder):
    (folder.root.parent / ".gitignore").write_text("*\n")
    assert folder.write("handler.py").taken() == ["handler.py"]


@pytest.mark.parametrize("line", ["project/", "/project", "*", "repository"])
def test_a_project_that_its_repository_ignores_as_a_whole_is_still_taken(folder, line):
    (folder.root.parent / ".git").mkdir()
    (folder.root.parent / ".gitignore").write_text(f"{line}\n")
    assert folder.write("handler.py", "x.pyc").ignore("other.py").write("other.py").taken() == ["handler.py"]


@pytest.mark.parametrize(
    "content",
    [b"!\n*.log\n", b"a\\\n*.log\n", b"\xef\xbb\xbf*.log\n", b"*.log\r\n", b"\xff\xfe\n*.log\n", b"x\x0c\n*.log\n"],
)
def test_a_gitignore_that_is_not_quite_one_is_read_as_git_does(folder, content):
    folder.write("app/__init__.py", "app/x.log")
    (folder.root / ".gitignore").write_bytes(content)
    assert folder.taken() == ["app/__init__.py"]


def test_a_gitignore_that_is_a_folder_ignores_nothing(folder):
    assert folder.write("handler.py", ".gitignore/x").taken() == ["handler.py"]


def test_a_src_folder_counts_as_the_root(folder):
    folder.write("src/app/__init__.py", "src/handler.py", "src/py.typed", "src/app.egg-info/PKG-INFO", "tool.py")
    assert folder.taken("handler.main") == ["app/__init__.py", "handler.py", "py.typed", "tool.py"]


@pytest.mark.parametrize("handler", ["src.handler.main", "src/handler.main"])
def test_a_src_folder_that_the_handler_names_is_a_package(folder, handler):
    assert folder.write("src/handler.py").taken(handler) == ["src/handler.py"]


def test_a_src_folder_that_is_a_package_stays_one(folder):
    assert folder.write("src/__init__.py", "src/handler.py").taken() == ["src/__init__.py", "src/handler.py"]


def test_a_module_that_is_in_src_and_outside_is_ambiguous(folder):
    folder.write("src/util.py", "util.py")
    with pytest.raises(ConfigurationError, match=r"util\.py is both in this folder and in src"):
        folder.taken()


def test_more_comes_by_include_even_what_would_be_left_out(folder):
    folder.write("handler.py", "data/x.json", ".env", "tests/y.py", "secret.txt").ignore("secret.txt")
    taken = folder.taken(include=("data/*.json", ".env", "/tests", "secret.txt"))
    assert taken == [".env", "data/x.json", "handler.py", "secret.txt", "tests/y.py"]


def test_include_takes_negations(folder):
    folder.write("handler.py", "data/a.json", "data/b.json")
    assert folder.taken(include=("data/", "!data/b.json")) == ["data/a.json", "handler.py"]


def test_every_include_that_names_nothing_is_an_error(folder):
    folder.write("handler.py", "data/a.json")
    with pytest.raises(ConfigurationError) as caught:
        folder.taken(include=("data/*", "", "# note", "dta/*", "!x", "*.yaml"))
    assert caught.value.message == ("tool.lambda-slim.include: no file of the project matches 'dta/*', '*.yaml'")


def test_include_never_reaches_out_of_the_project(folder):
    (folder.root.parent / "outside.txt").write_text("x")
    folder.write("handler.py")
    for pattern in ("../outside.txt", str(folder.root.parent / "outside.txt")):
        with pytest.raises(ConfigurationError, match="no file of the project matches"):
            folder.taken(include=(pattern,))


def test_include_does_not_look_into_a_repositorys_own_files(folder):
    folder.write("handler.py", ".git/config", ".git/x.json", "a.json")
    assert folder.taken(include=("**/*.json",)) == ["a.json", "handler.py"]


def test_less_comes_by_exclude(folder):
    folder.write("handler.py", "app/__init__.py", "app/big.bin", "app/keep.bin")
    assert folder.taken(exclude=("*.bin", "!keep.bin")) == ["app/__init__.py", "app/keep.bin", "handler.py"]


@pytest.mark.parametrize("pattern", ["/src/app/big.bin", "/app/big.bin", "big.bin"])
def test_exclude_knows_a_file_by_its_place_in_the_project_and_in_the_package(folder, pattern):
    folder.write("src/app/__init__.py", "src/app/big.bin")
    assert folder.taken(exclude=(pattern,)) == ["app/__init__.py"]
    assert folder.taken(exclude=("*.bin", f"!{pattern}")) == ["app/__init__.py", "app/big.bin"]


def test_exclude_has_the_last_word_over_include(folder):
    folder.write("handler.py", "data/a.json")
    assert folder.taken(include=("data/*",), exclude=("data/",)) == ["handler.py"]


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_pattern_that_is_none_is_refused_with_its_key(folder, key):
    folder.write("handler.py")
    with pytest.raises(ConfigurationError, match=f"tool.lambda-slim.{key}: "):
        folder.taken(**{key: ("!",)})


def test_a_link_to_a_file_inside_is_a_file(folder):
    folder.write("handler.py", "app/__init__.py")
    (folder.root / "app" / "alias.py").symlink_to("../handler.py")
    assert folder.taken() == ["app/__init__.py", "app/alias.py", "handler.py"]


def test_a_link_out_of_the_project_is_refused(folder):
    folder.write("handler.py")
    (folder.root.parent / "outside.py").write_text("x")
    (folder.root / "shared.py").symlink_to("../outside.py")
    with pytest.raises(InstallError, match=r"shared\.py: the symbolic link leads out of"):
        folder.taken()


def test_a_link_out_of_the_project_that_is_not_taken_does_no_harm(folder):
    folder.write("handler.py").ignore("shared.py", "result")
    for name in ("outside.py", "uv.lock"):
        (folder.root.parent / name).write_text("x")
    for name, target in [("shared.py", "outside.py"), (".env", "outside.py"), ("uv.lock", "uv.lock"), ("result", "")]:
        (folder.root / name).symlink_to(f"../{target}")
    assert folder.taken(include=("handler.py",)) == ["handler.py"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_programs_stay_programs(folder):
    folder.write("handler.py", "app/__init__.py", "app/run.sh")
    (folder.root / "app" / "run.sh").chmod(0o755)
    tree = read_source(folder.root, None)
    assert [file.path for file in tree if file.executable] == ["app/run.sh"]


def test_an_empty_project_gives_an_empty_tree(folder):
    assert folder.taken() == []
