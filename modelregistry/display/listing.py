"""What the lists of a registry show: their rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from modelregistry.display.shown import Shown
from modelregistry.display.tables import Rows
from modelregistry.log.checks import Problem
from modelregistry.log.events import Event
from modelregistry.log.summaries import Summary
from modelregistry.project.declarationtexts import Declaration
from modelregistry.version import ModelVersion


@dataclass(frozen=True, slots=True, repr=False)
class Model(Shown):
    """One line of ``models()``."""

    name: str
    type: str | None
    """What ``dvc.yaml`` says; None where it says nothing."""
    latest: str | None
    """The latest version; None where none is registered or all are withdrawn."""
    stages: Mapping[str, tuple[str, ...]]
    """The stages that have a holder, highest first, with their holders."""
    registered: bool = True
    """False for an artifact that ``dvc.yaml`` declares and nobody registered yet."""
    deprecated: bool = False
    path: str | None = None
    description: str | None = None
    labels: tuple[str, ...] = ()
    _read: Callable[[str], Mapping[str, JsonValue]] | None = field(default=None, compare=False, repr=False)

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """What was said of the model as a whole (``annotate("churn", None, {…})``), read when it is asked for."""
        return self._read(self.name) if self._read is not None else {}


def model_row(
    name: str,
    summary: Summary,
    found: Declaration | None,
    read: Callable[[str], Mapping[str, JsonValue]] | None = None,
) -> Model:
    """The line of a model that has a log, and of which ``dvc.yaml`` may say more."""
    return Model(
        name=name, type=found.type if found else None, latest=summary.latest, stages=summary.stages,
        deprecated=summary.deprecated, path=found.path if found else None,
        description=found.description if found else None, labels=found.labels if found else (),
        _read=read,
    )  # fmt: skip


def unregistered_row(name: str, found: Declaration) -> Model:
    """The line of an artifact that nobody registered yet."""
    return Model(
        name=name, type=found.type, latest=None, stages={}, registered=False, path=found.path,
        description=found.description, labels=found.labels,
    )  # fmt: skip


MODEL_COLUMNS: Mapping[str, Callable[[Model], object]] = {
    "name": lambda row: row.name,
    "latest": lambda row: row.latest if row.registered else "(not registered)",
    "stages": lambda row: row.stages,
    "type": lambda row: row.type,
    "description": lambda row: row.description,
}
VERSION_COLUMNS: Mapping[str, Callable[[ModelVersion], object]] = {
    "version": lambda row: row.version,
    "state": lambda row: row.state,
    "registered": lambda row: row.created_at,
    "by": lambda row: row.author,
    "rev": lambda row: row.rev[:10],
    "message": lambda row: row.message,
}


class Events(Rows[Event]):
    """The events of all models.

    Attributes:
        cursor: What ``events(after=…)`` takes to give only what came since. It says which events were had, in 8
            characters each.
    """

    def __init__(
        self, rows: Iterable[Event], columns: Mapping[str, Callable[[Event], object]], *, cursor: str
    ) -> None:
        super().__init__(rows, columns)
        self.cursor = cursor


def event_columns(holders_before: Mapping[str, str | None]) -> Mapping[str, Callable[[Event], object]]:
    """The columns of a list of events; ``before`` is who held the stage until then, by the id of the event."""
    return {
        "at": lambda row: row.at,
        "model": lambda row: row.model,
        "event": lambda row: row.kind,
        "version": lambda row: getattr(row, "version", None),
        "stage": lambda row: getattr(row, "stage", None),
        "before": lambda row: holders_before.get(row.id),
        "by": lambda row: row.author,
        "message": lambda row: row.message,
    }


PROBLEM_COLUMNS: Mapping[str, Callable[[Problem], object]] = {
    "model": lambda row: row.model,
    "where": lambda row: row.where,
    "what": lambda row: row.what,
    "mend": lambda row: row.mend,
}
