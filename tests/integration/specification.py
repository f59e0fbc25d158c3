"""Clones of one hub in memory: what each must hold after each call, by the pure rules and without git.

The hub is a ``MemoryBackend``. A clone is the tags it has, those it has yet to publish, and those it set aside. What a
call changes is changed a step at a time, and the world can be looked at after each: that is where a writer may die.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from modelregistry.backends.base import Backend, Log, Synced
from modelregistry.backends.memory import MemoryBackend
from modelregistry.errors import OutcomeUnknownError, RegistryError
from modelregistry.git.repo import Identity
from modelregistry.log import changes
from modelregistry.log.changes import Change, Writer
from modelregistry.log.events import Bytes, Event
from modelregistry.log.history import History, Stages, gto_differs
from modelregistry.log.writing import Decide, Pin, holders_of, stages_of, write


class Call(NamedTuple):
    """A verb of ``Registry`` with its arguments."""

    verb: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]

    @property
    def model(self) -> str:
        return self.args[0]

    def __repr__(self) -> str:
        words = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.options.items())]
        return f"{self.verb}({', '.join(words)})"


class Outcome(NamedTuple):
    """What came of a call: the name of an error, or what was returned."""

    error: str | None
    said: object = None


class Commit(NamedTuple):
    """A commit that models are registered from, and the bytes it has of each."""

    rev: str
    tree: str
    contents: Mapping[str, Bytes]


@dataclass
class State:
    """What one repository holds: events by tag; what waits, by id; what was set aside, by tag and id."""

    tags: dict[str, Event] = field(default_factory=dict)
    pending: dict[str, Event] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def copy(self) -> State:
        return State(dict(self.tags), dict(self.pending), set(self.refused))


class World:
    """The hub and its clones, by name.

    Args:
        people: Who writes in the clone of that name.
        commits: What there is to register.
        stages: The stages of the team.
    """

    def __init__(self, people: Mapping[str, Identity], commits: Mapping[str, Commit], stages: Stages) -> None:
        self.hub = MemoryBackend()
        self.people = people
        self.commits = commits
        self.stages = stages
        self.clones = {name: Clone(self, name) for name in people}
        self.moments: list[World] | None = None
        """How it stood after each step, where that is of interest."""

    def copy(self) -> World:
        new = World(self.people, self.commits, self.stages)
        for event in self.hub_tags.values():
            new.hub.append(event)
        for name, clone in self.clones.items():
            new.clones[name].state = clone.state.copy()
        return new

    def step(self) -> None:
        """Something changed: a process that dies now leaves the world like this."""
        if self.moments is not None:
            self.moments.append(self.copy())

    @property
    def hub_tags(self) -> dict[str, Event]:
        return {event.source: event for log in self.hub.read_all() for event in log.events}

    def states(self) -> dict[str, State]:
        """What every repository holds."""
        return {"hub": State(self.hub_tags)} | {name: clone.state for name, clone in self.clones.items()}

    def history(self, place: str, model: str) -> History:
        backend = self.hub if place == "hub" else self.clones[place]
        return History(model, backend.read(model).events, self.stages)

    @property
    def models(self) -> list[str]:
        return sorted({event.model for state in self.states().values() for event in state.tags.values()})

    # -- what happens ------------------------------------------------------------------------------------------

    def call(self, who: str, call: Call, *, staged: bool = False) -> Outcome:
        """The call as ``Registry`` of that clone is to answer it."""
        clone = self.clones[who]
        clone.staged = staged
        try:
            change = self._write(clone, call.model, self._decision(who, call), _pin(call))
        except RegistryError as error:
            return Outcome(
                type(error).__name__, (getattr(error, "believed", None), getattr(error, "found", None))
            )
        history = self.history(who, call.model)
        match call.verb:
            case "deprecate":
                return Outcome(None)
            case "annotate":
                return Outcome(None, history.metadata(change.version))
            case _:
                assert change.version is not None
                return Outcome(None, facts(history, change.version))

    def sync(self, who: str) -> Synced | None:
        """What ``sync()`` answers; None where the connection breaks."""
        try:
            return self.clones[who].settle()
        except OutcomeUnknownError:
            return None

    def fetch(self, who: str) -> None:
        """``git fetch --tags``: what is here stays."""
        self.clones[who].fetch()

    def repair(self, who: str) -> None:
        """``check(repair=True)``."""
        clone = self.clones[who]
        clone.staged = False
        clone.settle()
        for log in list(clone.read_all()):
            if gto_differs(self.history(who, log.model)):
                self._write(clone, log.model, changes.repeat_for_gto)

    def tag(self, who: str, event: Event) -> bool:
        """A tag made in the clone, then pushed by its name; whether it is in the hub."""
        self.clones[who].state.tags[event.source] = event
        return self.push(event)

    def push(self, event: Event) -> bool:
        """``git push`` of one tag: whether the hub has it."""
        self.hub.append(event)
        return self.hub_tags.get(event.source) == event

    # -- how -----------------------------------------------------------------------------------------------------

    def _write(self, clone: Clone, model: str, decide: Decide, pin: Pin | None = None) -> Change:
        log, change = write(
            clone, model, self.stages, decide, by=self.people[clone.who], message="", dry_run=False, pin=pin
        )
        if change.events:
            if change.holders or pin is not None:
                clone.prepare(model)
            changes.confirm(change, self.history(clone.who, model), seen=len(log.events))
        return change

    def _decision(self, who: str, call: Call) -> Decide:
        """The rule that the verb applies."""
        options = call.options
        match call.verb, call.args:
            case "register", (model,):
                return self._registration(who, model, **options)
            case "promote", (_, version, stage):
                return lambda history, by: changes.promote(history, by, version, stage, **options)
            case "rollback", (_, stage):
                return lambda history, by: changes.rollback(history, by, stage, **options)
            case "demote", (_, stage):
                return lambda history, by: changes.demote(history, by, stage, **options)
            case "withdraw", (_, version):
                return lambda history, by: changes.withdraw(history, by, version, **options)
            case "annotate", (_, version, metadata):
                return lambda history, by: changes.annotate(history, by, metadata, version=version)
            case _:
                return changes.deprecate

    def _registration(self, who: str, model: str, *, rev: str, **options: Any) -> Decide:
        content = self.commits[rev].contents[model]

        def decide(history: History, by: Writer) -> Change:
            target = changes.plan_version(history, version=options.get("version"), bump=options.get("bump"))
            taken = history.versions_at(rev)
            own = self._own_commit(who, rev, f"Register {model}@{target}") if taken else rev
            return changes.register(
                history, by, rev=own, content=content, source_rev=rev if taken else None, **options
            )

        return decide

    def _own_commit(self, who: str, rev: str, message: str) -> str:
        """The id of the commit with the same files on top of ``rev``."""
        by = f"{self.people[who].name} <{self.people[who].email}> {COMMITTED}"
        text = f"tree {self.commits[rev].tree}\nparent {rev}\nauthor {by}\ncommitter {by}\n\n{message}"
        return hashlib.sha1(f"commit {len(text)}\0{text}".encode()).hexdigest()


def _pin(call: Call) -> Pin | None:
    """What the verb must not find moved."""
    match call.verb, call.args:
        case "rollback" | "demote", (_, stage):
            return holders_of(stage)
        case "withdraw", (_, version):
            return stages_of(version)
        case _:
            return None


COMMITTED = "1767000000 +0000"
"""When every commit was made."""


def facts(history: History, version: str) -> tuple[object, ...]:
    """What a ``ModelVersion`` says."""
    return version, history.state(version), history.stages_of(version), history.metadata(version)


def person(name: str) -> Identity:
    return Identity(name.title(), f"{name}@example.com", timedelta())


class Clone(Backend):
    """One clone: it shares each event with the hub before it has it itself, or keeps it until it is told to."""

    name = "specification"

    def __init__(self, world: World, who: str) -> None:
        self.world = world
        self.who = who
        self.state = State()
        self.staged = False
        self.before_push: Callable[[], object] | None = None
        """What others do just before this clone pushes next."""
        self.breaks: tuple[int, bool] | None = None
        """Which push is the one whose connection breaks, and whether the hub has the event all the same."""

    # -- as a backend ------------------------------------------------------------------------------------------

    def _read(self, model: str, records: bool = False) -> Log:
        events = tuple(event for event in self.state.tags.values() if event.model == model)
        numbers: dict[str, int] = {}
        for event in events:
            numbers[event.slot] = max(event.number, numbers.get(event.slot, 0))
        return Log(model, str(len(events)), events, numbers=numbers)

    def _read_all(self, records: bool = False) -> Iterator[Log]:
        return (self._read(model) for model in sorted({event.model for event in self.state.tags.values()}))

    def _watch(self, model: str) -> None:
        return None

    def _prepare(self, model: str) -> Sequence[str]:
        if self.staged:
            return ()
        unseen = [
            event.source
            for event in self.state.pending.values()
            if event.source not in self.state.tags and event.echo_of is None
        ]
        return [tag for tag in self.settle(model).published if tag in unseen]

    def _append(self, event: Event, record: bytes | None = None) -> Event | None:
        if not self.staged:
            return event if self._publish(event) else None
        self.state.pending[event.id] = event
        self.world.step()
        if event.source in self.state.tags:
            del self.state.pending[event.id]
            self.world.step()
            return None
        self.state.tags[event.source] = event
        self.world.step()
        return event

    # -- as a clone ----------------------------------------------------------------------------------------------

    def fetch(self, model: str | None = None) -> None:
        """Take what the hub has of the model (or of all), but for what has another event's name here."""
        for tag, event in self.world.hub_tags.items():
            if model in (None, event.model):
                self.state.tags.setdefault(tag, event)
        self.world.step()

    def settle(self, model: str | None = None) -> Synced:
        """Fetch, publish what waits, set aside what lost its place and what was decided on that."""
        self.fetch(model)
        hub = self.world.hub_tags
        lost = [
            event
            for tag, event in self.state.tags.items()
            if model in (None, event.model) and hub.get(tag, event) != event
        ]
        published: list[str] = []
        refused: list[Event] = []
        for event in sorted(self.state.pending.values(), key=lambda event: event.order):
            if model not in (None, event.model):
                continue
            before = any(
                other.model == event.model and other.order <= event.order for other in (*lost, *refused)
            )
            if not before and self._publish(event):
                self.state.pending.pop(event.id, None)
                self.world.step()
                published.append(event.source)
            else:
                refused.append(event)
        refused += [event for event in lost if event not in refused]
        for event in refused:
            self._aside(event)
        if refused:
            self.fetch(model)
        return Synced(tuple(published), tuple(event.source for event in refused))

    def _publish(self, event: Event) -> bool:
        if self.before_push is not None:
            others, self.before_push = self.before_push, None
            others()
        if self.breaks is not None and event.source not in self.world.hub_tags:
            count, applied = self.breaks
            self.breaks = count - 1, applied
            if count == 1:
                if applied:
                    self.world.push(event)
                self.state.pending[event.id] = event
                raise OutcomeUnknownError("", event_id=event.id, tag=event.source)
        if not self.world.push(event):
            return False
        self.world.step()
        if self.state.tags.get(event.source, event) != event:
            self._aside(self.state.tags[event.source])
        self.state.tags[event.source] = event
        self.world.step()
        return True

    def _aside(self, event: Event) -> None:
        if self.state.tags.get(event.source) == event:
            del self.state.tags[event.source]
        self.state.pending.pop(event.id, None)
        self.state.refused.add((event.source, event.id))
        self.world.step()
