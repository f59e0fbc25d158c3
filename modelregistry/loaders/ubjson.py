"""UBJSON as XGBoost writes it, read with an eye on its end: XGBoost's own reader looks past it."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Any

_NUMBERS = {
    ord("i"): "b",
    ord("U"): "B",
    ord("I"): "h",
    ord("l"): "i",
    ord("L"): "q",
    ord("d"): "f",
    ord("D"): "d",
}
"""What the mark of a number is to ``array``."""
_CONSTANTS: dict[int, Any] = {ord("T"): True, ord("F"): False, ord("Z"): None}
_DEEPEST = 64


def parse(data: bytes | bytearray) -> dict[str, Any]:
    """The one object that the bytes are; arrays of numbers in it are compact.

    Raises:
        ValueError: They are no such object, or more than that.
    """
    reader = _Reader(data)
    found = reader.value(0)
    if not isinstance(found, dict):
        raise ValueError("it is no object of UBJSON's")
    if reader.at != len(data):
        raise ValueError(f"something follows its end at byte {reader.at}")
    return found


class _Reader:
    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError(f"it nests more than {_DEEPEST} deep")
        mark = self.take(1)[0]
        if mark in _NUMBERS:
            return self.numbers(mark, 1)[0]
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        match chr(mark):
            case "S":
                return self.text()
            case "{":
                return self.object(depth)
            case "[":
                return self.listing(depth)
            case _:
                raise ValueError(f"an unknown mark at byte {self.at - 1}")

    def object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.met(b"}"):
            key = self.text()
            if key in found:  # which of the two counts is anybody's guess
                raise ValueError(f"the key {key!r} stands twice in one object")
            found[key] = self.value(depth + 1)
        return found

    def listing(self, depth: int) -> Sequence[Any]:
        mark = self.take(1)[0] if self.met(b"$") else None
        if self.met(b"#"):
            count = self.length()
            if mark is None:
                return [self.value(depth + 1) for _ in range(count)]
            if mark in _NUMBERS:
                return self.numbers(mark, count)
        found: list[Any] = []
        if mark is not None:
            raise ValueError(f"an array of no numbers at byte {self.at}")
        while not self.met(b"]"):
            found.append(self.value(depth + 1))
        return found

    def numbers(self, mark: int, count: int) -> array[Any]:
        found: array[Any] = array(_NUMBERS[mark])
        found.frombytes(self.take(count * found.itemsize))
        if sys.byteorder == "little":
            found.byteswap()
        return found

    def text(self) -> str:
        return self.take(self.length()).decode()

    def length(self) -> int:
        if not self.met(b"L"):
            raise ValueError(f"no length at byte {self.at}")
        length: int = self.numbers(ord("L"), 1)[0]
        return length

    def met(self, mark: bytes) -> bool:
        """Whether that comes next, and is passed over."""
        found = self.data[self.at : self.at + 1] == mark
        self.at += found
        return found

    def take(self, size: int) -> bytes:
        end = self.at + size
        if not self.at <= end <= len(self.data):
            raise ValueError(f"it ends at byte {len(self.data)}, and not where it should")
        self.at, taken = end, bytes(self.data[self.at : end])
        return taken
