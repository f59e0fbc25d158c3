"""Which versions were made from something: what `impact` answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows
from modelregistry.errors import InvalidInputError
from modelregistry.lineage.node import Node
from modelregistry.names import INACTIVE, WITHDRAWN, version_key
from modelregistry.version import ModelVersion


@dataclass(frozen=True, slots=True, repr=False)
class Affected(Shown):
    """A version in whose lineage it is."""

    version: ModelVersion
    nodes: tuple[Node, ...]
    """What was found there."""
    registry: str
    """Where the version is registered."""


def sought(what: object) -> tuple[str, ...]:
    """What a lineage is searched for, any of it.

    Raises:
        InvalidInputError: It is no text and no version, or says nothing.
    """
    if isinstance(what, ModelVersion):
        known = what.registered
        return tuple(filter(None, (what.digest, known.address if known is not None else None))) or (
            what.reference,
        )
    if not isinstance(what, str) or not what:
        raise InvalidInputError(
            f"impact of what? {what!r} says nothing: pass a digest, a path, a URL, a reference or a version"
        )
    return (what,)


COLUMNS: Mapping[str, Callable[[Affected], object]] = {
    "version": lambda row: row.version.reference,
    "state": lambda row: row.version.state,
    "found": lambda row: [node.name for node in row.nodes],
    "kind": lambda row: sorted({node.kind for node in row.nodes}),
    "registered": lambda row: row.version.created_at,
    "registry": lambda row: row.registry,
}


def ordered(found: Iterable[Affected]) -> Rows[Affected]:
    """What is in use first: by state, then by model, the newest version first."""
    rows = sorted(found, key=lambda row: version_key(row.version.version), reverse=True)
    rows.sort(key=lambda row: (_urgency(row.version), row.version.name))
    return Rows(rows, COLUMNS)


def _urgency(version: ModelVersion) -> int:
    return {INACTIVE: 1, WITHDRAWN: 2}.get(version.state, 0)
