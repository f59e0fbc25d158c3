"""The picture of a trend: every value is where it belongs, and strangers' text is only text."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.display.chart import MOST_POINTS, Point, to_svg, to_vega_lite
from modelregistry.trend import Measure, Trend

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&\u202e]]>\x00{{x}}"


def dots(text: str) -> list[tuple[float, float]]:
    return [
        (float(each.attrib["cx"]), float(each.attrib["cy"]))
        for each in ET.fromstring(text).iter(f"{SVG}circle")
    ]


def points_of(*values: float) -> list[Point]:
    return [Point(f"v0.1.{number}", value) for number, value in enumerate(values)]


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1, max_size=40))
def test_greater_values_are_higher_and_later_ones_further_right_whatever_they_are(
    values: list[float],
) -> None:
    places = dots(to_svg(points_of(*values), title="t"))
    assert len(places) == len(values)
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    for (_, one), value in zip(places, values, strict=True):
        assert 0 <= one <= 300
        for (_, other), another in zip(places, values, strict=True):
            assert not (value < another and one < other)
    json.dumps(to_vega_lite(points_of(*values), title="t"), allow_nan=False)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.71, 0.93), ["0.7", "0.75", "0.8", "0.85", "0.9", "0.95"]),
        ((0, 100), ["0", "20", "40", "60", "80", "100"]),
        ((-3, 7), ["-4", "-2", "0", "2", "4", "6", "8"]),
        ((5, 5), ["5"]),
        ((1e6, 4e6), ["1e+06", "2e+06", "3e+06", "4e+06"]),
        ((1_234_567, 1_234_569), ["1234567", "1234567.5", "1234568", "1234568.5", "1234569"]),
        ((0.9999991, 0.9999993), ["0.9999991", "0.99999915", "0.9999992", "0.99999925", "0.9999993"]),
    ],
)
def test_the_axis_has_a_few_round_numbers(values: tuple[float, ...], shown: list[str]) -> None:
    texts = [each.text for each in ET.fromstring(to_svg(points_of(*values), title="t")).iter(f"{SVG}text")]
    assert [text for text in texts if text and re.fullmatch(r"-?[0-9.e+]+", text)] == shown


@given(st.lists(finite, min_size=1, max_size=9))
def test_no_two_lines_of_the_axis_have_one_label_and_none_is_cut_off(values: list[float]) -> None:
    root = ET.fromstring(to_svg(points_of(*values), title="t"))
    labels = [each for each in root.iter(f"{SVG}text") if each.get("text-anchor") == "end"]
    assert len({each.text for each in labels}) == len([*root.iter(f"{SVG}line")])
    assert all(float(each.attrib["x"]) >= 7 * len(each.text or "") for each in labels)


def test_stages_stand_beside_their_versions() -> None:
    points = [
        Point("v0.1.0", 1.0),
        Point("v0.1.1", 2.0, ("current", "canary")),
        Point("v0.1.2", 1.5, ("shadow",)),
    ]
    root = ET.fromstring(to_svg(points, title="auc of churn"))
    assert [each.text for each in root.iter(f"{SVG}text") if each.get("class") == "stage"] == [
        "current, canary",
        "shadow",
    ]
    assert [each.get("class") for each in root.iter(f"{SVG}circle")] == ["dot", "held", "held"]
    assert "current\n" in f"{[*root.iter(f'{SVG}circle')][1][0].text}\n"
    values = to_vega_lite(points, title="auc of churn")["data"]["values"]
    assert [row["marks"] for row in values] == [None, "current, canary", "shadow"]


def test_strangers_text_is_only_text() -> None:
    point = Point(HOSTILE, 1.0, (HOSTILE,), {HOSTILE: HOSTILE})
    text = to_svg([point], title=HOSTILE, note=HOSTILE)
    root = ET.fromstring(text)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg",
        "title",
        "style",
        "text",
        "line",
        "polyline",
        "circle",
    }
    assert "<script" not in text
    assert not re.search("[\x00\u202e]", text)
    found = to_vega_lite([point], title=HOSTILE)
    assert set(found["data"]["values"][0]) == {"label", "value", "marks", "fact0"}, "no key is a stranger's"
    fields = [
        each["field"] for layer in found["layer"] for each in layer.get("encoding", {}).get("tooltip", [])
    ]
    assert fields == ["label", "value", "fact0"]


@pytest.mark.parametrize("name", [HOSTILE, 'metrics["a\\"b"]', "a\nb", "a\\", "a\\\\nb", "a\u2028b"])
def test_no_title_of_a_stranger_leads_out_of_the_text_that_vega_lite_makes_of_it(name: str) -> None:
    spec = to_vega_lite([Point("v0.1.0", 1.0, (), {name: name})], title=name, note=name, axis=name)
    titles = [
        spec["encoding"]["y"]["title"],
        *(each["title"] for each in spec["layer"][1]["encoding"]["tooltip"]),
    ]
    assert all(each.isprintable() and "\\" not in each for each in titles)
    assert not re.search("[\x00-\x1f\u2028\u202e]", json.dumps(spec, ensure_ascii=False)), (
        "nor turns what is read"
    )


def test_of_many_the_last_are_drawn_and_the_rest_is_said() -> None:
    points = points_of(*range(10_000))
    text = to_svg(points, title="t", note="no number there: v0.2.0")
    assert len(dots(text)) == MOST_POINTS
    assert "no number there: v0.2.0; the last 500; 9,500 earlier ones are left out" in text
    assert len(text) < 200_000
    spec = to_vega_lite(points, title="t")
    assert [spec["data"]["values"][at]["label"] for at in (0, -1)] == ["v0.1.9500", "v0.1.9999"]
    assert "9,500 earlier ones" in spec["title"]["subtitle"]


def test_nothing_is_a_picture_too() -> None:
    assert dots(to_svg([], title="t")) == []
    assert to_vega_lite([], title="t")["data"] == {"values": []}


def test_labels_do_not_run_into_each_other() -> None:
    root = ET.fromstring(to_svg(points_of(*range(100)), title="t"))
    places = [
        float(each.attrib["x"]) for each in root.iter(f"{SVG}text") if (each.text or "").startswith("v0.1.")
    ]
    assert all(other - one >= 60 for one, other in pairwise(places))
    assert len(places) > 5


def test_a_stage_below_the_lowest_value_does_not_run_into_the_version_there() -> None:
    lowest = Point("v0.1.0", 1.0, ("current",))
    root = ET.fromstring(to_svg([lowest, Point("v0.1.1", 2.0)], title="t"))
    lines = {each.text: float(each.attrib["y"]) for each in root.iter(f"{SVG}text")}
    assert lines["v0.1.0"] - lines["current"] >= 12 and lines["v0.1.0"] <= float(root.attrib["height"]) - 6


def test_the_longest_numbers_of_an_axis_are_in_the_picture() -> None:
    root = ET.fromstring(to_svg(points_of(-1.23456e300, -1.23457e300), title="t"))
    numbers = [each for each in root.iter(f"{SVG}text") if each.get("text-anchor") == "end"]
    assert numbers and all(float(each.attrib["x"]) >= 6.3 * len(each.text or "") for each in numbers)


# -- the trend ---------------------------------------------------------------------------------------------

START = datetime(2026, 11, 1, tzinfo=UTC)
TREND = Trend(
    "churn", "metrics.auc",
    tuple(
        Measure(f"v0.1.{number}", 0.7 + number / 10, START + timedelta(days=number), ("current",) if number == 1 else (), "Ann", "")
        for number in range(3)
    ),
    ("v0.2.0",),
)  # fmt: skip


def test_a_trend_is_a_table_and_a_picture() -> None:
    assert TREND.to_dicts()[1] == {
        "version": "v0.1.1", "value": pytest.approx(0.8), "stages": ("current",), "created_at": START + timedelta(days=1),
        "author": "Ann",
    }  # fmt: skip
    assert list(TREND.to_pandas()["version"]) == ["v0.1.0", "v0.1.1", "v0.1.2"]
    assert repr(TREND) == "Trend('churn', 'metrics.auc', 3 versions)"
    assert "(no number there: v0.2.0)" in str(TREND)
    assert "metrics.auc of churn" in TREND.to_svg()
    assert hash(TREND) == hash(TREND)


def test_a_notebook_gets_vega_lite_svg_and_text_as_it_asks_for() -> None:
    bundle = TREND._repr_mimebundle_()
    assert list(bundle) == ["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"]
    assert bundle["application/vnd.vegalite.v5+json"] == TREND.to_vega_lite()
    assert bundle["text/plain"] == str(TREND)
    assert list(TREND._repr_mimebundle_(include=["image/svg+xml"])) == ["image/svg+xml"]
    assert "image/svg+xml" not in TREND._repr_mimebundle_(exclude=["image/svg+xml"])
