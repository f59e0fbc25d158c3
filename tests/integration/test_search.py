"""Versions are found by what the log says of them, and by what DVC recorded at their commits."""

from __future__ import annotations

import fnmatch
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends.memory import MemoryBackend
from tests.integration.pipelines import dvcs
from tests.integration.projects import commit, git, init, write

PLAN = """\
stages:
  train:
    cmd: {python} train.py
    deps: [train.py]
    params: [depth, note]
    outs: [model.bin]
    metrics: [metrics.json: {{cache: false}}]
  evaluate:
    cmd: cp test.txt eval.json
    deps: [model.bin, test.txt]
    metrics: [eval.json]
  other:
    cmd: cp test.txt other.json
    deps: [test.txt]
    metrics: [other.json: {{cache: false}}]
artifacts:
  churn: {{path: model.bin, type: model, labels: [team-a, tabular], desc: Who leaves}}
"""
TRAIN = """\
import json
depth = int(open("params.yaml").read().split()[1])
open("model.bin", "w").write(str(depth))
odd = {1: float("nan"), 2: "high", 3: True, 4: 10**400}
json.dump({"auc": 0.7 + depth / 20, "odd": odd.get(depth, depth), "by": {"region/eu": depth}, "list": [1]}, open("metrics.json", "w"))
"""
VERSIONS = 6


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six trained versions of ``churn``, some of ``risk`` that are plainly in Git, and one that is withdrawn."""
    root = init(tmp_path_factory.mktemp("search") / "project")
    write(root / "dvc.yaml", PLAN.format(python=sys.executable))
    write(root / "train.py", TRAIN)
    write(
        root / "nlp" / "dvc.yaml",
        "artifacts:\n  risk: {path: risk.txt, type: dataset}\nmetrics: [risk.json]\n",
    )
    dvcs(root, ["init", "--quiet"], ["config", "core.autostage", "false"])
    registry = Registry(root)
    for depth in range(1, VERSIONS + 1):
        write(root / "params.yaml", f"depth: {depth}\nnote: round {depth}\n")
        write(root / "test.txt", json.dumps({"recall": depth / 10}))
        write(root / "nlp" / "risk.txt", str(depth))
        write(root / "nlp" / "risk.json", json.dumps({"auc": depth / 10}) if depth != 3 else "{no json")
        dvcs(root, ["repro", "--quiet"])
        commit(root, f"Depth {depth}")
        owner = {1: "risk", 2: "risk", 3: None}.get(depth, {"team": "ops"})
        registry.register(
            "churn", message=f"round {depth}", metadata={"owner": owner, "approved": depth > 3, "x-y": depth}
        )
        if depth <= 3:
            registry.register("nlp:risk", metadata={"metrics": {"auc": 0.99}} if depth == 2 else {})
    registry.promote("churn", "v0.1.2", "current")
    registry.promote("churn", "v0.1.4", "current", keep=True)
    registry.promote("churn", "v0.1.4", "shadow", keep=True)
    registry.withdraw("churn", "v0.1.1")
    registry.annotate("churn", "v0.1.0", {"metrics": {"auc": 0.5, "f1": 0.4}})
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "project", symlinks=True)


def found(registry: Registry, query: str | None = None, **options: Any) -> list[str]:
    return [
        version.reference.replace("nlp:risk@v0.1.", "r").replace("churn@v0.1.", "c")
        for version in registry.search(query, **options)
    ]


ALL = ["c5", "c4", "c3", "c2", "c0", "r2", "r1", "r0"]


# -- what is found -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:1 versions could not be read")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, ALL),
        ("metrics.auc > 0.85", ["c5", "c4", "c3", "r1"]),  # what evaluation said counts, not what training did
        ("metrics.auc == 0.5", ["c0"]),
        ("metrics.f1 < 1", ["c0"]),
        ("metrics.recall >= 0.4 and stage == 'current'", ["c4"]),
        ("metrics['by.region/eu'] == 4 or metrics.by['region/eu'] == 5", ["c4", "c3"]),
        ("metrics.odd > 0", ["c5", "c4", "c3"]),
        ("metrics.odd == 'high' or metrics.odd == 'NaN'", ["c0"]),
        ("metrics.odd == true", ["c2"]),
        ("metrics.list == null and name == 'churn'", ["c5", "c4", "c3", "c2", "c0"]),
        ("metrics.by != null and not metrics.by == 5 and 'region/eu' in metrics.by", ["c5", "c4", "c3", "c2", "c0"]),
        ("'by' in metrics and 'by.region/eu' in metrics and not 'b' in metrics", ["c5", "c4", "c3", "c2", "c0"]),
        ("metrics.by.region != null or 'region' in metrics.by or 'eu' in metrics.by", []),
        ("'recall' in metrics and not 'f1' in metrics", ["c5", "c4", "c3", "c2"]),
        ("params.depth in [3, 4]", ["c3", "c2"]),
        ("params.note like 'round [56]'", ["c5", "c4"]),
        ("metadata.owner == 'risk'", ["c0"]),
        ("metadata.owner.team == 'ops'", ["c5", "c4", "c3"]),
        ("metadata['x-y'] > 4 and metadata.approved", ["c5", "c4"]),
        ("metadata.owner == null and name == 'churn'", ["c2"]),
        ("type == 'dataset'", ["r2", "r1", "r0"]),
        ("'tabular' in labels and description like 'Who*'", ["c5", "c4", "c3", "c2", "c0"]),
        ("path == 'nlp/risk.txt'", ["r2", "r1", "r0"]),
        ("latest", ["c5", "r2"]),
        ("state == 'withdrawn'", ["c1"]),
        ("state in ['withdrawn', 'current']", ["c4", "c1"]),
        ("state != 'withdrawn' and name == 'churn'", ["c5", "c4", "c3", "c2", "c0"]),
        ("stage == 'shadow' and stage == 'current'", ["c4"]),
        ("made_from == 'train.py'", ["c5", "c4", "c3", "c2", "c0"]),
        ("made_from in ['nothing'] or not made_from == 'train.py'", ["r2", "r1", "r0"]),
        ("version >= '0.1.4' or version == 'v0.1.0' and name like '*risk'", ["c5", "c4", "r0"]),
        ("email == 'ann@example.com' and author like 'Ann *' and size < 5", ALL),
        ("message == 'round 6'", ["c5"]),
        ("rev == source_rev", ALL),
        ("deprecated", []),
    ],
)  # fmt: skip
def test_versions_are_found_by_an_expression(built: Path, query: str, expected: list[str]) -> None:
    assert found(Registry(built), query) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"name": "churn"}, ["c5", "c4", "c3", "c2", "c0"]),
        ({"name": "nlp:*"}, ["r2", "r1", "r0"]),
        ({"name": ["churn", "nobody", "no name!"], "stage": "current"}, ["c4"]),
        ({"name": []}, []),
        ({"stage": "inactive", "name": "churn"}, ["c5", "c3", "c2", "c0"]),
        ({"stage": ["withdrawn", "shadow"]}, ["c4", "c1"]),
        ({"state": "current"}, ["c4"]),
        ({"state": "shadow"}, []),
        ({"type": "model", "label": ["x", "team-a"], "limit": 2}, ["c5", "c4"]),
        ({"author": "ann@*"}, ALL),
        ({"author": "Bob"}, []),
        ({"made_from": "params.yaml", "limit": 1}, ["c5"]),
        ({"since": "2020-01-01", "until": date(2020, 1, 2)}, []),
        ({"since": datetime.now(UTC) - timedelta(days=2)}, ALL),
        ({"until": "2026-01-01T12:00Z"}, []),
        ({"sort": "metadata['x-y']", "name": "churn"}, ["c0", "c2", "c3", "c4", "c5"]),
        ({"sort": "-metrics.odd", "name": "churn"}, ["c3", "c5", "c4", "c0", "c2"]),
        ({"sort": "metrics.odd", "name": "churn"}, ["c4", "c5", "c3", "c0", "c2"]),
        ({"sort": ["-metadata.approved", "metrics.auc"], "name": "churn"}, ["c3", "c4", "c5", "c0", "c2"]),
        ({"sort": ["-name", "version"]}, ["r0", "r1", "r2", "c0", "c2", "c3", "c4", "c5"]),
        ({"sort": "-params.depth", "limit": 3}, ["c5", "c4", "c3"]),
        ({"sort": "params.depth", "limit": 7}, ["c0", "c2", "c3", "c4", "c5", "r2", "r1"]),
        ({"limit": 0}, []),
    ],
)  # fmt: skip
def test_versions_are_found_by_keyword_arguments(built: Path, options: Any, expected: list[str]) -> None:
    assert found(Registry(built), **options) == expected


def test_a_version_is_found_by_its_bytes(built: Path) -> None:
    registry = Registry(built)
    version = registry.get("churn@v0.1.3")
    assert version.digest and version.registered.address
    assert found(registry, digest=version.digest) == ["c3"]
    assert found(registry, digest=[version.registered.address, "md5:0"]) == ["c3"]
    assert found(registry, f"digest like '{version.digest[:20]}*'") == ["c3"]


@pytest.mark.parametrize(
    "options",
    [
        {"query": 5}, {"limit": -1}, {"limit": True}, {"limit": "5"}, {"name": 5}, {"stage": ["a", 1]}, {"sort": 5},
        {"sort": "-nope"}, {"sort": ""}, {"sort": "metrics.auc > 1"}, {"since": "soon"}, {"since": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"until": 5}, {"query": "metrics.auc >"},
    ],
)  # fmt: skip
def test_what_can_not_be_asked_is_an_error_of_ours(built: Path, options: Any) -> None:
    with pytest.raises(mr.InvalidInputError):
        Registry(built).search(**options)


def test_a_key_to_sort_by_that_is_wrong_is_pointed_at(built: Path) -> None:
    with pytest.raises(mr.QueryError, match="did you mean 'metrics'") as caught:
        Registry(built).search(sort="-metric.auc")
    assert caught.value.position == 1


def test_what_has_no_order_is_nothing_to_sort_by(built: Path) -> None:
    with pytest.raises(mr.QueryError, match="'made_from' has no order") as caught:
        Registry(built).search(sort=["name", "-made_from"])
    assert caught.value.position == 1


# -- the answer --------------------------------------------------------------------------------------------


def test_the_answer_has_columns_for_what_was_asked_and_says_what_is_left_out(built: Path) -> None:
    rows = Registry(built).search(
        "metrics.auc > 0.8 and 'tabular' in labels", sort="-metrics.auc", limit=2, name="churn"
    )
    assert rows.total == 4
    assert [row["metrics.auc"] for row in rows.to_dicts()] == [1.0, 0.95]
    assert list(rows.to_dicts()[0])[-2:] == ["metrics.auc", "labels"]
    assert rows.to_dicts()[0]["labels"] == ["team-a", "tabular"]
    assert f"({rows.total - 2} more were found, and are beyond the limit)" in str(rows)
    assert "beyond the limit" in rows._repr_html_()
    assert "metrics.auc" in str(rows)
    frame = rows.to_pandas()
    assert list(frame["metrics.auc"]) == [1.0, 0.95]


def test_of_digests_that_were_asked_for_a_table_has_the_beginnings_and_its_values_the_whole(
    built: Path,
) -> None:
    rows = Registry(built).search("digest like 'sha256:*'", name="churn", limit=1)
    version = rows[0]
    whole = [version.digest, version.registered.address]
    assert rows.to_dicts()[0]["digest"] == whole
    assert all(len(line) < 110 for line in str(rows).splitlines())
    assert version.digest and version.digest[:19] in str(rows) and version.digest[:19] in rows._repr_html_()
    assert f'title="{version.digest}"' in rows._repr_html_()


def test_what_can_not_be_read_is_said_and_the_rest_is_found(project: Path) -> None:
    registry = Registry(project)
    with pytest.warns(
        mr.RegistryWarning, match=r"1 versions could not be read whole.*risk@v0\.1\.2.*risk\.json"
    ):
        rows = registry.search("metrics.auc > 0")
    assert list(rows.unread) == ["nlp:risk@v0.1.2"]
    assert len(rows) == 7
    assert "could not be read whole" in str(rows)
    for ask in (registry.best, registry.trend):
        with pytest.warns(mr.RegistryWarning, match="1 versions could not be read whole") as caught:
            ask("nlp:risk", "metrics.auc")
        assert [each.filename for each in caught] == [__file__], "the caller is told, and once"


@pytest.fixture
def undeclared(tmp_path: Path) -> Path:
    """A model whose ``dvc.yaml`` could not be read for a while, and was odd; others tagged those commits."""
    root = init(tmp_path / "undeclared")
    entries = ["{path: m.bin, type: model, labels: [a]}", "[", "{path: m.bin, type: model, labels: a}", "{path: '${x}', type: model, labels: [a]}"]  # fmt: skip
    for number, entry in enumerate(entries):
        write(root / "dvc.yaml", f"artifacts:\n  churn: {entry}\n")
        write(root / "m.bin", str(number))
        commit(root, str(number))
        git(root, "tag", "--annotate", "--message=by GTO", f"churn@v0.{number}.0")
    return root


@pytest.mark.parametrize(
    ("query", "expected", "unread"),
    [
        ("type == 'model'", ["3", "2", "0"], ["1", "2"]),
        ("labels == 'a'", ["3", "0"], ["1", "2"]),
        ("not description == 'x'", ["3", "2", "1", "0"], ["1", "2"]),
        ("path == 'm.bin'", ["0"], ["1", "2", "3"]),
        ("version == '0.0.0' and type == 'model'", ["0"], []),
        ("name == 'churn'", ["3", "2", "1", "0"], []),
    ],
)
def test_what_dvc_yaml_does_not_tell_is_said_once_where_it_was_asked(
    undeclared: Path, query: str, expected: list[str], unread: list[str]
) -> None:
    registry = Registry(undeclared, remote=None)
    for places in (registry, mr.Catalog([registry]), mr.Catalog({"one": registry})):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = places.search(query)
        keys = [key if isinstance(key, str) else key[1] for key in rows.unread]
        assert sorted(keys) == [f"churn@v0.{number}.0" for number in unread]
        versions = [
            each.version if isinstance(each, mr.ModelVersion) else each.version.version for each in rows
        ]
        assert versions == [f"v0.{number}.0" for number in expected]
        assert [each.filename for each in caught] == ([__file__] if unread else []), "the caller, and once"


def test_the_models_are_listed_and_what_can_not_be_read_of_them_is_said(undeclared: Path) -> None:
    git(undeclared, "tag", "--delete", "churn@v0.2.0", "churn@v0.3.0")
    write(undeclared / "broken" / "dvc.yaml", "artifacts: [")
    write(undeclared / "dvc.yaml", "artifacts: {other: {path: m.bin}}")
    commit(undeclared)
    registry = Registry(undeclared, remote=None)
    with pytest.warns(mr.RegistryWarning, match=r"2 files could not be read.*broken/dvc\.yaml") as caught:
        assert [each.name for each in registry.models()] == ["churn", "other"]
    with pytest.warns(mr.RegistryWarning, match=r"1 files could not be read.*dvc\.yaml at ") as more:
        assert registry.model("churn").type is None
    assert [each.filename for each in (*caught, *more)] == [__file__] * 2


def test_a_commit_or_a_file_that_is_not_here_declares_who_knows_what(
    undeclared: Path, tmp_path: Path
) -> None:
    log = MemoryBackend()
    Registry(undeclared, remote=None).copy_log(log)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{undeclared}", "shallow")
    with pytest.warns(mr.RegistryWarning, match="is not here: 'git fetch'"):
        rows = Registry(tmp_path / "shallow", backend=log, remote=None).search("type == 'model'")
    assert [each.version for each in rows] == ["v0.3.0"]
    assert sorted(rows.unread) == [f"churn@v0.{number}.0" for number in range(3)]
    git(undeclared, "config", "uploadpack.allowFilter", "true")
    git(undeclared, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert len(Registry(f"file://{undeclared}").search()) == 4
    with pytest.warns(mr.RegistryWarning, match="4 versions could not be read whole.*offline=True"):
        assert not Registry(f"file://{undeclared}", offline=True).search(type="model")


def test_a_comparison_says_which_metrics_could_not_be_read(project: Path) -> None:
    with pytest.warns(
        mr.RegistryWarning, match=r"risk@v0\.1\.2 could not be read whole.*risk\.json"
    ) as caught:
        compared = Registry(project).compare("nlp:risk@v0.1.0", "nlp:risk@v0.1.2")
    assert [each.filename for each in caught] == [__file__]
    (auc,) = (row for row in compared.rows if row.what == "metrics.auc")
    assert (auc.base, auc.candidate) == (0.1, None)


def test_metrics_that_are_only_in_a_cache_elsewhere_are_missing_and_that_is_said(
    project: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", str(project), "clone")
    registry = Registry(tmp_path / "clone", remote=None)
    with pytest.warns(mr.RegistryWarning, match="eval.json"):
        assert found(registry, "metrics.recall > 0 or metrics.auc > 0.9", name="churn") == ["c5", "c4"]
    # Nothing of that is remembered: once the bytes are here, they count.
    shutil.copytree(project / ".dvc" / "cache", tmp_path / "clone" / ".dvc" / "cache")
    assert found(registry, "metrics.recall > 0", name="churn") == ["c5", "c4", "c3", "c2", "c0"]


def test_a_commit_that_is_not_here_is_said(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{project}", "shallow")
    shallow = tmp_path / "shallow"
    log = MemoryBackend()
    Registry(project).copy_log(log)
    with pytest.warns(mr.RegistryWarning, match="is not here: 'git fetch'"):
        rows = Registry(shallow, backend=log, remote=None).search("params.depth > 0", name="churn")
    assert "churn@v0.1.0" in rows.unread


def test_a_registry_behind_a_url_brings_what_it_needs_and_offline_says_what_is_not_here(
    project: Path,
) -> None:
    git(project, "config", "uploadpack.allowFilter", "true")
    git(project, "config", "uploadpack.allowAnySHA1InWant", "true")
    url = f"file://{project}"
    registry = Registry(url)
    assert len(registry.search(name="churn")) == 5
    offline = Registry(url, offline=True)
    with pytest.warns(mr.RegistryWarning, match="5 versions could not be read whole.*offline=True"):
        assert found(offline, "params.depth > 2", name="churn") == []
    assert found(registry, "params.depth > 4", name="churn") == ["c5", "c4"]
    assert found(offline, "params.depth > 4", name="churn") == ["c5", "c4"], "it is remembered"


def test_what_was_declared_at_registration_counts_and_what_the_metadata_says_counts_more(
    tmp_path: Path,
) -> None:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "artifacts: {churn: {path: model.bin}}\nmetrics: [m.json]\n")
    write(root / "model.bin", "1")
    write(root / "m.json", '{"auc": 0.1, "f1": 0.1, "recall": 0.1}')
    commit(root)
    registry = Registry(root)
    registry.register(
        "churn", metrics={"auc": 0.2, "f1": 0.2, "by": {"eu": 1}}, params={"depth": 5, "layers": [1]},
        metadata={"metrics": {"auc": 0.3}},
    )  # fmt: skip
    (row,) = registry.search("metrics != null and params != null").to_dicts()
    assert row["metrics"] == {"auc": 0.3, "f1": 0.2, "by.eu": 1, "recall": 0.1}
    assert row["params"] == {"depth": 5, "layers": [1]}
    assert found(
        registry, "metrics.auc == 0.3 and metrics.f1 == 0.2 and metrics.recall == 0.1 and params.depth == 5"
    )


LISTED = """\
artifacts: {churn: {path: model.bin}}
metrics: [a.json, b.yaml, sub/c.toml, link.json, nowhere.json, d.json]
params: [params.yaml, config.toml]
"""


def test_files_that_are_only_listed_are_read_too_and_contradictions_keep_their_files(tmp_path: Path) -> None:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", LISTED)
    write(root / "broken" / "dvc.yaml", "stages: [not, a, mapping]")
    write(root / "model.bin", "1")
    write(root / "a.json", '{"x": 1, "same": 2, "deep": {"a.b": 3, "c": {"d": null}}}')
    write(root / "b.yaml", "x: 2\nsame: 2\nlate: 2026-01-01\n")
    write(root / "sub" / "c.toml", "[x]\ny = 1.5\n")
    write(root / "d.json", "0.25")
    (root / "link.json").symlink_to("a.json")
    write(root / "params.yaml", "lr: 0.1\nlayers: [1, 2]\n")
    write(root / "config.toml", "lr = 0.2\n")
    commit(root)
    registry = Registry(root)
    registry.register("churn")
    (row,) = registry.search("metrics != null and params != null").to_dicts()
    assert row["metrics"] == {
        "a.json:x": 1, "b.yaml:x": 2, "same": 2, "deep.a.b": 3, "late": "2026-01-01", "x.y": 1.5, "value": 0.25,
    }  # fmt: skip
    assert row["params"] == {"params.yaml:lr": 0.1, "config.toml:lr": 0.2, "layers": [1, 2]}
    assert found(registry, "metrics['a.json:x'] < metrics['b.yaml:x'] and params.layers == [1, 2]") == ["c0"]
    assert found(registry, "params.layers[1] == 2 and params.layers[-2] == 1 and 2 in params.layers") == [
        "c0"
    ]
    assert found(registry, "params.layers[2] == null and params.lr[0] == null") == ["c0"]
    registry.annotate("churn", "v0.1.0", {"metrics": {"folds": [{"auc": 0.5}]}, "params": {"layers": [7]}})
    assert found(registry, "metrics.folds[0].auc == 0.5 and params.layers[0] == 7") == ["c0"]


def test_deprecated_models_are_found_only_where_they_are_asked_for(project: Path) -> None:
    registry = Registry(project)
    registry.deprecate("churn")
    assert found(registry) == ["r2", "r1", "r0"]
    assert found(registry, "deprecated and version == 'v0.1.0'") == ["c0"]
    assert registry.best("churn", "params.depth").version == "v0.1.5", "who names it gets an answer"
    assert len(registry.trend("churn", "params.depth")) == 5


def test_a_registry_without_models_has_nothing_to_find(tmp_path: Path) -> None:
    root = init(tmp_path / "empty")
    write(root / "a.txt", "a")
    commit(root)
    rows = Registry(root).search("metrics.auc > 1", sort="-metrics.auc")
    assert (len(rows), rows.total, str(rows)) == (0, 0, "(nothing)")


def test_it_works_wherever_the_log_is_kept(project: Path, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'log.db'}"
    mr.migrate(address)
    for backend in (MemoryBackend(), address):
        Registry(project).copy_log(backend)
        registry = Registry(project, backend=backend)
        assert found(registry, "metrics.auc > 0.85 and metadata.approved") == ["c5", "c4", "c3"]
        assert found(registry, name="churn", stage="current") == ["c4"]


def test_an_open_registry_sees_at_once_what_others_wrote(project: Path) -> None:
    registry = Registry(project)
    query = "stage == 'shadow' or metadata.checked"
    assert found(registry, query) == ["c4"]
    other = Registry(project)
    other.annotate("churn", "v0.1.0", {"checked": True})
    assert found(registry, query) == ["c4", "c0"]
    registry.promote("churn", "v0.1.5", "shadow")
    assert found(registry, query) == ["c5", "c0"]
    write(project / ".modelregistry.toml", "[stages]\nshadow = { exclusive = false }\ncurrent = {}\n")
    commit(project)
    assert found(registry, query) == ["c5", "c4", "c0"]


# -- what is read ------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every question to git about objects, as it was asked."""
    from modelregistry.git.objects import ObjectReader

    questions: list[list[str]] = []
    read = ObjectReader.read

    def listen(self: ObjectReader, names: Any, limit: int, most: int | None) -> Any:
        questions.append([*names])
        return read(self, names, limit, most)

    monkeypatch.setattr(ObjectReader, "read", listen)
    return questions


