"""Text of a YAML file as plain values: bounded, no tag obeyed, unquoted scalars told from quoted ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from modelregistry.errors import InvalidFileError
from modelregistry.project.blockyaml import Plain, read_block

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_MAX_BYTES = 8 << 20
_FEW_CHARACTERS = 1 << 16
_MAX_DEPTH = 64
_MAX_ALIASED = 10_000  # nodes that aliases may repeat in all: anchors are fine, bombs made of them are not

_LONG = 300  # digits of a number that stands for more than its text, or a few more
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS = {
    **dict.fromkeys(_NULL),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# What stands for more than its text, or may, begins so.
_SPECIAL = frozenset("-+.0123456789") | {word[:1] for word in _WORDS}
# As the parser of DVC reads them: of YAML 1.2, and with underscores between the digits as in 1.1.
_INTEGER = re.compile(r"[-+]?(0b[01_]{1,300}|0o[0-7_]{1,300}|0x[0-9a-fA-F_]{1,300}|[0-9_]{1,300})", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(\.[0-9_]{1,300}([eE][-+][0-9]{1,6})?|[0-9][0-9_]{0,299}(\.[0-9_]{0,300})?([eE][-+]?[0-9]{1,6})?)"
)
_BASES = {"0b": 2, "0o": 8, "0x": 16}


def is_null(value: object) -> bool:
    """Whether ``value`` is written as a null (or as nothing at all)."""
    return isinstance(value, Plain) and value in _NULL


def typed(value: object) -> Any:
    """``value`` with unquoted numbers, booleans and nulls (of YAML 1.2, what JSON can say) as such."""
    if isinstance(value, dict):
        return {str(key): typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return _meant(value) if isinstance(value, Plain) else value


def _meant(text: str) -> int | float | str | bool | None:
    """What an unquoted scalar stands for."""
    if text[:1] not in _SPECIAL:
        return str(text)
    if text in _WORDS:
        return _WORDS[text]
    if text[:1].isalpha():
        return str(text)
    if text.isascii() and text.isdigit() and len(text) < _LONG:
        return int(text)
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return _number(text)
    return str(text)


def _number(text: str) -> int | float | str:
    """The number that an unquoted scalar stands for; its text where that is too large for one."""
    digits = text.replace("_", "")
    base = _BASES.get(digits.lstrip("+-")[:2], 10)
    try:
        if _INTEGER.fullmatch(text):
            return int(digits, base)
        number = float(digits)
    except ValueError:  # nothing but underscores
        return str(text)
    return str(text) if number in (float("inf"), float("-inf")) else number


def as_mapping(value: object, path: str, what: str) -> dict[str, Any]:
    """``value``, if it is a mapping; an empty one where it is a null.

    Raises:
        InvalidFileError: ``what`` in the file at ``path`` is something else.
    """
    if isinstance(value, dict):
        return value
    if value is None or is_null(value):
        return {}
    raise InvalidFileError(f"{path!r}: {what} is no mapping", path=path)


def as_list(value: object, path: str, what: str) -> list[object]:
    """``value``, if it is a list; an empty one where it is a null; raises as ``as_mapping`` does."""
    if isinstance(value, list):
        return value
    if value is None or is_null(value):
        return []
    raise InvalidFileError(f"{path!r}: {what} is no list", path=path)


def decoded_text(text: bytes, path: str) -> str:
    """``text`` as a string.

    Raises:
        InvalidFileError: It is too large, or no UTF-8.
    """
    if len(text) > _MAX_BYTES:
        raise InvalidFileError(f"{path!r} is larger than {_MAX_BYTES} bytes", path=path)
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{path!r} is no UTF-8 text: {error}", path=path) from error


def parse(text: bytes, path: str) -> object:
    """The one document in ``text``: dicts, lists and strings, whatever tags say; None if there is none. It is not to be changed.

    Raises:
        InvalidFileError: It is no YAML, has a key twice, is nested too deep, or grows by its aliases.
    """
    decoded = decoded_text(text, path)
    simple = read_block(decoded)
    return simple if simple is not None else _parsed(decoded, path)


def parse_block(text: bytes, path: str) -> Any:
    """``typed`` of what ``parse`` has, sooner, where it is of the simple form; else None. It raises as that does."""
    return read_block(decoded_text(text, path), _meant)


def parse_other(text: bytes, path: str) -> Any:
    """``typed`` of what ``parse`` has, for what ``parse_block`` has declined. It raises as that does."""
    return typed(_parsed(decoded_text(text, path), path))


def _parsed(decoded: str, path: str) -> object:
    return _known(decoded, path) if len(decoded) <= _FEW_CHARACTERS else _composed(decoded, path)


@lru_cache(maxsize=4)  # the same dvc.yaml is asked what it declares and what it plans
def _known(decoded: str, path: str) -> object:
    return _composed(decoded, path)


def _composed(decoded: str, path: str) -> object:
    try:
        return _Composer(yaml.parse(decoded, Loader=_LOADER), path).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InvalidFileError(f"{path!r}{where}: {what}", path=path) from error


class _Composer:
    """Builds the document from the parser's events, where each node can be refused before it costs anything."""

    def __init__(self, events: Iterator[Any], path: str) -> None:
        self._events = events
        self._path = path
        self._anchors: dict[str, tuple[object, int]] = {}
        self._nodes = 0
        self._aliased = 0

    def document(self) -> object:
        found: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "a second document")
                found = self._node(next(self._events), 0)
        return None if is_null(found) else found

    def _error(self, event: Any, what: str) -> InvalidFileError:
        mark = event.start_mark
        return InvalidFileError(
            f"{self._path!r}, line {mark.line + 1}, column {mark.column + 1}: {what}", path=self._path
        )

    def _node(self, event: Any, depth: int) -> object:
        if depth > _MAX_DEPTH:
            raise self._error(event, f"nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            # The anchor of a node that is still open is not there yet: a document can't contain itself.
            value, size = self._anchors.get(event.anchor or "", (None, 0))
            self._aliased += size
            if not size or self._aliased > _MAX_ALIASED:
                what = "repeats too much" if size else "is not known"
                raise self._error(event, f"the alias {event.anchor!r} {what}")
            return value
        before = self._nodes
        self._nodes += 1
        aliased = self._aliased
        if isinstance(event, yaml.ScalarEvent):
            value = Plain(event.value) if event.implicit[0] else str(event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            value = items
        else:
            value = self._mapping(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before + self._aliased - aliased)
        return value

    def _mapping(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        merged: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, str):
                raise self._error(event, "a key that is no text")
            value = self._node(next(self._events), depth + 1)
            if key == "<<" and isinstance(key, Plain):
                for each in value if isinstance(value, list) else [value]:
                    if not isinstance(each, dict):
                        raise self._error(event, "'<<' takes a mapping")
                    merged = each | merged
            elif key in found:
                raise self._error(event, f"the key {str(key)!r} stands here twice")
            else:
                found[str(key)] = value
        return merged | found
