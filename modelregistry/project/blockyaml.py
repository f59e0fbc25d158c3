"""Reads the simplest form of YAML, in which DVC writes its files, thirty times faster than a parser for all of it can."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# A key has bounds in YAML. Within a scalar, a colon has a meaning beside a space, and a hash too; all else has one at the
# beginning only.
_KEY = r"[A-Za-z0-9_./][A-Za-z0-9_./@+-]{0,999}+"
_TEXT = r"""[!"$-9;-~]*+(?:(?::|[ ]++)(?=[!-~])[!"$-9;-~]*+)*+"""
_QUOTED = r"'[ -&(-~]*+'"
_VALUE = rf"[A-Za-z0-9_./$]{_TEXT}|{_QUOTED}|[{{[][ -~]*+"
# A key and what it has, an item, or more of the scalar in the lines before.
_ROW = re.compile(
    rf"""( *+)(?:(- )?({_KEY}):(?: ({_VALUE})[ ]*+)?|- ({_VALUE})[ ]*+|([!"$-9;-~]{_TEXT})[ ]*+)"""
)
# Within brackets: a bracket, a comma or a colon; a key or a plain scalar; a scalar in quotes; or what has a meaning here.
# Between a key and its colon is not much, as in YAML.
_FLOW_PLAIN = r"[A-Za-z0-9_./$][A-Za-z0-9_./$@+=-]*+(?:[ ]++[A-Za-z0-9_./$@+=-]++)*+"
_FLOW_PART = re.compile(rf"([][{{}},]|:(?=[ ]))[ ]*+|(?:({_FLOW_PLAIN})|({_QUOTED}))[ ]{{0,20}}+|(.)")
_MOST_CHARACTERS = 1 << 20
_MOST_DEPTH = 40
_MOST_FLOW_DEPTH = 16
_MOST_KEY = 1000
_MOST_MORE = 1 << 12
"""Characters of a scalar that goes on in the next line: each of its lines is put to all before."""


class Plain(str):
    """A scalar without quotes, which may stand for more than its text."""

    __slots__ = ()


class _OtherError(Exception):
    """It may be YAML, and not of this form."""


_Row = tuple[int, bool, str | None, str | None, object, str | None]
"""One line: its column; whether it begins an item; a key; a scalar without quotes, or ``""`` where something else has the
place of one; what was made of that; and what goes on with the scalar before, where it is nothing else."""


class _Rows(dict[str, _Row]):
    """The rows by their lines: most lines of a lock stand there again and again."""

    def __init__(self, plain: Callable[[str], object]) -> None:
        self._plain = plain

    def __missing__(self, line: str) -> _Row:
        match = _ROW.fullmatch(line)
        if match is None:
            raise _OtherError
        indent, dash, key, value, item, more = match.groups()
        text: str | None = value or item
        made: object = None
        if text is not None:
            if text[0] not in "'[{":
                made = self._plain(text)
            else:
                made = text[1:-1] if text[0] == "'" else _within_brackets(text, self._plain)
                text = ""
        row = self[line] = (len(indent), dash is not None or item is not None, key, text, made, more)
        return row


def read_block(text: str, plain: Callable[[str], object] = Plain) -> object:
    """What ``text`` holds, as ``yamltext.parse`` has it; None where it is not of the simple form, or nothing.

    The form: nested mappings and lists, one key or item a line, or several of them within brackets on one line; scalars in
    ASCII, in single quotes on one line or plain, where a long one may go on in the next lines; no comment, no empty line.

    Args:
        text: The file.
        plain: What is made of a scalar without quotes.
    """
    if not 0 < len(text) <= _MOST_CHARACTERS:
        return None
    try:
        return _built(map(_Rows(plain).__getitem__, text.removesuffix("\n").split("\n")), plain)
    except _OtherError:
        return None


def _built(rows: Iterable[_Row], plain: Callable[[str], object]) -> object:
    """The mapping or list that the rows make."""
    root: Any = None
    node: Any = None  # the innermost that may go on
    at = 0  # where it stands
    around: list[tuple[Any, int]] = []  # those that it is in, the outermost first, and where they stand
    waiting: str | None = None  # the key of the innermost whose value is in the rows that follow
    scalar = ""  # the one before, if it may go on
    for column, dash, key, text, value, more in rows:
        if more is not None:
            if not scalar or column <= at or len(scalar) > _MOST_MORE:
                raise _OtherError
            scalar = f"{scalar} {more}"
            node[-1 if type(node) is list else next(reversed(node))] = plain(scalar)
            continue
        kind: Any = list if dash else dict
        if waiting is not None and (column > at or (column == at and dash)):
            around.append((node, at))
            node[waiting] = inner = kind()
            node, at = inner, column
            if len(around) >= _MOST_DEPTH:
                raise _OtherError
        else:
            if waiting is not None:
                node[waiting] = plain("")
            elif root is None:
                root = node = kind()
            while at > column or type(node) is not kind:
                if not around:
                    raise _OtherError
                node, at = around.pop()
            if at != column:
                raise _OtherError
        waiting = None
        scalar = text or ""
        if key is None:
            node.append(value)
            continue
        if dash:
            around.append((node, at))
            node.append(inner := {})
            node, at = inner, column + 2
        elif key in node:
            raise _OtherError
        if text is None:
            waiting = key
        else:
            node[key] = value
    if waiting is not None:
        node[waiting] = plain("")
    return root


_Part = tuple[str, str, str, str]
_END: _Part = ("", "", "", "")


def _within_brackets(text: str, plain: Callable[[str], object]) -> object:
    parts = iter(_FLOW_PART.findall(text))
    found = _flow(next(parts), parts, plain, 0)
    if next(parts, None) is not None:
        raise _OtherError
    return found


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
