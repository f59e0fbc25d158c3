"""Draws what is shown for rich, which asks for it itself: the one door to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelregistry.display import terminal
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
from modelregistry.display.words import clean, lines, short_digest, text_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_STYLES: dict[Look, str] = {"plain": "dim", "good": "bold green", "warn": "bold yellow", "bad": "bold red"}


def rich(view: View) -> RenderableType:
    """The object as something that rich draws. Nothing in it is read as rich's markup."""
    from rich.console import Group
    from rich.text import Text

    head = Text(clean(view.title), style="bold")
    for badge in view.badges:
        head.append("  ").append(clean(badge.text), style=_STYLES[badge.look])
    parts: list[RenderableType] = [head] if head.plain else []
    for block in view.blocks:
        parts += [*([""] if parts else []), *_block(block)]
    return Group(*parts)


def _block(block: Block) -> Iterable[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    match block:
        case Facts(lines=facts):
            yield _facts(facts)
        case Table():
            yield from _table(block)
        case Note(text=told, look=look):
            yield Text(lines(told), style=_STYLES[look] if look != "plain" else "")
        case Listing(title=title, text=told):
            yield Text(clean(title), style="dim")
            yield Padding(Text(lines(told)), (0, 0, 0, 2))
        case Picture(text=told):
            yield Text(lines(told))


def _facts(facts: Iterable[tuple[str, object]]) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for what, value in facts:
        if value is not None:
            told = _cell(value) if isinstance(value, Badge | tuple | list) else Text(terminal.fact(value))
            grid.add_row(Text(clean(what)), told)
    return grid


def _table(block: Table) -> Iterable[RenderableType]:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    if block.rows:
        grid = Grid(box=box.SIMPLE_HEAD, header_style="dim bold", pad_edge=False, show_edge=False)
        for position, title in enumerate(block.columns):
            numeric = all(isinstance(row[position], int | float | Size) for row in block.rows)
            grid.add_column(Text(clean(title)), justify="right" if numeric else "left", overflow="fold")
        for row in block.rows:
            grid.add_row(*map(_cell, row))
        yield grid
    else:
        yield Text("(nothing)", style="dim")
    for line in block.left_out:
        yield Text(clean(line), style="dim")


def _cell(value: object) -> Text:
    from rich.text import Text

    match value:
        case Badge(text=text, look=look):
            return Text(clean(text), style=_STYLES[look])
        case Code(text=text):
            return Text(short_digest(clean(text)), style="cyan")
        case tuple() | list() if value and all(isinstance(each, Badge | Code) for each in value):
            return Text(", ").join(map(_cell, value))
        case _:
            return Text(text_of(value))
