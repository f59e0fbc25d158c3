"""What one ``dvc.yaml`` and its ``dvc.lock`` record, read once however many commits have them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import Dep, DvcFile, Out, Step, listing_md5, lock_steps, resolve
from modelregistry.project.pipeline import (
    OutKind,
    Pipeline,
    PlannedOut,
    PlannedStep,
    plain_artifacts,
    read_pipeline,
)
from modelregistry.project.snapshot import Part, Snapshot
from modelregistry.project.templating import vars_files

_ARTIFACTS_OF_A_STEP = 16
"""That weigh as much as a step."""
_FIRST = ("dvc.yaml", "dvc.lock")


@dataclass(eq=False, slots=True)
class StepRecord:
    """One step at one commit: what was recorded of it, and what is planned."""

    file: str
    """The ``dvc.yaml``, from the Git root."""
    name: str
    recorded: Step | None
    planned: PlannedStep | None
    wdir: str
    """As written; ``.`` where it can't be told."""
    problem: str | None = None
    """Why what records it can't be read."""
    outs: tuple[Made, ...] = field(default=(), init=False)
    _places: dict[str, str | None] = field(default_factory=dict, init=False)

    @property
    def address(self) -> str:
        """What DVC calls it: ``train``, or ``folder/dvc.yaml:train``."""
        return self.name if self.file == "dvc.yaml" else f"{self.file}:{self.name}"

    @property
    def folder(self) -> str | None:
        """Where it runs, from the Git root."""
        return resolve(self.file, self.wdir)

    def place(self, path: str) -> str | None:
        """A path of the step, from the Git root; None where that is outside of it, such as a URL."""
        if path not in self._places:
            self._places[path] = resolve(self.file, self.wdir, path)
        return self._places[path]

    @property
    def deps(self) -> tuple[Dep, ...]:
        """What it was made from; what is planned, where it did not run."""
        if self.recorded is not None:
            return self.recorded.deps
        return tuple(map(Dep, self.planned.deps)) if self.planned is not None else ()

    @property
    def commands(self) -> tuple[str, ...]:
        """What was run; what is planned, where it did not run."""
        if self.recorded is not None:
            return self.recorded.cmd
        return self.planned.commands[0] if self.planned is not None and self.planned.commands else ()

    @property
    def param_files(self) -> Iterator[str]:
        """The files that its parameters are in, from the Git root."""
        recorded = self.recorded.params if self.recorded is not None else ()
        planned = self.planned.params if self.planned is not None else ()
        files = dict.fromkeys([*recorded, *planned]) if recorded or planned else ()
        return filter(None, map(self.place, files))


@dataclass(eq=False, slots=True)  # never changed; a frozen one takes three times as long to make
class Made:
    """A path and what is recorded of it."""

    path: str
    """From the Git root."""
    out: Out
    file: str
    """What records it: a ``dvc.lock``, a ``dvc.yaml`` or a ``*.dvc`` file."""
    kind: OutKind = "outs"
    step: StepRecord | None = None
    """Who made it; None where a ``*.dvc`` file tracks it."""
    tracked: DvcFile | None = None

    @property
    def md5(self) -> str | None:
        """With ``.dir`` at the end for a folder."""
        return self.out.md5 or (listing_md5(self.out.files) if self.out.files else None)

    @property
    def is_missing(self) -> bool:
        """Whether the step that makes it has no record of having run."""
        return self.step is not None and self.step.recorded is None


@dataclass(frozen=True, eq=False, slots=True)
class Recorded:
    """What the two files say."""

    file: str
    """The ``dvc.yaml``."""
    pipeline: Pipeline | None
    """None where there is no ``dvc.yaml``, or none that can be read."""
    steps: tuple[StepRecord, ...]
    made: Mapping[str, tuple[Made, ...]]
    """By path."""
    lingering: tuple[Made, ...]
    """What only ``dvc.lock`` still has, which DVC passes by; it is told where nothing else makes the path."""
    shown: Mapping[str, OutKind]
    """What is listed as metrics and plots apart from the steps, from the Git root."""
    unread: Mapping[str, str]
    """Which of the two can't be read, and why."""
    measuring: Mapping[str, tuple[StepRecord, ...]]
    """The steps that have metrics or plots, by what they take."""


def recorded_at(snapshot: Snapshot, most: int) -> tuple[Sequence[Recorded], int]:
    """What is recorded in every folder of a commit, and in how many.

    Args:
        snapshot: The commit.
        most: Folders that are read.

    Raises:
        GitError: The commit can't be read.
    """
    found: list[Recorded] = []
    count = 0
    new: list[tuple[Part, list[str]]] = []
    for part in snapshot.parts:
        if part.learned is not None and count + len(part.learned) <= most:
            found += part.learned
            count += len(part.learned)
            continue
        named = (*part.named.get("dvc.yaml", ()), *part.named.get("dvc.lock", ()))
        folders = sorted({posixpath.dirname(path) for path in named})
        if folders:
            new.append((part, folders[: max(most - count, 0)]))
            count += len(folders)
    for (part, folders), each in zip(new, _read(snapshot, [folders for _, folders in new]), strict=True):
        found += each
        if part.name and count <= most and snapshot.is_learned(Recorded, folders):
            part.learned = each
    return found, count


