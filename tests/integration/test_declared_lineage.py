"""What an author says of a model that no pipeline of DVC's made: kept, marked, and followed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Input, Registry
from modelregistry.log.events import DeclaredInput
from tests import lineageschema
from tests.integration.pipelines import dvcs, named, sources_of, start
from tests.integration.projects import commit, everything, git, init, write

SHA256 = "sha256:" + "5" * 64
WAREHOUSE = "s3://warehouse/claims.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose models lie plainly in Git: ``base`` and ``churn``, each in two commits; data in Git."""
    root = init(tmp_path / "project")
    write(
        root / "dvc.yaml",
        "artifacts:\n  base: {path: base.json, type: model}\n  churn: {path: churn.json, type: model}\n",
    )
    write(root / "data" / "customers.csv", "1,2\n")
    write(root / "data" / "more" / "x.csv", "1\n")
    write(root / "train.py", "print()\n")
    for number in (1, 2):
        write(root / "base.json", f'{{"base": {number}}}')
        write(root / "churn.json", f'{{"churn": {number}}}')
        commit(root, f"Train {number}")
    return root


def found(registry: Registry, what: str) -> set[str]:
    return {row.version.reference for row in registry.impact(what)}


def register(root: Path) -> mr.ModelVersion:
    """A version of ``churn`` that was made from everything that can be said."""
    registry = Registry(root)
    registry.register(
        "base", rev="main~1", inputs="data/customers.csv", params={"layers": 3}, metrics={"auc": 0.5}
    )
    return registry.register(
        "churn",
        inputs=[
            "data/more",
            Input(url=WAREHOUSE, digest=SHA256, size=7),
            "base@latest",
            "md5:" + "6" * 32,
            Input(digest="sha256:" + "7" * 64, name="survey of May"),
        ],
        code=["train.py", "https://git.example.com/lib@" + "a" * 40],
        params={"C": 0.1, "net": {"depth": 2}},
        metrics={"auc": 0.9},
    )


def test_what_is_declared_is_kept_in_the_event_with_what_was_found(root: Path) -> None:
    version = register(root)
    kept = Registry(root).get("churn").registered.lineage
    assert kept is not None
    assert kept == version.registered.lineage
    assert kept.inputs[0] == DeclaredInput(
        path="data/more", digest=f"git:{git(root, 'rev-parse', 'main:data/more')}"
    )
    base = Registry(root).get("base")
    assert kept.inputs[2] == DeclaredInput(version="base@v0.1.0", digest=base.digest, size=base.size)
    assert kept.code[0].digest == f"git:{git(root, 'rev-parse', 'main:train.py')}"
    assert kept.code[0].size == 8
    assert kept.params == {"C": 0.1, "net": {"depth": 2}}
    assert '"path":"data/more"' in git(root, "cat-file", "tag", "churn@v0.1.0")


def test_each_thing_is_a_node_of_its_kind_that_is_marked(root: Path) -> None:
    lineage = register(root).lineage
    assert sources_of(lineage, "churn.json") == {
        "data/more", WAREHOUSE, "base.json", "md5:" + "6" * 32, "survey of May", "train.py", "https://git.example.com/lib",
        "declared params", str(lineage.run and lineage.run.name),
    }  # fmt: skip
    kinds = {node.name: node.kind for node in lineage}
    assert [kinds[name] for name in ("data/more", WAREHOUSE, "base.json", "survey of May", "train.py")] == [
        "dataset", "source", "model", "dataset", "code",
    ]  # fmt: skip
    assert kinds["https://git.example.com/lib"] == "code"
    plain = {"churn.json", lineage.run.name if lineage.run else ""}
    assert {node.name for node in lineage if not node.declared} == plain
    source = named(lineage, WAREHOUSE)
    assert (source.digest, source.size) == (SHA256, 7)
    assert "stroke-dasharray" in lineage.to_svg()
    assert lineage.to_svg().count(" doubt") == len([node for node in lineage if node.declared])
    lineageschema.check(lineage)


def test_a_version_goes_on_at_its_own_commit_with_what_it_declares(root: Path) -> None:
    lineage = register(root).lineage
    base = named(lineage, "base.json")
    assert (base.version, base.rev) == ("base@v0.1.0", git(root, "rev-parse", "main~1"))
    assert sources_of(lineage, "base.json") == {"data/customers.csv", "declared params"}
    assert lineage.find("base@v0.1.0") == (base,)


def test_params_and_metrics_of_a_version_are_its_own(root: Path) -> None:
    version = register(root)
    assert version.params == {"C": 0.1, "net.depth": 2}
    assert version.metrics == {"auc": 0.9}
    assert Registry(root).get("base").params == {"layers": 3}


def test_impact_finds_what_was_declared_through_versions_too(root: Path) -> None:
    register(root)
    registry = Registry(root)
    assert found(registry, SHA256) == {"churn@v0.1.0"}
    assert found(registry, WAREHOUSE) == {"churn@v0.1.0"}
    assert found(registry, "sha256:" + "7" * 64) == {"churn@v0.1.0"}
    assert found(registry, "https://git.example.com/lib@" + "a" * 40) == {"churn@v0.1.0"}
    assert found(registry, "data/customers.csv") == {"base@v0.1.0", "churn@v0.1.0"}
    assert found(registry, "data/more/x.csv") == {"churn@v0.1.0"}
    assert found(registry, "base@v0.1.0") == {"base@v0.1.0", "churn@v0.1.0"}
    assert found(registry, str(registry.get("base").digest)) == {"base@v0.1.0", "churn@v0.1.0"}


