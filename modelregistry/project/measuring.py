"""Reads the metrics and parameters that DVC recorded of many versions at once: what their commits share is read once."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import JsonValue

from modelregistry.errors import InvalidFileError, MissingBytesError, RegistryError
from modelregistry.git.folders import Folders, Memory, bring
from modelregistry.git.objects import GitObject
from modelregistry.git.repo import Read
from modelregistry.lineage.facts import measured
from modelregistry.lineage.node import flat
from modelregistry.project.declarations import declaring_file, not_here, short_name
from modelregistry.project.documents import read_document
from modelregistry.project.dvcfiles import Step, lock_steps, resolve
from modelregistry.project.measuredfiles import Measured, MetricsFile, StepName, measured_files
from modelregistry.project.pipeline import Pipeline, read_pipeline
from modelregistry.project.templating import vars_files
from modelregistry.version import ModelVersion

Kind = Literal["metrics", "params"]
Values = Mapping[str, JsonValue]
"""By keys with dots."""
_Named = Sequence[tuple[str, Values]]
"""With the file that they are in."""
_ReadValues = Callable[[], _Named]
Cached = Callable[[str, str, str], Path | None]
"""Where bytes lie in the cache on this machine, by their address, the file that records them, and its commit."""
MOST_BYTES = 8 << 20
"""Of one file."""
_MOST_AT_ONCE = 128 << 20
_MOST_PLANS = 1_000
_LINK = "120000"


class Answer(NamedTuple):
    """What was found of one version."""

    values: Values
    problem: str | None = None
    """Why there may be more."""


class _View:
    """One version and the files of its commit."""

    def __init__(self, version: ModelVersion, folders: Folders) -> None:
        self.version = version
        self.file = declaring_file(version.name)
        self._folders = folders
        top, inner, _ = folders.found()
        self.pipelines = [*top, *(f"{folder}/{path}" for folder, _, paths in inner for path in paths)]

    def oid(self, path: str) -> str | None:
        """Git's id of the file at a path; None where there is none."""
        item = self._folders.item(path)
        return item.oid if item is not None and item.is_file and item.mode != _LINK else None


