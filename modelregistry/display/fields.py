"""The fields of any value: in one line, and as a view."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from modelregistry.display.view import Badge, Code, Facts, Size, View
from modelregistry.display.words import clean, held_by, look_of, state

_LONGEST = 240
_IDENTITIES = (
    "digest",
    "rev",
    "source_rev",
    "id",
    "prev",
    "oid",
    "old",
    "new",
    "recorded",
    "made",
    "registry_id",
)
_SIZES = ("size", "frees")
_STATES = ("state", "stage", "verdict", "action")
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxtuple = _short.maxlist = _short.maxdict = 3
_short.maxlevel = 2


def one_line(value: object) -> str:
    """What it is and its fields, as far as they say something and fit into a line."""
    said = ", ".join(
        f"{name}={_short.repr(field)}" for name, field in _fields(value) if _says_something(field)
    )
    return f"{type(value).__name__}({said})"


def short(text: str) -> str:
    """The text in one line, or as much of it as fits."""
    text = clean(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def view_of(value: object) -> View:
    """Its fields, line by line."""
    facts = [(name, dressed(name, field)) for name, field in _fields(value) if _says_something(field)]
    return View(type(value).__name__, blocks=[Facts(facts)])


def dressed(name: str, value: object) -> object:
    """The value of a field or a cell as it is shown, by the name of the field or column."""
    if name == "stages" and isinstance(value, Mapping):
        return tuple(held_by(str(stage), held) for stage, held in value.items())
    if name == "stages" and isinstance(value, tuple):
        return tuple(state(str(each)) for each in value)
    if name in _SIZES and type(value) is int:
        return Size(value)
    if name in _IDENTITIES and isinstance(value, list):
        return [Code(each) if isinstance(each, str) else each for each in value]
    if not isinstance(value, str):
        return value
    if name in _STATES:
        return state(value) if name in ("state", "stage") else Badge(value, look_of(value))
    return Code(value) if name in _IDENTITIES else value


def _says_something(value: object) -> bool:
    return value is not None and not (isinstance(value, str | tuple | Mapping) and len(value) == 0)


def _fields(value: object) -> Iterator[tuple[str, object]]:
    """The public ones, in their order."""
    if is_dataclass(value):
        names = [each.name for each in fields(value) if each.repr]
    elif hasattr(value, "_fields"):
        names = [*value._fields]
    else:
        names = [*getattr(type(value), "model_fields", ())]
    return ((name, getattr(value, name, None)) for name in names if not name.startswith("_"))
