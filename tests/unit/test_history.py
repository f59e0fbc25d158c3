"""The fold, story by story: who holds what after GTO's tags, after ours, and after both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelregistry.log.checks import problems_in
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
from modelregistry.log.history import History, Stages
from modelregistry.testing import make_event
from tests.strategies import SHARED, START, annotate, world_with

A, B, C = "a" * 40, "b" * 40, "c" * 40


class Story:
    """Events of one model, each a second after the one before unless it says otherwise."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, kind: type[Event], rev: str, **facts: Any) -> Story:
        second = facts.pop("second", len(self.events) + 1)
        number = sum(type(event) is kind for event in self.events) + 1
        self.events.append(make_event(kind, "churn", rev, second=second, number=number, **facts))
        return self

    def registered(self, *versions: tuple[str, str]) -> Story:
        for version, rev in versions:
            self.add(Registered, rev, version=version)
        return self

    def history(self, stages: Stages | None = None, **options: Any) -> History:
        return History("churn", self.events, stages or Stages(), **options)


def two() -> Story:
    return Story().registered(("v1.0.0", A), ("v2.0.0", B))


def test_an_empty_log_answers_nothing() -> None:
    history = Story().history()
    assert (history.latest, history.served, dict(history.versions), history.last) == (None, (), {}, None)
    assert (history.holders("current"), history.tenure("current"), dict(history.assignments)) == (
        (),
        None,
        {},
    )
    assert (history.metadata(), history.deprecated) == ({}, None)


def test_latest_is_the_greatest_release_and_a_prerelease_only_alone() -> None:
    story = Story().registered(("v2.0.0-rc.1", A))
    assert story.history().latest == "v2.0.0-rc.1"
    assert story.registered(("v1.10.0", B), ("v1.9.0", C)).history().latest == "v1.10.0"
    assert story.history().served == ("v2.0.0-rc.1", "v1.10.0", "v1.9.0")
    assert story.add(Withdrawn, B, version="v1.10.0").history().latest == "v1.9.0"


def test_the_last_assigned_holds_whatever_the_counters_say() -> None:
    story = two().add(Assigned, B, stage="current", second=9).add(Assigned, A, stage="current", second=8)
    assert story.history().holders("current") == ("v2.0.0",)


def test_the_previous_holder_shows_again_after_gtos_unassignment() -> None:
    story = (
        two()
        .add(Assigned, A, stage="current")
        .add(Assigned, B, stage="current")
        .add(Unassigned, B, stage="current")
    )
    assert story.history().holders("current") == ("v1.0.0",)
    assert story.add(Unassigned, A, stage="current").history().holders("current") == ()


def test_unassign_wins_over_assign_within_one_second() -> None:
    story = two().add(Unassigned, A, stage="current", second=5).add(Assigned, A, stage="current", second=5)
    assert story.history().holders("current") == ()


def test_a_stage_tag_finds_a_version_that_was_registered_after_it() -> None:
    story = Story().add(Assigned, A, stage="current").registered(("v1.0.0", A))
    assert story.history().holders("current") == ("v1.0.0",)
    assert story.history(as_of=START + timedelta(seconds=1)).holders("current") == ()


def test_a_stage_tag_on_a_commit_without_a_version_counts_for_nothing() -> None:
    story = two().add(Assigned, C, stage="current")
    history = story.history()
    assert history.holders("current") == ()
    assert history.version_of(story.events[-1]) is None  # type: ignore[arg-type]


def test_a_deregistered_version_is_hidden_until_gto_registers_it_again() -> None:
    story = two().add(Assigned, B, stage="current").add(Deregistered, B, version="v2.0.0")
    assert (story.history().latest, story.history().holders("current")) == ("v1.0.0", ())
    story.add(Registered, B, version="v2.0.0")
    assert (story.history().latest, story.history().holders("current")) == ("v2.0.0", ("v2.0.0",))


def test_a_deregistration_at_another_commit_is_of_another_version() -> None:
    assert two().add(Deregistered, C, version="v2.0.0").history().latest == "v2.0.0"


