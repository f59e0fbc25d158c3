"""Several candidates beside one version: one table, and a verdict of one line."""

import re
from dataclasses import replace

from modelregistry.comparison import Recorded, compare
from modelregistry.comparisons import Comparisons
from modelregistry.metadata.evaluation import Metric
from tests.unit.test_comparison import BOTH, NEW, OLD

KNOWN = {"auc": Metric(direction="higher")}
THIRD = replace(
    OLD, version="v1.2.0", digest=None, metadata={"signature": BOTH, "metrics": {"auc": 0.95, "f1": 1}}
)


def several() -> Comparisons:
    recorded = Recorded({"auc": 0.9, "loss": 0.1}, {"depth": 3})
    worse = Recorded({"auc": 0.8, "loss": 0.1}, {"depth": 3, "width": 2})
    return Comparisons(
        OLD, (compare(OLD, NEW, (recorded, worse), metrics=KNOWN), compare(OLD, THIRD, (recorded, recorded), metrics=KNOWN))
    )  # fmt: skip


def test_each_candidate_is_held_against_the_base() -> None:
    found = several()
    assert len(found) == 2 and [each.candidate for each in found] == [NEW, THIRD]
    assert found[1].verdict.startswith("incompatible: churn@v1.2.0 can't stand in for churn@v1.0.0")
    assert found.verdict == (
        "beside churn@v1.0.0: churn@v1.1.0 incompatible (worse: auc; different: params, signature, environment) | "
        "churn@v1.2.0 incompatible (better: auc; different: metrics, signature)"
    )


def test_a_line_has_what_each_of_them_says_and_all_lines_of_a_kind_are_together() -> None:
    lines = {row.what: row for row in several().rows}
    assert (lines["metrics.auc"].base, lines["metrics.auc"].candidates) == (0.9, (0.8, 0.95))
    assert lines["metrics.auc"].better == (False, True)
    assert (lines["metrics.f1"].base, lines["metrics.f1"].candidates) == (None, (None, 1))
    assert not lines["metrics.loss"].differs
    assert (lines["params.width"].candidates, lines["params.width"].better) == ((2, None), (None, None))
    # Of one of them alone it is known; it is one line all the same, with what the base says.
    assert lines["environment.python"].base == "3.11.7"
    kinds = [what.partition(".")[0] for what in lines]
    assert (
        len(kinds)
        > len({*kinds})
        == len([kind for kind, after in zip(kinds, [*kinds[1:], ""], strict=True) if kind != after])
    )
    assert {row.what for row in several().differences} == {what for what, row in lines.items() if row.differs}


def test_it_agrees_with_the_comparisons_of_two() -> None:
    found = several()
    for number, each in enumerate(found):
        for row in each.rows:
            (line,) = (line for line in found.rows if line.what == row.what)
            assert (line.base, line.candidates[number], line.better[number]) == (
                row.base,
                row.candidate,
                row.better,
            )


def test_it_is_a_table_with_a_column_for_each_version() -> None:
    shown = str(several()).split("\n")
    assert shown[0] == several().verdict
    assert re.split(r" {2,}", shown[2]) == ["what", "churn@v1.0.0", "churn@v1.1.0", "churn@v1.2.0", "change"]
    (row,) = (line for line in shown if line.startswith("metrics.auc"))
    assert re.split(r" {2,}", row) == ["metrics.auc", "0.9", "0.8 (worse)", "0.95 (better)", "differs"]
    assert repr(several()) == "Comparisons('churn@v1.0.0', 'churn@v1.1.0', 'churn@v1.2.0')"
    page = several()._repr_html_()
    assert "0.95 (better)" in page and "<income>" not in page
    (auc,) = (row for row in several().to_dicts() if row["what"] == "metrics.auc")
    assert auc == {
        "what": "metrics.auc", "churn@v1.0.0": 0.9, "churn@v1.1.0": 0.8, "churn@v1.2.0": 0.95, "differs": True,
        "better": (False, True),
    }  # fmt: skip


def test_of_very_many_lines_those_that_differ_are_shown() -> None:
    many = {f"m{number}": number for number in range(1_000)}
    one, two, three = (
        replace(OLD, version=f"v1.{number}.0", metadata={"metrics": many | {"m999": number}})
        for number in range(3)
    )
    page = str(Comparisons(one, (compare(one, two), compare(one, three))))
    assert "metrics.m999" in page and "metrics.m500" not in page
    assert "more" in page.splitlines()[-1] and len(page.splitlines()) < 80
