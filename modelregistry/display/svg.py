"""Draws a graph as SVG: a document that needs nothing, or a part of a page, whose boxes lead somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil

from modelregistry.display.colours import TEXT, fill, page, stroke
from modelregistry.display.layout import Arrow, laid_out
from modelregistry.display.picture import COLOURS, MARKS, SIGNS, Box, clean, columns_of, shortened

_CHARACTER, _SMALL, _LINE, _PAD = 7.2, 6.6, 16, 8
_ROUND = 7
"""What a rounded end takes away of the space for text."""
_LONGEST = 24
"""Names below each other in an open box, before they go on beside."""
_MOST_BESIDE = 4
_BADGE = 6.4
_ARROW = ("#94a3b8", "#64748b")
_QUIET = ("#334155", "#dbe2ea")
_ON_MARK = ("#ffffff", "#0f172a")
_FONT = 'font-family="ui-sans-serif, system-ui, sans-serif" font-size="12"'


@dataclass(frozen=True, slots=True)
class Links:
    """Where the boxes of a picture in a page lead.

    Attributes:
        target: The address that stands for some nodes, by their ids.
        names: Some nodes, as the page's script knows them.
    """

    target: Callable[[Sequence[str]], str]
    names: Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of text in a box, as it is shown, from its corner; ``holds`` is the node that it names, in an open box."""

    text: str
    x: float
    y: float
    look: str
    holds: str | None = None


def to_svg(boxes: Sequence[Box], arrows: Sequence[Arrow], *, title: str) -> str:
    """The picture as an SVG document, in light and dark colours, for a page or a file."""
    if not boxes:
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><title>{_text(title)}</title></svg>'
    style = f"{page('lineage')}{rules({box.look for box in boxes})}"
    head = f"<title>{_text(title)}</title>\n<style>{style}</style>"
    attributes = f'xmlns="http://www.w3.org/2000/svg" class="lineage" role="img" {_FONT}'
    return _drawn(boxes, arrows, attributes, head=head, titled=True)


def to_part(boxes: Sequence[Box], arrows: Sequence[Arrow], *, title: str, links: Links | None = None) -> str:
    """The picture as an element of a page that has the ``rules`` in its own style."""
    role = "group" if links is not None else "img"
    attributes = f'class="lineage" role="{role}" aria-label="{_text(title)}" {_FONT}'
    return _drawn(boxes, arrows, attributes, links=links)


def _drawn(
    boxes: Sequence[Box], arrows: Sequence[Arrow], attributes: str, *,
    head: str = "", links: Links | None = None, titled: bool = False,
) -> str:  # fmt: skip
    lines = {box.id: [*_lines(box)] for box in boxes}
    places = laid_out({box.id: _size(box, lines[box.id]) for box in boxes}, arrows)
    position = {box.id: number for number, box in enumerate(boxes)}
    width, height = f"{places.width:.0f}", f"{places.height:.0f}"
    parts = [f'<svg {attributes} width="{width}" height="{height}" viewBox="0 0 {width} {height}">', head]
    for (one, other), path in places.paths:
        ends = f' data-e="{position[one]} {position[other]}"' if links is not None else ""
        parts.append(f'<path class="e"{ends} d="{path}"/>')
    parts += [_box(box, lines[box.id], places.box(box.id), links, titled) for box in boxes]
    return "\n".join(filter(None, [*parts, "</svg>"])) + "\n"


# -- boxes -------------------------------------------------------------------------------------------------