def test_a_version_is_what_its_first_registration_says() -> None:
    history = two().add(Registered, C, version="v2.0.0").history()
    assert history.versions["v2.0.0"].registered.rev == B
    assert (history.versions_at(B), history.versions_at(C)) == (("v2.0.0",), ())


def test_a_registration_that_is_dated_back_does_not_change_what_a_version_is() -> None:
    first = make_event(Registered, "churn", A, second=5, number=0, version="v1.0.0", schema_version=1)
    back = make_event(Registered, "churn", B, second=1, number=1, version="v1.0.0", schema_version=1)
    history = History("churn", [first, back], Stages())
    assert history.versions["v1.0.0"].registered is first
    assert (history.versions_at(A), history.versions_at(B)) == (("v1.0.0",), ())
    assert [problem.where for problem in problems_in(history, ())] == [back.source]


def test_of_gtos_registrations_the_date_decides_since_it_counts_by_it() -> None:
    first = make_event(Registered, "churn", A, second=5, number=1, version="v1.0.0", schema_version=0)
    back = make_event(Registered, "churn", B, second=1, number=2, version="v1.0.0", schema_version=0)
    assert History("churn", [first, back], Stages()).versions["v1.0.0"].registered is back


def test_a_stage_tag_of_ours_at_another_commit_counts_for_nothing() -> None:
    history = two().add(Assigned, B, stage="current", version="v1.0.0").history()
    assert history.holders("current") == ()
    (problem,) = problems_in(history, ())
    assert "where v1.0.0 is not registered" in problem.what


def test_a_rollback_restores_a_tenure_of_its_own_stage() -> None:
    story = two().add(Assigned, A, stage="current", version="v1.0.0")
    taken = story.events[-1].id
    story.add(Assigned, B, stage="current", version="v2.0.0").add(
        Assigned, B, stage="shadow", version="v2.0.0"
    )
    story.events[-1] = story.events[-1].model_copy(update={"id": taken})  # a stranger's event with a known id
    history = story.add(Assigned, A, stage="current", version="v1.0.0", restores=taken).history()
    assert history.standing("current") == ("v1.0.0",)
    tenure = history.tenure("current")
    assert tenure is not None
    assert tenure.previous is None


def test_a_withdrawal_is_final_even_after_gto_hid_the_version_and_registered_it_elsewhere() -> None:
    story = two().add(Deregistered, B, version="v2.0.0").add(Withdrawn, B, version="v2.0.0")
    story.add(Registered, C, version="v2.0.0")
    assert story.history().latest == "v1.0.0"
    assert story.history().state("v2.0.0") == "withdrawn"


def test_a_version_registered_elsewhere_does_not_inherit_the_stages_of_its_old_commit() -> None:
    story = two().add(Assigned, B, stage="current").add(Deregistered, B, version="v2.0.0")
    story.add(Registered, C, version="v2.0.0")
    assert story.history().latest == "v2.0.0"
    assert story.history().holders("current") == (), "GTO matches by commit, and nobody assigned this one"


def test_a_withdrawn_holder_gives_way_to_the_one_before() -> None:
    story = (
        two()
        .add(Assigned, A, stage="current")
        .add(Assigned, B, stage="current")
        .add(Withdrawn, B, version="v2.0.0")
    )
    assert story.history().holders("current") == ("v1.0.0",)
    assert story.add(Assigned, B, stage="current").history().holders("current") == ("v1.0.0",)


def test_a_promotion_moves_a_version_out_of_the_stages_it_leaves() -> None:
    story = two().add(Assigned, A, stage="shadow", version="v1.0.0")
    story.add(Assigned, A, stage="current", version="v1.0.0", leaves=("shadow",))
    assert dict(story.history().assignments) == {"current": ("v1.0.0",)}


def test_an_emptied_stage_forgets_all_assignments() -> None:
    story = two().add(Assigned, A, stage="current").add(Assigned, B, stage="current")
    story.add(Unassigned, B, stage="current", version="v2.0.0", empties=True)
    history = story.history()
    assert (history.holders("current"), history.standing("current")) == ((), ())
    assert history.last_tenure("current") is not None


