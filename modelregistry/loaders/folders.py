"""The files of a folder, and paths in it that are not believed to stay in it."""

from __future__ import annotations

import os
from pathlib import Path

from modelregistry.errors import UnknownFormatError


def contained(folder: Path, location: str) -> Path:
    """What such a path leads to, from the folder.

    The last step may be a link: so the store names a file that lies on another file system.

    Raises:
        UnknownFormatError: It is no relative path, leads out of the folder, or to nothing.
    """
    steps = location.replace("\\", "/").split("/")
    place = folder.joinpath(*steps)
    if (
        "\0" in location
        or ":" in steps[0]
        or ".." in steps
        or place.is_absolute() != folder.is_absolute()
        or not steps[0]
        or not place.parent.resolve().is_relative_to(folder.resolve())
    ):
        raise UnknownFormatError(f"{folder.name!r} asks for {location!r}, which is not in it")
    if not place.exists():
        raise UnknownFormatError(f"{folder.name!r} asks for {location!r}, and has no such file")
    return place


def files(folder: Path) -> list[Path]:
    """Every file in the folder, however deep, sorted.

    Raises:
        UnknownFormatError: A link in it leads to another folder.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        for name in folders:
            if (link := Path(place, name)).is_symlink():
                raise UnknownFormatError(f"{str(link.relative_to(folder))!r} is a link to another folder")
        found += (Path(place, name) for name in names)
    return sorted(found)
