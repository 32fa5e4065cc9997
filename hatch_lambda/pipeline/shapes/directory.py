"""The unpacked package, for SAM, CDK and container images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hatch_lambda.core.files import failing_as_archive_error
from hatch_lambda.inspect.package import Artifact
from hatch_lambda.pipeline.shapes.shape import Ingredients, Product
from hatch_lambda.stages.archive.write import content_digest

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.core.staging import Staging
    from hatch_lambda.stages.archive.pack import Packed
    from hatch_lambda.stages.archive.zipformat import Entry


def make_directory(ingredients: Ingredients, new: Staging) -> Product:
    """Write the tree with the permissions that Lambda needs; nothing of an older one is left.

    Its content has the digest that the function's zip has.
    """
    folder = ingredients.beside("")
    with failing_as_archive_error(folder):
        made = new.folder(folder)
        made.chmod(0o755)

        def write(packed: Packed) -> Entry:
            _write(packed, made / packed.entry.name)
            return packed.entry

        with ThreadPoolExecutor(max_workers=ingredients.packer.jobs) as pool:
            entries = list(pool.map(write, ingredients.entries()))
    size = sum(entry.size for entry in entries)
    return Product(
        main=Artifact(kind="directory", path=folder, size=size, unzipped=size, content_sha256=content_digest(entries))
    )


def _write(packed: Packed, path: Path) -> None:
    if packed.entry.name.endswith("/"):
        path.mkdir(exist_ok=True, parents=True)
    else:
        path.parent.mkdir(exist_ok=True, parents=True)  # threads may come here before its entry does
        path.write_bytes(packed.content)
    path.chmod(packed.entry.mode & 0o777)
