"""Where a reader of the whole log stands, written down."""

from __future__ import annotations

import pytest

from modelregistry.errors import InvalidInputError
from modelregistry.log.cursor import Cursor
from modelregistry.log.events import Annotated, Event
from modelregistry.testing import make_event


def events(count: int) -> list[Event]:
    return [make_event(Annotated, "churn", "a" * 40, second=n, number=n) for n in range(1, count + 1)]


def test_a_cursor_knows_what_was_had_and_nothing_else() -> None:
    had, new = events(300)[:299], events(300)[299]
    text = str(Cursor.at(had))
    assert len(text) <= 8 * len(had) + 3
    cursor = Cursor.parse(text)
    assert all(event in cursor for event in had)
    assert new not in cursor


@pytest.mark.parametrize("change", [{"id": "other"}, {"source": "churn@annotate#9"}])
def test_an_event_under_a_known_name_or_id_is_another_one(change: dict[str, str]) -> None:
    (event,) = events(1)
    assert event.model_copy(update=change) not in Cursor.at([event])


def test_the_same_events_make_the_same_cursor_in_any_order() -> None:
    had = events(5)
    assert str(Cursor.at(had)) == str(Cursor.at(reversed(had)))
    assert str(Cursor.at([])) == "v1."


@pytest.mark.parametrize("text", ["", "AAAAAAAA", "v2.AAAAAAAA", "v1.AAAA", "v1.AAAAAAA~", "v1.\u00fc", None])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="not a cursor"):
        Cursor.parse(text)
