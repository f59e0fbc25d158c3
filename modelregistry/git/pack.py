"""One pack of Git's: a file of many objects, most of them written as the difference to another."""

from __future__ import annotations

import io
import os
import zlib
from typing import IO

MOST_BYTES = 1 << 22
"""Of one object, packed or not; git has the larger ones."""

_MOST_KEPT = 1 << 25
"""Bytes of objects that others may be differences to."""
_MOST_STEPS = 5_000
"""From one object to what it is a difference to: git makes 50, and 4,095 at most."""
_SMALL_INDEX = 1 << 20
_CHUNK = 1 << 12
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_TO_OFFSET, _TO_NAME = 6, 7
_WIDTH = 20
_HEAD = b"\xfftOc\0\0\0\2"
_NAMES = len(_HEAD) + 4 * 256
"""Where they begin, in the file that says where objects are."""


class Pack:
    """Reads objects of at most ``MOST_BYTES``. What is not as it should be, or larger, is a ValueError, IndexError or zlib.error.

    Args:
        path: The file of objects and the one that says where in it they are, without their suffixes.

    Raises:
        OSError: One of them is not there, or not to be read.
    """

    def __init__(self, path: str) -> None:
        self._index: IO[bytes] = open(f"{path}.idx", "rb", buffering=0)  # noqa: SIM115 - until it is closed
        try:
            if os.fstat(self._index.fileno()).st_size <= _SMALL_INDEX:
                with self._index as file:
                    self._index = io.BytesIO(file.read())
            self._objects = open(f"{path}.pack", "rb", buffering=0)  # noqa: SIM115
        except OSError:
            self._index.close()
            raise
        self._counts: tuple[int, ...] = ()
        self._names: dict[int, bytes] = {}
        self._kept: dict[int, tuple[str, bytes]] = {}
        self._left = _MOST_KEPT

    def close(self) -> None:
        """Close both."""
        self._objects.close()
        self._index.close()

    def find(self, oid: bytes) -> int | None:
        """Where the object is; None where it is not in here."""
        if not self._counts:
            self._read_counts()
        first, last = self._counts[oid[0]], self._counts[oid[0] + 1]
        names = self._names.get(oid[0])
        if names is None:  # of all that begin with that byte, in order
            names = _at(self._index, _NAMES + first * _WIDTH, (last - first) * _WIDTH)
            self._names[oid[0]] = names
        at = names.find(oid)
        while at > 0 and at % _WIDTH:
            at = names.find(oid, at + 1)
        return self._offset(first + at // _WIDTH) if at >= 0 else None

    def _read_counts(self) -> None:
        """How many names begin with each byte, or with one before it."""
        rows = _at(self._index, 0, _NAMES)
        if not rows.startswith(_HEAD) or len(rows) != _NAMES:
            raise ValueError("an index of another version")
        counts = (int.from_bytes(rows[at : at + 4]) for at in range(len(_HEAD), _NAMES, 4))
        self._counts = (0, *counts)

    def _offset(self, number: int) -> int:
        """Where the object is whose name has that number; after the names, the index has four bytes for each to check it."""
        count = self._counts[-1]
        offset = int.from_bytes(_at(self._index, _NAMES + count * (_WIDTH + 4) + number * 4, 4))
        if not offset >> 31:
            return offset
        return int.from_bytes(_at(self._index, _NAMES + count * (_WIDTH + 8) + (offset & 0x7FFFFFFF) * 8, 8))

    def read(self, offset: int) -> tuple[str, bytes]:
        """The kind of the object at a place, and its data."""
        differences: list[tuple[int, bytes]] = []
        at = offset
        while at not in self._kept:
            kind, base, data = self._entry(at)
            if kind in _KINDS:
                self._keep(at, _KINDS[kind], data)
                break
            differences.append((at, data))
            if len(differences) > _MOST_STEPS:
                raise ValueError("differences without an end")
            at = base
        kind_is, data = self._kept[at]
        for place, difference in reversed(differences):
            data = patched(data, difference)
            self._keep(place, kind_is, data)
        return kind_is, data

    def _keep(self, at: int, kind: str, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._kept.clear()
            self._left = _MOST_KEPT
        self._kept[at] = kind, data

    def _entry(self, offset: int) -> tuple[int, int, bytes]:
        """What stands at a place: its kind, where the object is that it is a difference to, and its data."""
        start = _at(self._objects, offset, _CHUNK)
        byte = start[0]
        kind, size, shift, at = byte >> 4 & 7, byte & 15, 4, 1
        while byte & 128:
            byte = start[at]
            size |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
        base = 0
        if kind == _TO_OFFSET:
            back, at = _distance(start, at)
            base = offset - back
        elif kind == _TO_NAME:
            base = self.find(start[at : at + _WIDTH]) or 0
            at += _WIDTH
        if size > MOST_BYTES or base < 0 or (kind not in _KINDS and not base):
            raise ValueError("an object that is not read here")
        longest = at + size + size // 1000 + 64  # what can't be packed any smaller grows by a few bytes
        packed = start if longest <= _CHUNK else _at(self._objects, offset, longest)
        data = unpacked(packed[at:], size + 1)
        if len(data) != size:
            raise ValueError("an object of another size than it says")
        return kind, base, data


def unpacked(packed: bytes, most: int) -> bytes:
    """What was packed.

    Raises:
        ValueError: That is not all of it, or it is more than ``most`` bytes.
        zlib.error: It is damaged.
    """
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(packed, most)
    if not unpacking.eof:
        raise ValueError("too much, or not all of it")
    return data


def patched(base: bytes, difference: bytes) -> bytes:
    """What a difference makes of what it is one to: parts of that, and what is new.

    Raises:
        ValueError: It is no difference to that.
        IndexError: It ends too early.
    """
    length, at = _number(difference, 0)
    size, at = _number(difference, at)
    parts: list[bytes] = []
    left = size if length == len(base) and size <= MOST_BYTES else -1
    while at < len(difference) and left >= 0:
        order = difference[at]
        at += 1
        if order & 128:
            numbers = []
            for bit in range(7):  # a byte that is 0 is left out
                numbers.append(difference[at] if order >> bit & 1 else 0)
                at += order >> bit & 1
            place = int.from_bytes(bytes(numbers[:4]), "little")
            count = int.from_bytes(bytes(numbers[4:]), "little") or 1 << 16
            part = base[place : place + count]
        else:
            count = order
            part = difference[at : at + count]
            at += count
        left -= count if count and len(part) == count else size + 1
        parts.append(part)
    if left:
        raise ValueError("not a difference to that")
    return b"".join(parts)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of as many bytes as it needs, the lowest first, and where it ends."""
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return found, at


def _distance(data: bytes, at: int) -> tuple[int, int]:
    """A number as it says how far back something is, and where it ends."""
    byte = data[at]
    found = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        found = (found + 1) << 7 | byte & 127
    return found, at + 1


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
