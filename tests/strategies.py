"""What Hypothesis draws from: events of every kind, whole logs as several tools might write them, and wishes."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from modelregistry.errors import RegistryError
from modelregistry.log import changes
from modelregistry.log.changes import Change, Writer
from modelregistry.log.events import (
    SCHEMA,
    Annotated,
    Assigned,
    Bytes,
    DeclaredInput,
    DeclaredLineage,
    Deprecated,
    Deregistered,
    Event,
    FileDigest,
    Judged,
    Registered,
    Unassigned,
    Withdrawn,
)
from modelregistry.log.history import ANY, EMPTY, History, Stages
from modelregistry.log.tags import first_number, tag_name

FUZZ = int(os.environ.get("MODELREGISTRY_FUZZ", "0"))
"""How many odd tags and names the laws about them are tried on; 0 for each law's own few (``nox -s fuzz``)."""
START = datetime(2026, 1, 1, tzinfo=UTC)
REVS = tuple(digit * 40 for digit in "abcd")
VERSIONS = ("v0.1.0", "v0.2.0", "v1.0.0-rc.1", "v1.0.0")
STAGES = ("shadow", "current")
SHARED = Stages(("shadow", "current"), frozenset({"shadow"}), written_down=True)

# -- small things ------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
messages = st.one_of(
    texts,
    st.sampled_from(["Model-Registry: {}", "a\n\nModel-Registry: {}\n\nb", "Réglé 模型 🎉", "a\r\n\tb"]),
).map(lambda text: text.replace("\0", "").strip())
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(texts, json_values, max_size=3)
people = st.text(string.ascii_letters + "é模 .-", max_size=15).map(str.strip)
identifiers = st.text("0123456789abcdef", min_size=8, max_size=32)
stage_names = st.sampled_from(["current", "shadow", "a/b", "A-1_b/c/d", "1", "prod", "v1", "deprecated"])
model_names = st.sampled_from(["churn", "team/churn", "models/eu:churn", "a.b:c", "X", "0", "annotate"])
numbers = st.integers(0, 3) | st.integers(0, 10**9)
prereleases = st.lists(st.sampled_from(["0", "1", "10", "rc", "-", "a-b", "0a"]), max_size=3).map(".".join)
builds = st.sampled_from(["", "", "+1", "+b.7", "+00.-"])
versions = st.builds(
    lambda major, minor, patch, pre, build: f"v{major}.{minor}.{patch}{'-' if pre else ''}{pre}{build}",
    numbers, numbers, numbers, prereleases, builds,
)  # fmt: skip
inputs = st.lists(
    st.builds(DeclaredInput, path=texts, digest=identifiers, size=st.integers(0, 2**60)), max_size=2
).map(tuple)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@st.composite
def events(draw: st.DrawFn) -> Event:
    """An event of ours, of any kind, with any facts."""
    kind = draw(st.sampled_from([Registered, Withdrawn, Assigned, Unassigned, Annotated, Deprecated]))
    facts: dict[str, Any] = {
        "model": draw(model_names),
        "id": draw(identifiers),
        "at": START + timedelta(seconds=draw(st.integers(-(10**9), 10**11))),
        "author": draw(people),
        "email": draw(people),
        "message": draw(messages),
        "rev": draw(st.sampled_from(REVS)),
        "number": draw(st.integers(0, 10**17)),
        "schema_version": SCHEMA,
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "registry": identifiers,
        "written_at": st.builds(START.astimezone, zones),
        "prev": identifiers,
    }
    if kind in (Registered, Withdrawn):
        facts["version"] = draw(versions)
    if kind in (Assigned, Unassigned):
        facts["stage"] = draw(stage_names)
        optional["echo_of"] = identifiers
    if kind in (Assigned, Unassigned, Annotated):
        optional["version"] = versions
    if kind is Registered:
        optional |= {
            "source_rev": st.sampled_from(REVS), "digest": texts, "address": texts, "manifest": texts,
            "size": st.integers(0, 2**60), "metadata": metadata,
            "files": st.lists(st.builds(FileDigest, path=texts, sha256=identifiers), max_size=3).map(tuple),
            "lineage": st.builds(DeclaredLineage, inputs=inputs, code=inputs, params=metadata, metrics=metadata),
        }  # fmt: skip
    if kind is Assigned:
        figures = st.floats(allow_nan=False, allow_infinity=False)
        judged = st.builds(
            Judged, figure=texts, wish=texts, value=figures, holder=versions, holder_value=figures
        )
        optional |= {
            "leaves": st.lists(stage_names, max_size=2).map(tuple), "restores": identifiers,
            "judged": st.lists(judged, max_size=2).map(tuple),
        }  # fmt: skip
    if kind is Unassigned:
        optional["empties"] = st.booleans()
    if kind is Annotated:
        optional["metadata"] = metadata
    for name, strategy in optional.items():
        if draw(st.booleans()):
            facts[name] = draw(strategy)
    unknown = draw(
        st.dictionaries(
            texts.map(lambda text: f"new {text}"),
            json_values.filter(lambda value: value is not None),
            max_size=2,
        )
    )
    return kind.model_validate(facts | unknown)


