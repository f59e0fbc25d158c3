"""What a zip says it holds, read before any library unpacks it."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from modelregistry.errors import UnknownFormatError

_FREE, _FACTOR = 64 << 20, 100
"""The bytes that a zip may unpack to: so many, and so many times its own size."""


def members(path: Path) -> frozenset[str]:
    """The names of what the file holds; none if it is no zip."""
    if not path.is_file():
        return frozenset()
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError, struct.error):
        return frozenset()


def check(path: Path) -> None:
    """Refuse a zip that unpacks to far more than it is, or that two readers may read differently.

    Raises:
        UnknownFormatError: It is such a one, or no zip.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        EOFError,
        OverflowError,
        struct.error,
    ) as error:
        raise UnknownFormatError(f"{path.name!r} is no sound zip: {str(error)!r}") from error
    size = path.stat().st_size
    if len({member.filename for member in found}) < len(found):
        raise UnknownFormatError(f"{path.name!r} is a zip with two members of one name")
    if sum(member.compress_size for member in found) > size:
        raise UnknownFormatError(f"{path.name!r} is a zip whose members share their bytes")
    unpacked = sum(member.file_size for member in found)
    if unpacked > _FREE + _FACTOR * size:
        raise UnknownFormatError(
            f"{path.name!r} is a zip of {size:,} bytes that says it unpacks to {unpacked:,}; if it is sound, write it "
            "without compression"
        )
