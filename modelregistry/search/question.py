"""What a search asks for: an expression and keyword arguments as one condition, an order, and how many."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from modelregistry.errors import InvalidInputError, InvalidNameError
from modelregistry.names import INACTIVE, WITHDRAWN, check_model
from modelregistry.search.fields import FIELDS
from modelregistry.search.parser import parse, parse_field, pattern_of, period_of
from modelregistry.search.query import (
    All,
    Any,
    Compare,
    Condition,
    Field,
    Like,
    Period,
    Value,
    Values,
    fields_in,
    only_values,
    values_beside,
)
from modelregistry.search.tokens import error_at

When = str | date | datetime | None
"""A moment or a day: ISO text is understood."""
OneOf = str | Sequence[str] | None
"""A text, or several of which any one will do."""
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class SortKey:
    """A field to sort by."""

    field: Field
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of all versions."""

    condition: Condition
    sort: tuple[SortKey, ...] = ()
    limit: int | None = None

    @classmethod
    def of(
        cls,
        query: str | None,
        *,
        name: OneOf = None,
        stage: OneOf = None,
        state: OneOf = None,
        type: OneOf = None,  # noqa: A002
        label: OneOf = None,
        author: OneOf = None,
        digest: OneOf = None,
        made_from: OneOf = None,
        since: When = None,
        until: When = None,
        sort: OneOf = None,
        limit: int | None = None,
    ) -> Question:
        """The question that a caller asks, by the arguments of ``Registry.search``.

        Raises:
            QueryError: An expression or a field that can't be read.
            InvalidInputError: An argument that can't be.
        """
        if query is not None and not isinstance(query, str):
            raise InvalidInputError(f"query={query!r}: it must be a text such as \"stage == 'current'\"")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise InvalidInputError(f"limit={limit!r}: it must be a number of versions, or None for all")
        filters = {
            "name": name, "stage": stage, "state": state, "type": type, "label": label, "author": author,
            "digest": digest, "made_from": made_from,
        }  # fmt: skip
        parts = [
            _FILTERS[argument](_texts(argument, given))
            for argument, given in filters.items()
            if given is not None
        ]
        for argument, when, operator in (("since", since, ">="), ("until", until, "<=")):
            if when is not None:
                parts.append(Compare(Field("created_at"), operator, Value(_period(argument, when))))  # type: ignore[arg-type]
        if query is not None:
            found = parse(query, FIELDS)
            parts += found.items if isinstance(found, All) else [found]
        keys = [_sort_key(key) for key in _texts("sort", sort)] if sort is not None else []
        return cls(All(tuple(parts)), tuple(keys), limit)

    @property
    def models(self) -> tuple[str, ...] | None:
        """The only models that can answer; None where that is not told."""
        found = only_values(self.condition, "name")
        return tuple(name for name in dict.fromkeys(found) if is_model(name)) if found is not None else None

    @property
    def fields(self) -> tuple[Field, ...]:
        """What it speaks of, each once."""
        spoken = [*fields_in(self.condition), *(key.field for key in self.sort)]
        return tuple({str(field): field for field in spoken}.values())

    def speaks_of(self, name: str) -> bool:
        """Whether the condition has a field of that name."""
        return any(field.name == name for field in fields_in(self.condition))

    @property
    def is_of_withdrawn(self) -> bool:
        """Whether it names the state of withdrawn versions, which are left out otherwise."""
        return WITHDRAWN in values_beside(self.condition, "state")


def field_of(text: str) -> Field:
    """The field that a text names.

    Raises:
        QueryError: There is none.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"not the name of a field: {text!r}; it is a text such as 'metrics.auc'")
    return parse_field(text, FIELDS)


def is_model(name: str) -> bool:
    """Whether a model may have that name: no other can be asked for."""
    try:
        check_model(name)
    except InvalidNameError:
        return False
    return True


def _sort_key(text: str) -> SortKey:
    is_descending = text.startswith("-")
    # The sign stays in the text, as a space, so that an error points where it is wrong.
    spelt = f" {text[1:]}" if is_descending else text
    field = field_of(spelt)
    if FIELDS[field.name] == "origin":
        raise error_at(spelt, field.at, f"{field.name!r} has no order: it can only be asked for")
    return SortKey(field, is_descending)


def _texts(argument: str, given: OneOf) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, Iterable) or not all(isinstance(text, str) for text in found):
        raise InvalidInputError(f"{argument}={given!r}: it must be a text or a list of texts")
    return tuple(found)


def _period(argument: str, when: str | date | datetime) -> Period:
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidInputError(f"{argument}={when!r} has no time zone: datetime(…, tzinfo=UTC), for one")
        return Period(when, when + timedelta(microseconds=1))
    found = (
        period_of(when.isoformat() if isinstance(when, date) else when)
        if isinstance(when, str | date)
        else None
    )
    if found is None:
        raise InvalidInputError(f'{argument}={when!r} is no date: write "2026-01-31" or "2026-01-31T12:00Z"')
    return found


# -- keyword arguments -------------------------------------------------------------------------------------


def _exactly(*names: str) -> Callable[[tuple[str, ...]], Condition]:
    def condition(texts: tuple[str, ...]) -> Condition:
        values = Values(tuple(map(Value, texts)))
        return _any(Compare(Field(name), "in", values) for name in names)

    return condition


def _fitting(*names: str) -> Callable[[tuple[str, ...]], Condition]:
    """Texts with ``*``, ``?`` or ``[abc]`` are patterns."""

    def condition(texts: tuple[str, ...]) -> Condition:
        if not any(map(_PATTERN.search, texts)):
            return _exactly(*names)(texts)
        return _any(Like(Field(name), pattern_of(text)) for name in names for text in texts)

    return condition


def _on_stage(texts: tuple[str, ...]) -> Condition:
    """As ``versions(stage=)`` takes it: also the states of versions that hold none."""
    return _any(
        Compare(Field("state" if text in (INACTIVE, WITHDRAWN) else "stage"), "==", Value(text))
        for text in texts
    )


def _any(conditions: Iterator[Condition]) -> Condition:
    found = tuple(conditions)
    return found[0] if len(found) == 1 else Any(found)


_FILTERS: Mapping[str, Callable[[tuple[str, ...]], Condition]] = {
    "name": _fitting("name"),
    "stage": _on_stage,
    "state": _exactly("state"),
    "type": _exactly("type"),
    "label": _exactly("labels"),
    "author": _fitting("author", "email"),
    "digest": _exactly("digest"),
    "made_from": _exactly("made_from"),
}


def measure(text: str) -> Field:
    """The field of a number: ``metrics.auc``, ``params.depth`` or ``metadata.cost``; of a metric, its key alone will do.

    Raises:
        QueryError: It can't be read.
    """
    if isinstance(text, str) and text and not re.match(r"(metrics|params|metadata)\s*([.\[]|$)|size$", text):
        return Field("metrics", (text,))
    return field_of(text)
