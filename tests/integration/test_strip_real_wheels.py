"""The strip stage on real wheels: what they are made of is not for us to imagine."""

import hashlib
import os
import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from hatch_lambda.config.settings import StripSettings
from hatch_lambda.core.model import File, Silent, Tree
from hatch_lambda.stages.strip.tree import strip_tree
from tests.support.shell import LEAVE

pytestmark = [pytest.mark.registry, pytest.mark.long]

WHEELS = ["numpy", "scipy", "scikit-learn", "pillow", "cryptography", "pydantic-core", "orjson"]
LARGE = {"numpy", "scipy", "sklearn", "numpy.libs", "scipy.libs", "scikit_learn.libs"}
IMPORTS = (
    "import scipy.linalg, scipy.special, sklearn.linear_model, PIL._imaging,"
    " cryptography.hazmat.bindings._rust, orjson, pydantic_core; print('imported'); " + LEAVE
)
PYTHONS = "3.13.0:3.12.1:3.11.7:3.10.13"


def uv(*arguments):
    environment = {**os.environ, "PYENV_VERSION": PYTHONS}
    return subprocess.run(["uv", *map(str, arguments)], capture_output=True, text=True, check=False, env=environment)


def tree_of(root):
    files = []
    for folder, _, names in os.walk(root):
        for name in names:
            source = root / os.path.relpath(folder, root) / name
            status = source.stat()
            path = source.relative_to(root).as_posix()
            executable = bool(status.st_mode & 0o100)
            files.append(File(path=path, source=source, size=status.st_size, executable=executable))
    return Tree.of(files)


def state(tree):
    """Return what must not change about the sources, which uv links into its cache."""
    return {
        file.path: (
            hashlib.sha256(file.source.read_bytes()).hexdigest(),
            file.source.stat().st_mode,
            file.source.stat().st_mtime_ns,
        )
        for file in tree
    }


@pytest.fixture(scope="module", params=["x86_64", "aarch64"])
def stripped(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    platform = f"{request.param}-manylinux_2_34"
    done = uv(
        "pip", "install", "--target", root / "installed", "--no-deps", "--only-binary", ":all:",
        "--python-platform", platform, "--python-version", "3.13", *WHEELS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before = tree_of(root / "installed")
    kept = state(before)
    settings = StripSettings()
    after, changes, findings = strip_tree(before, settings, root / "work", Silent(), jobs=2)
    assert state(before) == kept, "an original changed"
    return request.param, before, after, changes, findings


def objects(tree):
    return [file for file in tree if file.source.read_bytes()[:4] == b"\x7fELF"]


def test_at_least_98_percent_of_the_objects_are_stripped_or_have_nothing_to_strip(stripped):
    _, before, _, changes, findings = stripped
    found = objects(before)
    assert len(found) > 150
    assert len(changes) > 150
    assert len(findings) <= 0.02 * len(found), findings


def test_it_saves_10_mb_on_the_scientific_packages(stripped):
    machine, _, _, changes, _ = stripped
    saved = sum(change.before - change.after for change in changes if change.path.partition("/")[0] in LARGE)
    assert saved >= (10_000_000 if machine == "x86_64" else 5_000_000)


def test_paths_and_permissions_stay(stripped):
    _, before, after, *_ = stripped
    kept = [[(file.path, file.executable) for file in tree] for tree in (before, after)]
    assert kept[0] == kept[1]


def test_another_reader_finds_every_segment_and_section(stripped):
    """Pyelftools reads both files, so that a misreading of ours does not prove itself right."""
    _, before, after, changes, _ = stripped
    changed = {change.path for change in changes}
    pairs = zip(before, after, strict=True)
    for old_file, new_file in ((old, new) for old, new in pairs if old.path in changed):
        with old_file.source.open("rb") as old_stream, new_file.source.open("rb") as new_stream:
            old, new = ELFFile(old_stream), ELFFile(new_stream)
            for was, now in zip(old.iter_segments(), new.iter_segments(), strict=True):
                header = now.header
                if header.p_type == "PT_LOAD":
                    assert (header.p_offset - header.p_vaddr) % header.p_align == 0, new_file.path
                assert dict(was.header, p_offset=0) == dict(header, p_offset=0)
                if was.header.p_offset and was.header.p_type != "PT_PHDR":
                    assert was.data() == now.data(), new_file.path
            allocated = [part for part in old.iter_sections() if part.header.sh_flags & 2]
            for was in allocated:
                now = new.get_section_by_name(was.name)  # type: ignore[attr-defined]
                assert now.header.sh_addr == was.header.sh_addr or was.name == ".interp"  # type: ignore[attr-defined]
            assert new.get_section_by_name(".symtab") is None
            assert [tag.entry.d_tag for tag in old.get_section_by_name(".dynamic").iter_tags()] == [  # type: ignore[attr-defined]
                tag.entry.d_tag
                for tag in new.get_section_by_name(".dynamic").iter_tags()  # type: ignore[attr-defined]
            ]


def test_the_stripped_packages_can_be_imported(stripped, tmp_path):
    machine, _, after, *_ = stripped
    if machine != os.uname().machine:
        pytest.skip(f"this machine cannot run {machine}")
    found = uv("python", "find", "--no-python-downloads", "3.13")
    if found.returncode != 0:
        pytest.skip("there is no Python 3.13 on this machine")
    for file in after:
        target = tmp_path / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file.source)
    needed = ["joblib", "threadpoolctl", "narwhals", "cffi", "pycparser", "typing-extensions", "cloudpickle"]
    done = uv("pip", "install", "--target", tmp_path, "--no-deps", "--python", found.stdout.strip(), *needed)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [found.stdout.strip(), "-c", IMPORTS],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("imported\n", 0), done.stderr
