"""The tables inside of ``[tool.lambda-slim]``: their keys, with type, default and meaning."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hatch_lambda.target import Architecture  # noqa: TC001 - msgspec resolves it when it decodes


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
