"""The settings: the keys of ``[tool.lambda-slim]``, each one field of one group, with type, default and meaning."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from hatch_lambda.config.target import UNZIPPED_QUOTA, Architecture
from hatch_lambda.core.cache import DEFAULT_MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping


class Group(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """Hold settings that one part of the program reads; each is written here, and nowhere else."""


class LayerSettings(Group, frozen=True, kw_only=True, omit_defaults=True):
    """Hold what AWS is told about the layer of ``shape = "layer"``."""

    name: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None,
        Meta(
            description="Name of the layer. Without it, that of the project, and of the function if there are several.",
        ),
    ] = None
    description: Annotated[Annotated[str, Meta(max_length=256)] | None, Meta(description="What the layer is.")] = None
    license_info: Annotated[Annotated[str, Meta(max_length=512)] | None, Meta(description="Its licence.")] = None
    compatible_runtimes: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^python3\.[0-9]+$")], ...],
        Meta(max_length=15, description="Runtimes that may use it. Without it, the target's."),
    ] = ()
    compatible_architectures: Annotated[
        tuple[Architecture, ...], Meta(description="Architectures that may use it. Without it, the target's.")
    ] = ()
    allowed_accounts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^([0-9]{12}|\*)$")], ...],
        Meta(description="Accounts, by their twelve digits, that may use it; `*` for all."),
    ] = ()
    split: Annotated[
        int, Meta(ge=1, le=5, description="Over how many layers the dependencies are spread; a function takes five.")
    ] = 1


class Included(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Say where a file or a folder of the project goes in the package."""

    source: Annotated[str, Meta(description="Path of the file or folder, relative to the project.")]
    target: Annotated[str, Meta(description="Path in the package.")]


TABLE = "tool.lambda-slim"
FUNCTION_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"

DistInfo = Literal["minimal", "keep", "remove"]
Bytecode = Literal["auto", "include", "only", "none"]
Compression = Literal["fast", "balanced", "smallest"]
Verify = Literal["import", "invoke", "static"]
Shape = Literal["function", "layer", "directory", "wheel", "nested"]
Sdist = Literal["never", "pure", "cross", "container"]
Patterns = tuple[str, ...]

APPENDED = ("patterns", "include", "exclude", "strip-exclude")
"""Keys that a function adds to the project's, so that it has the last word; any other takes the project's place."""

PROJECT_WIDE = ("enabled", "functions", "cache-dir", "cache-max-size", "cache-url", "cache-write")
"""Keys that no function has for itself."""


class TargetSettings(Group, frozen=True, kw_only=True):
    """Say which Lambda the package is for."""

    runtime: Annotated[
        str | None,
        Meta(
            description="Lambda runtime, such as `python3.13`. Without it, the newest that"
            " `requires-python` allows is taken, with a warning.",
        ),
    ] = None
    architecture: Annotated[Architecture, Meta(description="`x86_64` or `arm64`.")] = Architecture.X86_64


class ProjectSettings(Group, frozen=True, kw_only=True):
    """Say what of the project is packaged, and as how many functions."""

    handler: Annotated[
        str | None,
        Meta(description="The function's handler, such as `package.module.function`; its file must be in the package."),
    ] = None
    module: Annotated[
        str | None,
        Meta(
            description="Folder, relative to the project, whose content takes the place of the project's files, at the"
            " root of the zip; with a lock file of its own, or a project of its own."
        ),
    ] = None
    functions: Annotated[
        dict[Annotated[str, Meta(pattern=FUNCTION_NAME)], dict[str, Any]],
        Meta(description="Settings of each function of the project, by its name; see *Many functions*."),
    ] = msgspec.field(default_factory=dict)
    include: Annotated[
        tuple[str | Included, ...],
        Meta(
            description="Further files of the project to package, as gitignore patterns relative to the project, or as"
            ' `{source = "…", target = "…"}` for a file or a folder that is to be elsewhere in the package.'
        ),
    ] = ()
    exclude: Annotated[
        Patterns,
        Meta(description="Files of the project to leave out, as gitignore patterns relative to the project."),
    ] = ()
    vendor: Annotated[
        tuple[str, ...],
        Meta(
            description="Wheels that take the place of locked ones, and folders whose content goes into the package's"
            " root; relative to the project."
        ),
    ] = ()

    def included_patterns(self) -> Patterns:
        """Return the patterns of ``include``."""
        return tuple(entry for entry in self.include if isinstance(entry, str))

    def placed(self) -> tuple[tuple[str, str], ...]:
        """Return what goes elsewhere in the package, and where: of ``include``, and the folders of ``vendor``."""
        entries = [(entry.source, entry.target) for entry in self.include if isinstance(entry, Included)]
        return (*entries, *((folder, "") for folder in self.vendor if not folder.endswith(".whl")))

    def vendored_wheels(self) -> tuple[str, ...]:
        """Return the wheels of ``vendor``."""
        return tuple(path for path in self.vendor if path.endswith(".whl"))


