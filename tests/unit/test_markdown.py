"""Strangers' text in a page: whatever it is, a reader of Markdown sees text, in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from modelregistry.display.markdown import block, code, fenced, inline, paragraph, table

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</td></table><h1>x</h1>", "a | b | c", "\\|", "\\\\| x",
    "```\n<b>", "`a``b`", "[x](javascript:alert(1))", "[x\\](javascript:alert(1))", "[x]: javascript:alert(1)\n\n[x]",
    "![x](http://evil/p.png)", "<javascript:alert(1)>", "[x](&#106;avascript:alert(1))", "&lt;script&gt;", "# h1", "## h2",
    "Title\n===", "Title\n---", "---\nlicense: mit\n---", "~~~\n<b>\n~~~", "   ```\n```\n<b>x</b>\n```", "- ```\n```\n<b>",
    "> ```\n> x\n```\n<b>x</b>\n", "<!-- x", "<![CDATA[", "<?php", "\x00<b>\x1b[31m", "\u202eevil", "\u2028# x", "\r# x",
    "- # x", "1. ## x", "\\<b>", "\\\\<b>", "````\n```\n<b>", "```js\n````\n<b>", "a\n# x", "\ud800", "[a][b]\n\n[b]: data:x",
    "[a](<javascript:x>)", "[a](\njavascript:x)", "[a]( javascript:x)", "    ```\n```\n<b>", "\t```\n```\n<b>", "$x$", "**b",
]  # fmt: skip
markdown_texts = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["```", "~~~", "`", "<", "b>", "</", "!--", "#", " ", "    ", "\n", "\t", "- ", "> ", "1. ", "---", "===", "[", "]", "(",
             ")", ":", "javascript:", "https://x", "\\", "&", "#106;", "|", "x", "!", "\r"]
        ),
        max_size=30,
    ).map("".join),
)  # fmt: skip


def all_tokens(page: str) -> list[Token]:
    return [inner for token in READER.parse(page) for inner in (token, *(token.children or ()))]


def check_harmless(page: str) -> None:
    """Between two headings of ours there is text: no HTML, no heading of the page's own rank, no link to what is no page."""
    tokens = READER.parse(page)
    headings = [
        (token.tag, tokens[index + 1].content) for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.tag in ("h1", "h2")
    ]  # fmt: skip
    assert headings == [("h2", "before"), ("h2", "after")], page
    for token in all_tokens(page):
        assert token.type not in ("html_block", "html_inline", "image"), page
        if token.type == "link_open":
            assert str(token.attrs["href"]).startswith(("http://", "https://", "mailto:", "#")), page


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_blocks_stay_in_their_place(text: str) -> None:
    check_harmless(f"## before\n\n{block(text)}\n\n## after\n")


@given(markdown_texts)
def test_no_block_leaves_its_place(text: str) -> None:
    check_harmless(f"## before\n\n{block(text)}\n\n## after\n")


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_cells_stay_cells_and_say_what_they_said(text: str) -> None:
    check_cell(text)


@given(markdown_texts)
def test_every_cell_stays_one_and_says_what_it_said(text: str) -> None:
    check_cell(text)


def check_cell(text: str) -> None:
    for show in (inline, code):
        page = f"## before\n\n{table(['a', 'b'], [['x', show(text)], [show(text), 'y']])}\n\n## after\n"
        check_harmless(page)
        tokens = READER.parse(page)
        cells = [
            tokens[index + 1] for index, token in enumerate(tokens) if token.type in ("td_open", "th_open")
        ]
        shown = ["".join(each.content for each in cell.children or ()) for cell in cells]
        assert shown[:3] == ["a", "b", "x"]
        assert len(shown) == 6
        assert shown[3] == shown[4]
        wanted = " ".join(text.split())
        if wanted.isprintable() and wanted.isascii():
            assert shown[3] == wanted


@pytest.mark.parametrize("text", [*HOSTILE, "1. x", "12) x", "- x", "+ x", "=", "-", "> x"], ids=repr)
def test_a_paragraph_is_one_and_nothing_else(text: str) -> None:
    page = f"## before\n\n{paragraph(text)}\n\n## after\n"
    check_harmless(page)
    assert {token.type for token in READER.parse(page)[3:-3]} <= {
        "paragraph_open",
        "inline",
        "paragraph_close",
    }


def test_what_a_team_writes_keeps_its_form() -> None:
    text = "Only *adults*, see [the rules](https://example.com/a_b):\n\n- one\n- two\n\n```python\nif a < b: <x>\n```\n\n| a | b |\n| --- | --- |\n| 1 < 2 | `x` |"
    assert block(text) == text
    assert block("# Title\n\ntext") == "### Title\n\ntext"


def test_a_block_of_code_can_not_be_ended_by_what_is_in_it() -> None:
    tokens = READER.parse(fenced("a\n````\n<b>\n```", "python"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "a\n````\n<b>\n```\n"
