"""What ``check()`` finds odd, and that it finds nothing in what we write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelregistry.log import changes
from modelregistry.log.checks import Problem, problems_in
from modelregistry.log.events import Assigned, Deregistered, Event, Registered, Unassigned
from modelregistry.log.history import History, Stages
from modelregistry.log.tags import Quarantined
from modelregistry.testing import make_event
from tests.strategies import Named, deprecate, promote, stage_wishes, world_with

A, B = "a" * 40, "b" * 40


def problems(
    *events: Event,
    stages: Stages | None = None,
    quarantined: tuple[Quarantined, ...] = (),
    aside: tuple[Event, ...] = (),
) -> list[Problem]:
    return list(problems_in(History("churn", events, stages or Stages()), quarantined, aside))


def registered(version: str, rev: str, second: int = 1) -> Event:
    return make_event(Registered, "churn", rev, second=second, version=version)


def test_a_quarantined_tag_is_reported_with_its_reason() -> None:
    found = problems(quarantined=(Quarantined("churn", "churn@v1.0.0", "it is odd", "@v1.0.0", 0),))
    assert [(problem.model, problem.where, problem.what) for problem in found] == [
        ("churn", "churn@v1.0.0", "not read as an event: it is odd")
    ]


def test_an_event_that_does_not_count_is_there_and_is_not_to_be_deleted() -> None:
    first = registered("v1.0.0", A)
    echo = make_event(Unassigned, "churn", A, second=2, stage="current", version="v1.0.0", echo_of="x")
    last = registered("v2.0.0", B, 3).model_copy(update={"prev": first.fingerprint()})
    reasons = tuple(
        Quarantined("churn", each.source, "by your policy: no", each.slot, 0) for each in (first, echo)
    )
    found = problems(last, quarantined=reasons, aside=(first, echo))
    assert [(problem.where, problem.what) for problem in found] == [
        (each.source, "does not count by your policy: no") for each in (first, echo)
    ]
    assert "done again, signed" in found[0].mend
    assert "delete the tag" in found[1].mend
    assert "is gone" in problems(last)[0].what


def test_one_version_at_two_commits() -> None:
    (found,) = problems(
        registered("v1.0.0", A), registered("v1.0.0", B, 2).model_copy(update={"source": "second"})
    )
    assert found.where == "second"
    assert "registered at bbbbbbbbbb and at aaaaaaaaaa, which counts" in found.what


def test_two_versions_at_one_commit() -> None:
    (found,) = problems(registered("v1.0.0", A), registered("v2.0.0", A, 2))
    assert found.where == "churn@v2.0.0"
    assert "v1.0.0 and v2.0.0 are registered at one commit" in found.what


def test_the_end_of_a_version_that_never_was() -> None:
    (found,) = problems(make_event(Deregistered, "churn", A, version="v1.0.0"))
    assert "there is no v1.0.0 to take away" in found.what


def test_a_stage_tag_where_no_version_is() -> None:
    found = problems(
        make_event(Assigned, "churn", A, stage="current"),
        make_event(Unassigned, "churn", B, second=2, stage="current"),
    )
    assert ["no version is registered" in problem.what for problem in found] == [True, True]


def test_a_stage_that_the_team_does_not_have() -> None:
    events = (registered("v1.0.0", A), make_event(Assigned, "churn", A, second=2, stage="prod"))
    assert problems(*events) == []
    (found,) = problems(*events, stages=Stages(("current",), written_down=True))
    assert found.where == "stage 'prod'"


def test_a_missing_echo_is_told_with_the_command_that_mends_it() -> None:
    world = world_with(2)
    world.events += [
        make_event(Assigned, "churn", world.events[0].rev, second=80, stage="shadow", version="v0.1.0"),
        make_event(Assigned, "churn", world.events[0].rev, second=81, stage="current", version="v0.1.0", leaves=("shadow",)),
    ]  # fmt: skip
    (found,) = problems_in(world.history, ())
    assert found.what == "GTO still counts v0.1.0 as a holder of 'shadow'; it left"
    assert found.mend == "check(repair=True)"


def test_an_echo_that_came_after_a_deprecation_is_told_and_mended() -> None:
    """GTO takes it for an event of the model, and shows the model again."""
    world = world_with(2, promote("v0.1.0", "shadow"), promote("v0.1.0", "current"))
    world.events.pop()  # the writer was stopped before the echo
    world.grant(deprecate())
    world.grant(changes.repeat_for_gto)
    assert [event.kind for event in world.events[-3:]] == ["deprecate", "unassign", "deprecate"]
    assert list(problems_in(world.history, ())) == []
    assert world.history.deprecated is not None
    world.events.pop()
    (found,) = problems_in(world.history, ())
    assert found.what == "GTO counts the model as deprecated no more, since this tag came after; it is"
    world.grant(changes.repeat_for_gto)
    assert list(problems_in(world.history, ())) == []
    world.grant(promote("v0.1.1", "shadow"))
    assert world.history.deprecated is None


@given(st.lists(stage_wishes, max_size=12))
def test_what_the_rules_write_has_no_problem(story: list[Named]) -> None:
    world = world_with(3)
    for wish in story:
        world.try_to(wish)
    assert list(problems_in(world.history, ())) == []


@given(st.lists(stage_wishes, min_size=1, max_size=12), st.integers(1, 3))
def test_whatever_a_stopped_writer_left_the_advice_mends(story: list[Named], missing: int) -> None:
    world, last = world_with(3), 0
    for wish in story:
        change = world.try_to(wish)
        last = len(change.events) if change is not None and change.events else last
    del world.events[len(world.events) - min(missing, last) :]
    found = list(problems_in(world.history, ()))
    assert {problem.mend for problem in found} <= {"check(repair=True)"}
    holders = dict(world.history.assignments)
    assert bool(world.grant(changes.repeat_for_gto).events) == bool(found)
    assert list(problems_in(world.history, ())) == []
    assert world.history.assignments == holders