def _box(
    box: Box, lines: Sequence[_Line], place: tuple[float, float, float, float], links: Links | None,
    titled: bool,
) -> str:  # fmt: skip
    x, y, width, height = place
    looks = ["n", box.look, box.mark, "doubt" if box.doubtful else None, "fold" if box.is_folded else None]
    radius = height / 2 if box.look == "step" else 4
    parts = [f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>']
    if box.is_folded and not box.opened:  # the edges of a pile
        parts.append(
            f'<path class="k" d="M{x + 5:g} {y + height + 3:g}h{width - 10:g}m-4 3h{18 - width:g}"/>'
        )
    for line in lines:
        text = f'<text class="{line.look}" x="{x + line.x:g}" y="{y + line.y:g}">{escape(line.text)}</text>'
        if links is not None and line.holds is not None:
            text = f"<a {_link(links, [line.holds])}>{text}</a>"
        parts.append(text)
    if box.mark:
        parts.append(_badge(f"{SIGNS[box.mark]} {box.mark}", x + 8, y))
    classes = " ".join(filter(None, looks))
    if links is None and titled:
        parts.insert(0, _title(box))
    inner = "\n".join(parts)  # so that words stay words where a page is shown without its pictures
    if links is None:
        return f'<g class="{classes}">{inner}</g>'
    if box.opened:
        return f'<g class="{classes}" data-n="{_text(links.names(box.holds))}">{inner}</g>'
    return f'<a class="{classes}" {_link(links, box.holds)}>{inner}</a>'


def _title(box: Box) -> str:
    said = box.tooltip or "\n".join(box.lines)
    text = "\n".join(map(_text, (f"{box.mark}: {said}" if box.mark else said).split("\n")))
    return f"<title>{text}</title>"


def _link(links: Links, holds: Sequence[str]) -> str:
    return f'href="{_text(links.target(holds))}" data-n="{_text(links.names(holds))}"'


def _badge(text: str, x: float, y: float) -> str:
    width = len(text) * _BADGE + 8
    return (
        f'<rect class="b" x="{x:g}" y="{y - 10:g}" width="{width:g}" height="14" rx="7"/>'
        f'<text class="w" x="{x + 5:g}" y="{y + 0.5:g}">{text}</text>'
    )


def _lines(box: Box) -> Iterator[_Line]:
    """What a box says, and where: the names in an open one go on beside, not without end below."""
    left = _PAD + _inset(box)
    first, *rest = map(shortened, box.lines)
    yield _Line(first, left, _PAD + 11, "t")
    beside = min(ceil(len(rest) / _LONGEST), _MOST_BESIDE) if box.opened else 1
    long = max(ceil(len(rest) / max(beside, 1)), 1)
    for start in range(0, len(rest), long):
        column = rest[start : start + long]
        for row, text in enumerate(column):
            number = start + row
            holds = box.holds[number] if box.opened and number < box.named else None
            yield _Line(text, left, _PAD + 11 + (row + 1) * _LINE, "s", holds)
        if start + long < len(rest):
            left += ceil(max(map(columns_of, column)) * _SMALL) + 2 * _PAD


def _size(box: Box, lines: Iterable[_Line]) -> tuple[float, float]:
    every = [*lines]
    right = max(
        line.x + columns_of(line.text) * (_CHARACTER if line.look == "t" else _SMALL) for line in every
    )
    if box.mark:
        right = max(right, (len(box.mark) + 2) * _BADGE + 16)
    return ceil(right) + _PAD + _inset(box), max(line.y for line in every) + _PAD + 2


def _inset(box: Box) -> int:
    return _ROUND if box.look == "step" else 0


def _text(text: str) -> str:
    """Strangers' text, for SVG."""
    return escape(clean(text))


# -- style -------------------------------------------------------------------------------------------------


def rules(looks: Iterable[str] = COLOURS) -> str:
    """How boxes of these looks are drawn, by light and by dark; what else stands in the page is left alone."""
    found = [
        f".e{{fill:none;{stroke(_ARROW)};stroke-width:1.2}}",
        f".n text{{{fill(TEXT)}}}",
        f".n .s{{font-size:10.5px;{fill(_QUIET)}}}",
        ".doubt rect{stroke-dasharray:4 3}",
        ".removed .t{text-decoration:line-through}",
    ]
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for look in sorted(looks):
        alike.setdefault(COLOURS.get(look, COLOURS["artifact"]), []).append(look)
    for (light, light_page, dark, dark_page), names in alike.items():
        areas = ",".join(f".lineage .{name} {each}" for name in names for each in ("rect", ".k"))
        found.append(f"{areas}{{{stroke((light, dark))};{fill((light_page, dark_page))}}}")
    for mark, colours in MARKS.items():
        found += [f".{mark} rect{{{stroke(colours)};stroke-width:2.5}}", f".{mark} .b{{{fill(colours)}}}"]
    found += [
        ".n .k{fill:none;stroke-width:1.2}",
        ".n .b{stroke:none}",
        f".n .w{{font-size:9.5px;font-weight:600;{fill(_ON_MARK)}}}",
    ]
    return "".join(rule if rule.startswith(".lineage") else f".lineage {rule}" for rule in found)
