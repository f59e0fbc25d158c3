"""How a lineage is drawn: what each node says, and what is folded into one box, and opened again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

from pydantic import JsonValue

from modelregistry.display.layout import Arrow
from modelregistry.display.picture import Box, to_mermaid
from modelregistry.display.svg import to_svg
from modelregistry.display.view import Picture
from modelregistry.lineage.node import Edge, Node, flat

FOLD = 8
"""Things of one kind, with the same neighbours, that a picture shows one by one."""
_VALUES = 4
_MOST_NAMES = 200
"""Of what is in one open box, or in the tooltip of a folded one."""
_MOST_FACTS, _MOST_TEXT = 60, 500
"""Lines of a tooltip, and characters of one."""

Drawing = tuple[Sequence[Box], Sequence[Arrow]]
"""What a picture is made from."""


def drawing(
    nodes: Iterable[Node],
    edges: Sequence[Edge],
    *,
    fold: int | None = FOLD,
    opened: Callable[[Node], bool] = lambda _: False,
    marks: Mapping[str, str] | None = None,
    before: Mapping[str, Node] | None = None,
) -> Drawing:
    """The boxes and arrows of a lineage, with what is much folded.

    Args:
        nodes: What is in it.
        edges: The edges.
        fold: How many of a kind are drawn one by one; None for all.
        opened: Whether the box of a folded node names all that it holds.
        marks: What to say of some, by id.
        before: What those that changed were, by the id that they have now.
    """
    marks, before = marks or {}, before or {}
    around: dict[str, list[tuple[str, str]]] = {}
    for edge in edges:
        around.setdefault(edge.made, []).append(("from", edge.source))
        around.setdefault(edge.source, []).append(("to", edge.made))
    groups: dict[object, list[Node]] = {}
    for node in nodes:
        alike = (node.kind, node.status, marks.get(node.id), tuple(around.get(node.id, ())))
        groups.setdefault(alike if node.kind not in ("step", "model", "run") else node.id, []).append(node)
    boxes: list[Box] = []
    stands_for: dict[str, str] = {}
    for group in groups.values():
        if fold is not None and len(group) > fold:
            boxes.append(_folded(group, marks.get(group[0].id), opened=any(map(opened, group))))
            stands_for |= {node.id: group[0].id for node in group}
        else:
            boxes += [_box(node, marks.get(node.id), before.get(node.id)) for node in group]
            stands_for |= {node.id: node.id for node in group}
    arrows = dict.fromkeys((stands_for[edge.source], stands_for[edge.made]) for edge in edges)
    return boxes, tuple(arrows)


def _box(node: Node, mark: str | None, before: Node | None) -> Box:
    lines = [f"commit {node.name}" if node.kind == "run" else node.name]
    if node.kind == "step":
        lines += _said(node.values.get("cmd"))[:1]
    elif node.kind == "run":
        lines += _said(node.values.get("message"))
        lines += [
            " ".join([*_said(node.values.get("author")), str(node.values.get("time", ""))[:10]]).strip()
        ]
    elif node.kind in ("params", "metrics"):
        lines += _values(node, before)
    elif node.digest is not None:
        lines.append(node.digest[: node.digest.find(":") + 9])
    if node.version is not None:
        lines.append(node.version)
    if node.status != "recorded":
        lines.append(node.status)
    values = [*flat(node.values)]
    facts = [node.kind, node.name, node.repository, node.path, node.digest, node.note]
    facts += [f"{key} = {_shown(value)}" for key, value in values[:_MOST_FACTS]]
    return Box(
        node.id, tuple(_cut(line) for line in lines if line), node.kind, mark, not node.is_recorded,
        "\n".join([*(_cut(fact) for fact in facts if fact), *_more(values, _MOST_FACTS)]), (node.id,),
    )  # fmt: skip


def _values(node: Node, before: Node | None) -> list[str]:
    """The first values; of what changed, those that did, with what they were."""
    now = dict(flat(node.values))
    if before is None:
        first = [f"{key} = {_shown(value)}" for key, value in islice(now.items(), _VALUES)]
        return [*first, *_more(now, _VALUES)]
    was = dict(flat(before.values))
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    changes = [
        f"{key} = {_shown(was.get(key, 'nothing'))} → {_shown(now.get(key, 'nothing'))}"
        for key in keys[:_VALUES]
    ]
    return [*changes, *_more(keys, _VALUES)]


def _folded(nodes: Sequence[Node], mark: str | None, *, opened: bool) -> Box:
    names = [node.name for node in nodes]
    listed = [*names[:_MOST_NAMES], *_more(names, _MOST_NAMES)]
    lines = [f"{len(nodes)} {nodes[0].kind} nodes"]
    if opened:
        lines += listed
    else:
        lines += [names[0], f"… {names[-1]}"]
    return Box(
        nodes[0].id, tuple(lines), nodes[0].kind, mark, not nodes[0].is_recorded,
        lines[0] if opened else "\n".join(map(_cut, listed)),
        tuple(node.id for node in nodes), opened, min(len(names), _MOST_NAMES) if opened else 0,
    )  # fmt: skip


def _more(values: Collection[object], most: int) -> list[str]:
    return [f"and {len(values) - most:,} more"] if len(values) > most else []


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _said(value: JsonValue) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)] if value else []


def _shown(value: JsonValue) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def bundle(boxes: Sequence[Box], arrows: Sequence[Arrow], *, title: str, text: str) -> dict[str, str]:
    """What a notebook may show, of which it takes the best it can."""
    return {
        "image/svg+xml": to_svg(boxes, arrows, title=title),
        "text/vnd.mermaid": to_mermaid(boxes, arrows),
        "text/plain": text,
    }


def with_opened(closed: Drawing, opened: Drawing, *, title: str, text: str) -> Picture:
    """The picture for a page, which opens where anything in it is folded."""
    is_folded = any(box.is_folded for box in closed[0])
    return Picture(to_svg(*closed, title=title), text, to_svg(*opened, title=title) if is_folded else "")
