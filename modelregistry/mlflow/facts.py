"""What an MLflow registry says: its models, their versions, and the runs that made them, as frozen facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

READY = "READY"
"""The status of a version whose registration came to its end."""


@dataclass(frozen=True, slots=True)
class MLflowVersion:
    """One version of a registered model."""

    model: str
    number: int
    created_at: datetime | None = None
    updated_at: datetime | None = None
    author: str | None = None
    description: str = ""
    stage: str | None = None
    """The stage of the old kind, if it holds one: ``Production``, ``Staging`` or ``Archived``."""
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    status: str = READY
    source: str = ""
    """Where it was registered from."""
    run_id: str | None = None
    model_id: str | None = None
    """The logged model it is, since MLflow 3."""

    def __str__(self) -> str:
        return f"{self.model}/{self.number}"


@dataclass(frozen=True, slots=True)
class MLflowModel:
    """A registered model."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    aliases: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The version of each alias."""
    versions: tuple[MLflowVersion, ...] = ()
    """In the order of their numbers; deleted ones are not there."""


@dataclass(frozen=True, slots=True)
class MLflowRun:
    """What made a version: the run, and since MLflow 3 the logged model."""

    name: str | None = None
    experiment: str | None = None
    author: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The last value of each."""
    params: Mapping[str, str] = field(default_factory=dict, hash=False)
    commit: str | None = None
    """The Git commit that the run noted."""
    repository: str | None = None
    """The repository of that commit."""
    script: str | None = None
    datasets: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    """The name and digest of each dataset that it took in."""
    lost: str | None = None
    """Why nothing of it can be told."""
