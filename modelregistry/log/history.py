"""The fold: from the events of one model to its versions, who holds which stage, and who held it before.

The rules, in one place:

* Events count in the order of their time; within one second in GTO's order of kinds, then by number, then by name.
* A version is what its first registration says; of two of ours the one with the lower number, whatever their dates.
  GTO's deregistration hides it until GTO registers it again: at the same commit with its stages, at another one as
  another version. A withdrawal of ours is final.
* An assignment stands until its version is unassigned from that stage, leaves it, is withdrawn, or the stage is
  emptied. An exclusive stage is held by the version of the last standing assignment, a shared one by all of them.
* A stage tag of ours at another commit than its version's counts for nothing.
* A stage tag without a version (GTO writes none) means the version registered at its commit, whenever that was
  registered. With several there, the one registered last.
* A rollback restores an earlier tenure: assignments made since end with it, and the next rollback walks further back.
* Echoes change nothing. A deprecation ends with the model's next event, annotations apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Final

from pydantic import JsonValue

from modelregistry.log.events import (
    Annotated,
    Assigned,
    Deprecated,
    Deregistered,
    Event,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.names import INACTIVE, WITHDRAWN, is_prerelease, version_key

DEFAULT_STAGES = ("shadow", "current")


class Holder(Enum):
    """What ``expected`` and ``then`` may say instead of a version."""

    ANY = "any"
    EMPTY = "empty"


ANY: Final = Holder.ANY
"""Don't check who holds the stage."""
EMPTY: Final = Holder.EMPTY
"""Nobody."""

Expected = str | Holder


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of a registry."""

    order: tuple[str, ...] = DEFAULT_STAGES
    """Lowest first: a version's state is the highest stage it holds."""
    shared: frozenset[str] = frozenset()
    """Stages that several versions may hold at once."""
    written_down: bool = False
    """Whether the team wrote them down; else a stage that a model has already is welcome too."""

    def sorted(self, names: Iterable[str]) -> tuple[str, ...]:
        """``names``, highest first; those that are not configured come last, by name."""
        known = {name: -position for position, name in enumerate(self.order)}
        return tuple(sorted(names, key=lambda name: (name not in known, known.get(name, 0), name)))


@dataclass(slots=True)
class Tenure:
    """A version's time on a stage, as one assignment gave it."""

    version: str
    event: Assigned
    previous: Tenure | None
    """The tenure before it; for a restored one, the one before the tenure it restores."""


@dataclass(slots=True)
class VersionRecord:
    """What the log says of one version."""

    registered: Registered
    hidden: bool = False
    """Whether GTO deregistered it."""
    withdrawn: Withdrawn | None = None

    @property
    def served(self) -> bool:
        """Whether it may be handed out."""
        return not self.hidden and self.withdrawn is None


@dataclass(slots=True)
class _Stage:
    """One stage while the log is folded."""

    standing: dict[str, Tenure] = field(default_factory=dict)
    """By version, oldest assignment first."""
    last: Tenure | None = None
    """The tenure that was seen last, whether it still runs or not."""
    holder: Tenure | None = None


