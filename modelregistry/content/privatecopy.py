"""A copy of verified files that belongs to the caller: whole or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from modelregistry.content.store import hash_file
from modelregistry.errors import CacheError, IntegrityError, InvalidInputError

_CHUNK = 1 << 20


def copy_out(source: Path, to: Path, name: str, digests: Mapping[str, str], *, overwrite: bool) -> Path:
    """Copy a file or folder into ``to``, each byte hashed on the way; returns where it is there.

    Args:
        source: The verified file or folder.
        to: A folder, made if need be.
        name: What it is to be called there.
        digests: The sha256 of each file, where it was recorded: by its path in the folder, or its name.
        overwrite: Replace what has that name there.

    Raises:
        InvalidInputError: Something else has that name, or ``to`` is a file.
        IntegrityError: What arrived is not what was registered.
        CacheError: It can't be written there.
    """
    if to.exists() and not to.is_dir():
        raise InvalidInputError(f"to={os.fspath(to)!r} is a file: name a folder")
    target = to / name
    files = _files(source)
    if os.path.lexists(target):
        odd = _difference(source, target, files)
        if odd is None:
            return target
        if not overwrite:
            raise InvalidInputError(
                f"{os.fspath(target)!r} is there already, and {odd}: overwrite=True replaces it"
            )
    temporary = to / f".{name}-{os.urandom(6).hex()}"
    try:
        to.mkdir(parents=True, exist_ok=True)
        try:
            for inside, file in files.items():
                place = temporary / inside if inside else temporary
                place.parent.mkdir(parents=True, exist_ok=True)
                _copy(file, place, digests.get(inside or name))
            _replace(temporary, target)
        finally:
            _remove(temporary)
    except OSError as error:
        raise CacheError(
            error.errno, f"{os.fspath(target)!r} can't be written: {error.strerror or error}"
        ) from error
    return target


def _files(top: Path) -> dict[str, Path]:
    """The files in a folder by their paths in it; a file itself by ``""``."""
    if not top.is_dir():
        return {"": top}
    return {path.relative_to(top).as_posix(): path for path in sorted(top.rglob("*")) if not path.is_dir()}


def _difference(source: Path, target: Path, files: Mapping[str, Path]) -> str | None:
    """How ``target`` differs from ``source``; None if it has the same bytes."""
    if target.is_symlink() or target.is_dir() != source.is_dir():
        return "is something else"
    there = _files(target)
    if odd := sorted(there.keys() ^ files.keys()):
        return f"{odd[0]!r} is not in both"
    for name, file in files.items():
        if hash_file(file).sha256 != hash_file(there[name]).sha256:
            return f"{name!r} has other bytes" if name else "has other bytes"
    return None


def _copy(source: Path, target: Path, expected: str | None) -> None:
    sha256 = hashlib.sha256()
    with open(source, "rb", buffering=0) as reading, open(target, "wb") as writing:
        while chunk := reading.read(_CHUNK):
            sha256.update(chunk)
            writing.write(chunk)
    found = f"sha256:{sha256.hexdigest()}"
    if expected not in (None, found):
        raise IntegrityError(
            f"{os.fspath(source)!r} changed while it was copied: expected {expected}, found {found}; try again",
            path=os.fspath(source), expected=str(expected), found=found,
        )  # fmt: skip


def _replace(new: Path, target: Path) -> None:
    """Put ``new`` in the place of ``target``."""
    if target.is_dir() and not target.is_symlink():
        # Nothing swaps two folders on every system, so the old one is moved out of the way.
        old = target.with_name(f".{target.name}-{os.urandom(6).hex()}")
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise
        _remove(old)
    elif new.is_dir() and os.path.lexists(target):
        target.unlink()
        new.rename(target)
    else:
        new.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
