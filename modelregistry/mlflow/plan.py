"""What a migration from MLflow does: from what is there and what is here to the steps, and why the rest is left."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from modelregistry.log.history import ANY, EMPTY, Expected, History
from modelregistry.mlflow.facts import READY, MLflowModel, MLflowVersion
from modelregistry.mlflow.metadata import is_from, stages_of
from modelregistry.mlflow.migration import MigrationStep
from modelregistry.mlflow.names import label_order, stage_for, version_name

_ARCHIVED = "Archived"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one model."""

    model: MLflowModel
    target: str
    """What it is called here."""
    new: tuple[MLflowVersion, ...] = ()
    """The versions to bring, in their order."""
    here: frozenset[str] = frozenset()
    """The versions of it that were brought before."""
    steps: tuple[MigrationStep, ...] = field(default=())
    """What is left as it is."""


@dataclass(frozen=True, slots=True)
class StageMove:
    """A stage that is to be moved."""

    step: MigrationStep
    stage: str
    version: str
    expected: Expected
    """Who holds it until then."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Which stages are to be moved, and what MLflow says of them now."""

    moves: tuple[StageMove, ...]
    steps: tuple[MigrationStep, ...]
    """What is left as it is."""
    seen: Mapping[str, list[str]] = field(default_factory=dict)
    """The version that MLflow gives each stage."""


def plan_versions(model: MLflowModel, target: str, history: History) -> Plan:
    """Which versions of a model are to be brought."""
    new: list[MLflowVersion] = []
    here: set[str] = set()
    steps: list[MigrationStep] = []
    for version in model.versions:
        name = version_name(version.number)
        reference = f"{target}@{name}"
        known = history.versions.get(name)
        if known is not None and is_from(known.registered.metadata, version):
            here.add(name)
            steps.append(
                MigrationStep(str(version), "present", reference, "" if known.served else "withdrawn here")
            )
        elif known is not None:
            why = f"{reference} is another version already: names={{{model.name!r}: …}} keeps them apart"
            steps.append(MigrationStep(str(version), "skip", reference, why))
        elif version.status != READY:
            steps.append(MigrationStep(str(version), "skip", "", f"its status is {version.status}"))
        else:
            new.append(version)
    if not model.versions:
        steps.append(MigrationStep(model.name, "skip", "", "it has no versions"))
    return Plan(model, target, tuple(new), frozenset(here), tuple(steps))


def plan_stages(
    plan: Plan,
    history: History,
    labels: Mapping[str, str | None],
    *,
    here: Collection[str],
    again: bool = False,
) -> StagePlan:
    """Which stages are to be moved. One that was moved here since MLflow last moved it is left alone.

    Args:
        plan: What was planned for the model.
        history: Its log here.
        labels: What the caller says of aliases and old stages.
        here: The versions of it that came from MLflow, and are here (or will be).
        again: Move also what was moved here.
    """
    moves: list[StageMove] = []
    steps: list[MigrationStep] = []
    seen: dict[str, list[str]] = {}
    before = stages_of(history.metadata(None))
    for label, source, version in _wishes(plan.model, labels):
        stage = stage_for(label, labels, history.stages)
        name = version_name(version)
        target = f"{plan.target}#{stage}"
        if stage is None:
            why = (
                "as stages= says"
                if label in labels
                else f"no stage here: stages={{{label!r}: …}} makes it one"
            )
            steps.append(MigrationStep(source, "skip", "", f"{why}; {name} keeps the word in its metadata"))
            continue
        taken = seen.get(stage, [])
        shared = stage in history.stages.shared
        if name in taken:
            continue
        if taken and not shared:
            why = f"{stage!r} goes to {taken[0]}, by another alias or stage"
            steps.append(MigrationStep(source, "skip", target, why))
            continue
        if name not in here:
            steps.append(MigrationStep(source, "skip", target, f"{name} is not here"))
            continue
        seen.setdefault(stage, []).append(name)
        holders = history.holders(stage)
        why_not = _why_not(history, stage, name, before.get(stage, []))
        if name in holders:
            steps.append(MigrationStep(source, "present", target, name))
        elif why_not is not None and (not again or not _is_served(history, name)):
            steps.append(MigrationStep(source, "skip", target, why_not))
        else:
            expected: Expected = ANY if shared else next(iter(holders), EMPTY)
            note = f"{name}, after {expected}" if isinstance(expected, str) else name
            moves.append(StageMove(MigrationStep(source, "promote", target, note), stage, name, expected))
    return StagePlan(tuple(moves), tuple(steps), seen)


def _wishes(model: MLflowModel, labels: Mapping[str, str | None]) -> Iterator[tuple[str, str, int]]:
    """Each alias, then each stage of the old kind: the word, what it is there, and its version; what counts first, first."""
    order = label_order(labels)
    last = len(order)
    for alias, number in sorted(model.aliases.items(), key=lambda item: (order.get(item[0], last), item)):
        yield alias, f"{model.name}@{alias}", number
    # MLflow lets several versions hold an old stage, and means the newest. An archived one holds none here.
    staged = [
        version
        for version in model.versions
        if version.stage and (version.stage in labels or version.stage != _ARCHIVED)
    ]
    for version in sorted(staged, key=lambda each: (order.get(each.stage or "", last), -each.number)):
        yield str(version.stage), f"{version} in {version.stage}", version.number


def _is_served(history: History, version: str) -> bool:
    record = history.versions.get(version)
    return record is None or record.served


def _why_not(history: History, stage: str, version: str, before: list[str]) -> str | None:
    """Why the stage is left as it is; None where nobody but an earlier migration ever moved it."""
    if not _is_served(history, version):
        return f"{version} was withdrawn here"
    holders = history.holders(stage)
    now = f"{', '.join(holders)} holds it" if holders else "it was emptied"
    ours = "and it was moved here: move_stages=True moves it as MLflow says"
    if version in before:
        return f"{now}, {ours}"
    if stage in history.stages.shared:
        return None
    if holders:
        return None if list(holders) == before else f"{now}, {ours}"
    return f"{now}, {ours}" if history.last_tenure(stage) is not None else None
