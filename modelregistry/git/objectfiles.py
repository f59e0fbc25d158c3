"""Objects of a repository, read from Git's own files: what is whole, small and there, without a git to start."""

from __future__ import annotations

import hashlib
import io
import os
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from modelregistry.git.objects import GitObject, raw_entries

_MOST_BYTES = 1 << 22
"""Of one object, before and after it is unpacked; git has the larger ones."""
_MOST_KEPT = 1 << 25
"""Bytes of objects that others may be written as a difference to."""
_MOST_STEPS = 5_000
"""From one object to another that it is a difference to: git makes 50, and 4,095 at most."""
_FEW_BYTES = 1 << 16
_SMALL_INDEX = 1 << 20
_CHUNK = 1 << 12
_NAME = re.compile(r"([0-9a-f]{40})(\^\{tree\}|:(.+))?", re.DOTALL)
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_TO_OFFSET, _TO_NAME = 6, 7
_FOLDER = b"40000"
_IN_GIT = frozenset([_FOLDER, b"100644", b"100755", b"120000"])
_INDEX = b"\xfftOc\0\0\0\2"
_WIDTH = 20
_ROW = 4 * 256


class _AskGitError(Exception):
    """It is not here, or not what is read here."""


class ObjectFiles:
    """The loose objects and the packs of a repository; what they say is compared with the id that it was asked for.

    Whatever is not certain is left to git: objects that are missing, large, damaged or in other folders, and names that
    are neither the id of an object, nor a path at one, nor the folder of one.

    Args:
        folder: The repository's folder ``objects``.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._packs: list[_Pack] | None = None
        self._trees: dict[str, dict[bytes, tuple[bytes, bytes]]] = {}

    def close(self) -> None:
        """Close its files."""
        for pack in self._packs or ():
            pack.close()
        self._packs = None

    def read(self, names: Sequence[str], limit: int, most: float) -> list[GitObject | None] | None:
        """As ``ObjectReader.read`` does; None where git is to be asked for all of them."""
        found: list[GitObject | None] = []
        try:
            for name in names:
                oid = self._resolved(name) if name.isprintable() else None
                each = self._object(oid, min(limit, most)) if oid is not None else None
                most -= each.size if each is not None and each.data is not None else 0
                found.append(each)
        except (_AskGitError, OSError, ValueError, IndexError, UnicodeError, zlib.error):
            return None
        return found

    def _resolved(self, name: str) -> str | None:
        """The id of what a name stands for; None where that is nothing."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise _AskGitError
        oid, what, path = match.groups()
        if what is None:
            return oid
        oid = self._tree(oid)
        if path is None:
            return oid
        mode, raw = _FOLDER, bytes.fromhex(oid)
        for part in path.encode("utf-8", "surrogateescape").split(b"/"):
            if part in (b"", b".", b"..") or mode not in _IN_GIT:
                raise _AskGitError
            found = self._entries(raw.hex()).get(part) if mode == _FOLDER else None
            if found is None:
                return None
            mode, raw = found
        return raw.hex()

    def _tree(self, oid: str) -> str:
        """The folder that a commit has, or that it is."""
        if oid in self._trees:
            return oid
        found = self._object(oid, _MOST_BYTES)
        if found.kind == "tree":
            return oid
        if found.kind != "commit" or found.data is None or not found.data.startswith(b"tree "):
            raise _AskGitError
        return found.data[5 : 5 + 2 * _WIDTH].decode()

    def _entries(self, oid: str) -> dict[bytes, tuple[bytes, bytes]]:
        if oid not in self._trees:
            tree = self._object(oid, _MOST_BYTES)
            if tree.kind != "tree" or tree.data is None:
                raise _AskGitError
            self._trees[oid] = {name: (mode, inner) for mode, name, inner in raw_entries(tree)}
        return self._trees[oid]

    def _object(self, oid: str, limit: float) -> GitObject:
        if self._packs is None:
            self._packs = _packs(os.path.join(self._folder, "pack"))
        for pack in self._packs:
            offset = pack.find(bytes.fromhex(oid))
            if offset is not None:
                kind, data = pack.read(offset)
                break
        else:
            kind, data = self._loose(oid)
        head = f"{kind} {len(data)}\0".encode()
        if hashlib.sha1(head + data, usedforsecurity=False).hexdigest() != oid:
            raise _AskGitError
        return GitObject(oid, kind, len(data), data if len(data) <= limit else None)

    def _loose(self, oid: str) -> tuple[str, bytes]:
        with open(os.path.join(self._folder, oid[:2], oid[2:]), "rb", buffering=0) as file:
            packed = file.read(
                _FEW_BYTES
            )  # at once, as most are; to make room for more costs more than to read it
            if len(packed) == _FEW_BYTES:
                packed += file.read(_MOST_BYTES)
        head, _, data = _unpacked(packed, _MOST_BYTES).partition(b"\0")
        return head.partition(b" ")[0].decode(), data


