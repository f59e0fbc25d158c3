"""What comes along with an imported version fits into a registration, and the rest is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from modelregistry.cards.text import CardText
from modelregistry.intake.broughtalong import brought_along
from modelregistry.version import ModelVersion


def version(**metadata: Any) -> ModelVersion:
    return ModelVersion(
        name="churn", version="v1.0.0", state="current", stages=("current",), rev="0" * 40, source_rev="0" * 40,
        digest=None, size=None, created_at=datetime(2026, 1, 1, tzinfo=UTC), author="Ann", message="",
        metadata=metadata, head="1",
    )  # fmt: skip


def test_what_is_true_of_the_model_comes_and_what_is_of_its_team_is_named() -> None:
    said = version(
        license="mit",
        owner="growth",
        metrics={"a": {"b": 1}, "c": "d"},
        origin={"url": "x"},
        uncommitted=["a"],
    )
    found = brought_along(said, model={"usage": {"text": "Ask."}}, card=CardText(), measured={"auc": 0.9})
    assert found.metadata == {"license": "mit", "metrics": {"auc": 0.9, "a.b": 1}, "usage": {"text": "Ask."}}
    assert found.left == ("owner",)


def test_the_command_of_an_evaluation_stays_since_it_is_for_the_files_of_its_project() -> None:
    said = version(
        evaluation={"command": ["python", "measure.py"], "metrics": {"auc": {"direction": "higher"}}}
    )
    found = brought_along(said, model={}, card=CardText(), measured={})
    assert found.metadata == {"evaluation": {"metrics": {"auc": {"direction": "higher"}}}}
    only = brought_along(version(evaluation={"command": ["true"]}), model={}, card=CardText(), measured={})
    assert (only.metadata, only.left) == ({}, ("evaluation",))


def test_a_long_text_of_a_card_stays_and_the_rest_of_it_comes() -> None:
    found = brought_along(None, model={}, card=CardText(text="x" * 20_000, limits="y"), measured={})
    assert found.metadata == {"card": {"limits": "y"}}


def test_what_is_too_much_for_a_registration_stays_largest_first_and_is_named() -> None:
    said = version(
        description="d" * 15_000,
        signature={"inputs": ["i" * 14_000]},
        evaluated={"data": "e" * 10_000},
        license="mit",
    )
    found = brought_along(said, model={}, card=CardText(), measured={})
    assert ({*found.metadata}, found.left) == ({"signature", "evaluated", "license"}, ("description",))
    huge = brought_along(
        version(signature={"inputs": ["i" * 17_000]}), model={}, card=CardText(), measured={}
    )
    assert (huge.metadata, huge.left) == ({}, ("signature",))
