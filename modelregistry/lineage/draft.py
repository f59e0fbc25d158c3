"""A lineage in the making: its nodes and edges, and what is still to be looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modelregistry.lineage.node import Edge, Node

MOST_NODES = 20_000
"""Of one lineage; what comes after is left out, and a note says so."""


class Draft:
    """Nodes by their ids, edges, and a queue of what will add more of them.

    Attributes:
        nodes: What was found, the model first.
        edges: By what was made and from what, in their order; some may lead to nodes that were left out.
        is_full: Whether nodes were left out.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        self.is_full = False
        self._queue: deque[Callable[[], None]] = deque()
        self._asked: set[str] = set()
        self._places: dict[str, str] = {}

    def ask(self, id_: str, work: Callable[[], None]) -> str | None:
        """Have ``work`` add the node, unless that is done; None where there are too many."""
        if id_ not in self._asked:
            if len(self._asked) >= MOST_NODES:
                self.is_full = True
                return None
            self._asked.add(id_)
            self._queue.append(work)
        return id_

    def is_asked(self, id_: str) -> bool:
        """Whether the node is there, or will be."""
        return id_ in self._asked or id_ in self.nodes

    def later(self, work: Callable[[], None]) -> None:
        """Do ``work`` after what is to be done already."""
        self._queue.append(work)

    def drain(self) -> None:
        """Do all that is to be done, and what comes of it."""
        while self._queue:
            self._queue.popleft()()

    def link(self, made: str, source: str | None) -> None:
        """One was made from the other."""
        if source is not None and source != made and (made, source) not in self.edges:
            self.edges[made, source] = Edge(made, source)

    def mark(self, id_: str, **facts: Any) -> None:
        """Change what a node says."""
        self.nodes[id_] = replace(self.nodes[id_], **facts)

    def place(self, name: str, rev: str) -> str:
        """The name, with the commit where the same name stands for another one already."""
        return name if self._places.setdefault(name, rev) == rev else f"{name}@{rev[:10]}"
