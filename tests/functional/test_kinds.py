"""Every kind of dependency, from the real uv's lock to the finished package, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile

import pytest

from hatch_lambda import api
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError, HatchLambdaError, InstallError, LockError
from tests.support.sources import make_sdist, make_source
from tests.support.wheels import make_wheel

SETTINGS = '[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "none"\n'


class Site:
    """A project with a lock, and all that it depends on beside it."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.root = folder / "service"
        self.root.mkdir()
        monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(folder / "cache"))
        monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv-cache"))
        monkeypatch.setenv("UV_OFFLINE", "1")
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)

    def project(self, *dependencies, sources="", settings="", more=""):
        text = (
            f'[project]\nname = "service"\nversion = "1"\nrequires-python = ">=3.10"\n'
            f"dependencies = {json.dumps(dependencies)}\n{more}\n{SETTINGS}{settings}\n[tool.uv]\n"
            f'no-index = true\nfind-links = ["{(self.folder / "index").as_posix()}"]\n[tool.uv.sources]\n{sources}\n'
        )
        (self.folder / "index").mkdir(exist_ok=True)
        (self.root / "pyproject.toml").write_text(text, encoding="utf-8")
        (self.root / "app.py").write_text("def handler(event, context):\n    return event\n", encoding="utf-8")

    def lock(self, folder=None):
        Uv.find(os.environ).run("lock", "--quiet", cwd=folder or self.root)

    def build(self, folder=None, **options):
        return api.build(folder or self.root, **options)

    def content(self, folder=None, **options):
        with zipfile.ZipFile(self.build(folder, **options).path) as archive:
            files = [name for name in archive.namelist() if "dist-info" not in name and not name.endswith("/")]
            return {name: archive.read(name) for name in files}


@pytest.fixture
def site(tmp_path, monkeypatch):
    return Site(tmp_path.resolve(), monkeypatch)


@pytest.mark.parametrize("editable", ["false", "true"])
def test_a_local_project_comes_as_its_wheel_and_never_as_a_path(site, editable):
    """Editable or not; and a warm build notices an edit of it."""
    lib = make_source(site.folder / "lib", "lib", {"lib/__init__.py": "A = 1\n", "lib/data.txt": "x"})
    site.project("lib", sources=f'lib = {{ path = "../lib", editable = {editable} }}')
    site.lock()
    assert set(site.content()) == {"app.py", "lib/__init__.py", "lib/data.txt"}
    assert site.build().from_cache
    (lib / "lib" / "__init__.py").write_text("A = 2\n")
    assert site.content()["lib/__init__.py"] == b"A = 2\n"


def test_members_of_a_workspace_are_built_and_found_by_the_lock_in_its_root(site):
    """From the member's folder, with the members that it depends on and no others."""
    members = site.folder / "ws" / "packages"
    for name, needs in (("api", '["core"]'), ("core", "[]"), ("other", "[]")):
        make_source(members / name, name)
        text = (members / name / "pyproject.toml").read_text() + f'requires-python = ">=3.10"\ndependencies = {needs}\n'
        text += f"{SETTINGS}[tool.uv.sources]\ncore = {{ workspace = true }}\n" if needs != "[]" else ""
        (members / name / "pyproject.toml").write_text(text)
    root = site.folder / "ws"
    (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    site.lock(root)
    assert set(site.content(members / "api")) == {"api.py", "core.py"}

    (members / "core" / "core.py").write_text("B = 2\n")
    assert site.content(members / "api")["core.py"] == b"B = 2\n"

    (members / "core" / "pyproject.toml").unlink()
    with pytest.raises(LockError, match=r"core: it is the folder .*, and in it is no project"):
        site.build(members / "api")


def test_functions_of_a_workspace_are_its_members_and_share_its_lock(site):
    """Each has what its own member depends on, from the root and from its own folder alike."""
    root = site.folder / "ws"
    for name, needs in (("api", ["core"]), ("worker", ["tiny"]), ("core", [])):
        folder = make_source(root / "packages" / name, name)
        text = (folder / "pyproject.toml").read_text()
        text += f'requires-python = ">=3.10"\ndependencies = {json.dumps(needs)}\n'
        text += "[tool.uv.sources]\ncore = { workspace = true }\n" if "core" in needs else ""
        (folder / "pyproject.toml").write_text(text + (SETTINGS if name != "core" else ""))
    make_wheel(site.folder / "index", "tiny")
    functions = "".join(
        f'[tool.lambda-slim.functions.{name}]\nmodule = "packages/{name}"\n' for name in ("api", "worker")
    )
    (root / "pyproject.toml").write_text(
        f'{SETTINGS}{functions}[tool.uv.workspace]\nmembers = ["packages/*"]\n'
        f'[tool.uv]\nno-index = true\nfind-links = ["{(site.folder / "index").as_posix()}"]\n'
    )
    site.lock(root)
    assert list(root.rglob("*.lock")) == [root / "uv.lock"]
    assert set(site.content(root, function="api")) == {"api.py", "core.py"}
    assert set(site.content(root, function="worker")) == {"worker.py", "tiny.py"}
    for name in ("api", "worker"):
        assert site.content(root / "packages" / name) == site.content(root, function=name)

    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text.replace('"packages/worker"', '"packages/gone"'))
    with pytest.raises(ConfigurationError, match=r"functions\.worker\.module: there is no folder 'packages/gone'"):
        site.build(root, function="worker")


