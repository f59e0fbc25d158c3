"""Draws what is shown as plain text, for any terminal and any log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from modelregistry.display.view import Block, Code, Facts, Listing, Note, Picture, Size, Table, View
from modelregistry.display.words import ago, clean, lines, places_of, short_digest, text_of, width_of


def text(view: View, *, widest: int | None = None) -> str:
    """The object as lines of text; of what is longer than ``widest`` in a table, the beginning and the end."""
    head = "  ".join([clean(view.title), *(f"[{clean(badge.text)}]" for badge in view.badges)]).strip()
    return "\n\n".join(filter(None, [head, *("\n".join(_block(block, widest)) for block in view.blocks)]))


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], widest: int | None = None
) -> Iterable[str]:
    """The lines of a table."""
    if not rows:
        return ["(nothing)"]
    cells = [[_cell(value, widest) for value in row] for row in (columns, *rows)]
    widths = [max(width_of(row[position]) for row in cells) for position in range(len(columns))]
    found = [
        "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    found.insert(1, "  ".join("-" * width for width in widths))
    return found


def fact(value: object) -> str:
    """What a fact is, with what a table has no place for."""
    told = text_of(value)
    match value:
        case datetime():
            return f"{told} ({when})" if (when := ago(value)) else told
        case Size(size=size) if size >= 1000:
            return f"{told} ({size:,} bytes)"
    return told


def _cell(value: object, widest: int | None) -> str:
    """What is in a cell of a table, where a whole digest would leave no place for others."""
    match value:
        case Code(text=code):
            told = short_digest(clean(code))
        case tuple() | list() if value and all(isinstance(each, Code) for each in value):
            told = ", ".join(_cell(each, None) for each in value)
        case _:
            told = text_of(value)
    if widest is None or width_of(told) <= widest:
        return told
    told, end = clean(value) if isinstance(value, str) else told, widest // 3
    return f"{_fitting(told, widest - end - 1)}…{_fitting(reversed(told), end)[::-1]}"


def _fitting(letters: Iterable[str], places: int) -> str:
    """As many of the letters as there are places for."""
    found = []
    for letter in letters:
        places -= places_of(letter)
        if places < 0:
            break
        found.append(letter)
    return "".join(found)


def _block(block: Block, widest: int | None) -> Iterable[str]:
    match block:
        case Facts(lines=facts):
            known = [(clean(what), fact(value)) for what, value in facts if value is not None]
            width = max((width_of(what) for what, _ in known), default=0)
            return [f"{_padded(what, width)}  {value}".rstrip() for what, value in known]
        case Table(columns, rows, left_out):
            return [*table(columns, rows, widest), *left_out]
        case Note(text=told):
            return [lines(told)]
        case Listing(title=title, text=told):
            return [f"{title}:", *(f"  {line}" for line in lines(told).split("\n"))]
        case Picture(text=told):
            return [lines(told)]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - width_of(cell))
