"""Tables as frames of polars: every list has one, whatever its values are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars
import pytest

from modelregistry.display.tables import Rows
from tests.shown import HOSTILE, START, examples, lists_of


@pytest.mark.parametrize("count", [0, 1, 100])
def test_every_list_is_a_frame_with_its_columns_and_rows(count: int) -> None:
    for rows in lists_of("churn", count):
        frame = rows.to_polars()
        assert frame.height == (count if frame.width else 0)
        assert frame.columns == list(rows.to_pandas().columns)


def test_what_has_a_table_is_a_frame_whatever_it_says() -> None:
    for text in HOSTILE[:3]:
        tabular = [each for each in examples(text) if hasattr(each, "to_polars")]
        assert len({type(each) for each in tabular}) >= 10
        for each in tabular:
            assert each.to_polars().height == len(each.to_dicts())


def test_values_keep_their_types_and_what_polars_has_none_for_is_text() -> None:
    values: dict[str, list[Any]] = {
        "whole": [1, None, 3], "number": [1, 2.5, None], "yes": [True, False, None], "text": ["a", None, "c"], "at": [START, None, START],
        "list": [("a", "b"), (), ("c",)], "mixed": [1, "a", None], "nested": [{"a": 1}, {"b": ("c",)}, None], "great": [2**70, 1, None],
        "greater": [10**400, 1.5, None], "exact": [0.123456789, "NaN", True], "long": [{"a": "b" * 900}, None, START],
        "nothing": [None, None, None],
    }  # fmt: skip
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    frame = Rows(rows, {name: lambda row, name=name: row[name] for name in values}).to_polars()  # type: ignore[misc]
    assert dict(frame.schema) == {
        "whole": polars.Int64, "number": polars.Float64, "yes": polars.Boolean, "text": polars.String,
        "at": polars.Datetime("us", "UTC"), "list": polars.List(polars.String), "mixed": polars.String, "nested": polars.String,
        "great": polars.String, "greater": polars.String, "exact": polars.String, "long": polars.String, "nothing": polars.Null,
    }  # fmt: skip
    assert frame["at"][0] == datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    assert frame["list"].to_list() == [["a", "b"], [], ["c"]]
    assert frame["nested"].to_list() == ['{"a": 1}', '{"b": ["c"]}', None]
    assert frame["exact"].to_list() == ["0.123456789", "NaN", "true"]
    assert frame["long"].to_list() == ['{"a": "' + "b" * 900 + '"}', None, START.isoformat()]
    assert frame["mixed"].to_list() == ["1", "a", None]


def test_half_a_character_that_a_stranger_wrote_breaks_no_frame() -> None:
    rows = Rows(
        ["a\ud800b", "é"],
        {"text": lambda row: row, "list": lambda row: [row], "nested": lambda row: {"a": row}},
    )
    assert list(rows.to_pandas()["text"]) == rows.to_polars()["text"].to_list() == ["a?b", "é"]
    assert rows.to_polars()["list"].to_list() == [["a?b"], ["é"]]
    assert rows.to_polars()["nested"].to_list() == ['{"a": "a?b"}', '{"a": "é"}']
    assert rows.to_dicts()[0]["text"] == "a\ud800b"