class OutputSettings(Group, frozen=True, kw_only=True):
    """Say what is made, and where."""

    enabled: Annotated[bool, Meta(description="Whether the build hook and the backend make the package.")] = True
    path: Annotated[
        str | None,
        Meta(
            description="Path of the zip, relative to the project. Without it,"
            " `dist/{name}-{version}-{runtime}-{architecture}.zip`.",
        ),
    ] = msgspec.field(name="output", default=None)
    shape: Annotated[
        Shape, Meta(description="`function`, `layer`, `directory`, `wheel` or `nested`; see *Layers and other shapes*.")
    ] = "function"
    layer: Annotated[
        LayerSettings, Meta(description="What AWS is told about the layer, and `split`; see *Layers and other shapes*.")
    ] = LayerSettings()
    nested_limit: Annotated[
        int,
        Meta(
            ge=0,
            description='Bytes that a package of `shape = "nested"` may have unzipped before distributions go to its'
            " inner archive; less leaves room for layers.",
        ),
    ] = UNZIPPED_QUOTA
    compression: Annotated[Compression, Meta(description="`fast`, `balanced` or `smallest`.")] = "balanced"


class LockSettings(Group, frozen=True, kw_only=True):
    """Say what is taken of which lock."""

    file: Annotated[
        str | None,
        Meta(description="Path of the lock file, relative to the project. Without it, it is looked for."),
    ] = msgspec.field(name="lock", default=None)
    require_lock: Annotated[
        bool | None,
        Meta(
            description="Fail where there is no lock file, instead of making one. Without it, only where nobody"
            " watches: where `CI` or SAM's `ARTIFACTS_DIR` is set."
        ),
    ] = None
    extras: Annotated[tuple[str, ...], Meta(description="The project's extras to include.")] = ()
    groups: Annotated[
        tuple[str, ...], Meta(description='Dependency groups to include, `["*"]` for all; none is by default.')
    ] = ()
    without_groups: Annotated[
        tuple[str, ...], Meta(description="Dependency groups to leave out of those that `groups` names.")
    ] = ()
    only_groups: Annotated[
        tuple[str, ...],
        Meta(description="Dependency groups to include instead of the project's own dependencies."),
    ] = ()
    require_hashes: Annotated[
        bool, Meta(description="Whether a `requirements.txt` must list hashes; without them the index is trusted.")
    ] = True
    install_args: Annotated[
        tuple[str, ...],
        Meta(description="Further options for uv when it looks for, builds and installs distributions."),
    ] = ()
    exclude_packages: Annotated[
        tuple[str, ...],
        Meta(description="Distributions to leave out, with what nothing else needs."),
    ] = ()
    keep_dependencies: Annotated[
        bool, Meta(description="Leave out what `exclude-packages` names and nothing else.")
    ] = False
    exclude_runtime_packages: Annotated[
        bool,
        Meta(description="Leave out what the Lambda runtime brings, such as boto3. Its versions move."),
    ] = False


