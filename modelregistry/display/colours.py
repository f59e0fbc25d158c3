"""The colours of pictures, by light and by dark, for whatever shows an SVG."""

from __future__ import annotations

TEXT = ("#0f172a", "#f8fafc")
LINE = ("#cbd5e1", "#475569")
_PAGE = ("#ffffff", "#12161c")


def page(kind: str) -> str:
    """The ground of a picture of a class. One that is a document follows the system, one that stands in a page the page."""
    return (
        f"svg:root{{color-scheme:light dark}}.{kind}{{{_both('background-color', _PAGE)};border-radius:8px}}"
    )


def fill(colours: tuple[str, str]) -> str:
    """Of an area or a text, by light and by dark."""
    return _both("fill", colours)


def stroke(colours: tuple[str, str]) -> str:
    """Of a line."""
    return _both("stroke", colours)


def _both(what: str, colours: tuple[str, str]) -> str:
    # What does not know of schemes takes the first, and passes by the second.
    light, dark = colours
    return f"{what}:{light};{what}:light-dark({light},{dark})"
