"""What a migration from MLflow would do, by what is there and what is here: no MLflow is needed to decide that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.errors import InvalidNameError, ModelNotFoundError
from modelregistry.log.changes import Writer, annotate, demote, promote, register
from modelregistry.log.events import Bytes
from modelregistry.log.history import History, Stages
from modelregistry.mlflow.facts import MLflowModel, MLflowRun, MLflowVersion
from modelregistry.mlflow.metadata import MOST_METADATA, is_from, model_metadata, version_metadata
from modelregistry.mlflow.names import choose_names, spelt, version_name
from modelregistry.mlflow.plan import StagePlan, plan_stages, plan_versions
from modelregistry.names import check_model, check_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def version(number: int, **facts: object) -> MLflowVersion:
    return MLflowVersion("churn", number, created_at=NOW, **facts)  # type: ignore[arg-type]


def model(*versions: MLflowVersion, **aliases: int) -> MLflowModel:
    return MLflowModel("churn", aliases=aliases, versions=versions)


class Log:
    """A model's log here, written by the real rules."""

    def __init__(self, stages: Stages | None = None) -> None:
        self.history = History("churn", [], stages or Stages())

    def _writer(self) -> Writer:
        numbers = {event.slot: event.number for event in self.history.events}

        def following(slot: str) -> int:
            registers = slot.startswith("@v") and not slot.endswith("!")
            return numbers.get(slot, -1 if registers else 0) + 1

        return Writer("Ann", "ann@example.com", NOW, "registry", following)

    def write(self, change: object, *arguments: object, **options: object) -> Log:
        made = change(self.history, self._writer(), *arguments, **options)  # type: ignore[operator]
        self.history = History("churn", [*self.history.events, *made.events], self.history.stages)
        return self

    def bring(self, *versions: MLflowVersion) -> Log:
        for each in versions:
            metadata, _ = version_metadata(each, MLflowRun(), address="there")
            name = version_name(each.number)
            self.write(
                register, rev=f"{each.number:040d}", content=Bytes(f"sha256:{each.number:064d}", "md5:x"), version=name,
                metadata=metadata,
            )  # fmt: skip
        return self

    def remember(self, there: MLflowModel, seen: Mapping[str, list[str]]) -> Log:
        return self.write(annotate, model_metadata(there, seen)[0])


def stages(log: Log, there: MLflowModel, *, again: bool = False, **labels: str | None) -> StagePlan:
    plan = plan_versions(there, "churn", log.history)
    return plan_stages(plan, log.history, labels, here=plan.here, again=again)


def moves(found: StagePlan) -> dict[str, str]:
    return {move.stage: move.version for move in found.moves}


# -- names -------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_a_spelling_is_a_name_that_a_model_may_have(name: str) -> None:
    found = spelt(name)
    assert found is None or check_model(found) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("churn", "churn"),
        ("Iris, scaled (2024)", "Iris-scaled-2024"),
        ("main.models.churn", "main-models-churn"),
        ("café", "cafe"),
        ("_x_", "x"),
        ("日本", None),
    ],
)
def test_characters_that_can_not_be_in_a_name_become_hyphens(name: str, found: str | None) -> None:
    assert spelt(name) == found


def test_two_that_would_have_one_name_have_none_unless_it_is_the_name_of_one() -> None:
    found = choose_names(["a b", "a-b", "c d", "c.d", "e"], {})
    assert found.chosen == {"a-b": "a-b", "e": "e"}
    assert {*found.refused} == {"a b", "c d", "c.d"}


def test_a_given_name_tells_them_apart() -> None:
    found = choose_names(["a b", "a-b"], {"a b": "team/a"})
    assert found.chosen == {"a b": "team/a", "a-b": "a-b"}


def test_a_given_name_that_another_model_has_is_refused_for_both() -> None:
    assert choose_names(["a", "b"], {"a": "b"}).chosen == {}


def test_a_given_name_must_be_one_for_a_model_that_is_there() -> None:
    with pytest.raises(InvalidNameError):
        choose_names(["a"], {"a": "a b"})
    with pytest.raises(ModelNotFoundError, match="'x'"):
        choose_names(["a"], {"x": "a"})


@given(st.integers(min_value=1, max_value=10**9))
def test_the_number_leads_the_version(number: int) -> None:
    assert check_version(version_name(number)) == f"v{number}.0.0"


# -- versions ----------------------------------------------------------------------------------------------


def test_only_what_is_new_and_whole_is_brought() -> None:
    log = Log().bring(version(1))
    plan = plan_versions(
        model(version(1), version(2), version(3, status="FAILED_REGISTRATION")), "churn", log.history
    )
    assert [each.number for each in plan.new] == [2]
    assert plan.here == {"v1.0.0"}
    assert [(step.source, step.action) for step in plan.steps] == [
        ("churn/1", "present"),
        ("churn/3", "skip"),
    ]


