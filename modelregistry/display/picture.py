"""Draws a graph that flows from left to right: as SVG with nothing to install, and as Mermaid, DOT and plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from modelregistry.display.colours import TEXT, fill, page, stroke

_WIDEST = 34
"""Characters of a line that a box shows; all of it is in the tooltip."""
_CHARACTER, _SMALL, _LINE, _PAD = 7.2, 6.3, 16, 8
_ROUND = 7
"""What a rounded end takes away of the space for text."""
_GAP_X, _GAP_Y, _MARGIN = 46, 14, 12
_SWEEPS = 8
_DUMMY_HEIGHT = 6
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# (stroke and fill by light, by dark) of each look
_COLOURS = {
    "model": ("#0f766e", "#ccfbf1", "#5eead4", "#134e4a"),
    "dataset": ("#1d4ed8", "#dbeafe", "#93c5fd", "#1e3a8a"),
    "artifact": ("#475569", "#f1f5f9", "#cbd5e1", "#334155"),
    "code": ("#6d28d9", "#ede9fe", "#c4b5fd", "#4c1d95"),
    "params": ("#a16207", "#fef9c3", "#fde047", "#713f12"),
    "metrics": ("#be123c", "#ffe4e6", "#fda4af", "#881337"),
    "plots": ("#be123c", "#ffe4e6", "#fda4af", "#881337"),
    "step": ("#334155", "#ffffff", "#e2e8f0", "#0f172a"),
    "source": ("#c2410c", "#ffedd5", "#fdba74", "#7c2d12"),
    "repository": ("#c2410c", "#ffedd5", "#fdba74", "#7c2d12"),
    "run": ("#475569", "#f8fafc", "#cbd5e1", "#1e293b"),
}
_ARROW = ("#94a3b8", "#64748b")
_MARKS = {
    "added": ("#15803d", "#4ade80"),
    "removed": ("#b91c1c", "#f87171"),
    "changed": ("#b45309", "#fbbf24"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One node of the picture."""

    id: str
    lines: tuple[str, ...]
    """What it says, the first line being its name."""
    look: str = "artifact"
    mark: str | None = None
    """``added``, ``removed`` or ``changed``."""
    doubtful: bool = False
    """Drawn with a broken line."""
    tooltip: str = ""


Arrow = tuple[str, str]
"""From one box to another."""


# -- SVG ---------------------------------------------------------------------------------------------------