class SdistSettings(Group, frozen=True, kw_only=True):
    """Say how a distribution without a wheel is built."""

    method: Annotated[
        Sdist,
        Meta(
            description="What is done for a distribution without a wheel for the target: `pure` builds it on this"
            " machine and takes the result if that fits the target, `never` is an error. Where it has native code,"
            " `cross` compiles that for the target, and `container` builds it in a container."
        ),
    ] = msgspec.field(name="sdist", default="pure")
    engine: Annotated[
        Literal["docker", "podman"] | None,
        Meta(description="Program that runs containers. Without it, the first of both that answers."),
    ] = msgspec.field(name="container-engine", default=None)
    image: Annotated[
        str | None,
        Meta(description="Image to build in. Without it, AWS's SAM build image of the runtime and architecture."),
    ] = msgspec.field(name="container-image", default=None)
    file: Annotated[
        str | None,
        Meta(description="Path of a Containerfile, relative to the project, whose image is built and used instead."),
    ] = msgspec.field(name="container-file", default=None)
    build_args: Annotated[
        tuple[str, ...], Meta(description="Further options of `docker build`, or `podman build`, for that image.")
    ] = msgspec.field(name="container-build-args", default=())
    args: Annotated[tuple[str, ...], Meta(description="Further options of `docker create`, or `podman create`.")] = (
        msgspec.field(name="container-args", default=())
    )
    env: Annotated[
        tuple[str, ...],
        Meta(description="Variables of the build in a container: `NAME=value`, or `NAME` for this environment's."),
    ] = msgspec.field(name="container-env", default=())
    ssh: Annotated[
        bool | str,
        Meta(description="Lend git in a container the running ssh-agent (`true`), or a private key (its path)."),
    ] = msgspec.field(name="container-ssh", default=False)
    extra_files: Annotated[
        tuple[str, ...],
        Meta(description="Shared libraries of the image, by their full paths, to put into the package's `lib/`."),
    ] = msgspec.field(name="container-extra-files", default=())

    @property
    def shaping(self) -> SdistSettings:
        """What can change a wheel: neither whose program makes it, nor where a file lies, nor whose key is lent."""
        return msgspec.structs.replace(self, engine=None, file=None, ssh=False)


