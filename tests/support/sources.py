"""Sources with a build backend of their own: real PEP 517 builds without a registry."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = """
import base64, hashlib, os, sys, zipfile
FILES = {files!r}
OUTSIDE = {outside!r}
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    {statement}
    info = "{stem}.dist-info"
    paths = {{**{{name: name for name in FILES}}, **OUTSIDE}}
    files = {{name: open(path, "rb").read() for name, path in paths.items()}}
    files[info + "/METADATA"] = b"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
    files[info + "/WHEEL"] = b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n"
    digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    lines = [f"{{name}},sha256={{digest(data)}},{{len(data)}}\\n" for name, data in files.items()]
    files[info + "/RECORD"] = "".join([*lines, info + "/RECORD,,\\n"]).encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, "{stem}-{tag}.whl"), "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (os.stat(paths[name]).st_mode if name in paths else 0o100644) << 16
            archive.writestr(entry, data)
    return "{stem}-{tag}.whl"
"""


def make_source(
    folder: Path, name: str, files=(), *, version="1.0", tag="py3-none-any", statement="pass", outside=()
) -> Path:
    """Write the source tree of a distribution whose backend packs *files*, after it has run *statement*.

    It also packs files from *outside*: paths in the wheel with those relative to the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(files or {f"{name.replace('-', '_')}.py": f"NAME = {name!r}\n"})
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    stem = f"{name.replace('-', '_')}-{version}"
    told = {"stem": stem, "name": name, "version": version, "tag": tag, "statement": statement}
    backend = BACKEND.format(files=list(files), outside=dict(outside), **told)
    (folder / "own_backend.py").write_text(backend, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "own_backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\n',
        encoding="utf-8",
    )
    return folder


def make_sdist(folder: Path, name: str, files=(), *, version="1.0", **more) -> Path:
    """Write an sdist of such a source and return its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    tree = make_source(folder / f"tree-{stem}" / stem, name, files, version=version, **more)
    (tree / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    sdist = folder / f"{stem}.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tree, stem)
    return sdist