class Reading:
    """Reads versions batch by batch, and each batch step by step: a step knows which files the next one needs.

    Args:
        ask: Reads objects of Git.
        memory: Folders that were read.
        cached: Finds bytes in the project's cache.
        kind: What is read.
        at_hand: Leave alone the versions of which only the whole lineage tells, which may be in other repositories.
    """

    def __init__(
        self, ask: Read, memory: Memory, cached: Cached | None, kind: Kind, *, at_hand: bool = False
    ) -> None:
        self._ask = ask
        self._at_hand = at_hand
        self._memory = memory
        self._cached = cached
        self._kind = kind
        self._objects: dict[str, GitObject | None] = {}
        self._documents: dict[tuple[str, str], object] = {}
        self._steps: dict[tuple[str, str], Mapping[str, Step]] = {}
        # What the batches have in common.
        self._sources: dict[tuple[str, str | None], tuple[str, ...]] = {}
        self._pipelines: dict[tuple[object, ...], Mapping[str, Pipeline | InvalidFileError]] = {}
        self._plans: dict[tuple[object, ...], Measured] = {}

    def of(self, versions: Sequence[ModelVersion]) -> list[Answer]:
        """The values of each."""
        self._objects, self._documents, self._steps = {}, {}, {}
        if len(self._plans) > _MOST_PLANS:
            self._pipelines, self._plans = {}, {}
        views = self._views(versions)
        there = [view for view in views if view is not None]
        self._bring(
            (view, path)
            for view in there
            for path in view.pipelines
            if (path, view.oid(path)) not in self._sources
        )
        self._bring((view, path) for view in there for path in self._values_files(view))
        plans = {id(view): self._plan(view) for view in there}
        told = [(view, plan) for view in there if isinstance(plan := plans[id(view)], Measured)]
        self._bring((view, path) for view, plan in told for path in self._wanted(view, plan))
        answers = []
        for version, view in zip(versions, views, strict=True):
            if view is None:
                answers.append(Answer({}, not_here(version.rev)))
                continue
            plan = plans[id(view)]
            answers.append(self._answer(view, plan) if isinstance(plan, Measured) else Answer({}, str(plan)))
        return answers

    # -- files -----------------------------------------------------------------------------------------------

    def _views(self, versions: Sequence[ModelVersion]) -> list[_View | None]:
        revs = list(dict.fromkeys(version.rev for version in versions))
        trees = {
            rev: commit.data.partition(b"\n")[0].decode().removeprefix("tree ")
            for rev, commit in zip(revs, self._ask(revs), strict=True)
            if commit is not None and commit.kind == "commit" and commit.data is not None
        }
        bring(self._memory, trees.values(), self._ask)
        return [
            _View(version, Folders(tree, self._memory, self._ask, ("dvc.yaml",)))
            if (tree := trees.get(version.rev)) is not None
            else None
            for version in versions
        ]

    def _bring(self, wanted: Iterable[tuple[_View, str]]) -> None:
        """Have these files, each content once, in one question to git."""
        oids = dict.fromkeys(oid for view, path in wanted if (oid := view.oid(path)) is not None)
        new = [oid for oid in oids if oid not in self._objects]
        if new:
            found = self._ask(new, limit=MOST_BYTES, most=_MOST_AT_ONCE)
            self._objects.update(zip(new, found, strict=True))

    def _document(self, view: _View, path: str) -> object:
        """What a file holds; None where there is none.

        Raises:
            InvalidFileError: It can't be read.
        """
        oid = view.oid(path)
        if oid is None:
            return None
        key = (oid, posixpath.splitext(path)[1])
        if key not in self._documents:
            found = self._objects.get(oid)
            if found is None or (found.data is None and found.size <= MOST_BYTES):
                (found,) = self._ask([oid], limit=MOST_BYTES)
            if found is None or found.data is None:
                raise InvalidFileError(
                    f"{path!r} is not read: it has more than {MOST_BYTES:,} bytes", path=path
                )
            self._documents[key] = read_document(found.data, path)
        return self._documents[key]

    # -- pipelines -------------------------------------------------------------------------------------------

    def _values_files(self, view: _View) -> Iterable[str]:
        """The files that pipelines take values from."""
        for file in view.pipelines:
            key = (file, view.oid(file))
            if key not in self._sources:
                try:
                    document = self._document(view, file)
                except InvalidFileError:  # told when it is read in earnest
                    document = None
                self._sources[key] = tuple(_sources_of(document, file))
            yield from self._sources[key]

    def _plan(self, view: _View) -> Measured | RegistryError:
        """What of the commit is to be read; or why that can't be told."""
        used = [*view.pipelines, *self._values_files(view)]
        key = tuple((path, view.oid(path)) for path in used)
        of_model = (view.version.name, *key)
        if of_model not in self._plans:
            try:
                if key not in self._pipelines:
                    self._pipelines[key] = self._read_pipelines(view)
                self._plans[of_model] = self._measured(view, self._pipelines[key])
            except InvalidFileError as error:
                return error
        return self._plans[of_model]

    def _read_pipelines(self, view: _View) -> Mapping[str, Pipeline | InvalidFileError]:
        """What each ``dvc.yaml`` plans, or why it can't be read."""
        found: dict[str, Pipeline | InvalidFileError] = {}
        for file in view.pipelines:
            try:
                found[file] = read_pipeline(self._document(view, file), file, partial(self._document, view))
            except InvalidFileError as error:
                found[file] = error
        return found

    @staticmethod
    def _measured(view: _View, pipelines: Mapping[str, Pipeline | InvalidFileError]) -> Measured:
        own = pipelines.get(view.file, Pipeline())
        if isinstance(own, InvalidFileError):
            raise own
        declared = own.artifacts.get(short_name(view.version.name))
        path = resolve(view.file, declared[0]) if declared is not None else None
        if path is None:
            return Measured()
        read = {file: found for file, found in pipelines.items() if isinstance(found, Pipeline)}
        return measured_files(read, view.file, path)

    # -- values ----------------------------------------------------------------------------------------------

    def _wanted(self, view: _View, plan: Measured) -> Iterable[str]:
        if self._kind == "params":
            return (*(step.lock for step in plan.steps), *plan.params)
        return (
            path
            for file in plan.metrics
            for path in ((file.path,) if view.oid(file.path) or file.step is None else (file.step.lock,))
        )

    def _answer(self, view: _View, plan: Measured) -> Answer:
        if not plan.is_whole and self._at_hand:
            return Answer({}, "only its whole lineage tells")
        if not plan.is_whole:
            return _from_lineage(view.version, self._kind)
        found: list[tuple[str, Values]] = []
        problems: list[str] = []
        for read in self._metrics(view, plan) if self._kind == "metrics" else self._params(view, plan):
            try:
                found += read()
            except RegistryError as error:
                problems.append(str(error))
        return Answer(_merged(found), "; ".join(problems) or None)

    def _metrics(self, view: _View, plan: Measured) -> Iterator[_ReadValues]:
        for file in plan.metrics:
            if view.oid(file.path) is not None:
                yield partial(self._measured_in_git, view, file.path)
            elif file.step is not None:
                yield partial(self._measured_in_cache, view, file, file.step)

    def _measured_in_git(self, view: _View, path: str) -> _Named:
        return [(path, measured(self._document(view, path)))]

    def _measured_in_cache(self, view: _View, file: MetricsFile, name: StepName) -> _Named:
        """The metrics in a file that DVC keeps; none where its step never ran."""
        step = self._recorded(view, name.lock).get(name.name)
        out = next((out for out in step.outs if out.path == file.written), None) if step is not None else None
        if out is None or out.md5 is None:
            return []
        kind = "md5-dos2unix" if out.legacy else "md5"
        try:
            place = self._cached(f"{kind}:{out.md5}", name.lock, view.version.rev) if self._cached else None
            data = place.read_bytes() if place is not None and place.stat().st_size <= MOST_BYTES else None
        except OSError:
            data = None
        if data is None:
            raise MissingBytesError(
                f"{file.path!r} is kept by DVC, and is not in the cache on this machine", paths=[file.path]
            )
        return [(file.path, measured(read_document(data, file.path)))]

    def _params(self, view: _View, plan: Measured) -> Iterator[_ReadValues]:
        yield from (partial(self._params_of_step, view, name) for name in plan.steps)
        yield from (partial(self._params_in_file, view, path) for path in plan.params)

    def _params_of_step(self, view: _View, name: StepName) -> _Named:
        step = self._recorded(view, name.lock).get(name.name)
        recorded = step.params.items() if step is not None else ()
        return [(name.place(file) or file, values) for file, values in recorded if isinstance(values, dict)]

    def _params_in_file(self, view: _View, path: str) -> _Named:
        document = self._document(view, path)
        return [(path, document)] if isinstance(document, dict) else []

    def _recorded(self, view: _View, lock: str) -> Mapping[str, Step]:
        """What a ``dvc.lock`` records, by the names of steps."""
        key = (view.oid(lock) or "", lock)
        if key not in self._steps:
            self._steps[key] = {step.name: step for step in lock_steps(self._document(view, lock), lock)}
        return self._steps[key]