def test_a_restored_tenure_ends_the_assignments_since() -> None:
    story = two().registered(("v3.0.0", C))
    for rev, version in ((A, "v1.0.0"), (B, "v2.0.0"), (C, "v3.0.0")):
        story.add(Assigned, rev, stage="current", version=version)
    story.add(Assigned, A, stage="current", version="v1.0.0", restores=story.events[3].id)
    history = story.history()
    assert history.holders("current") == ("v1.0.0",)
    assert history.standing("current") == ("v1.0.0",)
    tenure = history.tenure("current")
    assert tenure is not None and tenure.previous is None
    assert history.since(tenure, "shadow") == ()


def test_a_shared_stage_has_all_its_holders_the_last_first() -> None:
    story = two().add(Assigned, A, stage="shadow").add(Assigned, B, stage="shadow")
    assert story.history(SHARED).holders("shadow") == ("v2.0.0", "v1.0.0")
    assert story.history(SHARED).state("v1.0.0") == "shadow"
    assert story.history().holders("shadow") == ("v2.0.0",)


def test_a_state_is_the_highest_stage_in_the_configured_order() -> None:
    story = (
        two()
        .add(Assigned, B, stage="shadow")
        .add(Assigned, B, stage="extra")
        .add(Assigned, B, stage="current")
    )
    history = story.history()
    assert history.stages_of("v2.0.0") == ("current", "shadow", "extra")
    assert (history.state("v2.0.0"), history.state("v1.0.0")) == ("current", "inactive")
    assert history.stages_used == ("current", "shadow", "extra")


def test_a_deprecation_ends_with_the_next_event_that_is_no_annotation_and_no_echo() -> None:
    story = two().add(Deprecated, B)
    assert story.history().deprecated is story.events[-1]
    story.add(Annotated, B, metadata={"a": 1})
    assert story.history().deprecated is not None
    story.add(Unassigned, B, stage="shadow", version="v2.0.0", echo_of="x")
    assert story.history().deprecated is not None, "echoes change nothing"
    assert story.add(Assigned, B, stage="current").history().deprecated is None


def test_annotations_add_and_take_away_in_order() -> None:
    story = Story().add(Registered, A, version="v1.0.0", metadata={"auc": 0.9, "owner": "ann"})
    story.add(Annotated, A, version="v1.0.0", metadata={"owner": None, "seen": True})
    story.add(Annotated, A, metadata={"team": "risk"})
    assert story.history().metadata("v1.0.0") == {"auc": 0.9, "seen": True}
    assert story.history().metadata() == {"team": "risk"}
    assert story.history(as_of=START + timedelta(seconds=1)).metadata("v1.0.0") == {
        "auc": 0.9,
        "owner": "ann",
    }


@pytest.mark.parametrize("second", [0, 1, 2, 3])
def test_as_of_counts_the_second_it_names(second: int) -> None:
    history = two().add(Assigned, A, stage="current").history(as_of=START + timedelta(seconds=second))
    assert len(history.events) == second


def test_all_metadata_is_that_of_each_version_and_of_the_model() -> None:
    world = world_with(
        2, annotate({"a": 1, "b": 2}, version="v0.1.0"), annotate({"a": None, "c": 3}, version="v0.1.0"),
        annotate({"runbook": "wiki"}),
    )  # fmt: skip
    history = world.history
    assert history.all_metadata() == {"v0.1.0": {"b": 2, "c": 3}, "v0.1.1": {}, None: {"runbook": "wiki"}}
    for version, found in history.all_metadata().items():
        assert found == history.metadata(version)
    assert history.said_by("b", "v0.1.0") is history.events[2]
    assert history.said_by("a", "v0.1.0") is history.events[3]
    assert history.said_by("runbook") is history.events[4]
    assert history.said_by("b") is None
    assert history.said_by("b", "v0.1.1") is None
