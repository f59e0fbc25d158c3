"""The rules of writing, refusal by refusal, and what GTO is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
from modelregistry.log import changes
from modelregistry.log.changes import (
    ANY,
    EMPTY,
    Bytes,
    Change,
    Writer,
    confirm,
    plan_version,
    repeat_for_gto,
    same_bytes,
)
from modelregistry.log.checks import problems_in
from modelregistry.log.events import Assigned, Deregistered, Event, Registered, Unassigned
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import MOST_TRAILER_BYTES, render
from modelregistry.testing import make_event
from tests.strategies import (
    SHARED,
    START,
    Wish,
    World,
    annotate,
    demote,
    deprecate,
    promote,
    register,
    rollback,
    withdraw,
    world_with,
    writer_for,
)

THREE = Stages(("canary", "shadow", "current"), written_down=True)


def refused(world: World, wish: Wish, error: type[Exception], match: str) -> None:
    """The wish is refused in these words, and nothing is written."""
    before = list(world.events)
    with pytest.raises(error, match=match):
        world.grant(wish)
    assert world.events == before


def names(events: tuple[Event, ...]) -> list[str]:
    return [event.source for event in events]


def for_gto(world: World) -> History:
    """The log without our trailers: how GTO reads it."""
    plain = []
    for event in world.events:
        update: dict[str, Any] = {"version": None} if event.kind in ("assign", "unassign") else {}
        update |= {
            name: default
            for name, default in (("leaves", ()), ("empties", False), ("restores", None))
            if hasattr(event, name)
        }
        plain.append(event.model_copy(update={**update, "echo_of": None}))
    return History("churn", plain, world.stages)


# -- register ----------------------------------------------------------------------------------------------


def test_the_first_version_and_those_after_it() -> None:
    world = World()
    assert world.grant(register(1)).version == "v0.1.0"
    assert world.grant(register(2)).version == "v0.1.1"
    assert world.grant(register(3, bump="minor")).version == "v0.2.0"
    assert world.grant(register(4, bump="major")).version == "v1.0.0"
    assert world.grant(register(5, version="v3.0.0-rc.1")).version == "v3.0.0-rc.1"
    assert names(tuple(world.events[:2])) == ["churn@v0.1.0", "churn@v0.1.1"]


def test_a_number_is_not_used_twice_even_when_its_version_was_withdrawn() -> None:
    world = world_with(2, withdraw("v0.1.1"))
    assert world.grant(register(7)).version == "v0.1.2"


def test_the_same_bytes_are_the_same_version() -> None:
    world = world_with(2)
    change = world.grant(register(100))
    assert (change.events, change.version) == ((), "v0.1.0")
    assert "has these bytes already" in change.note
    assert world.grant(register(100, version="v0.1.0")).events == ()
    assert world.grant(register(100, version="v9.0.0")).version == "v9.0.0", (
        "unless another version is asked for"
    )
    assert world.grant(register(100, version="v0.1.0")).events == (), "still the first one's bytes"


def test_a_version_never_changes() -> None:
    refused(
        world_with(2),
        register(7, version="v0.1.0"),
        VersionExistsError,
        "exists already .* a version never changes",
    )


def test_withdrawn_bytes_and_versions_are_not_registered_again() -> None:
    world = world_with(2, withdraw("v0.1.0"))
    refused(world, register(100), WithdrawnError, "these bytes are churn@v0.1.0, which was withdrawn")
    refused(world, register(100, version="v5.0.0"), WithdrawnError, "withdrawn")
    refused(world, register(7, version="v0.1.0"), WithdrawnError, "was withdrawn")


def test_a_version_that_gto_deregistered_comes_back_with_its_bytes() -> None:
    world = world_with(2)
    registered = world.events[1]
    world.events.append(make_event(Deregistered, "churn", registered.rev, second=90, version="v0.1.1"))
    refused(world, promote("v0.1.1", "current"), VersionNotFoundError, "deregistered with GTO")
    change = world.grant(register(101, version="v0.1.1"))
    assert names(change.events) == ["churn@v0.1.1#1"]
    assert change.events[0].rev == registered.rev
    assert world.history.served == ("v0.1.1", "v0.1.0")


def test_version_and_bump_exclude_each_other() -> None:
    with pytest.raises(InvalidInputError, match="can't both be given"):
        plan_version(World().history, version="v1.0.0", bump="minor")
    with pytest.raises(InvalidNameError):
        plan_version(World().history, version="1.0.0", bump=None)
    with pytest.raises(InvalidNameError, match="not a model name"):
        plan_version(History("a..b", [], Stages()), version=None, bump=None)


def test_a_tag_of_gto_that_recorded_no_bytes_is_the_version_of_its_commit() -> None:
    history = History("churn", [make_event(Registered, "churn", "a" * 40, version="v1.0.0")], Stages())
    assert same_bytes(history, rev="a" * 40, content=Bytes("sha256:1", "md5:1")) == "v1.0.0"
    assert same_bytes(history, rev="b" * 40, content=Bytes("sha256:1", "md5:1")) is None


# -- promote -----------------------------------------------------------------------------------------------


def test_promote_moves_and_keep_stays() -> None:
    world = world_with(2, promote("v0.1.0", "shadow"))
    change = world.grant(promote("v0.1.0", "current"))
    assert names(change.events) == ["churn#current#1", "churn#shadow!#1"]
    assert [event.echo_of for event in change.events] == [None, change.events[0].id]
    assert dict(world.history.assignments) == {"current": ("v0.1.0",)}
    world.grant(promote("v0.1.0", "shadow", keep=True))
    assert dict(world.history.assignments) == {"current": ("v0.1.0",), "shadow": ("v0.1.0",)}
    assert world.grant(promote("v0.1.0", "current")).note.endswith("nothing was written")


def test_expected_names_the_holder_or_nobody() -> None:
    world = world_with(3)
    refused(
        world,
        promote("v0.1.0", "current", expected="v0.1.1"),
        ConflictError,
        "held by none; you expected v0.1.1",
    )
    world.grant(promote("v0.1.0", "current", expected=EMPTY))
    refused(
        world,
        promote("v0.1.1", "current", expected=EMPTY),
        ConflictError,
        "put there by Ann Author .* expected nobody",
    )
    refused(world, promote("v0.1.1", "current", expected="0.1.0"), InvalidNameError, "not a version")
    world.grant(promote("v0.1.1", "current", expected="v0.1.0"))
    world.grant(promote("v0.1.2", "current", expected=ANY))
    with pytest.raises(ConflictError) as caught:
        world.grant(promote("v0.1.0", "current", expected="v0.1.1"))
    assert (caught.value.believed, caught.value.found, caught.value.by) == ("v0.1.1", "v0.1.2", "Ann Author")
    assert caught.value.at == world.events[-1].at


def test_what_can_not_be_promoted() -> None:
    world = world_with(2, withdraw("v0.1.1"))
    refused(World(), promote("v0.1.0", "current"), ModelNotFoundError, "no model 'churn'")
    refused(
        world,
        promote("v7.0.0", "current"),
        VersionNotFoundError,
        "no version 'v7.0.0' of 'churn'; there is v0.1.0",
    )
    refused(world, promote("7", "current"), InvalidNameError, "not a version")
    refused(world, promote("v0.1.1", "current"), WithdrawnError, "withdrawn on 2026-01-01 by Ann Author")
    refused(
        world,
        promote("v0.1.0", "prod"),
        InvalidNameError,
        "not a stage of this registry: 'prod'; its stages are shadow, current",
    )
    refused(world, promote("v0.1.0", "a.b"), InvalidNameError, "not a stage: 'a.b'")


def test_a_stage_that_the_model_has_is_welcome_unless_the_stages_are_written_down() -> None:
    world = world_with(2)
    world.events.append(make_event(Assigned, "churn", world.events[0].rev, second=90, stage="prod"))
    assert world.grant(promote("v0.1.1", "prod")).events
    world.stages = THREE
    refused(world, promote("v0.1.0", "prod"), InvalidNameError, "its stages are canary, shadow, current")


# -- rollback and demote -----------------------------------------------------------------------------------


def test_rollback_goes_to_the_holder_before_and_tells_gto() -> None:
    world = world_with(3, *(promote(f"v0.1.{patch}", "current") for patch in range(3)))
    change = world.grant(rollback("current"))
    assert change.version == "v0.1.1"
    assert names(change.events) == ["churn#current!#1", "churn#current#4"], (
        "DVC reads the last tag: the assignment"
    )
    assert world.history.holders("current") == for_gto(world).holders("current") == ("v0.1.1",)
    assert world.grant(rollback("current")).version == "v0.1.0"
    assert world.history.holders("current") == for_gto(world).holders("current") == ("v0.1.0",)
    refused(world, rollback("current"), StageEmptyError, "its first holder is v0.1.0")


def test_rollback_skips_what_was_withdrawn() -> None:
    world = world_with(3, *(promote(f"v0.1.{patch}", "current") for patch in range(3)), withdraw("v0.1.1"))
    assert world.grant(rollback("current")).version == "v0.1.0"


def test_rollback_goes_to_another_version_than_the_holder_whenever_that_came() -> None:
    world = world_with(2, promote("v0.1.0", "current"), promote("v0.1.1", "current"), demote("current"))
    world.grant(promote("v0.1.1", "current"))
    assert world.grant(rollback("current")).version == "v0.1.0"


def test_rollback_moves_a_version_and_with_keep_it_stays() -> None:
    world = world_with(
        2, promote("v0.1.0", "current"), promote("v0.1.1", "current"), promote("v0.1.0", "shadow")
    )
    kept = World(
        lambda log, by: changes.rollback(log, by, "current", keep=True), events=world.events
    ).history.assignments
    assert dict(kept) == {"current": ("v0.1.0",), "shadow": ("v0.1.0",)}
    world.grant(rollback("current"))
    assert dict(world.history.assignments) == {"current": ("v0.1.0",)}


def test_what_can_not_be_rolled_back() -> None:
    refused(World(), rollback("current"), ModelNotFoundError, "no model")
    refused(world_with(1), rollback("current"), StageEmptyError, ": nobody ever held it$")
    refused(world_with(1), rollback("a.b"), InvalidNameError, "not a stage")
    refused(world_with(1, stages=SHARED), rollback("shadow"), RefusedError, "is shared")


def test_demote_empties_and_gto_sees_it_empty_too() -> None:
    world = world_with(2, promote("v0.1.0", "current"), promote("v0.1.1", "current"))
    change = world.grant(demote("current"))
    assert names(change.events) == ["churn#current!#1", "churn#current!#2"]
    assert change.events[0].echo_of == change.events[1].id
    end = change.events[1]
    assert isinstance(end, Unassigned)
    assert (change.version, end.version, end.empties, end.echo_of) == ("v0.1.1", "v0.1.1", True, None)
    assert world.history.holders("current") == for_gto(world).holders("current") == ()
    refused(world, demote("current"), StageEmptyError, "nothing to demote")
    assert world.grant(rollback("current")).version == "v0.1.1"


def test_a_shared_stage_is_left_by_the_one_that_is_named() -> None:
    world = world_with(3, promote("v0.1.0", "shadow"), promote("v0.1.1", "shadow"), stages=SHARED)
    with pytest.raises(SeveralHoldersError, match="say version=") as caught:
        world.grant(demote("shadow"))
    assert caught.value.holders == ("v0.1.1", "v0.1.0")
    refused(world, demote("shadow", version="v0.1.2"), StageEmptyError, "v0.1.2 does not hold 'shadow'")
    change = world.grant(demote("shadow", version="v0.1.1"))
    (end,) = change.events
    assert isinstance(end, Unassigned)
    assert (change.version, end.version, end.empties) == ("v0.1.1", "v0.1.1", False)
    assert world.history.holders("shadow") == ("v0.1.0",)


# -- withdraw ----------------------------------------------------------------------------------------------


def test_a_holder_is_withdrawn_only_with_a_word_on_who_follows() -> None:
    world = world_with(2, promote("v0.1.1", "current"))
    for then in (None, ANY):
        refused(world, withdraw("v0.1.1", then=then), RefusedError, "holds current: say who takes over")
    refused(world, withdraw("v0.1.1", then="v0.1.1"), RefusedError, "can't take over from itself")
    refused(world, withdraw("v0.1.1", then="v9.0.0"), VersionNotFoundError, "no version")
    change = world.grant(withdraw("v0.1.1", then="v0.1.0"))
    assert names(change.events) == ["churn#current#2", "churn@v0.1.1!#1"]
    assert world.history.holders("current") == ("v0.1.0",)
    again = world.grant(withdraw("v0.1.1"))
    assert again.note.endswith("nothing was written")
    assert change.version == again.version == "v0.1.1"
    world.grant(withdraw("v0.1.0", then=EMPTY))
    assert world.history.served == ()


def test_the_successor_takes_over_every_stage() -> None:
    world = world_with(3, promote("v0.1.0", "canary"), stages=THREE)
    world.grant(promote("v0.1.1", "current"))
    world.grant(promote("v0.1.1", "shadow", keep=True))
    world.grant(withdraw("v0.1.1", then="v0.1.0"))
    assert dict(world.history.assignments) == {"current": ("v0.1.0",), "shadow": ("v0.1.0",)}


def test_every_event_of_a_withdrawal_is_the_writers() -> None:
    world = world_with(2, promote("v0.1.1", "current"))
    ids = iter("abc")
    writer = Writer(
        "Bob", "bob@example.com", START + timedelta(days=1), "1" * 32, writer_for(world.events).next_number, "leaks",
        lambda: next(ids),
    )  # fmt: skip
    events = withdraw("v0.1.1", then="v0.1.0")(world.history, writer).events
    assert [event.id for event in events] == ["a", "b"]
    for event in events:
        assert (event.author, event.email, event.message) == ("Bob", "bob@example.com", "leaks")
        assert (event.registry, event.written_at) == ("1" * 32, START + timedelta(days=1))


def test_what_the_bytes_tell_joins_the_metadata_where_the_author_does_not_say_it() -> None:
    learned = {"loader": "skops", "signature": {"inputs": []}}
    world = World(register(1, learned=learned, metadata={"auc": 0.9, "signature": "see the card"}))
    assert world.history.metadata("v0.1.0") == {"auc": 0.9, "loader": "skops", "signature": "see the card"}
    assert World(register(1, learned=learned)).history.metadata("v0.1.0") == learned


def test_what_the_bytes_tell_is_left_out_where_the_author_says_too_much() -> None:
    metadata = {"notes": "x" * (MOST_TRAILER_BYTES - 1000)}
    world = World(register(1, learned={"loader": "s" * 1000}, metadata=metadata))
    assert world.history.metadata("v0.1.0") == metadata
    render(world.events[0])
    ids = iter("ab")
    writer = replace(writer_for([]), new_id=lambda: next(ids))
    assert register(1, learned={"loader": "skops"})(World().history, writer).events[0].id == "a"


# -- annotate, deprecate, metadata -------------------------------------------------------------------------


def test_annotations_count_as_changes_only_when_they_change_something() -> None:
    world = world_with(1, annotate({"a": 1, "b": None}, version="v0.1.0"))
    assert world.history.metadata("v0.1.0") == {"a": 1}
    assert world.grant(annotate({"a": 1, "c": None}, version="v0.1.0")).events == ()
    assert world.grant(annotate({"a": True}, version="v0.1.0")).events, "1 is not true"
    assert world.history.metadata("v0.1.0")["a"] is True
    refused(world, annotate({}), InvalidInputError, "^no metadata to attach: pass at least one key$")
    refused(World(), annotate({"a": 1}), ModelNotFoundError, "no model")
    refused(world, annotate({"a": 1}, version="v9.0.0"), VersionNotFoundError, "no version")


def test_an_annotation_stands_at_the_commit_of_what_it_is_about() -> None:
    world = world_with(2)
    of_model = world.grant(annotate({"a": 1}))
    of_version = world.grant(annotate({"a": 1}, version="v0.1.0"))
    assert [change.version for change in (of_model, of_version)] == [None, "v0.1.0"]
    assert of_model.events[0].rev == world.events[1].rev, "the last event's"
    assert of_version.events[0].rev == world.events[0].rev, "the version's"


def test_an_annotation_that_is_so_already_says_so() -> None:
    world = world_with(1, annotate({"a": {"x": 1, "y": 2}}, version="v0.1.0"))
    again = world.grant(annotate({"a": {"y": 2, "x": 1}}, version="v0.1.0"))
    assert (again.events, again.version) == ((), "v0.1.0")
    assert again.note == "the metadata says so already; nothing was written"


def test_a_null_takes_a_null_away() -> None:
    world = World(register(1, metadata={"a": None}))
    world.grant(annotate({"a": None}, version="v0.1.0"))
    assert "a" not in world.history.metadata("v0.1.0")


def test_deprecate_needs_a_model_and_is_said_once() -> None:
    refused(World(), deprecate(), ModelNotFoundError, "no model")
    world = world_with(2)
    change = world.grant(deprecate())
    assert [(event.kind, event.rev) for event in change.events] == [("deprecate", world.events[1].rev)]
    assert change.version is None
    again = world.grant(deprecate())
    assert (again.events, again.note) == ((), "'churn' is deprecated already; nothing was written")


# -- confirm -----------------------------------------------------------------------------------------------


def overtaken(world: World, wish: Wish, *others: Wish) -> tuple[Change, int]:
    """Decide on a wish, let Bob write first, and write it all the same: the slots of others are not swapped."""
    seen = len(world.events)
    change = wish(world.history, writer_for(world.events, now=START + timedelta(hours=1)))
    for other in others:
        world.events.extend(other(world.history, replace(writer_for(world.events), author="Bob")).events)
    world.events.extend(change.events)
    return change, seen


def conflict(world: World, change: Change, seen: int) -> ConflictError:
    with pytest.raises(ConflictError) as caught:
        confirm(change, world.history, seen=seen)
    return caught.value


def test_a_change_that_nobody_overtook_is_confirmed() -> None:
    world = world_with(3, promote("v0.1.0", "shadow"))
    for wish in (
        promote("v0.1.0", "current", expected=EMPTY), promote("v0.1.1", "current"), rollback("current"), demote("current"),
        annotate({"a": 1}), withdraw("v0.1.0"), register(7), deprecate(),
    ):  # fmt: skip
        change, seen = overtaken(world, wish)
        assert change.events
        confirm(change, world.history, seen=seen)


@pytest.mark.parametrize(
    "wish",
    [promote("v0.1.1", "current", expected="v0.1.0"), demote("current"), register(7), annotate({"a": 1}), withdraw("v0.1.1"),
     deprecate(), withdraw("v0.1.0", then="v0.1.1")],
    ids=repr,
)  # fmt: skip
def test_a_change_is_confirmed_where_what_came_before_it_has_nothing_to_do_with_it(wish: Wish) -> None:
    world = world_with(3, promote("v0.1.0", "current"))
    change, seen = overtaken(world, wish, annotate({"b": 1}), promote("v0.1.2", "shadow"))
    confirm(change, world.history, seen=seen)


def test_a_withdrawal_of_a_version_that_got_a_stage_in_between_is_a_conflict() -> None:
    world = world_with(3, promote("v0.1.0", "current"))
    change, seen = overtaken(world, withdraw("v0.1.2"), promote("v0.1.2", "shadow"))
    found = conflict(world, change, seen)
    assert "churn@v0.1.2!#1 was written, and churn#shadow#1 by Bob came before it" in str(found)


def test_what_came_after_a_change_does_not_undo_that_it_was_made() -> None:
    world = world_with(3, promote("v0.1.0", "current"))
    change, seen = overtaken(world, promote("v0.1.1", "current", expected="v0.1.0"))
    world.grant(withdraw("v0.1.1", then=EMPTY))
    assert world.history.holders("current") == ()
    confirm(change, world.history, seen=seen)


def test_a_promotion_of_what_was_withdrawn_in_between_is_a_conflict_that_says_by_whom() -> None:
    world = world_with(2, promote("v0.1.0", "current"))
    change, seen = overtaken(world, promote("v0.1.1", "current"), withdraw("v0.1.1"))
    found = conflict(world, change, seen)
    assert "churn#current#2 was written, and churn@v0.1.1!#1 by Bob came before it" in str(found)
    assert (found.believed, found.found, found.by) == (None, None, "Bob")
    assert found.at == world.events[-2].at


def test_a_promotion_that_expected_a_holder_who_left_in_between_is_a_conflict_that_says_who_is_there() -> (
    None
):
    world = world_with(3, promote("v0.1.0", "current"))
    change, seen = overtaken(world, promote("v0.1.1", "current", expected="v0.1.0"), demote("current"))
    found = conflict(world, change, seen)
    assert (found.believed, found.found, found.by) == ("v0.1.0", "none", "Bob")
    assert found.at == world.events[-2].at


def test_a_demotion_of_one_who_holds_it_no_more_is_a_conflict() -> None:
    world = world_with(2, promote("v0.1.0", "current"))
    change, seen = overtaken(world, demote("current"), promote("v0.1.1", "current"))
    found = conflict(world, change, seen)
    assert (found.believed, found.found, found.by) == ("v0.1.0", "v0.1.1", "Bob")


def test_a_registration_of_a_version_that_was_there_before_is_a_conflict() -> None:
    world = world_with(1)
    change, seen = overtaken(world, register(7))
    earlier = make_event(Registered, "churn", "f" * 40, second=60, id="git:1", version="v0.1.1")
    world.events.insert(
        1, earlier.model_copy(update={"author": "Bob", "source": "v0.1.1, as another tool wrote it"})
    )
    found = conflict(world, change, seen)
    assert "v0.1.1, as another tool wrote it by Bob came before it" in str(found)


# -- what GTO was not told ---------------------------------------------------------------------------------


def test_a_rollback_that_stopped_after_its_echo_is_taken_back_for_gto() -> None:
    world = world_with(3, *(promote(f"v0.1.{patch}", "current") for patch in range(3)))
    world.grant(promote("v0.1.0", "shadow", keep=True))
    promotion = next(event for event in world.events if event.source == "churn#current#3")
    world.events.append(rollback("current")(world.history, writer_for(world.events)).events[0])
    assert world.history.holders("current") == ("v0.1.2",)
    assert for_gto(world).holders("current") == ("v0.1.1",)
    world.grant(demote("shadow"))
    first = world.events[0]
    for second in (
        90,
        91,
    ):  # one that has left the stage already, and another than the one that is to come back
        gtos = make_event(
            Unassigned, "churn", first.rev, second=second, number=second, stage="current", schema_version=0
        )
        world.events.append(gtos)
    assert [problem.where for problem in problems_in(world.history, ())] == ["churn#current!#1"]
    (echo,) = world.grant(repeat_for_gto).events
    assert isinstance(echo, Assigned)
    assert (echo.stage, echo.version, echo.rev) == ("current", "v0.1.2", promotion.rev)
    assert echo.echo_of == promotion.id
    assert dict(for_gto(world).assignments) == dict(world.history.assignments)
    assert world.history.holders("current") == ("v0.1.2",)
    assert world.grant(repeat_for_gto).events == ()


@pytest.mark.parametrize(
    "end",
    [
        {"kind": Assigned, "stage": "current", "version": "v1.0.0", "leaves": ("canary", "shadow")},
        {"kind": Assigned, "stage": "shadow", "version": "v2.0.0", "restores": "first"},
        {"kind": Unassigned, "stage": "shadow", "version": "v2.0.0", "empties": True},
    ],
    ids=["it left", "a rollback", "a demotion"],
)
def test_a_missing_echo_names_the_event_that_ended_the_assignment(end: dict[str, Any]) -> None:
    one, two = "a" * 40, "b" * 40
    facts: list[dict[str, Any]] = [
        {"kind": Registered, "version": "v1.0.0", "rev": one},
        {"kind": Registered, "version": "v2.0.0", "rev": two},
        {"kind": Unassigned, "stage": "shadow", "version": "v1.0.0", "empties": True},
        {"kind": Assigned, "stage": "shadow", "version": "v2.0.0", "id": "first"},
        {"kind": Assigned, "stage": "shadow", "version": "v1.0.0", "restores": "unknown"},
        # What ends something else, or nothing:
        {"kind": Assigned, "stage": "canary", "version": "v1.0.0"},
        {"kind": Assigned, "stage": "current", "version": "v2.0.0", "leaves": ("canary",)},
        {"kind": Assigned, "stage": "current", "version": "v2.0.0", "restores": "unknown"},
        {"kind": Unassigned, "stage": "current", "version": "v2.0.0", "empties": True},
        {"kind": Unassigned, "stage": "canary", "version": "v2.0.0"},
        {"kind": Unassigned, "stage": "shadow", "version": "v3.0.0"},
        {"kind": Unassigned, "stage": "shadow", "version": "v3.0.0", "empties": True, "echo_of": "first"},
        end | {"id": "the end"},
        {"kind": Unassigned, "stage": "shadow", "version": "v2.0.0", "empties": True},
    ]  # fmt: skip
    events = [
        make_event(
            **{"model": "churn", "rev": two if each["version"] == "v2.0.0" else one, "second": second, "number": second} | each
        )
        for second, each in enumerate(facts, start=1)
    ]  # fmt: skip
    world = World(events=events)
    echoes = [
        event
        for event in world.grant(repeat_for_gto).events
        if isinstance(event, Unassigned) and (event.stage, event.version) == ("shadow", "v1.0.0")
    ]
    assert [(event.echo_of, event.rev) for event in echoes] == [("the end", one)]
    assert dict(for_gto(world).assignments) == dict(world.history.assignments)


# -- drafts ------------------------------------------------------------------------------------------------


def test_a_log_that_ends_with_time_itself_refuses_to_go_on() -> None:
    event = make_event(Registered, "churn", "a" * 40, version="v0.1.0")
    world = World(events=[event.model_copy(update={"at": datetime.max.replace(microsecond=0, tzinfo=UTC)})])
    refused(world, promote("v0.1.0", "current"), RefusedError, "nothing can come after it")


def test_a_message_that_no_tag_can_hold_is_refused_before_anything_is_written() -> None:
    world = world_with(1)
    with pytest.raises(InvalidInputError, match="NUL"):
        promote("v0.1.0", "current")(world.history, writer_for(world.events, message="a\0b"))


def test_the_writers_clock_is_kept_and_the_logs_time_is_whole_seconds() -> None:
    now = START + timedelta(days=1, microseconds=7)
    event = register(1)(World().history, writer_for([], now=now)).events[0]
    assert (event.at, event.written_at) == (START + timedelta(days=1), now)


def test_gto_agrees_after_every_step_of_a_busy_day() -> None:
    world = world_with(4)
    for wish in (
        promote("v0.1.0", "shadow"), promote("v0.1.0", "current"), promote("v0.1.1", "shadow"), promote("v0.1.1", "current"),
        promote("v0.1.2", "current"), rollback("current"), demote("current"), promote("v0.1.3", "current"),
        rollback("current"), withdraw("v0.1.1", then="v0.1.0"),
    ):  # fmt: skip
        world.grant(wish)
        assert dict(for_gto(world).assignments) == dict(world.history.assignments), wish
        assert list(problems_in(world.history, ())) == []


def test_a_change_of_nothing_says_nothing_and_a_writer_makes_ids_that_nobody_guesses() -> None:
    assert Change() == Change((), "", None, {})
    assert dict(Change().recorded("v1.0.0")) == {}
    assert replace(Change(), recorded=lambda _: {"auc": 0.9}) == Change(), (
        "what was recorded is no part of it"
    )
    writer = Writer("Ann", "ann@example.com", datetime(2026, 1, 1, tzinfo=UTC), "r", lambda _: 1)
    assert writer.message == ""
    ids = {writer.new_id() for _ in range(10)}
    assert len(ids) == 10 and all(len(bytes.fromhex(each)) == 16 for each in ids)
