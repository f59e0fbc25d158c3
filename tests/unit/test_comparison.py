"""Two versions side by side: the verdict, the table, and whether one can stand in for the other."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from modelregistry.comparison import compare
from modelregistry.metadata.signature import Column, ModelSignature
from modelregistry.version import ModelVersion

A, B = (f"sha256:{letter * 64}" for letter in "ab")
AGE = ModelSignature((Column("age"),), (Column("predict", "int64"),)).to_dict()
BOTH = ModelSignature((Column("age"), Column("<income>", "float64")), (Column("predict", "int64"),)).to_dict()


def version_of(version: str, digest: str | None, metadata: Mapping[str, JsonValue]) -> ModelVersion:
    return ModelVersion(
        name="churn", version=version, state="inactive", stages=(), rev="a" * 40, source_rev="a" * 40,
        digest=digest, size=1, created_at=datetime(2026, 11, 20, tzinfo=UTC), author="Ann", message="",
        metadata=metadata, head="",
    )  # fmt: skip


OLD = version_of("v1.0.0", A, {"signature": AGE, "environment": {"python": "3.11.7"}, "auc": 0.9})
NEW = version_of("v1.1.0", B, {"signature": BOTH, "environment": {"python": "3.13.1"}, "owner": "risk"})


def test_a_candidate_that_needs_what_the_base_did_not_is_incompatible_and_says_why() -> None:
    found = compare(OLD, NEW)
    assert found.incompatibilities == ("input '<income>' is needed and was not",)
    assert found.verdict == (
        "incompatible: churn@v1.1.0 can't stand in for churn@v1.0.0: input '<income>' is needed and was not"
    )
    assert "\n" not in found.verdict


def test_the_other_way_round_it_is_compatible() -> None:
    found = compare(NEW, OLD)
    assert found.incompatibilities == ()
    assert found.verdict.startswith("compatible: churn@v1.0.0 can stand in for churn@v1.1.0")


def test_without_a_signature_nobody_can_tell() -> None:
    for base, candidate in [(OLD, replace(NEW, metadata={})), (replace(OLD, metadata={}), NEW)]:
        found = compare(base, candidate)
        unknown = candidate if candidate.signature is None else base
        assert found.verdict.startswith("nobody can tell")
        assert found.verdict.endswith(f"no signature of {unknown.reference} is known")


def test_the_same_bytes_are_said_to_be_the_same() -> None:
    assert compare(OLD, replace(OLD, version="v1.1.0")).verdict.startswith("the same bytes")
    neither = replace(OLD, digest=None, metadata={})
    assert "same bytes" not in compare(neither, neither).verdict


def test_the_table_has_a_line_for_each_fact_of_theirs() -> None:
    found = compare(OLD, NEW)
    lines = {row.what: (row.base, row.candidate) for row in found.rows}
    assert lines["version"] == ("v1.0.0", "v1.1.0")
    assert lines["digest"] == (A, B)
    assert lines["environment"] == ({"python": "3.11.7"}, {"python": "3.13.1"})
    assert lines["auc"] == (0.9, None)
    assert lines["owner"] == (None, "risk")
    assert lines["inputs"] == (("age",), ("age", "<income> float64"))
    assert {"name", "state", "size", "author"}.isdisjoint(row.what for row in found.differences)
    assert {"version", "digest", "environment", "auc", "owner", "inputs"} <= {
        row.what for row in found.differences
    }


def test_its_text_is_the_verdict_and_a_table_and_its_page_is_escaped() -> None:
    found = compare(OLD, NEW)
    assert str(found).startswith(found.verdict + "\n\nwhat ")
    assert "python: 3.13.1" in str(found)
    page = found._repr_html_()
    assert "&lt;income&gt;" in page
    assert "<income>" not in page
    assert hash(found) == hash(compare(OLD, NEW))
    assert found == compare(OLD, NEW)


def test_of_very_many_lines_the_page_shows_those_that_differ_and_says_what_it_leaves_out() -> None:
    metrics = [{f"m{number}": number for number in range(10_000)} for _ in range(2)]
    metrics[1]["m9999"] = 5
    one, other = (replace(OLD, metadata={"metrics": each}) for each in metrics)
    page = compare(one, replace(other, version="v1.1.0"))._repr_html_()
    assert "metrics.m9999" in page and "metrics.m5000" not in page
    assert "and 9,9" in page and len(page) < 50_000
    assert "more" not in compare(OLD, NEW)._repr_html_().partition("</style>")[2]


@pytest.mark.parametrize("value", [3, "text", [], {"python": 3}, {"inputs": 3}, None])
def test_what_the_author_says_in_another_form_is_shown_and_no_signature_or_environment(
    value: JsonValue,
) -> None:
    odd = version_of("v1.0.0", A, {"signature": value, "environment": value})
    assert odd.signature is None or not odd.signature.inputs
    assert odd.environment is None or odd.environment == {}
    assert {row.what: row.base for row in compare(odd, odd).rows}["environment"] == value
