"""Places the boxes of a graph that flows from left to right, and the lines between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise

_GAP_X, _GAP_Y, _MARGIN = 46, 16, 12
_SWEEPS = 8
_DUMMY_HEIGHT = 6
_FEW = 50
"""Boxes of a graph whose places are remembered."""

Arrow = tuple[str, str]
"""From one box to another."""
Size = tuple[float, float]
"""Width and height."""


def laid_out(sizes: Mapping[str, Size], arrows: Sequence[Arrow]) -> Layout:
    """The places of a graph: of a small one they are remembered, for those of a model's versions are mostly alike."""
    if len(sizes) > _FEW:
        return Layout(sizes, arrows)
    return _laid_out(tuple(sizes.items()), tuple(arrows))


@lru_cache(maxsize=256)
def _laid_out(sizes: tuple[tuple[str, Size], ...], arrows: tuple[Arrow, ...]) -> Layout:
    return Layout(dict(sizes), arrows)


class Layout:
    """Where everything is: columns by the longest way, and an order in each that crosses few arrows.

    The way of Sugiyama, Tagawa and Toda (1981): layers, dummies where an arrow passes a layer, barycentres.
    """

    def __init__(self, sizes: Mapping[str, Size], arrows: Sequence[Arrow]) -> None:
        self._sizes = dict(sizes)
        known = [(one, other) for one, other in dict.fromkeys(arrows) if one != other]
        column = _columns(list(self._sizes), known)
        self._arrows = known
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

    @cached_property
    def paths(self) -> Sequence[tuple[Arrow, str]]:
        """The arrows, each with the data of an SVG path."""
        return [
            (arrow, _curve(self._points(route)))
            for arrow, route in zip(self._arrows, self._routes, strict=True)
        ]

    def _points(self, route: Sequence[str]) -> list[tuple[float, float]]:
        """Where an arrow leaves and enters columns: straight beside a box that is narrower than its column."""
        points: list[tuple[float, float]] = []
        for position, node in enumerate(route):
            x, y, width, height = self.box(node)
            middle = y + height / 2
            if position:
                points.append((x, middle))
            if position < len(route) - 1:
                points += [(x + width, middle), (x + self._widths[self._column[node]], middle)]
        return points

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
        self._y = {node: round(y - lowest + _MARGIN) for node, y in self._y.items()}
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


def _curve(points: Sequence[tuple[float, float]]) -> str:
    data = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x, y), (next_x, next_y) in pairwise(points):
        half = (x + next_x) / 2
        if y == next_y:
            data += f"H{next_x:g}" if next_x != x else ""
        else:
            data += f"C{half:g} {y:g} {half:g} {next_y:g} {next_x:g} {next_y:g}"
    return data


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
