"""Model cards: what stands in them, what they say they lack, and that strangers' text stays text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from modelregistry.cards.card import CardFacts, ModelCard, Source
from modelregistry.cards.text import PARTS, CardText, card_of
from modelregistry.errors import InvalidFileError
from modelregistry.metadata.evaluation import Metric
from modelregistry.metadata.signature import Column, ModelSignature
from tests.unit.test_markdown import HOSTILE

EMPTY = CardFacts(
    name="churn", version="v1.2.0", state="current", rev="a" * 40, digest=None, size=None,
    created_at=datetime(2026, 11, 20, 8, 30, tzinfo=UTC), author="Ann Author",
)  # fmt: skip
FULL = replace(
    EMPTY, digest=f"sha256:{'b' * 64}", size=12345, path="models/churn.skops", type="model", labels=("tabular",),
    description="who leaves", loader="skops", environment={"python": "3.11.7", "scikit-learn": "1.9.1"},
    text=CardText(
        intended_use="Adults only.", limits="- not for minors", contact="risk@example.com", license="apache-2.0",
        language=("en", "de"), pipeline_tag="tabular-classification", tags=("churn",), other={"co2_eq_emissions": 3},
    ),
    datasets=(Source("data/customers.csv", "md5:abc"), Source("raw.csv", None, "https://example.com/data")),
    metrics={"auc": 0.91234567, "by.old.auc": 1}, directions={"auc": Metric(direction="higher", threshold=0.9)},
    evaluated={"data": "held-out.csv", "digest": "sha256:cc"},
    baseline="churn@v1.1.0", baseline_metrics={"auc": 0.9}, example="examples/a.json",
    signature=ModelSignature((Column("calls", "float64"),), (Column("predict", "int64", (None,)),)),
)  # fmt: skip


def front(card: ModelCard) -> dict[str, Any]:
    page = str(card)
    assert page.startswith("---\n")
    return yaml.safe_load(page[4 : page.index("\n---\n", 3)])


def test_a_full_card_has_every_part_in_its_place() -> None:
    page = str(ModelCard(FULL))
    titles = [line for line in page.splitlines() if line.startswith("#")]
    assert titles == [
        "# churn v1.2.0", "## Intended use", "## Limits", "## Training data", "## Metrics", "## How to load it",
        "## Environment", "## Contact",
    ]  # fmt: skip
    for words in (
        "who leaves", "Adults only.", "- not for minors", "- `data/customers.csv` (`md5:abc`)",
        "- `raw.csv` of https://example.com/data", "| auc | 0.912346 | 0.9 | higher | ≥ 0.9 |", "| by.old.auc | 1 |  |  |  |",
        "| metric | value | `churn@v1.1.0` | better | wanted |", "Measured on `held-out.csv` (`sha256:cc`).",
        'model = mr.load_model("churn@v1.2.0")', "| in | calls | float64 |", "`examples/a.json`", "- scikit-learn 1.9.1",
        "risk@example.com", "2026-11-20 08:30 UTC by Ann Author", "| bytes | 12,345 |",
    ):  # fmt: skip
        assert words in page
    assert ModelCard(FULL).missing == ()


def test_what_nobody_said_is_listed_and_not_made_up() -> None:
    card = ModelCard(EMPTY)
    assert card.missing == PARTS
    page = str(card)
    assert "Nobody has said yet:\n\n- what it is\n- the intended use\n- the limits\n" in page
    assert "## Intended use" not in page
    assert front(card) == {"version": "v1.2.0"}
    for part, facts in {
        "summary": {"description": "x"}, "metrics": {"metrics": {"auc": 1}}, "training_data": {"datasets": (Source("x"),)},
        "usage": {"example": "x"}, "environment": {"environment": {"python": "3"}},
        "license": {"text": CardText(license="mit")}, "contact": {"text": CardText(contact="x")},
    }.items():  # fmt: skip
        assert part not in ModelCard(replace(EMPTY, **facts)).missing
    # Metrics of another version say nothing where the two have none in common.
    assert (
        "baseline"
        in ModelCard(
            replace(EMPTY, metrics={"auc": 1}, baseline="x@v1.0.0", baseline_metrics={"f1": 1})
        ).missing
    )


def test_hugging_face_reads_the_card_as_it_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from huggingface_hub import ModelCard as TheirCard

    found = TheirCard(str(ModelCard(FULL)))
    data = found.data
    assert (data.license, data.language, data.library_name, data.pipeline_tag) == (
        "apache-2.0", ["en", "de"], "sklearn", "tabular-classification",
    )  # fmt: skip
    assert (data.tags, data.datasets, data.metrics) == (
        ["churn", "tabular"], ["data/customers.csv", "raw.csv"], ["auc", "by.old.auc"],
    )  # fmt: skip
    assert data.to_dict()["co2_eq_emissions"] == 3
    assert data.model_name == "churn"
    (auc, _) = data.eval_results
    assert (auc.task_type, auc.dataset_name, auc.metric_type, auc.metric_value, auc.dataset_revision) == (
        "tabular-classification", "held-out.csv", "auc", 0.91234567, "sha256:cc",
    )  # fmt: skip
    assert found.text.lstrip().startswith("# churn v1.2.0")
    assert yaml.safe_load(data.to_yaml())["model-index"][0]["name"] == "churn"
    assert TheirCard(str(ModelCard(EMPTY))).data.to_dict() == {"version": "v1.2.0"}


def test_without_a_task_no_result_is_made_up() -> None:
    text = FULL.text.model_copy(update={"pipeline_tag": None})
    assert "model-index" not in front(ModelCard(replace(FULL, text=text)))


def test_the_card_is_also_plain_data_and_a_page_in_a_notebook() -> None:
    card = ModelCard(FULL)
    data = json.loads(json.dumps(card.data))
    assert data["metrics"]["auc"] == {
        "value": 0.91234567,
        "baseline": 0.9,
        "direction": "higher",
        "threshold": 0.9,
    }
    assert data["text"]["limits"] == "- not for minors"
    assert data["front_matter"] == front(card)
    assert card._repr_markdown_().startswith("# churn v1.2.0\n")
    assert card._repr_markdown_() in str(card)
    assert repr(card).startswith("ModelCard('churn@v1.2.0', missing=(")
    assert card == ModelCard(FULL)
    with pytest.raises(AttributeError):
        card.facts = EMPTY  # type: ignore[misc]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_strangers_text_is_text_wherever_it_stands(text: str) -> None:
    fields = ("summary", "intended_use", "limits", "training_data", "evaluation", "usage", "contact", "text")
    said = dict.fromkeys(fields, text.encode("utf-8", "replace").decode())  # all that pydantic takes for text
    facts = replace(
        FULL, author=text, description=text, path=text, type=text, labels=(text,), digest=text, environment={text: text},
        datasets=(Source(text, text, text),), metrics={text: 1.0}, directions={}, example=text, baseline=text,
        baseline_metrics={text: 2.0}, evaluated={"data": text, "digest": text}, usage=text, evaluation=text, loader=text,
        signature=ModelSignature((Column(text, text),)), text=CardText(**said, license="mit", other={"x": text}),
    )  # fmt: skip
    for shown in (facts, replace(facts, text=CardText())):
        page = ModelCard(shown)._repr_markdown_()
        tokens = MarkdownIt("commonmark").enable("table").parse(page)
        titles = [
            tokens[index + 1].content for index, token in enumerate(tokens)
            if token.type == "heading_open" and token.level == 0 and token.tag in ("h1", "h2")
        ]  # fmt: skip
        known = {"churn v1.2.0", "Intended use", "Limits", "Training data", "Metrics", "How to load it", "Environment",
                 "Contact", "More", "Not known"}  # fmt: skip
        assert set(titles) <= known
        assert len(titles) == len(set(titles))
        for each in (each for token in tokens for each in (token, *(token.children or ()))):
            assert each.type not in ("html_block", "html_inline", "image")
        str(ModelCard(shown)).encode()
        assert front(ModelCard(shown))["version"] == "v1.2.0"


def test_a_value_can_not_end_the_front_matter() -> None:
    text = CardText(license="mit\n---\n<b>", tags=("a\n---\n# b",), other={"x\n---": {"y": ["z\n---\n"]}})
    card = ModelCard(replace(FULL, text=text))
    assert front(card)["license"] == "mit --- <b>"
    assert front(card)["x ---"] == {"y": ["z ---"]}
    assert card._repr_markdown_().startswith("# churn")


MARKDOWN = """\
---
license: apache-2.0
language: en
tags: [a, b]
thumbnail: x.png
---
# Churn