def _read(snapshot: Snapshot, parts: Sequence[Sequence[str]]) -> Iterator[Sequence[Recorded]]:
    folders = [folder for part in parts for folder in part]
    known = {folder: snapshot.recall(Recorded, folder, _FIRST) for folder in folders}
    new = [folder for folder, found in known.items() if found is None]
    snapshot.bring(posixpath.join(folder, name) for folder in new for name in (*_FIRST, "params.yaml"))
    snapshot.bring(file for folder in new for file in _vars_files(snapshot, folder))
    for folder in new:
        known[folder] = snapshot.learn(Recorded, folder, _FIRST, _Reader(snapshot, folder).recorded, _weight)
    for part in parts:
        yield tuple(known[folder] for folder in part)


def _weight(found: Recorded) -> int:
    declared = len(found.pipeline.artifacts) if found.pipeline is not None else 0
    return 1 + len(found.steps) + declared // _ARTIFACTS_OF_A_STEP


def _vars_files(snapshot: Snapshot, folder: str) -> Iterator[str]:
    file = posixpath.join(folder, "dvc.yaml")
    with suppress(InvalidFileError):  # told when it is read in earnest
        yield from vars_files(snapshot.document(file), file)


class _Reader:
    """Reads the two files in one folder."""

    def __init__(self, snapshot: Snapshot, folder: str) -> None:
        self._snapshot = snapshot
        self._file = posixpath.join(folder, "dvc.yaml")
        self._lock = posixpath.join(folder, "dvc.lock")
        self._made: list[Made] = []
        self._lingering: list[Made] = []
        self._unread: dict[str, str] = {}
        self._shown: Mapping[str, OutKind] = {}

    def recorded(self) -> Recorded:
        """What they say."""
        recorded: dict[str, Step] = {}
        pipeline: Pipeline | None = None
        document = self._snapshot.document
        try:
            if (found := document(self._file)) is not None:
                plain = self._snapshot.meaning(self._file, plain_artifacts)
                pipeline = read_pipeline(found, self._file, document, plain)
                self._shown = _shown(self._file, pipeline)
        except InvalidFileError as error:
            self._unread[self._file] = str(error)
        try:
            recorded = {step.name: step for step in self._snapshot.meaning(self._lock, lock_steps) or ()}
        except InvalidFileError as error:
            self._unread[self._lock] = str(error)
        steps = [step for step in self._steps(pipeline, recorded) if self._add(step)]
        made: dict[str, tuple[Made, ...]] = {}
        for each in self._made:
            made[each.path] = (*made.get(each.path, ()), each)
        return Recorded(
            self._file, pipeline, tuple(steps), made, tuple(self._lingering), self._shown, self._unread,
            _measuring(steps),
        )  # fmt: skip

    def _steps(self, pipeline: Pipeline | None, recorded: Mapping[str, Step]) -> Iterator[StepRecord]:
        planned: Iterable[str] = pipeline.steps if pipeline is not None else ()
        problem = self._unread.get(self._file) or self._unread.get(self._lock)
        for name in dict.fromkeys([*planned, *recorded]):
            plan = pipeline.step(name) if pipeline is not None else None
            if plan is not None and plan.problem and plan.name == name and name not in recorded:
                continue  # a group that can't be filled in is no step
            wdir = (plan.wdir if plan is not None else None) or "."
            yield StepRecord(self._file, name, recorded.get(name), plan, wdir, problem)

    def _add(self, step: StepRecord) -> bool:
        """Note what a step makes; False where ``dvc.yaml`` does not have it any more."""
        planned = {out.path: out for out in step.planned.outs} if step.planned else {}
        recorded = {out.path: out for out in step.recorded.outs} if step.recorded else {}
        is_told = step.planned is not None and step.planned.problem is None
        lingers = step.planned is None and self._file not in self._unread
        made = []
        for path in dict.fromkeys([*planned, *recorded]):
            place = step.place(path)
            if place is None:
                continue
            plan = planned.get(path, PlannedOut(path))
            found = Made(
                place, recorded.get(path, Out(path, is_cached=plan.is_cached)),
                self._lock if path in recorded else self._file,
                self._shown.get(place, "outs") if plan.kind == "outs" else plan.kind, step,
            )  # fmt: skip
            if lingers or (is_told and path not in planned):
                self._lingering.append(found)
            else:
                made.append(found)
        self._made += made
        step.outs = tuple(made)
        return not lingers


def _shown(file: str, pipeline: Pipeline) -> Mapping[str, OutKind]:
    kinds: tuple[tuple[OutKind, tuple[str, ...]], ...] = (
        ("plots", pipeline.plots),
        ("metrics", pipeline.metrics),
    )
    return {
        place: kind for kind, paths in kinds for path in paths if (place := resolve(file, path)) is not None
    }


def _measuring(steps: Iterable[StepRecord]) -> Mapping[str, tuple[StepRecord, ...]]:
    found: dict[str, dict[StepRecord, None]] = {}
    for step in steps:
        if any(made.kind != "outs" for made in step.outs):
            for dep in step.deps:
                if dep.path and (place := step.place(dep.path)) is not None:
                    found.setdefault(place, {})[step] = None
    return {place: tuple(those) for place, those in found.items()}