def test_what_the_log_says_needs_no_file(built: Path, asked: list[list[str]]) -> None:
    registry = Registry(built)
    registry.search()
    asked.clear()
    registry.search(
        "name == 'churn' and metadata.approved and stage == 'current' and created_at > '2020-01-01'"
    )
    registry.search("metrics.auc > 0.3 and name == 'nobody'")
    assert not [name for question in asked for name in question if len(name) == 40 or "dvc.yaml" in name]


def test_each_content_is_read_once_and_never_again(built: Path, asked: list[list[str]]) -> None:
    registry = Registry(built)
    registry.search("name == 'churn'")
    asked.clear()
    assert len(registry.search("metrics.auc > 0", name="churn")) == 5
    oids = [name for question in asked for name in question]
    assert len(oids) == len(set(oids))
    assert len(asked) < 10, "a few questions, however many versions there are"
    asked.clear()
    fresh = Registry(built)
    assert len(fresh.search("metrics.auc > 0", name="churn")) == 5
    assert not [name for question in asked for name in question if len(name) == 40]


def test_what_was_remembered_may_be_lost_or_damaged(built: Path, environment: Path) -> None:
    registry = Registry(built)
    expected = found(registry, "metrics.auc > 0.8", name="churn")
    (kept,) = (environment / "cache").rglob("measured/*.json")
    for text in (
        "",
        "{",
        '{"schema": 1, "versions": []}',
        '{"schema": 1, "versions": {"x": 5}}',
        '{"schema": 99}',
        "[]",
    ):
        kept.write_text(text)
        assert found(Registry(built), "metrics.auc > 0.8", name="churn") == expected
    kept.unlink()
    assert found(Registry(built), "metrics.auc > 0.8", name="churn") == expected


