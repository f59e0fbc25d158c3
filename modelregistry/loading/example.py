"""Some rows of a model's input, as a caller has them at hand: lists become what models take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelregistry.errors import InvalidInputError

_SHOWN = 80


def rows_of(example: object) -> Any:
    """Rows as a model takes them: a list of rows becomes an array; texts, arrays and data frames are that already.

    Raises:
        InvalidInputError: It is no rows of input.
    """
    if isinstance(example, Mapping) or not (
        hasattr(example, "__len__") and not isinstance(example, str | bytes)
    ):
        raise _problem(example, "it is no list of rows, no array and no data frame")
    if not isinstance(example, list | tuple):
        return example
    rows = [*example]
    if not rows:
        raise _problem(example, "it has no row")
    if all(isinstance(row, str) for row in rows):
        return rows
    if any(isinstance(row, Mapping) for row in rows):
        raise _problem(example, "rows with names are a data frame, pandas.DataFrame(example)")
    if not all(isinstance(row, list | tuple) for row in rows):
        raise _problem(example, "one row is a list in a list, [example]")
    if len({len(row) for row in rows}) > 1:
        raise _problem(example, "its rows are not of one length")
    return _array(rows)


def column_of(texts: object) -> Any:
    """A list of texts as ONNX takes it: one column; anything else as it is."""
    return _array([[text] for text in texts]) if isinstance(texts, list) else texts


def _array(rows: list[Any]) -> Any:
    import numpy as np

    numbers = all(isinstance(value, int | float) for row in rows for value in row)
    return np.asarray(rows, dtype=float if numbers else object)


def _problem(example: object, why: str) -> InvalidInputError:
    shown = repr(example)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return InvalidInputError(
        f"example={shown} is no rows of input: {why}; pass an array, a data frame, a list of rows or a list of texts"
    )
