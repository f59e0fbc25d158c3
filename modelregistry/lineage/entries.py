"""A lineage as a list: what is known of each node, in words, and what it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from modelregistry.lineage.node import Edge, Node, flat

_MOST_VALUES = 60
_MOST_TEXT = 500
_ELSEWHERE = frozenset({"address", "environment"})
"""Values that say again what stands beside them, or what the page of a version has of its own."""

Fact = tuple[str, str]
"""What it is, and what it is of this node."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A node, in words."""

    node: Node
    facts: tuple[Fact, ...]
    sources: tuple[int, ...]
    """The entries that it was made from, by position: those of which there are few come first."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"commit {self.node.name}" if self.node.kind == "run" else self.node.name


def entries(nodes: Iterable[Node], edges: Iterable[Edge], *, most: int | None = None) -> list[Entry]:
    """The first nodes of a lineage, in words."""
    shown = [*nodes][:most]
    position = {node.id: number for number, node in enumerate(shown)}
    sources: dict[str, list[int]] = {}
    for edge in edges:
        if edge.source in position:
            sources.setdefault(edge.made, []).append(position[edge.source])
    return [
        Entry(node, tuple(facts(node)), tuple(_few_first(sources.get(node.id, ()), shown))) for node in shown
    ]


def _few_first(sources: Sequence[int], shown: Sequence[Node]) -> list[int]:
    """A hundred code files do not stand before the one file of parameters."""
    counts = Counter(shown[each].kind for each in sources)
    return sorted(sources, key=lambda each: counts[shown[each].kind])


def facts(node: Node) -> Iterator[Fact]:
    """What is known of a node, beside its name and its kind."""
    if node.version:
        yield "version", node.version
    if node.path and node.path != node.name:
        yield "path", _cut(node.path)
    if node.repository and node.repository != node.name:
        yield "repository", _cut(node.repository)
    if node.digest:
        yield "digest", _cut(node.digest)
    if node.size is not None:
        yield "size", f"{node.size:,} byte{'' if node.size == 1 else 's'}"
    if node.kind == "run" and node.rev:
        yield "commit", node.rev
    yield from _values(node.values)
    if node.status != "recorded":
        yield "known", node.status
    if node.note:
        yield "note", _cut(node.note)


def _values(values: Mapping[str, JsonValue]) -> Iterator[Fact]:
    said = {key: value for key, value in values.items() if key not in _ELSEWHERE}
    every = [*flat(said)]
    for key, value in every[:_MOST_VALUES]:
        yield _NAMES.get(key, key), _cut(_shown(value))
    if len(every) > _MOST_VALUES:
        yield "and", f"{len(every) - _MOST_VALUES} more values"


_NAMES = {"cmd": "command", "wdir": "folder"}


def _shown(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(map(_shown, value))
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