# -- the best, and the trend -------------------------------------------------------------------------------


def test_the_best_is_the_one_with_the_greatest_number_unless_something_says_otherwise(project: Path) -> None:
    registry = Registry(project)
    assert registry.best("churn", "metrics.auc").version == "v0.1.5"
    assert registry.best("churn", "auc", "stage == 'current'").version == "v0.1.4"
    assert registry.best("churn", "metrics.auc", direction="min").version == "v0.1.0"
    assert registry.best("churn", "params.depth", direction="min").version == "v0.1.0"
    assert registry.best("churn", "metrics.odd").version == "v0.1.5", (
        "no text, no true, nothing too great for a float"
    )
    registry.annotate("churn", None, {"evaluation": {"metrics": {"auc": {"direction": "lower"}}}})
    assert registry.best("churn", "auc").version == "v0.1.0"
    registry.annotate("churn", "v0.1.4", {"evaluation": {"metrics": {"auc": {"direction": "higher"}}}})
    assert registry.best("churn", "auc").version == "v0.1.5"
    registry.annotate("churn", "v0.1.2", {"metrics": {"auc": 1.0}})
    assert registry.best("churn", "auc").version == "v0.1.5", "of equal ones the newest"


def test_where_nothing_is_best_that_is_said(built: Path) -> None:
    registry = Registry(built)
    with pytest.raises(mr.VersionNotFoundError, match=r"did you mean metrics\.recall\?"):
        registry.best("churn", "metrics.recll")
    with pytest.raises(
        mr.VersionNotFoundError, match=r"that is asked for .* metrics\.recall: ask for others"
    ):
        registry.trend("churn", "recall", "name == 'risk'")
    with pytest.raises(mr.VersionNotFoundError, match=r"there is metrics\.auc"):
        registry.trend("churn", "zzz")
    with pytest.raises(mr.VersionNotFoundError, match="there is none, anywhere"):
        registry.best("nlp:risk", "params.depth")
    with pytest.raises(mr.VersionNotFoundError, match=r"has a number at metrics; there is metrics\.auc"):
        registry.trend("churn", "metrics")
    with pytest.raises(mr.ModelNotFoundError):
        registry.best("nobody", "auc")
    with pytest.raises(mr.ModelNotFoundError):
        registry.trend("nobody", "auc")
    with pytest.raises(mr.QueryError):
        registry.best("churn", "metrics[")
    with pytest.raises(mr.InvalidInputError):
        registry.best("churn", "auc", direction="up")  # type: ignore[arg-type]
    with pytest.raises(mr.InvalidInputError):
        registry.trend("churn", "")