def test_a_commit_and_an_archive_are_built(site):
    """From git and from an address."""
    repository = make_source(site.folder / "repository", "from-git")
    somebody = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*somebody, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    archive = make_sdist(site.folder / "files", "from-file")
    site.project(
        "from-git",
        "from-file",
        sources=f'from-git = {{ git = "{repository.as_uri()}" }}\nfrom-file = {{ path = "{archive.as_posix()}" }}',
    )
    site.lock()
    assert set(site.content()) == {"app.py", "from_git.py", "from_file.py"}


def test_what_has_only_an_sdist_is_built_unless_that_is_forbidden(site):
    """And a warm build needs neither its source nor uv's cache."""
    make_sdist(site.folder / "index", "only")
    site.project("only")
    site.lock()
    content = site.content()
    assert set(content) == {"app.py", "only.py"}
    assert site.build().from_cache
    with pytest.raises(LockError, match=r'only 1\.0: there is .* to build, and `sdist` is "never"'):
        site.build(sdist="never")


def test_projects_that_depend_on_one_another_are_built(site):
    """A circle of local projects is nothing that wheels cannot do: each is built once."""
    for name, other in (("one", "two"), ("two", "one")):
        folder = make_source(site.folder / name, name)
        text = f'dependencies = ["{other}"]\n[tool.uv.sources]\n{other} = {{ path = "../{other}" }}\n'
        (folder / "pyproject.toml").write_text((folder / "pyproject.toml").read_text() + text)
    site.project("one", sources='one = { path = "../one" }')
    site.lock()
    assert set(site.content()) == {"app.py", "one.py", "two.py"}


def test_two_distributions_with_one_import_package_are_refused(site):
    """Which of them an import would find depends on the order of installation."""
    make_wheel(site.folder / "index", "first", {"common/__init__.py": "1"})
    make_wheel(site.folder / "index", "second", {"common/__init__.py": "2"})
    site.project("first", "second")
    site.lock()
    with pytest.raises(InstallError, match=r"^common/__init__\.py differs in first, second"):
        site.build()
    assert not (site.root / "dist").exists()


def test_a_folder_that_is_gone_is_named(site):
    """Before anything is built."""
    lib = make_source(site.folder / "lib", "lib")
    site.project("lib", sources='lib = { path = "../lib" }')
    site.lock()
    for path in lib.iterdir():
        path.unlink()
    lib.rmdir()
    with pytest.raises(LockError, match="lib"):
        site.build()
    assert not (site.root / "dist").exists()


def test_vendored_wheels_take_the_place_of_locked_ones_and_folders_go_into_the_root(site):
    """They are as much a part of the input as the lock is: a warm build notices an edit."""
    make_wheel(site.folder / "index", "dep", {"dep.py": "LOCKED = 1\n"})
    vendored = site.root / "libs"
    make_wheel(vendored, "dep", {"dep.py": "MINE = 1\n"}, version="1.0+mine")
    (site.root / "vendored" / "inner").mkdir(parents=True)
    (site.root / "vendored" / "inner" / "x.py").write_text("X = 1\n")
    settings = 'vendor = ["./vendored", "libs/dep-1.0+mine-py3-none-any.whl"]\nexclude = ["/libs"]'
    site.project("dep", settings=settings)
    site.lock()
    content = site.content()
    assert content["dep.py"] == b"MINE = 1\n"
    assert content["inner/x.py"] == b"X = 1\n"
    make_wheel(vendored, "dep", {"dep.py": "MINE = 2\n"}, version="1.0+mine")
    assert site.content()["dep.py"] == b"MINE = 2\n"


@pytest.mark.parametrize(
    ("vendor", "why"),
    [
        ("gone-1.0-py3-none-any.whl", "does not exist"),
        ("gone", "does not exist"),
        ("../outside", "is not in the project"),
        ("mac-1.0-cp313-cp313-macosx_11_0_arm64.whl", "it is not for python3.13-x86_64"),
        ("odd.whl", "odd.whl"),
    ],
)
def test_what_cannot_be_vendored_is_a_mistake_in_the_settings(site, vendor, why):
    """With the name of the entry."""
    (site.folder / "outside").mkdir()
    make_wheel(site.root, "mac", tag="cp313-cp313-macosx_11_0_arm64")
    (site.root / "odd.whl").touch()
    site.project(settings=f'vendor = ["{vendor}"]')
    with pytest.raises(ConfigurationError) as caught:
        site.build()
    assert why in caught.value.message


def test_files_can_go_elsewhere_in_the_package(site):
    """A file to a name or into a folder, a folder's content below a path; patterns leave paths alone."""
    for name in ("templates/a.html", "templates/sub/b.html", "conf/prod.json", "data/c.csv"):
        path = site.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    site.project(
        settings='include = ["data/**", {source = "templates", target = "web/pages"},'
        ' {source = "conf/prod.json", target = "config.json"}, {source = "conf/prod.json", target = "etc/"}]'
    )
    assert {name: text.decode() for name, text in site.content().items() if name != "app.py"} == {
        "data/c.csv": "data/c.csv",
        "web/pages/a.html": "templates/a.html",
        "web/pages/sub/b.html": "templates/sub/b.html",
        "config.json": "conf/prod.json",
        "etc/prod.json": "conf/prod.json",
    }
    site.project(settings='include = [{source = "conf/prod.json", target = "../config.json"}]')
    with pytest.raises(HatchLambdaError, match="would leave the package"):
        site.build()
    site.project(settings='include = [{source = "conf/prod.json", target = "app.py"}]')
    with pytest.raises(InstallError, match=r"app\.py is placed twice"):
        site.build()
