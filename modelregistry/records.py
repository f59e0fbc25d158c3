"""What DVC's files of one commit record: which step or file made which path."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from modelregistry.dvcfiles import (
    Dep,
    DvcFile,
    Out,
    Step,
    dvc_file,
    listing_md5,
    lock_steps,
    read_manifest,
    resolve,
)
from modelregistry.dvcpipeline import (
    OutKind,
    Pipeline,
    PlannedOut,
    PlannedStep,
    read_pipeline,
)
from modelregistry.dvctemplates import vars_files
from modelregistry.errors import InvalidFileError
from modelregistry.snapshot import MOST_COMPARED, Snapshot, paths_in

MOST_FILES = 5_000
"""Files of DVC's that are read of one commit."""

Cached = Callable[[str, str], Path | None]
"""Where the bytes with an address (``md5:…``) lie in the cache of the DVC project that a file belongs to."""


def nothing_cached(address: str, file: str) -> None:
    """That of a repository whose cache is not on this machine."""
    del address, file


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
        return resolve(self.file, self.wdir, path)

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
        return filter(None, map(self.place, dict.fromkeys([*recorded, *planned])))


@dataclass(frozen=True, eq=False, slots=True)
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


@dataclass(frozen=True, slots=True)
class Found:
    """What is recorded about a path."""

    exact: tuple[Made, ...] = ()
    """The very path; more than one is an error in the project."""
    container: Made | None = None
    """The innermost recorded folder that has it."""
    below: tuple[Made, ...] = ()
    """What is recorded in it, where it is a folder that is not recorded itself."""

    @property
    def all(self) -> tuple[Made, ...]:
        """Everything."""
        return (*self.exact, *((self.container,) if self.container else ()), *self.below)


