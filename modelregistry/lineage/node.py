"""The nodes and edges of a lineage: frozen values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import JsonValue

from modelregistry.display.shown import Shown

Kind = Literal[
    "model",
    "dataset",
    "artifact",
    "code",
    "params",
    "metrics",
    "plots",
    "step",
    "source",
    "repository",
    "run",
]
"""``artifact`` is what a step made for another one; ``source`` a place outside Git, such as a URL."""
Status = Literal["recorded", "stale", "declared", "unreachable", "unread"]
"""``recorded``: DVC recorded it when it ran. ``stale``: the project says otherwise by now, at that very commit.
``declared``: a person said so at registration. ``unreachable``: its repository can't be had. ``unread``: what records it
can't be read."""

KINDS: tuple[Kind, ...] = get_args(Kind)
DECLARED = "/declared"
"""What stands in the id of declared values where others have a path, which never begins so."""


@dataclass(frozen=True, slots=True, repr=False)
class Node(Shown):
    """One thing that a model was made from, or the model."""

    id: str
    """What tells it from the others of one lineage; the same thing has the same one in another lineage, but for its
    bytes and values."""
    kind: Kind
    name: str
    """For people: a path, the name of a step, a URL."""
    repository: str | None = None
    """The URL of the repository it is in, where that is not the registry's own."""
    rev: str | None = None
    """The commit at which it was read."""
    path: str | None = None
    """From the root of the repository."""
    digest: str | None = None
    """Of its bytes, algorithm first: ``md5:…`` as DVC recorded it, ``git:…`` for what lies in Git, ``sha256:…``."""
    size: int | None = None
    """Bytes."""
    values: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    """Of params and metrics, what they were; of a step, ``cmd`` and ``wdir``; of a folder in Git, its ``files``; of the
    model, the ``address`` that DVC has for its bytes, and the ``origin`` in another registry; of a source, ``etag`` and the like."""
    status: Status = "recorded"
    note: str | None = None
    """What is to be said of it: why it is stale, or could not be reached."""
    version: str | None = None
    """The model version it is, as a reference, where its repository is a registry."""

    @property
    def is_recorded(self) -> bool:
        """Whether DVC vouches for it."""
        return self.status == "recorded"

    @property
    def declared(self) -> bool:
        """Whether nothing but what a person said leads to it."""
        return self.status == "declared"

    @property
    def may_change(self) -> bool:
        """Whether it may be told otherwise the next time, though nothing of the model moves: what it is could not be had."""
        is_lost = self.declared and self.version is not None and self.note is not None
        return is_lost or self.status == "unreachable"

    def same_content(self, other: Node) -> bool:
        """Whether two nodes with one id have the same bytes and values."""
        return (self.digest, self.values, self.version) == (other.digest, other.values, other.version)


@dataclass(frozen=True, slots=True, repr=False)
class Edge(Shown):
    """``made`` was made from ``source``."""

    made: str
    source: str


NODE_COLUMNS: Mapping[str, Callable[[Node], object]] = {
    "kind": lambda row: row.kind,
    "name": lambda row: row.name,
    "digest": lambda row: row.digest,
    "version": lambda row: row.version,
    "status": lambda row: row.status,
    "note": lambda row: row.note,
}


def flat(values: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    """The leaves of nested values, by their keys with dots between, as DVC writes them."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def merged(nodes: Iterable[Node]) -> dict[str, JsonValue]:
    """The values of several nodes by their keys with dots; where two nodes say otherwise, with the name of each before."""
    found: dict[str, list[tuple[str, JsonValue]]] = {}
    for node in nodes:
        for key, value in flat(node.values):
            said = found.setdefault(key, [])
            if all(other != value for _, other in said):
                said.append((node.name, value))
    return {
        key if len(said) == 1 else f"{name}:{key}": value
        for key, said in found.items()
        for name, value in said
    }