class SlimSettings(Group, frozen=True, kw_only=True):
    """Say which files go."""

    scripts: Annotated[bool, Meta(description="Keep the commands in `bin/`, with `#!/usr/bin/env python3`.")] = False
    patterns: Annotated[
        Patterns,
        Meta(
            description="Files to remove, as gitignore patterns over paths in the package; `!` keeps."
            " They come after the default rules, so they have the last word.",
        ),
    ] = ()
    append_default_patterns: Annotated[bool, Meta(description="Whether the default rules apply before `patterns`.")] = (
        True
    )
    dist_info: Annotated[
        DistInfo,
        Meta(
            description="`minimal` keeps what programs read at run time and what audits need, `keep` keeps all,"
            " `remove` removes all.",
        ),
    ] = "minimal"
    keep_dist_info: Annotated[
        tuple[str, ...], Meta(description='Distributions whose metadata stays under `dist-info = "remove"`.')
    ] = ()
    aggressive: Annotated[
        bool, Meta(description="Whether the rules apply that are off by default; `hatch-lambda rules` lists them.")
    ] = False
    rules: Annotated[
        dict[str, bool], Meta(description="Rules to turn on or off by name, such as `{ py-typed = true }`.")
    ] = msgspec.field(default_factory=dict)
    data: Annotated[
        dict[str, str | tuple[str, ...]],
        Meta(
            description="Services, documents or locales to keep of a library's data, by library: a list of names, or"
            ' `"auto"` for those that code asks for.'
        ),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the tables, whose order says nothing, so that the same settings have the same digest."""
        for name in ("rules", "data"):
            msgspec.structs.force_setattr(self, name, dict(sorted(getattr(self, name).items())))

    @property
    def realigns(self) -> bool:
        """Whether the rule about segments is on, which the strip stage carries out."""
        return self.rules.get("realign-segments", self.aggressive)


class StripSettings(Group, frozen=True, kw_only=True):
    """Say which shared objects are stripped."""

    enabled: Annotated[bool, Meta(description="Strip symbols and debugging information from shared objects.")] = (
        msgspec.field(name="strip", default=True)
    )
    exclude: Annotated[
        Patterns,
        Meta(description="Shared objects to leave alone, as gitignore patterns over paths in the package."),
    ] = msgspec.field(name="strip-exclude", default=())


class BytecodeSettings(Group, frozen=True, kw_only=True):
    """Say how modules are compiled."""

    layout: Annotated[
        Bytecode,
        Meta(
            description="`include` adds compiled modules, `only` puts them in the place of their sources, `none` leaves"
            " both alone. `auto` is `include` where Lambda's limit has room for it, else `none`.",
        ),
    ] = msgspec.field(name="bytecode", default="auto")
    python: Annotated[
        str | None,
        Meta(
            description="Full version of the CPython that compiles, such as `3.13.7`. Without it, the newest patch"
            " release on this machine of the runtime's version.",
        ),
    ] = msgspec.field(name="bytecode-python", default=None)
    optimize: Annotated[
        Literal[0, 1, 2],
        Meta(description="How modules are compiled: `1` leaves out assertions, `2` docstrings too, which some need."),
    ] = 0


class AuditSettings(Group, frozen=True, kw_only=True):
    """Say what the checks have to know."""

    layers: Annotated[
        tuple[str, ...],
        Meta(
            description="Zips of the function's layers, relative to the project: they count for the quotas, and shared"
            " libraries are looked for in them."
        ),
    ] = ()
    ignore: Annotated[
        tuple[str, ...],
        Meta(description="Codes of findings that are expected, such as `HL104`: they become notes."),
    ] = msgspec.field(name="verify-ignore", default=())


class RunSettings(Group, frozen=True, kw_only=True):
    """Say how a new package is tried."""

    method: Annotated[
        Verify | None,
        Meta(
            description="How a package is tried before it takes the old one's place: `import` imports the handler's"
            " module, `invoke` also lets the handler answer `verify-events`, `static` runs nothing. Without it,"
            " `import` where this machine can."
        ),
    ] = msgspec.field(name="verify", default=None)
    events: Annotated[
        Patterns,
        Meta(description='Files with an event each, as glob patterns in the project, for `verify = "invoke"`.'),
    ] = msgspec.field(name="verify-events", default=())
    env: Annotated[
        dict[str, str],
        Meta(description="Environment variables that the handler needs to be imported and invoked."),
    ] = msgspec.field(name="verify-env", default_factory=dict)


class CacheSettings(Group, frozen=True, kw_only=True):
    """Say where what was made is kept."""

    folder: Annotated[
        str | None,
        Meta(
            description="Folder of the cache, relative to the project, unless `HATCH_LAMBDA_CACHE_DIR` names another."
            " Without both it is where this system keeps caches."
        ),
    ] = msgspec.field(name="cache-dir", default=None)
    max_size: Annotated[
        int, Meta(ge=0, description="Bytes above which the cache drops what was used least recently.")
    ] = msgspec.field(name="cache-max-size", default=DEFAULT_MAX_SIZE)
    url: Annotated[
        str | None,
        Meta(
            description="A second cache that machines share, such as `s3://bucket/prefix`; needs the extra"
            " `remote-cache`. It is only read, unless `cache-write` is set."
        ),
    ] = msgspec.field(name="cache-url", default=None)
    may_write: Annotated[
        bool,
        Meta(description="Write to `cache-url`, too. Who can write there can put code into packages."),
    ] = msgspec.field(name="cache-write", default=False)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the decoded table, with a default for every key: one group for each part that reads it."""

    target: TargetSettings = TargetSettings()
    project: ProjectSettings = ProjectSettings()
    output: OutputSettings = OutputSettings()
    lock: LockSettings = LockSettings()
    sdist: SdistSettings = SdistSettings()
    slim: SlimSettings = SlimSettings()
    strip: StripSettings = StripSettings()
    bytecode: BytecodeSettings = BytecodeSettings()
    audit: AuditSettings = AuditSettings()
    run: RunSettings = RunSettings()
    cache: CacheSettings = CacheSettings()


class Key(NamedTuple):
    """Say where the value of a key of the table is kept."""

    group: str
    name: str
    type: Any


@cache
def keys() -> dict[str, Key]:
    """Return where each key's value is, by the key: to resolve their types takes as long as to decode a table."""
    return {
        field.encode_name: Key(group.name, field.name, field.type)
        for group in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(group.type)
    }


def grouped(values: Mapping[str, Any]) -> Settings:
    """Return *values*, by the keys of the flat table, in their groups."""
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, name, _ = keys()[key]
        groups.setdefault(group, {})[name] = value
    types = {group.name: group.type for group in msgspec.structs.fields(Settings)}
    return Settings(**{group: types[group](**own) for group, own in groups.items()})