class History:
    """What the log of one model says, at its end or at a moment (``as_of``).

    Attributes:
        model: The model's name.
        stages: The stages it was folded with.
        events: The events that count, in order, echoes among them.
    """

    def __init__(
        self, model: str, events: Iterable[Event], stages: Stages, *, as_of: datetime | None = None
    ) -> None:
        self.model = model
        self.stages = stages
        ordered = sorted(events, key=lambda event: event.order)
        self.events: Sequence[Event] = (
            ordered if as_of is None else [event for event in ordered if event.at <= as_of]
        )
        self._records: dict[str, VersionRecord] = {}
        self._by_rev: dict[str, list[str]] = {}
        self._stages: dict[str, _Stage] = {}
        self._tenures: dict[tuple[str, str], Tenure] = {}
        self._before: dict[str, str | None] = {}
        self._link()
        self._fold()

    # -- folding -------------------------------------------------------------------------------------------

    def _link(self) -> None:
        """Learn which versions there are, so that a stage tag finds one that was registered after it."""
        for event in self.events:
            match event:
                case Registered():
                    self._link_registration(event)
                case Withdrawn():
                    if record := self._records.get(event.version):
                        record.withdrawn = record.withdrawn or event
                case Deregistered():
                    record = self._records.get(event.version)
                    if record and record.registered.rev == event.rev:
                        record.hidden = True

    def _link_registration(self, event: Registered) -> None:
        record = self._records.get(event.version)
        if record is not None and record.registered.rev == event.rev:
            record.hidden = False
            return
        if record is None:
            record = VersionRecord(event)
        else:
            reborn = record.hidden and record.withdrawn is None  # by GTO: it is another one now
            if not reborn and not dated_back(record.registered, event):
                return
            self._by_rev[record.registered.rev].remove(event.version)
            record = VersionRecord(event) if reborn else replace(record, registered=event)
        self._records[event.version] = record
        self._by_rev.setdefault(event.rev, []).append(event.version)

    def _fold(self) -> None:
        hidden: set[str] = set()
        for event in self.events:
            if event.echo_of is not None:
                continue
            match event:
                case Assigned():
                    self._assign(event, hidden)
                case Unassigned():
                    version = self.version_of(event)
                    stage = self._stage(event.stage)
                    self._before[event.id] = stage.holder.version if stage.holder else None
                    if event.empties:
                        stage.standing.clear()
                    elif version is not None:
                        stage.standing.pop(version, None)
                    self._settle(stage, hidden)
                case Registered():
                    record = self._records[event.version]
                    if (
                        event.version in hidden
                        and record.withdrawn is None
                        and record.registered.rev == event.rev
                    ):
                        hidden.discard(event.version)
                        self._settle_all(hidden)
                case Withdrawn() | Deregistered():
                    known = self._records.get(event.version)
                    if known and (isinstance(event, Withdrawn) or known.registered.rev == event.rev):
                        hidden.add(event.version)
                        self._settle_all(hidden)

    def _assign(self, event: Assigned, hidden: set[str]) -> None:
        version = self.version_of(event)
        if version is None:
            return
        for left in event.leaves:
            if left != event.stage and (stage := self._stages.get(left)):
                stage.standing.pop(version, None)
                self._settle(stage, hidden)
        stage = self._stage(event.stage)
        self._before[event.id] = stage.holder.version if stage.holder else None
        restored = self._tenures.get((event.stage, event.restores)) if event.restores else None
        if restored is not None:
            previous = restored.previous
            for other in self.since(restored, event.stage):
                del stage.standing[other]
        elif stage.last is not None and stage.last.version == version and stage.holder is stage.last:
            previous = stage.last.previous
        else:
            previous = stage.last
        tenure = self._tenures[event.stage, event.id] = Tenure(version, event, previous)
        stage.standing.pop(version, None)
        stage.standing[version] = tenure
        self._settle(stage, hidden)

    def _stage(self, name: str) -> _Stage:
        found = self._stages.get(name)
        if found is None:
            found = self._stages[name] = _Stage()
        return found

    def _settle(self, stage: _Stage, hidden: set[str]) -> None:
        stage.holder = None
        for version in reversed(stage.standing):
            if version not in hidden:
                stage.holder = stage.last = stage.standing[version]
                return

    def _settle_all(self, hidden: set[str]) -> None:
        for stage in self._stages.values():
            self._settle(stage, hidden)

    # -- versions ------------------------------------------------------------------------------------------

    @property
    def versions(self) -> Mapping[str, VersionRecord]:
        """Every version that was ever registered, first registered first."""
        return self._records

    @cached_property
    def served(self) -> tuple[str, ...]:
        """The versions that may be handed out, greatest first."""
        names = [version for version, record in self._records.items() if record.served]
        return tuple(sorted(names, key=version_key, reverse=True))

    @property
    def latest(self) -> str | None:
        """The greatest version that may be handed out; a pre-release only when there is nothing else."""
        return next(
            (version for version in self.served if not is_prerelease(version)), next(iter(self.served), None)
        )

    def version_of(self, event: Assigned | Unassigned) -> str | None:
        """The version that a stage event is about; None where its commit has none, or not that one."""
        if event.version is not None:
            record = self._records.get(event.version)
            return event.version if record is not None and record.registered.rev == event.rev else None
        found = self._by_rev.get(event.rev)
        return found[-1] if found else None

    def versions_at(self, rev: str) -> tuple[str, ...]:
        """The versions registered at that very commit."""
        return tuple(self._by_rev.get(rev, ()))

    # -- stages --------------------------------------------------------------------------------------------

    def holders(self, stage: str) -> tuple[str, ...]:
        """The versions that hold the stage: at most one where it is exclusive; the last assigned first."""
        found = self._stages.get(stage)
        if found is None:
            return ()
        if stage not in self.stages.shared:
            return (found.holder.version,) if found.holder else ()
        return tuple(version for version in reversed(found.standing) if self._records[version].served)

    def tenure(self, stage: str) -> Tenure | None:
        """The holder's tenure; None where nobody holds the stage."""
        found = self._stages.get(stage)
        return found.holder if found else None

    def last_tenure(self, stage: str) -> Tenure | None:
        """The tenure that a rollback from here leaves, or, on an empty stage, the last there was."""
        found = self._stages.get(stage)
        return found.last if found else None

    def standing(self, stage: str) -> tuple[str, ...]:
        """The versions whose assignment to the stage stands, oldest first, hidden ones too."""
        found = self._stages.get(stage)
        return tuple(found.standing) if found else ()

    @property
    def holders_before(self) -> Mapping[str, str | None]:
        """Who held the stage when an assignment, or the end of one, came: by the id of that event."""
        return self._before

    def standing_tenure(self, stage: str, version: str) -> Tenure:
        """The standing assignment of the version to the stage."""
        return self._stages[stage].standing[version]

    def since(self, tenure: Tenure, stage: str) -> tuple[str, ...]:
        """The other versions whose standing assignment to the stage came after the tenure: what a rollback ends."""
        found = self._stages.get(stage)
        return tuple(
            version
            for version, other in (found.standing.items() if found else ())
            if version != tenure.version and other.event.order > tenure.event.order
        )

    @property
    def stages_used(self) -> tuple[str, ...]:
        """Every stage the model ever had, highest first."""
        return self.stages.sorted(self._stages)

    @cached_property
    def assignments(self) -> Mapping[str, tuple[str, ...]]:
        """The stages that have a holder, highest first, with their holders."""
        found = {stage: self.holders(stage) for stage in self.stages_used}
        return {stage: holders for stage, holders in found.items() if holders}

    def stages_of(self, version: str) -> tuple[str, ...]:
        """The stages that the version holds, highest first."""
        return tuple(stage for stage, holders in self.assignments.items() if version in holders)

    def state(self, version: str) -> str:
        """The highest stage the version holds, else ``inactive``, else ``withdrawn``."""
        if not self._records[version].served:
            return WITHDRAWN
        return next(iter(self.stages_of(version)), INACTIVE)

    # -- the rest ------------------------------------------------------------------------------------------

    @property
    def last(self) -> Event | None:
        """The event that the next one comes after."""
        return self.events[-1] if self.events else None

    @property
    def deprecated(self) -> Deprecated | None:
        """The deprecation that stands, if one does."""
        last = next(
            (
                event
                for event in reversed(self.events)
                if not isinstance(event, Annotated) and event.echo_of is None
            ),
            None,
        )
        return last if isinstance(last, Deprecated) else None

    def metadata(self, version: str | None = None) -> dict[str, JsonValue]:
        """What was said of the version at registration and since; of the model as a whole where it is None."""
        merged = dict(self._records[version].registered.metadata) if version is not None else {}
        for event in self._annotations.get(version, ()):
            _merge(merged, event)
        return merged

    def all_metadata(self) -> dict[str | None, dict[str, JsonValue]]:
        """That of every version, and of the model as a whole (None), by one walk over the log."""
        found: dict[str | None, dict[str, JsonValue]] = {
            version: dict(record.registered.metadata) for version, record in self._records.items()
        }
        for event in self.events:
            if isinstance(event, Annotated) and (event.version is None or event.version in self._records):
                _merge(found.setdefault(event.version, {}), event)
        return found

    def said_by(self, key: str, version: str | None = None) -> Event | None:
        """The event by which an entry of the metadata is what it is: of the version, or of the model as a whole."""
        for event in reversed(self.events):
            if isinstance(event, Annotated) and event.version == version and key in event.metadata:
                return event
        registered = self._records[version].registered if version is not None else None
        return registered if registered is not None and key in registered.metadata else None

    @cached_property
    def _annotations(self) -> Mapping[str | None, Sequence[Annotated]]:
        """By what they are about; None is the model as a whole."""
        found: dict[str | None, list[Annotated]] = {}
        for event in self.events:
            if isinstance(event, Annotated):
                found.setdefault(event.version, []).append(event)
        return found


