"""The ``usage`` block of metadata: how a model is called, and an example of its input, held against its signature."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pydantic import BaseModel, ConfigDict, JsonValue, field_validator

from modelregistry.display.shown import Shown
from modelregistry.metadata.signature import Column, ModelSignature
from modelregistry.names import check_path

MOST_EXAMPLE_BYTES = 4 << 20
"""Of an example that is looked into."""
_MOST_ROWS = 100
_NUMBERS = ("int", "uint", "float")


class Usage(Shown, BaseModel):
    """How a model is used: what ``metadata["usage"]`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    text: str | None = None
    """For people, in Markdown."""
    example: str | None = None
    """The path of an example of the input, from the Git root at the version's commit: in Git, or an output of DVC."""

    @field_validator("example")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        return check_path(path) if path is not None else None


def usage_in(metadata: Mapping[str, JsonValue]) -> Usage | None:
    """The block in the metadata; None where there is none, or none that can be understood."""
    value = metadata.get("usage")
    try:
        return Usage.model_validate(value) if isinstance(value, dict) else None
    except ValueError:
        return None


def example_flaws(data: bytes, path: str, signature: ModelSignature | None) -> list[str]:
    """Why an example of the input can't be what the model takes; nothing if it can, as far as is known.

    JSON and CSV are looked into: records, columns, or rows without names. Of other files nothing is known.
    """
    if not path.endswith((".json", ".csv")):
        return []
    try:
        names, rows = _table(data, path)
    except (ValueError, RecursionError, csv.Error) as error:
        return [f"it can't be read as {path.rpartition('.')[2].upper()}: {error}"]
    if not rows:
        return ["it has no row"]
    inputs = signature.inputs if signature is not None else ()
    if not inputs:
        return []
    array = len(inputs) == 1 and len(inputs[0].shape or ()) > 1
    width = (inputs[0].shape or (None,))[-1] if array else len(inputs)
    if array or names is None or all(column.name is None for column in inputs):
        odd = next((row for row in rows if width not in (None, len(row))), None)
        if odd is not None:
            return [f"{width} features are needed, and a row has {len(odd)}"]
    return [*_flaws(names, rows, inputs, array=array)]


def _flaws(
    names: Sequence[str] | None, rows: Sequence[Sequence[object]], inputs: Sequence[Column], *, array: bool
) -> Iterator[str]:
    for position, column in enumerate(inputs):
        if names is not None and column.name is not None and not array:
            if column.name not in names:
                if column.required:
                    yield f"input {column.name!r} is needed and is not there"
                continue
            position = names.index(column.name)  # noqa: PLW2901 - where it stands in the example
        values = [value for row in rows for value in (row if array else row[position : position + 1])]
        if (column.type or "").startswith(_NUMBERS):
            odd = next((value for value in values if isinstance(value, str)), None)
            if odd is not None:
                label = column.name if column.name is not None else position
                yield f"input {label!r} is {column.type}, and the example has {odd!r:.80}"


def _table(data: bytes, path: str) -> tuple[list[str] | None, list[list[object]]]:
    """The names of the columns, None where it has none, and the first rows."""
    text = data.decode("utf-8-sig")
    if path.endswith(".csv"):
        lines = list(csv.reader(io.StringIO(text)))
        cells = [[_cell(cell) for cell in line] for line in lines[: _MOST_ROWS + 1] if line]
        named = bool(cells) and any(isinstance(cell, str) and cell for cell in cells[0])
        return ([str(cell) for cell in lines[0]], cells[1:]) if named else (None, cells)
    found = json.loads(text)
    if isinstance(found, Mapping):
        columns = [*found.values()]
        if columns and all(isinstance(column, list) for column in columns):
            lengths = {len(cast("list[object]", column)) for column in columns}
            if len(lengths) > 1:
                raise ValueError("its columns are not of one length")
            return [*found], [list(row) for row in zip(*columns, strict=True)][:_MOST_ROWS]
        return [*found], [columns]
    if not isinstance(found, list):
        raise ValueError("it is neither a list nor an object")
    rows = found[:_MOST_ROWS]
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = [*rows[0]]
        if any(row.keys() != rows[0].keys() for row in rows):
            raise ValueError("its records have not all the same fields")
        return names, [[row[name] for name in names] for row in rows]
    return None, [row if isinstance(row, list) else [row] for row in rows]


def _cell(text: str) -> object:
    try:
        return float(text) if text else None
    except ValueError:
        return text
