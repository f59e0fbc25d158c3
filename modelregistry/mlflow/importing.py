"""Brings a whole MLflow registry here: each version a commit of its own and a registration, then the stages."""

from __future__ import annotations

import logging
import os
import posixpath
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import JsonValue

from modelregistry.errors import ConflictError, MissingBytesError, RegistryError, RegistryWarning
from modelregistry.git.repo import GitRepo
from modelregistry.git.workingcopy import Author
from modelregistry.intake.arrivals import Arrival, check_arrivals, commit_arrivals
from modelregistry.log.history import Expected, History, Stages
from modelregistry.mlflow.client import MLflowRegistry, open_mlflow
from modelregistry.mlflow.facts import MLflowModel, MLflowRun, MLflowVersion
from modelregistry.mlflow.metadata import ORIGIN, model_metadata, version_metadata
from modelregistry.mlflow.migration import Action, Migration, MigrationStep
from modelregistry.mlflow.names import check_labels, choose_names, version_name
from modelregistry.mlflow.plan import Plan, plan_stages, plan_versions
from modelregistry.progress import Progress, counted
from modelregistry.project.declarations import Declarations, declaring_file, short_name
from modelregistry.project.dvcfiles import read_dvc_file

_log = logging.getLogger("modelregistry")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Verbs(Protocol):
    """What is written with: the verbs of the registry."""

    def register(
        self,
        model: str,
        *,
        path: str,
        rev: str,
        version: str,
        message: str,
        metadata: Mapping[str, JsonValue],
        push_data: bool,
        progress: Literal[False],
    ) -> object:
        """Register what a commit has."""

    def promote(
        self, model: str, version: str, stage: str, *, message: str, expected: Expected, keep: bool
    ) -> object:
        """Put a version on a stage."""

    def annotate(
        self, model: str, version: str | None, metadata: Mapping[str, JsonValue], *, message: str
    ) -> object:
        """Attach metadata."""


class Adder(Protocol):
    """What puts files into DVC's cache."""

    def check(self, path: str, *, pushed: bool = False) -> None:
        """Refuse what could not be added."""

    def add(self, path: str, source: Path) -> bytes:
        """Put a file or folder there; returns the text of its ``.dvc`` file."""

    def scratch(self, path: str) -> AbstractContextManager[Path]:
        """A folder beside the cache, for as long as the body runs."""


