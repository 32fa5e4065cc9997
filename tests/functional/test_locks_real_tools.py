"""Locks that the real uv makes from a folder of tiny wheels, without a network."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from hatch_lambda.config.project import Project
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError, LockError

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
CP = f"cp{sys.version_info[0]}{sys.version_info[1]}"
X86 = f"{CP}-{CP}-manylinux_2_17_x86_64"
ARM = f"{CP}-{CP}-manylinux_2_17_aarch64"

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 15), reason="uv needs an interpreter that Lambda has, and takes this one"
)


def write_wheel(folder, name, version="1.0", tag="py3-none-any", requires=()):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name.replace('-', '_')}.py", f"TAG = {tag!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


class World:
    """A project folder, an index folder, and the real uv."""

    def __init__(self, folder):
        self.index = folder / "index"
        self.root = folder / "project"
        self.work = folder / "work"
        for made in (self.root, self.work):
            made.mkdir()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("UV_") and name != "VIRTUAL_ENV"
        }
        self.uv = Uv.find({**kept, "UV_PYTHON": sys.executable, "UV_CACHE_DIR": str(folder / "cache")})

    def project(self, *dependencies, more="", at=None, name="demo", settings=""):
        root = at or self.root
        root.mkdir(parents=True, exist_ok=True)
        (root / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">={PYTHON}"\n'
            f"dependencies = {list(dependencies)!r}\n{more}\n"
            f'[tool.lambda-slim]\nruntime = "python{PYTHON}"\n{settings}\n'
            f'[tool.uv]\nno-index = true\nfind-links = ["{self.index.as_posix()}"]\n',
            encoding="utf-8",
        )
        return Project.read(root)

    def serve(self):
        """Turn the folder of wheels into an index with hashes (PEP 503), and let the project use it."""
        simple = self.root.parent / "simple"
        for wheel in sorted(self.index.iterdir()):
            page = simple / wheel.name.split("-")[0].replace("_", "-") / "index.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            with page.open("a", encoding="utf-8") as file:
                file.write(f'<a href="{wheel.as_uri()}#sha256={digest}">{wheel.name}</a>\n')
        path = self.root / "pyproject.toml"
        text = path.read_text(encoding="utf-8").split("[tool.uv]\n")[0]
        table = f'[[tool.uv.index]]\nurl = "{simple.as_uri()}"\ndefault = true\n'
        path.write_text(text + table, encoding="utf-8")

    def terms(self, project, **changes):
        from hatch_lambda.stages.locks.lock import LockTerms

        door = {"may_create": False, "in_source_tree": True}
        door |= {name: changes.pop(name) for name in {*LockTerms.__struct_fields__} & {*changes}}
        return LockTerms(settings=msgspec.structs.replace(project.settings.lock, **changes), **door)

    def read(self, project, **changes):
        from hatch_lambda.stages.locks import read

        return read.read(project, self.terms(project, **changes), self.uv, self.work)

    def chosen(self, project, target=None, **changes):
        from hatch_lambda.stages.locks.select import select

        terms = self.terms(project, **changes)
        return select(self.read(project, **changes), project, target or project.target, terms)

    def names(self, project, **changes):
        return [str(wheel.name) for wheel in self.chosen(project, **changes)]

    def run(self, *arguments, cwd=None):
        return self.uv.run(*arguments, cwd=cwd or self.root)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    index = world.index
    write_wheel(index, "alpha", "1.0", requires=["beta", "windows-only ; sys_platform == 'win32'"])
    write_wheel(index, "alpha", "2.0", requires=["beta"])
    write_wheel(index, "beta", tag=X86)
    write_wheel(index, "beta", tag=ARM)
    write_wheel(index, "apple", tag=f"{CP}-{CP}-macosx_11_0_arm64")
    write_wheel(index, "too-new", tag=f"{CP}-{CP}-manylinux_2_39_x86_64")
    for name in ("windows-only", "in-extra", "in-group", "in-dev"):
        write_wheel(index, name)
    return world


TABLES = """
[project.optional-dependencies]
Fast = ["in-extra"]
[dependency-groups]
ops = ["in-group"]
dev = ["in-dev"]
"""


def lock_uv(world, *, cwd=None, **_):
    world.run("lock", "-q", cwd=cwd)


def lock_pylock(world, *, flags=()):
    lock_uv(world)
    world.run("export", "--frozen", "--format=pylock.toml", "-o", "pylock.toml", "-q", *flags)
    (world.root / "uv.lock").unlink()


def lock_pip_compile(world, *, flags=()):
    world.run("pip", "compile", "--universal", "--format=pylock.toml", "-o", "pylock.toml", "-q",
              "pyproject.toml", *flags)  # fmt: skip


def lock_compiled_requirements(world):
    world.run("pip", "compile", "--generate-hashes", "-o", "requirements.txt", "-q", "pyproject.toml",
              "--python-platform=x86_64-manylinux_2_17")  # fmt: skip


def lock_requirements(world, *, flags=()):
    before = (world.root / "pyproject.toml").read_text(encoding="utf-8")
    world.serve()
    lock_uv(world)
    world.run("export", "--frozen", "--format=requirements.txt", "-o", "requirements.txt", "-q", *flags)
    (world.root / "uv.lock").unlink()
    (world.root / "pyproject.toml").write_text(before, encoding="utf-8")


FORMATS = [
    pytest.param(lock_uv, "uv.lock", id="uv.lock"),
    pytest.param(lock_pylock, "pylock.toml", id="uv-export-pylock"),
    pytest.param(lock_pip_compile, "pylock.toml", id="uv-pip-compile-pylock"),
    pytest.param(lock_compiled_requirements, "requirements.txt", id="uv-pip-compile-requirements"),
    pytest.param(lock_requirements, "requirements.txt", id="uv-export-requirements"),
]


@pytest.mark.parametrize(("make", "file"), FORMATS)
def test_every_format_gives_the_best_wheel_for_the_target_and_nothing_else(world, make, file):
    from hatch_lambda.stages.locks.select import select

    project = world.project("alpha<2")
    make(world)
    lock = world.read(project)
    assert lock.path == project.root / file
    chosen = select(lock, project, project.target, world.terms(project))
    assert [(w.name, str(w.version), w.wheel.filename) for w in chosen] == [
        ("alpha", "1.0", "alpha-1.0-py3-none-any.whl"),
        ("beta", "1.0", f"beta-1.0-{X86}.whl"),
    ]
    assert all(wheel.wheel.hashes["sha256"] for wheel in chosen)
    assert lock.findings == ()


@pytest.mark.parametrize(("make", "file"), FORMATS)
def test_a_normalised_lock_says_nothing_of_where_the_project_lies(world, make, file):
    from hatch_lambda.stages.locks.pylock import dump

    world.index = world.root / "vendor"
    shutil.copytree(world.root.parent / "index", world.index)
    make_project = world.project("alpha<2")
    make(world)
    text = dump(world.read(make_project).pylock)
    assert str(world.root) not in text
    assert 'path = "vendor/alpha-1.0-py3-none-any.whl"' in text


@pytest.mark.parametrize(("make", "file"), FORMATS)
def test_a_direct_requirement_that_was_changed_after_locking_is_told(world, make, file):
    world.project("alpha<2")
    make(world)
    project = world.project("alpha>=2")
    with pytest.raises(LockError) as caught:
        world.chosen(project)
    assert caught.value.message.startswith(f"{file}: ")
    assert "uv" in caught.value.hint
    assert "changed since it was locked" in caught.value.message


@pytest.mark.parametrize("make", [lock_uv, lock_pylock, lock_pip_compile, lock_requirements])
def test_a_distribution_without_a_wheel_for_the_target_is_named_with_what_there_is(world, make):
    project = world.project("alpha<2", "apple", "too-new")
    make(world)
    with pytest.raises(LockError) as caught:
        world.chosen(project)
    message = caught.value.message
    assert f"apple 1.0: it has wheels for {CP}-{CP}-macosx_11_0_arm64" in message
    assert f"too-new 1.0: it has wheels for {CP}-{CP}-manylinux_2_39_x86_64" in message
    assert "beta" not in message
    assert "architecture" in caught.value.hint


def test_pinned_installs_with_uv_what_was_chosen(world, tmp_path):
    from hatch_lambda.stages.locks.pylock import pinned
    from hatch_lambda.stages.locks.select import select

    project = world.project("alpha<2")
    lock_uv(world)
    lock = world.read(project)
    chosen = select(lock, project, project.target, world.terms(project))
    (tmp_path / "pylock.toml").write_text(pinned(chosen, lock.path.parent), encoding="utf-8")
    world.run(
        *("pip", "install", "--target", tmp_path / "out", "--python-platform=x86_64-manylinux_2_17"),
        *("-r", tmp_path / "pylock.toml", "--offline", "--no-index"),
        cwd=tmp_path,
    )
    assert (tmp_path / "out" / "beta.py").read_text() == f"TAG = {X86!r}\n"
    assert (tmp_path / "out" / "alpha.py").is_file()


def test_extras_and_groups_come_when_chosen_and_development_never(world):
    project = world.project("alpha<2", more=TABLES)
    lock_uv(world)
    assert world.names(project) == ["alpha", "beta"]
    project = world.project("alpha<2", more=TABLES, settings='extras = ["fast"]\ngroups = ["ops"]')
    assert world.names(project) == ["alpha", "beta", "in-extra", "in-group"]


@pytest.mark.parametrize("key", ["extras", "groups"])
def test_an_extra_or_group_that_is_not_there_is_a_mistake_in_the_settings(world, key):
    project = world.project("alpha<2", more=TABLES, settings=f'{key} = ["{"fest" if key == "extras" else "op"}"]')
    lock_uv(world)
    with pytest.raises(ConfigurationError, match=f"tool.lambda-slim.{key}: .*did you mean"):
        world.read(project)


def test_an_extra_that_the_lock_lacks_is_stale(world):
    world.project("alpha<2", more=TABLES)
    lock_pylock(world, flags=["--no-dev"])
    project = world.project("alpha<2", more=TABLES, settings='extras = ["fast"]')
    with pytest.raises(LockError, match="in-extra is required, and not locked"):
        world.chosen(project)


def test_a_package_project_in_its_own_requirements_is_passed_over(world):
    more = '[build-system]\nrequires = []\nbuild-backend = "none"'
    project = world.project("alpha<2", more=more)
    lock_requirements(world)
    assert "-e ." in (world.root / "requirements.txt").read_text()
    assert world.names(project) == ["alpha", "beta"]
    lock_pylock(world)
    (world.root / "requirements.txt").unlink()
    assert 'name = "demo"' in (world.root / "pylock.toml").read_text()
    assert world.names(project) == ["alpha", "beta"]


def test_a_workspace_member_is_read_from_the_lock_of_its_workspace(world):
    root = world.root
    member = world.project("alpha<2", at=root / "packages" / "api", name="api")
    world.project("in-dev", more='[tool.uv.workspace]\nmembers = ["packages/*"]', name="main")
    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    lock_uv(world)
    lock = world.read(member)
    assert lock.path == root / "uv.lock"
    assert world.names(member) == ["alpha", "beta"]
    changed = world.project("alpha>=2", at=root / "packages" / "api", name="api")
    with pytest.raises(LockError) as caught:
        world.read(changed)
    assert f"`uv lock` in {root}" in caught.value.hint


def test_a_folder_dependency_is_chosen_to_be_built(world):
    world.project(at=world.root / "lib", name="lib")
    sources = '[tool.uv.sources]\nlib = { path = "lib" }'
    project = world.project("alpha<2", "lib", more=sources)
    lock_uv(world)
    (lib,) = (locked for locked in world.chosen(project) if locked.name == "lib")
    assert lib.directory == str(world.root / "lib")


def test_a_wheel_that_is_depended_on_by_path_is_installed(world):
    from hatch_lambda.stages.locks.pylock import pinned

    built = write_wheel(world.root / "vendor", "lib")
    sources = f'[tool.uv.sources]\nlib = {{ path = "vendor/{built.name}" }}'
    project = world.project("alpha<2", "lib", more=sources)
    lock_uv(world)
    chosen = {wheel.name: wheel.wheel for wheel in world.chosen(project)}
    assert chosen["lib"].path == f"vendor/{built.name}"
    assert built.as_posix() in pinned(world.chosen(project), project.root)


def test_a_missing_lock_is_made_where_that_is_allowed_and_told(world):
    project = world.project("alpha<2")
    lock = world.read(project, may_create=True)
    assert (world.root / "uv.lock").is_file()
    assert [(finding.code, finding.severity.value) for finding in lock.findings] == [("HL010", "warning")]


@pytest.mark.parametrize("changes", [{"may_create": False}, {"may_create": True, "require_lock": True}])
def test_a_missing_lock_is_an_error_where_none_may_be_made(world, changes):
    project = world.project("alpha<2")
    with pytest.raises(LockError, match="no lock file") as caught:
        world.read(project, **changes)
    assert caught.value.hint == "run `uv lock`"
    assert not (world.root / "uv.lock").exists()


def test_a_lock_that_cannot_be_made_shows_what_uv_says(world):
    project = world.project("nowhere-to-be-found")
    with pytest.raises(LockError, match="nowhere-to-be-found was not found"):
        world.read(project, may_create=True)


def test_a_network_that_cannot_be_reached_does_not_make_a_lock_stale(world):
    project = world.project("alpha<2")
    index = '[[tool.uv.index]]\nurl = "https://user:secret@example.invalid/simple"\ndefault = true\n'
    (world.root / "pyproject.toml").write_text(
        (world.root / "pyproject.toml").read_text().split("[tool.uv]")[0] + index, encoding="utf-8"
    )
    (world.root / "uv.lock").write_text(
        f"""version = 1
