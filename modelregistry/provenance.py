"""The lineages of the versions of one registry: built when they are asked for, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from modelregistry.codechanges import compare
from modelregistry.documents import Documents
from modelregistry.gitfolders import bound
from modelregistry.gitrepo import GitRepo
from modelregistry.lineage import Lineage
from modelregistry.records import Cached, Records, nothing_cached
from modelregistry.snapshot import Snapshot
from modelregistry.sources import Source, Sources
from modelregistry.tracing import Project, Tracer
from modelregistry.version import ModelVersion

_MOST_KNOWN = 256


class Provenance:
    """Tells how the versions of one registry came to be.

    Args:
        repo: Its repository.
        home: A folder of ours: parsed files and copies of other repositories are kept below it.
        url: Where the repository is, if it is itself a copy.
        cached: Finds bytes in the caches on this machine, as a ``Storage`` does.
        offline: Whether to do without the network.
    """

    def __init__(
        self,
        repo: GitRepo,
        *,
        home: Path,
        url: str | None = None,
        cached: Callable[..., Path | None] | None = None,
        offline: bool = False,
    ) -> None:
        self._source = Source(repo, url)
        self._mirrors = home / "mirrors"
        self._cached = cached
        self._offline = offline
        self._documents = Documents(home / "documents")
        self._known: dict[ModelVersion, Lineage] = {}

    def of(self, version: ModelVersion, path: str, file: str) -> Lineage:
        """The lineage of a version; remembered, where everything could be reached.

        Args:
            version: The version.
            path: Where its artifact is, from the Git root.
            file: The ``dvc.yaml`` that declares it.

        Raises:
            RevisionNotFoundError: Its commit is not here.
            GitError: It can't be read.
        """
        found = self._known.get(version)
        if found is None:
            found = self._build(version, path, file)
            if all(node.status != "unreachable" for node in found):
                self._known[version] = found
                bound(self._known, _MOST_KNOWN)
        return found

    def _build(self, version: ModelVersion, path: str, file: str) -> Lineage:
        snapshot = Snapshot(self._source.repo, version.rev, self._documents, beside=[version.source_rev])
        cached: Cached = nothing_cached
        if self._cached is not None:
            cached = partial(self._cached, rev=version.rev)
        with snapshot.repo.reading():
            own = Project(self._source, Records(snapshot, cached=cached))
            own.records.prepare([path, *own.records.shown(file)], measured=path)
        sources = Sources(self._mirrors, offline=self._offline)
        tracer = Tracer(own, sources, self._documents, lambda address, _: cached(address, ""))
        tracer.trace(version, path, file)
        return tracer.lineage(partial(compare, self._source.repo))