def _merge(metadata: dict[str, JsonValue], event: Annotated) -> None:
    """Say what an annotation says: a null takes a key away."""
    for key, value in event.metadata.items():
        if value is None:
            metadata.pop(key, None)
        else:
            metadata[key] = value


def dated_back(event: Registered, other: Registered) -> bool:
    """Whether the registration was made when the other was there, by its number, whatever its date says."""
    return event.schema_version > 0 and event.number > other.number


def _standing_for_gto(history: History, stage: str) -> dict[str, Event]:
    """The versions whose last stage tag is an assignment: what GTO goes by, which reads no trailer."""
    standing: dict[str, Event] = {}
    for event in history.events:
        if isinstance(event, (Assigned, Unassigned)) and event.stage == stage:
            version = history.version_of(event)
            if version is not None and isinstance(event, Assigned):
                standing[version] = event
            elif version is not None:
                standing.pop(version, None)
    return standing


def forgotten_by_gto(history: History) -> Iterator[tuple[str, str, Event]]:
    """Stage, version and tag, where a holder is none for GTO: an echo was written, and never what it repeats."""
    for stage in history.stages_used:
        standing = _standing_for_gto(history, stage)
        for version in history.holders(stage):
            if version not in standing:
                yield (
                    stage,
                    version,
                    next(
                        event
                        for event in reversed(history.events)
                        if isinstance(event, Unassigned)
                        and event.stage == stage
                        and history.version_of(event) == version
                    ),
                )


def revived_for_gto(history: History) -> Event | None:
    """The echo that came after the deprecation that stands: GTO takes it for an event that ends that."""
    deprecated = history.deprecated
    last = next((event for event in reversed(history.events) if not isinstance(event, Annotated)), None)
    return last if deprecated is not None and not isinstance(last, Deprecated) else None


def missing_echoes(history: History) -> Iterator[tuple[str, str, Event]]:
    """Stage, version and assignment, where GTO counts a version as a holder that has left the stage."""
    for stage in history.stages_used:
        for version, assigned in _standing_for_gto(history, stage).items():
            if version not in history.standing(stage) and history.versions[version].served:
                yield stage, version, assigned


def gto_differs(history: History) -> bool:
    """Whether GTO answers otherwise, for want of a tag that repeats what a trailer says."""
    return (
        any(missing_echoes(history)) or any(forgotten_by_gto(history)) or revived_for_gto(history) is not None
    )
