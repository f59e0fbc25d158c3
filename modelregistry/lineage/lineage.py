"""What a model was made from, as a graph of values: its questions, its differences and its JSON; nothing is read here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from modelregistry.display import picture, svg
from modelregistry.display.shown import Shown
from modelregistry.display.tables import MOST_ROWS, Rows, Tabular, more_than
from modelregistry.display.view import Note, Table, View
from modelregistry.display.words import lines
from modelregistry.errors import InvalidInputError
from modelregistry.lineage.node import DECLARED, KINDS, NODE_COLUMNS, Edge, Kind, Node, flat, merged
from modelregistry.lineage.picture import FOLD, Drawing, bundle, drawing, with_opened

SCHEMA = 1
"""The version of the JSON that ``to_dict`` gives (docs/reference/lineage-format.md)."""

Opened = bool | str | Iterable[str]
"""Which folded boxes of a picture are open."""
_FACTS = tuple(each.name for each in fields(Node))
_MADE_OF_BYTES = frozenset({"model", "dataset", "artifact", "code", "metrics", "plots"})


@dataclass(frozen=True, slots=True, repr=False)
class FileChange(Shown):
    """What Git says changed in one file: lines, or None where it holds no text."""

    path: str
    added: int | None
    removed: int | None


@dataclass(frozen=True, slots=True, repr=False)
class CodeChanges(Shown):
    """What Git says changed between two commits."""

    files: tuple[FileChange, ...] = ()
    commits: tuple[str, ...] = ()
    """Those of the second that the first has not, newest first: the id, a space, the subject."""


_DIFF_COLUMNS: Mapping[str, Callable[[tuple[str, Node, Node]], object]] = {
    "change": lambda row: row[0],
    "kind": lambda row: row[2].kind,
    "name": lambda row: row[2].name,
    "before": lambda row: row[1].digest if row[0] != "added" else None,
    "after": lambda row: row[2].digest if row[0] != "removed" else None,
}


class Compare(Protocol):
    """How the commits of two lineages are compared."""

    def __call__(self, old: str, new: str, paths: Sequence[str], /) -> CodeChanges:
        """What changed at these paths from one commit to the other."""


class Lineage(Tabular):
    """A model version and everything that is known to have made it: a frozen graph.

    Args:
        nodes: The model first.
        edges: Between nodes that are there.
        notes: What has to be known of the whole, such as what was left out.
        compare: Asks Git what changed between two commits; without it, ``diff`` does not say.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        edges: Iterable[Edge],
        notes: Iterable[str] = (),
        *,
        compare: Compare | None = None,
    ) -> None:
        self._compare = compare
        self._nodes = {node.id: node for node in nodes}
        if not self._nodes:
            raise InvalidInputError("a lineage has at least the node of its model")
        self.edges = tuple({(edge.made, edge.source): edge for edge in edges}.values())
        self.notes = tuple(notes)
        for edge in self.edges:
            if edge.made not in self._nodes or edge.source not in self._nodes:
                raise InvalidInputError(f"an edge without its node: {edge!r}")

    # -- the graph -----------------------------------------------------------------------------------------

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Everything, the model first."""
        return tuple(self._nodes.values())

    @property
    def subject(self) -> Node:
        """The model."""
        return next(iter(self._nodes.values()))

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __contains__(self, node: object) -> bool:
        return (node.id if isinstance(node, Node) else node) in self._nodes

    def __getitem__(self, id: str) -> Node:  # noqa: A002 - the field's name
        return self._nodes[id]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lineage):
            return NotImplemented
        return (self.nodes, self.edges, self.notes) == (other.nodes, other.edges, other.notes)

    def __hash__(self) -> int:
        return hash((tuple(self._nodes), self.edges))

    def _line(self) -> str:
        counts = ", ".join(f"{len(found)} {kind}" for kind in KINDS if (found := self.of_kind(kind)))
        return f"<lineage of {self.subject.name!r}: {counts}>"

    @cached_property
    def _sources(self) -> Mapping[str, Sequence[str]]:
        return _neighbours((edge.made, edge.source) for edge in self.edges)

    @cached_property
    def _products(self) -> Mapping[str, Sequence[str]]:
        return _neighbours((edge.source, edge.made) for edge in self.edges)

    # -- questions -----------------------------------------------------------------------------------------

    def of_kind(self, *kinds: Kind) -> tuple[Node, ...]:
        """The nodes of these kinds."""
        return tuple(node for node in self if node.kind in kinds)

    @property
    def datasets(self) -> tuple[Node, ...]:
        """The data that no step of the pipeline made."""
        return self.of_kind("dataset")

    @property
    def code(self) -> tuple[Node, ...]:
        """The files and folders in Git that steps depend on."""
        return self.of_kind("code")

    @property
    def params(self) -> tuple[Node, ...]:
        """The parameters as they were when the steps ran: a node for each step and file."""
        return self.of_kind("params")

    @property
    def metrics(self) -> tuple[Node, ...]:
        """The metrics files, with their values."""
        return self.of_kind("metrics")

    @property
    def plots(self) -> tuple[Node, ...]:
        """The plots."""
        return self.of_kind("plots")

    @property
    def steps(self) -> tuple[Node, ...]:
        """The steps of the pipeline (DVC calls them stages), the last one first."""
        return self.of_kind("step")

    @property
    def sources(self) -> tuple[Node, ...]:
        """Where things came from: other repositories, and places outside Git."""
        return self.of_kind("source", "repository")

    @property
    def run(self) -> Node | None:
        """The commit: who made it and when, and the environment where that is known."""
        return next(iter(self.of_kind("run")), None)

    @property
    def roots(self) -> tuple[Node, ...]:
        """What nothing here is known to have made."""
        return tuple(node for node in self if not self._sources.get(node.id))

    @property
    def rows(self) -> Rows[Node]:
        """Everything, as a table."""
        return Rows(self, NODE_COLUMNS)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The digests of the folders in it that DVC tracks, each once."""
        digests = (node.digest for node in self if node.digest is not None)
        return tuple(dict.fromkeys(digest for digest in digests if digest.endswith(".dir")))

    def values(self, kind: Literal["params", "metrics"]) -> Mapping[str, JsonValue]:
        """The parameters or metrics of the project itself, by keys with dots; what other versions declare is left out.

        Where two files or steps say otherwise of one key, it stands there twice, as ``file:key``.
        """
        return merged(
            node
            for node in self.of_kind(kind)
            if self.is_own(node) and (not node.declared or node.id == f"{kind}:{DECLARED}")
        )

    def is_own(self, node: Node) -> bool:
        """Whether something is of the very commit that the model was registered at."""
        return node.repository is None and node.rev == self.subject.rev

    def upstream(self, node: Node | str) -> tuple[Node, ...]:
        """Everything that a node was made from, nearest first.

        Raises:
            InvalidInputError: It is not in this lineage.
        """
        return self._walk(node, self._sources)

    def downstream(self, node: Node | str) -> tuple[Node, ...]:
        """Everything here that was made from a node, nearest first.

        Raises:
            InvalidInputError: It is not in this lineage.
        """
        return self._walk(node, self._products)

    def find(self, what: str) -> tuple[Node, ...]:
        """The nodes that are ``what``: a digest, a path, a name, a URL, ``url@rev``, or a reference.

        A path also finds the folder that holds it, and what is in it; so does Git's id of a file in a folder in Git.
        """
        exact, holders = self._terms
        found = set(exact.get(what, ()))
        if what.startswith("git:"):
            found.update(self._folders_with.get(what, ()))
        for end, letter in enumerate(what):
            if letter == "/":
                found.update(holders.get(what[:end], ()))
        nodes = self.nodes if found else ()
        return tuple(nodes[position] for position in sorted(found))

    def find_any(self, what: Iterable[str]) -> tuple[Node, ...]:
        """The nodes that are any of this, each once."""
        return tuple({node.id: node for each in what for node in self.find(each)}.values())

    @cached_property
    def _terms(self) -> tuple[Mapping[str, Sequence[int]], Mapping[str, Sequence[int]]]:
        """The positions of nodes: by all that they are found by themselves, and by the path of what may hold more."""
        # Tuples: of many lineages, these would be most of what the collector has to look through.
        exact: dict[str, tuple[int, ...]] = {}
        holders: dict[str, tuple[int, ...]] = {}
        for position, node in enumerate(self):
            for term in _terms(node):
                exact[term] = (*exact.get(term, ()), position)
            if node.path is not None and node.kind in _MADE_OF_BYTES:
                holders[node.path] = (*holders.get(node.path, ()), position)
        return exact, holders

    @cached_property
    def _folders_with(self) -> Mapping[str, Sequence[int]]:
        """The positions of the folders in Git that have a file, by its digest."""
        found: dict[str, list[int]] = {}
        for position, node in enumerate(self):
            files = node.values.get("files")
            if isinstance(files, dict) and node.kind in _MADE_OF_BYTES:
                for digest in {each for each in files.values() if isinstance(each, str)}:
                    found.setdefault(digest, []).append(position)
        return found

    def _walk(self, node: Node | str, neighbours: Mapping[str, Sequence[str]]) -> tuple[Node, ...]:
        start = node.id if isinstance(node, Node) else node
        if start not in self._nodes:
            raise InvalidInputError(f"{start!r} is not in the lineage of {self.subject.name!r}")
        seen = {start: None}
        pending = [start]
        for each in pending:
            for next_one in neighbours.get(each, ()):
                if next_one not in seen:
                    seen[next_one] = None
                    pending.append(next_one)
        return tuple(self._nodes[each] for each in pending[1:])

    def diff(self, other: Lineage) -> LineageDiff:
        """What is different in another lineage: what it has more, has not, and has with other bytes or values."""
        mine, theirs = self._nodes, other._nodes
        subject = (self.subject.id, other.subject.id)

        def known(id: str, nodes: Mapping[str, Node]) -> bool:  # noqa: A002 - the field's name
            return id in nodes or id in subject  # two models are one thing that changed

        changed = [(self.subject, other.subject)] if not self.subject.same_content(other.subject) else []
        changed += [
            (node, theirs[node.id]) for node in mine.values()
            if node.id in theirs and node.id not in subject and not node.same_content(theirs[node.id])
        ]  # fmt: skip
        return LineageDiff(
            self, other,
            added=tuple(node for node in theirs.values() if not known(node.id, mine)),
            removed=tuple(node for node in mine.values() if not known(node.id, theirs)),
            changed=tuple(changed),
        )  # fmt: skip

    # -- pictures ------------------------------------------------------------------------------------------

    def to_svg(self, *, fold: int | None = FOLD, opened: Opened = False) -> str:
        """A picture, sources on the left and the model on the right, that needs nothing to be shown.

        Args:
            fold: Things of one kind that the same step uses or makes are one box where they are more than that;
                None shows all.
            opened: Which of these boxes name all that they hold: True for all of them, or what is in them, as ``find``
                takes it, one or several.

        Raises:
            InvalidInputError: What is to be opened is not in it.
        """
        return svg.to_svg(*self._drawing(fold, opened), title=self._title)

    def to_mermaid(self, *, fold: int | None = FOLD, opened: Opened = False) -> str:
        """A diagram in the language of Mermaid, which GitHub, GitLab and JupyterLab draw.

        Raises:
            InvalidInputError: What is to be opened is not in it.
        """
        return picture.to_mermaid(*self._drawing(fold, opened))

    def to_dot(self, *, fold: int | None = FOLD, opened: Opened = False) -> str:
        """A diagram in the language of Graphviz.

        Raises:
            InvalidInputError: What is to be opened is not in it.
        """
        return picture.to_dot(*self._drawing(fold, opened))

    def __str__(self) -> str:
        return lines(picture.to_text(*self._drawing()))

    def _view(self) -> View:
        notes = [Note(note, "warn") for note in self.notes]
        shown = with_opened(self._drawing(), self._drawing(opened=True), title=self._title, text=str(self))
        return View(f"Lineage of {self.subject.version or self.subject.name}", blocks=[*notes, shown])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(*self._drawing(), title=self._title, text=str(self))

    @property
    def _title(self) -> str:
        return f"lineage of {self.subject.name}"

    def _drawing(self, fold: int | None = FOLD, opened: Opened = False) -> Drawing:
        return drawing(self, self.edges, fold=fold, opened=_opens(opened, self))

    # -- JSON ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """As JSON; what is not known is left out."""
        return {
            "schema": SCHEMA,
            "subject": self.subject.id,
            "nodes": [
                {key: value for key, value in asdict(node).items() if value not in (None, {})}
                for node in self
            ],
            "edges": [{"made": edge.made, "from": edge.source} for edge in self.edges],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Lineage:
        """What ``to_dict`` gave; what this version does not know of is passed by.

        Raises:
            InvalidInputError: It did not.
        """
        try:
            if value["schema"] != SCHEMA:
                raise InvalidInputError(f"a lineage of schema {value['schema']!r}; this reads {SCHEMA}")
            return cls(
                [Node(**{key: node[key] for key in _FACTS if key in node}) for node in value["nodes"]],
                [Edge(edge["made"], edge["from"]) for edge in value["edges"]],
                value["notes"],
            )
        except (KeyError, TypeError) as error:
            raise InvalidInputError(f"no lineage: {error!r}") from error


@dataclass(frozen=True, slots=True, repr=False)
class ValueChange(Shown):
    """One parameter or metric, before and after; None where it was, or is, not there."""

    file: str
    key: str
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, repr=False)
class LineageDiff(Tabular):
    """What is different between two lineages."""

    before: Lineage = field(repr=False)
    after: Lineage = field(repr=False)
    added: tuple[Node, ...] = ()
    removed: tuple[Node, ...] = ()
    changed: tuple[tuple[Node, Node], ...] = ()
    """Each as it was, and as it is."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def of_kind(self, *kinds: Kind) -> LineageDiff:
        """Only what concerns nodes of these kinds."""
        return LineageDiff(
            self.before, self.after,
            tuple(node for node in self.added if node.kind in kinds),
            tuple(node for node in self.removed if node.kind in kinds),
            tuple(pair for pair in self.changed if pair[1].kind in kinds),
        )  # fmt: skip

    @property
    def params(self) -> tuple[ValueChange, ...]:
        """Parameters that changed, were added or are gone."""
        return self._values("params")

    @property
    def metrics(self) -> tuple[ValueChange, ...]:
        """Metrics that changed, were added or are gone."""
        return self._values("metrics")

    @cached_property
    def code(self) -> CodeChanges:
        """What Git says changed in the code, and the commits between; nothing where Git can't be asked, or has only one of the two."""
        old, new = self.before.run, self.after.run
        compare = self.after._compare or self.before._compare
        if compare is None or old is None or new is None or not (old.rev and new.rev):
            return CodeChanges()
        own = [node for lineage in (self.before, self.after) for node in filter(lineage.is_own, lineage.code)]
        return compare(old.rev, new.rev, sorted({node.path for node in own if node.path is not None}))

    def _values(self, kind: Kind) -> tuple[ValueChange, ...]:
        of_kind = self.of_kind(kind)
        pairs = [
            *of_kind.changed,
            *((None, node) for node in of_kind.added),
            *((node, None) for node in of_kind.removed),
        ]
        found = []
        for before, after in pairs:
            old = dict(flat(before.values)) if before is not None else {}
            new = dict(flat(after.values)) if after is not None else {}
            there = after if after is not None else before
            assert there is not None
            found += [
                ValueChange(there.name, key, old.get(key), new.get(key))
                for key in sorted(old.keys() | new.keys())
                if old.get(key) != new.get(key)
            ]
        return tuple(found)

    def to_svg(self, *, fold: int | None = FOLD, opened: Opened = False) -> str:
        """A picture of both: what was added, removed and changed is marked, and says so.

        Raises:
            InvalidInputError: What is to be opened is in neither.
        """
        return svg.to_svg(*self._drawing(fold, opened), title=self._title)

    def to_mermaid(self, *, fold: int | None = FOLD, opened: Opened = False) -> str:
        """A diagram of both in the language of Mermaid.

        Raises:
            InvalidInputError: What is to be opened is in neither.
        """
        return picture.to_mermaid(*self._drawing(fold, opened))

    def to_dot(self, *, fold: int | None = FOLD, opened: Opened = False) -> str:
        """A diagram of both in the language of Graphviz.

        Raises:
            InvalidInputError: What is to be opened is in neither.
        """
        return picture.to_dot(*self._drawing(fold, opened))

    def _line(self) -> str:
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        return f"<lineage {self._title}: {counts}>"

    def __str__(self) -> str:
        return lines(picture.to_text(*self._drawing())) if self else "no difference"

    @property
    def rows(self) -> Rows[tuple[str, Node, Node]]:
        """What was added, removed and changed, as a table."""
        marked = [("added", node, node) for node in self.added] + [
            ("removed", node, node) for node in self.removed
        ]
        return Rows([*marked, *(("changed", *pair) for pair in self.changed)], _DIFF_COLUMNS)

    def _view(self) -> View:
        one, other = (each.subject.version or each.subject.name for each in (self.before, self.after))
        title = f"Lineage from {one} to {other}"
        if not self:
            return View(title, blocks=[Note("no difference")])
        values = [(each.file, each.key, each.before, each.after) for each in (*self.params, *self.metrics)]
        table = Table(("file", "value", "before", "after"), values[:MOST_ROWS], more_than(values))
        shown = with_opened(self._drawing(), self._drawing(opened=True), title=self._title, text=str(self))
        return View(title, blocks=[shown, *([table] if values else [])])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return bundle(*self._drawing(), title=self._title, text=str(self))

    @property
    def _title(self) -> str:
        before, after = (each.subject.version or each.subject.name for each in (self.before, self.after))
        return f"from {before} to {after}"

    def _drawing(self, fold: int | None = FOLD, opened: Opened = False) -> Drawing:
        marks = {node.id: "added" for node in self.added} | {node.id: "removed" for node in self.removed}
        marks |= {after.id: "changed" for _, after in self.changed}
        edges = [*self.after.edges, *filter(self._concerns_removed, self.before.edges)]
        return drawing(
            [*self.after, *self.removed], edges, fold=fold, opened=_opens(opened, self.after, self.before),
            marks=marks, before={after.id: before for before, after in self.changed},
        )  # fmt: skip

    def _concerns_removed(self, edge: Edge) -> bool:
        gone = {node.id for node in self.removed}
        there = {*gone, *(node.id for node in self.after)}
        return edge.made in there and edge.source in there and bool({edge.made, edge.source} & gone)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "schema": SCHEMA,
            "added": [node.id for node in self.added],
            "removed": [node.id for node in self.removed],
            "changed": [{"before": one.id, "after": other.id} for one, other in self.changed],
            "params": [asdict(change) for change in self.params],
            "metrics": [asdict(change) for change in self.metrics],
            "code": asdict(self.code),
        }


