"""What people are shown of any object: one line, a page that strangers' text can't leave, a terminal that it can't steer."""

from __future__ import annotations

import importlib
import inspect
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from modelregistry.display.notebook import html
from modelregistry.display.shown import Shown
from modelregistry.display.view import Badge, Code, Facts, Listing, Note, Picture, Size, Table, View
from modelregistry.display.words import ago, clean, name_of, number, short_digest, size_of, text_of
from tests.shown import HOSTILE, START, examples, lists_of

API = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
MADE_FOR_REAL = {"Registry", "Cache", "Catalog", "Followed"}
"""They are looked at in tests/integration/test_looking.py, for they need a registry."""
NO_ANSWERS = {"Callback", "ExporterSuite", "LoaderSuite", "Pretrained", "Wishes", "Holder"}
"""Contracts, what others bring, words for arguments."""
ELEMENTS = {
    "div", "style", "p", "strong", "bdi", "span", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "time", "details",
    "summary", "svg", "title", "text", "line", "polyline", "circle", "g", "rect", "path",
}  # fmt: skip
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")


class Printer:
    """What IPython gives to ``_repr_pretty_``."""

    def __init__(self, depth: int = 1) -> None:
        self.stack = [*range(depth)]
        self.told = ""

    def text(self, text: str) -> None:
        self.told += text


def drawn(value: Any) -> str:
    """As IPython writes it in a terminal."""
    printer = Printer()
    value._repr_pretty_(printer, False)
    return printer.told


def printed(value: Any) -> str:
    """As rich prints it."""
    file = io.StringIO()
    Console(file=file, width=120, force_terminal=False).print(value)
    return file.getvalue()


def elements(page: str) -> Iterator[ET.Element]:
    """What is in a page, which must be well-formed."""
    return ET.fromstring(page).iter()


def local(name: str) -> str:
    return name.rpartition("}")[2]


def documented() -> dict[str, type]:
    """The classes in the reference of the API."""
    found = {}
    for module, name in re.findall(r"autoclass:: ([\w.]+)\.(\w+)", API.read_text()):
        found[name] = getattr(importlib.import_module(module), name)
    events = importlib.import_module("modelregistry.log.events")
    found |= {
        name: each
        for name, each in vars(events).items()
        if inspect.isclass(each) and each.__module__ == events.__name__ and not name.startswith("_")
    }
    return {name: each for name, each in found.items() if not issubclass(each, Exception | Enum)}


def test_everything_that_the_reference_documents_can_be_looked_at() -> None:
    made = Counter(kind.__name__ for each in examples("x") for kind in type(each).__mro__)
    for name, kind in documented().items():
        if name in NO_ANSWERS:
            continue
        assert hasattr(kind, "_repr_pretty_"), f"{name} is shown by nothing"
        assert name in MADE_FOR_REAL or made[name], f"tests/shown.py makes no {name}"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:20])
def test_strangers_text_stays_text_wherever_an_object_is_looked_at(text: str) -> None:
    for value in examples(text):
        look_at(value, text)


@given(st.text(st.characters(codec=None), min_size=1, max_size=40))
@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_text_stays_text_wherever_an_object_is_looked_at(text: str) -> None:
    for value in examples(text):
        look_at(value, text)


def look_at(value: Any, text: str) -> None:
    told = repr(value)
    assert told and "\n" not in told and not CONTROL.search(told) and len(told) < 500, (
        f"{type(value).__name__}: one short line"
    )
    is_data = type(value).__name__ in ("ModelCard", "Reference")  # their texts are for programs
    for shown in (drawn(value), printed(value), *([] if is_data else [str(value)])):
        assert not CONTROL.search(shown), f"{type(value).__name__} writes to the terminal"
        assert shown.strip() or not text.strip()
    page = value._repr_html_() if value._repr_html_ is not None else None
    if page is None:
        assert hasattr(value, "_repr_mimebundle_") or hasattr(value, "_repr_markdown_")
        return
    assert not CONTROL.search(page.replace("\n", ""))
    page.encode()
    for element in elements(page):
        assert local(element.tag) in ELEMENTS, f"{type(value).__name__}: {element.tag}"
        for name in element.attrib:
            assert name in {
                "class", "dir", "scope", "role", "aria-label", "tabindex", "title", "datetime", "viewBox", "width", "height",
                "font-family", "font-size", "font-weight", "text-anchor", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "d",
                "points",
            }, f"{type(value).__name__}: {name}"  # fmt: skip
    if text.isprintable() and text.strip() and len(text) < 30:
        assert clean(text) in "".join(ET.fromstring(page).itertext()) or not _holds(value, text)


