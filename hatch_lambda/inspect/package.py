"""What a build or the slimming of a folder made, and the documents that say so to programs."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA
from hatch_lambda.core.codec import view
from hatch_lambda.core.model import Change, Finding, StageResult  # noqa: TC001 - msgspec reads the types of a document's fields
from hatch_lambda.inspect.audit.subject import Audit, Unused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_lambda.core.model import Tree


class DistributionSize(Struct, frozen=True, rename={"size": "bytes"}):
    """A distribution, and its bytes in the package."""

    name: str
    size: int


class RuleSaving(Struct, frozen=True, rename={"saved": "bytes_saved"}):
    """A rule that did something, and the bytes that it saved."""

    name: str
    files: int
    saved: int


class Result(Struct, frozen=True, kw_only=True):
    """What the stages did to a tree."""

    tree: Tree
    stages: tuple[StageResult, ...]
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    runtime: str | None
    """The Lambda runtime that it is for; None where every one will do, or nothing tells."""
    architecture: str | None

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self.tree)

    @property
    def unzipped(self) -> int:
        """Bytes that count against Lambda's quota."""
        return self.tree.size

    @property
    def distributions(self) -> list[DistributionSize]:
        """Each distribution with its bytes in the package, largest first."""
        sizes: Counter[str] = Counter()
        for file in self.tree:
            sizes[file.distribution or ("(project)" if file.project else "(no distribution)")] += file.size
        return [DistributionSize(name, size) for name, size in sizes.most_common()]

    @property
    def rules(self) -> list[RuleSaving]:
        """Each rule that did something, with its count of files and the bytes it saved, most first."""
        files: Counter[str] = Counter()
        saved: Counter[str] = Counter()
        for change in self.changes:
            files[change.rule] += 1
            saved[change.rule] += change.saved
        return [RuleSaving(rule, files[rule], size) for rule, size in saved.most_common()]


class SlimmedFolder(Result, frozen=True, kw_only=True):
    """A folder that an installer filled, after slimming and stripping."""

    directory: Path
    dry_run: bool
    """Whether nothing was written."""

    @property
    def location(self) -> str:
        """Its path, as text."""
        return str(self.directory)

    def document(self) -> SlimmedFolderDocument:
        """Return what ``slim --json`` prints of it."""
        return view(self, SlimmedFolderDocument)


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

    @property
    def location(self) -> str:
        """Its path, as text."""
        return str(self.path)

    @property
    def code_sha256(self) -> str | None:
        """The digest of the file as AWS reports and compares it; None for a folder."""
        return None if self.sha256 is None else in_base64(self.sha256)


class Package(Result, frozen=True, kw_only=True):
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
    def location(self) -> str:
        """Its path, as text."""
        return str(self.path)

    @property
    def unzipped(self) -> int:
        """Bytes that count against Lambda's quota: all, unless some of it is nested."""
        return self.tree.size if self.outer_size is None else self.outer_size

    @property
    def code_sha256(self) -> str | None:
        """The digest as Lambda reports it (``CodeSha256``); None for a folder."""
        return None if self.sha256 is None else in_base64(self.sha256)

    @property
    def unused(self) -> tuple[Unused, ...]:
        """The distributions that no import from the project reaches."""
        return self.audit.unused

    @property
    def requires(self) -> Mapping[str, tuple[str, ...]]:
        """What each distribution requires on the target."""
        return self.audit.requires

    def document(self, project: str = ".") -> PackageDocument:
        """Return what ``build --json`` prints of it, where *project* names it."""
        return replace(view(self, PackageDocument), project=project)


def in_base64(digest: str) -> str:
    """Return a hexadecimal *digest* in base64, as AWS and Terraform have it."""
    return base64.b64encode(bytes.fromhex(digest)).decode("ascii")


SHA256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
CODE_SHA256 = Annotated[
    str,
    Meta(pattern="^[A-Za-z0-9+/]{43}=$", description="`sha256` in base64, which AWS and Terraform compare."),
]


class ArtifactDocument(
    Struct, frozen=True, kw_only=True, rename={"location": "path", "size": "bytes", "unzipped": "unzipped_bytes"}
):
    """What else was made, such as a layer."""

    kind: str
    location: str
    size: int
    unzipped: int
    sha256: Annotated[SHA256 | None, Meta(description="Of the file; null for a folder.")]
    code_sha256: CODE_SHA256 | None
    content_sha256: Annotated[SHA256 | None, Meta(description="Of names, modes and contents alone.")]


class ResultDocument(Struct, frozen=True, kw_only=True, rename={"unzipped": "unzipped_bytes"}):
    """What the stages did."""

    schema_version: Literal[1] = 1
    runtime: Annotated[str | None, Meta(description="Null where every one will do, or nothing tells.")]
    architecture: str | None
    files: int
    unzipped: int
    unzipped_quota_bytes: int = UNZIPPED_QUOTA
    stages: list[StageResult]
    distributions: list[DistributionSize]
    rules: list[RuleSaving]
    findings: list[Finding]
    changes: list[Change]


class SlimmedFolderDocument(ResultDocument, frozen=True, kw_only=True, rename={"location": "directory"}):
    """A folder that was slimmed."""

    location: str
    dry_run: Annotated[bool, Meta(description="Whether nothing was written.")]


class PackageDocument(
    ResultDocument,
    frozen=True,
    kw_only=True,
    rename={"location": "zip", "size": "zip_bytes", "from_cache": "dependencies_from_cache"},
):
    """A package that was built."""

    project: Annotated[str, Meta(description="Its folder as it was named, with `:NAME` for one of its functions.")] = (
        "."
    )
    shape: str
    function: Annotated[str | None, Meta(description="Which of the project's functions; null where it has none.")]
    handler: Annotated[str | None, Meta(description="What to tell Lambda; null where nobody said.")]
    location: Annotated[str, Meta(description="The zip, the wheel or the folder that the function is deployed from.")]
    size: int
    direct_upload_quota_bytes: int = DIRECT_UPLOAD_QUOTA
    sha256: Annotated[SHA256 | None, Meta(description="Null for a folder.")]
    code_sha256: CODE_SHA256 | None
    content_sha256: Annotated[SHA256, Meta(description="Of names, modes and contents alone.")]
    others: Annotated[list[ArtifactDocument], Meta(description="What else was made, such as layers.")]
    from_cache: bool
    inputs: Annotated[dict[str, str], Meta(description="What the bytes depend on beside the project.")]
    unused: Annotated[list[Unused], Meta(description="Distributions that no import from the project reaches.")]
    requires: Annotated[dict[str, list[str]], Meta(description="What each distribution requires on the target.")]


class FailedBuild(Struct, frozen=True, kw_only=True):
    """A package that was not built."""

    project: str
    error: str
    hint: str | None
    exit_code: int


class PackagesDocument(Struct, frozen=True, kw_only=True):
    """What came of several packages."""

    schema_version: Literal[1] = 1
    packages: list[PackageDocument]
    errors: list[FailedBuild]
