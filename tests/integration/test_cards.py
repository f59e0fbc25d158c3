"""Cards of versions in a real project: what the log, the commit and the lineage tell, merged with what the team says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, write

CARD = """\
---
license: apache-2.0
pipeline_tag: tabular-classification
---
## Intended use

Irises <b>only</b>.
"""


def declare(project: Path, card: str) -> None:
    path = project / "dvc.yaml"
    path.write_text(
        path.read_text().replace(
            "    desc: who leaves\n", f"    desc: who leaves\n    meta: {{card: {card}}}\n"
        )
    )


@pytest.fixture
def described(project: Path) -> Registry:
    """The project's registry: v0.1.0 was current before v0.2.0, whose commit has a card."""
    declare(project, "docs/card.md")
    write(project / "docs" / "card.md", CARD)
    commit(project, "Say what it is for")
    registry = Registry(project)
    registry.register("churn", rev="main~2")
    registry.register("churn", bump="minor")
    for version in ("v0.1.0", "v0.2.0"):
        registry.promote("churn", version, "current")
    return registry


def test_a_card_has_what_the_registry_knows_and_what_the_team_says(described: Registry) -> None:
    version = described.get("churn#current")
    card = version.card
    front = card.front_matter
    assert (front["license"], front["library_name"], front["tags"]) == (
        "apache-2.0",
        "sklearn",
        ["tabular", "iris"],
    )
    page = str(card)
    assert "Irises &lt;b>only&lt;/b>." in page
    assert "who leaves" in page
    assert str(version.digest) in page
    assert "| metric | value | `churn@v0.1.0` |" in page
    (metric,) = card.data["metrics"].items()  # type: ignore[union-attr]
    assert metric[0] == "accuracy"
    assert metric[1]["value"] > 0.9 < metric[1]["baseline"]  # type: ignore[index, operator]
    assert "scikit-learn" in card.data["environment"]  # type: ignore[operator]
    assert card.missing == ("limits", "training_data", "usage", "contact", "language")


def test_what_is_annotated_comes_first_and_what_is_said_of_the_model_last(described: Registry) -> None:
    described.annotate(
        "churn", None, {"card": {"contact": "risk@example.com", "license": "mit", "limits": "few"}}
    )
    described.annotate("churn", "v0.2.0", {"card": {"limits": "many"}})
    text: Any = described.get("churn@v0.2.0").card.data["text"]
    assert (text["contact"], text["license"], text["limits"]) == ("risk@example.com", "apache-2.0", "many")
    assert described.get("churn@v0.1.0").card.data["text"]["license"] == "mit"  # type: ignore[index, call-overload]


def test_check_tells_what_the_cards_of_current_versions_lack_of_what_the_team_wants(
    described: Registry, project: Path
) -> None:
    assert described.check() == []
    (problem,) = described.check(cards=True)
    assert (problem.model, problem.where) == ("churn", "card of v0.2.0")
    assert problem.what == "churn@v0.2.0 is 'current', and its card lacks limits, training_data, contact"
    write(project / ".modelregistry.toml", '[cards]\nrequired = ["license", "language"]\n')
    commit(project)
    (problem,) = described.check(cards=True)
    assert problem.what.endswith("lacks language")
    described.annotate("churn", "v0.2.0", {"card": {"language": "en"}})
    assert described.check(cards=True) == []
    write(project / ".modelregistry.toml", '[cards]\nrequired = ["licence"]\n')
    commit(project)
    assert described.get("churn#current").version == "v0.2.0"
    with pytest.raises(mr.InvalidSettingsError, match="a card has no part 'licence'; there are summary"):
        described.check(cards=True)


