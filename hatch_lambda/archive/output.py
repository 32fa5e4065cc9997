"""Put a finished file in the place of an older package, and never of anything else."""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from hatch_lambda.archive.read import opened
from hatch_lambda.errors import ArchiveError, remedy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNIX, _VERSION = 3, 20
"""What `format` says in every central header."""
_LONGEST_WHEEL = 1 << 16


def is_zip(path: Path) -> bool:
    """Tell whether *path* is a file that a package may replace: a zip, or an empty file."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(2) in {b"PK", b""}


def is_own_zip(path: Path) -> bool:
    """Tell whether the zip at *path* is one that a build wrote, by what all of its entries have in common.

    Other tools date each entry as its file is, or add fields of theirs.
    """
    try:
        with opened(path) as archive:
            entries = archive.infolist()
    except ArchiveError:
        return False
    return len({entry.date_time for entry in entries}) <= 1 and all(
        (entry.create_system, entry.create_version, entry.extra) == (_UNIX, _VERSION, b"") for entry in entries
    )


def is_own_wheel(path: Path) -> bool:
    """Tell whether the wheel at *path* is one that a build wrote: it says so itself."""
    try:
        with opened(path) as archive:
            wheels = [entry for entry in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/WHEEL", entry.filename)]
            return any(
                entry.file_size <= _LONGEST_WHEEL and b"\nGenerator: hatch-lambda " in archive.read(entry)
                for entry in wheels
            )
    except ArchiveError:
        return False


def refuse_strangers(output: Path) -> None:
    """Raise ArchiveError where *output* is there and no zip: it is not ours to replace."""
    if output.exists() and not is_zip(output):
        what = "a folder" if output.is_dir() else "not a zip"
        raise ArchiveError(f"{output}: this is {what}; it was left as it is", hint="name a file, such as dist/app.zip")


@contextmanager
def failing_as_archive_error(output: Path) -> Iterator[None]:
    """Tell what went wrong; with the file's name, where it is one that should have been packed."""
    try:
        yield
    except OSError as error:
        fact = error.strerror or str(error)
        # shutil names the file that it copied from first, even if it is the other that is too large.
        elsewhere = error.filename is not None and output.name not in f"{error.filename} {error.filename2}"
        raise ArchiveError(
            f"{output}: the package could not be written: {f'{error.filename}: ' if elsewhere else ''}{fact}",
            hint=f"{remedy(error)}; an older package was left as it is",
        ) from error


@contextmanager
def replacing(output: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a new file beside *output* that takes its place when all went well, and vanishes otherwise."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield temporary, stream
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
