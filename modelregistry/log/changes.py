"""The rules of writing: a history and a wish become the events to append, or a refusal that says why.

An event that GTO would read wrongly is accompanied by echoes: plain unassign tags that say to GTO what the trailer
says to us. They come before the change where GTO would else show an old holder, else after it. DVC reads the last
tag of a stage, whatever it says; so an echo on the stage that is assigned always comes before the assignment.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import JsonValue

from modelregistry.errors import (
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    ModelNotFoundError,
    RefusedError,
    SeveralHoldersError,
    StageEmptyError,
    VersionExistsError,
    VersionNotFoundError,
    WithdrawnError,
)
from modelregistry.log.events import (
    SCHEMA,
    Annotated,
    Assigned,
    Bytes,
    DeclaredLineage,
    Deprecated,
    Event,
    Judged,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.log.history import (
    ANY,
    EMPTY,
    Expected,
    History,
    Tenure,
    VersionRecord,
    forgotten_by_gto,
    missing_echoes,
    revived_for_gto,
)
from modelregistry.log.requirements import Recorded, Requirement, again, judge, nothing_recorded
from modelregistry.log.tags import clean_message, clean_person, fits, numbered
from modelregistry.metadata.jsonvalues import check_json
from modelregistry.names import (
    FIRST_VERSION,
    Bump,
    bumped,
    check_model,
    check_stage,
    check_version,
    version_key,
)

_EventType = TypeVar("_EventType", bound=Event)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, when, and what a writer must know of the log besides its history."""

    author: str
    email: str
    now: datetime
    """The writer's clock, with its time zone."""
    registry: str
    """The random id of the registry."""
    next_number: Callable[[str], int]
    """The number of the next event in a slot."""
    message: str = ""
    new_id: Callable[[], str] = field(default=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class Change:
    """The events to append, in order; none where nothing needs to change, and then ``note`` says why."""

    events: tuple[Event, ...] = ()
    note: str = ""
    version: str | None = None
    """The version the wish was about, now that it is known."""
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The holders that the wish relied on, by stage."""
    recorded: Recorded = field(default=nothing_recorded, compare=False)
    """What pipelines recorded of the versions that were judged."""

    @property
    def relies_on_others(self) -> bool:
        """Whether events of other slots could have altered what it was decided on."""
        return bool(self.holders) or any(
            isinstance(event, Assigned) and event.judged for event in self.events
        )


class _Draft:
    """Events in the making: each is dated after the one before, numbered in its slot and chained."""

    def __init__(self, history: History, writer: Writer) -> None:
        self.events: list[Event] = []
        self._model = history.model
        self._writer = writer
        self._last = history.last
        self._taken: dict[str, int] = {}

    def add(self, kind: type[_EventType], rev: str, **facts: Any) -> _EventType:
        """The next event of the change."""
        at = self._writer.now.astimezone(UTC).replace(microsecond=0)
        if self._last is not None:
            try:
                at = max(at, self._last.at + timedelta(seconds=1))
            except OverflowError as error:
                raise RefusedError(
                    f"the last event of {self._model!r} is dated {self._last.at}, and nothing can come after it: "
                    f"delete the tag {self._last.source!r}"
                ) from error
        facts.setdefault("id", self._writer.new_id())
        event = kind(
            model=self._model, at=at, author=clean_person(self._writer.author),
            email=clean_person(self._writer.email),
            message=clean_message(self._writer.message), rev=rev, schema_version=SCHEMA, registry=self._writer.registry,
            written_at=self._writer.now, prev=self._last.fingerprint() if self._last else None, **facts,
        )  # fmt: skip
        number = (
            self._taken[event.slot] + 1 if event.slot in self._taken else self._writer.next_number(event.slot)
        )
        self._taken[event.slot] = number
        event = numbered(event, number)
        self.events.append(event)
        self._last = event
        return event

    def change(self, version: str | None, holders: Mapping[str, tuple[str, ...]] | None = None) -> Change:
        """What was drafted, and the holders of stages that it relied on."""
        return Change(tuple(self.events), version=version, holders=holders or {})


def plan_version(history: History, *, version: str | None, bump: Bump | None) -> str:
    """The version that a registration would make.

    Raises:
        InvalidNameError: ``version`` or ``bump`` is misspelt.
        InvalidInputError: Both are given.
    """
    check_model(history.model)
    if version is not None and bump is not None:
        raise InvalidInputError(f"version={version!r} and bump={bump!r} can't both be given")
    if version is not None:
        return check_version(version)
    greatest = max(history.versions, key=version_key, default=None)
    following = bumped(greatest or FIRST_VERSION, bump or "patch")
    return following if greatest else FIRST_VERSION


def same_bytes(history: History, *, rev: str, content: Bytes, asked: str | None = None) -> str | None:
    """The version that has these very bytes already: a withdrawn one before the ``asked`` one, that before others."""
    found = None
    for version, record in history.versions.items():
        known = record.registered
        recorded = known.digest is not None or known.address is not None
        same_digest = known.digest is not None and known.digest == content.digest
        same_address = known.address is not None and known.address == content.address
        if same_digest or same_address or (not recorded and rev in (known.rev, known.source_rev)):
            if record.withdrawn is not None:
                return version
            if found is None or found != asked:
                found = version
    return found


def register(
    history: History,
    writer: Writer,
    *,
    rev: str,
    content: Bytes,
    version: str | None = None,
    bump: Bump | None = None,
    source_rev: str | None = None,
    metadata: Mapping[str, JsonValue] | None = None,
    learned: Mapping[str, JsonValue] | None = None,
    lineage: DeclaredLineage | None = None,
) -> Change:
    """Register the bytes at ``rev`` as a version.

    ``learned`` is what the bytes tell: it joins the metadata where the author does not say it, and where there is room.
    ``lineage`` is what the author says the version was made from.

    Raises:
        WithdrawnError: These bytes, or this version, were withdrawn.
        VersionExistsError: The version exists with other bytes or at another commit.
        InvalidNameError: A name that Git or GTO would refuse.
        InvalidInputError: Metadata that is not JSON.
    """
    target = plan_version(history, version=version, bump=bump)
    same = same_bytes(history, rev=source_rev or rev, content=content, asked=version)
    if same is not None and history.versions[same].withdrawn:
        raise WithdrawnError(
            f"these bytes are {history.model}@{same}, which was withdrawn: they can't be registered again"
        )
    if same is not None and version in (None, same) and history.versions[same].served:
        return Change(
            note=f"{history.model}@{same} has these bytes already; nothing was written", version=same
        )
    known = history.versions.get(target)
    if known is not None and not (known.hidden and same == target):
        what = "was withdrawn" if known.withdrawn else "exists already"
        error = WithdrawnError if known.withdrawn else VersionExistsError
        raise error(
            f"{history.model}@{target} {what} (commit {known.registered.rev[:10]}): a version never changes; leave "
            "version= out for the next one"
        )
    said = check_json(metadata or {})
    for entries in (check_json({**(learned or {}), **said}), said):
        draft = _Draft(history, writer)
        event = draft.add(
            Registered, known.registered.rev if known else rev, version=target, source_rev=source_rev,
            digest=content.digest, address=content.address, size=content.size, files=content.files,
            manifest=content.manifest, metadata=entries, lineage=lineage,
        )  # fmt: skip
        if fits(event):
            break
    return draft.change(target)


def promote(
    history: History,
    writer: Writer,
    version: str,
    stage: str,
    *,
    expected: Expected = ANY,
    require: Sequence[Requirement] = (),
    recorded: Recorded = nothing_recorded,
    keep: bool = False,
) -> Change:
    """Put the version on the stage; it leaves its other stages unless ``keep``.

    Raises:
        ModelNotFoundError: No such model.
        VersionNotFoundError: No such version.
        WithdrawnError: It was withdrawn.
        InvalidNameError: A stage that the team has not.
        ConflictError: The stage's holder is not the ``expected`` one.
        RefusedError: Its figures are not what is required.
    """
    _served(history, version)
    _allowed(history, stage)
    _expect(history, stage, expected)
    if version in history.holders(stage):
        return Change(
            note=f"{history.model}@{version} holds {stage!r} already; nothing was written", version=version
        )
    for each in require:
        if each.stage is not None:
            _allowed(
                history, each.stage
            )  # one that is misspelt has no holder, and a gain over nobody is no bound
    judged = judge(history, version, require, recorded)
    draft = _Draft(history, writer)
    _move(draft, history, version, stage, keep=keep, judged=judged)
    relied = [
        *([] if expected is ANY else [stage]),
        *(each.stage for each in require if each.stage is not None),
    ]
    return replace(draft.change(version, {each: history.holders(each) for each in relied}), recorded=recorded)


def rollback(history: History, writer: Writer, stage: str, *, keep: bool = False) -> Change:
    """Give the stage back to the holder before the present one's tenure, withdrawn ones skipped.

    Assignments made since that tenure end. On an empty stage the last holder comes back.

    Raises:
        ModelNotFoundError: No such model.
        StageEmptyError: There is nobody to go back to.
        RefusedError: A shared stage has no single holder to go back from.
    """
    _exists(history)
    check_stage(stage)
    if stage in history.stages.shared:
        raise RefusedError(f"stage {stage!r} is shared: demote or promote the version that you mean")
    holder = history.tenure(stage)
    target: Tenure | None = history.last_tenure(stage)
    while target is not None and (
        target is holder
        or (holder is not None and target.version == holder.version)
        or not history.versions[target.version].served
    ):
        target = target.previous
    if target is None:
        now = f"its first holder is {holder.version}" if holder else "nobody ever held it"
        raise StageEmptyError(f"no version of {history.model!r} to roll {stage!r} back to: {now}")
    draft = _Draft(history, writer)
    undone = history.since(target, stage)
    event_id = writer.new_id()
    for other in undone:
        _echo(draft, history, other, stage, event_id)
    _move(draft, history, target.version, stage, keep=keep, restores=target.event.id, event_id=event_id)
    return draft.change(target.version, {stage: history.holders(stage)})


def demote(history: History, writer: Writer, stage: str, *, version: str | None = None) -> Change:
    """Take the holder off the stage: an exclusive stage is empty then, whoever held it before.

    Raises:
        ModelNotFoundError: No such model.
        StageEmptyError: Nobody, or not that version, holds the stage.
        SeveralHoldersError: A shared stage has several holders and ``version`` does not say which.
    """
    _exists(history)
    check_stage(stage)
    holders = history.holders(stage)
    if version is not None and version not in holders:
        raise StageEmptyError(
            f"{history.model}@{version} does not hold {stage!r}; its holders: {_words(holders)}"
        )
    if not holders:
        raise StageEmptyError(f"no version of {history.model!r} holds {stage!r}: nothing to demote")
    if version is None and len(holders) > 1:
        raise SeveralHoldersError(
            f"stage {stage!r} of {history.model!r} is shared by {_words(holders)}: say version=",
            holders=holders,
        )
    leaving = version or holders[0]
    exclusive = stage not in history.stages.shared
    draft = _Draft(history, writer)
    event_id = writer.new_id()
    if exclusive:
        for other in history.standing(stage):
            if other != leaving:
                _echo(draft, history, other, stage, event_id)
    rev = history.versions[leaving].registered.rev
    draft.add(Unassigned, rev, id=event_id, stage=stage, version=leaving, empties=exclusive)
    return draft.change(leaving, {stage: holders})


def withdraw(history: History, writer: Writer, version: str, *, then: Expected | None = None) -> Change:
    """Put a tombstone on the version; ``then`` says who takes over the exclusive stages it holds.

    Raises:
        ModelNotFoundError: No such model.
        VersionNotFoundError: No such version.
        RefusedError: It holds a stage and ``then`` is not given.
    """
    record = _known(history, version)
    if record.withdrawn is not None:
        return Change(
            note=f"{history.model}@{version} is withdrawn already; nothing was written", version=version
        )
    events: list[Event] = []
    held = _exclusive(history, version)
    if held and (then is None or then is ANY):
        raise RefusedError(
            f"{history.model}@{version} holds {_words(held)}: say who takes over, then='v…', or then=EMPTY for nobody"
        )
    if then == version:
        raise RefusedError(f"{history.model}@{version} can't take over from itself")
    relied = {stage: history.holders(stage) for stage in held}
    for stage in held:
        assert then is not None
        if then is EMPTY:
            change = demote(history, _after(writer, events), stage)
        else:
            change = promote(history, _after(writer, events), str(then), stage, keep=bool(events))
        events.extend(change.events)
        history = History(history.model, [*history.events, *change.events], history.stages)
    draft = _Draft(history, _after(writer, events))
    draft.add(Withdrawn, record.registered.rev, version=version)
    return Change((*events, *draft.events), version=version, holders=relied)


def confirm(change: Change, history: History, *, seen: int) -> None:
    """Make sure that the change, now in the log, does there what it was written for.

    Its slot was swapped, the rest of the log only ordered: an event of another slot may have come before it.

    Args:
        change: What was written.
        history: The log with it.
        seen: How many events there were when it was decided.

    Raises:
        ConflictError: It does not: it stands in the log, and without effect.
    """
    if len(history.events) == seen + len(change.events):
        return  # nobody else wrote
    ids = {event.id for event in change.events if event.echo_of is None}
    mine = [event for event in history.events if event.id in ids]
    for event in mine:
        then, before = _until(history, event), _until(history, event, without=ids)
        other = before.last or event
        moved = [stage for stage, held in change.holders.items() if before.holders(stage) != held]
        if moved or not _holds(event, then) or not _still_judged(event, before, change.recorded):
            believed = _words(change.holders[moved[0]]) if moved else None
            raise ConflictError(
                f"{event.source} was written, and {other.source} by {other.author} came before it and changed what it "
                f"was decided on: look again, then decide",
                believed=believed, found=_words(before.holders(moved[0])) if moved else None,
                by=other.author, at=other.at,
            )  # fmt: skip


def _exclusive(history: History, version: str) -> list[str]:
    """The exclusive stages that the version holds."""
    return [stage for stage in history.stages_of(version) if stage not in history.stages.shared]


def _until(history: History, event: Event, *, without: Collection[str] = ()) -> History:
    events = [each for each in history.events if each.order <= event.order and each.id not in without]
    return History(history.model, events, history.stages)


def _holds(event: Event, history: History) -> bool:
    """Whether the log that ends with the event says what the event was written to say."""
    match event:
        case Registered():
            return history.versions[event.version].registered.id == event.id
        case Assigned(version=str(version)):
            return version in history.holders(event.stage)
        case Unassigned():
            return event.version not in history.holders(event.stage)
        case Withdrawn():  # from a stage that it came to hold meanwhile, nobody was named to take over
            return not _exclusive(_until(history, event, without=[event.id]), event.version)
        case _:
            return True


def _still_judged(event: Event, before: History, recorded: Recorded) -> bool:
    """Whether the figures that allowed a promotion were those in the log that it came to stand after."""
    if not isinstance(event, Assigned) or not event.judged or event.version is None:
        return True
    try:
        return judge(before, event.version, again(event.judged), recorded) == event.judged
    except (InvalidInputError, RefusedError):
        return False


def repeat_for_gto(history: History, writer: Writer) -> Change:
    """What GTO needs to see what we see, where a writer was stopped before or after its echoes."""
    draft = _Draft(history, writer)
    for stage, version, _ in forgotten_by_gto(history):
        tenure = history.standing_tenure(stage, version)
        draft.add(Assigned, tenure.event.rev, stage=stage, version=version, echo_of=tenure.event.id)
    for stage, version, assigned in missing_echoes(history):
        _echo(draft, history, version, stage, _ended_by(history, assigned, stage, version))
    if history.deprecated is not None and (draft.events or revived_for_gto(history)):
        draft.add(Deprecated, history.deprecated.rev, echo_of=history.deprecated.id)
    return draft.change(None)


def _ended_by(history: History, assigned: Event, stage: str, version: str) -> str:
    """The id of the event that took the version off the stage."""
    for event in history.events:
        if event.order <= assigned.order or event.echo_of is not None:
            continue
        match event:
            case Assigned(version=other, leaves=leaves) if other == version and stage in leaves:
                return event.id
            case Assigned(stage=other, restores=str()) | Unassigned(stage=other, empties=True) if (
                other == stage
            ):
                return event.id
    return assigned.id


def annotate(
    history: History, writer: Writer, metadata: Mapping[str, JsonValue], *, version: str | None = None
) -> Change:
    """Attach metadata to the version, or to the model as a whole; None takes a key away.

    Raises:
        ModelNotFoundError: No such model.
        VersionNotFoundError: No such version.
        InvalidInputError: Not JSON, or empty.
    """
    _exists(history)
    if version is not None:
        _known(history, version)
    checked = check_json(metadata)
    if not checked:
        raise InvalidInputError("no metadata to attach: pass at least one key")
    before = history.metadata(version)
    if all(
        key not in before if value is None else key in before and _canonical(before[key]) == _canonical(value)
        for key, value in checked.items()
    ):
        return Change(note="the metadata says so already; nothing was written", version=version)
    last = history.last
    assert last is not None
    draft = _Draft(history, writer)
    rev = history.versions[version].registered.rev if version is not None else last.rev
    draft.add(Annotated, rev, version=version, metadata=checked)
    return draft.change(version)


def deprecate(history: History, writer: Writer) -> Change:
    """Hide the model from lists until it is registered or promoted again; it goes on loading, with a warning.

    Raises:
        ModelNotFoundError: No such model.
    """
    _exists(history)
    if history.deprecated is not None:
        return Change(note=f"{history.model!r} is deprecated already; nothing was written")
    last = history.last
    assert last is not None
    draft = _Draft(history, writer)
    draft.add(Deprecated, last.rev)
    return draft.change(None)


def _canonical(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)


def _move(
    draft: _Draft,
    history: History,
    version: str,
    stage: str,
    *,
    keep: bool = False,
    restores: str | None = None,
    event_id: str | None = None,
    judged: Sequence[Judged] = (),
) -> None:
    """The assignment, and after it what GTO needs to see that the version left its other stages."""
    leaves = [other for other in history.stages_used if other != stage and version in history.standing(other)]
    facts: dict[str, Any] = {"id": event_id} if event_id else {}
    event = draft.add(
        Assigned, history.versions[version].registered.rev, stage=stage, version=version,
        leaves=() if keep else tuple(leaves), restores=restores, judged=tuple(judged), **facts,
    )  # fmt: skip
    for other in event.leaves:
        _echo(draft, history, version, other, event.id)


def _echo(draft: _Draft, history: History, version: str, stage: str, echo_of: str) -> None:
    rev = history.versions[version].registered.rev
    draft.add(Unassigned, rev, stage=stage, version=version, echo_of=echo_of)


def _after(writer: Writer, events: Sequence[Event]) -> Writer:
    """The writer, once the events are in the log."""
    taken: dict[str, int] = {}
    for event in events:
        taken[event.slot] = event.number

    def next_number(slot: str) -> int:
        return taken[slot] + 1 if slot in taken else writer.next_number(slot)

    return Writer(
        writer.author, writer.email, writer.now, writer.registry, next_number, writer.message, writer.new_id
    )


def _exists(history: History) -> None:
    if not history.events:
        raise ModelNotFoundError(
            f"no model {check_model(history.model)!r} in this registry: register it first"
        )


def _known(history: History, version: str) -> VersionRecord:
    _exists(history)
    record = history.versions.get(check_version(version))
    if record is None:
        raise VersionNotFoundError(
            f"no version {version!r} of {history.model!r}; there is {_words(history.served[:5])}"
        )
    return record


def _served(history: History, version: str) -> None:
    record = _known(history, version)
    if record.withdrawn is not None:
        raise WithdrawnError(
            f"{history.model}@{version} was withdrawn on {record.withdrawn.at:%Y-%m-%d} by {record.withdrawn.author}: "
            "it is never served or promoted again"
        )
    if record.hidden:
        raise VersionNotFoundError(
            f"{history.model}@{version} was deregistered with GTO: register it again first (version={version!r})"
        )


def _allowed(history: History, stage: str) -> None:
    check_stage(stage)
    stages = history.stages
    if stage in stages.order or (not stages.written_down and stage in history.stages_used):
        return
    raise InvalidNameError(
        f"not a stage of this registry: {stage!r}; its stages are {_words(stages.order)}: add it to [stages] in "
        f".modelregistry.toml and commit that"
    )


def _expect(history: History, stage: str, expected: Expected) -> None:
    if expected is ANY:
        return
    holders = history.holders(stage)
    if expected is EMPTY:
        if not holders:
            return
    elif check_version(str(expected)) in holders:
        return
    believed = "nobody" if expected is EMPTY else str(expected)
    tenure = history.tenure(stage)
    since = (
        f", put there by {tenure.event.author} at {tenure.event.at:%Y-%m-%d %H:%M:%S} UTC" if tenure else ""
    )
    raise ConflictError(
        f"{history.model}#{stage} is held by {_words(holders)}{since}; you expected {believed}: look again, then decide",
        believed=believed,
        found=_words(holders),
        by=tenure.event.author if tenure else None,
        at=tenure.event.at if tenure else None,
    )


def _words(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
