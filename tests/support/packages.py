"""What is in a package, and what it answers."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path


def names(package):
    """Return the names of the files in a zip."""
    with zipfile.ZipFile(package) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def contents(folder):
    """Return every file below *folder* with its bytes and permissions."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in Path(folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def call(task: Path, *layers: Path, handler="app.handler", before=""):
    """Call the handler as Lambda does: the function's folder first, then that of the layers."""
    program = (
        "import sys, json, importlib; sys.dont_write_bytecode = True\n"
        f"sys.path[:0] = {[str(task), *(f'{layer}/python' for layer in layers)]!r}\n{before}\n"
        f"module, _, name = {handler!r}.rpartition('.')\n"
        "print(json.dumps(getattr(importlib.import_module(module), name)({}, None)))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