# -- logs --------------------------------------------------------------------------------------------------


_OFTEN: list[type[Event]] = [Registered, Registered, Registered, Assigned, Assigned, Assigned]
_OFTEN += [Deregistered, Withdrawn, Unassigned, Annotated, Deprecated]


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """The events of one model, by us, by GTO and by clocks that are wrong, with many in one second."""
    found: list[Event] = []
    taken: dict[str, int] = {}
    for position in range(draw(st.integers(0, 14))):
        kind = draw(st.sampled_from(_OFTEN))
        ours = kind in (Withdrawn, Annotated) or draw(st.booleans())
        facts: dict[str, Any] = {
            "model": "churn", "id": f"e{position}", "at": START + timedelta(seconds=draw(st.integers(0, 12))),
            "author": "Ann", "email": "ann@example.com", "rev": draw(st.sampled_from(REVS)),
            "schema_version": SCHEMA if ours else 0,
        }  # fmt: skip
        if kind in (Registered, Deregistered, Withdrawn):
            facts["version"] = draw(st.sampled_from(VERSIONS))
        if kind in (Assigned, Unassigned):
            facts["stage"] = draw(st.sampled_from(STAGES))
            facts["version"] = draw(st.sampled_from(VERSIONS)) if ours else None
        if kind is Assigned and ours:
            facts["leaves"] = draw(st.sampled_from([(), ("shadow",), ("shadow", "current")]))
            facts["restores"] = draw(st.sampled_from([None, *(event.id for event in found)]))
        if kind is Unassigned and ours:
            facts["empties"] = draw(st.booleans())
            facts["echo_of"] = draw(st.sampled_from([None, "e0"]))
        if kind is Annotated:
            facts["metadata"] = draw(
                st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 2), max_size=2)
            )
        event = kind.model_validate(facts)
        number = taken[event.slot] = taken.get(event.slot, first_number(event.slot) - 1) + 1
        event = event.model_copy(update={"number": number})
        found.append(event.model_copy(update={"source": tag_name(event)}))
    return found


def said(history: History) -> dict[str, Any]:
    """Everything a history answers, as plain values."""
    return {
        "versions": {
            name: (record.registered, history.state(name)) for name, record in history.versions.items()
        },
        "served": history.served,
        "latest": history.latest,
        "assignments": dict(history.assignments),
        "standing": {stage: history.standing(stage) for stage in history.stages_used},
        "tenures": {
            stage: tenure and (tenure.version, tenure.event.id, tenure.previous and tenure.previous.event.id)
            for stage in history.stages_used
            for tenure in (history.last_tenure(stage),)
        },
        "deprecated": history.deprecated,
        "metadata": {name: history.metadata(name) for name in (None, *history.versions)},
    }


# -- wishes ------------------------------------------------------------------------------------------------

Wish = Callable[[History, Writer], Change]


class Named:
    """A wish with a text, so that a failing example can be read."""

    def __init__(self, text: str, wish: Wish) -> None:
        self.text = text
        self._wish = wish

    def __call__(self, history: History, writer: Writer) -> Change:
        return self._wish(history, writer)

    def __repr__(self) -> str:
        return self.text


