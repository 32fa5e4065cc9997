"""Wheels and projects made on the spot: small, exact, and without a registry."""

from __future__ import annotations

import base64
import hashlib
import textwrap
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_wheel(
    folder: Path, name: str, files=(), *, version="1.0", tag="py3-none-any", metadata="", record=None, modes=()
) -> Path:
    """Write a wheel with *files* (path to text or bytes) and return its path.

    *tag* may be compressed; *metadata* is added to METADATA; *record* replaces the RECORD that would fit; *modes*
    (path to number) says what Unix thinks of a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    interpreters, abis, platforms = (part.split(".") for part in tag.split("-"))
    tags = [f"Tag: {one}-{abi}-{platform}\n" for one in interpreters for abi in abis for platform in platforms]
    pure = "false" if "any" not in platforms else "true"
    content = {
        **dict(files or {f"{name.replace('-', '_')}.py": f"NAME = {name!r}\n"}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: {pure}\n{''.join(tags)}",
    }
    data = {path: text.encode() if isinstance(text, str) else text for path, text in content.items()}
    lines = [f"{_quoted(path)},sha256={_digest(entry)},{len(entry)}\n" for path, entry in data.items()]
    data[f"{info}/RECORD"] = (record or "".join([*lines, f"{info}/RECORD,,\n"])).encode()
    wheel = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, entry in data.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = dict(modes).get(path, 0o100644) << 16
            archive.writestr(member, entry, zipfile.ZIP_DEFLATED)
    return wheel


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if set(path) & {",", '"'} else path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def pylock(*wheels: Path, sdists=(), **hashes: str) -> str:
    """Return a ``pylock.toml`` of local wheels; *hashes* replaces that of a distribution."""
    text = 'lock-version = "1.0"\ncreated-by = "tests"\n'
    packages: dict[tuple[str, str], list[Path]] = {}
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        packages.setdefault((name, version), []).append(wheel)
    for (name, version), files in packages.items():
        entries = ", ".join(
            f'{{ path = "{wheel.as_posix()}", hashes = {{ sha256 = "{hashes.get(name) or _sha256(wheel)}" }} }}'
            for wheel in files
        )
        text += f'[[packages]]\nname = "{name.replace("_", "-")}"\nversion = "{version}"\nwheels = [{entries}]\n'
    for name in sdists:
        text += (
            f'[[packages]]\nname = "{name}"\nversion = "1.0"\n'
            f'sdist = {{ url = "https://example.invalid/{name}-1.0.tar.gz", hashes = {{ sha256 = "{"0" * 64}" }} }}\n'
        )
    return text if packages or sdists else f"{text}packages = []\n"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_project(
    folder: Path, *wheels: Path, settings="", head="", lock: str | None = None, bytecode: str = "none"
) -> Path:
    """Write a project without a build system whose lock names local *wheels*.

    Without *bytecode* it needs no interpreter of the runtime's version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pyproject = (
        f'{head}\n[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "{bytecode}"\n{textwrap.dedent(settings)}\n'
    )
    (folder / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    imports = "".join(f"    import {wheel.name.partition('-')[0]}\n" for wheel in wheels)
    reach = f"\n\ndef reach():\n{imports}" if imports else ""  # what nothing imports is a finding
    (folder / "app.py").write_text(f"def handler(event, context):\n    return event\n{reach}", encoding="utf-8")
    (folder / "pylock.toml").write_text(pylock(*wheels) if lock is None else lock, encoding="utf-8")
    return folder


def comments(word: str, size: int) -> str:
    """Return about *size* bytes of Python that say nothing, and compress well."""
    return f"# {word}\n" * (size // (len(word) + 3))
