"""Lists that people can read: an ordinary sequence with a table for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from modelregistry.display.shown import Shown

if TYPE_CHECKING:
    from modelregistry.display.view import Table, View

Row = TypeVar("Row")
MOST_ROWS = 60
"""That a table shows."""
_NAMED = 3


class Tabular(Shown):
    """What has a table: in ``rows``."""

    __slots__ = ()

    @property
    def rows(self) -> Rows[Any]:
        """The table."""
        raise NotImplementedError

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a row, by column."""
        return self.rows.to_dicts()

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of the same columns.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return self.rows.to_pandas()

    def to_polars(self) -> Any:
        """A ``polars.DataFrame`` of the same columns; mixed and nested values are JSON text in it.

        Raises:
            MissingDependencyError: polars is not installed.
        """
        return self.rows.to_polars()


class Rows(Shown, Sequence[Row], Generic[Row]):
    """An immutable sequence of rows.

    Its text and its notebook view are tables; ``to_dicts()``, ``to_pandas()`` and ``to_polars()`` give the same columns
    as values.
    """

    def __init__(
        self, rows: Iterable[Row], columns: Mapping[str, Callable[[Row], Any]], *, widest: int | None = None
    ) -> None:
        self._rows = tuple(rows)
        self._columns = dict(columns)
        self._widest = widest

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Rows[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Rows[Row]:
        if isinstance(index, slice):
            return Rows(self._rows[index], self._columns, widest=self._widest)
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

    def _line(self) -> str:
        from modelregistry.display.words import count, name_of, shortened

        name = type(self).__name__
        if not self._rows:
            return f"{name}(0 rows)"
        named = [
            *(shortened(name_of(row), 60) for row in self._rows[:_NAMED]),
            *(["…"] if len(self._rows) > _NAMED else []),
        ]
        kind = type(self._rows[0]).__name__
        return f"{name}({count(len(self._rows), 'row')} of {kind}: {', '.join(named)})"

    def __str__(self) -> str:
        from modelregistry.display.terminal import text

        return text(self._view(), widest=self._widest)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a row, by column."""
        return [{title: value(row) for title, value in self._columns.items()} for row in self._rows]

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of the same columns.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        from modelregistry.display.dataframes import to_pandas

        return to_pandas(self._values())

    def to_polars(self) -> Any:
        """A ``polars.DataFrame`` of the same columns; mixed and nested values are JSON text in it.

        Raises:
            MissingDependencyError: polars is not installed.
        """
        from modelregistry.display.dataframes import to_polars

        return to_polars(self._values())

    def _values(self) -> dict[str, list[Any]]:
        return {title: [value(row) for row in self._rows] for title, value in self._columns.items()}

    def _view(self) -> View:
        from modelregistry.display.view import View

        return View(blocks=[self._table()])

    def _table(self) -> Table:
        """What is shown of it."""
        from modelregistry.display.fields import dressed
        from modelregistry.display.view import Table

        shown = [
            [dressed(title, value(row)) for title, value in self._columns.items()]
            for row in self._rows[:MOST_ROWS]
        ]
        return Table(tuple(self._columns), shown, self._left_out())

    def _left_out(self) -> list[str]:
        return more_than(self._rows)


def more_than(rows: Sequence[object]) -> list[str]:
    """What a table leaves out of so many rows."""
    more = len(rows) - MOST_ROWS
    return [f"… and {more:,} more"] if more > 0 else []
