"""The language of searches: what it takes for true, and where its errors point."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from modelregistry.errors import QueryError
from modelregistry.search.fields import FIELDS
from modelregistry.search.matching import MISSING, UNKNOWN, Several, judge
from modelregistry.search.parser import parse, parse_field
from modelregistry.search.query import Field, VersionText, fields_in
from modelregistry.search.tokens import MOST_CHARACTERS

NAN = float("nan")
FACTS: dict[str, object] = {
    "name": "churn",
    "version": VersionText("v1.10.0"),
    "state": "current",
    "stage": Several(("current", "canary")),
    "labels": Several(("team-a", "tabular")),
    "created_at": datetime(2026, 11, 20, 13, 30, 15, tzinfo=UTC),
    "latest": True,
    "deprecated": False,
    "size": 1000,
    "message": 'It\'s "better"\n',
    "description": MISSING,
    "metrics.auc": 0.9,
    "metrics.nan": NAN,
    "metrics.text": "high",
    "metrics": {"auc": 0.9},
    "metadata.owner": "risk",
    "metadata.approved": True,
    "metadata.count": 1,
    "metadata.null": None,
    "metadata.teams": ["a", "b"],
    'metadata["x-y"]': 2,
    "metadata.teams[0]": "a",
    "metadata.and": "a word",
}


def look(field: Field) -> object:
    return FACTS.get(str(field), MISSING)


def holds(text: str) -> bool | None:
    return judge(parse(text, FIELDS), look)


@pytest.mark.parametrize(
    "text",
    [
        "name == 'churn'", 'name == "churn"', "name != 'risk'", "'churn' == name", "name < 'd'", "name in ['a', 'churn']",
        "name not in ['a', 'b']", "name like 'ch*'", "name like 'c[gh]ur?'", "name not like 'risk*'", "'hur' in name",
        "metrics.auc > 0.8", "metrics.auc >= 0.9", "0.8 < metrics.auc <= 0.9", "metrics.auc == 9e-1", "metrics.auc > -1",
        "size == 1000", "size == 1000.0", "metrics['auc'] < 1", "'auc' in metrics", "'f1' not in metrics",
        "stage == 'canary'", "stage == 'current'", "stage != 'shadow'", "stage in ['shadow', 'canary']", "stage like 'can*'",
        "stage not in ['shadow']", "'canary' in stage", "labels like 'team-*'", "'tabular' in labels", "'x' not in labels",
        "latest", "not deprecated", "metadata.approved", "metadata.approved == true", "true", "not false",
        "metadata.owner == 'risk' and metrics.auc > 0.5", "metadata.owner == 'ops' or metrics.auc > 0.5",
        "metadata.nothing == null", "metadata.null == null", "metadata.owner != null", "null == description",
        "metadata['x-y'] == 2", "metadata.teams[0] == 'a'", "'a' in metadata.teams", "metadata.teams == ['a', 'b']",
        "metadata.and == 'a word'", "METADATA_IS_NO_FIELD == 1 or true".replace("METADATA_IS_NO_FIELD", "size"),
        "version > 'v1.9.0'", "version >= '1.10.0'", "version == 'v1.10.0'", "version in ['v1.10.0']", "version like 'v1.*'",
        "created_at == '2026-11-20'", "created_at >= '2026-11-20'", "created_at <= '2026-11-20'", "'2026-11-19' < created_at",
        "created_at < '2026-11-21'", "created_at == '2026-11-20T13:30'", "created_at == '2026-11-20 13:30:15Z'",
        "created_at > '2026-11-20T15:30:14+02:00'", "created_at != '2026-11-19'", "created_at in ['2026-11-20']",
        "message == 'It\\'s \"better\"\\n'", "message like '*better*'", "name == '\\u0063hurn'", "'\\ud83e\\udd8a' == '🦊'", "'\\ud83e' != '🦊'",
        "NOT name == 'x' AND True", "((name)) == 'churn'", "not (name == 'x' or size < 5)",
        "not not latest", "not not not deprecated", "(latest) and " * 70 + "(latest)",
        "name == 'x' or name == 'y' or name == 'churn'", "size > 5 or name == 'x' and name == 'y'",
    ],
)  # fmt: skip
def test_what_is_so_is_true(text: str) -> None:
    assert holds(text) is True
    assert holds(f"not ({text})") is False


@pytest.mark.parametrize("operator", ["<", "<=", "==", "!=", ">", ">="])
@pytest.mark.parametrize(
    "pair",
    [
        ("metrics.missing", "0.5"), ("metrics.text", "0.5"), ("metrics.nan", "0.5"), ("metrics.nan", "metrics.nan"),
        ("metadata.null", "1"), ("metadata.approved", "1"), ("name", "1"), ("metadata.teams", "'a'"), ("name", "version"),
        ("metadata.missing", "metadata.missing"), ("created_at", "5"), ("size", "'1000'"), ("name", "true"),
    ],
)  # fmt: skip
def test_a_comparison_with_what_is_missing_or_of_another_kind_is_false_whichever_it_is(
    pair: tuple[str, str], operator: str
) -> None:
    left, right = pair
    assert holds(f"{left} {operator} {right}") is False
    assert holds(f"{right} {operator} {left}") is False
    assert holds(f"not {left} {operator} {right}") is True


@pytest.mark.parametrize(
    "text",
    [
        "metrics.missing in [1, 2]", "metrics.missing not in [1, 2]", "metadata.missing like '*'", "size like '*'",
        "metadata.missing not like 'a'", "size not like 'a'", "5 in name", "5 not in name", "'a' in size", "'a' not in size",
        "metadata.missing", "metadata.owner", "metadata.count", "metadata.teams", "name in []",
        "stage != 5", "stage < 5", "5 not in stage", "stage == null", "labels != size",
        "metadata.approved == 1", "metadata.count == true", "metadata.approved < true", "metadata.teams < ['b']",
    ],
)  # fmt: skip
def test_what_can_not_be_told_is_false(text: str) -> None:
    assert holds(text) is False


DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "start", "length"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC), DAY),
        ("2026-11-20T13:30", datetime(2026, 11, 20, 13, 30, tzinfo=UTC), MINUTE),
        ("2026-11-20 13:30:15", datetime(2026, 11, 20, 13, 30, 15, tzinfo=UTC), SECOND),
        ("2026-11-20T13:30:15+0530", datetime(2026, 11, 20, 8, 0, 15, tzinfo=UTC), SECOND),
        (
            "2026-11-20T13:30:15.5Z",
            datetime(2026, 11, 20, 13, 30, 15, 500_000, UTC),
            timedelta(microseconds=1),
        ),
    ],
)
def test_a_date_stands_for_all_of_the_day_a_time_for_its_minute_or_second(
    text: str, start: datetime, length: timedelta
) -> None:
    moment = timedelta(microseconds=1)
    places = {
        "before": start - moment,
        "first": start,
        "last": start + length - moment,
        "after": start + length,
    }
    expected = {
        "<": {"before"}, "<=": {"before", "first", "last"}, "==": {"first", "last"}, "!=": {"before", "after"},
        ">=": {"first", "last", "after"}, ">": {"after"},
    }  # fmt: skip
    turned = {"<": ">", "<=": ">=", "==": "==", "!=": "!=", ">=": "<=", ">": "<"}
    for operator, so in expected.items():
        for expression in (f"created_at {operator} '{text}'", f"'{text}' {turned[operator]} created_at"):
            condition = parse(expression, FIELDS)
            found = {name for name, at in places.items() if judge(condition, lambda _, at=at: at)}  # type: ignore[misc]
            assert found == so, expression


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("metric.auc > 1", 0, "did you mean 'metrics'"),
        ("size > 1 and stge == 'x'", 13, "did you mean 'stage'"),
        ("auc > 1", 0, "metrics.auc"),
        ("stage == current", 9, '"current"'),
        ("stage = 'current'", 6, "did you mean '=='"),
        ("size <> 1", 5, "did you mean '!='"),
        ("latest && latest", 7, "did you mean 'and'"),
        ("!latest", 0, "did you mean 'not'"),
        ("metrics.auc >", 13, "ends"),
        ("(size > 1", 9, "character 1"),
        ("size > 1)", 8, "')'"),
        ("name", 0, "neither true nor false"),
        ("latest and size", 11, "neither true nor false"),
        ("5", 0, "neither true nor false"),
        ("not 'a'", 4, "neither true nor false"),
        ("name.x == 1", 4, "no parts"),
        ("created_at > 'soon'", 13, "no date"),
        ("created_at > '2026-02-30'", 13, "no date"),
        ("created_at == '0000-12-31'", 14, "no date"),
        ("version == 'latest'", 11, "no version"),
        ("version in ['v1.0.0', 'x']", 22, "no version"),
        ("name == 'abc", 8, "does not end"),
        ("name == 'a\\qc'", 10, "no escape"),
        ("metadata.x-y == 1", 10, "brackets"),
        ("metadata. == 1", 10, "name is wanted"),
        ("metadata[name] == 1", 9, "in brackets"),
        ("metadata['x' == 1", 13, "']'"),
        ("metadata[1.5] == 1", 9, "in brackets"),
        ("latest latest", 7, "stands where"),
        ("name == 'a' 'b'", 12, "stands where"),
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("not", 3, "ends"),
        ("name not 'x'", 9, "after 'not'"),
        ("name in 5", 8, "a list is wanted"),
        ("name in [null]", 9, "null is in no list"),
        ("name in ['a' 'b']", 13, "','"),
        ("name in ['a', size]", 14, "in a list"),
        ("name like size", 10, "a text is wanted"),
        ("name < null", 5, "null"),
        ("stage == 'inactive'", 9, "state == 'inactive'"),
        ("stage in ['current', 'withdrawn']", 21, "state == 'withdrawn'"),
        ("'inactive' not in stage", 0, "state == 'inactive'"),
        ("made_from < 'x'", 10, "'made_from' is asked"),
        ("made_from like 'x'", 15, "'made_from' is asked"),
        ("made_from == null", 10, "'made_from' is asked"),
        ("'x' in made_from", 7, "'made_from' is asked"),
        ("(size > 1) == true", 0, "true or false already"),
        ("size == (size > 1)", 8, "true or false already"),
        ("size > 1\x00", 8, "means nothing"),
        ("size @ 1", 5, "means nothing here\n"),
        ("size > 5%", 8, "means nothing here\n"),
        ("metrics.loss/val > 1", 12, 'in brackets: metrics["x/y"]'),
        ("metrics.top-5 > 0.9", 11, 'in brackets: metrics["x-y"]'),
        ("metrics.top -5", 12, "or the end is wanted\n"),
        ("size > 1..2", 9, "stands where"),
        ("size > " + "9" * 400, 7, "can't be read"),
        ("(" * 70 + "latest" + ")" * 70, 64, "deep"),
        ("latest and " * 1000 + "latest", MOST_CHARACTERS, "10,000"),
    ],
)  # fmt: skip
def test_an_error_points_at_the_character_and_says_what_to_write(text: str, at: int, what: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, FIELDS)
    assert caught.value.position == at
    assert caught.value.query == text
    message, shown, mark = str(caught.value).rsplit("\n", 2)
    assert what in f"{message}\n"
    assert mark.strip() == "^"
    marked = shown[mark.index("^") : mark.index("^") + 1]
    assert marked.strip() == text[at : at + 1].strip("\x00").strip() or at >= len(text)


def test_a_long_expression_is_shown_around_the_error() -> None:
    text = "latest and " * 50 + "oops > 1 and " + "latest and " * 50 + "latest"
    with pytest.raises(QueryError) as caught:
        parse(text, FIELDS)
    _, shown, mark = str(caught.value).rsplit("\n", 2)
    assert len(shown) < 120
    assert shown[mark.index("^") :].startswith("oops")


def test_what_would_move_the_mark_is_shown_as_a_space() -> None:
    with pytest.raises(QueryError) as caught:
        parse("size > 1 and\n\tname == 'a\u202eb' and oops == 1", FIELDS)
    _, shown, mark = str(caught.value).rsplit("\n", 2)
    assert shown[mark.index("^") :] == "oops == 1"


def test_the_mark_stands_below_its_character_where_characters_are_wide_or_have_no_width() -> None:
    for before, places in (("'模型' == ", 10), ("'e\u0301' == ", 7), ("'ｶﾅ🦊' == ", 10)):
        with pytest.raises(QueryError) as caught:
            parse(f"{before}oops", FIELDS)
        assert str(caught.value).rsplit("\n", 1)[1] == " " * (4 + places) + "^"
        assert caught.value.position == len(before)


def test_the_last_day_there_is_can_be_asked_for() -> None:
    assert holds("created_at < '9999-12-31' and created_at <= '9999-12-31T23:59:59.999999-12:00'")
    assert not holds("created_at > '9999-12-31'")


def test_what_is_not_known_yet_is_asked_for_only_where_the_answer_depends_on_it() -> None:
    def known(field: Field) -> object:
        return UNKNOWN if field.name == "metrics" else look(field)

    for text, verdict in {
        "name == 'x' and metrics.auc > 1": False,
        "name == 'churn' or metrics.auc > 1": True,
        "name == 'churn' and metrics.auc > 1": None,
        "name == 'x' or not metrics.auc > 1": None,
        "metrics.auc > 1 and name == 'x'": False,
        "metrics.auc == null": None,
        "metrics.auc like 'x'": None,
        "metrics.ok": None,
    }.items():
        assert judge(parse(text, FIELDS), known) is verdict, text


def test_the_fields_of_an_expression_are_told_in_order_and_spelt_as_they_can_be_read_again() -> None:
    text = "metrics.auc > 1 and metadata['x-y'][0].a like 'b' or not (latest and 'c' in labels) or description == null"
    found = [*map(str, fields_in(parse(text, FIELDS)))]
    assert found == ["metrics.auc", 'metadata["x-y"][0].a', "latest", "labels", "description"]
    for each in found:
        assert str(parse_field(each, FIELDS)) == each
    odd = Field("metadata", ('a"b\\c', "", "and", "·", "\n\u202e\U0001f98a\U000e0001\ud800", -1))
    assert parse_field(str(odd), FIELDS) == odd


def test_no_expression_takes_long() -> None:
    hostile = [
        "(" * MOST_CHARACTERS, "not " * 2499 + "true", "[" * MOST_CHARACTERS, "'" + "\\'" * 4999, '"' * MOST_CHARACTERS,
        "name like '" + "*a" * 4900 + "'", "1" + "." * 9000, "latest or " * 999 + "latest", "1 < " * 2400 + "size",
        "metadata" + ".a" * 4990, "-" * MOST_CHARACTERS, "name in [" + "'a'," * 2400 + "]", "e" * MOST_CHARACTERS,
    ]  # fmt: skip
    facts = {**FACTS, "name": "a" * 5000 + "b"}
    start = time.process_time()
    for text in hostile:
        try:
            judge(parse(text, FIELDS), lambda field: facts.get(str(field), MISSING))
        except QueryError:
            continue
    assert time.process_time() - start < 3
