"""Columns as data frames: the one door to pandas and to polars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from modelregistry.display.words import text_of
from modelregistry.errors import MissingDependencyError

Columns = Mapping[str, Sequence[object]]
_LIKE_POLARS = (bool, int, float, str, datetime, date)
_INT64 = range(-(2**63), 2**63)


def to_pandas(columns: Columns) -> Any:
    """A ``pandas.DataFrame``.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise _missing("pandas") from error
    # By rows: pandas would take a column of equally long tuples for a matrix.
    values = [[*map(_encodable, each)] for each in columns.values()]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
    return pandas.DataFrame(rows, columns=list(columns))


def to_polars(columns: Columns) -> Any:
    """A ``polars.DataFrame``. A column of mixed or nested values, for which polars has no type, holds them as JSON text.

    Raises:
        MissingDependencyError: polars is not installed.
    """
    try:
        import polars
    except ImportError as error:
        raise _missing("polars") from error
    return polars.DataFrame([polars.Series(name, _alike(values)) for name, values in columns.items()])


def _alike(values: Sequence[object]) -> list[Any]:
    """Values that have one type, or None."""
    lists = [_encodable(list(value) if isinstance(value, list | tuple) else value) for value in values]
    kinds = {type(value) for value in lists if value is not None}
    if kinds == {list} and all(isinstance(item, str) for value in lists if value for item in value):  # type: ignore[attr-defined]
        return lists
    if kinds == {int, float} and _fits(lists):
        return [None if value is None else float(value) for value in lists]  # type: ignore[arg-type]
    if len(kinds) > 1 or not kinds <= {*_LIKE_POLARS} or not _fits(lists):
        return [None if value is None else _written(value) for value in lists]
    return lists


def _encodable(value: object) -> object:
    """The value; where it is a text, or texts, with a half of a character, which no frame takes, without that."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case list():
            return [*map(_encodable, value)]
    return value


def _written(value: object) -> str:
    """The whole value as text."""
    found = _plain(value)
    return str(
        _encodable(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=_plain))
    )


def _plain(value: object) -> object:
    """The value as JSON has it."""
    match value:
        case None | str() | bool() | int() | float() | list() | tuple():
            return value
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=str)
        case datetime() | date():
            return value.isoformat()
    return text_of(value)


def _fits(values: Sequence[object]) -> bool:
    return all(value in _INT64 for value in values if type(value) is int)


def _missing(library: str) -> MissingDependencyError:
    return MissingDependencyError(f"to_{library}() needs {library}: pip install 'modelregistry[{library}]'")
