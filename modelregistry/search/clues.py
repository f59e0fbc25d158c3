"""What the log of a model must hold for a question to find a version of it: a clue by which others are passed over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelregistry.names import INACTIVE, WITHDRAWN
from modelregistry.search.query import (
    All,
    Any,
    Compare,
    Condition,
    Field,
    IsTrue,
    Like,
    Operand,
    Value,
    Values,
)

_LOST = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are no text: a text with it may be any bytes."""
_TEXTS = ("author", "email", "message", "rev")
"""Fields that stand in a record as they are; others stand there as JSON."""


@dataclass(frozen=True, slots=True)
class Holds:
    """One record has, of each of these, at least one."""

    each: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class Every:
    """The log fits all of them."""

    items: tuple[Clue, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """The log fits at least one of them."""

    items: tuple[Clue, ...]


Clue = Holds | Every | Either
"""It is about the bytes of the records, each the tag object that keeps an event; Git files say nothing to it."""


def fits(clue: Clue, records: Sequence[bytes]) -> bool:
    """Whether the log with these records fits it: what a backend that looks for candidates is held to."""
    match clue:
        case Every():
            return all(fits(item, records) for item in clue.items)
        case Either():
            return any(fits(item, records) for item in clue.items)
    return any(all(any(form in text for form in forms) for forms in clue.each) for text in records)


def clue_of(condition: Condition) -> Clue | None:
    """The clue to where a condition may hold; None where there is none."""
    match condition:
        case All():
            found = tuple(clue for item in condition.items if (clue := clue_of(item)) is not None)
            return Every(found) if found else None
        case Any():
            return _either(map(clue_of, condition.items))
        case Compare(left=Field() as field):
            return _compared(field, condition.operator, condition.right)
        case Compare(operator="in", left=Value(value=str(text)), right=Field() as field):
            return _said(field, text)
        case Compare(operator="==", right=Field() as field):
            return _compared(field, "==", condition.left)
        case (
            Compare(right=Field() as field)
            | Like(left=Field() as field, negated=False)
            | IsTrue(left=Field() as field)
        ):
            return _is_there(field)
    return None


def _compared(field: Field, operator: str, other: Operand) -> Clue | None:
    match operator, other:
        case "==", Value(value=str(text)):
            return _said(field, text)
        case "in", Values(items=items) if all(isinstance(item.value, str) for item in items):
            return _either(_said(field, str(item.value)) for item in items)
    return _is_there(field)


def _either(found: Iterable[Clue | None]) -> Clue | None:
    clues = []
    for clue in found:
        if clue is None:
            return None
        clues.append(clue)
    return Either(tuple(clues))


def _is_there(field: Field) -> Clue | None:
    """Of a field that must be there, whatever it is: only what the metadata says can't be elsewhere."""
    return _holds(_keys(field)) if field.name == "metadata" else None


def _said(field: Field, text: str) -> Clue | None:
    """Of a field that has that text."""
    match field.name:
        case name if name in _TEXTS:
            return _holds([_plain(text)])
        case "digest" | "source_rev":
            return _holds([_in_json(text)])
        case "stage":
            return _holds([_plain(f"#{text}")])  # as in the name of a tag
        case "state" if text not in (INACTIVE, WITHDRAWN):
            return _holds([_plain(f"#{text}")])
        case "metadata":
            return _holds([*_keys(field), _in_json(text)])
    return None


def _keys(field: Field) -> list[tuple[bytes, ...]]:
    return [_in_json(part) for part in field.parts if isinstance(part, str)]


def _holds(each: Iterable[tuple[bytes, ...]]) -> Clue | None:
    told = tuple(forms for forms in each if forms and all(forms))
    return Holds(told) if told else None


def _plain(text: str) -> tuple[bytes, ...]:
    """The bytes of a text; none where that can't be told."""
    try:
        return () if _LOST in text else (text.encode(),)
    except UnicodeEncodeError:
        return ()


def _in_json(text: str) -> tuple[bytes, ...]:
    """The same, or what says that a character of it may be spelled otherwise, by an escape."""
    plain = _plain(text)
    if not plain:
        return ()
    if not (text.isascii() and text.isprintable()) or '"' in text or "\\" in text:
        return (*plain, b"\\")
    escapes = {b"\\u00%x" % (ord(character) >> 4) for character in text}
    return (*plain, *sorted(escapes | ({b"\\/"} if "/" in text else set())))
