"""Reads the language of searches: from the loosest word to the tightest, with errors that point at the character."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from modelregistry.errors import InvalidNameError, QueryError
from modelregistry.names import INACTIVE, WITHDRAWN, check_version
from modelregistry.search.query import (
    All,
    Any,
    Compare,
    Condition,
    Field,
    FieldKind,
    IsNull,
    IsTrue,
    Like,
    Node,
    Not,
    Operand,
    Period,
    Value,
    Values,
    VersionText,
)
from modelregistry.search.tokens import Token, error_at, in_brackets, tokenize

MOST_DEPTH = 64
_ZONED = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:[T ](?P<clock>\d{2}:\d{2})(?P<second>:\d{2}(?P<part>\.\d{1,6})?)?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


def parse(text: str, fields: Mapping[str, FieldKind]) -> Condition:
    """What an expression asks.

    Args:
        text: The expression.
        fields: The fields there are.

    Raises:
        QueryError: It can't be read, or has a field that there is not.
    """
    return _Parser(text, fields).condition()


def parse_field(text: str, fields: Mapping[str, FieldKind]) -> Field:
    """The field that a text names, such as ``metrics.auc``; raises as ``parse`` does."""
    return _Parser(text, fields).field_alone()


def period_of(text: str) -> Period | None:
    """What a date, or a time of day on a date, stands for; UTC where it has no zone. None where it is no date."""
    found = _ZONED.fullmatch(text)
    if found is None:
        return None
    try:
        start = datetime.fromisoformat(text)
        if start.tzinfo is None:
            start = start.replace(tzinfo=UTC)
    except ValueError:
        return None
    if found["clock"] is None:
        length = timedelta(days=1)
    elif found["second"] is None:
        length = timedelta(minutes=1)
    else:
        length = timedelta(seconds=1) if found["part"] is None else timedelta(microseconds=1)
    try:
        return Period(start, start + length)
    except OverflowError:
        return Period(start, datetime.max.replace(tzinfo=start.tzinfo))  # there is nothing after it


def pattern_of(text: str) -> re.Pattern[str]:
    """The pattern of a text with ``*``, ``?`` and ``[abc]``."""
    return re.compile(fnmatch.translate(text))


class _Parser:
    """Reads one expression, from the loosest word to the tightest: or, and, not, comparisons."""

    def __init__(self, text: str, fields: Mapping[str, FieldKind]) -> None:
        self._text = text
        self._fields = fields
        self._tokens = tokenize(text)
        self._next = next(self._tokens)
        self._depth = 0

    def condition(self) -> Condition:
        if self._next.kind == "end":
            raise self._error(0, "an empty query: leave it out to find everything")
        at = self._next.at
        found = self._condition(self._any(), at)
        self._expect_end()
        return found

    def field_alone(self) -> Field:
        found = self._operand()
        if not isinstance(found, Field):
            raise self._error(0, "the name of a field is wanted here, such as metrics.auc")
        self._expect_end()
        return found

    # -- words -----------------------------------------------------------------------------------------------

    def _error(self, at: int, what: str) -> QueryError:
        return error_at(self._text, at, what)

    def _take(self) -> Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _takes(self, kind: str, value: str) -> bool:
        """Whether the next word is that one, which is passed then."""
        if self._next.kind == kind and self._next.value == value:
            self._take()
            return True
        return False

    def _expect(self, value: str, what: str) -> None:
        if not self._takes("mark", value):
            raise self._unexpected(f"{value!r} {what}")

    def _expect_end(self) -> None:
        if self._next.kind != "end":
            raise self._unexpected("an operator, 'and', 'or', or the end")

    def _unexpected(self, wanted: str) -> QueryError:
        if self._next.kind == "end":
            return self._error(self._next.at, f"the query ends, and {wanted} is wanted")
        at = self._next.at
        hint = in_brackets(self._text, at) if self._next.text.startswith("-") else ""
        return self._error(at, f"{self._next.text!r} stands where {wanted} is wanted{hint}")

    # -- conditions ------------------------------------------------------------------------------------------

    def _any(self) -> Node:
        return self._joined("or")

    def _joined(self, word: Literal["or", "and"]) -> Node:
        inner = self._all if word == "or" else self._not
        at = self._next.at
        first = inner()
        if not self._takes("keyword", word):
            return first
        items = [self._condition(first, at)]
        while True:
            at = self._next.at
            items.append(self._condition(inner(), at))
            if not self._takes("keyword", word):
                return Any(tuple(items)) if word == "or" else All(tuple(items))

    def _all(self) -> Node:
        return self._joined("and")

    def _not(self) -> Node:
        negations = 0
        while self._takes("keyword", "not"):
            negations += 1
        at = self._next.at
        found = self._comparison()
        if not negations:
            return found
        condition = self._condition(found, at)
        return Not(condition) if negations % 2 else condition

    def _condition(self, node: Node, at: int) -> Condition:
        if not isinstance(node, Value | Values | Field):
            return node
        if isinstance(node, Field):
            kind = self._fields[node.name]
            if kind == "flag" or (kind == "tree" and node.parts):
                return IsTrue(node)
            raise self._error(
                at, f"{str(node)!r} is neither true nor false: compare it, as in {node.name} == …"
            )
        if isinstance(node, Value) and isinstance(node.value, bool):
            return IsTrue(node)
        raise self._error(at, "a value alone is neither true nor false: compare a field with it")

    def _comparison(self) -> Node:
        at = self._next.at
        left = self._operand()
        found: list[Condition] = []
        while True:
            token = self._next
            if token.kind == "mark" and token.value in ("<", "<=", "==", "!=", ">", ">="):
                self._take()
                right_at = self._next.at
                right = self._operand()
                found.append(self._compare(left, token, right, at, right_at))
                left, at = right, right_at
                continue
            if found:
                return found[0] if len(found) == 1 else All(tuple(found))
            negated = False
            if token.kind == "keyword" and token.value == "not":
                self._take()
                negated = True
                if self._next.kind != "keyword" or self._next.value not in ("in", "like"):
                    raise self._unexpected("'in' or 'like' after 'not'")
            if self._takes("keyword", "in"):
                right_at = self._next.at
                right = self._operand()
                return self._in(left, right, at, right_at, negated=negated)
            if self._takes("keyword", "like"):
                return self._like(self._value(left, at), negated=negated)
            return left

    def _value(self, node: Node, at: int) -> Operand:
        if isinstance(node, Value | Values | Field):
            return node
        raise self._error(at, "this is true or false already: join it by 'and' or 'or', and compare a field")

    def _compare(self, left: Node, token: Token, right: Node, at: int, right_at: int) -> Condition:
        one, other = self._value(left, at), self._value(right, right_at)
        operator: Literal["<", "<=", "==", "!=", ">", ">="] = token.value  # type: ignore[assignment]
        for this, that in ((one, other), (other, one)):
            if isinstance(this, Value) and this.value is None:
                if operator not in ("==", "!="):
                    raise self._error(token.at, "null is neither more nor less: compare with '==' or '!='")
                self._refuse_origin(that, token.at)
                return IsNull(that, operator == "!=")
        if operator not in ("==", "!="):
            self._refuse_origin(one, token.at)
            self._refuse_origin(other, token.at)
        return Compare(self._meant(one, other), operator, self._meant(other, one))

    def _in(self, left: Node, right: Node, at: int, right_at: int, *, negated: bool) -> Condition:
        one, other = self._value(left, at), self._value(right, right_at)
        if isinstance(other, Field):
            self._refuse_origin(other, right_at)
        elif isinstance(other, Value) and not isinstance(other.value, str):
            raise self._error(right_at, 'a list is wanted after \'in\', such as ["current", "shadow"]')
        return Compare(self._meant(one, other), "not in" if negated else "in", self._meant(other, one))

    def _like(self, left: Operand, *, negated: bool) -> Condition:
        token = self._next
        pattern = self._operand()
        if not isinstance(pattern, Value) or not isinstance(pattern.value, str):
            raise self._error(token.at, "a text is wanted after 'like', such as \"churn*\"")
        self._refuse_origin(left, token.at)
        try:
            return Like(left, pattern_of(pattern.value), negated)
        except (re.error, OverflowError, RecursionError) as error:
            raise self._error(token.at, f"this is no pattern: {error}") from error

    def _refuse_origin(self, node: Operand, at: int) -> None:
        if isinstance(node, Field) and self._fields[node.name] == "origin":
            raise self._error(at, f"{node.name!r} is asked with '==', '!=' or 'in', and a text")

    def _meant(self, node: Operand, beside: Operand) -> Operand:
        """What texts stand for beside a field that is a time or a version."""
        kind = self._fields[beside.name] if isinstance(beside, Field) else None
        if isinstance(beside, Field) and beside.name == "stage":
            self._refuse_states(node)
        if kind not in ("time", "version"):
            return node
        if isinstance(node, Values):
            return Values(tuple(self._meant_value(item, kind) for item in node.items), node.at)
        return self._meant_value(node, kind) if isinstance(node, Value) else node

    def _refuse_states(self, node: Operand) -> None:
        """No stage may have the name of a state that no stage gives, so nothing would ever be found."""
        for item in node.items if isinstance(node, Values) else (node,):
            if isinstance(item, Value) and item.value in (INACTIVE, WITHDRAWN):
                raise self._error(
                    item.at, f"{item.value!r} is no stage: ask for it with state == {item.value!r}"
                )

    def _meant_value(self, node: Value, kind: Literal["time", "version"]) -> Value:
        if not isinstance(node.value, str):
            return node
        if kind == "time":
            period = period_of(node.value)
            if period is None:
                raise self._error(
                    node.at, f'{node.value!r} is no date: write "2026-01-31" or "2026-01-31T12:00Z"'
                )
            return Value(period, node.at)
        try:
            spelt = node.value if node.value.startswith("v") else f"v{node.value}"
            return Value(VersionText(check_version(spelt)), node.at)
        except InvalidNameError:
            hint = ": 'latest' alone asks for the latest of each model" if node.value == "latest" else ""
            raise self._error(
                node.at, f"{node.value!r} is no version such as \"v1.2.0\"{hint}; 'like' takes patterns"
            ) from None

    # -- operands --------------------------------------------------------------------------------------------

    def _operand(self) -> Node:
        token = self._next
        if token.kind == "constant":
            self._take()
            return Value(token.value, token.at)  # type: ignore[arg-type]
        if token.kind == "name":
            return self._field()
        if self._takes("mark", "("):
            self._depth += 1
            if self._depth > MOST_DEPTH:
                raise self._error(token.at, f"brackets within brackets more than {MOST_DEPTH} deep")
            found = self._any()
            self._expect(")", f"for the '(' at character {token.at + 1}")
            self._depth -= 1
            return found
        if self._takes("mark", "["):
            return self._list(token.at)
        raise self._unexpected("a field or a value")

    def _list(self, at: int) -> Values:
        items: list[Value] = []
        while not self._takes("mark", "]"):
            if items:
                self._expect(",", "or ']'")
                if self._takes("mark", "]"):
                    break
            token = self._take()
            if token.kind != "constant":
                raise self._error(token.at, "a text, a number, true or false is wanted in a list")
            if token.value is None:
                raise self._error(token.at, "null is in no list: ask with '== null'")
            items.append(Value(token.value, token.at))  # type: ignore[arg-type]
        return Values(tuple(items), at)

    def _field(self) -> Field:
        token = self._take()
        kind = self._fields.get(token.text)
        if kind is None:
            raise self._error(token.at, self._unknown(token.text))
        parts: list[str | int] = []
        while True:
            at = self._next.at
            if self._takes("mark", "."):
                part = self._take()
                if part.kind not in ("name", "keyword") and not (
                    part.kind == "constant" and part.text.isidentifier()
                ):
                    raise self._error(
                        part.at, "a name is wanted after '.'; others go into brackets: [\"x-y\"]"
                    )
                parts.append(part.text)
            elif self._takes("mark", "["):
                part = self._take()
                if part.kind != "constant" or type(part.value) not in (str, int):
                    raise self._error(part.at, 'a text or a number is wanted in brackets: ["x-y"]')
                parts.append(part.value)  # type: ignore[arg-type]
                self._expect("]", "after the name")
            else:
                return Field(token.text, tuple(parts), token.at)
            if kind != "tree":
                raise self._error(at, f"{token.text!r} has no parts")

    def _unknown(self, name: str) -> str:
        name = name if len(name) <= 40 else f"{name[:40]}…"
        close = difflib.get_close_matches(name, self._fields, n=1, cutoff=0.6)
        if close:
            return f"unknown field {name!r}: did you mean {close[0]!r}?"
        return (
            f"unknown field {name!r}; what a version says of itself is metrics.{name}, params.{name} or metadata.{name}, "
            f'a text is written "{name}", and the fields are {", ".join(sorted(self._fields))}'
        )
