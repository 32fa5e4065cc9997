"""The tables inside of ``[tool.lambda-slim]``: their keys, with type, default and meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hatch_lambda.config.target import (
    UNZIPPED_QUOTA,
    Architecture,
)
from hatch_lambda.core.cache import DEFAULT_MAX_SIZE


class Layer(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True, omit_defaults=True):
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

DistInfoPolicy = Literal["minimal", "keep", "remove"]
Bytecode = Literal["auto", "include", "only", "none"]
Compression = Literal["fast", "balanced", "smallest"]
Verify = Literal["import", "invoke", "static"]
Shape = Literal["function", "layer", "directory", "wheel", "nested"]
SdistPolicy = Literal["never", "pure", "cross", "container"]
Patterns = tuple[str, ...]

APPENDED = ("patterns", "include", "exclude", "strip-exclude")
"""Keys that a function adds to the project's, so that it has the last word; any other takes the project's place."""

PROJECT_WIDE = ("enabled", "functions", "cache-dir", "cache-max-size", "cache-url", "cache-write")
"""Keys that no function has for itself."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Hold the decoded table, with a default for every key."""

    enabled: Annotated[bool, Meta(description="Whether the build hook and the backend make the package.")] = True
    runtime: Annotated[
        str | None,
        Meta(
            description="Lambda runtime, such as `python3.13`. Without it, the newest that"
            " `requires-python` allows is taken, with a warning.",
        ),
    ] = None
    architecture: Annotated[Architecture, Meta(description="`x86_64` or `arm64`.")] = Architecture.X86_64
    handler: Annotated[
        str | None,
        Meta(description="The function's handler, such as `package.module.function`; its file must be in the package."),
    ] = None
    output: Annotated[
        str | None,
        Meta(
            description="Path of the zip, relative to the project. Without it,"
            " `dist/{name}-{version}-{runtime}-{architecture}.zip`.",
        ),
    ] = None
    shape: Annotated[
        Shape, Meta(description="`function`, `layer`, `directory`, `wheel` or `nested`; see *Layers and other shapes*.")
    ] = "function"
    layer: Annotated[
        Layer, Meta(description="What AWS is told about the layer, and `split`; see *Layers and other shapes*.")
    ] = Layer()
    nested_limit: Annotated[
        int,
        Meta(
            ge=0,
            description='Bytes that a package of `shape = "nested"` may have unzipped before distributions go to its'
            " inner archive; less leaves room for layers.",
        ),
    ] = UNZIPPED_QUOTA
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
    lock: Annotated[
        str | None,
        Meta(description="Path of the lock file, relative to the project. Without it, it is looked for."),
    ] = None
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
    sdist: Annotated[
        SdistPolicy,
        Meta(
            description="What is done for a distribution without a wheel for the target: `pure` builds it on this"
            " machine and takes the result if that fits the target, `never` is an error. Where it has native code,"
            " `cross` compiles that for the target, and `container` builds it in a container."
        ),
    ] = "pure"
    container_engine: Annotated[
        Literal["docker", "podman"] | None,
        Meta(description="Program that runs containers. Without it, the first of both that answers."),
    ] = None
    container_image: Annotated[
        str | None,
        Meta(description="Image to build in. Without it, AWS's SAM build image of the runtime and architecture."),
    ] = None
    container_file: Annotated[
        str | None,
        Meta(description="Path of a Containerfile, relative to the project, whose image is built and used instead."),
    ] = None
    container_build_args: Annotated[
        tuple[str, ...], Meta(description="Further options of `docker build`, or `podman build`, for that image.")
    ] = ()
    container_args: Annotated[
        tuple[str, ...], Meta(description="Further options of `docker create`, or `podman create`.")
    ] = ()
    container_env: Annotated[
        tuple[str, ...],
        Meta(description="Variables of the build in a container: `NAME=value`, or `NAME` for this environment's."),
    ] = ()
    container_ssh: Annotated[
        bool | str,
        Meta(description="Lend git in a container the running ssh-agent (`true`), or a private key (its path)."),
    ] = False
    container_extra_files: Annotated[
        tuple[str, ...],
        Meta(description="Shared libraries of the image, by their full paths, to put into the package's `lib/`."),
    ] = ()
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
    vendor: Annotated[
        tuple[str, ...],
        Meta(
            description="Wheels that take the place of locked ones, and folders whose content goes into the package's"
            " root; relative to the project."
        ),
    ] = ()
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
        DistInfoPolicy,
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
    layers: Annotated[
        tuple[str, ...],
        Meta(
            description="Zips of the function's layers, relative to the project: they count for the quotas, and shared"
            " libraries are looked for in them."
        ),
    ] = ()
    verify_ignore: Annotated[
        tuple[str, ...],
        Meta(description="Codes of findings that are expected, such as `HL104`: they become notes."),
    ] = ()
    strip: Annotated[bool, Meta(description="Strip symbols and debugging information from shared objects.")] = True
    strip_exclude: Annotated[
        Patterns,
        Meta(description="Shared objects to leave alone, as gitignore patterns over paths in the package."),
    ] = ()
    bytecode: Annotated[
        Bytecode,
        Meta(
            description="`include` adds compiled modules, `only` puts them in the place of their sources, `none` leaves"
            " both alone. `auto` is `include` where Lambda's limit has room for it, else `none`.",
        ),
    ] = "auto"
    bytecode_python: Annotated[
        str | None,
        Meta(
            description="Full version of the CPython that compiles, such as `3.13.7`. Without it, the newest patch"
            " release on this machine of the runtime's version.",
        ),
    ] = None
    optimize: Annotated[
        Literal[0, 1, 2],
        Meta(description="How modules are compiled: `1` leaves out assertions, `2` docstrings too, which some need."),
    ] = 0
    compression: Annotated[Compression, Meta(description="`fast`, `balanced` or `smallest`.")] = "balanced"
    verify: Annotated[
        Verify | None,
        Meta(
            description="How a package is tried before it takes the old one's place: `import` imports the handler's"
            " module, `invoke` also lets the handler answer `verify-events`, `static` runs nothing. Without it,"
            " `import` where this machine can."
        ),
    ] = None
    verify_events: Annotated[
        Patterns,
        Meta(description='Files with an event each, as glob patterns in the project, for `verify = "invoke"`.'),
    ] = ()
    verify_env: Annotated[
        dict[str, str],
        Meta(description="Environment variables that the handler needs to be imported and invoked."),
    ] = msgspec.field(default_factory=dict)
    cache_dir: Annotated[
        str | None,
        Meta(
            description="Folder of the cache, relative to the project, unless `HATCH_LAMBDA_CACHE_DIR` names another."
            " Without both it is where this system keeps caches."
        ),
    ] = None
    cache_max_size: Annotated[
        int, Meta(ge=0, description="Bytes above which the cache drops what was used least recently.")
    ] = DEFAULT_MAX_SIZE
    cache_url: Annotated[
        str | None,
        Meta(
            description="A second cache that machines share, such as `s3://bucket/prefix`; needs the extra"
            " `remote-cache`. It is only read, unless `cache-write` is set."
        ),
    ] = None
    cache_write: Annotated[
        bool,
        Meta(description="Write to `cache-url`, too. Who can write there can put code into packages."),
    ] = False

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
