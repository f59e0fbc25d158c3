"""What a registration declares, as nodes of a lineage: marked as declared, and followed as far as something is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from pydantic import JsonValue

from modelregistry.errors import InvalidReferenceError, RegistryError
from modelregistry.lineage.draft import Draft
from modelregistry.lineage.facts import measured
from modelregistry.lineage.node import DECLARED, Kind, Node
from modelregistry.lineage.project import Project
from modelregistry.log.events import DeclaredInput, DeclaredLineage, Registered
from modelregistry.names import Reference
from modelregistry.project.dvcfiles import Dep, resolve
from modelregistry.urlsecrets import public_url


class File(Protocol):
    """Has the node of a path added, with what it was made from; gives its id."""

    def __call__(self, project: Project, path: str, /) -> str | None:
        """The id; None where there are too many."""


class DeclaredTracer:
    """Adds what is declared to a lineage.

    Args:
        draft: The lineage.
        file: Adds paths.
        at: Gives the repository of a project at the commit of a version of a model.
        outside: Adds what is in no repository.
    """

    def __init__(
        self,
        draft: Draft,
        file: File,
        at: Callable[[Project, str, str], Project],
        outside: Callable[[Dep], str | None],
    ) -> None:
        self._draft = draft
        self._file = file
        self._at = at
        self._outside = outside
        self._added: set[str] = set()

    def add(self, project: Project, made: str, lineage: DeclaredLineage) -> None:
        """Add what a registration of ``project`` says that the node ``made`` was made from."""
        if made in self._added:
            return
        self._added.add(made)
        paths = (resolve("dvc.yaml", each.path) for each in (*lineage.inputs, *lineage.code) if each.path)
        with project.source.repo.reading():
            project.records.prepare(filter(None, paths))
        for kind, items in (("dataset", lineage.inputs), ("code", lineage.code)):
            for each in items:
                self._draft.link(made, self._input(project, each, kind))  # type: ignore[arg-type]
        if lineage.params:
            self._draft.link(made, self._values(project, made, "params", lineage.params))
        if lineage.metrics:
            self._draft.link(self._values(project, made, "metrics", measured(lineage.metrics)), made)

    def _values(self, project: Project, made: str, kind: Kind, values: Mapping[str, JsonValue]) -> str:
        of = "" if made == next(iter(self._draft.nodes)) else made.removeprefix("file:")
        id_ = f"{kind}:{of}{DECLARED}"
        self._draft.nodes[id_] = self._node(project, id_, kind, f"declared {kind}", values=values)
        return id_

    def _input(self, project: Project, each: DeclaredInput, kind: Kind) -> str | None:
        if each.path is not None:
            return self._path(project, each, each.path, kind)
        if each.url is not None:
            return self._url(project, each, public_url(each.url), kind)
        if each.version is not None:
            return self._version(project, each, each.version)
        return self._add(project, each, "declared", kind, each.name or each.digest or "nothing that is named")

    def _add(
        self, project: Project, each: DeclaredInput, what: str, kind: Kind, name: str, note: str | None = None
    ) -> str | None:
        """A node that nothing but the declaration tells of."""
        id_ = project.id(what, name)

        def add() -> None:
            self._draft.nodes[id_] = self._node(
                project, id_, kind, each.name or name, digest=each.digest, size=each.size, note=note,
                version=each.version,
            )  # fmt: skip

        return self._draft.ask(id_, add)

    def _node(
        self, project: Project, id_: str, kind: Kind, name: str, *, digest: str | None = None,
        size: int | None = None, note: str | None = None, version: str | None = None,
        values: Mapping[str, JsonValue] | None = None,
    ) -> Node:  # fmt: skip
        return Node(
            id_, kind, name, repository=project.url, rev=project.snapshot.rev, digest=digest, size=size,
            values=values or {}, status="declared", note=note, version=version,
        )  # fmt: skip

    # -- paths ---------------------------------------------------------------------------------------------

    def _path(self, project: Project, each: DeclaredInput, path: str, kind: Kind) -> str | None:
        place = resolve("dvc.yaml", path)
        if place is None:
            return self._add(project, each, "declared", kind, path, "it leads out of the repository")
        is_new = not self._draft.is_asked(project.id("file", place))
        id_ = self._file(project, place)
        if id_ is not None and is_new:
            self._draft.later(partial(self._declare, id_, each, kind))
        return id_

    def _declare(self, id_: str, each: DeclaredInput, kind: Kind) -> None:
        """Mark what only a declaration leads to; what is recorded of it stays."""
        node = self._draft.nodes[id_]
        in_git = node.digest is None or node.digest.startswith("git:")
        said = each.digest if each.digest != node.digest else None
        odd = said is not None and node.digest is not None and said.startswith(node.digest.partition(":")[0])
        self._draft.mark(
            id_, kind=kind if kind == "code" or (in_git and node.kind == "code") else node.kind,
            status="declared" if node.status == "recorded" else node.status,
            size=each.size if node.size is None else node.size,
            note=f"the registration says that it was {said}" if odd else node.note,
        )  # fmt: skip

    # -- URLs ----------------------------------------------------------------------------------------------

    def _url(self, project: Project, each: DeclaredInput, url: str, kind: Kind) -> str | None:
        if each.rev is not None:
            what: Kind = "code" if kind == "code" else "repository"
            id_ = self._draft.place(f"{what}:{url}", each.rev)
            node = Node(
                id_, what, each.name or url, repository=url, rev=each.rev, digest=each.digest, size=each.size,
                status="declared",
            )  # fmt: skip
            if not self._draft.is_asked(id_):
                self._draft.nodes[id_] = node
            return id_
        if kind == "code":
            return self._add(project, each, "source", kind, url)
        is_new = not self._draft.is_asked(f"source:{url}")
        found = self._outside(Dep(url, size=each.size))
        if found is not None and is_new:
            self._draft.later(
                lambda: self._draft.mark(found, status="declared", digest=each.digest, name=each.name or url)
            )
        return found

    # -- versions ------------------------------------------------------------------------------------------

    def _version(self, project: Project, each: DeclaredInput, reference: str) -> str | None:
        try:
            wanted = Reference.parse(reference)
            registered = project.registered(wanted.model, wanted.version or "")
            if registered is None:
                return self._add(
                    project, each, "version", "model", reference, "no such version is registered"
                )
            there = self._at(project, wanted.model, registered.rev)
            path, _ = there.artifacts.get(wanted.model, (None, None))
            if path is None:
                note = f"{registered.rev[:10]} does not declare {wanted.model!r}, so nothing says where it is"
                return self._add(project, each, "version", "model", reference, note)
            with there.source.repo.reading():
                there.records.prepare([path])
        except (RegistryError, InvalidReferenceError) as error:
            return self._add(project, each, "version", "model", reference, str(error))
        id_ = self._file(there, path)
        if id_ is not None:
            self._draft.later(partial(self._describe, there, id_, registered))
        return id_

    def _describe(self, project: Project, id_: str, registered: Registered) -> None:
        if id_ == next(iter(self._draft.nodes)):
            return  # the very model that is asked about
        node = self._draft.nodes[id_]
        reference = f"{registered.model}@{registered.version}"
        address = registered.address or node.digest
        self._draft.mark(
            id_, kind="model", version=reference, digest=registered.digest or node.digest,
            size=node.size if registered.size is None else registered.size,
            values={**node.values, **({"address": address} if address else {})},
            status="declared" if node.status == "recorded" else node.status,
        )  # fmt: skip
        if registered.lineage is not None:
            self.add(project, id_, registered.lineage)