@pytest.mark.parametrize(
    ("card", "file", "words"),
    [
        ("{license: 3}", None, "dvc.yaml at .*, artifact 'churn', meta: card: the card's 'license' is 3"),
        ("docs/none.md", None, "'docs/none.md' is not in Git at that commit"),
        ("../none.md", None, "'../none.md' is not in Git at that commit"),
        ("docs/card.json", "{", "'docs/card.json' is no JSON"),
        (
            "docs/card.yaml",
            "licence: mit",
            "docs/card.yaml at that commit: the card's 'licence' is 'mit': no field",
        ),
        ("docs/card.md", "---\ntags: 3\n---\n", "docs/card.md at that commit: the card's 'tags' is 3"),
    ],
)
def test_a_card_that_can_not_be_read_is_told_at_registration_by_the_card_and_by_check_and_stops_nothing(
    plain: Path, card: str, file: str | None, words: str
) -> None:
    write(
        plain / "dvc.yaml",
        f"artifacts:\n  churn: {{path: churn.json, type: model, meta: {{card: {card}}}}}\n",
    )
    if file is not None:
        write(plain / card, file)
    commit(plain)
    registry = Registry(plain)
    with pytest.warns(mr.RegistryWarning, match=f"churn will have no card: .*{words}"):
        version = registry.register("churn")
    with pytest.raises(mr.InvalidFileError, match=words):
        _ = version.card
    registry.promote("churn", "v0.1.0", "current")
    assert version.local_path().exists()
    (problem,) = registry.check(cards=True)
    assert problem.what.startswith("it can't be made: ")


@pytest.mark.parametrize(
    ("card", "file"),
    [
        ("{limits: few}", None), ('"## Limits\\n\\nfew"', None),
        ("card.yaml", "limits: few\n"), ("card.json", '{"limits": "few"}'), ("card.md", "## Limits\n\nfew\n"),
    ],
)  # fmt: skip
def test_a_team_says_it_inline_or_in_a_file_beside_dvc_yaml(plain: Path, card: str, file: str | None) -> None:
    write(
        plain / "nlp" / "dvc.yaml", f"artifacts:\n  intent: {{path: intent.json, meta: {{card: {card}}}}}\n"
    )
    write(plain / "nlp" / "intent.json", "{}")
    if file is not None:
        write(plain / "nlp" / card, file)
    commit(plain)
    text: Any = Registry(plain).register("nlp:intent").card.data["text"]
    assert text.get("limits", text) == "few"


def test_what_the_pipeline_recorded_counts_where_nobody_measured_the_version(described: Registry) -> None:
    older, newer = (described.get(f"churn@{version}").metrics["accuracy"] for version in ("v0.1.0", "v0.2.0"))
    assert older != newer
    (row,) = [row for row in described.compare("churn@v0.1.0", "churn@v0.2.0").rows if "metrics." in row.what]
    assert (row.what, row.base, row.candidate) == ("metrics.accuracy", older, newer)
    words = f"metrics.accuracy is {older}, and > current + 1 is required: churn@v0.2.0 has {newer}"
    with pytest.raises(mr.RefusedError, match=re.escape(words)):
        described.promote("churn", "v0.1.0", "current", require={"metrics.accuracy": "> current + 1"})
    described.promote("churn", "v0.1.0", "current", require={"metrics.accuracy": "< current + 1"})
    (found,) = cast("Any", described.history("churn")[-1]).judged
    assert (found.value, found.holder_value) == (older, newer)
    described.annotate("churn", "v0.2.0", {"metrics": {"auc": 0.9}})
    described.promote(
        "churn", "v0.2.0", "current", require={"metrics.accuracy": f">= {newer}", "metrics.auc": ">= 0.9"}
    )


def test_each_metric_is_the_one_that_was_said_last_wherever_it_is_asked_for(described: Registry) -> None:
    recorded = described.get("churn@v0.2.0").metrics["accuracy"]
    described.annotate("churn", "v0.2.0", {"metrics": {"auc": 0.9}})
    for accuracy in (recorded, 0.25):
        if accuracy != recorded:
            described.annotate("churn", "v0.2.0", {"metrics": {"auc": 0.9, "accuracy": accuracy}})
        version = described.get("churn@v0.2.0")
        assert (version.metrics["accuracy"], version.metrics["auc"]) == (accuracy, 0.9)
        metrics = cast("Any", version.card.data["metrics"])
        assert {name: metric["value"] for name, metric in metrics.items()} == {
            "accuracy": accuracy,
            "auc": 0.9,
        }
        (row,) = [
            row for row in described.compare("churn@v0.1.0", version).rows if row.what == "metrics.accuracy"
        ]
        assert row.candidate == accuracy
        found = described.search(f"metrics.accuracy == {accuracy!r} and metrics.auc == 0.9")
        assert [each.version for each in found] == ["v0.2.0"]
        described.promote(
            "churn", "v0.2.0", "shadow", require={"metrics.accuracy": f"<= {accuracy!r}"}, dry_run=True
        )
        assert described.trend("churn", "accuracy").to_dicts()[-1]["value"] == accuracy