def test_what_has_no_name_is_not_taken_for_all_metrics_and_odd_names_are_told_as_they_are_asked_for(
    tmp_path: Path,
) -> None:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "artifacts:\n  risk: {path: risk.bin}\n")
    write(root / "risk.bin", "1")
    commit(root)
    registry = Registry(root)
    registry.register("risk", metrics={"": 1, "top k": {"5%": 0.5}, "auc": 0.9})
    with pytest.raises(
        mr.VersionNotFoundError, match=r"there is .*metrics\.auc, metrics\[\"top k\"\]\[\"5%\"\]$"
    ):
        registry.trend("risk", "metrics")
    assert registry.trend("risk", 'metrics["top k"]["5%"]').points[0].value == 0.5


ODD_KEYS = ["loss/val", "a b", 'q"t', "back\\slash", "a.b", "new\nline", "é", "ǅ·x", "ℼ", "\u202e", "🦊", "and", "1", "a..b", "ab  c"]  # fmt: skip


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_metric_that_is_suggested_can_be_asked_for_as_it_is_spelt(tmp_path: Path, key: str) -> None:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "artifacts: {churn: {path: m.bin}}\nmetrics: [m.json]\n")
    write(root / "m.bin", "1")
    write(root / "m.json", json.dumps({key: 5}))
    commit(root)
    registry = Registry(root, remote=None)
    registry.register("churn")
    with pytest.raises(mr.VersionNotFoundError) as caught:
        registry.best("churn", "metrics")
    suggested = str(caught.value).partition("there is ")[2]
    assert "\n" not in suggested
    assert [each.version for each in registry.search(f"{suggested} == 5")] == ["v0.1.0"]
    assert registry.best("churn", suggested).version == "v0.1.0"