def register(content: int, *, rev: str = REVS[0], **facts: Any) -> Named:
    def wish(history: History, writer: Writer) -> Change:
        bytes_ = Bytes(f"sha256:{content:064x}", f"md5:{content:032x}")
        return changes.register(history, writer, rev=rev, content=bytes_, **facts)

    return Named(f"register(bytes {content}, {facts})", wish)


def promote(version: str, stage: str, **facts: Any) -> Named:
    return Named(
        f"promote({version}, {stage}, {facts})",
        lambda log, by: changes.promote(log, by, version, stage, **facts),
    )


def rollback(stage: str) -> Named:
    return Named(f"rollback({stage})", lambda log, by: changes.rollback(log, by, stage))


def demote(stage: str, **facts: Any) -> Named:
    return Named(f"demote({stage}, {facts})", lambda log, by: changes.demote(log, by, stage, **facts))


def withdraw(version: str, **facts: Any) -> Named:
    return Named(f"withdraw({version}, {facts})", lambda log, by: changes.withdraw(log, by, version, **facts))


def annotate(values: dict[str, Any], **facts: Any) -> Named:
    return Named(f"annotate({values}, {facts})", lambda log, by: changes.annotate(log, by, values, **facts))


def deprecate() -> Named:
    return Named("deprecate()", changes.deprecate)


_some_version = st.sampled_from(["v0.1.0", "v0.1.1", "v0.1.2", "v0.2.0"])
_some_stage = st.sampled_from(STAGES)
_holder = st.one_of(st.just(ANY), st.just(EMPTY), _some_version)
stage_wishes = st.one_of(
    st.builds(promote, _some_version, _some_stage, keep=st.booleans()),
    st.builds(rollback, _some_stage),
    st.builds(demote, _some_stage),
)
wishes = st.one_of(
    stage_wishes,
    stage_wishes,
    st.builds(promote, _some_version, _some_stage, expected=_holder),
    st.builds(register, st.integers(1, 6), bump=st.sampled_from([None, "patch", "minor"])),
    st.builds(
        register, st.integers(1, 6), version=st.sampled_from([None, "v0.1.0", "v0.2.0", "v2.0.0-rc.1"])
    ),
    st.builds(demote, _some_stage, version=_some_version),
    st.builds(withdraw, _some_version, then=st.none() | _holder),
    st.builds(
        annotate,
        st.dictionaries(st.sampled_from("ab"), st.sampled_from([None, 1, 2, "x"]), min_size=1, max_size=2),
        version=st.none() | _some_version,
    ),
    st.builds(deprecate),
)


def writer_for(log: Sequence[Event], *, message: str = "because", now: datetime = START) -> Writer:
    """A writer who has seen the log."""
    numbers: dict[str, int] = {}
    for event in log:
        numbers[event.slot] = max(event.number, numbers.get(event.slot, 0))
    return Writer(
        author="Ann Author", email="ann@example.com", now=now, registry="0" * 32, message=message,
        next_number=lambda slot: numbers[slot] + 1 if slot in numbers else first_number(slot),
    )  # fmt: skip


class World:
    """A model's log that grows by wishes, as the rules grant them."""

    def __init__(self, *wishes: Wish, stages: Stages | None = None, events: Sequence[Event] = ()) -> None:
        self.stages = stages or Stages()
        self.events: list[Event] = list(events)
        for wish in wishes:
            self.grant(wish)

    @property
    def history(self) -> History:
        return History("churn", self.events, self.stages)

    def grant(self, wish: Wish) -> Change:
        """Apply a wish, or raise its refusal and leave the log as it is."""
        change = wish(self.history, writer_for(self.events))
        self.events.extend(change.events)
        return change

    def try_to(self, wish: Wish) -> Change | None:
        """Apply a wish; None where it is refused."""
        try:
            return self.grant(wish)
        except RegistryError:
            return None


def world_with(count: int, *wishes: Wish, stages: Stages | None = None) -> World:
    """A world with versions v0.1.0, v0.1.1 … of different bytes, each at a commit of its own."""
    registrations = [register(100 + position, rev=f"{position + 1:040x}") for position in range(count)]
    return World(*registrations, *wishes, stages=stages)
