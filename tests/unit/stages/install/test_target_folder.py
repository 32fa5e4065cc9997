"""A folder that a user's installer filled is slimmed where it stands, and nothing beside it is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from hatch_lambda.core.model import Tree
from hatch_lambda.errors import ArchiveError, ConfigurationError, InstallError
from hatch_lambda.stages.install.distributions import read_tree
from hatch_lambda.stages.install.target_folder import site_folders
from hatch_lambda.stages.install.writing_back import write_back


def write(folder, *paths, text="x"):
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def tree_of(folder, workspace):
    return read_tree(folder, workspace, ours=False)[0]


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "target"
    write(folder, "a/__init__.py", "a/data.bin", "b.py", "a-1.dist-info/METADATA")
    return folder


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_folder_is_its_own_site(target):
    assert site_folders(target) == [target]


def test_a_layer_has_its_packages_in_python(tmp_path):
    write(tmp_path, "python/a.py", "python/a-1.dist-info/METADATA")
    assert site_folders(tmp_path) == [tmp_path / "python"]


@pytest.mark.parametrize("named", [".", "python"])
def test_a_layer_has_its_packages_in_the_site_packages_of_each_version(tmp_path, named):
    write(tmp_path, "python/lib/python3.13/site-packages/a.py", "python/lib/python3.12/site-packages/a.py")
    write(tmp_path, "python/lib/libx.so", "python/lib/python3.x/site-packages/a.py")
    lib = tmp_path / "python" / "lib"
    assert site_folders(tmp_path / named) == [lib / f"python3.{minor}" / "site-packages" for minor in (12, 13)]


def test_a_distribution_called_python_makes_no_layer(tmp_path):
    write(tmp_path, "python/__init__.py", "python-1.dist-info/METADATA")
    assert site_folders(tmp_path) == [tmp_path]


def test_a_layer_with_both_places_has_each_file_in_one_of_them(tmp_path, work):
    write(tmp_path, "python/a.py", "python/a-1.dist-info/METADATA", "python/lib/python3.13/site-packages/b.py")
    outer, inner = site_folders(tmp_path)
    assert [file.path for file in tree_of(outer, work)] == ["a-1.dist-info/METADATA", "a.py"]
    assert [file.path for file in tree_of(inner, work)] == ["b.py"]
    write_back(outer, Tree(()))
    assert listing(tmp_path / "python") == [
        "lib",
        "lib/python3.13",
        "lib/python3.13/site-packages",
        "lib/python3.13/site-packages/b.py",
    ]


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no such folder"):
        site_folders(tmp_path / "absent")


@pytest.mark.parametrize("way", ["python", "python/lib/python3.13", "python/lib/python3.13/site-packages"])
def test_a_layer_that_is_a_link_to_elsewhere_is_refused(tmp_path, way):
    write(tmp_path, "elsewhere/lib/python3.13/site-packages/a.py", "elsewhere/a-1.dist-info/METADATA")
    below = way.removeprefix("python").lstrip("/")
    link = tmp_path / "layer" / way
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere" / below)
    with pytest.raises(ConfigurationError, match="a symbolic link leads there") as caught:
        site_folders(tmp_path / "layer")
    assert "name the folder that it leads to" in caught.value.hint


def test_a_folder_that_is_named_by_a_link_is_taken(target, tmp_path):
    (tmp_path / "link").symlink_to(target)
    assert site_folders(tmp_path / "link") == [tmp_path / "link"]


@pytest.mark.parametrize(("mark", "what"), [("pyvenv.cfg", "a virtual environment"), (".git", "a repository")])
def test_a_folder_with_much_to_lose_is_refused(target, mark, what):
    write(target, mark)
    with pytest.raises(ConfigurationError, match=f"this is {what}"):
        site_folders(target)


def test_the_folder_holds_the_files_of_the_tree_and_no_others(target, work):
    before = tree_of(target, work)
    write_back(target, Tree.of(file for file in before if not file.path.startswith("a/")))
    assert listing(target) == ["a-1.dist-info", "a-1.dist-info/METADATA", "b.py"]


def test_untouched_files_stay_the_same_inodes(target, work):
    before = {path: (target / path).stat() for path in ("a/__init__.py", "b.py")}
    write_back(target, Tree.of(file for file in tree_of(target, work) if file.path != "a/data.bin"))
    for path, status in before.items():
        after = (target / path).stat()
        assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (status.st_ino, status.st_mtime_ns, status.st_mode)


def test_a_changed_file_is_a_new_one_so_that_hard_links_keep_the_old_bytes(target, work, tmp_path):
    os.link(target / "a/data.bin", tmp_path / "cache")
    inode = (target / "a/data.bin").stat().st_ino
    (target / "a/data.bin").chmod(0o755)
    (work / "new").write_text("changed")
    changed = [
        replace(file, source=work / "new", size=7) if file.path == "a/data.bin" else file
        for file in tree_of(target, work)
    ]
    write_back(target, Tree.of(changed))
    assert (target / "a/data.bin").read_text() == "changed"
    assert (target / "a/data.bin").stat().st_ino != inode
    assert (target / "a/data.bin").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "cache").read_text() == "x"
    assert (tmp_path / "cache").stat().st_ino == inode
    assert not list(target.rglob("*.tmp"))


def test_a_removed_file_stays_in_the_cache_that_it_was_linked_from(target, work, tmp_path):
    os.link(target / "b.py", tmp_path / "cache")
    write_back(target, Tree.of(file for file in tree_of(target, work) if file.path != "b.py"))
    assert (tmp_path / "cache").read_text() == "x"


def test_a_link_whose_file_goes_becomes_the_file(target, work):
    write(target, "lib/libx.so.1.2", text="library")
    (target / "lib" / "libx.so").symlink_to("libx.so.1.2")
    (target / "lib" / "libx.so.1").symlink_to("libx.so.1.2")
    write_back(target, Tree.of(file for file in tree_of(target, work) if file.path != "lib/libx.so.1.2"))
    assert [(target / "lib" / name).read_text() for name in ("libx.so", "libx.so.1")] == ["library"] * 2


def test_a_link_whose_file_stays_is_a_link_still(target, work):
    (target / "c.py").symlink_to("b.py")
    write_back(target, tree_of(target, work))
    assert (target / "c.py").is_symlink()


def test_a_link_out_of_the_folder_stops_everything(target, work, tmp_path):
    write(tmp_path, "outside")
    (target / "link").symlink_to("../outside")
    with pytest.raises(InstallError, match="leads out of"):
        tree_of(target, work)


def test_a_name_may_be_as_long_as_the_file_system_allows(target, work):
    name = "n" * 255
    write(target, name)
    (work / "new").write_text("changed")
    changed = [replace(file, source=work / "new") if file.path == name else file for file in tree_of(target, work)]
    write_back(target, Tree.of(changed))
    assert (target / name).read_text() == "changed"


def test_nothing_is_written_through_a_link_to_a_folder(target, work):
    write(target, "c/data.bin")
    (target / "a" / "__pycache__").symlink_to("../c")
    (work / "new").write_text("bytecode")
    tree = tree_of(target, work)
    new = replace(tree.files[0], path="a/__pycache__/new.pyc", source=work / "new")
    with pytest.raises(ArchiveError, match="a symbolic link leads there; nothing in the folder was changed"):
        write_back(target, Tree.of([*tree, new]))
    assert listing(target / "c") == ["data.bin"]
    assert not list(target.rglob(".hatch-lambda*"))


def test_a_file_that_was_made_anew_and_is_the_same_stays(target, work):
    (work / "same").write_text("x")
    before = (target / "b.py").stat()
    write_back(target, Tree.of(replace(file, source=work / "same") for file in tree_of(target, work)))
    assert (target / "b.py").stat() == before


def test_writing_back_twice_changes_nothing(target, work):
    tree = tree_of(target, work)
    write_back(target, tree)
    before = [(path, (target / path).stat().st_ino) for path in listing(target)]
    write_back(target, tree_of(target, work))
    assert [(path, (target / path).stat().st_ino) for path in listing(target)] == before


def test_what_cannot_be_written_is_an_error_and_nothing_was_removed(target, work):
    files = [file for file in tree_of(target, work) if file.path != "b.py"]
    files[0] = replace(files[0], source=work / "absent")
    with pytest.raises(ArchiveError, match="absent: No such file or directory"):
        write_back(target, Tree.of(files))
    assert (target / "b.py").exists()
    assert not list(target.rglob("*.tmp"))


ATTEMPT = """
import os
import sys
from msgspec.structs import replace
from pathlib import Path
from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.install.distributions import read_tree
from hatch_lambda.stages.install.writing_back import write_back
from hatch_lambda.core.model import Tree
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
folder = Path(sys.argv[1])
files = [file for file in read_tree(folder, folder, ours=False)[0] if file.path != "b.py"]
try:
    write_back(folder, Tree.of([replace(file, source=folder / "b.py") for file in files]))
except ArchiveError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_nothing_is_lost_in_a_folder_that_cannot_be_written():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, "a.py", text="precious")
        write(folder, "b.py")
        folder.chmod(0o555)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        arguments = [sys.executable, "-c", ATTEMPT, name]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
        folder.chmod(0o755)
        assert done.stderr == ""
        assert "Permission denied" in done.stdout
        assert "hint: check the folder's permissions" in done.stdout
        assert listing(folder) == ["a.py", "b.py"]
        assert (folder / "a.py").read_text() == "precious"