def test_a_difference_tells_what_is_declared_otherwise(root: Path) -> None:
    registry = Registry(root)
    first = registry.register(
        "churn", rev="main~1", inputs=[Input(url=WAREHOUSE, digest=SHA256)], params={"C": 1}
    )
    second = registry.register(
        "churn",
        inputs=[Input(url=WAREHOUSE, digest="sha256:" + "6" * 64)],
        params={"C": 2},
        metrics={"auc": 1},
    )
    difference = first.lineage.diff(second.lineage)
    assert WAREHOUSE in {after.name for _, after in difference.changed}
    assert [(each.key, each.before, each.after) for each in difference.params] == [("C", 1, 2)]
    assert [(each.key, each.before, each.after) for each in difference.metrics] == [("auc", None, 1)]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"inputs": "data/none.csv"}, "'data/none.csv' is not in commit"),
        ({"inputs": "none@v1.0.0"}, "no model 'none'"),
        ({"inputs": "base@v1.0.0"}, "no model 'base'"),
        ({"code": "none.py"}, "'none.py' is not in commit"),
        ({"inputs": "https://u:p@example.com/x"}, "credentials"),
        ({"params": {"C": float("nan")}}, "params must be"),
        ({"metrics": [1]}, "metrics must be"),
        ({"params": {"x": "y" * 40_000}}, "32,768 is the most"),
    ],
)
def test_what_can_not_be_right_is_refused_before_anything_is_written(
    root: Path, said: dict[str, object], message: str
) -> None:
    before = everything(root)
    with pytest.raises(mr.RegistryError, match=message):
        Registry(root).register("churn", declare=True, path="base.json", **said)  # type: ignore[arg-type]
    assert everything(root) == before


def test_data_that_dvc_tracks_is_followed_to_where_it_came_from(tmp_path: Path) -> None:
    root = start(tmp_path / "tracked", tmp_path / "cache")
    write(root / "warehouse.csv", "1\n")
    write(root / "raw" / "a.csv", "1\n")
    write(root / "model.json", "{}")
    stage = "stages:\n  copy: {cmd: cp raw/a.csv data.csv, deps: [raw/a.csv], outs: [data.csv]}\n"
    write(root / "dvc.yaml", f"{stage}artifacts:\n  m: {{path: model.json, type: model}}\n")
    dvcs(root, ["add", "--quiet", "raw"], ["repro", "--quiet"])
    commit(root)
    version = Registry(root).register("m", inputs=["data.csv", "raw/a.csv"])
    lineage = version.lineage
    assert version.registered.lineage is not None
    assert [each.digest for each in version.registered.lineage.inputs] == [
        named(lineage, "data.csv").digest, named(lineage, "raw/a.csv").digest,
    ]  # fmt: skip
    assert {node.name for node in lineage.upstream(lineage.subject)} >= {
        "data.csv",
        "copy",
        "raw/a.csv",
        "raw",
    }
    assert named(lineage, "data.csv").declared
    assert named(lineage, "copy").status == "recorded"
    with pytest.raises(mr.PathNotFoundError):
        Registry(root).register("m", version="v2.0.0", inputs=["raw/none.csv"])


def test_a_declared_version_that_is_gone_is_a_marked_node(root: Path) -> None:
    register(root)
    git(root, "tag", "--delete", "base@v0.1.0")
    base = named(Registry(root).get("churn").lineage, "base@v0.1.0")
    assert (base.kind, base.declared, base.note) == ("model", True, "no such version is registered")


def test_an_event_that_somebody_forged_is_read_without_harm(root: Path) -> None:
    odd = [
        {"path": "../../etc/passwd"},
        {"path": "churn.json"},
        {"version": "churn@v0.1.0"},
        {"version": "-"},
        {},
    ]
    odd += [{"url": "ext::sh -c x"}, {"url": "https://u:hunter2@h/x"}, {"path": "none\x1b[31m"}]
    registry = Registry(root)
    registry.register("churn")
    text = git(root, "cat-file", "tag", "churn@v0.1.0")
    start_, _, trailer = text.partition("Model-Registry: {")
    forged = f'{start_}Model-Registry: {{"lineage":{json.dumps({"inputs": odd})},{trailer}\n'
    git(root, "tag", "--delete", "churn@v0.1.0")
    oid = git(root, "mktag", stdin=forged.encode())
    git(root, "update-ref", "refs/tags/churn@v0.1.0", oid)
    lineage = Registry(root).get("churn").lineage
    assert named(lineage, "../../etc/passwd").note == "it leads out of the repository"
    assert "hunter2" not in str(lineage.to_dict())
    lineageschema.check(lineage)


def test_what_another_registry_declares_is_followed_from_an_import(root: Path, tmp_path: Path) -> None:
    register(root)
    team = start(tmp_path / "team", tmp_path / "cache")
    write(team / "dvc.yaml", "artifacts:\n  risk: {path: risk.json, type: model}\n")
    dvcs(team, ["import", "--quiet", os.fspath(root), "churn.json", "--out", "risk.json"])
    commit(team)
    lineage = Registry(team, remote=None).register("risk").lineage
    there = [node for node in lineage if node.version == "churn@v0.1.0"]
    assert [node.repository for node in there] == [os.fspath(root)]
    assert {"data/customers.csv", "base.json", WAREHOUSE} <= {
        node.name for node in lineage.upstream(lineage.subject)
    }


def test_a_log_in_a_database_has_it_too(root: Path, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'log.db'}"
    mr.migrate(address)
    registry = Registry(root, backend=address)
    registry.register("base", rev="main~1", inputs="data/customers.csv")
    registry.register("churn", inputs="base@v0.1.0")
    again = Registry(root, backend=address)
    assert found(again, "data/customers.csv") == {"base@v0.1.0", "churn@v0.1.0"}
