"""Laws of the fold, over logs that several tools and wrong clocks could write."""

from __future__ import annotations

import random
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from modelregistry.log.checks import problems_in
from modelregistry.log.events import Deregistered, Event, Unassigned, Withdrawn
from modelregistry.log.history import History, Stages
from modelregistry.names import INACTIVE, WITHDRAWN
from tests.strategies import SHARED, STAGES, START, VERSIONS, logs, said

rules = st.sampled_from([Stages(), SHARED, Stages((), frozenset(), written_down=True)])


@settings(max_examples=200)
@given(logs(), rules, st.randoms(use_true_random=False))
def test_the_order_in_which_events_are_read_changes_nothing(
    log: list[Event], stages: Stages, source: random.Random
) -> None:
    shuffled = source.sample(log, len(log))
    assert said(History("churn", shuffled, stages)) == said(History("churn", log, stages))


@settings(max_examples=150)
@given(logs(), rules)
def test_an_event_read_twice_counts_once(log: list[Event], stages: Stages) -> None:
    assert said(History("churn", log + log, stages)) == said(History("churn", log, stages))


@settings(max_examples=150)
@given(logs(), rules)
def test_folding_again_gives_the_same(log: list[Event], stages: Stages) -> None:
    first = History("churn", log, stages)
    assert said(History("churn", first.events, stages)) == said(first)


@settings(max_examples=300)
@given(logs(), rules, st.booleans())
def test_echoes_change_nothing(log: list[Event], stages: Stages, late: bool) -> None:
    if late and log:
        end = {"at": START + timedelta(seconds=100), "echo_of": "e0", "source": "late"}
        facts = log[0].model_dump(include={"model", "id", "author", "email", "rev", "schema_version"})
        log = [*log, Unassigned.model_validate(facts | end | {"stage": "shadow", "version": VERSIONS[0]})]
    without = [event for event in log if event.echo_of is None]
    seen, expected = said(History("churn", log, stages)), said(History("churn", without, stages))
    assert seen == expected


@settings(max_examples=150)
@given(logs(), rules, st.integers(-1, 13))
def test_as_of_is_the_fold_of_what_was_written_by_then(log: list[Event], stages: Stages, second: int) -> None:
    moment = START + timedelta(seconds=second)
    prefix = [event for event in log if event.at <= moment]
    cut = History("churn", log, stages, as_of=moment)
    assert said(cut) == said(History("churn", prefix, stages))
    assert all(event.at <= moment for event in cut.events)


@settings(max_examples=300)
@given(logs(), rules)
def test_every_answer_agrees_with_every_other(log: list[Event], stages: Stages) -> None:
    history = History("churn", log, stages)
    for stage in STAGES:
        holders = history.holders(stage)
        assert len(set(holders)) == len(holders)
        if stage not in stages.shared:
            assert len(holders) <= 1, "an exclusive stage never has two holders"
            tenure = history.tenure(stage)
            assert holders == ((tenure.version,) if tenure else ())
        assert set(holders) <= set(history.served), "what is withdrawn or hidden is never served"
        assert (stage in history.assignments) == bool(holders)
    assert history.latest is None or history.latest in history.served
    for version, record in history.versions.items():
        state = history.state(version)
        assert (state == WITHDRAWN) == (version not in history.served)
        assert (state == INACTIVE) == (record.served and not history.stages_of(version))
        if state not in (WITHDRAWN, INACTIVE):
            assert state == history.stages_of(version)[0]
        assert all(version in history.holders(stage) for stage in history.stages_of(version))


@settings(max_examples=300)
@given(logs(), logs(), rules, st.sampled_from(VERSIONS), st.booleans())
def test_a_withdrawn_version_is_never_served_again(
    log: list[Event], later: list[Event], stages: Stages, version: str, hidden: bool
) -> None:
    history = History("churn", log, stages)
    if version not in history.versions:
        return
    at = START + timedelta(seconds=100)
    tombstone = Withdrawn(
        model="churn", id="tombstone", at=at, author="", email="", rev=history.versions[version].registered.rev,
        version=version, schema_version=1, source="tombstone",
    )  # fmt: skip
    if hidden:
        facts = tombstone.model_dump(exclude={"kind"}) | {
            "id": "hidden",
            "source": "hidden",
            "schema_version": 0,
        }
        log = [*log, Deregistered.model_validate(facts | {"at": at - timedelta(seconds=1)})]
    resurrection = [
        event.model_copy(update={"at": event.at + timedelta(seconds=200), "id": f"l-{event.id}"})
        for event in later
    ]
    after = History("churn", [*log, tombstone, *resurrection], stages)
    assert version not in after.served
    assert after.state(version) == WITHDRAWN
    assert all(version not in after.holders(stage) for stage in STAGES)


@settings(max_examples=150)
@given(logs(), rules, st.sampled_from(STAGES))
def test_an_emptied_stage_has_no_holder_and_other_stages_keep_theirs(
    log: list[Event], stages: Stages, stage: str
) -> None:
    before = History("churn", log, stages)
    end = Unassigned(
        model="churn", id="end", at=START + timedelta(seconds=100), author="", email="", rev="a" * 40, stage=stage,
        empties=True, schema_version=1, source="end",
    )  # fmt: skip
    after = History("churn", [*log, end], stages)
    assert after.holders(stage) == ()
    for other in set(STAGES) - {stage}:
        assert after.holders(other) == before.holders(other)


@settings(max_examples=200)
@given(logs(), rules)
def test_previous_tenures_lead_back_in_time_and_end(log: list[Event], stages: Stages) -> None:
    history = History("churn", log, stages)
    for stage in STAGES:
        tenure = history.last_tenure(stage)
        while tenure is not None:
            assert tenure.previous is None or tenure.previous.event.order < tenure.event.order
            tenure = tenure.previous


@settings(max_examples=150)
@given(logs(), rules)
def test_whatever_is_in_a_log_can_be_checked(log: list[Event], stages: Stages) -> None:
    for problem in problems_in(History("churn", log, stages), ()):
        assert problem.model == "churn" and problem.what and problem.mend