class _Pack:
    """A file of many objects, and the one that says where in it they are.

    Args:
        path: The two, without their suffixes.

    Raises:
        OSError: They are not there, or not to be read.
    """

    def __init__(self, path: str) -> None:
        self._objects = open(f"{path}.pack", "rb", buffering=0)  # noqa: SIM115 - until it is closed
        try:
            self._index: IO[bytes] = open(f"{path}.idx", "rb", buffering=0)  # noqa: SIM115
            if os.fstat(self._index.fileno()).st_size <= _SMALL_INDEX:
                with self._index as file:
                    self._index = io.BytesIO(file.read())
        except OSError:
            self._objects.close()
            raise
        self._counts: tuple[int, ...] | None = None
        self._names: dict[int, bytes] = {}
        self._kept: dict[int, tuple[str, bytes]] = {}
        self._left = _MOST_KEPT

    def close(self) -> None:
        """Close both."""
        self._objects.close()
        self._index.close()

    def find(self, oid: bytes) -> int | None:
        """Where the object is; None where it is not in here."""
        if self._counts is None:
            rows = _at(self._index, 0, len(_INDEX) + _ROW)
            if not rows.startswith(_INDEX) or len(rows) != len(_INDEX) + _ROW:
                raise _AskGitError
            self._counts = (
                0,
                *(int.from_bytes(rows[at : at + 4]) for at in range(len(_INDEX), len(rows), 4)),
            )
        begin, end = self._counts[oid[0]], self._counts[oid[0] + 1]
        names = self._names.get(oid[0])
        start = len(_INDEX) + _ROW
        if names is None:
            names = _at(self._index, start + begin * _WIDTH, (end - begin) * _WIDTH)
            self._names[oid[0]] = names
        at = names.find(oid)
        while at > 0 and at % _WIDTH:
            at = names.find(oid, at + 1)
        if at < 0:
            return None
        number, count = begin + at // _WIDTH, self._counts[-1]
        offset = int.from_bytes(_at(self._index, start + count * (_WIDTH + 4) + number * 4, 4))
        if offset >> 31:
            row = start + count * (_WIDTH + 8) + (offset & 0x7FFFFFFF) * 8
            return int.from_bytes(_at(self._index, row, 8))
        return offset

    def read(self, offset: int) -> tuple[str, bytes]:
        """The kind of an object, and its data."""
        deltas: list[tuple[int, bytes]] = []
        at = offset
        while at not in self._kept:
            if len(deltas) > _MOST_STEPS:
                raise _AskGitError
            kind, base, data = self._entry(at)
            if kind in _KINDS:
                self._keep(at, _KINDS[kind], data)
                found = _KINDS[kind], data
                break
            deltas.append((at, data))
            at = base
        else:
            found = self._kept[at]
        kind_is, data = found
        for place, delta in reversed(deltas):
            data = _patched(data, delta)
            self._keep(place, kind_is, data)
        return kind_is, data

    def _keep(self, at: int, kind: str, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._kept.clear()
            self._left = _MOST_KEPT
        self._kept[at] = kind, data

    def _entry(self, offset: int) -> tuple[int, int, bytes]:
        """What stands at a place: its kind, where what it is a difference to is, and its data."""
        start = _at(self._objects, offset, _CHUNK)
        byte = start[0]
        kind, size, shift, at = byte >> 4 & 7, byte & 15, 4, 1
        while byte & 128:
            byte = start[at]
            size |= (byte & 127) << shift
            shift += 7
            at += 1
        base = 0
        if kind == _TO_OFFSET:
            byte = start[at]
            back = byte & 127
            at += 1
            while byte & 128:
                byte = start[at]
                back = (back + 1) << 7 | byte & 127
                at += 1
            base = offset - back
        elif kind == _TO_NAME:
            found = self.find(start[at : at + _WIDTH])
            if found is None:
                raise _AskGitError
            base = found
            at += _WIDTH
        elif kind not in _KINDS:
            raise _AskGitError
        if size > _MOST_BYTES or base < 0:
            raise _AskGitError
        # What can't be packed any smaller grows by a few bytes.
        longest = at + size + size // 1000 + 64
        packed = start[at:] if longest <= _CHUNK else _at(self._objects, offset, longest)[at:]
        data = _unpacked(packed, size + 1)
        if len(data) != size:
            raise _AskGitError
        return kind, base, data


def _packs(folder: str) -> list[_Pack]:
    """The packs in a folder."""
    found: list[_Pack] = []
    names: list[str] = []
    with suppress(FileNotFoundError):
        names = os.listdir(folder)
    for name in names:
        if name.endswith(".idx"):
            with suppress(OSError):
                found.append(_Pack(os.path.join(folder, name.removesuffix(".idx"))))
    return found


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _unpacked(packed: bytes, most: int) -> bytes:
    """What was packed, all of it."""
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, most)
    if not unpacking.eof:
        raise _AskGitError
    return data


def _patched(base: bytes, delta: bytes) -> bytes:
    """What a difference makes of what it is one to."""
    length, at = _number(delta, 0)
    size, at = _number(delta, at)
    if length != len(base) or size > _MOST_BYTES:
        raise _AskGitError
    parts: list[bytes] = []
    left = size
    while at < len(delta):
        order = delta[at]
        at += 1
        if order & 128:
            place = count = 0
            for bit in range(4):
                if order & 1 << bit:
                    place |= delta[at] << 8 * bit
                    at += 1
            for bit in range(3):
                if order & 16 << bit:
                    count |= delta[at] << 8 * bit
                    at += 1
            count = count or 1 << 16
            part = base[place : place + count]
        else:
            count = order
            part = delta[at : at + count]
            at += count
        left -= count
        if not count or len(part) != count or left < 0:
            raise _AskGitError
        parts.append(part)
    if left:
        raise _AskGitError
    return b"".join(parts)


def _number(delta: bytes, at: int) -> tuple[int, int]:
    """A number of as many bytes as it needs, and where it ends."""
    found = shift = 0
    while True:
        byte = delta[at]
        at += 1
        found |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return found, at
