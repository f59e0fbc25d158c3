"""Shown: what every public object has for those who look at it, in a notebook, in a terminal, and in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from modelregistry.display.view import View


Kind = TypeVar("Kind", bound=type)


class Shown:
    """An object that is worth looking at.

    In one line everywhere (``repr``); as a card, a table or a picture where IPython, a notebook or rich asks for it.
    None of that reads more than is at hand, or raises.
    """

    __slots__ = ()

    def _view(self) -> View:
        """What is shown; its facts, where a class says nothing else."""
        from modelregistry.display.fields import view_of

        return view_of(self)

    def _line(self) -> str:
        """What it is, in a few words; its fields, where a class says nothing else."""
        from modelregistry.display.fields import one_line

        return one_line(self)

    def __repr__(self) -> str:
        from modelregistry.display.fields import short

        return short(self._line())

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        from modelregistry.display.notebook import html

        return html(self._view())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        from modelregistry.display.terminal import text

        # Inside a list or a dictionary, one line is enough.
        printer.text(repr(self) if cycle or len(getattr(printer, "stack", ())) > 1 else text(self._view()))

    def __rich__(self) -> Any:
        from modelregistry.display.console import rich

        return rich(self._view())


def shown(kind: Kind) -> Kind:
    """Give a named tuple, which can have no other base, what ``Shown`` has."""
    for name in ("_view", "_line", "__repr__", "__str__", "_repr_html_", "_repr_pretty_", "__rich__"):
        setattr(kind, name, getattr(Shown, name))
    return kind
