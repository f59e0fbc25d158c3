"""The boxes of a graph that flows from left to right, and what they are in Mermaid, DOT and plain text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from modelregistry.display.layout import Arrow
from modelregistry.display.words import UNSEEN

_WIDEST = 34
"""Characters of a line that a box shows; all of it is in the tooltip."""
_BROAD = {**dict.fromkeys("MWm@%", 1.7), "w": 1.4}

COLOURS = {
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
"""The stroke and fill of each look by light, and by dark."""
MARKS = {
    "added": ("#15803d", "#4ade80"),
    "removed": ("#b91c1c", "#f87171"),
    "changed": ("#b45309", "#fbbf24"),
}
SIGNS = {"added": "+", "removed": "\N{MINUS SIGN}", "changed": "~"}
"""A mark is said in words, too: colours alone are not seen by all."""


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
    holds: tuple[str, ...] = ()
    """The ids of the nodes that it stands for."""
    opened: bool = False
    """Whether its further lines name the nodes that it holds, each by itself."""
    named: int = 0
    """How many of them are named, where it is open."""

    @property
    def is_folded(self) -> bool:
        """Whether it stands for several nodes."""
        return len(self.holds) > 1


# -- texts -------------------------------------------------------------------------------------------------


def to_mermaid(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    """The graph in the language of Mermaid, which GitHub, GitLab and JupyterLab draw."""
    names = {box.id: f"n{number}" for number, box in enumerate(boxes)}
    lines = ["flowchart LR"]
    for box in boxes:
        label = "<br/>".join(_mermaid(shortened(line)) for line in _marked(box))
        start, end = ("([", "])") if box.look == "step" else ("[", "]")
        lines.append(f'  {names[box.id]}{start}"{label}"{end}:::{box.mark or box.look}')
    lines += [f"  {names[one]} --> {names[other]}" for one, other in arrows]
    used = {box.mark or box.look for box in boxes}
    for look, (stroke, fill, _, _) in COLOURS.items():
        if look in used:
            lines.append(f"  classDef {look} stroke:{stroke},fill:{fill},color:#0f172a")
    lines += [
        f"  classDef {mark} stroke:{stroke},stroke-width:3px"
        for mark, (stroke, _) in MARKS.items()
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
        stroke, fill, _, _ = COLOURS.get(box.look, COLOURS["artifact"])
        if box.mark:
            stroke = MARKS[box.mark][0]
        style = 'style="filled,dashed", ' if box.doubtful else ""
        shape = "oval" if box.look == "step" else "box"
        label = "\\n".join(_dot(shortened(line)) for line in _marked(box))
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


def _marked(box: Box) -> tuple[str, ...]:
    return (f"{SIGNS[box.mark]} {box.mark}", *box.lines) if box.mark else box.lines


def _line(box: Box) -> str:
    sign = {"added": "+ ", "removed": "- ", "changed": "~ "}.get(box.mark or "", "")
    return sign + clean("  ".join(box.lines))


def clean(text: str) -> str:
    """Strangers' text without what no picture may hold."""
    return text if text.isprintable() else UNSEEN.sub(" ", text)


def shortened(line: str) -> str:
    """As much of a line as a box shows: its beginning and its end."""
    line = clean(line)
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST // 2 - 1]}…{line[-_WIDEST // 2 :]}"


def columns_of(text: str) -> float:
    """How wide a text is, in letters of the usual width."""
    return sum(map(_columns, text))


@lru_cache(maxsize=4_096)
def _columns(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 2.1
    return _BROAD.get(letter, 1.15 if letter.isupper() else 1)


def _mermaid(text: str) -> str:
    """Strangers' text, for a quoted label: everything that could be markup is written by its number."""
    return "".join(
        letter if letter.isalnum() or letter in " ./_-@:=," else f"#{ord(letter)};" for letter in text
    )


def _dot(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