class Records:
    """What is recorded at one commit.

    Args:
        snapshot: The commit.
        cached: Finds bytes in the project's cache on this machine.

    Attributes:
        steps: Every step of every pipeline.
        pipelines: By the path of the ``dvc.yaml``.
        unread: Which of DVC's files can't be read, and why.

    Raises:
        GitError: The commit can't be read.
    """

    def __init__(self, snapshot: Snapshot, *, cached: Cached = nothing_cached) -> None:
        self.snapshot = snapshot
        self.steps: list[StepRecord] = []
        self.pipelines: dict[str, Pipeline] = {}
        self.unread: dict[str, str] = {}
        self._cached = cached
        self._made: dict[str, list[Made]] = {}
        self._places: list[str] | None = None
        self._lingering: dict[str, Made] = {}
        self._dvc_files: set[str] = set()
        self._listings: dict[str, Mapping[str, str] | None] = {}
        self._read_pipelines()

    # -- the pipelines -------------------------------------------------------------------------------------

    def _read_pipelines(self) -> None:
        named = self.snapshot.named
        folders = sorted({posixpath.dirname(path) for path in (*named["dvc.yaml"], *named["dvc.lock"])})
        if self.snapshot.is_cut:
            self.unread["."] = "the commit has more files than were looked at"
        if len(folders) > MOST_FILES:
            self.unread["dvc.yaml"] = (
                f"there are {len(folders):,} pipelines, and {MOST_FILES:,} of them are read"
            )
            folders = folders[:MOST_FILES]
        names = ("dvc.yaml", "dvc.lock", "params.yaml")
        self.snapshot.bring(posixpath.join(folder, name) for folder in folders for name in names)
        self.snapshot.bring(file for folder in folders for file in self._vars_files(folder))
        for folder in folders:
            self._read_pipeline(posixpath.join(folder, "dvc.yaml"), posixpath.join(folder, "dvc.lock"))

    def _vars_files(self, folder: str) -> Iterator[str]:
        file = posixpath.join(folder, "dvc.yaml")
        with suppress(InvalidFileError):  # told when it is read in earnest
            yield from vars_files(self.snapshot.document(file), file)

    def _read_pipeline(self, file: str, lock: str) -> None:
        recorded: dict[str, Step] = {}
        pipeline: Pipeline | None = None
        try:
            if (document := self.snapshot.document(file)) is not None:
                pipeline = self.pipelines[file] = read_pipeline(document, file, self.snapshot.document)
        except InvalidFileError as error:
            self.unread[file] = str(error)
        try:
            recorded = {step.name: step for step in self.snapshot.meaning(lock, lock_steps) or ()}
        except InvalidFileError as error:
            self.unread[lock] = str(error)
        planned = pipeline.steps if pipeline is not None else {}
        for name in dict.fromkeys([*planned, *recorded]):
            plan = pipeline.step(name) if pipeline is not None else None
            if plan is not None and plan.problem and plan.name == name and name not in recorded:
                continue  # a group that can't be filled in is no step
            step = StepRecord(
                file, name, recorded.get(name), plan, (plan.wdir if plan is not None else None) or ".",
                self.unread.get(file) or self.unread.get(lock),
            )  # fmt: skip
            self._add_step(step, lock)

    def _add_step(self, step: StepRecord, lock: str) -> None:
        planned = {out.path: out for out in step.planned.outs} if step.planned else {}
        recorded = {out.path: out for out in step.recorded.outs} if step.recorded else {}
        # DVC passes by what dvc.yaml does not have any more; it is told where nothing else makes the path.
        is_told = step.planned is not None and step.planned.problem is None
        lingers = step.planned is None and step.file not in self.unread
        shown = self.shown(step.file)
        made = []
        for path in dict.fromkeys([*planned, *recorded]):
            place = step.place(path)
            if place is None:
                continue
            plan = planned.get(path, PlannedOut(path))
            found = Made(
                place, recorded.get(path, Out(path, is_cached=plan.is_cached)),
                lock if path in recorded else step.file,
                shown.get(place, "outs") if plan.kind == "outs" else plan.kind, step,
            )  # fmt: skip
            if lingers or (is_told and path not in planned):
                self._lingering.setdefault(place, found)
            else:
                self._add(found)
                made.append(found)
        step.outs = tuple(made)
        if not lingers:
            self.steps.append(step)

    def shown(self, file: str) -> Mapping[str, OutKind]:
        """What a ``dvc.yaml`` lists as metrics and plots apart from its steps, from the Git root."""
        pipeline = self.pipelines.get(file)
        if pipeline is None or not (pipeline.metrics or pipeline.plots):
            return {}
        kinds: tuple[tuple[OutKind, tuple[str, ...]], ...] = (
            ("plots", pipeline.plots),
            ("metrics", pipeline.metrics),
        )
        return {
            place: kind
            for kind, paths in kinds
            for path in paths
            if (place := resolve(file, path)) is not None
        }

    # -- *.dvc files ---------------------------------------------------------------------------------------

    @cached_property
    def _tracking(self) -> Sequence[str]:
        return self.snapshot.named[".dvc"]

    def _read_dvc_files(self, files: Iterable[str]) -> None:
        new = [file for file in dict.fromkeys(files) if file not in self._dvc_files]
        if len(self._dvc_files) + len(new) > MOST_FILES:
            left_out = len(new) - max(MOST_FILES - len(self._dvc_files), 0)
            new = new[: MOST_FILES - len(self._dvc_files)]
            self.unread.setdefault(".dvc", f"{left_out:,} '.dvc' files are left out: {MOST_FILES:,} are read")
        self.snapshot.bring(new)
        for file in new:
            self._dvc_files.add(file)
            try:
                found = self.snapshot.meaning(file, dvc_file) or DvcFile()
            except InvalidFileError as error:
                self.unread[file] = str(error)
                continue
            for out in found.outs:
                place = resolve(file, found.wdir, out.path)
                if place is not None:
                    self._add(Made(place, out, file, tracked=found))

    def _likely(self, path: str) -> Iterator[str]:
        """The ``*.dvc`` files that may record a path, by what DVC names them."""
        yield f"{path}.dvc"
        parent = posixpath.dirname(path)
        while parent:
            yield f"{parent}.dvc"
            parent = posixpath.dirname(parent)

    # -- questions -----------------------------------------------------------------------------------------

    def find(self, path: str) -> Found:
        """What is recorded about a path that was prepared."""
        exact = self._made.get(path)
        if exact:
            return Found(tuple(exact))
        parent = posixpath.dirname(path)
        while parent:
            for made in self._made.get(parent, ()):
                # What did not run yet may become a folder.
                if made.out.is_directory or made.md5 is None:
                    return Found(container=made)
            parent = posixpath.dirname(parent)
        below = tuple(self._made[place][0] for place in self._places_in(path))
        if not below and path in self._lingering and self.snapshot.oid(path) is None:
            return Found((self._lingering[path],))
        return Found(below=below)

    def _places_in(self, folder: str) -> Sequence[str]:
        if self._places is None:
            self._places = sorted(self._made)
        if folder == ".":
            return self._places
        return paths_in(self._places, folder)

    def _add(self, made: Made) -> None:
        self._made.setdefault(made.path, []).append(made)
        self._places = None

    def prepare(self, paths: Iterable[str], *, measured: str | None = None) -> None:
        """Read what is needed to tell how the paths came to be, all at once.

        Args:
            paths: From the Git root.
            measured: Also what measured this path: steps that take it and have metrics or plots.

        Raises:
            GitError: It can't be read.
        """
        wanted = list(dict.fromkeys(paths))
        steps: dict[StepRecord, None] = {}
        places = dict.fromkeys(wanted)
        pending = list(wanted)
        for path in pending:  # grows while it is walked
            found = self.find(path)
            for made in found.all:
                if made.step is None or made.step in steps:
                    continue
                steps[made.step] = None
                new = [place for place in self._inputs(made.step) if place not in places]
                places |= dict.fromkeys(new)
                pending += new
        if measured is not None:
            steps |= dict.fromkeys(self.measuring(measured))
        there = self.snapshot.is_file
        files = [file for path in places if not self._is_made(path) for file in self._likely(path)]
        files += [file for path in places for file in self.snapshot.below(path) if file.endswith(".dvc")]
        documents = [file for step in steps for file in step.param_files]
        documents += [
            made.path for step in steps for made in step.outs if made.kind == "metrics" and there(made.path)
        ]
        self.snapshot.bring([*filter(there, files), *documents], self._compared(steps))
        self._read_dvc_files(filter(there, files))
        if not all(self._is_known(path) for path in places):
            self._read_dvc_files(self._tracking)

    def _inputs(self, step: StepRecord) -> Iterator[str]:
        yield from filter(None, (step.place(dep.path) for dep in step.deps if dep.path))
        yield from step.param_files

    def _is_made(self, path: str) -> bool:
        return bool(self._made.get(path))

    def _is_known(self, path: str) -> bool:
        snapshot = self.snapshot
        return (
            snapshot.oid(path) is not None
            or bool(self.find(path).all)
            or snapshot.submodule(path) is not None
        )

    def _compared(self, steps: Iterable[StepRecord]) -> Iterator[str]:
        """The files in Git whose content tells whether the steps' record is that of the commit."""
        for step in steps:
            items = [(step.place(dep.path), dep.md5) for dep in step.deps if dep.path]
            items += [(made.path, made.out.md5) for made in step.outs]
            for path, md5 in items:
                if path is None or md5 is None or self.snapshot.has_agreed(path, md5):
                    continue
                if self.snapshot.is_file(path):
                    yield path
                elif self.snapshot.is_folder(path) and not self._is_made(path):
                    below = self.snapshot.below(path)
                    yield from below if len(below) <= MOST_COMPARED else ()

    def measuring(self, path: str) -> Iterator[StepRecord]:
        """The steps that take a path and have metrics or plots."""
        for step in self.steps:
            if any(made.kind != "outs" for made in step.outs):
                for dep in step.deps:
                    place = step.place(dep.path) if dep.path else None
                    if place is not None and (path == place or path.startswith(f"{place}/")):
                        yield step
                        break

    def listing(self, made: Made) -> Mapping[str, str] | None:
        """The md5 of each file of a folder, if that is recorded here or in the cache on this machine."""
        if made.out.files:
            return {file.path: file.md5 for file in made.out.files}
        md5 = made.out.md5
        if md5 is None or not md5.endswith(".dir"):
            return None
        if md5 not in self._listings:
            self._listings[md5] = None
            data = self.cached(made)
            if data is not None:
                try:
                    self._listings[md5] = {file.path: file.md5 for file in read_manifest(data, made.path)}
                except InvalidFileError:
                    self._listings[md5] = None
        return self._listings[md5]

    def cached(self, made: Made, *, most: int = 64 << 20) -> bytes | None:
        """What the cache on this machine has of it, if that is no more than ``most`` bytes."""
        if made.out.md5 is None:
            return None
        kind = "md5-dos2unix" if made.out.legacy else "md5"
        place = self._cached(f"{kind}:{made.out.md5}", made.file)
        try:
            return place.read_bytes() if place is not None and place.stat().st_size <= most else None
        except OSError:
            return None
