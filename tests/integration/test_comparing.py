"""Two versions of a real project side by side: what they reached, what they were made from, and with what."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from pydantic import JsonValue

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends.memory import MemoryBackend
from modelregistry.comparison import Comparison
from tests.integration.projects import commit, dvc, git, init, write

PLAN = """\
stages:
  train:
    cmd: {python} train.py {flag}
    deps: [train.py, data/own.csv, data/clicks.csv]
    params: [depth, net]
    outs: [model.json]
    metrics: [metrics.json: {{cache: false}}]
artifacts:
  churn: {{path: model.json, type: model}}
"""
TRAIN = """\
import json
depth = int(open("params.yaml").read().split()[1])
json.dump([depth, open("data/clicks.csv").read()], open("model.json", "w"))
json.dump({"auc": 0.5 + depth / 8, "loss": 1.5, "kind": f"depth {depth}", "calibrated": depth > 1}, open("metrics.json", "w"))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that a dataset is imported from."""
    root = init(tmp_path_factory.mktemp("lake") / "lake")
    dvc(root, "init")
    write(root / "clicks.csv", "1\n")
    dvc(root, "add", "clicks.csv")
    dvc(root, "remote", "add", "--default", "store", str(root.parent / "store"))
    dvc(root, "push")
    commit(root)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, lake: Path) -> Path:
    """A project with two trained versions, between which all of it changed but for ``loss`` and ``net.width``."""
    root = init(tmp_path_factory.mktemp("comparing") / "project")
    dvc(root, "init")
    (root / "data").mkdir()
    dvc(root, "import", str(lake), "clicks.csv", "--out", "data/clicks.csv")
    for depth in (1, 2):
        write(
            root / "dvc.yaml",
            PLAN.format(python=Path(sys.executable).as_posix(), flag="" if depth == 1 else "--fast"),
        )
        write(root / "params.yaml", f"depth: {depth}\nnet:\n  width: 8\n")
        write(root / "train.py", f"{TRAIN}# {depth}\n")
        write(root / "data" / "own.csv", f"{depth}\n")
        if depth == 2:
            write(lake / "clicks.csv", "1\n2\n")
            dvc(lake, "add", "clicks.csv")
            dvc(lake, "push")
            commit(lake)
            dvc(root, "update", "data/clicks.csv.dvc")
        dvc(root, "repro")
        commit(root)
    registry = Registry(root)
    registry.register("churn", rev="HEAD~1", metadata={"environment": {"python": "3.11.7", "numpy": "2.1"}})
    registry.register(
        "churn", metadata={"environment": {"python": "3.13.1", "numpy": "2.1"}, "owner": "risk"}
    )
    registry.annotate("churn", None, {"evaluation": {"metrics": {"auc": {"direction": "higher"}}}})
    return root


def told(compared: Comparison) -> dict[str, tuple[object, object]]:
    return {row.what: (row.base, row.candidate) for row in compared.rows}


def test_all_that_tells_two_versions_apart_has_a_line(trained: Path, lake: Path) -> None:
    registry = Registry(trained)
    one, other = registry.get("churn@v0.1.0"), registry.get("churn@v0.1.1")
    compared = registry.compare(one, other)
    lines = told(compared)
    assert {name: lines[name] for name in lines if name.startswith(("metrics.", "params.", "environment."))} == {
        "metrics.auc": (0.625, 0.75), "metrics.calibrated": (False, True), "metrics.kind": ("depth 1", "depth 2"),
        "metrics.loss": (1.5, 1.5), "params.depth": (1, 2), "params.net.width": (8, 8),
        "environment.numpy": ("2.1", "2.1"), "environment.python": ("3.11.7", "3.13.1"),
    }  # fmt: skip
    for name, node in (("data.data/own.csv", "data/own.csv"), ("code.train.py", "train.py")):
        before, after = (next(iter(each.lineage.find(node))).digest for each in (one, other))
        assert lines[name] == (before, after)
        assert before is not None and before != after
    imported = [name for name in lines if name.startswith("data.") and name.endswith("clicks.csv")]
    assert "data.data/clicks.csv" in imported
    assert all(lines[name][0] != lines[name][1] for name in imported)
    assert any(lake.name in name for name in imported), "what it was imported from is told apart from it"
    assert lines["steps.train"][1] == f"{lines['steps.train'][0]} --fast".replace("  ", " ")
    assert lines["metadata.owner"] == (None, "risk")
    assert one.size != other.size
    assert compared.verdict.endswith(
        "; better: auc; different: metrics, params, data, code, steps, environment, size"
    )
    assert {"metrics.loss", "params.net.width", "environment.numpy", "name", "author"}.isdisjoint(
        row.what for row in compared.differences
    )


def test_what_it_says_is_what_the_versions_say(trained: Path) -> None:
    registry = Registry(trained)
    compared = registry.compare("churn@v0.1.0", "churn@v0.1.1")
    for which, version in ((0, compared.base), (1, compared.candidate)):
        for kind, values in (("metrics.", version.metrics), ("params.", version.params)):
            assert dict(values) == {
                name.removeprefix(kind): both[which]
                for name, both in told(compared).items()
                if name.startswith(kind)
            }


def test_a_version_and_itself_have_no_difference(trained: Path) -> None:
    compared = Registry(trained).compare("churn@v0.1.1", "churn@v0.1.1")
    assert not compared.differences
    assert compared.verdict == "the same bytes: churn@v0.1.1 and churn@v0.1.1"


def test_it_is_read_in_a_terminal_and_in_a_notebook(trained: Path) -> None:
    compared = Registry(trained).compare("churn@v0.1.0", "churn@v0.1.1")
    shown = str(compared).split("\n")
    assert shown[0] == compared.verdict
    (row,) = (line.split() for line in shown if line.startswith("metrics.auc"))
    assert row == ["metrics.auc", "0.625", "0.75", "better"]
    digest = str(told(compared)["data.data/own.csv"][0])
    assert digest[:16] in str(compared) and digest not in str(compared)
    assert f'title="{digest}"' in compared._repr_html_(), "a notebook has all of it"
    assert digest in str(compared.to_dicts())


def test_without_the_commit_the_log_is_compared_and_that_is_said(trained: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{trained}", "shallow")
    log = MemoryBackend()
    Registry(trained).copy_log(log)
    with pytest.warns(
        mr.RegistryWarning, match=r"churn@v0\.1\.0 could not be read whole.*git fetch"
    ) as caught:
        compared = Registry(tmp_path / "shallow", backend=log, remote=None).compare(
            "churn@v0.1.0", "churn@v0.1.1"
        )
    assert [each.filename for each in caught] == [__file__], "the caller is told, and once"
    lines = told(compared)
    assert lines["environment.python"] == ("3.11.7", "3.13.1")
    assert not any(name.startswith(("data.", "code.", "steps.")) for name in lines), (
        "of one of two it tells nothing"
    )
    assert lines["metrics.auc"] == (None, 0.75)


def test_where_the_source_of_an_import_is_gone_that_is_said(trained: Path, lake: Path) -> None:
    away = lake.rename(lake.with_name("away"))
    try:
        with pytest.warns(mr.RegistryWarning, match="could not be read whole") as caught:
            compared = Registry(trained).compare("churn@v0.1.0", "churn@v0.1.1")
    finally:
        away.rename(lake)
    assert all(lake.name in str(each.message) for each in caught) and len(caught) == 2
    lines = told(compared)
    assert "data.data/clicks.csv" in lines
    assert not any("!" in name for name in lines), "what is in it is not told of either"


def test_several_candidates_are_held_against_one_version(trained: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", os.fspath(trained), "clone")
    registry = Registry(tmp_path / "clone", remote=None)
    registry.register("churn", rev="HEAD~1", version="v0.2.0", allow_missing=True)
    several = registry.compare("churn@v0.1.0", "churn@v0.1.1", "churn@v0.2.0")
    assert [each.verdict for each in several] == [
        registry.compare("churn@v0.1.0", each).verdict for each in ("churn@v0.1.1", "churn@v0.2.0")
    ]
    lines = {row.what: row for row in several.rows}
    assert (lines["metrics.auc"].candidates, lines["metrics.auc"].better) == ((0.75, 0.625), (True, None))
    assert several.verdict.startswith(
        "beside churn@v0.1.0: churn@v0.1.1 nobody can tell (better: auc; different: "
    )
    for twice in ("churn@v0.1.0", "churn@v0.1.1", registry.get("churn@v0.1.1")):
        with pytest.raises(mr.InvalidInputError, match="is named twice"):
            registry.compare("churn@v0.1.0", "churn@v0.1.1", twice)
    with pytest.raises(mr.VersionNotFoundError):
        registry.compare("churn@v0.1.0", "churn@v0.1.1", "churn@v9.0.0")


def test_what_was_declared_is_compared_too(tmp_path: Path) -> None:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "artifacts:\n  risk: {path: risk.bin}\n")
    registry = Registry(root)
    for number, rows in (("1", "a"), ("2", "b")):
        write(root / "risk.bin", number)
        commit(root)
        registry.register(
            "risk", params={"alpha": int(number)}, metrics={"auc": 0.5, "by": {"region": f"north {number}"}},
            inputs=[
                mr.Input(name="survey", digest=f"sha256:{rows * 64}"), mr.Input(url="s3://lake/x.parquet", digest=f"md5:{rows * 32}"),
                mr.Input(url="https://host.example/lake", rev=rows * 40), "s3://lake/unknown.csv",
            ],
            code=[mr.Input(url="https://host.example/code", rev=rows * 40)],
        )  # fmt: skip
    lines = told(registry.compare("risk@v0.1.0", "risk@v0.1.1"))
    assert lines["data.survey"] == (f"sha256:{'a' * 64}", f"sha256:{'b' * 64}")
    assert lines["data.s3://lake/x.parquet"] == (f"md5:{'a' * 32}", f"md5:{'b' * 32}")
    assert (
        lines["data.https://host.example/lake"]
        == lines["code.https://host.example/code"]
        == ("a" * 40, "b" * 40)
    )
    assert lines["data.s3://lake/unknown.csv"] == ("declared", "declared")
    assert lines["params.alpha"] == (1, 2)
    assert lines["metrics.by.region"] == ("north 1", "north 2")
    assert lines["metrics.auc"] == (0.5, 0.5)


def test_which_way_is_better_is_what_the_models_say_and_over_that_the_versions_metric_by_metric(
    plain: Path,
) -> None:
    def block(**directions: str) -> JsonValue:
        return {"metrics": {name: {"direction": each} for name, each in directions.items()}}

    registry = Registry(plain)
    for model, value in (("churn", 1), ("risk", 2)):
        registry.register(model, metadata={"metrics": dict.fromkeys(("auc", "loss", "time"), value)})
    registry.annotate("churn", None, {"evaluation": block(auc="higher", loss="higher", time="higher")})
    registry.annotate("risk", None, {"evaluation": block(loss="lower")})
    registry.annotate("churn", "v0.1.0", {"evaluation": block(time="lower")})
    assert "; better: auc; worse: loss, time;" in registry.compare("churn", "risk").verdict
    assert "; better: time; worse: auc, loss;" in registry.compare("risk", "churn").verdict
    directions = {
        name: each["direction"] for name, each in registry.get("churn").card.data["metrics"].items()
    }
    assert directions == {"auc": "higher", "loss": "higher", "time": "lower"}, "and so says its card"
