"""What a promotion may require: how it is spelt, how it is judged, and what the event keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelregistry.errors import ConflictError, InvalidInputError, InvalidNameError, RefusedError
from modelregistry.log import changes
from modelregistry.log.changes import confirm
from modelregistry.log.events import Assigned, event_from_json
from modelregistry.log.history import History
from modelregistry.log.requirements import Requirement, judge, parse_all
from modelregistry.log.tags import parse_name, render
from tests.strategies import SHARED, World, annotate, promote, world_with, writer_for

AUC = "metrics.auc"


def measured(*values: object, holder: str | None = "v0.1.0") -> World:
    """A version for each value of the metric; the first one is current, if it is to be."""
    wishes = [
        annotate({"metrics": {"auc": value}}, version=f"v0.1.{number}")
        for number, value in enumerate(values) if value is not None
    ]  # fmt: skip
    if holder is not None:
        wishes.append(promote(holder, "current"))
    return world_with(len(values), *wishes)


def promoted(world: World, version: str, require: dict[str, str], stage: str = "current") -> Assigned:
    """The assignment that comes of it."""
    change = changes.promote(
        world.history, writer_for(world.events), version, stage, require=parse_all(require)
    )
    event = change.events[0]
    assert isinstance(event, Assigned)
    return event


@pytest.mark.parametrize(
    ("wish", "value", "passes"),
    [
        (">= 0.9", 0.9, True), ("> 0.9", 0.9, False), ("<= 0.9", 0.9, True), ("< 0.9", 0.9, False),
        (">=0.9", 0.91, True), (" <  -1.5e-1 ", -0.2, True), ("> 2", 3, True), ("> 2", True, False),
    ],
)  # fmt: skip
def test_a_bound_is_kept_or_the_promotion_is_refused(wish: str, value: object, passes: bool) -> None:
    world = measured(value, holder=None)
    if passes:
        (found,) = promoted(world, "v0.1.0", {AUC: wish}).judged
        assert (found.figure, found.wish, found.value, found.holder) == (AUC, wish, value, None)
    else:
        with pytest.raises(RefusedError, match="nothing was written"):
            promoted(world, "v0.1.0", {AUC: wish})


@pytest.mark.parametrize(
    ("wish", "passes"),
    [
        ("> current", True), ("> current + 0.2", False), (">= current + 0.2", True), (">= current+0.2", True),
        (">= current + 0.21", False), ("> current - 0.1", True), ("< current", False),
    ],
)  # fmt: skip
def test_a_gain_is_over_the_holder_of_the_stage_and_exact_in_decimals(wish: str, passes: bool) -> None:
    world = measured(0.1, 0.3)  # in binary, 0.1 + 0.2 is more than 0.3
    if passes:
        (found,) = promoted(world, "v0.1.1", {AUC: wish}).judged
        assert (found.value, found.holder, found.holder_value) == (0.3, "v0.1.0", 0.1)
    else:
        with pytest.raises(RefusedError, match=r"metrics.auc is 0.3, and .* is required: .*@v0.1.0 has 0.1"):
            promoted(world, "v0.1.1", {AUC: wish})


def test_where_nobody_holds_the_stage_a_gain_is_no_bound_and_the_figure_is_kept() -> None:
    (found,) = promoted(measured(0.1, holder=None), "v0.1.0", {AUC: "> current + 0.5"}).judged
    assert (found.value, found.holder) == (0.1, None)


@pytest.mark.parametrize("value", [None, "0.95", [0.95], float("1e308") * 1])
def test_a_figure_that_is_not_known_is_refused(value: object) -> None:
    for wish in (">= 0", "> current"):
        with pytest.raises(RefusedError, match=r"it has no number 'metrics.auc': registry.evaluate"):
            promoted(measured(0.9, value), "v0.1.1", {AUC: wish})
    if value is None:
        with pytest.raises(RefusedError, match=r"@v0.1.0, which it is compared with, has no number"):
            promoted(measured(None, 0.9), "v0.1.1", {AUC: "> current"})


def test_what_pipelines_recorded_counts_where_the_metadata_has_no_metrics() -> None:
    world = measured(None, 0.3, holder=None)
    wanted = parse_all({AUC: "> 0.2"})
    (found,) = judge(world.history, "v0.1.0", wanted, lambda version: {"auc": 0.5})
    assert found.value == 0.5
    (found,) = judge(world.history, "v0.1.1", wanted, lambda version: {"auc": 0.5})
    assert found.value == 0.3
    with pytest.raises(RefusedError, match="no number"):
        judge(world.history, "v0.1.0", parse_all({"auc": "> 0"}), lambda version: {"auc": 0.5})
    change = changes.promote(
        world.history,
        writer_for(world.events),
        "v0.1.0",
        "current",
        require=wanted,
        recorded=lambda _: {"auc": 0.5},
    )
    seen = len(world.events)
    world.grant(annotate({"owner": "risk"}, version="v0.1.0"))
    late = change.events[0].model_copy(update={"at": world.events[-1].at.replace(year=2099)})
    history = History("churn", [*world.events, late], world.history.stages)
    confirm(replace(change, events=(late,)), history, seen=seen)
    with pytest.raises(ConflictError):
        confirm(replace(change, events=(late,), recorded=lambda _: {}), history, seen=seen)


def test_every_figure_that_fails_is_told() -> None:
    with pytest.raises(RefusedError, match=r"metrics.auc is 0.3.*; .*'metrics.f1'"):
        promoted(measured(0.3), "v0.1.0", {AUC: "> 1", "metrics.f1": "> 1"}, "shadow")


@pytest.mark.parametrize(
    "require",
    [
        {AUC: "0.9"}, {AUC: "== 0.9"}, {AUC: ">= 1_0"}, {AUC: "> current + current"}, {AUC: 0.9}, {AUC: ""},
        {AUC: "> current-0.1"}, {AUC: "> __import__('os')"}, {"": "> 1"}, {1: "> 1"}, {AUC: "> " + "9" * 1000}, [AUC], "x",
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_is_not_understood_is_refused(require: Any) -> None:
    with pytest.raises(InvalidInputError, match="require="):
        parse_all(require)


def test_a_stage_that_is_misspelt_is_refused_and_not_taken_for_empty() -> None:
    for name in ("presently", "nan"):
        with pytest.raises(InvalidNameError, match=name):
            promoted(measured(0.9, 0.1), "v0.1.1", {AUC: f"> {name}"})


def test_a_shared_stage_with_several_holders_is_no_baseline() -> None:
    world = measured(0.9, 0.8, 0.95)
    world.stages = SHARED
    for version in ("v0.1.0", "v0.1.1"):
        world.grant(promote(version, "shadow"))
    with pytest.raises(InvalidInputError, match="shared by"):
        judge(world.history, "v0.1.2", [Requirement.parse(AUC, "> shadow")])


def test_the_event_keeps_the_figures_through_its_tag() -> None:
    event = promoted(measured(0.1, 0.3), "v0.1.1", {AUC: "> current + 0.01"})
    assert event_from_json(event.to_json()) == event
    assert b'"judged":[{"figure":"metrics.auc"' in render(event)
    assert parse_name(event.source) is not None


def test_a_figure_that_moved_before_the_promotion_came_to_stand_is_a_conflict() -> None:
    world = measured(0.1, 0.3)
    seen = len(world.events)
    change = changes.promote(
        world.history, writer_for(world.events), "v0.1.1", "current", require=parse_all({AUC: ">= 0.3"})
    )
    world.grant(annotate({"metrics": {"auc": 0.2}}, version="v0.1.1"))
    late = [change.events[0].model_copy(update={"at": world.events[-1].at.replace(year=2099)})]
    moved = replace_events(change, late)
    with pytest.raises(ConflictError, match="changed what it was decided on"):
        confirm(moved, History("churn", [*world.events, *late], world.history.stages), seen=seen)


def test_another_event_that_moves_no_figure_is_no_conflict() -> None:
    world = measured(0.1, 0.3)
    seen = len(world.events)
    change = changes.promote(
        world.history, writer_for(world.events), "v0.1.1", "current", require=parse_all({AUC: "> current"})
    )
    world.grant(annotate({"owner": "risk"}, version="v0.1.1"))
    late = [change.events[0].model_copy(update={"at": world.events[-1].at.replace(year=2099)})]
    confirm(
        replace_events(change, late),
        History("churn", [*world.events, *late], world.history.stages),
        seen=seen,
    )


def replace_events(change: changes.Change, events: list[Any]) -> changes.Change:
    return changes.Change(tuple(events), version=change.version, holders=change.holders)