def test_the_trend_is_a_metric_across_the_versions_with_their_stages(built: Path) -> None:
    trend = Registry(built).trend("churn", "auc")
    assert [point.version for point in trend.points] == ["v0.1.0", "v0.1.2", "v0.1.3", "v0.1.4", "v0.1.5"]
    assert [point.value for point in trend.points] == pytest.approx([0.5, 0.85, 0.9, 0.95, 1.0])
    assert trend.points[3].stages == ("current", "shadow")
    assert (trend.model, trend.metric, trend.without, len(trend)) == ("churn", "metrics.auc", (), 5)
    odd = Registry(built).trend("churn", "odd")
    assert [point.version for point in odd.points] == ["v0.1.4", "v0.1.5"]
    assert odd.without == ("v0.1.0", "v0.1.2", "v0.1.3")
    assert "(no number there: v0.1.0, v0.1.2, v0.1.3)" in str(odd)


# -- laws --------------------------------------------------------------------------------------------------

Told = Mapping[str, Any]
Leaf = tuple[str, Callable[[Told], bool]]
NUMBERS = (
    "metrics.auc",
    "metrics.odd",
    "metrics.recall",
    "params.depth",
    "size",
    'metadata["x-y"]',
    "metadata.owner",
)
TEXTS = ("name", "state", "message", "params.note", "metadata.owner", "metrics.odd", "author", "type")
SEVERAL = ("stage", "labels")
FLAGS = ("metadata.approved", "latest", "metadata.owner", "metrics.odd")
EVERY = sorted({*NUMBERS, *TEXTS, *SEVERAL, *FLAGS} - {"name", "state", "author"})
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip
words = st.sampled_from(
    [
        "churn",
        "nlp:risk",
        "current",
        "shadow",
        "inactive",
        "risk",
        "team-a",
        "round 3",
        "high",
        "model",
        "x",
        "",
    ]
)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@st.composite
def comparisons(draw: st.DrawFn) -> Leaf:
    """An expression without and, or, not, and what it means in plain Python."""
    kind = draw(st.sampled_from(["number", "text", "in", "like", "several", "null", "flag", "chain"]))
    sign = draw(st.sampled_from(sorted(OPERATORS)))
    test = OPERATORS[sign]
    if kind == "number":
        key, value = (
            draw(st.sampled_from(NUMBERS)),
            draw(st.sampled_from([0, 0.5, 0.9, 3, 4.0, 5, -1, 1e300])),
        )
        return f"{key} {sign} {value!r}", lambda row: is_number(row[key]) and test(row[key], value)
    if kind == "chain":
        low, high = draw(st.sampled_from([0, 0.5, 3])), draw(st.sampled_from([0.9, 4, 6]))
        key = draw(st.sampled_from(NUMBERS))
        return f"{low} < {key} <= {high}", lambda row: is_number(row[key]) and low < row[key] <= high
    text = draw(words)
    if kind == "text":
        key = draw(st.sampled_from(TEXTS))
        return (
            f"{key} {sign} {json.dumps(text)}",
            lambda row: isinstance(row[key], str) and test(row[key], text),
        )
    if kind == "in":
        key, items = draw(st.sampled_from(TEXTS)), draw(st.lists(words, max_size=3))
        return f"{key} in {json.dumps(items)}", lambda row: isinstance(row[key], str) and row[key] in items
    if kind == "like":
        key, pattern = (
            draw(st.sampled_from(TEXTS)),
            draw(st.sampled_from(["*", "r*", "*r*", "round ?", "[cn]*", "x"])),
        )
        return (
            f"{key} like '{pattern}'",
            lambda row: isinstance(row[key], str) and fnmatch.fnmatchcase(row[key], pattern),
        )
    if kind == "several":
        key, text = draw(st.sampled_from(SEVERAL)), draw(words.filter(lambda word: word != "inactive"))
        return draw(
            st.sampled_from([
                (f"{key} == {json.dumps(text)}", lambda row: text in row[key]),
                (f"{key} != {json.dumps(text)}", lambda row: text not in row[key]),
                (f"{json.dumps(text)} in {key}", lambda row: text in row[key]),
                (f"{key} not in {json.dumps([text])}", lambda row: text not in row[key]),
            ])
        )  # fmt: skip
    if kind == "null":
        key = draw(st.sampled_from(EVERY))
        return f"{key} == null", lambda row: row[key] is None
    key = draw(st.sampled_from(FLAGS))
    return f"{key}", lambda row: row[key] is True


