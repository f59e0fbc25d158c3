"""What DVC's files of one commit record: which step or file made which path."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import DvcFile, dvc_file, read_manifest, resolve
from modelregistry.project.pipeline import OutKind, Pipeline, plain_artifacts
from modelregistry.project.recorded import Made, Recorded, StepRecord, recorded_at
from modelregistry.project.snapshot import MOST_COMPARED, Snapshot, paths_in

MOST_FILES = 5_000
"""Files of DVC's that are read of one commit."""

Cached = Callable[[str, str], Path | None]
"""Where the bytes with an address (``md5:…``) lie in the cache of the DVC project that a file belongs to."""


def nothing_cached(address: str, file: str) -> None:
    """That of a repository whose cache is not on this machine."""
    del address, file


class Found(NamedTuple):
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
        unread: Which of DVC's files can't be read, and why.

    Raises:
        GitError: The commit can't be read.
    """

    def __init__(self, snapshot: Snapshot, *, cached: Cached = nothing_cached) -> None:
        self.snapshot = snapshot
        self._recorded: dict[str, Recorded] = {}
        self.unread: dict[str, str] = {}
        self._cached = cached
        self._made: dict[str, tuple[Made, ...]] = {}
        self._found: dict[str, Found] = {}
        self._places: list[str] | None = None
        self._lingering: dict[str, Made] = {}
        self._dvc_files: set[str] = set()
        self._measuring: dict[str, Sequence[StepRecord]] = {}
        self._listings: dict[str, Mapping[str, str] | None] = {}
        self._read_pipelines()

    # -- the pipelines -------------------------------------------------------------------------------------

    def _read_pipelines(self) -> None:
        found, count = recorded_at(self.snapshot, MOST_FILES)
        if self.snapshot.is_cut:
            self.unread["."] = "the commit has more files than were looked at"
        if count > MOST_FILES:
            self.unread["dvc.yaml"] = f"there are {count:,} pipelines, and {MOST_FILES:,} of them are read"
        # For each commit anew, of all folders that it has: so with little ado.
        self._recorded = {each.file: each for each in found}
        for each in found:
            self._made.update(each.made)
        if len(self._made) < sum([len(each.made) for each in found]):  # some path is made twice
            self._made = _merged(found)
        for each in [each for each in found if each.unread or each.lingering]:
            self.unread |= each.unread
            for made in each.lingering:
                self._lingering.setdefault(made.path, made)

    @cached_property
    def steps(self) -> Sequence[StepRecord]:
        """Every step of every pipeline."""
        return [step for each in self._recorded.values() for step in each.steps]

    @cached_property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """By the path of the ``dvc.yaml``."""
        return {file: each.pipeline for file, each in self._recorded.items() if each.pipeline is not None}

    def shown(self, file: str) -> Mapping[str, OutKind]:
        """What a ``dvc.yaml`` lists as metrics and plots apart from its steps, from the Git root."""
        found = self._recorded.get(file)
        return found.shown if found is not None else {}

    def declared(self, file: str, name: str) -> str | None:
        """Where a ``dvc.yaml`` declares an artifact, from the Git root; None where it does not, or has it filled in."""
        try:
            path, _ = (self.snapshot.meaning(file, plain_artifacts) or {})[name]
        except (InvalidFileError, KeyError):
            return None
        return resolve(file, path)

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
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = self._look_up(path)
        return found

    def _look_up(self, path: str) -> Found:
        exact = self._made.get(path)
        if exact:
            return Found(exact)
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
        self._made[made.path] = (*self._made.get(made.path, ()), made)
        self._places = None
        self._found.clear()

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
        likely = [file for path in places if not self._is_made(path) for file in self._likely(path)]
        files = [file for file in dict.fromkeys(likely) if there(file)]
        files += [
            file
            for path in places
            for file in self.snapshot.below(path)
            if file.endswith(".dvc") and there(file)
        ]
        documents = [file for step in steps for file in step.param_files]
        documents += [
            made.path for step in steps for made in step.outs if made.kind == "metrics" and there(made.path)
        ]
        self.snapshot.bring([*files, *documents], self._compared(steps))
        self._read_dvc_files(files)
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
        items: list[tuple[str | None, str | None]] = []
        for step in steps:
            items += [(step.place(dep.path), dep.md5) for dep in step.deps if dep.path]
            items += [(made.path, made.out.md5) for made in step.outs]
        for path, md5 in dict.fromkeys(items):
            if path is None or md5 is None or self.snapshot.has_agreed(path, md5):
                continue
            if self.snapshot.is_file(path):
                yield path
            elif self.snapshot.is_folder(path) and not self._is_made(path):
                below = self.snapshot.below(path)
                yield from below if len(below) <= MOST_COMPARED else ()

    def measuring(self, path: str) -> Sequence[StepRecord]:
        """The steps that take a path, or a folder that has it, and have metrics or plots."""
        if path in self._measuring:
            return self._measuring[path]
        places = [path]
        while places[-1]:
            places.append(posixpath.dirname(places[-1]))
        found = {
            step: None
            for each in self._recorded.values()
            if each.measuring
            for place in places
            for step in each.measuring.get(place, ())
        }
        order = {step: number for number, step in enumerate(self.steps)} if len(found) > 1 else {}
        self._measuring[path] = sorted(found, key=lambda step: order.get(step, 0))
        return self._measuring[path]

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


def _merged(found: Iterable[Recorded]) -> dict[str, tuple[Made, ...]]:
    made: dict[str, tuple[Made, ...]] = {}
    for each in found:
        for path, those in each.made.items():
            made[path] = (*made.get(path, ()), *those)
    return made
