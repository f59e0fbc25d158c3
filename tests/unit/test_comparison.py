"""Two versions side by side: the verdict, the table, and whether one can stand in for the other."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from modelregistry.comparison import Recorded, compare
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node
from modelregistry.metadata.evaluation import Metric
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
        "incompatible: churn@v1.1.0 can't stand in for churn@v1.0.0: input '<income>' is needed and was not; "
        "different: signature, environment"
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
        assert f"no signature of {unknown.reference} is known" in found.verdict


def test_the_same_bytes_are_said_to_be_the_same() -> None:
    assert compare(OLD, replace(OLD, version="v1.1.0")).verdict.startswith("the same bytes")
    neither = replace(OLD, digest=None, metadata={})
    assert "same bytes" not in compare(neither, neither).verdict


def test_the_table_has_a_line_for_each_fact_of_theirs() -> None:
    found = compare(OLD, NEW)
    lines = {row.what: (row.base, row.candidate) for row in found.rows}
    assert lines["version"] == ("v1.0.0", "v1.1.0")
    assert lines["digest"] == (A, B)
    assert lines["environment.python"] == ("3.11.7", "3.13.1")
    assert lines["metadata.auc"] == (0.9, None)
    assert lines["metadata.owner"] == (None, "risk")
    assert lines["inputs"] == (("age",), ("age", "<income> float64"))
    assert {"name", "state", "size", "author"}.isdisjoint(row.what for row in found.differences)
    assert {row.what for row in found.differences} == {
        "version", "digest", "environment.python", "metadata.auc", "metadata.owner", "inputs",
    }  # fmt: skip


def test_its_text_is_the_verdict_and_a_table_and_its_page_is_escaped() -> None:
    found = compare(OLD, NEW)
    assert str(found).startswith(found.verdict + "\n\nwhat ")
    assert re.search(r"\nenvironment\.python +3\.11\.7 +3\.13\.1 +differs\n", str(found))
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


def lineage_of(*nodes: Node) -> Lineage:
    return Lineage([Node("file:m.pkl", "model", "m.pkl", rev="1" * 40), *nodes], [])


def test_what_they_were_made_from_and_with_stands_side_by_side() -> None:
    def node(kind: str, name: str, digest: str | None = None, **facts: object) -> Node:
        what = "step" if kind == "step" else "file"
        return Node(f"{what}:{name}", kind, name, digest=digest, rev="1" * 40, **facts)  # type: ignore[arg-type]

    one = lineage_of(
        node("dataset", "raw.csv", "md5:1"), node("dataset", "same.csv", "md5:2"), node("dataset", "gone.csv", "md5:3"),
        node("code", "train.py", "git:1"), node("step", "train", values={"cmd": "python train.py", "wdir": "."}),
        node("artifact", "made.bin", "md5:9"), node("metrics", "m.json", "md5:8", values={"auc": 1}),
        node("model", "base.pkl", version="base@v1.0.0"), node("dataset", "far.csv", status="unreachable"),
        Node("dataset:ds://images", "dataset", "ds://images", values={"rev_lock": "abc"}, rev="1" * 40),
    )  # fmt: skip
    other = lineage_of(
        node("dataset", "raw.csv", "md5:4"), node("dataset", "same.csv", "md5:2"),
        node("code", "train.py", "git:2"), node("code", "new.py", "git:3"),
        node("step", "train", values={"cmd": "python -O train.py"}), node("artifact", "made.bin", "md5:10"),
        node("model", "base.pkl", version="base@v1.1.0"), node("dataset", "far.csv", "md5:5"),
        Node("dataset:ds://images", "dataset", "ds://images", values={"rev_lock": "abc"}, rev="1" * 40),
    )  # fmt: skip
    recorded = (
        Recorded({"auc": 0.9, "loss": 0.1, "kind": "gbm"}, {"depth": 3, "lr": 0.1}, one),
        Recorded({"auc": 0.8, "loss": 0.1, "kind": "mlp"}, {"depth": 3, "width": 2}, other),
    )
    found = compare(OLD, OLD, recorded, metrics={"auc": Metric(direction="higher")})
    lines = {row.what: (row.base, row.candidate) for row in found.rows if "." in row.what}
    assert lines == {
        "metrics.auc": (0.9, 0.8), "metrics.kind": ("gbm", "mlp"), "metrics.loss": (0.1, 0.1),
        "params.depth": (3, 3), "params.lr": (0.1, None), "params.width": (None, 2),
        "data.base.pkl": ("base@v1.0.0", "base@v1.1.0"), "data.ds://images": ({"rev_lock": "abc"}, {"rev_lock": "abc"}),
        "data.far.csv": ("unreachable", "md5:5"), "data.gone.csv": ("md5:3", None), "data.raw.csv": ("md5:1", "md5:4"),
        "data.same.csv": ("md5:2", "md5:2"), "code.new.py": (None, "git:3"), "code.train.py": ("git:1", "git:2"),
        "steps.train": ("python train.py", "python -O train.py"), "environment.python": ("3.11.7", "3.11.7"),
        "metadata.auc": (0.9, 0.9),
    }  # fmt: skip
    assert [row.what for row in found.rows if row.better is not None] == ["metrics.auc"]
    assert found.verdict == (
        "the same bytes: churn@v1.0.0 and churn@v1.0.0; worse: auc; different: metrics, params, data, code, steps"
    )
    # Where one of the two can't be told, nothing is said of the other.
    unread = compare(OLD, OLD, (recorded[0], replace(recorded[1], lineage=None)))
    assert not any(row.what.startswith(("data.", "code.", "steps.")) for row in unread.rows)
    assert "params.lr" in {row.what for row in unread.rows}


def test_things_of_one_name_in_two_repositories_have_a_line_each() -> None:
    def from_lake(rev: str, digest: str) -> Node:
        place = "https://git.example/lake!clicks.csv"
        return Node(f"file:{place}", "dataset", "clicks.csv", "https://git.example/lake", rev, digest=digest)

    own = Node("file:clicks.csv", "dataset", "clicks.csv", rev="1" * 40, digest="md5:1")
    one, other = (Recorded(lineage=lineage_of(own, from_lake(each, f"md5:{each}"))) for each in "23")
    lines = {row.what: (row.base, row.candidate) for row in compare(OLD, OLD, (one, other)).rows}
    assert lines["data.clicks.csv"] == ("md5:1", "md5:1")
    assert lines["data.https://git.example/lake!clicks.csv"] == ("md5:2", "md5:3")


def test_what_the_author_says_of_metrics_and_params_goes_before_what_was_recorded() -> None:
    said = version_of(
        "v1.2.0", A, {"metrics": {"auc": 0.95, "by": {"age": 0.7}}, "params": {"lr": 0.5}, "metric": 1}
    )
    recorded = Recorded({"auc": 0.9, "loss": 0.1}, {"lr": 0.1, "depth": 3})
    lines = {row.what: (row.base, row.candidate) for row in compare(OLD, said, (recorded, recorded)).rows}
    assert lines["metrics.auc"] == (0.9, 0.95)
    assert lines["metrics.by.age"] == (None, 0.7)
    assert lines["metrics.loss"] == (0.1, 0.1)
    assert lines["params.lr"] == (0.1, 0.5)
    assert lines["metadata.metric"] == (None, 1)
    assert not {"metadata.metrics.auc", "metadata.params.lr"} & lines.keys()
    odd = compare(OLD, version_of("v1.2.0", A, {"metrics": 3, "params": [1]}))
    assert {row.what: row.candidate for row in odd.rows}["metadata.metrics"] == 3


def test_the_verdict_names_a_few_metrics_and_counts_the_rest() -> None:
    one, other = (
        replace(OLD, metadata={"metrics": {f"m{number}\n": number * sign for number in range(5)}})
        for sign in (1, -1)
    )
    known = {f"m{number}\n": Metric(direction="higher" if number < 3 else "lower") for number in range(5)}
    verdict = compare(one, other, metrics=known).verdict
    assert "; better: m3, m4; worse: m1, m2" in verdict, "m0 is the same"
    known = dict.fromkeys(known, Metric(direction="lower"))
    many = compare(one, replace(other, metadata={"metrics": dict.fromkeys(known, -9)}), metrics=known)
    assert many.verdict.endswith("; better: m0, m1, m2 and 2 more")
    assert "\n" not in many.verdict
    long = replace(OLD, metadata={"metrics": {"x" * 1000: 1}})
    longer = replace(OLD, metadata={"metrics": {"x" * 1000: 2}})
    assert len(compare(long, longer, metrics={"x" * 1000: Metric(direction="lower")}).verdict) < 300


def test_nan_and_what_is_no_number_is_neither_better_nor_worse() -> None:
    known = {"auc": Metric(direction="higher")}
    for value in (float("nan"), "NaN", True, None):
        found = compare(OLD, OLD, (Recorded({"auc": 0.5}), Recorded({"auc": value})), metrics=known)
        assert [row.better for row in found.rows if row.what == "metrics.auc"] == [None]


@pytest.mark.parametrize("value", [3, "text", [], {"python": 3}, {"inputs": 3}, None])
def test_what_the_author_says_in_another_form_is_shown_and_no_signature_or_environment(
    value: JsonValue,
) -> None:
    odd = version_of("v1.0.0", A, {"signature": value, "environment": value})
    assert odd.signature is None or not odd.signature.inputs
    assert odd.environment is None or odd.environment == {}
    said = {row.what: row.base for row in compare(odd, odd).rows if row.what.startswith("environment")}
    assert said == (
        {f"environment.{name}": each for name, each in value.items()}
        if isinstance(value, dict)
        else {"environment": value}
    )


def test_the_verdict_is_one_short_line_whatever_is_said_of_inputs_and_its_beginning_stands_in_the_repr() -> (
    None
):
    def taking(*columns: JsonValue) -> ModelVersion:
        return version_of("v1.0.0", A, {"signature": {"inputs": [*columns], "outputs": []}})

    needing = taking(
        *({"name": f"x{number}", "type": f"float\n{'64' * 500}\x1b[1m"} for number in range(1000))
    )
    found = compare(taking({"name": "x0", "type": "int"}), needing)
    assert len(found.incompatibilities) == 1000
    assert found.verdict.isprintable() and len(found.verdict) < 800
    assert (
        "; input 'x1' is needed and was not; input 'x2' is needed and was not and 997 more;" in found.verdict
    )
    one, other = (replace(each, name="nlp:intent") for each in (OLD, replace(NEW, digest=None, metadata={})))
    for base, candidate, begins in [
        (one, replace(one, version="v1.1.0"), "the same bytes"), (one, other, "nobody can tell"), (one, replace(NEW, name="nlp:intent"), "incompatible"),
        (replace(NEW, name="nlp:intent"), one, "compatible"),
    ]:  # fmt: skip
        compared = compare(base, candidate)
        assert compared.verdict.startswith(begins)
        assert re.fullmatch(
            rf"Comparison\('nlp:intent@.*', 'nlp:intent@.*', \d differences?: {begins}\)", repr(compared)
        )


def test_what_one_of_the_two_does_not_tell_is_no_difference_for_the_verdict() -> None:
    plain = replace(OLD, size=None, metadata={})
    for one, other in ((plain, NEW), (NEW, plain)):
        assert "different" not in compare(one, other).verdict
    more = replace(
        OLD, size=2, metadata={**OLD.metadata, "environment": {"python": "3.11.7", "numpy": "2.1"}}
    )
    assert compare(OLD, more).verdict.endswith("; different: environment, size")


def test_numbers_that_would_look_alike_are_shown_in_full_and_true_is_not_one() -> None:
    recorded = (
        Recorded({"auc": 0.912345678, "same": 0.1234567891}, {"flag": 1, "seed": 1, "on": True}),
        Recorded({"auc": 0.912345679, "same": 0.1234567891}, {"flag": True, "seed": "1", "on": True}),
    )
    found = compare(OLD, OLD, recorded, metrics={"auc": Metric(direction="higher")})
    shown = {line.split()[0]: line.split()[1:] for line in str(found).split("\n") if "." in line}
    assert shown["metrics.auc"] == ["0.912345678", "0.912345679", "better"]
    assert shown["metrics.same"] == ["0.123457", "0.123457"]
    assert shown["params.flag"] == ["1", "yes", "differs"]
    assert shown["params.seed"] == ["1", "'1'", "differs"]
    assert shown["params.on"] == ["yes", "yes"]
    sizes = str(compare(replace(OLD, size=9_139), replace(OLD, size=9_137)))
    assert re.search(r"\nsize +9,139 bytes +9,137 bytes +differs\n", sizes)


def test_figures_that_were_measured_on_other_data_are_not_judged_without_a_word() -> None:
    def measured(auc: float, data: str | None) -> ModelVersion:
        evaluated: JsonValue = {"evaluated": {"digest": data}} if data else {}
        return replace(OLD, metadata={"metrics": {"auc": auc}, **evaluated})

    known = {"auc": Metric(direction="higher")}
    other = compare(measured(0.8, A), measured(0.9, B), metrics=known).verdict
    assert other.endswith("; better: auc; measured on other data")
    for alike in ((measured(0.8, A), measured(0.9, A)), (measured(0.8, None), measured(0.9, A))):
        assert compare(*alike, metrics=known).verdict.endswith("; better: auc")
    assert "measured" not in compare(measured(0.8, A), measured(0.8, B), metrics=known).verdict


def test_in_a_terminal_two_long_texts_stand_side_by_side_by_their_beginnings_and_ends() -> None:
    recorded = tuple(
        Recorded(params={"command": f"python {'-v ' * 200}{end}", "p" * 500: 1, "words": ["w" * 99] * 99})
        for end in ("first", "second")
    )
    found = compare(OLD, OLD, (recorded[0], recorded[1]))
    lines = str(found).split("\n")[2:]
    assert (
        max(map(len, [*lines, *str(found.rows).split("\n"), *str(found.differences[1:]).split("\n")])) < 150
    )
    (line,) = (line for line in lines if line.startswith("params.command"))
    assert "python -v" in line and "first  " in line and "second" in line
    assert "-v " * 50 in found._repr_html_(), "a page has place"
    wide = str(compare(OLD, OLD, (Recorded(params={"p": "漢字" * 99}), Recorded(params={"p": "漢" * 15}))))
    (line,) = (line.split() for line in wide.split("\n") if line.startswith("params.p"))
    assert line == ["params.p", f"{'漢字' * 6}漢…{'漢字' * 3}", "漢" * 15, "differs"], (
        "such letters take two places"
    )
    assert recorded[0].params["command"] in {row.base for row in found.differences}


def test_of_what_is_left_out_it_says_how_much_differs() -> None:
    one, other = (
        replace(OLD, metadata={"metrics": {f"m{number}": number * sign for number in range(100)}})
        for sign in (1, -1)
    )
    for compared, said in (
        (compare(one, other), "… and 48 more, 39 of which differ"), (compare(one, one), "… and 48 more"),
    ):  # fmt: skip
        assert str(compared).endswith(said)
        assert f">{said}<" in compared._repr_html_()


def test_where_a_repository_could_not_be_reached_nobody_knows_that_what_is_in_it_is_different() -> None:
    far = Node("file:lake!raw.csv", "dataset", "raw.csv", repository="lake", digest="md5:1")
    own = Node("file:new.csv", "dataset", "new.csv", rev="1" * 40, digest="md5:2")
    place = Node("repository:lake", "repository", "lake", repository="lake")
    reached = Recorded(lineage=lineage_of(place, far, own))
    hidden = Recorded(lineage=lineage_of(replace(place, status="unreachable")))
    for both, line in (((reached, hidden), ("md5:2", None)), ((hidden, reached), (None, "md5:2"))):
        lines = {row.what: (row.base, row.candidate) for row in compare(OLD, OLD, both).rows}
        assert {name: each for name, each in lines.items() if name.startswith("data.")} == {
            "data.new.csv": line
        }
    gone = Recorded(lineage=lineage_of(place))
    assert "data.lake!raw.csv" in {row.what for row in compare(OLD, OLD, (gone, reached)).rows}


def test_of_what_has_no_digest_it_shows_what_is_said_instead() -> None:
    def at(commit: str) -> Recorded:
        note = f"it is in the submodule 'lake' at {commit}, which is not read"
        return Recorded(
            lineage=lineage_of(Node("file:lake", "dataset", "lake", rev="1" * 40, status="unread", note=note))
        )

    assert compare(OLD, OLD, (at("a" * 10), at("b" * 10))).verdict.endswith("different: data")
    assert "different" not in compare(OLD, OLD, (at("a" * 10), at("a" * 10))).verdict