@dataclass(frozen=True, slots=True)
class Here:
    """The registry that versions are brought to."""

    repo: GitRepo
    declarations: Declarations
    stages: Stages
    history: Callable[[str], History]
    """Gives the log of a model."""
    is_taken: Callable[[str, str], bool]
    """Whether a commit has something at a path."""
    misfit: Callable[[str, Mapping[str, JsonValue], Mapping[str, JsonValue] | None], str | None]
    """Why metadata does not fit what the team wants: of a version that is new, or of a model that has some already."""
    adder: Adder
    is_pushed: bool
    """Whether the bytes will be pushed."""
    verbs: Verbs


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller says."""

    models: Collection[str] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, str | None] = field(default_factory=dict)
    into: str = "models"
    move_stages: bool = False
    message: str = ""
    push_data: bool = True


def import_mlflow(
    uri: str | os.PathLike[str],
    here: Here,
    wishes: Wishes,
    *,
    tracking_uri: str | None,
    progress: Progress,
    dry_run: bool,
) -> Migration:
    """Bring what is new there; what was brought before, or moved here since, is left as it is.

    Raises:
        RegistryError: As ``Registry.import_mlflow`` says.
    """
    check_labels(wishes.stages, here.stages)
    with open_mlflow(uri, tracking_uri=tracking_uri) as there:
        models = there.models(wishes.models)
        return _Move(there, here, wishes, progress=progress, dry_run=dry_run).run(models)


class _Move:
    """One migration, as far as it is."""

    def __init__(
        self, there: MLflowRegistry, here: Here, wishes: Wishes, *, progress: Progress, dry_run: bool
    ) -> None:
        self._progress = progress
        self._there = there
        self._here = here
        self._wishes = wishes
        self._dry_run = dry_run
        self._steps: list[MigrationStep] = []

    def run(self, models: list[MLflowModel]) -> Migration:
        plans = [plan for model, name in self._named(models) if (plan := self._planned(model, name))]
        arriving = [(plan.target, self._path(plan.target)) for plan in plans if plan.new]
        if arriving:
            check_arrivals(self._here.repo, arriving)
        for _, path in arriving if not self._dry_run else ():
            self._here.adder.check(path, pushed=self._here.is_pushed)
        here = {plan.target: {*plan.here} for plan in plans}
        new = [(plan, version) for plan in plans for version in plan.new]
        # As they came to be, so that the history of the commits tells it too.
        in_order = sorted(new, key=lambda pair: _age(pair[1]))
        for plan, version in counted(in_order, self._progress, "importing from MLflow", "versions"):
            if self._bring(plan, version):
                here[plan.target].add(version_name(version.number))
        for plan in plans:
            self._move_stages(plan, here[plan.target])
        return Migration(self._steps, dry_run=self._dry_run)

    def _named(self, models: list[MLflowModel]) -> list[tuple[MLflowModel, str]]:
        """The models that can have a name here."""
        names = choose_names([model.name for model in models], self._wishes.names)
        found = []
        for model in models:
            target = names.chosen.get(model.name)
            if target is None:
                self._step(model.name, "skip", note=names.refused[model.name])
                continue
            if target != model.name:
                self._step(model.name, "rename", target)
            found.append((model, target))
        return found

    def _planned(self, model: MLflowModel, target: str) -> Plan | None:
        head, path = self._here.repo.resolve("HEAD"), self._path(target)
        declared = self._here.declarations.at(head, target)
        taken = None
        if declared is not None and declared.path != path:
            taken = f"{declaring_file(target)} declares {target!r} at {declared.path!r}"
        elif declared is None and self._here.is_taken(head, path):
            taken = f"{path!r} is something else already"
        if taken is not None:
            note = f"{taken}, and this would be at {path!r}: names={{{model.name!r}: …}} or into= keeps them apart"
            self._step(model.name, "skip", target, note)
            return None
        plan = plan_versions(model, target, self._here.history(target))
        self._steps += plan.steps
        return plan

    def _path(self, target: str) -> str:
        return posixpath.join(target.rpartition(":")[0], self._wishes.into, short_name(target))

    # -- versions ------------------------------------------------------------------------------------------

    def _bring(self, plan: Plan, version: MLflowVersion) -> bool:
        """Bring one version; whether it is here then, or would be."""
        name = version_name(version.number)
        reference = f"{plan.target}@{name}"
        if (doubt := self._there.doubt(version)) is not None:
            self._step(str(version), "skip", reference, doubt)
            return False
        run = self._there.run_of(version)
        metadata, lost = version_metadata(version, run, address=self._there.address)
        if (why := self._here.misfit(reference, metadata, None)) is not None:
            self._step(str(version), "skip", reference, why)
            return False
        note = ""
        if not self._dry_run:
            with self._here.adder.scratch(self._path(plan.target)) as folder:
                try:
                    found = self._there.download(version, folder)
                except MissingBytesError as error:
                    self._step(str(version), "skip", reference, str(error))
                    return False
                text = self._here.adder.add(self._path(plan.target), found)
            if (withdrawn := self._withdrawn(plan.target, text)) is not None:
                why = f"these bytes are {plan.target}@{withdrawn}, which was withdrawn here"
                self._step(str(version), "skip", reference, why)
                return False
            try:
                note = self._write(plan, version, text, _author(version, run), metadata)
            except RegistryError as error:
                error.add_note(
                    f"{len(self._made())} versions were brought before that: call it again for the rest"
                )
                raise
            _log.info("%s of MLflow is %s", version, reference)
        self._step(str(version), "register", reference, note)
        for what in lost:
            self._step(str(version), "lose", reference, what)
        return True

    def _withdrawn(self, target: str, dvc_file: bytes) -> str | None:
        """The version that has these bytes and was withdrawn: known before a commit is made that nothing comes of."""
        addresses = {f"md5:{out.md5}" for out in read_dvc_file(dvc_file, f"{target}.dvc").outs}
        for name, record in self._here.history(target).versions.items():
            if record.withdrawn is not None and record.registered.address in addresses:
                return name
        return None

    def _write(
        self,
        plan: Plan,
        version: MLflowVersion,
        dvc_file: bytes,
        author: Author | None,
        metadata: Mapping[str, JsonValue],
    ) -> str:
        """Commit and register; returns what there is to say of it."""
        path = self._path(plan.target)
        commit = commit_arrivals(
            self._here.repo,
            [Arrival(plan.target, path, dvc_file, description=_words(plan.model.description) or None)],
            f"Import {' '.join(plan.model.name.split())} version {version.number} from MLflow as {plan.target}",
            author=author,
        )
        message = self._wishes.message or _words(version.description) or f"Import {version} from MLflow"
        with _told() as told:
            self._here.verbs.register(
                plan.target, path=path, rev=commit, version=version_name(version.number), message=message,
                metadata=metadata, push_data=self._wishes.push_data, progress=False,
            )  # fmt: skip
        return "; ".join(told)

    def _made(self) -> list[MigrationStep]:
        return [step for step in self._steps if step.action == "register"]

    # -- stages --------------------------------------------------------------------------------------------

    def _move_stages(self, plan: Plan, here: Collection[str]) -> None:
        target, history = plan.target, self._here.history(plan.target)
        found = plan_stages(plan, history, self._wishes.stages, here=here, again=self._wishes.move_stages)
        self._steps += found.steps
        for move in found.moves:
            if self._dry_run:
                self._steps.append(move.step)
                continue
            try:
                self._here.verbs.promote(
                    target, move.version, move.stage, message=self._wishes.message or f"Import {move.step.source} from MLflow",
                    expected=move.expected, keep=True,
                )  # fmt: skip
            except ConflictError as error:
                self._step(move.step.source, "skip", move.step.target, str(error))
            else:
                self._steps.append(move.step)
        if not here:
            return
        metadata, lost = model_metadata(plan.model, found.seen)
        before = history.metadata(None)
        if before.get(ORIGIN) != metadata[ORIGIN]:
            if (why := self._here.misfit(target, metadata, before)) is not None:
                self._step(plan.model.name, "skip", target, why)
                return
            if not self._dry_run:
                self._here.verbs.annotate(
                    target,
                    None,
                    metadata,
                    message=self._wishes.message or f"Import {plan.model.name} from MLflow",
                )
            self._step(plan.model.name, "annotate", target, "its description, tags and aliases")
        for what in lost:
            self._step(plan.model.name, "lose", target, what)

    def _step(self, source: str, action: Action, target: str = "", note: str = "") -> None:
        self._steps.append(MigrationStep(source, action, target, note))


@contextmanager
def _told() -> Iterator[list[str]]:
    """What the registry warns of meanwhile: of many versions it is told in the report, each beside its own."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RegistryWarning)
        yield told
    for each in caught:
        if isinstance(each.message, RegistryWarning):
            told.append(str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _age(version: MLflowVersion) -> tuple[datetime, str, int]:
    return version.created_at or _EPOCH, version.model, version.number


def _author(version: MLflowVersion, run: MLflowRun) -> Author | None:
    """Who made the version, and when, as its commit says it; nobody where MLflow does not know when."""
    if version.created_at is None:
        return None
    name = version.author or run.author
    return Author(name, name if name and "@" in name else "", version.created_at)


def _words(text: str) -> str:
    """The text, as a message and a description can hold it."""
    return text.replace("\0", " ").replace("-----BEGIN ", "BEGIN ").strip()
