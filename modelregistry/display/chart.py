"""Draws values in a row as a line: as SVG with nothing to install, and as a specification of Vega-Lite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from modelregistry.display.colours import LINE, TEXT, fill, page, stroke
from modelregistry.display.words import UNSEEN, text_of

MOST_POINTS = 500
"""That are drawn, the last ones."""
_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 92, 24, 56, 48
_LABEL_WIDTH = 64
_DIGIT = 7
"""How wide a digit of the axis is."""
_LONGEST = 60
_TICKS = 4
_LINE, _HELD = ("#0f766e", "#5eead4"), ("#be123c", "#fda4af")
_RULES = (
    f".axis{{{stroke(LINE)}}}", f".line{{fill:none;{stroke(_LINE)};stroke-width:2}}",
    f".dot{{{fill(_LINE)}}}", f".held{{{fill(_HELD)}}}", f"text{{{fill(TEXT)}}}", ".small{font-size:11px;opacity:.75}",
    f".stage{{{fill(_HELD)};font-weight:600}}",
)  # fmt: skip
_STYLE = page("trend") + "".join(f".trend {rule}" for rule in _RULES)
"""For this picture only, wherever it stands."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value."""

    label: str
    value: float
    marks: tuple[str, ...] = ()
    """What is written beside it."""
    facts: Mapping[str, str] | None = None
    """What else is said of it, in its tooltip."""


def to_svg(points: Sequence[Point], *, title: str, note: str = "") -> str:
    """The line as an SVG document, in light and dark colours.

    Args:
        points: In their order; of many, the last are drawn.
        title: What it shows.
        note: A line below the title.
    """
    drawn = points[-MOST_POINTS:]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="trend" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
    )
    parts = [
        head,
        f"<title>{_text(title)}</title><style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600">{_text(_short(title))}</text>',
        f'<text class="small" x="{_LEFT}" y="38">{_text(_short(_noted(points, note), 100))}</text>',
    ]
    if drawn:
        parts += _Plot(drawn).parts()
    return "\n".join([*parts, "</svg>"]) + "\n"


def to_vega_lite(points: Sequence[Point], *, title: str, note: str = "", axis: str = "") -> dict[str, Any]:
    """The same as a specification of Vega-Lite 5, which JupyterLab and VS Code draw; ``axis`` names the values."""
    drawn = points[-MOST_POINTS:]
    axis = _heading(axis)
    names = dict.fromkeys(name for point in drawn for name in point.facts or ())
    # Names of our own: a key of a stranger's could mean something to Vega.
    columns = {name: f"fact{number}" for number, name in enumerate(names)}
    values = [
        {"label": _shown(point.label), "value": point.value, "marks": _shown(", ".join(point.marks)) or None}
        | {columns[name]: _shown(text) for name, text in (point.facts or {}).items()}
        for point in drawn
    ]
    x = {
        "field": "label",
        "type": "ordinal",
        "sort": None,
        "title": None,
        "axis": {"labelOverlap": "greedy", "labelAngle": 0},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": axis or None,
        "scale": {"zero": False, "padding": 16},
    }
    tooltip = [{"field": "label", "title": "version"}, {"field": "value", "title": axis or "value"}]
    tooltip += [{"field": column, "title": _heading(name)} for name, column in columns.items()]
    held = {"condition": {"test": "datum.marks !== null", "value": _HELD[0]}, "value": _LINE[0]}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": _shown(title), "subtitle": _shown(_noted(points, note))},
        "width": 560,
        "height": 240,
        "data": {"values": values},
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "line", "color": _LINE[0]}},
            {
                "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
                "encoding": {"color": held, "tooltip": tooltip},
            },
            {
                "transform": [{"filter": "datum.marks !== null"}],
                "mark": {"type": "text", "dy": -12, "fontWeight": "bold", "color": _HELD[0]},
                "encoding": {"text": {"field": "marks"}},
            },
        ],
    }


class _Plot:
    """Where each value is."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        low, high = min(point.value for point in points), max(point.value for point in points)
        self._ticks = _ticks(low, high)
        self._low, self._high = min(low, *self._ticks), max(high, *self._ticks)
        self._labels = _labels(self._ticks)
        self._left = max(_LEFT, 12 + _DIGIT * max(map(len, self._labels)))

    def _x(self, number: int) -> float:
        inner = _WIDTH - self._left - _RIGHT
        return self._left + (inner * (number + 0.5) / len(self._points))

    def _y(self, value: float) -> float:
        # Halves: the greatest numbers are further apart than any number is great.
        span = self._high / 2 - self._low / 2
        part = (value / 2 - self._low / 2) / span if span else 0.5
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * part

    def parts(self) -> Iterable[str]:
        """What is drawn."""
        left = self._left
        for tick, label in zip(self._ticks, self._labels, strict=True):
            y = self._y(tick)
            yield f'<line class="axis" x1="{left:g}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="small" text-anchor="end" x="{left - 8:g}" y="{y + 4:.1f}">{label}</text>'
        places = [(self._x(number), self._y(point.value)) for number, point in enumerate(self._points)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline class="line" points="{line}"/>'
        every = max(1, math.ceil(_LABEL_WIDTH * len(places) / (_WIDTH - left - _RIGHT)))
        for number, (point, (x, y)) in enumerate(zip(self._points, places, strict=True)):
            facts = "".join(f"\n{name}: {text}" for name, text in (point.facts or {}).items())
            said = "".join(f"\n{mark}" for mark in point.marks)
            look = "held" if point.marks else "dot"
            yield (
                f'<circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="{4 if point.marks else 3}">'
                f"<title>{_text(f'{point.label}: {text_of(point.value)}{said}{facts}', lines=True)}</title></circle>"
            )
            if point.marks:
                text = _text(_short(", ".join(point.marks), 24))
                # Below, where the line comes from above on both sides.
                beside = [places[each][1] for each in (number - 1, number + 1) if 0 <= each < len(places)]
                place = y + 20 if beside and max(beside) < y else y - 10
                yield f'<text class="stage" text-anchor="middle" x="{x:.1f}" y="{place:.1f}">{text}</text>'
            if number % every == 0:
                label = _text(_short(point.label, 12))
                yield (
                    f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 36}">{label}</text>'
                )


def _ticks(low: float, high: float) -> list[float]:
    """A few round numbers that hold the values."""
    span = high - low
    if not math.isfinite(span) or span <= abs(high) * 1e-12:
        return [low, high] if low != high else [low]
    step = 10.0 ** math.floor(math.log10(span / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= _TICKS + 1)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [number * step for number in range(first, last + 1)]
    return ticks if all(map(math.isfinite, ticks)) else [low, high]


def _labels(ticks: Sequence[float]) -> list[str]:
    """With as many digits as it takes to tell one from the other."""
    found = ([f"{tick:.{digits}g}" for tick in ticks] for digits in range(6, 18))
    return next(labels for labels in found if len({*labels}) == len({*ticks}))


def _noted(points: Sequence[Point], note: str) -> str:
    left_out = len(points) - MOST_POINTS
    more = f"the last {MOST_POINTS:,}; {left_out:,} earlier ones are left out" if left_out > 0 else ""
    return "; ".join(filter(None, (note, more)))


def _short(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(text: str, *, lines: bool = False) -> str:
    """Strangers' text, for SVG."""
    return "\n".join(escape(_shown(line)) for line in (text.split("\n") if lines else [text]))


def _shown(text: str) -> str:
    return UNSEEN.sub(" ", text)


def _heading(text: str) -> str:
    """A title of values, which Vega-Lite puts into an expression, where a backslash would undo what it escapes."""
    return _shown(text).replace("\\", " ")
