"""Lists that people can read: an ordinary sequence with a table for terminals and notebooks."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from modelregistry.errors import MissingDependencyError

Row = TypeVar("Row")
_MOST_ROWS = 60


class Rows(Sequence[Row], Generic[Row]):
    """An immutable sequence of rows.

    Its text and its notebook view are tables; ``to_dicts()`` and ``to_pandas()`` give the same columns as values.
    """

    def __init__(self, rows: Iterable[Row], columns: Mapping[str, Callable[[Row], Any]]) -> None:
        self._rows = tuple(rows)
        self._columns = dict(columns)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Rows[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Rows[Row]:
        if isinstance(index, slice):
            return Rows(self._rows[index], self._columns)
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Rows, list, tuple)):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self._rows))

    def __str__(self) -> str:
        if not self._rows:
            return "(nothing)"
        cells = [list(self._columns), *(self._texts(row) for row in self._rows[:_MOST_ROWS])]
        widths = [max(len(row[position]) for row in cells) for position in range(len(self._columns))]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines + self._left_out())

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(title)}</th>" for title in self._columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in self._texts(row)) + "</tr>"
            for row in self._rows[:_MOST_ROWS]
        )
        rest = "".join(f"<p>{line}</p>" for line in self._left_out())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a row, by column."""
        return [{title: value(row) for title, value in self._columns.items()} for row in self._rows]

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of the same columns.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError(
                "to_pandas() needs pandas: pip install 'modelregistry[pandas]'"
            ) from error
        return pandas.DataFrame(self.to_dicts(), columns=list(self._columns))

    def _texts(self, row: Row) -> list[str]:
        return [_text(value(row)) for value in self._columns.values()]

    def _left_out(self) -> list[str]:
        more = len(self._rows) - _MOST_ROWS
        return [f"… and {more} more"] if more > 0 else []


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(_text(item) for item in value)
    text = f"{value:%Y-%m-%d %H:%M:%S}" if hasattr(value, "strftime") else str(value)
    return " ".join(text.split())
