"""One repository at one commit, as a lineage meets it: what is recorded there, and the versions that are registered of it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from modelregistry.errors import GitError
from modelregistry.lineage.sources import Source
from modelregistry.log.events import Registered
from modelregistry.log.tags import parse, tag_prefix
from modelregistry.names import version_key
from modelregistry.project.dvcfiles import resolve
from modelregistry.project.records import Records
from modelregistry.project.staleness import Judge
from modelregistry.urlsecrets import public_url

Look = Callable[[str, str], Registered | None]
"""Gives the registration of a model's version; None where there is none."""


def nothing_registered(model: str, version: str) -> None:
    """That of a repository without a registry."""
    del model, version


class Project:
    """One repository at one commit.

    Args:
        source: The repository.
        records: What is recorded at the commit.
        place: What tells its nodes from those of others; ``""`` for the version's own commit.
        own: Of the registry's own repository, looks up its versions.
    """

    def __init__(self, source: Source, records: Records, place: str = "", *, own: Look | None = None) -> None:
        self.source = source
        self.records = records
        self.judge = Judge(records)
        self.snapshot = records.snapshot
        self.place = place
        self.own = own
        self.url = public_url(source.url) if own is None and source.url is not None else None

    def id(self, what: str, name: str) -> str:
        """The id of the node for something in it."""
        return f"{what}:{self.place}{name}"

    @cached_property
    def artifacts(self) -> Mapping[str, tuple[str, str | None]]:
        """The path of each model, and its type."""
        found = {}
        for file, pipeline in self.records.pipelines.items():
            folder = posixpath.dirname(file)
            for name, (path, kind) in pipeline.artifacts.items():
                place = resolve(file, path)
                if place is not None:
                    found[f"{folder}:{name}" if folder else name] = (place, kind)
        return found

    @cached_property
    def _models(self) -> Mapping[str, tuple[str, str | None]]:
        """The model at each path, and its type."""
        return {path: (model, kind) for model, (path, kind) in self.artifacts.items()}

    def version_at(self, path: str) -> tuple[Registered | None, str | None]:
        """The version that was registered of a path at this very commit, and its type; None where none was."""
        model, kind = self._models.get(path, (None, None))
        if model is None:
            return None, None
        rev = self.snapshot.rev
        events = [event for event in self._registrations(model) if rev in (event.rev, event.source_rev)]
        return (max(events, key=lambda event: version_key(event.version)), kind) if events else (None, None)

    def registered(self, model: str, version: str) -> Registered | None:
        """The registration of a version of this repository's registry."""
        if self.own is not None:
            return self.own(model, version)
        events = (event for event in self._registrations(model) if event.version == version)
        return next(events, None)

    def _registrations(self, model: str) -> Iterator[Registered]:
        pattern = f"{tag_prefix(model)}@*"
        try:
            tags = list(self.source.repo.tags(pattern))
        except GitError:
            tags = list(self.source.repo.tags_carefully(pattern))
        for event in map(parse, tags):
            if isinstance(event, Registered) and event.model == model:
                yield event