def _holds(value: Any, text: str) -> bool:
    """Whether all that is shown of an object is certain to hold the text."""
    return type(value).__name__ in ("ModelVersion", "Model", "Problem", "MigrationStep")


def test_a_card_is_markdown_in_which_strangers_text_is_no_markup() -> None:
    for text in HOSTILE:
        (card,) = [each for each in examples(text) if type(each).__name__ == "ModelCard"]
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(card._repr_markdown_())
        assert (
            "<script" not in page
            and "<img" not in page
            and "onerror=alert" not in re.sub(r"&lt;.*?&gt;", "", page)
        )


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_a_list_of_any_length_is_shown_in_little_and_says_what_it_leaves_out(count: int) -> None:
    for rows in lists_of("churn", count):
        page, text = rows._repr_html_(), drawn(rows)
        assert (
            len(page) < 80_000
            and len(text) < 80_000
            and len(repr(rows)) < 400
            and len(printed(rows)) < 160_000
        )
        assert ("… and 9,940 more" in page) == ("… and 9,940 more" in text) == (count == 10_000)
        assert sum(local(each.tag) == "tr" for each in elements(page)) == (1 + min(count, 60) if count else 0)
        assert ("(nothing)" in page) == ("(nothing)" in text) == (count == 0)
        assert f"{count:,} row" in repr(rows)
        assert len(rows.to_dicts()) == count
        assert len(rows.to_pandas()) == count


def test_inside_a_list_or_a_dictionary_an_object_is_one_line() -> None:
    for value in examples("churn"):
        printer = Printer(depth=2)
        value._repr_pretty_(printer, False)
        assert printer.told == repr(value)


def test_a_version_is_a_card_with_all_that_one_asks_first() -> None:
    version = next(iter(examples("churn")))
    text = drawn(version)
    for part in (
        "churn v0.0.0  [inactive]", "2026-11-01 12:30:00", "churn", f"sha256:{'ab' * 32}", "1.23 MB (1,234,567 bytes)",
        "auc: 0.9", 'mr.load_model("churn@v0.0.0")',
    ):  # fmt: skip
        assert part in text
    page = version._repr_html_()
    assert "sha256:abababababab…" in page and f'title="sha256:{"ab" * 32}"' in page
    assert '<time datetime="2026-11-01T12:30:00+00:00"' in page
    withdrawn = next(each for each in examples("churn") if getattr(each, "state", "") == "withdrawn")
    assert "load_model" not in drawn(withdrawn) and "never served again" in drawn(withdrawn)


def test_of_a_metric_that_got_better_or_worse_a_comparison_says_so() -> None:
    from modelregistry.comparison import COMPARISON_COLUMNS, Comparison, Difference
    from modelregistry.display.tables import Rows
    from tests.shown import version_of

    rows = [
        Difference("metrics.auc", 0.9, 0.95, True),
        Difference("metrics.loss", 0.1, 0.2, False),
        Difference("same", 1, 1),
    ]
    found = Comparison(version_of("churn"), version_of("churn", 1), Rows(rows, COMPARISON_COLUMNS), ())
    assert [each.text for each in elements(found._repr_html_()) if "mr-badge" in each.get("class", "")] == [
        "better",
        "worse",
    ]
    assert found.to_dicts() == found.rows.to_dicts()
    assert repr(found) == "Comparison('churn@v0.0.0', 'churn@v0.1.0', 2 differences: the same bytes)"


def test_a_picture_follows_the_colours_of_the_page_it_stands_in() -> None:
    lineage = next(each for each in examples("churn") if type(each).__name__ == "Lineage")
    page = lineage._repr_html_()
    assert "prefers-color-scheme" not in page and "light-dark(" in page
    assert "svg:root{color-scheme:light dark}" in lineage.to_svg(), "by itself it follows the system"
    assert {"image/svg+xml", "text/vnd.mermaid", "text/plain"} == set(lineage._repr_mimebundle_())


