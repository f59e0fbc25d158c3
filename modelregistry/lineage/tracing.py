"""The graph of one lineage, built from the model to what made it: in its own repository, and on in others."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from pydantic import JsonValue

from modelregistry.errors import InvalidFileError, RegistryError, RevisionNotFoundError
from modelregistry.lineage import draft as lineagedraft
from modelregistry.lineage.declaredtracing import DeclaredTracer
from modelregistry.lineage.draft import Draft
from modelregistry.lineage.facts import (
    closing_edges,
    commit_values,
    kind_in_git,
    measured,
    public_facts,
    said_sources,
    source_values,
)
from modelregistry.lineage.lineage import Compare, Lineage
from modelregistry.lineage.node import Kind, Node, Status
from modelregistry.lineage.project import Project
from modelregistry.lineage.sources import Source, Sources
from modelregistry.project.documents import Documents, read_document
from modelregistry.project.dvcfiles import Dep, resolve
from modelregistry.project.recorded import Made, StepRecord
from modelregistry.project.records import Cached, Found, Records
from modelregistry.project.snapshot import Snapshot
from modelregistry.urlsecrets import public_url
from modelregistry.version import ModelVersion

MOST_COMMITS = 100
"""That versions which were declared, and those that they were made from, lead to."""
MOST_LISTED = 1_000
"""Files of a folder that its node names."""
_KINDS: Mapping[str, Kind] = {"outs": "artifact", "metrics": "metrics", "plots": "plots"}


@dataclass(frozen=True, slots=True)
class Import:
    """Something that came from another repository."""

    importer: Project
    file: str
    """What says so."""
    node: str
    dep: Dep
    path: str
    """Of it, in the other repository."""
    repository: str
    """The id of the node for that."""


class Tracer:
    """Builds one lineage: from the model to what made it, one repository after another."""

    def __init__(self, own: Project, sources: Sources, documents: Documents, cached: Cached) -> None:
        self._own = own
        # What was imported is in the cache of who imported it.
        self._cached = cached
        self._sources = sources
        self._documents = documents
        self._draft = Draft()
        self._followed: set[str] = set()
        self._imports: list[Import] = []
        self._imported: list[tuple[Import, Project, str]] = []
        self._projects: dict[tuple[Source, str], Project] = {}
        self._deps: dict[str, Dep] = {}

    @cached_property
    def _declared(self) -> DeclaredTracer:
        # Most need none, and are forgotten at once: with it, they hold themselves until they are collected.
        return DeclaredTracer(self._draft, self._file, self._at, lambda dep: self._outside(self._own, dep))

    def lineage(self, ask: Compare) -> Lineage:
        """What was found."""
        nodes = self._draft.nodes
        edges = [edge for edge in self._draft.edges.values() if edge.made in nodes and edge.source in nodes]
        closing = closing_edges(next(iter(nodes)), edges)
        for edge in closing:
            note = f"it needs {nodes[edge.source].name!r}, which was made from it: DVC refuses that"
            self._draft.mark(edge.made, status="unread", note=note)
        for wanted, project, origin in self._imported:
            if {wanted.node, origin} <= nodes.keys():
                self._compare(wanted, project, origin)
        left_out = set(closing)
        return Lineage(
            nodes.values(),
            [edge for edge in edges if edge not in left_out] if left_out else edges,
            self._notes(),
            compare=ask,
        )

    def _notes(self) -> list[str]:
        notes = [
            f"{project.url}: {why}" if project.url is not None else why
            for project in [self._own, *self._projects.values()]
            for why in project.records.unread.values()
        ]
        if self._draft.is_full:
            notes.append(f"it has more than {lineagedraft.MOST_NODES:,} nodes: what comes after is left out")
        return notes

    # -- the registry's own repository ---------------------------------------------------------------------

    def trace(self, version: ModelVersion, path: str, file: str) -> None:
        """Find how the version at ``path``, which was prepared, and which ``file`` declares, came to be."""
        subject = self._file(self._own, path)
        assert subject is not None
        self._draft.drain()
        self._describe(subject, version, path)
        self._add_measured(path, subject)
        self._draft.drain()
        self._add_listed(file, subject)
        if version.registered is not None and version.registered.lineage is not None:
            self._declared.add(self._own, subject, version.registered.lineage)
        self._draft.drain()
        self._follow_imports()
        self._add_said(version, subject)
        self._add_run(version, subject)

    def _describe(self, subject: str, version: ModelVersion, path: str) -> None:
        node = self._draft.nodes[subject]
        address = version.registered.address if version.registered is not None else None
        values: dict[str, JsonValue] = {"address": address or node.digest, "origin": _origin(version)}
        self._draft.nodes[subject] = replace(
            node, kind="model", path=path, digest=version.digest or node.digest or address,
            size=node.size if version.size is None else version.size,
            values={**node.values, **{key: value for key, value in values.items() if value}},
            version=version.reference,
        )  # fmt: skip

    def _add_said(self, version: ModelVersion, subject: str) -> None:
        """What was said of it at registration, where it was made elsewhere."""
        if version.registered is not None:
            for said in said_sources(version.registered.metadata):
                self._draft.link(subject, self._outside(self._own, Dep(said)))
            self._draft.drain()

    def _add_run(self, version: ModelVersion, subject: str) -> None:
        data = self._own.snapshot.beside(version.source_rev)
        values = commit_values(data) if data is not None else {}
        if version.environment:
            values["environment"] = dict(version.environment)
        # Who is told of everything else first sees the commit last.
        self._draft.nodes["run"] = Node(
            "run", "run", version.source_rev[:10], rev=version.source_rev, values=values
        )
        self._draft.link(subject, "run")

    def _add_measured(self, path: str, subject: str) -> None:
        """Metrics and plots of the model, by steps that took it and made nothing that it was made from."""
        for step in self._own.records.measuring(path):
            if self._own.id("step", f"{step.file}:{step.name}") in self._draft.nodes:
                continue
            verdict = self._own.judge.verdict(step)
            for made in step.outs:
                id_ = self._own.id("file", made.path)
                if made.kind == "outs" or id_ in self._draft.nodes:
                    continue
                node = self._recorded(self._own, Found((made,)), made.path)
                status: Status = "stale" if verdict.changed else "unread" if step.problem else "recorded"
                said = [f"measured by {step.address!r}", *([verdict.text] if verdict.text else ())]
                self._draft.nodes[id_] = replace(node, status=status, note=": ".join(said))
                self._draft.link(id_, subject)

    def _add_listed(self, file: str, subject: str) -> None:
        """What the declaring ``dvc.yaml`` lists apart from its steps, as DVCLive does."""
        own = self._own
        for path, kind in own.records.shown(file).items():
            id_ = own.id("file", path)
            found = own.records.find(path)
            if id_ in self._draft.nodes or any(made.step for made in found.all):
                continue  # that of a step which is on the way, or of one that is not
            if not found.all and own.snapshot.oid(path) is None:
                continue
            node = replace(self._path(own, found, path), kind=_KINDS[kind])
            self._draft.nodes[id_] = self._valued(own, node, found.exact)
            self._draft.link(id_, "run")
        if any(made == subject and source.startswith("step:") for made, source in self._draft.edges):
            return
        for name in own.records.pipelines[file].params if file in own.records.pipelines else ():
            place = resolve(file, name)
            if place is None or not own.snapshot.is_file(place):
                continue
            values: Mapping[str, JsonValue] = {}
            note = None
            try:
                document = own.snapshot.document(place)
                values = document if isinstance(document, dict) else {}
            except InvalidFileError as error:
                note = str(error)
            id_ = own.id("params", place)
            self._draft.nodes[id_] = Node(
                id_, "params", place, rev=own.snapshot.rev, path=place, values=values,
                status="unread" if note else "recorded", note=note,
            )  # fmt: skip
            self._draft.link(subject, id_)

    # -- the walk ------------------------------------------------------------------------------------------

    def _file(self, project: Project, path: str, dep: Dep | None = None, *, whole: bool = True) -> str | None:
        """The node of a file or folder; of one that was imported, with what it was imported from if ``whole``."""
        id_ = project.id("file", path)
        if dep is not None:
            self._deps.setdefault(id_, dep)
        asked = self._draft.ask(id_, partial(self._add_file, project, id_, path))
        if asked is not None and whole and id_ not in self._followed:
            self._followed.add(id_)
            self._draft.later(partial(self._follow, project, id_, path))
        return asked

    def _add_file(self, project: Project, id_: str, path: str) -> None:
        found = project.records.find(path)
        self._draft.nodes[id_] = self._named(project, self._path(project, found, path))
        for made in found.exact:
            if made.step is not None:
                self._draft.link(id_, self._step(project, made.step))
        if found.container is not None:
            self._draft.link(id_, self._file(project, found.container.path, whole=False))
        for made in found.below:
            self._draft.link(id_, self._file(project, made.path))

    def _path(self, project: Project, found: Found, path: str) -> Node:
        if found.exact:
            return self._recorded(project, found, path)
        if found.container is not None:
            return self._inside(project, found.container, path)
        return self._holding(project, found.below, path) if found.below else self._in_git(project, path)

    def _named(self, project: Project, node: Node) -> Node:
        """With the version that it is in its own repository, where that is another one, and what that declares."""
        if not project.place or node.path is None:
            return node
        try:
            version, kind = project.version_at(node.path)
        except RegistryError as error:
            return replace(node, note=f"its version can't be told: {error}")
        if version is not None and version.lineage is not None:
            self._draft.later(partial(self._declared.add, project, node.id, version.lineage))
        reference = f"{version.model}@{version.version}" if version is not None else None
        return replace(node, version=reference, kind="model" if kind == "model" else node.kind)

    # -- nodes of bytes ------------------------------------------------------------------------------------

    def _recorded(self, project: Project, found: Found, path: str) -> Node:
        """What is recorded of the very path."""
        made = found.exact[0]
        kind: Kind = _KINDS[made.kind] if made.step is not None else "dataset"
        digest = f"md5:{made.md5}" if made.md5 is not None else None
        size = made.out.size
        if digest is None and project.snapshot.is_file(path):
            digest = f"git:{project.snapshot.oid(path)}"
        status: Status = "recorded"
        note = None
        if len(found.exact) > 1:
            makers = sorted({repr(each.step.address if each.step else each.file) for each in found.exact})
            status, note = "unread", f"{' and '.join(makers)} both say that they make it: DVC refuses that"
        node = self._node(project, path, kind, digest=digest, size=size, status=status, note=note)
        return self._valued(project, node, found.exact) if kind == "metrics" else node

    def _node(
        self, project: Project, path: str, kind: Kind, *, digest: str | None = None, size: int | None = None,
        status: Status = "recorded", note: str | None = None, values: Mapping[str, JsonValue] | None = None,
    ) -> Node:  # fmt: skip
        return Node(
            project.id("file", path), kind, path, repository=project.url, rev=project.snapshot.rev, path=path,
            digest=digest, size=size, status=status, note=note, values=values or {},
        )  # fmt: skip

    def _inside(self, project: Project, container: Made, path: str) -> Node:
        """A path in a folder that is recorded as a whole."""
        listing = project.records.listing(container)
        md5 = listing.get(path[len(container.path) + 1 :]) if listing is not None else None
        dep = self._deps.get(project.id("file", path))
        if md5 is None and dep is not None:
            md5 = dep.md5
        kind: Kind = "artifact" if container.step is not None else "dataset"
        return self._node(
            project, path, kind, digest=f"md5:{md5}" if md5 is not None else None,
            size=dep.size if dep is not None else None, note=f"in {container.path!r}",
        )  # fmt: skip

    def _holding(self, project: Project, below: Sequence[Made], path: str) -> Node:
        """A folder that is not recorded itself, and has what is."""
        dep = self._deps.get(project.id("file", path))
        kind: Kind = "artifact" if any(made.step is not None for made in below) else "dataset"
        return self._node(
            project, path, kind, digest=f"md5:{dep.md5}" if dep is not None and dep.md5 is not None else None,
            size=dep.size if dep is not None else None,
        )  # fmt: skip

    def _in_git(self, project: Project, path: str) -> Node:
        """What DVC does not track: in Git, in a submodule, or nowhere."""
        snapshot = project.snapshot
        if snapshot.is_folder(path):
            return self._folder(project, path)
        kind = kind_in_git([path])
        if snapshot.is_file(path):
            here = (f"git:{snapshot.oid(path)}", self._size(project, path))
            digest, size = snapshot.pointer(path) or here
            return self._node(project, path, kind, digest=digest, size=size)
        if (submodule := snapshot.submodule(path)) is not None:
            note = f"it is in the submodule {submodule[0]!r} at {submodule[1][:10]}, which is not read"
            return self._node(project, path, kind, status="unread", note=note)
        dep = self._deps.get(project.id("file", path))
        return self._node(  # what nobody keeps is sooner data than code
            project, path, "dataset", digest=f"md5:{dep.md5}" if dep is not None and dep.md5 else None,
            size=dep.size if dep is not None else None,
            note="the commit does not have it, neither in Git nor as something that DVC tracks",
        )  # fmt: skip

    def _size(self, project: Project, path: str) -> int | None:
        """The bytes of a file in Git, where that is the same whatever was read before."""
        dep = self._deps.get(project.id("file", path))
        if dep is None or dep.md5 is None:
            return None
        return dep.size if project.snapshot.has_agreed(path, dep.md5) else project.snapshot.size(path)

    def _folder(self, project: Project, path: str) -> Node:
        """A folder in Git, which names its files."""
        snapshot = project.snapshot
        paths = snapshot.below(path)
        start = 0 if path == "." else len(path) + 1
        files: dict[str, JsonValue] = {
            each[start:]: f"git:{snapshot.oid(each)}" for each in paths[:MOST_LISTED]
        }
        return self._node(
            project, path, kind_in_git(paths), values={"files": files},
            digest=f"git:{snapshot.oid(path)}",
            note=f"{len(paths) - MOST_LISTED:,} more files" if len(paths) > MOST_LISTED else None,
        )  # fmt: skip

    def _valued(self, project: Project, node: Node, made: Sequence[Made]) -> Node:
        """With the values of a metrics file, from Git or from DVC's cache."""
        if node.kind != "metrics" or node.path is None or project.snapshot.is_folder(node.path):
            return node
        try:
            if project.snapshot.is_file(node.path):
                return replace(node, values=measured(project.snapshot.document(node.path)))
            data = project.records.cached(made[0]) if made else None
            if data is not None:
                return replace(node, values=measured(read_document(data, node.path)))
        except InvalidFileError as error:
            return replace(node, status="unread", note=str(error))
        return replace(
            node, note=node.note or "DVC keeps its values, and they are not in the cache on this machine"
        )

    # -- steps ---------------------------------------------------------------------------------------------

    def _step(self, project: Project, step: StepRecord) -> str | None:
        id_ = project.id("step", f"{step.file}:{step.name}")
        return self._draft.ask(id_, partial(self._add_step, project, step, id_))

    def _add_step(self, project: Project, step: StepRecord, id_: str) -> None:
        verdict = project.judge.verdict(step)
        commands = step.commands
        values: dict[str, JsonValue] = {"cmd": commands[0] if len(commands) == 1 else list(commands)}
        if (folder := step.folder) and folder != ".":
            values["wdir"] = folder
        if step.planned is not None and step.planned.frozen:
            values["frozen"] = True
        status: Status = "unread" if step.problem else "stale" if verdict.changed else "recorded"
        self._draft.nodes[id_] = Node(
            id_, "step", step.address, repository=project.url, rev=project.snapshot.rev, path=step.file,
            values=values, status=status, note=verdict.text,
        )  # fmt: skip
        for dep in step.deps:
            place = step.place(dep.path) if dep.path else None
            self._draft.link(id_, self._input(project, step.file, dep, place))
        for file, recorded in step.recorded.params.items() if step.recorded is not None else ():
            self._draft.link(id_, self._add_params(project, step, file, recorded))
        for made in step.outs:
            if made.kind != "outs":
                self._file(project, made.path)

    def _add_params(self, project: Project, step: StepRecord, file: str, recorded: object) -> str:
        place = step.place(file)
        id_ = project.id("params", f"{step.file}:{step.name}:{place or file}")
        self._draft.nodes[id_] = Node(
            id_, "params", place or file, repository=project.url, rev=project.snapshot.rev, path=place,
            values=recorded if isinstance(recorded, dict) else {},
        )  # fmt: skip
        if place is not None and project.records.find(place).all:
            self._draft.link(id_, self._file(project, place))
        return id_

    def _input(self, project: Project, file: str, dep: Dep, place: str | None) -> str | None:
        """The node of a dependency that ``file`` records."""
        if dep.path.startswith("ds://"):
            return self._dataset(project, file, dep)
        return self._file(project, place, dep) if place is not None else self._outside(project, dep)

    def _outside(self, project: Project, dep: Dep) -> str | None:
        """A source that is neither in Git nor tracked: a URL, a path elsewhere, a database."""
        values = source_values(dep)
        name = (
            public_url(dep.path) if dep.path else f"a database: {values.get('query') or values.get('table')}"
        )
        # A URL is the same thing wherever it is named; a path is not.
        id_ = f"source:{name}" if "://" in name else project.id("source", name)
        digest = f"md5:{dep.md5}" if dep.md5 is not None else None
        node = Node(id_, "source", name, digest=digest, size=dep.size, values=values)

        def add() -> None:
            self._draft.nodes[id_] = node

        return self._draft.ask(id_, add)

    def _dataset(self, project: Project, file: str, dep: Dep) -> str | None:
        """One of the datasets that a ``dvc.yaml`` names, and where it is from."""
        id_ = project.id("dataset", dep.path)
        facts = public_facts(dict(dep.facts))
        values = facts if isinstance(facts, dict) else {}
        node = Node(id_, "dataset", dep.path, repository=project.url, rev=project.snapshot.rev, values=values)

        def add() -> None:
            self._draft.nodes[id_] = node
            url, rev_lock, path = (dep.facts.get(key) for key in ("url", "rev_lock", "path"))
            if isinstance(url, str) and isinstance(rev_lock, str):
                came = Dep(path if isinstance(path, str) else ".", url=url, rev_lock=rev_lock)
                self._import(project, file, id_, came, "")
            elif isinstance(url, str):
                self._draft.link(id_, self._outside(project, Dep(url)))

        return self._draft.ask(id_, add)

    # -- other repositories --------------------------------------------------------------------------------

    def _follow(self, project: Project, id_: str, path: str) -> None:
        """From what a ``*.dvc`` file tracks, or what is in it, to what that was imported from."""
        found = project.records.find(path)
        for made in found.exact or ((found.container,) if found.container is not None else ()):
            inner = path[len(made.path) + 1 :]
            for dep in made.tracked.deps if made.tracked is not None else ():
                if dep.url is not None:
                    self._import(project, made.file, id_, dep, inner)
                elif not inner:
                    assert made.tracked is not None
                    place = resolve(made.file, made.tracked.wdir, dep.path) if dep.path else None
                    self._draft.link(id_, self._input(project, made.file, dep, place))
        if found.container is not None and found.container.tracked is not None:
            self._sources_of(project, found.container)

    def _sources_of(self, project: Project, container: Made) -> None:
        """Where a folder came from of which only a part is looked at: named, and not followed."""
        id_ = project.id("file", container.path)
        for dep in container.tracked.deps if container.tracked is not None else ():
            if dep.url is not None:
                self._draft.link(id_, self._repository(project, dep))
            elif dep.path or dep.facts:
                self._draft.link(id_, self._outside(project, dep))

    def _repository(self, project: Project, dep: Dep) -> str:
        """The node of the repository that something was imported from."""
        url = public_url(dep.url or "")
        id_ = self._draft.place(f"repository:{url}", dep.rev_lock or "")
        if id_ not in self._draft.nodes:
            self._draft.nodes[id_] = Node(
                id_, "repository", url, repository=url, rev=dep.rev_lock,
                values={"rev": dep.rev} if dep.rev else {},
            )  # fmt: skip
        return id_

    def _import(self, project: Project, file: str, id_: str, dep: Dep, inner: str) -> None:
        repository = self._repository(project, dep)
        self._draft.link(id_, repository)
        path = posixpath.normpath(posixpath.join(dep.path.lstrip("/") or ".", inner))
        self._imports.append(Import(project, file, id_, dep, path, repository))

    def _follow_imports(self) -> None:
        """Go on in the repositories that things were imported from, until there is nothing more."""
        while self._imports:
            imports, self._imports = self._imports, []
            wanted: dict[tuple[Source, str], list[Import]] = {}
            for each in imports:
                source = self._open(each)
                if source is not None:
                    wanted.setdefault((source, each.dep.rev_lock or ""), []).append(each)
            for (source, rev), found in wanted.items():
                try:
                    project = self._project(source, rev, [each.path for each in found])
                except RegistryError as error:
                    for each in found:
                        self._unreachable(each, error)
                    continue
                for each in found:
                    self._go_on(project, each)
                self._draft.drain()

    def _open(self, wanted: Import) -> Source | None:
        if wanted.path.startswith("../") or wanted.path == "..":
            if wanted.node in self._draft.nodes:
                note = f"it was imported from {wanted.path!r}, which leads out of the repository"
                self._draft.mark(wanted.node, status="unread", note=note)
            return None
        try:
            dep = wanted.dep
            return self._sources.open(dep.url or "", dep.rev_lock or "", wanted.importer.source, wanted.file)
        except RegistryError as error:
            self._unreachable(wanted, error)
            return None

    def _project(self, source: Source, rev: str, paths: Iterable[str]) -> Project:
        """Another repository at a commit, with what tells how these paths came to be."""
        project = self._projects.get((source, rev))
        if project is not None:
            with source.repo.reading():
                project.records.prepare(paths)
            return project
        records = self._records(source, rev, paths)
        place = self._draft.place(public_url(source.url or ""), rev)
        project = self._projects[source, rev] = Project(source, records, f"{place}!")
        return project

    def _records(self, source: Source, rev: str, paths: Iterable[str]) -> Records:
        snapshot = Snapshot(source.repo, rev, self._documents)
        with snapshot.repo.reading():
            records = Records(snapshot, cached=self._cached)
            records.prepare(paths)
        return records

    def _at(self, project: Project, model: str, rev: str) -> Project:
        """The repository of a project at the commit of another version."""
        found = self._projects.get((project.source, rev))
        if rev == project.snapshot.rev or found is not None:
            return found or project
        if len(self._projects) >= MOST_COMMITS:
            raise RevisionNotFoundError(
                f"it leads to more than {MOST_COMMITS} commits: {rev[:10]} is not read"
            )
        if not project.source.has(rev, offline=self._sources.offline):
            raise RevisionNotFoundError(f"no commit {rev[:10]} here")
        if project.own is None:
            return self._project(project.source, rev, ())
        place = self._draft.place(f"{model}@", rev)
        found = Project(project.source, self._records(project.source, rev, ()), f"{place}!", own=project.own)
        self._projects[project.source, rev] = found
        return found

    def _unreachable(self, wanted: Import, error: RegistryError) -> None:
        node = self._draft.nodes[wanted.repository]
        if node.status == "recorded":
            self._draft.nodes[node.id] = replace(node, status="unreachable", note=str(error))

    def _compare(self, wanted: Import, project: Project, origin: str) -> None:
        """Say of what was imported what its source says: that it is a model, or that it had other bytes."""
        node, there = self._draft.nodes[wanted.node], self._draft.nodes[origin]
        if there.kind == "model":
            self._draft.mark(node.id, kind="model")
        if node.path is None or node.digest is None or not node.digest.startswith("md5:"):
            return
        md5 = node.digest.removeprefix("md5:")
        legacy = _is_legacy(wanted.importer, node.path)
        same: bool | None = None
        if there.digest is not None and there.digest.startswith("md5:"):
            same = there.digest == node.digest if legacy == _is_legacy(project, wanted.path) else None
        elif project.source.is_here and project.snapshot.is_file(wanted.path):
            same, _ = project.snapshot.is_as_recorded(wanted.path, md5, legacy=legacy)
        if same is False:
            note = (
                f"{wanted.file!r} has another digest than {there.name!r} has in its repository at that commit"
            )
            self._draft.mark(node.id, status="stale", note=note)

    def _go_on(self, project: Project, wanted: Import) -> None:
        origin = self._file(project, wanted.path)
        self._draft.link(wanted.node, origin)
        if origin is None:
            return
        self._imported.append((wanted, project, origin))
        node = self._draft.nodes[wanted.repository]
        if (
            project.url is not None and node.repository != project.url
        ):  # a relative one: now it is known to what
            self._draft.nodes[node.id] = replace(node, repository=project.url)


def _origin(version: ModelVersion) -> JsonValue:
    """The version of another registry that it was imported as, which may be out of reach by now."""
    origin = version.metadata.get("origin")
    if not isinstance(origin, dict) or "version" not in origin:
        return None
    return {key: origin[key] for key in ("url", "registry", "model", "version", "event") if key in origin}


def _is_legacy(project: Project, path: str) -> bool:
    """Whether DVC 2 recorded a path, or the folder that it is in."""
    found = project.records.find(path)
    made = next(iter(found.exact), found.container)
    return made is not None and made.out.legacy
