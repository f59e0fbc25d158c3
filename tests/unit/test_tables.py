"""Lists for people: a sequence, a table, a data frame."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from modelregistry.display.tables import Rows
from modelregistry.errors import MissingDependencyError

COLUMNS = {"name": lambda row: row[0], "value": lambda row: row[1]}


def rows(*values: Any) -> Rows[Any]:
    return Rows([(f"r{position}", value) for position, value in enumerate(values)], COLUMNS)


def test_rows_are_an_ordinary_immutable_sequence() -> None:
    found = rows(1, 2, 3)
    assert isinstance(found, Sequence)
    assert (len(found), found[0], found[-1], list(found)) == (
        3,
        ("r0", 1),
        ("r2", 3),
        [("r0", 1), ("r1", 2), ("r2", 3)],
    )
    assert ("r1", 2) in found and found.index(("r1", 2)) == 1
    assert isinstance(found[1:], Rows) and found[1:] == [("r1", 2), ("r2", 3)]
    assert found == rows(1, 2, 3) and found != rows(1, 2) and found != "rows"
    with pytest.raises(TypeError):
        found[0] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(found)
    assert bool(rows()) is False


def test_the_text_is_a_table() -> None:
    assert str(rows(1, "long value")) == "name  value\n----  ----------\nr0    1\nr1    long value"
    assert str(rows()) == "(nothing)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (True, "yes"), (False, "no"), (("a", "b"), "a, b"), ({"s": ("v1", "v2")}, "s: v1, v2"), (0, "0"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05"), ("two\nlines\tand", "two lines and"),
    ],
)  # fmt: skip
def test_a_cell_is_one_line_for_people_and_a_value_for_programs(value: object, text: str) -> None:
    found = rows(value)
    assert str(found).splitlines()[2] == f"r0    {text}".rstrip()
    assert found.to_dicts() == [{"name": "r0", "value": value}]


def test_markup_is_text_in_a_notebook() -> None:
    page = rows("<script>alert(1)</script> & 'x'")._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page and "&amp;" in page
    assert "<script>" not in Rows([1], {"<script>": str})._repr_html_()


def test_a_long_list_says_how_much_it_left_out() -> None:
    found = rows(*range(100))
    assert str(found).endswith("… and 40 more") and "… and 40 more" in found._repr_html_()
    assert len(found.to_dicts()) == 100


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_without_its_library_names_the_remedy(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == library:
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'modelregistry\[{library}\]'"):
        getattr(rows(1), f"to_{library}")()


def test_a_data_frame_has_the_columns_even_when_empty() -> None:
    assert list(rows().to_pandas().columns) == ["name", "value"]
    assert rows(1, 2).to_pandas()["value"].tolist() == [1, 2]