def test_a_version_of_ones_own_is_never_taken_for_theirs() -> None:
    log = Log().write(register, rev="0" * 40, content=Bytes("sha256:x", "md5:x"), version="v1.0.0")
    plan = plan_versions(model(version(1)), "churn", log.history)
    assert (plan.new, plan.here) == ((), frozenset())
    assert "another version already" in plan.steps[0].note


# -- stages ------------------------------------------------------------------------------------------------


def test_what_counts_of_two_for_one_stage_is_the_alias_and_the_callers_word_first() -> None:
    there = model(version(1, stage="Production"), version(2), version(3), champion=2, canary=3)
    log = Log().bring(*there.versions)
    assert moves(stages(log, there)) == {"current": "v2.0.0"}
    assert moves(stages(log, there, canary="current")) == {"current": "v3.0.0"}


def test_of_several_in_an_old_stage_the_newest_counts_and_archived_ones_hold_none() -> None:
    there = model(*(version(number, stage="Production") for number in (1, 2)), version(3, stage="Archived"))
    found = stages(Log().bring(*there.versions), there)
    assert moves(found) == {"current": "v2.0.0"}
    assert [step.source for step in found.steps] == ["churn/1 in Production"]


def test_a_shared_stage_is_held_by_all_of_them() -> None:
    there = model(*(version(number, stage="Production") for number in (1, 2)))
    log = Log(Stages(("current",), frozenset({"current"}), written_down=True)).bring(*there.versions)
    assert [move.version for move in stages(log, there).moves] == ["v2.0.0", "v1.0.0"]


def test_a_version_that_did_not_come_holds_nothing() -> None:
    found = stages(Log(), model(version(1), champion=1))
    assert not found.moves and not found.seen
    assert found.steps[0].note == "v1.0.0 is not here"


def test_what_moved_over_there_only_moves_here_too() -> None:
    there = model(version(1), version(2), champion=1)
    log = (
        Log()
        .bring(*there.versions)
        .write(promote, "v1.0.0", "current")
        .remember(there, {"current": ["v1.0.0"]})
    )
    assert moves(stages(log, there)) == {}
    assert moves(stages(log, model(*there.versions, champion=2))) == {"current": "v2.0.0"}


def test_what_moved_here_stays_unless_asked_for() -> None:
    there = model(version(1), version(2), version(3), champion=1)
    log = (
        Log()
        .bring(*there.versions)
        .write(promote, "v1.0.0", "current")
        .remember(there, {"current": ["v1.0.0"]})
    )
    log.write(promote, "v3.0.0", "current")
    moved = model(*there.versions, champion=2)
    for now in (there, moved):
        assert moves(stages(log, now)) == {}
    assert moves(stages(log, moved, again=True)) == {"current": "v2.0.0"}
    log.write(demote, "current")
    assert moves(stages(log, moved)) == {}


def test_a_stage_that_the_team_used_before_is_theirs() -> None:
    there = model(version(1), champion=1)
    log = Log().write(register, rev="0" * 40, content=Bytes("sha256:x", "md5:x"), version="v0.1.0")
    log.write(promote, "v0.1.0", "current").bring(version(1))
    assert moves(stages(log, there)) == {}
    log.write(demote, "current")
    assert moves(stages(log, there)) == {}


def test_what_a_killed_call_promoted_is_known_again() -> None:
    there = model(version(1), champion=1)
    log = Log().bring(version(1)).write(promote, "v1.0.0", "current")
    found = stages(log, there)
    assert not found.moves
    assert found.seen == {"current": ["v1.0.0"]}
    assert [step.action for step in found.steps] == ["present"]


# -- metadata ----------------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.text(), st.text(max_size=200)),
    st.dictionaries(st.text(), st.floats()),
    st.text(max_size=100),
)
def test_whatever_mlflow_says_fits_into_an_event(
    params: dict[str, str], metrics: dict[str, float], text: str
) -> None:
    run = MLflowRun(metrics=metrics, params={**params, "large": "x" * MOST_METADATA})
    there = version(1, description=text, tags=params)
    metadata, lost = version_metadata(there, run, address=text)
    assert lost
    log = Log().write(register, rev="0" * 40, content=Bytes("sha256:x", "md5:x"), metadata=metadata)
    kept = log.history.versions["v0.1.0"].registered.metadata
    assert is_from(kept, there)
    assert not is_from(kept, version(2))
    assert not is_from({}, there)