Tells who leaves.

## Intended Use

Adults.

### Not for

- minors

## Limitations
few

```
## no heading
```

## Ethics

Think.

## How to use

Call it.
"""


def test_a_markdown_card_is_read_by_its_headings() -> None:
    for text in (MARKDOWN, MARKDOWN.replace("\n", "\r\n")):
        found = card_of(text, "here", "card.md")
        assert (found.license, found.language, found.tags, found.other) == (
            "apache-2.0",
            "en",
            ("a", "b"),
            {"thumbnail": "x.png"},
        )
        assert found.summary == "Tells who leaves."
        assert found.intended_use == "Adults.\n\n### Not for\n\n- minors"
        assert found.limits == "few\n\n```\n## no heading\n```"
        assert found.text == "### Ethics\n\nThink."
        assert found.usage == "Call it."


def test_front_matter_may_be_empty_or_left_out() -> None:
    for text in ("---\n---\n# A\n\nx", "# A\n\nx", "---\n# a remark\n---\nx", "x", "\ufeffx"):
        assert card_of(text, "here", "card.md") == CardText(summary="x")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"license": 3}, "here: the card's 'license' is 3: Input should be a valid string"),
        ({"tags": "a"}, "the card's 'tags' is 'a': Input should be a valid tuple"),
        ({"tags": [1]}, "the card's 'tags.0' is 1"),
        ({"language": {"a": 1}}, r"the card's 'language.*' is {'a': 1}"),
        ({"licence": "mit"}, "the card's 'licence' is 'mit': no field of a card; there are summary, intended_use"),
        ([1], r"a card is a mapping, Markdown, or a path; not \[1\]"),
        (3, "a card is a mapping, Markdown, or a path; not 3"),
        ("---\nlicense: [1]\n---\n", "the card's 'license' is"),
        ("---\n- a\n---\n", "its front matter is no mapping"),
        ("---\na: [\n---\n", "card.md"),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_type_is_named(value: object, words: str) -> None:
    with pytest.raises(InvalidFileError, match=words) as caught:
        card_of(value, "here", "card.md")
    assert caught.value.path == "card.md"


def test_what_is_said_later_comes_before_what_was_said_first() -> None:
    below = CardText(license="mit", limits="few", other={"a": 1, "b": 1})
    above = CardText(limits="many", contact="x", other={"b": 2})
    assert above.over(below) == CardText(license="mit", limits="many", contact="x", other={"a": 1, "b": 2})