revision = 3
requires-python = ">={PYTHON}"

[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://example.invalid/simple" }}
wheels = [
    {{ url = "https://example.invalid/alpha-1.0-py3-none-any.whl", hash = "sha256:{"a" * 64}" }},
]

[[package]]
name = "demo"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "alpha" }}]

[package.metadata]
requires-dist = [{{ name = "alpha", specifier = "<2" }}]
""",
        encoding="utf-8",
    )
    project = Project.read(world.root)
    assert world.read(project).vouched
    assert world.read(project).findings == ()
    # uv would have to ask the index now; it cannot, and must not be taken to have said anything about the lock.
    (world.root / "pyproject.toml").write_text(
        (world.root / "pyproject.toml").read_text().replace("alpha<2", "alpha>=1,<2"), encoding="utf-8"
    )
    project = Project.read(world.root)
    lock = world.read(project)
    assert [finding.code for finding in lock.findings] == ["HL012"]
    assert "secret" not in lock.findings[0].message
    assert world.names(project) == ["alpha"]


def test_without_a_fitting_interpreter_the_direct_requirements_are_compared(world):
    project = world.project("alpha<2")
    lock_uv(world)
    world.uv = Uv(executable=world.uv.executable, environment={**world.uv.environment, "UV_PYTHON": "cpython-3.99"})
    lock = world.read(project)
    assert [finding.code for finding in lock.findings] == ["HL012"]
    assert world.names(project) == ["alpha", "beta"]
    with pytest.raises(LockError, match=r"alpha>=2 is required, and alpha 1\.0 is locked"):
        world.chosen(world.project("alpha>=2"))


def test_uv_is_given_the_interpreter_of_the_target_where_it_fits_the_project(world):
    """Then it need not look for one, which fails here; one that does not fit is as good as none."""
    from hatch_lambda.stages.locks import read

    project = world.project("alpha<2")
    lock_uv(world)
    hidden = {**world.uv.environment, "UV_PYTHON_PREFERENCE": "only-managed", "UV_PYTHON_INSTALL_DIR": str(world.work)}
    del hidden["UV_PYTHON"]
    world.uv = Uv(executable=world.uv.executable, environment=hidden)
    terms = world.terms(project)

    def codes(python):
        return [found.code for found in read.read(project, terms, world.uv, world.work, python).findings]

    assert codes(None) == ["HL012"]
    assert codes(Path(sys.executable)) == []
    assert codes(world.work / "gone") == ["HL012"]
    text = (world.root / "pyproject.toml").read_text(encoding="utf-8")
    (world.root / "pyproject.toml").write_text(text.replace("alpha<2", "alpha>=2"), encoding="utf-8")
    with pytest.raises(LockError, match="the project has changed since it was locked; uv says"):
        codes(Path(sys.executable))


def test_in_an_unpacked_sdist_the_resolved_lock_is_read_in_preference_to_all(world):
    from hatch_lambda.stages.locks.lock import RESOLVED_NAME
    from hatch_lambda.stages.locks.pylock import dump

    project = world.project("alpha<2", settings='lock = "gone.lock"')
    lock_uv(world)
    resolved = dump(world.read(project, file=None).pylock)
    (world.root / RESOLVED_NAME).write_text(resolved, encoding="utf-8")
    assert world.read(project, file=None).path.name == "uv.lock"
    assert world.read(project, in_source_tree=False).path.name == RESOLVED_NAME
    assert world.names(project, in_source_tree=False) == ["alpha", "beta"]


def test_files_whose_hash_the_requirements_do_not_list_are_never_taken(world):
    project = world.project("alpha<2")
    lock_requirements(world)
    write_wheel(world.index, "alpha", "1.0", requires=["something-else"])
    with pytest.raises(LockError, match=r"no file that uv finds has a hash that is listed for:\n    alpha 1\.0"):
        world.read(project)


def test_requirements_whose_index_cannot_be_reached_are_one_clear_error(world):
    project = world.project("alpha<2")
    text = (world.root / "pyproject.toml").read_text().split("[tool.uv]")[0]
    (world.root / "pyproject.toml").write_text(text, encoding="utf-8")
    (world.root / "requirements.txt").write_text(
        f"--index-url https://user:secret@example.invalid/simple\nalpha==1.0 --hash=sha256:{'a' * 64}\n",
        encoding="utf-8",
    )
    with pytest.raises(LockError, match="uv cannot find what it pins") as caught:
        world.read(project)
    assert "secret" not in str(caught.value)
    assert "example.invalid" in caught.value.message


def test_find_links_in_requirements_are_relative_to_the_file(world):
    world.project("alpha<2")
    lock_requirements(world)
    text = (world.root / "requirements.txt").read_text()
    (world.root / "pyproject.toml").write_text(
        (world.root / "pyproject.toml").read_text().split("[tool.uv]")[0], encoding="utf-8"
    )
    folder = world.root / "deploy"
    shutil.copytree(world.index, folder / "wheels")
    (folder / "lambda.txt").write_text("--no-index\n-f wheels\n-r base.txt\n", encoding="utf-8")
    (folder / "base.txt").write_text(text, encoding="utf-8")
    project = Project.read(world.root)
    lock = world.read(project, file="deploy/lambda.txt")
    assert lock.path == world.root / "deploy" / "lambda.txt"
    chosen = world.chosen(project, file="deploy/lambda.txt")
    assert [wheel.wheel.path for wheel in chosen] == [
        "wheels/alpha-1.0-py3-none-any.whl",
        f"wheels/beta-1.0-{X86}.whl",
    ]


def test_conflicting_extras_are_told_in_uvs_words(world):
    from hatch_lambda.stages.locks import read

    more = '[project.optional-dependencies]\na = ["alpha<2"]\nb = ["alpha>=2"]'
    project = world.project(more=more, settings='extras = ["a", "b"]')
    conflicts = 'conflicts = [[{ extra = "a" }, { extra = "b" }]]\n'
    with (world.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(conflicts)
    lock_uv(world)
    with pytest.raises(LockError, match="incompatible with the declared conflicts"):
        world.read(project)
    only = world.terms(project, extras=("b",))
    lock = read.read(project, only, world.uv, world.work)
    assert [str(package.version) for package in lock.pylock.packages if package.name == "alpha"] == ["2.0"]


def test_a_lock_that_is_no_toml_is_named(world):
    project = world.project("alpha<2")
    (world.root / "uv.lock").write_text("version = ", encoding="utf-8")
    with pytest.raises(LockError, match=r"uv\.lock: uv cannot export it"):
        world.read(project)
