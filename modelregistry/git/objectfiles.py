"""Objects of a repository, read from Git's own files: what is whole, small and there, without a git to start."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from modelregistry.git.objects import GitObject, raw_entries
from modelregistry.git.pack import MOST_BYTES, Pack, unpacked

MOST_NAMES = 100
"""That are read at once: of more, git is sooner done, though it has to be started."""

_READ_BYTES = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_FEW_BYTES = 1 << 16
_FEW_FOLDERS = 32  # of many commits, few are asked for again
_MOST_KEPT = 1 << 22
"""Bytes of objects that are asked for again."""
_NAME = re.compile(r"([0-9a-f]{40})(\^\{tree\}|:(.+))?", re.DOTALL)
_FOLDER = b"40000"
_KNOWN = frozenset([_FOLDER, b"100644", b"100755", b"120000"])


class ObjectFiles:
    """The loose objects and the packs of a repository; what they say is compared with the id that it was asked for.

    Whatever is not certain is left to git: objects that are many, missing, large, damaged or in other folders, and names that
    are neither the id of an object, nor a path at one, nor the folder of one.

    Args:
        folder: The repository's folder ``objects``.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._packs: list[Pack] | None = None
        self._kept: dict[str, GitObject] = {}
        self._left = _MOST_KEPT
        self._folders: dict[str, Mapping[bytes, tuple[bytes, bytes]]] = {}

    def close(self) -> None:
        """Close its files."""
        for pack in self._packs or ():
            pack.close()
        self._packs = None

    def read(self, names: Sequence[str], limit: int, most: float) -> list[GitObject | None] | None:
        """As ``ObjectReader.read`` does; None where git is to be asked for all of them."""
        if len(names) > MOST_NAMES:
            return None
        found: list[GitObject | None] = []
        try:
            for name in names:
                oid = self._named(name) if name.isprintable() else None
                each = self._object(oid, min(limit, most)) if oid is not None else None
                most -= each.size if each is not None and each.data is not None else 0
                found.append(each)
        except (OSError, ValueError, IndexError, zlib.error):
            return None
        return found

    def _named(self, name: str) -> str | None:
        """The id of what a name stands for; None where that is nothing."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError("a name that git knows, if anybody does")
        oid, what, path = match.groups()
        if what is None:
            return oid
        folder = self._folder_of(oid)
        return folder if path is None else self._at(folder, path.encode())

    def _folder_of(self, oid: str) -> str:
        """The folder that a commit has, or that it is."""
        found = self._object(oid, MOST_BYTES) if oid not in self._folders else None
        if found is None or found.kind == "tree":
            return oid
        if found.kind != "commit" or found.data is None:
            raise ValueError("a tag, or something that has no folder")
        return found.data.partition(b"\n")[0].decode().removeprefix("tree ")

    def _at(self, folder: str, path: bytes) -> str | None:
        mode, oid = _FOLDER, folder
        for part in path.split(b"/"):
            if part in (b"", b".", b"..") or mode not in _KNOWN:
                raise ValueError("a path that git has to make sense of")
            found = self._in(oid).get(part) if mode == _FOLDER else None
            if found is None:
                return None
            mode, oid = found[0], found[1].hex()
        return oid

    def _in(self, folder: str) -> Mapping[bytes, tuple[bytes, bytes]]:
        if folder not in self._folders:
            found = self._object(folder, MOST_BYTES)
            if found.kind != "tree":
                raise ValueError("not a folder")
            if len(self._folders) >= _FEW_FOLDERS:
                self._folders.clear()
            self._folders[folder] = {name: (mode, oid) for mode, name, oid in raw_entries(found)}
        return self._folders[folder]

    def _object(self, oid: str, limit: float) -> GitObject:
        found = self._kept.get(oid)
        if found is None:
            found = self._read(oid)
            self._left -= found.size
            if self._left < 0:
                self._kept.clear()
                self._left = _MOST_KEPT
            self._kept[oid] = found
        return found if found.size <= limit else replace(found, data=None)

    def _read(self, oid: str) -> GitObject:
        if self._packs is None:
            self._packs = _packs(os.path.join(self._folder, "pack"))
        for pack in self._packs:
            offset = pack.find(bytes.fromhex(oid))
            if offset is not None:
                kind, data = pack.read(offset)
                _check(oid, b"%b %d\0%b" % (kind.encode(), len(data), data))
                return GitObject(oid, kind, len(data), data)
        return self._loose(oid)

    def _loose(self, oid: str) -> GitObject:
        file = os.open(f"{self._folder}/{oid[:2]}/{oid[2:]}", _READ_BYTES)
        try:
            # Most are that small, and to make room for more costs more than to read them.
            packed = os.read(file, _FEW_BYTES)
            if len(packed) == _FEW_BYTES:
                packed += os.read(file, MOST_BYTES)
        finally:
            os.close(file)
        text = unpacked(packed, MOST_BYTES)
        _check(oid, text)
        head, _, data = text.partition(b"\0")
        return GitObject(oid, head.partition(b" ")[0].decode(), len(data), data)


def _check(oid: str, text: bytes) -> None:
    """Whether the text of an object, with its head, is the one that the id is of."""
    if hashlib.sha1(text, usedforsecurity=False).hexdigest() != oid:
        raise ValueError("another object than that")


def _packs(folder: str) -> list[Pack]:
    """The packs in a folder that can be read."""
    names: list[str] = []
    with suppress(FileNotFoundError):
        names = os.listdir(folder)
    found: list[Pack] = []
    for name in names:
        if name.endswith(".idx"):
            with suppress(OSError):
                found.append(Pack(os.path.join(folder, name.removesuffix(".idx"))))
    return found