def joined(inner: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Leaf]:
    def both(one: Leaf, other: Leaf) -> Leaf:
        return f"({one[0]}) and ({other[0]})", lambda row: one[1](row) and other[1](row)

    def either(one: Leaf, other: Leaf) -> Leaf:
        return f"({one[0]}) or ({other[0]})", lambda row: one[1](row) or other[1](row)

    return (
        st.builds(both, inner, inner)
        | st.builds(either, inner, inner)
        | inner.map(lambda leaf: (f"not ({leaf[0]})", lambda row: not leaf[1](row)))
    )


@pytest.mark.filterwarnings("ignore:1 versions could not be read")
def test_a_search_finds_what_a_filter_in_plain_python_finds(built: Path) -> None:
    registry = Registry(built)
    rows = registry.search(sort=EVERY).to_dicts()
    assert len(rows) == len(ALL)
    for row in rows:  # what lists are for people is empty, not missing
        row["labels"] = row["labels"] or []

    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
    @given(st.recursive(comparisons(), joined, max_leaves=6))
    def check(leaf: Leaf) -> None:
        text, meant = leaf
        expected = {(row["name"], row["version"]) for row in rows if meant(row)}
        answer = registry.search(text, sort="size")
        assert {(version.name, version.version) for version in answer} == expected, text
        assert answer.total == len(expected)

    check()


TOKENS = st.sampled_from([
    "and", "or", "not", "in", "like", "(", ")", "[", "]", ",", ".", "==", "!=", "<", ">=", "=", "null", "true", "'a'", '"*"',
    "1", "-2.5e9", "'2026-01-01'", *("name", "stage", "labels", "metrics", "params", "metadata", "created_at", "version",
    "latest", "made_from", "repository", "digest", "type"), "metrics.auc", "metadata.owner", "x", "'", "\\", "é", "\n",
])  # fmt: skip


@pytest.mark.filterwarnings("ignore:1 versions could not be read")
def test_no_expression_raises_anything_but_our_error(built: Path) -> None:
    registry = Registry(built)

    @settings(max_examples=400)
    @given(
        st.one_of(
            st.lists(TOKENS, max_size=12).map(" ".join),
            st.lists(TOKENS, max_size=8).map("".join),
            st.text(max_size=40),
        )
    )
    def check(text: str) -> None:
        try:
            registry.search(text)
        except mr.QueryError as error:
            refused = error
        else:
            return
        assert 0 <= refused.position <= len(text)
        assert str(refused).splitlines()[-1].strip() == "^"

    check()