def to_svg(boxes: Sequence[Box], arrows: Sequence[Arrow], *, title: str) -> str:
    """The picture as an SVG document, in light and dark colours, for a page or a file."""
    if not boxes:
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><title>{_text(title)}</title></svg>'
    places = _Layout(boxes, arrows)
    width, height = f"{places.width:.0f}", f"{places.height:.0f}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
    )
    parts = [
        head,
        f"<title>{_text(title)}</title>",
        f"<style>{_style({box.look for box in boxes})}</style>",
        *(f'<path class="e" d="{path}"/>' for path in places.paths()),
        *(_drawn(box, *places.box(box.id)) for box in boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(box: Box, x: float, y: float, width: float, height: float) -> str:
    classes = " ".join(
        ["n", box.look, *([box.mark] if box.mark else []), *(["doubt"] if box.doubtful else [])]
    )
    radius = height / 2 if box.look == "step" else 4
    lines = "".join(
        f'<text class="{"t" if position == 0 else "s"}" x="{x + _PAD + _inset(box):.1f}" y="{y + _PAD + 11 + position * _LINE:.1f}">'
        f"{_text(_short(line))}</text>"
        for position, line in enumerate(box.lines)
    )
    said = box.tooltip or "\n".join(box.lines)
    if box.mark:
        said = f"{box.mark}: {said}"
    return (
        f'<g class="{classes}"><title>{_text(said, lines=True)}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"/>{lines}</g>'
    )


def _style(looks: set[str]) -> str:
    rules = [
        f".e{{fill:none;{stroke(_ARROW)};stroke-width:1.2}}",
        f".n text{{{fill(TEXT)}}}",
        ".n .s{font-size:10.5px;opacity:.75}",
    ]
    for look in sorted(looks):
        light, light_page, dark, dark_page = _COLOURS.get(look, _COLOURS["artifact"])
        rules.append(f".{look} rect{{{stroke((light, dark))};{fill((light_page, dark_page))}}}")
    rules.append(".doubt rect{stroke-dasharray:4 3}")
    rules += [f".{mark} rect{{{stroke(colours)};stroke-width:2.5}}" for mark, colours in _MARKS.items()]
    rules.append(".removed{opacity:.6}")
    # A picture may stand in a page, whose own things are left alone.
    return page("lineage") + "".join(f".lineage {rule}" for rule in rules)


class _Layout:
    """Where everything is: columns by the longest way, and an order in each that crosses few arrows.

    The way of Sugiyama, Tagawa and Toda (1981): layers, dummies where an arrow passes a layer, barycentres.
    """

    def __init__(self, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> None:
        self._sizes = {box.id: _size(box) for box in boxes}
        known = [(one, other) for one, other in dict.fromkeys(arrows) if one != other]
        column = _columns(list(self._sizes), known)
        self._routes: list[list[str]] = []
        links: list[Arrow] = []
        # One that would close a circle is turned round.
        forward = [pair if column[pair[0]] < column[pair[1]] else pair[::-1] for pair in known]
        for number, (one, other) in enumerate(forward):
            route = [one]
            for passed in range(column[one] + 1, column[other]):
                dummy = f"\0{number}-{passed}"
                self._sizes[dummy] = (0, _DUMMY_HEIGHT)
                column[dummy] = passed
                route.append(dummy)
            self._routes.append([*route, other])
            links += list(pairwise(self._routes[-1]))
        rows = [[node for node in column if column[node] == each] for each in range(max(column.values()) + 1)]
        _order(rows, links)
        self._place(rows, links)

    def box(self, id: str) -> tuple[float, float, float, float]:  # noqa: A002 - the field's name
        """Left, top, width and height."""
        width, height = self._sizes[id]
        return self._x[id], self._y[id], width, height

    def paths(self) -> list[str]:
        """The arrows, as the data of SVG paths."""
        found = []
        for route in self._routes:
            points: list[tuple[float, float]] = []
            for position, node in enumerate(route):
                x, y, width, height = self.box(node)
                middle = y + height / 2
                if position:
                    points.append((x, middle))
                if position < len(route) - 1:
                    points.append((x + (width or self._widths[self._column[node]]), middle))
            data = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
            for (x, y), (next_x, next_y) in pairwise(points):
                half = (x + next_x) / 2
                data += f"C{half:.1f} {y:.1f} {half:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}"
            found.append(data)
        return found

    def _place(self, rows: Sequence[Sequence[str]], links: Sequence[Arrow]) -> None:
        self._column = {node: number for number, row in enumerate(rows) for node in row}
        self._widths = [max(self._sizes[node][0] for node in row) for row in rows]
        self._x: dict[str, float] = {}
        left = float(_MARGIN)
        for row, width in zip(rows, self._widths, strict=True):
            for node in row:
                self._x[node] = left
            left += width + _GAP_X
        self.width = left - _GAP_X + _MARGIN
        near = _near(links)
        self._y = {}
        for row in rows:
            top = float(_MARGIN)
            for node in row:
                self._y[node] = top
                top += self._sizes[node][1] + _GAP_Y
        for sweep in range(_SWEEPS):
            for row in rows if sweep % 2 == 0 else reversed(rows):
                self._settle(row, near)
        lowest = min(self._y.values())
        self._y = {node: y - lowest + _MARGIN for node, y in self._y.items()}
        self.height = max(y + self._sizes[node][1] for node, y in self._y.items()) + _MARGIN

    def _settle(self, row: Sequence[str], near: Mapping[str, Sequence[str]]) -> None:
        """Move each node of a column towards the middle of its neighbours; those above and below make room."""
        wanted = {}
        for node in row:
            middles = [self._y[each] + self._sizes[each][1] / 2 for each in near.get(node, ())]
            middle = sum(middles) / len(middles) if middles else self._y[node] + self._sizes[node][1] / 2
            wanted[node] = middle - self._sizes[node][1] / 2
        down: dict[str, float] = {}
        floor = float("-inf")
        for node in row:
            down[node] = max(wanted[node], floor)
            floor = down[node] + self._sizes[node][1] + _GAP_Y
        up: dict[str, float] = {}
        ceiling = float("inf")
        for node in reversed(row):
            up[node] = min(wanted[node], ceiling - self._sizes[node][1])
            ceiling = up[node] - _GAP_Y
        self._y |= {node: (down[node] + up[node]) / 2 for node in row}


def _size(box: Box) -> tuple[float, float]:
    first, *rest = (len(_short(line)) for line in box.lines)
    widest = max([first * _CHARACTER, *(each * _SMALL for each in rest)])
    return widest + 2 * (_PAD + _inset(box)), len(box.lines) * _LINE + 2 * _PAD - 3


def _inset(box: Box) -> int:
    return _ROUND if box.look == "step" else 0


def _columns(nodes: Sequence[str], arrows: Sequence[Arrow]) -> dict[str, int]:
    """How many arrows the longest way to the end has, counted from the left; arrows of a circle do not count."""
    following: dict[str, list[str]] = {node: [] for node in nodes}
    for one, other in arrows:
        following[one].append(other)
    depth: dict[str, int] = {}
    active: set[str] = set()
    for start in nodes:
        pending = [(start, iter(following[start]))]
        active.add(start)
        while pending:
            node, rest = pending[-1]
            if node in depth:
                pending.pop()
                continue
            unseen = next((each for each in rest if each not in depth and each not in active), None)
            if unseen is not None:
                active.add(unseen)
                pending.append((unseen, iter(following[unseen])))
                continue
            depth[node] = 1 + max((depth[each] for each in following[node] if each in depth), default=-1)
            active.discard(node)
            pending.pop()
    last = max(depth.values())
    return {node: last - depth[node] for node in nodes}


def _near(links: Sequence[Arrow]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, other in links:
        found.setdefault(one, []).append(other)
        found.setdefault(other, []).append(one)
    return found


def _order(rows: Sequence[list[str]], links: Sequence[Arrow]) -> None:
    """Sort each column by the mean position of its neighbours in the one before, there and back."""
    near = _near(links)
    for sweep in range(_SWEEPS):
        order = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        for number in order:
            fixed = rows[number - 1 if sweep % 2 == 0 else number + 1]
            position = {node: float(index) for index, node in enumerate(fixed)}
            mine = {node: float(index) for index, node in enumerate(rows[number])}

            def centre(
                node: str, position: dict[str, float] = position, mine: dict[str, float] = mine
            ) -> float:
                places = [position[each] for each in near.get(node, ()) if each in position]
                return sum(places) / len(places) if places else mine[node]

            rows[number].sort(key=centre)


# -- texts -------------------------------------------------------------------------------------------------


def to_mermaid(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    """The graph in the language of Mermaid, which GitHub, GitLab and JupyterLab draw."""
    names = {box.id: f"n{number}" for number, box in enumerate(boxes)}
    lines = ["flowchart LR"]
    for box in boxes:
        label = "<br/>".join(_mermaid(_short(line)) for line in box.lines)
        start, end = ("([", "])") if box.look == "step" else ("[", "]")
        lines.append(f'  {names[box.id]}{start}"{label}"{end}:::{box.mark or box.look}')
    lines += [f"  {names[one]} --> {names[other]}" for one, other in arrows]
    used = {box.mark or box.look for box in boxes}
    for look, (border, area, _, _) in _COLOURS.items():
        if look in used:
            lines.append(f"  classDef {look} stroke:{border},fill:{area},color:#0f172a")
    lines += [
        f"  classDef {mark} stroke:{stroke},stroke-width:3px"
        for mark, (stroke, _) in _MARKS.items()
        if mark in used
    ]
    return "\n".join(lines) + "\n"


def to_dot(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    """The graph in the language of Graphviz."""
    names = {box.id: f"n{number}" for number, box in enumerate(boxes)}
    lines = [
        "digraph lineage {",
        "  rankdir=LR;",
        '  node [style=filled, fontname="sans-serif", fontsize=11];',
    ]
    for box in boxes:
        stroke, fill, _, _ = _COLOURS.get(box.look, _COLOURS["artifact"])
        if box.mark:
            stroke = _MARKS[box.mark][0]
        style = 'style="filled,dashed", ' if box.doubtful else ""
        shape = "oval" if box.look == "step" else "box"
        label = "\\n".join(_dot(_short(line)) for line in box.lines)
        lines.append(
            f'  {names[box.id]} [label="{label}", shape={shape}, {style}color="{stroke}", fillcolor="{fill}"];'
        )
    lines += [f"  {names[one]} -> {names[other]};" for one, other in arrows]
    return "\n".join([*lines, "}"]) + "\n"


def to_text(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    """The graph as a tree of lines, from the first box back to what it was made from; what stood before is named only."""
    by_id = {box.id: box for box in boxes}
    sources: dict[str, list[str]] = {}
    for one, other in arrows:
        sources.setdefault(other, []).append(one)
    lines: list[str] = []
    seen: set[str] = set()
    pending = [(boxes[0].id, "", "")] if boxes else []
    while pending:
        node, head, indent = pending.pop()
        box = by_id[node]
        again = node in seen and node in sources
        lines.append(f"{head}{_line(box)}{' (see above)' if again else ''}")
        if again:
            continue
        seen.add(node)
        below = sources.get(node, [])
        for position, each in reversed(list(enumerate(below))):
            last = position == len(below) - 1
            pending.append((each, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")))
    lines += [_line(box) for box in boxes if box.id not in seen]  # nothing leads to them from the first
    return "\n".join(lines)


def _line(box: Box) -> str:
    sign = {"added": "+ ", "removed": "- ", "changed": "~ "}.get(box.mark or "", "")
    return sign + _UNSEEN.sub(" ", "  ".join(box.lines))


def _short(line: str) -> str:
    line = _UNSEEN.sub(" ", line)
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST // 2 - 1]}…{line[-_WIDEST // 2 :]}"


def _text(text: str, *, lines: bool = False) -> str:
    """Strangers' text, for SVG."""
    if lines:
        return "\n".join(escape(_UNSEEN.sub(" ", line)) for line in text.split("\n"))
    return escape(_UNSEEN.sub(" ", text))


def _mermaid(text: str) -> str:
    """Strangers' text, for a quoted label: everything that could be markup is written by its number."""
    return "".join(
        letter if letter.isalnum() or letter in " ./_-@:=," else f"#{ord(letter)};" for letter in text
    )


def _dot(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
