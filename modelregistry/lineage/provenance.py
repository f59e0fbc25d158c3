"""The lineages of the versions of one registry: built when they are asked for, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from modelregistry.collector import paused
from modelregistry.errors import PathNotFoundError
from modelregistry.git.repo import GitRepo
from modelregistry.lineage.codechanges import compare
from modelregistry.lineage.declared import Found
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.project import Look, Project, nothing_registered
from modelregistry.lineage.sources import Failures, Source, Sources
from modelregistry.lineage.tracing import Tracer
from modelregistry.project.declarations import declaring_file, short_name
from modelregistry.project.documents import Documents, Recent
from modelregistry.project.records import Cached, Records, nothing_cached
from modelregistry.project.snapshot import Snapshot
from modelregistry.version import ModelVersion

_MOST_KNOWN = 100_000
"""Nodes of lineages that are remembered: a kilobyte each."""


class Provenance:
    """Tells how the versions of one registry came to be.

    Args:
        repo: Its repository.
        home: A folder of ours: parsed files and copies of other repositories are kept below it.
        url: Where the repository is, if it is itself a copy.
        cached: Finds bytes in the caches on this machine, as a ``Storage`` does.
        offline: Whether to do without the network.
        registered: Looks up the versions of the registry.
    """

    def __init__(
        self,
        repo: GitRepo,
        *,
        home: Path,
        url: str | None = None,
        cached: Callable[..., Path | None] | None = None,
        offline: bool = False,
        registered: Look = nothing_registered,
    ) -> None:
        self._registered = registered
        self._source = Source(repo, url)
        self._mirrors = home / "mirrors"
        self._failures = Failures()
        self._cached = cached
        self._offline = offline
        self._documents = Documents(home / "documents")
        self._known = Recent(_MOST_KNOWN)

    def of(self, version: ModelVersion, path: Callable[[], str]) -> Lineage:
        """The lineage of a version; remembered, where everything could be had.

        Args:
            version: The version.
            path: Tells where its artifact is, from the Git root, or why that can't be told; asked where the ``dvc.yaml`` that
                declares it does not plainly say so.

        Raises:
            RevisionNotFoundError: Its commit is not here.
            GitError: It can't be read.
        """
        found: Lineage | None = self._known.get(version)
        if found is None:
            with paused():  # nearly all that is made is there to stay
                found = self._build(version, path)
                if not any(node.may_change for node in found):
                    self._known.put(version, found, len(found))
        return found

    def _build(self, version: ModelVersion, ask: Callable[[], str]) -> Lineage:
        file = declaring_file(version.name)
        snapshot = Snapshot(self._source.repo, version.rev, self._documents, beside=[version.source_rev])
        cached: Cached = nothing_cached
        if self._cached is not None:
            cached = partial(self._cached, rev=version.rev)
        sources = Sources(self._mirrors, self._failures, offline=self._offline)
        with snapshot.repo.reading():
            own = Project(self._source, Records(snapshot, cached=cached), own=self._registered)
            path = own.records.declared(file, short_name(version.name)) or ask()
            own.records.prepare([path, *own.records.shown(file)], measured=path)
            tracer = Tracer(own, sources, self._documents, lambda address, _: cached(address, ""))
            tracer.trace(version, path, file)
        return tracer.lineage(partial(compare, self._source.repo))

    def identify(self, rev: str, path: str) -> Found:
        """The digest and the size of what a commit has at a path, in Git or tracked by DVC, as far as it says that.

        Raises:
            PathNotFoundError: It has nothing there.
            GitError: It can't be read.
        """
        snapshot = Snapshot(self._source.repo, rev, self._documents)
        with snapshot.repo.reading():
            records = Records(
                snapshot, cached=partial(self._cached, rev=rev) if self._cached else nothing_cached
            )
            records.prepare([path])
            found = records.find(path)
            if found.exact:
                made = found.exact[0]
                if made.md5 is not None:
                    return f"md5:{made.md5}", made.out.size
            oid = snapshot.oid(path)
            if oid is not None:
                blob = snapshot.repo.read([oid], limit=0)[0] if snapshot.is_file(path) else None
                return f"git:{oid}", blob.size if blob is not None else None
            if found.container is not None:
                listing = records.listing(found.container)
                md5 = (listing or {}).get(path[len(found.container.path) + 1 :])
                if listing is None or md5 is not None or _is_folder_of(listing, path, found.container.path):
                    return (f"md5:{md5}" if md5 is not None else None), None
            if found.exact or found.below:
                return None, None
        raise PathNotFoundError(
            f"{path!r} is not in commit {rev[:10]}, neither in Git nor as something that DVC tracks: commit it, or its "
            "'.dvc' file, or give the URL of what is elsewhere"
        )


def _is_folder_of(listing: Iterable[str], path: str, container: str) -> bool:
    inner = f"{path[len(container) + 1 :]}/"
    return any(name.startswith(inner) for name in listing)