def drawing_of(shown: Lineage | LineageDiff, *, opened: bool = False) -> Drawing:
    """The boxes and arrows of its picture, for whoever draws it in another way."""
    return shown._drawing(FOLD, opened)


def _opens(opened: Opened, *lineages: Lineage) -> Callable[[Node], bool]:
    """Whether a node's box is to be open."""
    if isinstance(opened, bool):
        return lambda _: opened
    wanted = [opened] if isinstance(opened, str) else [*opened]
    found = {what: {node.id for lineage in lineages for node in lineage.find(what)} for what in wanted}
    for what, ids in found.items():
        if not ids:
            raise InvalidInputError(
                f"{what!r} is not in the lineage of {lineages[0].subject.name!r}: there is no box of it to open"
            )
    every = {each for ids in found.values() for each in ids}
    return lambda node: node.id in every


def _neighbours(pairs: Iterable[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for one, other in pairs:
        found.setdefault(one, []).append(other)
    return found


def _terms(node: Node) -> set[str]:
    """What a node is found by, less what it may hold."""
    terms = {node.id, node.digest, node.path, node.name, node.version, node.repository}
    if node.kind == "model" and isinstance(address := node.values.get("address"), str):
        terms.add(address)
    if node.repository is not None:
        terms.add(f"{node.repository}@{node.rev}")
        if node.kind == "repository":  # whose name is the URL as it was written
            terms.add(f"{node.name}@{node.rev}")
    if node.path is not None and node.kind in _MADE_OF_BYTES:
        terms.update(node.path[:end] for end, letter in enumerate(node.path) if letter == "/")
    return {term for term in terms if term}
