"""Whether the project, at the very commit that a step's record is of, still says what was recorded of it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modelregistry.errors import InvalidFileError
from modelregistry.project.dvcfiles import Dep, ListedFile, Step, listing_md5
from modelregistry.project.pipeline import PlannedStep, differences, left_over, param_differences, without
from modelregistry.project.recorded import Made, StepRecord
from modelregistry.project.records import Records
from modelregistry.project.snapshot import MOST_COMPARED, md5_of
from modelregistry.urlsecrets import without_secrets

_SAID = 4
"""Differences of one step that are told one by one."""


class Verdict(NamedTuple):
    """What the project says of a step at that commit."""

    changed: tuple[str, ...] = ()
    """Where it is another than what was recorded."""
    noted: tuple[str, ...] = ()
    """What can't be told, or is no change to DVC."""

    @property
    def text(self) -> str | None:
        """For people."""
        said = [*self.changed, *self.noted]
        more = f" (and {len(said) - _SAID} more)" if len(said) > _SAID else ""
        # What a step takes may be a URL that carries a password.
        return without_secrets("; ".join(said[:_SAID]) + more) if said else None


class Judge:
    """Compares what was recorded of steps with the rest of their commit, as ``dvc status`` does in a working copy.

    Args:
        records: What is recorded at the commit, prepared for the steps that are asked about.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._snapshot = records.snapshot
        self._verdicts: dict[StepRecord, Verdict] = {}
        self._compared: dict[tuple[object, ...], tuple[bool | None, str]] = {}

    def verdict(self, step: StepRecord) -> Verdict:
        """Whether the project, at this very commit, still says what was recorded of a step."""
        if step not in self._verdicts:
            self._verdicts[step] = self._judge(step)
        return self._verdicts[step]

    def _judge(self, step: StepRecord) -> Verdict:
        if step.problem is not None:
            return Verdict(noted=(step.problem,))
        if step.recorded is None:
            lock = posixpath.join(posixpath.dirname(step.file), "dvc.lock")
            why = "has no record of it" if self._snapshot.is_file(lock) else "is not there"
            return Verdict((f"{lock!r} {why}: it did not run, or what it made was not committed",))
        if step.planned is None:
            return Verdict((f"{step.file!r} has no such step (any more)",))
        if step.planned.problem is not None:
            return Verdict(noted=(f"it can't be compared with {step.file!r}: {step.planned.problem}",))
        changed = differences(step.recorded, step.planned)
        noted = [f"dvc.lock also has {path!r}, which {step.file!r} does not name" for path in
                 left_over(step.recorded, step.planned)]  # fmt: skip
        inputs, unclear = self._changed_inputs(step, step.recorded, step.planned)
        outs, untold = self._changed_outs(step)
        noted += [*unclear, *untold]
        if step.planned.frozen:
            noted = [*(f"it is frozen, and {said}" for said in inputs), *noted]
            inputs = []
        return Verdict((*changed, *inputs, *outs), tuple(noted))

    def _changed_inputs(
        self, step: StepRecord, recorded: Step, planned: PlannedStep
    ) -> tuple[list[str], list[str]]:
        changed: list[str] = []
        unclear: list[str] = []
        for file, keys in planned.params.items():
            values = recorded.params.get(file)
            values = values if isinstance(values, dict) else {}
            one, other = self._changed_params(step, file, keys, values)
            changed += one
            unclear += other
        unplanned = set(without([dep.path for dep in recorded.deps], planned.deps))
        for dep in recorded.deps:
            path = step.place(dep.path) if dep.path else None
            if path is None or dep.path in unplanned or dep.md5 is None:
                continue
            asked = (path, dep.md5, dep.nfiles, dep.legacy)  # by many steps, of the same file
            if asked not in self._compared:
                self._compared[asked] = self._is_same_input(path, dep, dep.md5)
            same, why = self._compared[asked]
            if same is False:
                changed.append(f"its input {path!r} is another than it was" + (f": {why}" if why else ""))
            elif same is None:
                unclear.append(f"its input {path!r} can't be compared: {why}")
        return changed, unclear

    def _changed_params(
        self, step: StepRecord, file: str, keys: Sequence[str], values: Mapping[str, object]
    ) -> tuple[list[str], list[str]]:
        path = step.place(file)
        if path is None or not self._snapshot.is_file(path):
            made = bool(path is not None and self._records.find(path).all)
            why = "DVC keeps it" if made else "the commit does not have it"
            return [], [f"its parameters in {file!r} can't be compared: {why}"]
        try:
            return param_differences(path, keys, values, self._snapshot.document(path))
        except InvalidFileError as error:
            return [], [f"its parameters can't be compared: {error}"]

    def _is_same_input(self, path: str, dep: Dep, md5: str) -> tuple[bool | None, str]:
        found = self._records.find(path)
        if found.exact:
            made = found.exact[0]
            if made.md5 is None:
                return False if made.is_missing else None, "nothing is recorded of it"
            if made.md5 == md5:
                return True, ""
            return (False, "") if made.out.legacy == dep.legacy else (None, "DVC 2 recorded one of them")
        if found.container is not None:
            listing = self._records.listing(found.container)
            if listing is None:
                return None, f"what is in {found.container.path!r} is not on this machine"
            inside = path[len(found.container.path) + 1 :]
            same = md5 == (_part_md5(listing, inside) if md5.endswith(".dir") else listing.get(inside))
            return (same or None, "DVC 2 recorded it") if dep.legacy else (same, "")
        if found.below:
            files = self._files_in(path, found.below)
            same = files is not None and listing_md5(files) == md5
            return same or None, "it is a folder that has what DVC tracks, and may have had more"
        if self._snapshot.submodule(path) is not None:
            return None, "it is in a submodule"
        if self._snapshot.oid(path) is None:
            return None, "the commit does not have it"
        return self._snapshot.is_as_recorded(path, md5, nfiles=dep.nfiles, legacy=dep.legacy)

    def _files_in(self, folder: str, below: Sequence[Made]) -> list[ListedFile] | None:
        """The files of a folder in Git and in DVC; None where that is not known here."""
        hashes: dict[str, str] = {}
        for made in below:
            if made.is_missing:
                continue
            listing = self._records.listing(made) if made.out.is_directory else {"": made.md5 or ""}
            if listing is None:
                return None
            hashes |= {
                posixpath.join(made.path, name) if name else made.path: md5 for name, md5 in listing.items()
            }
        if len(self._snapshot.below(folder)) > MOST_COMPARED:
            return None
        for path in self._snapshot.below(folder):
            data = self._snapshot.data(path)
            if data is None:
                return None
            hashes[path] = md5_of(data)
        start = 0 if folder == "." else len(folder) + 1
        return [ListedFile(path[start:], md5) for path, md5 in hashes.items()]

    def _changed_outs(self, step: StepRecord) -> tuple[list[str], list[str]]:
        """What of the step's outputs is in Git, and another than it made."""
        changed: list[str] = []
        unclear: list[str] = []
        for made in step.outs:
            md5 = made.out.md5
            if md5 is None or self._snapshot.oid(made.path) is None or self._is_tracked_inside(made):
                continue
            same, why = self._snapshot.is_as_recorded(
                made.path, md5, nfiles=made.out.nfiles, legacy=made.out.legacy
            )
            if same is False:
                changed.append(f"its output {made.path!r} in Git is another than it made")
            elif same is None:
                unclear.append(f"its output {made.path!r} can't be compared: {why}")
        return changed, unclear

    def _is_tracked_inside(self, made: Made) -> bool:
        """Whether DVC keeps the folder, of which Git has no more than a ``.gitignore``."""
        if not self._snapshot.is_folder(made.path):
            return False
        return all(posixpath.basename(path) == ".gitignore" for path in self._snapshot.below(made.path))


def _part_md5(listing: Mapping[str, str], folder: str) -> str:
    """What DVC calls a folder in a folder."""
    return listing_md5(
        [
            ListedFile(path[len(folder) + 1 :], md5)
            for path, md5 in listing.items()
            if path.startswith(f"{folder}/")
        ]
    )
