"""Draws what is shown as HTML that stands in a notebook, and in any page: without scripts, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape

from modelregistry.display.style import STYLE
from modelregistry.display.view import (
    Badge,
    Block,
    Code,
    Facts,
    Listing,
    Look,
    Note,
    Picture,
    Size,
    Table,
    View,
)
from modelregistry.display.words import ago, clean, lines, short_digest, shortened, text_of


def html(view: View) -> str:
    """The object as an element, which is well-formed XML too."""
    parts = []
    if view.title or view.badges:
        badges = "".join(f" {_badge(badge)}" for badge in view.badges)
        parts.append(f'<p class="mr-head"><strong><bdi>{_text(view.title)}</bdi></strong>{badges}</p>')
    for block in view.blocks:
        parts += _block(block, is_first=not parts)
    return f'<div class="modelregistry"><style>{STYLE}</style>{"".join(parts)}</div>'


def _block(block: Block, *, is_first: bool) -> Iterable[str]:
    first = " mr-first" if is_first else ""
    match block:
        case Facts(lines=facts):
            yield f'<table class="mr-facts{first}"><tbody>{"".join(map(_fact, facts))}</tbody></table>'
        case Table():
            yield from _table(block, first)
        case Note(text=told, look=look):
            yield f'<p class="mr-note{_class(look)}{first}" dir="auto">{_lines(told)}</p>'
        case Listing(title=title, text=told, folded=True):
            yield _folded(title, told)
        case Listing(title=title, text=told):
            yield f'<p class="mr-quiet{first}">{_text(title)}</p><pre>{_lines(told)}</pre>'
        case Picture(svg=svg, text=told, opened=opened):
            yield f"{_opening(svg, opened, first) if opened else _wide(svg, 'picture', first)}{_folded('As text', told)}"


def _table(block: Table, first: str) -> Iterable[str]:
    if block.rows:
        numeric = [all(_is_number(row[at]) for row in block.rows) for at in range(len(block.columns))]
        kinds = [' class="mr-number"' if each else "" for each in numeric]
        head = "".join(
            f'<th scope="col"{kind}>{_text(title)}</th>'
            for title, kind in zip(block.columns, kinds, strict=True)
        )
        body = "".join(
            "<tr>" + "".join(f"<td{kind}>{_cell(value)}</td>" for value, kind in zip(row, kinds, strict=True)) + "</tr>"
            for row in block.rows
        )  # fmt: skip
        yield _wide(
            f'<table class="mr-rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>',
            "table",
            first,
        )
    else:
        yield f'<p class="mr-quiet{first}">(nothing)</p>'
    for line in block.left_out:
        yield f'<p class="mr-quiet">{_text(line)}</p>'


def _fact(line: tuple[str, object]) -> str:
    what, value = line
    if value is None:
        return ""
    more = ""
    match value:
        case datetime():
            more = ago(value)
        case Size(size=size) if size >= 1000:
            more = f"{size:,} bytes"
    said = f' <span class="mr-quiet">({more})</span>' if more else ""
    return f'<tr><th scope="row">{_text(what)}</th><td>{_cell(value)}{said}</td></tr>'


def _cell(value: object) -> str:
    match value:
        case Badge():
            return _badge(value)
        case Code(text=text):
            told = short_digest(clean(text))
            title = f' title="{_text(text)}"' if told != clean(text) else ""
            return f"<code{title}>{escape(shortened(told))}</code>"
        case datetime():
            told = f"{value:%Y-%m-%d %H:%M}{' UTC' if value.utcoffset() is not None and not value.utcoffset() else ''}"
            return f'<time datetime="{value.isoformat()}" title="{ago(value)}">{told}</time>'
        case tuple() | list() if value and all(isinstance(each, Badge | Code) for each in value):
            return " ".join(map(_cell, value))
        case Mapping():
            return _isolated(_text(text_of(value)))
        case _:
            return _isolated(escape(text_of(value)))


def _isolated(text: str) -> str:
    """Text that may be written from right to left, and turns nothing around it."""
    return text if text.isascii() else f"<bdi>{text}</bdi>"


def _badge(badge: Badge) -> str:
    return f'<span class="mr-badge{_class(badge.look)}" dir="auto">{_text(badge.text)}</span>'


def _wide(inner: str, what: str, first: str) -> str:
    """What may be wider than the page: it is moved by itself, with the keyboard too."""
    return f'<div class="mr-wide{first}" role="group" aria-label="{what}" tabindex="0">{inner}</div>'


def _opening(closed: str, opened: str, first: str) -> str:
    """A picture that is exchanged for one in which everything is open, by a click on it, and by keys, without a script."""
    return (
        f'<details class="mr-opening{first}"><summary><span class="mr-closed">Open the folded boxes</span>'
        '<span class="mr-open">Fold the boxes again</span>'
        f'<span class="mr-closed mr-wide">{closed}</span></summary>{_wide(opened, "picture", "")}</details>'
    )


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{_text(title)}</summary><pre>{_lines(text)}</pre></details>"


def _class(look: Look) -> str:
    return "" if look == "plain" else f" mr-{look}"


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float | Size) and not isinstance(value, bool))


def _text(text: str) -> str:
    return escape(shortened(clean(text)))


def _lines(text: str) -> str:
    return escape(lines(text))
