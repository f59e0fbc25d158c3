"""Which versions were made from something: what `impact` answers with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows
from modelregistry.errors import InvalidInputError
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node
from modelregistry.names import INACTIVE, WITHDRAWN, version_key
from modelregistry.version import ModelVersion

_MD5 = re.compile(r"md5:([0-9a-f]{32})")


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


ReadListing = Callable[[str], bytes | None]
"""What the cache on this machine has for the digest of a folder."""


class Folders:
    """Tells which of the folders that DVC tracks have a file with one of these md5s, by DVC's listings of them.

    Args:
        wanted: What is sought; what is no md5 of a file is passed by.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self._md5s = [b'"%s"' % found[1].encode() for each in wanted if (found := _MD5.fullmatch(each))]
        self._known: dict[str, bool | None] = {}

    def holding(self, lineage: Lineage, read: ReadListing) -> Iterator[str]:
        """The digests of the folders of a lineage that have it, as far as their listings are here."""
        for digest in lineage.folders if self._md5s else ():
            if digest not in self._known:
                listing = read(digest)
                self._known[digest] = None if listing is None else any(md5 in listing for md5 in self._md5s)
            if self._known[digest]:
                yield digest

    @property
    def unlisted(self) -> int:
        """Of how many folders it can't be told."""
        return sum(known is None for known in self._known.values())


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
