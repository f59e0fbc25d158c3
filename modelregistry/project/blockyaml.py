"""Reads the simplest form of YAML, in which DVC writes its files, ten times faster than a parser for all of it can."""

from __future__ import annotations

import re
from typing import NamedTuple

# Within a scalar, a colon has a meaning beside a space, and a hash too; all else has one at the beginning only.
_VALUE = r"""[A-Za-z0-9_./](?:(?:[ -"$-9;-~]|:(?=[!-~]))*[!"$-9;-~])?|'[ -&(-~]*'"""
_LINE = re.compile(rf"( *)(- )?(?:([A-Za-z0-9_./][A-Za-z0-9_./@+-]*):(?: ({_VALUE}))?|({_VALUE}))")
_LONGEST = 1000
"""Characters of a line: a key has bounds in YAML."""
_MOST_CHARACTERS = 1 << 20
_MOST_DEPTH = 40


class Plain(str):
    """A scalar without quotes, which may stand for more than its text."""

    __slots__ = ()


class _OtherError(Exception):
    """It may be YAML, and not of this form."""


class _Token(NamedTuple):
    """A key with what stands behind it, or an item of a list: one that is a scalar, or one whose keys follow."""

    column: int
    key: str | None
    value: str | None


def read_block(text: str) -> object:
    """What ``text`` holds, as ``yamltext.parse`` has it; None where it is not of the simple form, or nothing.

    The form: nested mappings and lists, one key or item a line, of scalars that a line is enough for, plain or in single
    quotes, in ASCII; no comment, no empty line.
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    try:
        tokens = _tokens(text)
        if not tokens or tokens[0].column != 0:
            return None
        found, end = _node(tokens, 0, 0)
        return found if end == len(tokens) else None
    except _OtherError:
        return None


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for line in lines:
        match = _LINE.fullmatch(line) if len(line) <= _LONGEST else None
        if match is None:
            raise _OtherError
        indent, dash, key, value, alone = match.groups()
        column = len(indent)
        if dash and key is not None:
            found += (_Token(column, None, None), _Token(column + 2, key, value))
        elif dash:
            found.append(_Token(column, None, alone))
        elif key is not None:
            found.append(_Token(column, key, value))
        else:
            raise _OtherError
    return found


def _node(tokens: list[_Token], at: int, depth: int) -> tuple[object, int]:
    if depth > _MOST_DEPTH:
        raise _OtherError
    return _mapping(tokens, at, depth) if tokens[at].key is not None else _list(tokens, at, depth)


def _mapping(tokens: list[_Token], at: int, depth: int) -> tuple[object, int]:
    column = tokens[at].column
    found: dict[str, object] = {}
    while at < len(tokens) and tokens[at].column == column and (key := tokens[at].key) is not None:
        if key in found:
            raise _OtherError
        value = tokens[at].value
        at += 1
        following = tokens[at] if at < len(tokens) else None
        if value is not None:
            found[key] = _scalar(value)
        elif following is not None and (
            following.column > column or (following.column == column and following.key is None)
        ):
            found[key], at = _node(tokens, at, depth + 1)
        else:
            found[key] = Plain("")
        _check_end(tokens, at, column)
    return found, at


def _list(tokens: list[_Token], at: int, depth: int) -> tuple[object, int]:
    column = tokens[at].column
    found: list[object] = []
    while at < len(tokens) and tokens[at].column == column and tokens[at].key is None:
        value = tokens[at].value
        at += 1
        if value is not None:
            found.append(_scalar(value))
        else:
            item, at = _node(tokens, at, depth + 1)
            found.append(item)
        _check_end(tokens, at, column)
    return found, at


def _scalar(text: str) -> str:
    return text[1:-1] if text[0] == "'" else Plain(text)


def _check_end(tokens: list[_Token], at: int, column: int) -> None:
    """What goes on further to the right would be more of the scalar, or an error."""
    if at < len(tokens) and tokens[at].column > column:
        raise _OtherError
