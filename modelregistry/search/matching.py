"""Whether what is known of a version fulfils a condition: true, false, or not known yet."""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any as Anything
from typing import Final, TypeVar

from modelregistry.names import version_key
from modelregistry.search.query import (
    All,
    Any,
    Compare,
    Condition,
    Field,
    IsNull,
    IsTrue,
    Like,
    Not,
    Operand,
    Period,
    Value,
    VersionText,
)


class _Sentinel:
    def __init__(self, word: str) -> None:
        self._word = word

    def __repr__(self) -> str:
        return self._word


MISSING: Final = _Sentinel("MISSING")
"""The version does not say it."""
UNKNOWN: Final = _Sentinel("UNKNOWN")
"""It was not looked up yet."""


class Several(tuple[str, ...]):
    """Texts of which any one may be meant: the stages of a version, its labels."""

    __slots__ = ()


class Flat(dict[str, object]):
    """Values by names with dots, among which the names of groups are, too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What can only be asked whether it has something."""

    has: Callable[[str], bool]


Look = Callable[[Field], object]
"""Gives what a field is, or ``MISSING``, or ``UNKNOWN``."""
Row = TypeVar("Row")
Read = Callable[[Row], object]
"""The same of one field, and of any of many rows."""
Judge = Callable[[Row], bool | None]
"""Whether a condition holds of a row; None where that depends on what is not known yet."""
_ORDERS: Mapping[str, Callable[[Anything, Anything], bool]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_NUMBERS: Mapping[str, Callable[[Anything, Anything], bool]] = {
    **_ORDERS,
    "==": operators.eq,
    "!=": operators.ne,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def judge(condition: Condition, look: Look) -> bool | None:
    """Whether it holds; None where that depends on what is not known yet.

    A comparison with what is missing, or of another kind, or no number (NaN), does not hold, whichever it is; ``not``
    turns that round.
    """

    def reading(field: Field) -> Read[Look]:
        return lambda look: look(field)

    return judging(condition, reading)(look)


def judging(condition: Condition, reading: Callable[[Field], Read[Row]]) -> Judge[Row]:
    """What judges one after another, as ``judge`` does: what the condition is, is looked at once.

    Args:
        condition: What must hold.
        reading: Gives what reads a field of one of them.
    """
    match condition:
        case All():
            return _all([judging(item, reading) for item in condition.items], stops_at=False)
        case Any():
            return _all([judging(item, reading) for item in condition.items], stops_at=True)
        case Not():
            return _contrary(judging(condition.inner, reading))
        case Compare():
            return _comparing(condition, reading)
        case Like():
            pattern, is_negated = condition.pattern, condition.negated
            return _asking(
                _read(condition.left, reading), lambda left: _like(left, pattern, negated=is_negated)
            )
        case IsNull():
            expected = not condition.negated
            return _asking(
                _read(condition.left, reading), lambda left: (left is MISSING or left is None) is expected
            )
        case IsTrue():
            return _asking(_read(condition.left, reading), lambda left: left is True)


def _all(parts: Sequence[Judge[Row]], *, stops_at: bool) -> Judge[Row]:
    """Whether all hold, where it stops at one that does not; else whether any does."""

    def judged(row: Row) -> bool | None:
        answer: bool | None = not stops_at
        for part in parts:
            found = part(row)
            if found is stops_at:
                return found
            if found is None:
                answer = None
        return answer

    return judged


def _contrary(part: Judge[Row]) -> Judge[Row]:
    def judged(row: Row) -> bool | None:
        found = part(row)
        return None if found is None else not found

    return judged


def _asking(read: Read[Row], holds: Callable[[object], bool]) -> Judge[Row]:
    def judged(row: Row) -> bool | None:
        found = read(row)
        return None if found is UNKNOWN else holds(found)

    return judged


def _comparing(condition: Compare, reading: Callable[[Field], Read[Row]]) -> Judge[Row]:
    left, right = condition.left, condition.right
    operator: str = condition.operator
    if isinstance(left, Value) and operator in _TURNED and not isinstance(right, Value):
        left, operator, right = right, _TURNED[operator], left
    read = _read(left, reading)
    if isinstance(right, Value):
        return _asking(read, _compared_with(operator, right.value))
    other = _read(right, reading)

    def judged(row: Row) -> bool | None:
        one, two = read(row), other(row)
        return None if one is UNKNOWN or two is UNKNOWN else compare(one, operator, two)

    return judged


def _compared_with(operator: str, value: object) -> Callable[[object], bool]:
    """What compares with a value; with a number, in a third of the time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or operator not in _NUMBERS:
        return lambda left: compare(left, operator, value)
    order = _NUMBERS[operator]
    is_number = not is_nothing(value)

    def holds(left: object) -> bool:
        if type(left) is float or type(left) is int:
            return is_number and left == left and order(left, value)  # noqa: PLR0124 - what NaN is not
        return compare(left, operator, value)

    return holds


def _read(operand: Operand, reading: Callable[[Field], Read[Row]]) -> Read[Row]:
    if isinstance(operand, Field):
        return reading(operand)
    found = operand.value if isinstance(operand, Value) else tuple(item.value for item in operand.items)
    return lambda _: found


def compare(left: object, operator: str, right: object) -> bool:
    """Whether the comparison holds."""
    if is_nothing(left) or is_nothing(right):
        return False
    if operator in ("in", "not in"):
        return _is_in(left, right) is (operator == "in")
    if isinstance(left, Several | Origin | Period) and not isinstance(right, Several | Origin):
        left, operator, right = right, _TURNED[operator], left
    match right:
        case Origin():
            return isinstance(left, str) and right.has(left) is (operator == "==")
        case Several():
            if operator == "!=":
                return _is_text(left) and not _any_is(left, "==", right)
            return _any_is(left, operator, right)
        case Period():
            return isinstance(left, datetime) and _when(left, operator, right)
    if kind_of(left) != kind_of(right):
        return False
    if operator in ("==", "!="):
        return _equal(left, right) is (operator == "==")
    one, other = _order(left), _order(right)
    return one is not None and other is not None and _ORDERS[operator](one, other)


def kind_of(value: object) -> str:
    """What values of a kind can be compared with each other."""
    match value:
        case bool():
            return "flag"
        case int() | float():
            return "number"
        case VersionText():
            return "version"
        case str():
            return "text"
        case datetime():
            return "time"
        case Mapping():
            return "mapping"
    return "list"


def is_nothing(value: object) -> bool:
    """Whether nothing can be compared with it: it is missing, null, or no number (NaN)."""
    return value is MISSING or value is None or value != value  # noqa: PLR0124 - what NaN is


def _is_text(value: object) -> bool:
    return isinstance(value, str | Several)


def _any_is(left: object, operator: str, right: Several) -> bool:
    each = left if isinstance(left, Several) else (left,)
    return any(compare(one, _TURNED[operator], other) for one in right for other in each)


def _equal(left: object, right: object) -> bool:
    if isinstance(left, VersionText) and isinstance(right, VersionText):
        return version_key(left) == version_key(right)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return list(left) == list(right)
    return left == right


def _order(value: object) -> Anything:
    """What it is ordered by; None where it has no order."""
    if isinstance(value, VersionText):
        return version_key(value)
    return None if isinstance(value, bool) or not isinstance(value, int | float | str | datetime) else value


def _when(moment: datetime, operator: str, period: Period) -> bool:
    match operator:
        case "<":
            return moment < period.start
        case "<=":
            return moment < period.end
        case ">":
            return moment >= period.end
        case ">=":
            return moment >= period.start
    return (period.start <= moment < period.end) is (operator == "==")


def _is_in(left: object, right: object) -> bool | None:
    """Whether it is in there; None where that can't be."""
    match right:
        case Several():
            return any(one in right for one in _texts(left)) if _is_text(left) else None
        case list() | tuple():
            if isinstance(left, Origin):
                return any(isinstance(item, str) and left.has(item) for item in right)
            return any(compare(left, "==", item) for item in right)
        case str():
            return left in right if isinstance(left, str) else None
        case Flat():
            return _names(left, right) if isinstance(left, str) else None
        case Mapping():
            return left in right if isinstance(left, str) else None
    return None


def _names(name: str, values: Flat) -> bool:
    return name in values or any(each.startswith(f"{name}.") for each in values)


def _texts(value: object) -> Iterable[object]:
    return value if isinstance(value, Several) else (value,)


def _like(left: object, pattern: re.Pattern[str], *, negated: bool) -> bool:
    if not _is_text(left):
        return False
    return any(pattern.match(str(text)) for text in _texts(left)) is not negated
