"""Reads the simplest form of YAML, in which DVC writes its files, thirty times faster than a parser for all of it can."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

# A key has bounds in YAML. Within a scalar, a colon has a meaning beside a space, and a hash too; all else has one at the
# beginning only.
_KEY = r"[A-Za-z0-9_./][A-Za-z0-9_./@+-]{0,999}+"
_TEXT = r"""[!"$-9;-~]*+(?:(?::|[ ]++)(?=[!-~])[!"$-9;-~]*+)*+"""
_PLAIN = rf"[A-Za-z0-9_./$]{_TEXT}"
_QUOTED = r"'[ -&(-~]*+'"
_FLOW = r"[{[][ -~]*+"
_FLOW_PLAIN = r"[A-Za-z0-9_./$][A-Za-z0-9_./$@+=-]*+(?:[ ]++[A-Za-z0-9_./$@+=-]++)*+"
# What is long goes on in lines further to the right than the key, or the dash.
_MORE = rf"""[ ]++[!"$-9;-~]{_TEXT}"""
_VALUE = rf"{_PLAIN}(?:[ ]*+\n\1(?(2)[ ]{{2}}){_MORE})*+|{_QUOTED}|{_FLOW}"
_ITEM = rf"{_PLAIN}(?:[ ]*+\n\1{_MORE})*+|{_QUOTED}|{_FLOW}"
_ROW = re.compile(rf"^( *+)(?:(- )?({_KEY}):(?: ({_VALUE}))?|- ({_ITEM}))$", re.MULTILINE)
# Within brackets: a bracket, a comma or a colon; a key or a plain scalar; a scalar in quotes; or what has a meaning here.
_FLOW_PART = re.compile(rf"([][{{}},]|:(?=[ ]))[ ]*+|({_FLOW_PLAIN})[ ]*+|({_QUOTED})[ ]*+|(.)")
_MOST_CHARACTERS = 1 << 20
_MOST_DEPTH = 40
_MOST_FLOW_DEPTH = 16
_MOST_KEY = 1000


class Plain(str):
    """A scalar without quotes, which may stand for more than its text."""

    __slots__ = ()


class _Known(dict[str, object]):
    """What was made of each scalar: a path and a hash stand where it is made, and wherever it is taken."""

    def __init__(self, plain: Callable[[str], object]) -> None:
        self._plain = plain

    def __missing__(self, text: str) -> object:
        found = self[text] = self._plain(text)
        return found


class _OtherError(Exception):
    """It may be YAML, and not of this form."""


def read_block(text: str, plain: Callable[[str], object] = Plain) -> object:
    """What ``text`` holds, as ``yamltext.parse`` has it; None where it is not of the simple form, or nothing.

    The form: nested mappings and lists, one key or item a line, or several of them within brackets on one line; scalars in
    ASCII, in single quotes on one line or plain, where a long one may go on in the next lines; no comment, no empty line.

    Args:
        text: The file.
        plain: What is made of a scalar without quotes.
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    rows = _ROW.findall(text)
    lines = text.count("\n") + (text[-1:] != "\n")
    if not rows or (
        len(rows) < lines
        and lines != len(rows) + sum([row[3].count("\n") + row[4].count("\n") for row in rows])
    ):
        return None
    try:
        return _built(rows, _Known(plain).__getitem__)
    except _OtherError:
        return None


def _built(rows: list[tuple[str, str, str, str, str]], plain: Callable[[str], object]) -> object:
    """The mapping or list that the rows make: of each its indent, a dash before a key, key, value, and item of a list."""
    row = rows[0]
    node: Any = [] if row[4] or row[1] else {}  # the innermost that may go on
    at = 0  # where it stands
    root, around = node, []  # those that it is in, the outermost first, and where they stand
    waiting = ""  # the key of the innermost whose value is in the rows that follow, if it has one
    for indent, dash, key, value, item in rows:
        column = len(indent)
        kind: Any = list if item or dash else dict
        if waiting and (column > at or (column == at and kind is list)):
            around.append((node, at))
            node[waiting] = inner = kind()
            node, at = inner, column
            if len(around) >= _MOST_DEPTH:
                raise _OtherError
        else:
            if waiting:
                node[waiting] = plain("")
            while at > column or type(node) is not kind:
                if not around:
                    raise _OtherError
                node, at = around.pop()
            if at != column:
                raise _OtherError
        waiting = ""
        if item:
            node.append(_value(item, plain))
            continue
        if dash:
            around.append((node, at))
            node.append(inner := {})
            node, at = inner, column + 2
        elif key in node:
            raise _OtherError
        if value:
            node[key] = _value(value, plain) if value[0] in "'[{" or "\n" in value else plain(value)
        else:
            waiting = key
    if waiting:
        node[waiting] = plain("")
    return root


def _value(text: str, plain: Callable[[str], object]) -> object:
    first = text[0]
    if first == "'":
        return text[1:-1]
    if first in "[{":
        parts = iter(_FLOW_PART.findall(text))
        found = _flow(next(parts), parts, plain, 0)
        if next(parts, None) is not None:
            raise _OtherError
        return found
    return plain(" ".join([line.strip(" ") for line in text.split("\n")]) if "\n" in text else text)


_Part = tuple[str, str, str, str]
_END: _Part = ("", "", "", "")


def _flow(part: _Part, parts: Iterator[_Part], plain: Callable[[str], object], depth: int) -> object:
    """What begins with a part of the text within brackets."""
    mark, text, quoted, _ = part
    if text:
        return plain(text)
    if quoted:
        return quoted[1:-1]
    if mark not in {"[", "{"} or depth > _MOST_FLOW_DEPTH:
        raise _OtherError
    items: list[object] = []
    found: dict[str, object] = {}
    part, end = next(parts, _END), "]" if mark == "[" else "}"
    while part[0] != end:
        if mark == "[":
            items.append(_flow(part, parts, plain, depth + 1))
        else:
            key = part[1] or part[2][1:-1]
            if not key or key in found or len(key) > _MOST_KEY or next(parts, _END)[0] != ":":
                raise _OtherError
            found[key] = _flow(next(parts, _END), parts, plain, depth + 1)
        part = next(parts, _END)
        if part[0] == ",":
            part = next(parts, _END)
        elif part[0] != end:
            raise _OtherError
    return items if mark == "[" else found
