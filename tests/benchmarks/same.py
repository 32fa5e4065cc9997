"""Zip a folder as it is, for comparing compressors on the same files: ``python -m tests.benchmarks.same DIR ZIP``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hatch_lambda.core.cache import Cache
from hatch_lambda.core.files import walk
from hatch_lambda.core.model import File, Silent, Tree
from hatch_lambda.core.staging import Staging
from hatch_lambda.stages.archive.pack import Packer
from hatch_lambda.stages.archive.section import StoredSection
from hatch_lambda.stages.archive.write import write, write_section
from hatch_lambda.stages.archive.zipformat import Timestamp


def main() -> None:
    """Zip the folder that is the first argument to the file that is the second."""
    folder, output = map(Path, sys.argv[1:])
    tree = Tree.of(File(path=path, source=source, size=source.stat().st_size) for path, source in walk(folder))
    packer = Packer(compression="balanced", cache=Cache(root=None), progress=Silent(), jobs=2)
    with tempfile.TemporaryDirectory() as work, packer:
        file = Path(work) / "section"
        section = write_section(tree, file, packer, Timestamp.of(None))
        stored = StoredSection(section=section, file=file)
        with Staging() as new:
            write([stored], Tree(()), output, new, packer, Timestamp.of(None))
            new.commit()


if __name__ == "__main__":
    main()
