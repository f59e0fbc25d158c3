"""The language of searches: what an expression means, as a tree of frozen nodes; nothing in it is ever run as code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

_PLAIN = re.compile(r"[^\W\d]\w*")
FieldKind = Literal["text", "texts", "number", "flag", "time", "version", "tree", "origin"]
"""``texts`` are several, of which any one may be meant; a ``tree`` has parts; of an ``origin`` one can only ask."""


class VersionText(str):
    """A version, which is compared as SemVer says."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Period:
    """What a date or a time stands for: a day, a minute, a second."""

    start: datetime
    end: datetime
    """The first moment after it."""


@dataclass(frozen=True, slots=True)
class Value:
    """A text, number, true, false or null; or what it stands for beside the field it is compared with."""

    value: str | float | bool | Period | None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Values:
    """A list of them."""

    items: tuple[Value, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """What a version says: ``stage``, or ``metrics.auc``."""

    name: str
    parts: tuple[str | int, ...] = ()
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return self.name + "".join(
            f".{part}" if isinstance(part, str) and _PLAIN.fullmatch(part) else f"[{_quoted(part)}]"
            for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class Compare:
    """``left operator right``."""

    left: Operand
    operator: Literal["<", "<=", "==", "!=", ">", ">=", "in", "not in"]
    right: Operand


@dataclass(frozen=True, slots=True)
class Like:
    """Whether a text fits a pattern."""

    left: Operand
    pattern: re.Pattern[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether it is missing, or null."""

    left: Operand
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsTrue:
    """Whether it is true: nothing else will do."""

    left: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Each of them."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of them."""

    items: tuple[Condition, ...]


Operand = Value | Values | Field
Condition = Compare | Like | IsNull | IsTrue | Not | All | Any
Node = Operand | Condition


def fields_in(node: Node) -> Iterator[Field]:
    """The fields that it speaks of, in their order."""
    match node:
        case Field():
            yield node
        case Compare():
            yield from fields_in(node.left)
            yield from fields_in(node.right)
        case Like() | IsNull() | IsTrue():
            yield from fields_in(node.left)
        case Not():
            yield from fields_in(node.inner)
        case All() | Any():
            for item in node.items:
                yield from fields_in(item)
        case _:
            return


def values_beside(node: Node, name: str) -> Iterator[object]:
    """The values that the field of that name is compared with, anywhere in it."""
    match node:
        case Compare():
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(one, Field) and one.name == name:
                    yield from _plain(other)
        case Not():
            yield from values_beside(node.inner, name)
        case All() | Any():
            for item in node.items:
                yield from values_beside(item, name)


def only_values(node: Condition, name: str) -> tuple[str, ...] | None:
    """The only texts that the field of that name can have where the condition holds; None where that is not told."""
    for part in node.items if isinstance(node, All) else (node,):
        match part:
            case Compare(Field(name=found), "==" | "in", Value() | Values() as other) if found == name:
                return tuple(value for value in _plain(other) if isinstance(value, str))
    return None


def _plain(node: Operand) -> Iterator[object]:
    if isinstance(node, Value):
        yield node.value
    elif isinstance(node, Values):
        yield from (item.value for item in node.items)


def _quoted(part: str | int) -> str:
    return str(part) if isinstance(part, int) else '"' + "".join(map(_escaped, part)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
