"""What JSON can hold: metadata, parameters and metrics that a caller gives are checked before anything is written."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator, Mapping

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError

from modelregistry.errors import InvalidInputError

_VALUES: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(
    dict[str, JsonValue], config=ConfigDict(defer_build=True)
)
_MOST_DEPTH = 100
_MOST_BITS = 14_280
"""Of a number that Python turns into text: 4,300 digits."""


def check_json(values: Mapping[str, JsonValue], what: str = "metadata") -> dict[str, JsonValue]:
    """A copy of the values, if JSON can hold them.

    Args:
        values: By their names.
        what: What they are, for the error.

    Raises:
        InvalidInputError: It can't; says what of it, and where.
    """
    try:
        checked = _VALUES.validate_python(dict(values), strict=True)
        return _VALUES.validate_json(json.dumps(checked, allow_nan=False))
    except (ValidationError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{what} must be a mapping of text to what JSON can hold (text, numbers, true, false, null, lists, "
            f"mappings): {next(_no_json(values, what), f'{what} is nested too deep')}"
        ) from error


def _no_json(value: object, where: str, depth: int = 0) -> Iterator[str]:
    """What JSON can't hold, and where; what lies too deep is not looked at."""
    match value:
        case Mapping() if depth < _MOST_DEPTH:
            for key, item in value.items():
                if isinstance(key, str) and _is_unicode(key):
                    yield from _no_json(item, f"{where}[{reprlib.repr(key)}]", depth + 1)
                else:
                    yield f"{where} has the key {reprlib.repr(key)}, which is no text"
        case _ if depth == 0:
            yield f"{where} is {_kind(value)}"
        case list() if depth < _MOST_DEPTH:
            for number, item in enumerate(value):
                yield from _no_json(item, f"{where}[{number}]", depth + 1)
        case str():
            if not _is_unicode(value):
                yield f"{where} is text with half a surrogate pair"
        case float():
            if not math.isfinite(value):
                yield f"{where} is {value}"
        case int():
            if value.bit_length() > _MOST_BITS:
                yield f"{where} is a number of {value.bit_length():,} bits"
        case None | Mapping() | list():
            pass
        case _:
            hint = ", whose tolist() gives plain values" if hasattr(value, "tolist") else ""
            yield f"{where} is {_kind(value)}{hint}"


def _kind(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"of type {name}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
