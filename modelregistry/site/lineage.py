"""What the page of a version shows of its lineage: pictures whose boxes lead somewhere, and the same as a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from modelregistry.display.svg import Links, to_part
from modelregistry.lineage.entries import entries
from modelregistry.lineage.lineage import Lineage, drawing_of
from modelregistry.lineage.node import Node
from modelregistry.site.pages import ModelFacts

_MOST_NODES = 200
_MOST_SOURCES = 12
_OPEN, _LIST = "#lineage-open", "#lineage-list"

Drawn = Callable[[str], Any]
PageOf = Callable[[Node], str | None]
"""Tells the page of the model version that a node is, from the top of the site."""


def version_pages(models: Iterable[ModelFacts]) -> Callable[[ModelFacts], PageOf]:
    """How the nodes in the lineages of each of these models are found among the versions that the site has."""
    pages: dict[tuple[str, str], str] = {}
    for model in models:
        places = {f"/{model.prefix}", *([_address(model.address)] if model.address else [])}
        pages |= {
            (place, version.reference): model.page_of(version.version)
            for version in model.versions for place in places
        }  # fmt: skip

    def of(model: ModelFacts) -> PageOf:
        def page(node: Node) -> str | None:
            place = _address(node.repository) if node.repository else f"/{model.prefix}"
            return pages.get((place, node.version)) if node.version else None

        return page

    return of


def _address(url: str) -> str:
    return url.rstrip("/").removesuffix(".git")


def lineage_shown(lineage: Lineage, page_of: PageOf, root: str, drawn: Drawn) -> dict[str, Any]:
    """The pictures and the list.

    Args:
        lineage: Of the version.
        page_of: Tells the pages of versions.
        root: The way from the page to the top of the site.
        drawn: Makes a picture a part of a page.
    """
    listed = entries(lineage, lineage.edges, most=_MOST_NODES)
    position = {entry.node.id: number for number, entry in enumerate(listed)}
    pages = {
        entry.node.id: f"{root}{page}"
        for entry in listed[1:]  # the first is the model that the page is about
        if (page := page_of(entry.node)) is not None
    }
    links = _links(position, pages)
    title = f"What {lineage.subject.version or lineage.subject.name} was made from"
    closed = drawing_of(lineage)
    folded = any(box.is_folded for box in closed[0])
    opened = drawing_of(lineage, opened=True) if folded else None
    return {
        "picture": drawn(to_part(*closed, title=title, links=links)),
        "opened": drawn(to_part(*opened, title=title, links=links)) if opened else None,
        "total": len(lineage), "left_out": len(lineage) - len(listed),
        "rows": [
            {
                "id": f"n{number}", "name": entry.name, "kind": entry.node.kind, "page": pages.get(entry.node.id),
                "facts": entry.facts, "more": max(len(entry.sources) - _MOST_SOURCES, 0),
                "sources": [(f"#n{each}", listed[each].name) for each in entry.sources[:_MOST_SOURCES]],
            }
            for number, entry in enumerate(listed)
        ],
    }  # fmt: skip


def _links(position: Mapping[str, int], pages: Mapping[str, str]) -> Links:
    def target(ids: Sequence[str]) -> str:
        if len(ids) > 1:
            return _OPEN
        return pages.get(ids[0]) or (f"#n{position[ids[0]]}" if ids[0] in position else _LIST)

    def names(ids: Sequence[str]) -> str:
        return " ".join(str(position[each]) for each in ids if each in position)

    return Links(target, names)


def difference_shown(before: Lineage, after: Lineage, drawn: Drawn) -> Any:
    """A picture of what is other in a lineage; nothing where nothing is."""
    found = before.diff(after)
    title = f"What is other than in {before.subject.version or before.subject.name}: each such box says so"
    return drawn(to_part(*drawing_of(found), title=title)) if found else None