def test_every_kind_of_block_is_drawn_for_each_reader() -> None:
    view = View(
        "Title", [Badge("good", "good")],
        [
            Note("first\nsecond", "warn"), Facts([("what", "that"), ("nothing", None), ("size", Size(2_500_000)), ("at", START)]),
            Table(("a", "n"), [("x", 1), (Code(f"sha256:{'0' * 64}"), 2.5)], ["… and 7 more"]), Table(("a",), []),
            Listing("Heading", "kept\n  as it is"), Listing("Folded", "away", folded=True), Picture("<svg/>", "a tree"),
        ],
    )  # fmt: skip

    class Thing(Shown):
        def _view(self) -> View:
            return view

    page = "".join(ET.fromstring(Thing()._repr_html_()).itertext())
    for reader in (drawn(Thing()), printed(Thing()), page):
        for part in (
            "Title", "good", "first\nsecond", "what", "that", "2.5 MB", "2,500,000 bytes", "… and 7 more", "(nothing)", "Heading",
            "as it is", "away", "a tree",
        ):  # fmt: skip
            assert part in reader, part
        assert "nothing\n" not in reader.replace("(nothing)\n", "")
    assert "<details><summary>Folded</summary>" in html(view)
    assert '<th scope="col" class="mr-number">n</th>' in html(view)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_499, "999 kB"), (999_500, "1 MB"), (1_234_567, "1.23 MB"), (5 * 10**18, "5e+03 PB")],
)  # fmt: skip
def test_sizes_are_in_the_unit_that_fits(size: int, text: str) -> None:
    assert size_of(size) == text


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=59), "just now"), (timedelta(minutes=1), "1 minute ago"), (timedelta(hours=30), "1 day ago"),
        (timedelta(days=800), "2 years ago"), (timedelta(hours=-3), "in 3 hours"),
    ],
)  # fmt: skip
def test_times_are_told_as_people_do(passed: timedelta, text: str) -> None:
    assert ago(START, START + passed) == text
    assert ago(START.astimezone(timezone(timedelta(hours=2))), START + passed) == text


def test_words_are_cleaned_and_values_told() -> None:
    assert clean("a\n b\tc") == "a b c"
    assert clean("a\x1b[1mb\u202ec\ud800") == "a\\x1b[1mb\\u202ec\\ud800"
    assert clean("👩\u200d👧") == "👩\u200d👧"
    assert ago(datetime(2026, 1, 1)) == "", "nobody knows, without a zone"  # noqa: DTZ001
    assert (number(0.1 + 0.2), number(12345678.5)) == ("0.3", "12345678.5")
    assert short_digest(f"md5:{'a' * 32}.dir") == f"md5:{'a' * 12}….dir"
    assert text_of({"a": (1, None), "b": True}) == "a: 1, , b: yes"
    assert text_of(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 03:04:05"


def test_one_of_several_is_called_by_its_name() -> None:
    kinds = {type(each).__name__: each for each in examples("churn")}
    told = {
        name: name_of(kinds[name])
        for name in ("ModelVersion", "Affected", "Hit", "Registered", "Problem", "Node", "Copied")
    }
    assert told == {
        "ModelVersion": "churn@v0.0.0", "Affected": "churn@v0.0.0", "Hit": "churn@v0.0.0", "Registered": "churn", "Problem": "churn",
        "Node": "churn", "Copied": "Copied(models=1, events=2, left=('churn',))",
    }  # fmt: skip
    assert "version   churn@v0.0.0" in drawn(kinds["Hit"])
    assert (
        repr(lists_of("churn", 4)[1])
        == "Rows(4 rows of ModelVersion: churn@v0.0.0, churn@v0.1.0, churn@v0.2.0, …)"
    )


def test_a_line_stays_a_line_whatever_is_in_an_object() -> None:
    for value in examples("a\n" * 3_000):
        assert "\n" not in repr(value) and len(repr(value)) < 500


def test_the_text_of_a_table_is_aligned_by_what_a_terminal_shows() -> None:
    from modelregistry.display.tables import Rows

    text = str(Rows(["模型", "e\u0301", "abcd"], {"name": str, "n": len}))
    assert text.splitlines()[2:] == ["模型  2", "e\u0301     2", "abcd  4"]
