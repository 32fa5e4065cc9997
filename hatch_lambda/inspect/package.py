"""The result of a build, made of Changes and Findings only, and its forms for programs and people."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA
from hatch_lambda.inspect.audit.subject import Audit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_lambda.core.model import Change, Finding, StageResult, Tree


SCHEMA_VERSION = 1
"""Raised when a key of the JSON document changes its meaning or goes."""


class Slimmed(Struct, frozen=True, kw_only=True):
    """What slimming and stripping did to a tree."""

    tree: Tree
    stages: tuple[StageResult, ...]
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    runtime: str | None
    """The Lambda runtime that it is for; None where every one will do, or nothing tells."""
    architecture: str | None

    @property
    def unzipped(self) -> int:
        """Bytes that count against Lambda's quota."""
        return self.tree.size

    def distributions(self) -> list[tuple[str, int]]:
        """Return each distribution with its bytes in the package, largest first."""
        sizes: Counter[str] = Counter()
        for file in self.tree:
            sizes[file.distribution or ("(project)" if file.project else "(no distribution)")] += file.size
        return sizes.most_common()

    def to_json(self) -> dict[str, Any]:
        """Return the result as a document of plain values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "runtime": self.runtime,
            "architecture": self.architecture,
            "files": len(self.tree),
            "unzipped_bytes": self.unzipped,
            "unzipped_quota_bytes": UNZIPPED_QUOTA,
            "stages": [
                {
                    "name": stage.name,
                    "files": stage.files,
                    "bytes": stage.size,
                    "seconds": round(stage.seconds, 3),
                }
                for stage in self.stages
            ],
            "distributions": [{"name": name, "bytes": size} for name, size in self.distributions()],
            "rules": [{"name": rule, "files": files, "bytes_saved": saved} for rule, files, saved in self.by_rule()],
            "findings": [finding.to_json() for finding in self.findings],
            "changes": [
                {
                    "stage": change.stage.value,
                    "path": change.path,
                    "rule": change.rule,
                    "reason": change.reason,
                    "bytes_before": change.before,
                    "bytes_after": change.after,
                }
                for change in self.changes
            ],
        }

    def by_rule(self) -> list[tuple[str, int, int]]:
        """Return each rule that did something with its count of files and the bytes it saved, most first."""
        files: Counter[str] = Counter()
        saved: Counter[str] = Counter()
        for change in self.changes:
            files[change.rule] += 1
            saved[change.rule] += change.before - (change.after or 0)
        return [(rule, files[rule], size) for rule, size in saved.most_common()]


class Artifact(Struct, frozen=True, kw_only=True):
    """A file or a folder that a build made."""

    kind: str
    """The shape, or what else it is, such as the input of a command of AWS."""
    path: Path
    size: int
    """Bytes of the file; of all its files, for a folder."""
    unzipped: int
    sha256: str | None = None
    """Of the file, as hexadecimal; None for a folder."""
    content_sha256: str | None = None
    """Of names, modes and contents alone."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a document of plain values."""
        return {
            "kind": self.kind,
            "path": str(self.path),
            "bytes": self.size,
            "unzipped_bytes": self.unzipped,
            "sha256": self.sha256,
            "content_sha256": self.content_sha256,
        }


class Package(Slimmed, frozen=True, kw_only=True):
    """A finished package, in the shape that was asked for."""

    path: Path
    """The function's zip, or its folder."""
    size: int
    """Bytes of the zip."""
    sha256: str | None
    """None for a folder."""
    content_sha256: str
    from_cache: bool
    """Whether the dependencies' part was ready since an earlier build."""
    inputs: Mapping[str, str]
    """What the bytes depend on beside the project: names and versions."""
    name: str = ""
    """The project's, normalized (PEP 503)."""
    version: str | None = None
    pinned: str | None = None
    """The locked wheels as a ``pylock.toml``; None where there are none."""
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    """What slimming removed of that which tells scanners what is in the package, by path."""
    audit: Audit = field(default_factory=Audit)
    """What is known of its distributions."""
    shape: str = "function"
    function: str | None = None
    """Which of the project's functions it is; None where the project is one itself."""
    handler: str | None = None
    """What to tell Lambda as the function's handler; None where nobody said."""
    others: tuple[Artifact, ...] = ()
    """What else was made, such as layers."""
    outer_size: int | None = None
    """Bytes that Lambda unpacks, where some of the package is nested."""

    @property
    def unzipped(self) -> int:
        """Bytes that count against Lambda's quota: all, unless some of it is nested."""
        return self.tree.size if self.outer_size is None else self.outer_size

    @property
    def code_sha256(self) -> str | None:
        """The digest as Lambda reports it (``CodeSha256``); None for a folder."""
        if self.sha256 is None:
            return None
        return base64.b64encode(bytes.fromhex(self.sha256)).decode("ascii")

    def to_json(self) -> dict[str, Any]:
        """Return the result as a document of plain values."""
        return {
            "shape": self.shape,
            "function": self.function,
            "handler": self.handler,
            "zip": str(self.path),
            "zip_bytes": self.size,
            "direct_upload_quota_bytes": DIRECT_UPLOAD_QUOTA,
            "sha256": self.sha256,
            "code_sha256": self.code_sha256,
            "content_sha256": self.content_sha256,
            "others": [other.to_json() for other in self.others],
            "dependencies_from_cache": self.from_cache,
            "inputs": dict(self.inputs),
            **self.audit.to_json(),
            **Slimmed.to_json(self),
        }
