"""Laws of writing: what a change says is true once its events are in the log, and wishing again writes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelregistry.errors import RegistryError, StageEmptyError, WithdrawnError
from modelregistry.log.events import Event, Withdrawn
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import RawTag, parse, render, tag_name
from modelregistry.names import WITHDRAWN
from tests.strategies import (
    SHARED,
    STAGES,
    START,
    Named,
    World,
    annotate,
    demote,
    deprecate,
    logs,
    promote,
    register,
    rollback,
    stage_wishes,
    wishes,
    withdraw,
    world_with,
    writer_for,
)

rules = st.sampled_from([Stages(), SHARED])
stories = st.lists(wishes, max_size=14)
some_version = st.sampled_from(["v0.1.0", "v0.1.1", "v0.1.2"])
some_stage = st.sampled_from(STAGES)


def told(story: list[Named], stages: Stages) -> World:
    """Three versions, and what the story makes of them."""
    world = world_with(3, stages=stages)
    for wish in story:
        world.try_to(wish)
    return world


@settings(max_examples=150)
@given(stories, rules)
def test_events_follow_each_other_in_time_number_and_chain(story: list[Named], stages: Stages) -> None:
    world = told(story, stages)
    assert world.history.events == world.events, "the log is in the order it was written"
    taken: set[tuple[str, int]] = set()
    for before, event in zip([None, *world.events], world.events, strict=False):
        assert event.prev == (before.fingerprint() if before else None)
        assert before is None or event.at > before.at
        assert event.at.microsecond == 0
        assert (event.slot, event.number) not in taken
        taken.add((event.slot, event.number))
        assert event.source == tag_name(event)
        assert parse(RawTag(tag_name(event), "0" * 40, "tag", render(event))) == event


@settings(max_examples=150)
@given(stories, rules)
def test_a_refused_wish_is_a_registry_error_and_a_granted_one_is_one_visible_event(
    story: list[Named], stages: Stages
) -> None:
    world = world_with(3, stages=stages)
    for wish in story:
        try:
            change = wish(world.history, writer_for(world.events))
        except RegistryError:
            continue
        visible = [event for event in change.events if event.echo_of is None]
        assert bool(change.events) != bool(change.note), "events, or a note that says why there are none"
        assert len(visible) <= 1 or isinstance(visible[-1], Withdrawn)
        world.grant(wish)


@settings(max_examples=200)
@given(stories, rules, some_version, some_stage, st.booleans())
def test_promote_makes_it_the_holder_and_again_writes_nothing(
    story: list[Named], stages: Stages, version: str, stage: str, keep: bool
) -> None:
    world = told(story, stages)
    before = world.history
    wish = promote(version, stage, keep=keep)
    change = world.try_to(wish)
    if change is None:
        assert before.state(version) == WITHDRAWN, "three versions are there, so only a tombstone forbids it"
        return
    after = world.history
    assert version in after.holders(stage)
    if stage not in stages.shared:
        assert after.holders(stage) == (version,)
    if change.events and not keep:
        assert after.stages_of(version) == (stage,)
    if keep:
        assert set(before.stages_of(version)) <= set(after.stages_of(version))
    assert world.grant(wish).events == ()


@settings(max_examples=200)
@given(stories, rules, some_stage)
def test_demote_empties_an_exclusive_stage_and_again_is_refused(
    story: list[Named], stages: Stages, stage: str
) -> None:
    world = told(story, stages)
    holders = world.history.holders(stage)
    change = world.try_to(demote(stage))
    assert (change is not None) == (len(holders) == 1)
    if change is not None:
        assert change.version == holders[0]
        assert world.history.holders(stage) == ()
        with pytest.raises(StageEmptyError):
            world.grant(demote(stage))


@settings(max_examples=300)
@given(stories, rules, some_version, st.none() | some_version)
def test_withdraw_is_final_and_then_takes_over_every_stage(
    story: list[Named], stages: Stages, version: str, then: str | None
) -> None:
    world = told(story, stages)
    before = world.history
    held = [stage for stage in before.stages_of(version) if stage not in stages.shared]
    change = world.try_to(withdraw(version, then=then))
    if change is None:
        assert then == version or (held and (then is None or before.state(then) == WITHDRAWN))
        assert world.history.events == before.events
        return
    after = world.history
    assert after.state(version) == WITHDRAWN
    for stage in held if change.events else ():
        assert after.holders(stage) == (then,)
    for stage in set(STAGES) - set(before.stages_of(version)) if not held else ():
        assert after.holders(stage) == before.holders(stage), "nobody else moves"
    assert world.grant(withdraw(version)).events == ()
    with pytest.raises(WithdrawnError):
        world.grant(promote(version, "current"))


@settings(max_examples=150)
@given(stories, rules, st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 2), min_size=1))
def test_annotations_are_true_afterwards_and_again_write_nothing(
    story: list[Named], stages: Stages, values: dict[str, int | None]
) -> None:
    world = told(story, stages)
    for version in (None, "v0.1.0"):
        wish = annotate(values, version=version)
        world.grant(wish)
        found = world.history.metadata(version)
        assert all(
            key not in found if value is None else found[key] == value for key, value in values.items()
        )
        assert world.grant(wish).events == ()


@settings(max_examples=100)
@given(stories, rules)
def test_deprecation_lasts_until_the_next_promotion(story: list[Named], stages: Stages) -> None:
    world = told(story, stages)
    world.grant(deprecate())
    assert world.history.deprecated is not None
    assert world.grant(deprecate()).events == ()
    world.grant(annotate({"why": 1}))
    assert world.history.deprecated is not None
    world.grant(register(999))
    assert world.history.deprecated is None


@settings(max_examples=100)
@given(stories, rules, st.integers(1, 6), st.sampled_from([None, "v0.1.0", "v3.0.0"]))
def test_registering_makes_a_version_and_again_finds_it(
    story: list[Named], stages: Stages, content: int, version: str | None
) -> None:
    world = told(story, stages)
    before = set(world.history.versions)
    wish = register(content, version=version)
    change = world.try_to(wish)
    if change is None:
        return
    assert change.version in world.history.served
    assert (change.version in before) == (not change.events)
    again = world.grant(wish)
    assert again.events == ()
    assert again.version == change.version


@settings(max_examples=300)
@given(st.lists(st.one_of(st.builds(promote, some_version, st.just("current")), st.just(rollback("current")), st.just(demote("current"))), max_size=20))  # fmt: skip
def test_rollback_walks_back_as_an_undo_stack_does(story: list[Named]) -> None:
    """Promote pushes, rollback pops; an emptied stage gets its last holder back."""
    world = world_with(3)
    stack: list[str] = []
    held = False
    for wish in story:
        verb, _, rest = wish.text.partition("(")
        change = world.try_to(wish)
        if verb == "promote":
            version = rest.partition(",")[0]
            if not held or stack[-1] != version:
                stack.append(version)
            held = True
        elif verb == "demote":
            assert (change is not None) == held
            held = False
        else:
            going = list(stack)
            while held and going and going[-1] == stack[-1]:
                going.pop()
            assert (change is not None) == bool(going)
            if going:
                stack, held = going, True
        assert world.history.holders("current") == ((stack[-1],) if held else ())


@settings(max_examples=150)
@given(stories, st.lists(stage_wishes, max_size=4))
def test_repeated_rollback_ends_and_never_serves_what_was_withdrawn(
    story: list[Named], more: list[Named]
) -> None:
    world = told([*story, *more], Stages())
    seen = 0
    while world.try_to(rollback("current")) is not None:
        seen += 1
        assert set(world.history.holders("current")) <= set(world.history.served)
        assert seen <= len(world.events)


@settings(max_examples=200)
@given(logs(), wishes, rules)
def test_any_log_of_other_tools_can_be_written_to_or_the_wish_is_refused(
    log: list[Event], wish: Named, stages: Stages
) -> None:
    world = World(stages=stages, events=log)
    change = world.try_to(wish)
    if change is not None and change.events:
        assert all(event.at > max(found.at for found in log) for event in change.events if log)
        assert History("churn", world.events, stages).events[-len(change.events) :] == list(change.events)


@settings(max_examples=60)
@given(st.integers(-(10**6), 10**6))
def test_a_writer_whose_clock_is_slow_still_writes_after_the_last_event(seconds: int) -> None:
    world = world_with(1)
    writer = writer_for(world.events, now=START + timedelta(seconds=seconds))
    event = promote("v0.1.0", "current")(world.history, writer).events[0]
    assert event.at > world.events[-1].at
    assert event.written_at == START + timedelta(seconds=seconds)
