"""Several registries, read as one: to search, to ask what was made from something, and for a site."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from modelregistry.display.shown import Shown
from modelregistry.display.tables import MOST_ROWS, Rows, more_than
from modelregistry.display.view import Table, View
from modelregistry.errors import InvalidInputError, naming
from modelregistry.names import version_key
from modelregistry.progress import Progress
from modelregistry.registry import Registry
from modelregistry.registry.reading import impact_in, warn_of
from modelregistry.urlsecrets import without_secrets
from modelregistry.version import ModelVersion

if TYPE_CHECKING:
    from modelregistry.lineage.impact import Affected
    from modelregistry.search.question import OneOf, When
    from modelregistry.site.writer import Site


class Wishes(TypedDict, total=False):
    """The keyword arguments of ``Registry.search``."""

    name: OneOf
    stage: OneOf
    state: OneOf
    type: OneOf
    label: OneOf
    author: OneOf
    digest: OneOf
    made_from: OneOf
    since: When
    until: When


@dataclass(frozen=True, slots=True, repr=False)
class Hit(Shown):
    """A version that was found, and where."""

    registry: str
    """The name of its registry."""
    version: ModelVersion
    values: Mapping[str, Any] = field(hash=False)
    """What it has for all that the question speaks of."""


class Hits(Rows[Hit]):
    """What a search of several registries found.

    Attributes:
        total: How many there are, with those that ``limit`` left out.
        unread: Versions of which something could not be read, by registry and reference, and why.
    """

    def __init__(self, hits: Iterable[Hit], *, total: int, unread: Mapping[tuple[str, str], str]) -> None:
        rows = tuple(hits)
        names = dict.fromkeys(name for row in rows for name in row.values)
        columns: dict[str, Callable[[Hit], object]] = {"registry": lambda row: row.registry}
        super().__init__(rows, columns | {name: _value(name) for name in names})
        self.total = total
        self.unread = dict(unread)

    def _left_out(self) -> list[str]:
        lines = super()._left_out()
        if self.total > len(self):
            lines.append(f"({self.total - len(self):,} more were found, and are beyond the limit)")
        if self.unread:
            lines.append(f"({len(self.unread):,} versions could not be read whole: see .unread)")
        return lines


class Catalog(Shown):
    """Several registries, read as one.

    Args:
        registries: Git URLs, paths or ``Registry`` objects; a mapping says what each is called, else that is the last part
            of its address, or all of it where two have the same.
        progress: Who is told while URLs are cloned, as ``Registry`` takes it.

    Raises:
        InvalidInputError: There is none, or one that can't be opened.
        RepositoryNotFoundError: No Git repository at one of the paths.
        GitError: A URL could not be cloned.
    """

    def __init__(
        self,
        registries: Mapping[str, str | os.PathLike[str] | Registry]
        | Iterable[str | os.PathLike[str] | Registry],
        *,
        progress: Progress = None,
    ) -> None:
        if isinstance(registries, str | os.PathLike | Registry):
            raise InvalidInputError(
                f"a catalog is made of several registries, and {without_secrets(repr(registries))} is one: put it into a list"
            )
        if isinstance(registries, bytes) or not isinstance(registries, Iterable):
            raise InvalidInputError(f"registries={registries!r} must be a list or a mapping of registries")
        if isinstance(registries, Mapping):
            if odd := [name for name in registries if not isinstance(name, str) or not name.strip()]:
                raise InvalidInputError(
                    f"a registry that is called {odd[0]!r}: its name must be a text that says something"
                )
            self._registries = {}
            for name, each in registries.items():
                with naming(name):
                    self._registries[name] = _open(each, progress)
        else:
            self._registries = _named([_open(each, progress) for each in registries])
        if not self._registries:
            raise InvalidInputError("a catalog of no registry: name at least one")

    def _line(self) -> str:
        return f"Catalog({', '.join(map(repr, self._registries))})"

    def _view(self) -> View:
        rows = [(name, without_secrets(os.fspath(each.target))) for name, each in self._registries.items()]
        return View("Catalogue", blocks=[Table(("registry", "at"), rows[:MOST_ROWS], more_than(rows))])

    @property
    def registries(self) -> Mapping[str, Registry]:
        """The registries, by what they are called."""
        return dict(self._registries)

    def search(
        self,
        query: str | None = None,
        *,
        sort: OneOf = None,
        limit: int | None = None,
        **wishes: Unpack[Wishes],
    ) -> Hits:
        """The versions of all registries for which all of this holds, as ``Registry.search`` finds them.

        Args:
            query: An expression.
            sort: A field to sort by, or several: ``"-metrics.auc"`` puts the greatest first. What has none comes last.
            limit: How many at most.
            **wishes: What else ``Registry.search`` takes.

        Raises:
            QueryError: The expression can't be read, or has a field that there is not; it shows where.
            InvalidInputError: Another argument that can't be.
        """
        from modelregistry.search.question import Question
        from modelregistry.search.search import order_of

        question = Question.of(query, sort=sort, limit=limit, **wishes)
        hits: list[Hit] = []
        unread: dict[tuple[str, str], str] = {}
        total = 0
        for name, registry in self._registries.items():
            with naming(name):
                found = registry._found(question)
            total += found.total
            unread |= {(name, reference): why for reference, why in found.unread.items()}
            hits += [Hit(name, each, values) for each, values in zip(found, found.to_dicts(), strict=True)]
        hits.sort(key=lambda hit: version_key(hit.version.version), reverse=True)
        hits.sort(key=lambda hit: hit.version.name)
        for key in reversed(question.sort):
            order = order_of(key)
            hits.sort(key=lambda hit, order=order: order(hit.values)[1:], reverse=key.is_descending)  # type: ignore[misc]
            hits.sort(key=lambda hit, order=order: order(hit.values)[:2])  # type: ignore[misc]
        warn_of({f"{reference} in {name}": why for (name, reference), why in unread.items()})
        return Hits(hits[:limit], total=total, unread=unread)

    def impact(self, what: str | ModelVersion, *, progress: Progress = None) -> Rows[Affected]:
        """Every version of all registries that was made from something, those that hold a stage first, and where it is.

        Args:
            what: As ``Registry.impact`` takes it.
            progress: As ``Registry.impact`` takes it.

        Raises:
            InvalidInputError: ``what`` is empty.
        """
        return impact_in(self._registries.items(), what, progress)

    def export_site(
        self, target: str | os.PathLike[str], *, title: str = "Model registries", progress: Progress = None
    ) -> Site:
        """Write one static site of all registries, as ``Registry.export_site`` does of one.

        Args:
            target: A folder: empty, new, or one that ``export_site`` wrote.
            title: What the site is called.
            progress: As ``Registry.export_site`` takes it.

        Raises:
            InvalidInputError: The folder holds what no export put there.
            ExportError: It can't be written.
            MissingDependencyError: Jinja2 or markdown-it is not installed.
        """
        from modelregistry.site.site import export_site

        sources = [registry._as_source(None, name) for name, registry in self._registries.items()]
        return export_site(target, sources, title=title, progress=progress)


def _open(place: str | os.PathLike[str] | Registry, progress: Progress) -> Registry:
    return place if isinstance(place, Registry) else Registry(place, progress=progress)


def _named(registries: Iterable[Registry]) -> dict[str, Registry]:
    """The registries, each once, by the last parts of their addresses, or by all of it where that is not enough."""
    logs: dict[tuple[str, str], Registry] = {}
    for each in registries:
        logs.setdefault((each._backend.identity, os.fspath(each._repo.common_dir)), each)
    places: dict[str, Registry] = {}
    for each in logs.values():
        place = without_secrets(os.fspath(each.target))
        if place in places:
            raise InvalidInputError(f"{place!r} has two logs: pass a mapping that says what each is called")
        places[place] = each
    short = {place: _last_part(place) for place in places}
    names = [*short.values()]
    return {(name if names.count(name) == 1 else place): places[place] for place, name in short.items()}


def _last_part(place: str) -> str:
    resolved = os.path.abspath(place) if os.path.exists(place) else place
    name = re.split(r"[/\\:]", resolved.rstrip("/\\"))[-1]
    return name.removesuffix(".git") or place


def _value(name: str) -> Callable[[Hit], object]:
    return lambda row: row.values.get(name)