def _sources_of(document: object, file: str) -> Iterator[str]:
    """The files that a ``dvc.yaml`` may take values from."""
    if "${" in json.dumps(document) or (isinstance(document, dict) and "vars" in document):
        yield posixpath.join(posixpath.dirname(file), "params.yaml")
        yield from vars_files(document, file)


def _from_lineage(version: ModelVersion, kind: Kind) -> Answer:
    """The same by the whole lineage, where what the pipeline plans does not tell all of it."""
    try:
        nodes = version.lineage.of_kind(kind)
    except RegistryError as error:
        return Answer({}, str(error))
    own = [node for node in nodes if node.repository is None and node.rev == version.rev]
    unread = "; ".join(node.note or node.status for node in own if node.status == "unread")
    return Answer(_merged([(node.name, node.values) for node in own]), unread or None)


def _merged(found: Sequence[tuple[str, Values]]) -> Values:
    """The values of several files by their keys with dots; where two say otherwise, each with its file before it."""
    said: dict[str, list[tuple[str, JsonValue]]] = {}
    for name, values in found:
        for key, value in flat(values):
            known = said.setdefault(key, [])
            if all(other != value for _, other in known):
                known.append((name, value))
    return {
        key if len(known) == 1 else f"{name}:{key}": value
        for key, known in said.items()
        for name, value in known
    }
