"""The lineage of versions in projects that the real DVC made, held against what DVC itself says of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from modelregistry import Registry
from modelregistry.git.repo import GitRepo
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.node import Node, flat
from modelregistry.project import yamltext
from modelregistry.project.documents import Documents
from modelregistry.project.records import Records
from modelregistry.project.snapshot import Snapshot
from modelregistry.project.staleness import Judge
from tests import lineageschema
from tests.integration.pipelines import (
    ETAG,
    ask_dvc,
    change_team,
    dvcs,
    make_base,
    make_lake,
    make_team,
    start,
    web,
)
from tests.integration.projects import commit, git, run, write


@dataclass
class World:
    """Three projects, and what DVC says of the commits of the last."""

    top: Path
    url: str
    revs: Mapping[str, str]
    said: Mapping[str, Any]

    @property
    def team(self) -> Path:
        return self.top / "team"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    top = tmp_path_factory.mktemp("world")
    settings = write(top / "gitconfig", "[user]\n\tname = Ann Author\n\temail = ann@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": top, "GIT_CONFIG_GLOBAL": settings, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": top / "site",
        }.items():  # fmt: skip
            patch.setenv(name, os.fspath(value))
        cache = top / "cache"
        with web() as url:
            make_lake(top / "lake", cache, url)
        make_base(top / "base", cache, top / "lake")
        make_team(top / "team", cache, top / "base")
        revs = change_team(top / "team")
        shutil.copytree(top / "team", top / "asked", symlinks=True)
        said = ask_dvc(top / "asked", *revs.values())
    return World(top, url, revs, said)


@pytest.fixture
def team(world: World, tmp_path: Path) -> Path:
    """A copy of the team's project, beside the cache that its configuration names."""
    shutil.copytree(world.team, tmp_path / "here" / "team", symlinks=True)
    (tmp_path / "here" / "cache").symlink_to(world.top / "cache")
    return tmp_path / "here" / "team"


def lineage_at(root: Path, model: str, rev: str = "main") -> Lineage:
    """That of a version that is registered for it."""
    found = Registry(root, remote=None).register(model, rev=rev).lineage
    lineageschema.check(found)
    return found


def by_name(lineage: Lineage, name: str) -> Node:
    found = [node for node in lineage if node.name == name]
    assert len(found) == 1, found
    return found[0]


def names(nodes: Any) -> list[str]:
    return [node.name for node in nodes]


# -- the graph


@pytest.fixture(scope="session")
def churn(world: World, tmp_path_factory: pytest.TempPathFactory) -> Lineage:
    """The lineage of the team's model as it was trained."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("MODELREGISTRY_CACHE", "MODELREGISTRY_HOME"):
            patch.setenv(variable, os.fspath(tmp_path_factory.mktemp(variable)))
        patch.setenv("GIT_CONFIG_GLOBAL", os.fspath(world.top / "gitconfig"))
        found = Registry(world.team).register("churn")
        try:
            return found.lineage
        finally:
            git(world.team, "tag", "--delete", "churn@v0.1.0")


def test_the_model_is_first_and_says_which_version_it_is(churn: Lineage) -> None:
    model = churn.subject
    assert (model.kind, model.path, model.version) == ("model", "models/churn.txt", "churn@v0.1.0")
    assert model.digest is not None
    assert model.digest.startswith("sha256:")
    assert str(model.values["address"]).startswith("md5:")
    assert churn.nodes[0] is model
    assert churn.find(str(model.values["address"])) == (model,)


def test_the_steps_are_those_on_the_way_the_last_first(churn: Lineage) -> None:
    own = [step.name for step in churn.steps if step.repository is None]
    assert own[0] == "train"
    assert own[-1] == "fetch"
    assert set(own) == {
        "train", "merge", "deep", "fetch", "scale@low", "scale@high", "part@north", "part@south", "part@east",
        *(f"feature@{part}-{size}" for part in ("north", "south", "east") for size in ("1", "2.5", "size2")),
    }  # fmt: skip
    assert all(step.status == "recorded" and step.note is None for step in churn.steps), churn.steps


def test_a_step_says_what_was_run_and_where(churn: Lineage) -> None:
    assert by_name(churn, "feature@east-size2").values["cmd"] == (
        'mkdir -p build/features && echo "--width 7" "east-size2" | cat - build/parts/east.txt > '
        "build/features/east-size2.txt"
    )
    assert by_name(churn, "deep").values["wdir"] == "sub"
    assert by_name(churn, "train").values["cmd"][1] == "mkdir -p plots && echo step,loss > plots/loss.csv"  # type: ignore[index]


def test_code_is_what_steps_take_from_git_and_a_folder_names_its_files(churn: Lineage, world: World) -> None:
    own = {node.path: node for node in churn.code if node.repository is None}
    assert own.keys() == {"src", "scripts/part.sh", "scripts/train.sh", "requirements.txt"}
    tree = git(world.team, "rev-parse", "main:src")
    blob = git(world.team, "rev-parse", "main:src/net.py")
    assert own["src"].digest == f"git:{tree}"
    assert own["src"].values["files"]["net.py"] == f"git:{blob}"  # type: ignore[index, call-overload]
    assert own["scripts/part.sh"].size == 20
    assert own["src"] in churn.find("src/deep/loss.py")


def test_parameters_are_those_that_the_lock_recorded_by_step_and_file(churn: Lineage) -> None:
    values = {node.id: node.values for node in churn.params}
    assert values["params:dvc.yaml:train:params.yaml"] == {
        "lr": 0.001, "train": {"epochs": 3, "layers": [1, 2], "note": "yes"},
    }  # fmt: skip
    assert values["params:dvc.yaml:deep:params.yaml"] == {"seed": 42}
    assert values["params:dvc.yaml:train:settings.yaml"]["flag"] == "on"


def test_data_that_no_step_made_is_a_dataset_and_what_one_made_an_artifact(churn: Lineage) -> None:
    datasets = [node.name for node in churn.datasets if node.repository is None]
    assert datasets == ["data/photos"]
    assert by_name(churn, "data/photos").digest.endswith(".dir")  # type: ignore[union-attr]
    artifacts = {node.name for node in churn.of_kind("artifact") if node.repository is None}
    assert {
        "build/merged.txt",
        "build/fetched",
        "build/fetched/x.txt",
        "build/features",
        "sub/deep.txt",
    } <= artifacts


def test_a_file_in_a_folder_comes_from_the_folder_and_a_folder_of_outputs_from_them(
    churn: Lineage, world: World
) -> None:
    inside = churn.upstream(by_name(churn, "build/fetched/x.txt"))
    assert names(inside) == ["build/fetched", "fetch", "data/photos"]
    holding = by_name(churn, "build/features")
    made = [edge.source for edge in churn.edges if edge.made == holding.id]
    assert len(made) == 9
    lock = yaml.safe_load((world.team / "dvc.lock").read_text())
    (dep,) = [dep for dep in lock["stages"]["merge"]["deps"] if dep["path"] == "build/features"]
    assert holding.digest == f"md5:{dep['md5']}"


def test_what_dvc_wrote_is_of_the_simple_form_and_read_as_by_a_parser_for_all_of_yaml(world: World) -> None:
    written = [*world.top.glob("*/**/dvc.lock"), *world.top.glob("*/**/*?.dvc")]
    assert len(written) > 10
    for file in written:
        found = yamltext.parse_block(file.read_bytes(), file.name)
        assert found is not None, file
        assert found == yamltext.typed(yamltext._composed(file.read_text(), file.name)), file


def test_metrics_have_their_values_from_git_or_from_the_cache(churn: Lineage) -> None:
    metrics = by_name(churn, "metrics.json")
    assert metrics.values == {"auc": 0.9, "by_part": {"north": 1}}
    assert names(churn.upstream(metrics))[0] == "train"
    plots = by_name(churn, "plots/loss.csv")
    assert (plots.kind, plots.size) == ("plots", 10)
    measured = by_name(churn, "eval.json")
    assert measured.values == {"recall": 0.8}
    assert measured.note == "measured by 'evaluate'"
    assert churn.upstream(measured)[0] is churn.subject
    assert "data/test.csv" not in names(churn.datasets)


def test_the_values_of_a_version_are_those_of_its_own_project(churn: Lineage) -> None:
    assert churn.values("metrics") == {"auc": 0.9, "by_part.north": 1, "recall": 0.8}
    params = churn.values("params")
    assert {key: params[key] for key in ("lr", "seed", "train.epochs", "names.folder")} == {
        "lr": 0.001, "seed": 42, "train.epochs": 3, "names.folder": "sub",
    }  # fmt: skip
    assert "layers" not in params, "it is of the project that the base model came from"


def test_the_run_says_who_committed_it_and_when(churn: Lineage, world: World) -> None:
    run = churn.run
    assert run is not None
    assert run.rev == git(world.team, "rev-parse", "main")
    assert (run.values["author"], run.values["message"]) == ("Ann Author", "Train")
    assert str(run.values["time"])[:4].isdigit()


def test_what_dvclive_logs_is_read(tmp_path: Path) -> None:
    root = start(tmp_path / "live", tmp_path / "cache")
    commit(root)
    write(root / "model.txt", "weights")
    code = (
        "from dvclive import Live\n"
        "with Live(save_dvc_exp=False) as live:\n"
        "    live.log_params({'lr': 0.1, 'net': {'depth': 2}})\n"
        "    for step in range(2):\n"
        "        live.log_metric('train/loss', 1 - step / 4)\n"
        "        live.next_step()\n"
        "    live.log_artifact('model.txt', type='model', name='net')\n"
    )
    run(root, sys.executable, "-c", code)
    commit(root)
    found = lineage_at(root, "net")
    assert found.subject.path == "model.txt"
    assert [node.values for node in found.params] == [{"lr": 0.1, "net": {"depth": 2}}]
    assert [(node.path, node.values) for node in found.metrics] == [
        ("dvclive/metrics.json", {"train": {"loss": 0.75}, "step": 1})
    ]
    assert [(node.path, list(node.values["files"])) for node in found.plots] == [  # type: ignore[arg-type]
        ("dvclive/plots/metrics", ["train/loss.tsv"])
    ]
    assert found.run in found.upstream(found.metrics[0])


@pytest.mark.slow
def test_a_tracked_folder_of_five_thousand_files_is_one_dataset(tmp_path: Path) -> None:
    root = start(tmp_path / "many", tmp_path / "cache")
    for number in range(5000):
        write(root / "data" / f"{number % 50}" / f"{number}.txt", f"{number}\n")
    stage = "  train: {cmd: cp data/7/7.txt model.txt, deps: [data/7/7.txt, data/8], outs: [model.txt]}\n"
    write(root / "dvc.yaml", f"stages:\n{stage}artifacts:\n  m: {{path: model.txt, type: model}}\n")
    dvcs(root, ["add", "--quiet", "data"], ["repro", "--quiet"])
    commit(root)
    found = lineage_at(root, "m")
    assert [(node.path, node.note) for node in found.datasets] == [
        ("data/7/7.txt", "in 'data'"), ("data/8", "in 'data'"), ("data", None),
    ]  # fmt: skip
    assert [(step.status, step.note) for step in found.steps] == [("recorded", None)]


# -- across repositories


def test_what_was_imported_goes_on_in_its_repository_and_names_the_version_there(
    churn: Lineage, world: World
) -> None:
    base, lake = world.top / "base", world.top / "lake"
    imported = by_name(churn, "models/base.txt")
    there = by_name(churn, "base.txt")
    assert (imported.kind, there.kind) == ("model", "model")
    assert (there.repository, there.version) == (os.fspath(base), "base@v2.1.0")
    assert there.rev == git(base, "rev-parse", "main")
    assert imported.digest == there.digest
    repositories = {node.name: node for node in churn.of_kind("repository")}
    assert repositories.keys() == {os.fspath(base), os.fspath(lake)}
    assert repositories[os.fspath(base)].rev == git(base, "rev-parse", "main")
    assert there in churn.find(f"{os.fspath(base)}@{git(base, 'rev-parse', 'main')}")
    assert names(churn.upstream(there))[:2] == ["pretrain", "inputs/all.csv"]


def test_a_path_in_an_imported_folder_is_followed_to_the_very_path(churn: Lineage) -> None:
    inside = by_name(churn, "inputs/all.csv")
    assert {edge.source.rpartition("!")[2] for edge in churn.edges if edge.made == inside.id} == {
        "inputs", "clean/all.csv", next(n.id for n in churn.of_kind("repository") if n.name.endswith("lake")),
    }  # fmt: skip
    (folder,) = [node for node in churn.of_kind("artifact") if node.name == "clean"]
    assert folder.version == "table@v1.0.0"
    assert inside.digest == by_name(churn, "clean/all.csv").digest


def test_a_chain_of_imports_ends_at_what_came_from_the_web(churn: Lineage, world: World) -> None:
    source = by_name(churn, world.url)
    assert (source.kind, source.values) == ("source", {"checksum": ETAG})
    assert source.size == 20
    assert churn.subject in churn.downstream(source)
    assert names(churn.downstream(source))[:2] == ["data/labels.csv", "clean"]
    assert {"raw", "data/labels.csv"} <= set(names(churn.datasets))


def test_a_sub_project_has_a_lineage_of_its_own_over_the_same_import(team: Path) -> None:
    found = lineage_at(team, "nlp:intent")
    step = by_name(found, "nlp/dvc.yaml:intent")
    assert step.values == {"cmd": "cat ../models/base.txt words.txt > intent.txt", "wdir": "nlp"}
    assert {node.name: node.values for node in found.params if node.repository is None} == {
        "nlp/params.yaml": {"lr": 0.5}, "params.yaml": {"seed": 42},
    }  # fmt: skip
    assert {"models/base.txt", "base.txt", "nlp/words.txt"} <= set(names(found))
    assert by_name(found, "nlp/words.txt").kind == "dataset"
    assert "train" not in names(found.steps)


def test_a_model_in_a_folder_output_comes_from_the_folder(team: Path) -> None:
    found = lineage_at(team, "part")
    assert set(names(found.upstream(found.subject))) >= {"build/fetched", "fetch", "data/photos"}
    assert found.subject.note == "in 'build/fetched'"


def test_a_repository_that_is_gone_is_marked_and_the_rest_stands(
    team: Path, world: World, churn: Lineage
) -> None:
    text = (team / "models" / "base.txt.dvc").read_text()
    write(team / "models" / "base.txt.dvc", text.replace(os.fspath(world.top / "base"), "/nowhere/base"))
    found = lineage_at(team, "churn", commit(team))
    (repository,) = found.of_kind("repository")
    assert (repository.status, repository.name) == ("unreachable", "/nowhere/base")
    assert "no Git repository" in str(repository.note)
    assert by_name(found, "models/base.txt").kind == "dataset"
    assert len(found.steps) == len([step for step in churn.steps if step.repository is None])


def test_a_relative_url_leads_from_where_the_clone_came_from(team: Path, world: World) -> None:
    origin = world.top / "base"
    text = (team / "models" / "base.txt.dvc").read_text()
    write(team / "models" / "base.txt.dvc", text.replace(f"url: {origin}", "url: ../base"))
    rev = commit(team)
    # Nothing is beside the clone, so the URL is relative to where the clone came from.
    git(team, "remote", "add", "origin", (world.top / "team").as_uri())
    found = lineage_at(team, "churn", rev)
    assert by_name(found, "base.txt").version == "base@v2.1.0"
    assert by_name(found, "base.txt").repository == os.fspath(origin)


# -- what many commits have


def test_the_artifacts_of_a_file_are_read_once_for_all_commits_that_have_it(tmp_path: Path) -> None:
    root = start(tmp_path / "repo", tmp_path / "cache")
    write(root / "dvc.yaml", "artifacts: {one: {path: m.pkl}}\n")
    documents, found = Documents(tmp_path / "documents"), []
    for depth in range(2):
        write(root / "params.yaml", f"depth: {depth}\n")
        snapshot = Snapshot(GitRepo.discover(root), commit(root), documents)
        found.append(Records(snapshot).pipelines["dvc.yaml"])
    assert found[0] is not found[1]
    assert found[0].artifacts is found[1].artifacts
    assert found[0].artifacts == {"one": ("m.pkl", None)}


# -- beside what DVC says


@pytest.fixture(scope="session")
def records(world: World, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Records]:
    """What is recorded at each commit."""
    repo = GitRepo.discover(world.team)
    documents = Documents(tmp_path_factory.mktemp("documents"))
    cache = world.top / "cache" / "files" / "md5"

    def cached(address: str, _: str) -> Path | None:
        md5 = address.partition(":")[2]
        place = cache / md5[:2] / md5[2:]
        return place if place.exists() else None

    found = {}
    for what, rev in world.revs.items():
        found[what] = Records(Snapshot(repo, rev, documents), cached=cached)
        found[what].prepare([made.path for step in found[what].steps for made in step.outs])
    return found


def test_on_every_commit_the_steps_that_dvc_would_run_again_are_stale_and_no_others(
    world: World, records: Mapping[str, Records]
) -> None:
    for what, rev in world.revs.items():
        mine = {step.address for step in records[what].steps if Judge(records[what]).verdict(step).changed}
        assert mine == set(world.said[rev]["stale"]), what
    assert {what for what, rev in world.revs.items() if not world.said[rev]["stale"]} == {
        "nothing", "a parameter nobody uses", "the same parameter otherwise", "one dependency less",
    }  # fmt: skip


def test_nothing_of_these_is_left_open(records: Mapping[str, Records]) -> None:
    for what, found in records.items():
        for step in found.steps:
            noted = Judge(found).verdict(step).noted
            assert not any("can't" in text for text in noted), (what, step.address, noted)


def test_on_every_commit_the_graph_of_steps_is_that_of_dvc(
    world: World, records: Mapping[str, Records]
) -> None:
    for what, rev in world.revs.items():
        found = records[what]
        edges = set()
        for step in found.steps:
            for dep in step.planned.deps if step.planned else ():
                for made in found.find(str(step.place(dep))).all:
                    edges.add((step.address, made.step.address if made.step else made.file))
        assert edges == {(made, source) for made, source in world.said[rev]["edges"]}, what


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by keys with dots, as they stand in their file."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return found


def test_parameters_are_what_dvc_shows_of_each_step(world: World, records: Mapping[str, Records]) -> None:
    found = records["nothing"]
    said = world.said[world.revs["nothing"]]["params"]
    assert len(found.steps) >= 30
    for step in found.steps:
        assert step.recorded is not None
        mine = {step.place(file): nested(values) for file, values in step.recorded.params.items()}  # type: ignore[arg-type]
        assert mine == {file: shown["data"] for file, shown in said[step.address].items()}, step.address


def test_metrics_are_what_dvc_shows(world: World, churn: Lineage) -> None:
    said = world.said[world.revs["nothing"]]["metrics"]
    assert {node.path: node.values for node in churn.metrics} == {
        file: shown["data"] for file, shown in said.items()
    }


# -- what is stale says why


@pytest.mark.parametrize(
    ("what", "step", "note"),
    [
        ("a parameter", "train", "'lr' of 'params.yaml' is 0.002, and was 0.001"),
        ("a script", "part@north", "its input 'scripts/part.sh' is another than it was"),
        ("a file in a folder", "train", "its input 'src' is another than it was"),
        ("a command", "fetch", "its command is another one"),
        ("one more dependency", "fetch", "the dependency 'src' is not in dvc.lock"),
        ("one more output", "fetch", "the output 'build/new' is not in dvc.lock"),
        ("a step that is not in the lock", "deep", "'dvc.lock' has no record of it: it did not run, or what it made was not committed"),
        ("an output in Git", "train", "its output 'metrics.json' in Git is another than it made"),
        ("no lock", "train", "'dvc.lock' is not there: it did not run, or what it made was not committed"),
    ],
)  # fmt: skip
def test_a_stale_step_says_what_is_otherwise(
    records: Mapping[str, Records], what: str, step: str, note: str
) -> None:
    (found,) = [each for each in records[what].steps if each.address == step]
    assert Judge(records[what]).verdict(found).text == note


def test_a_stale_step_is_marked_and_what_it_made_stays(team: Path, world: World) -> None:
    found = lineage_at(team, "churn", world.revs["a script"])
    assert {step.name for step in found.steps if step.status == "stale"} == {
        "part@north",
        "part@south",
        "part@east",
    }
    assert by_name(found, "part@east").note == "its input 'scripts/part.sh' is another than it was"
    assert by_name(found, "build/parts/east.txt").digest is not None


def test_a_frozen_step_is_not_stale_and_says_what_is_otherwise(
    world: World, records: Mapping[str, Records]
) -> None:
    found = records["what a frozen step takes"]
    (old,) = [step for step in found.steps if step.name == "old"]
    assert Judge(found).verdict(old).changed == ()
    assert (
        Judge(found).verdict(old).text == "it is frozen, and its input 'data/test.csv' is another than it was"
    )


def test_what_is_not_planned_any_more_is_noted_and_stays(team: Path, world: World) -> None:
    found = lineage_at(team, "churn", world.revs["one dependency less"])
    train = by_name(found, "train")
    assert train.status == "recorded"
    assert train.note == "dvc.lock also has 'requirements.txt', which 'dvc.yaml' does not name"
    assert "requirements.txt" in names(found.code)


# -- between versions


def test_the_lineage_is_as_the_schema_says(churn: Lineage) -> None:
    lineageschema.check(churn)


def test_a_difference_names_parameters_code_and_commits(team: Path, world: World) -> None:
    registry = Registry(team)
    first = registry.register("churn", rev=world.revs["nothing"])
    second = registry.register("churn", rev=world.revs["a file in a folder"], version="v1.0.0")
    diff = first.lineage.diff(second.lineage)
    assert [before.name for before, _ in diff.of_kind("code").changed] == ["src"]
    assert [(change.path, change.added, change.removed) for change in diff.code.files] == [
        ("src/net.py", 1, 1)
    ]
    assert [line.partition(" ")[2] for line in diff.code.commits] == ["a file in a folder"]
    assert not first.lineage.diff(first.lineage)


def test_the_lineage_of_a_version_is_built_once(team: Path) -> None:
    version = Registry(team).register("churn")
    assert version.lineage is version.lineage


def test_another_process_builds_the_same(team: Path) -> None:
    version = Registry(team).register("churn")
    assert Registry(team).get("churn").lineage == version.lineage
    assert Lineage.from_dict(version.lineage.to_dict()) == version.lineage


def test_no_bytes_are_fetched_and_nothing_of_dvc_is_imported(team: Path) -> None:
    Registry(team).register("churn")
    code = (
        "import sys, modelregistry\n"
        "found = modelregistry.Registry(sys.argv[1], offline=True).get('churn').lineage\n"
        "print(len(found), 'dvc' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, os.fspath(team)], check=True, capture_output=True, text=True
    ).stdout
    assert said.split()[1] == "False"
    assert int(said.split()[0]) > 60


def test_what_is_not_what_its_source_had_is_marked(team: Path) -> None:
    text = (team / "models" / "base.txt.dvc").read_text()
    (md5,) = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("- md5: ")]
    write(team / "models" / "base.txt.dvc", text.replace(md5, "a" * 32))
    found = lineage_at(team, "churn", commit(team))
    imported = by_name(found, "models/base.txt")
    assert (imported.kind, imported.status) == ("model", "stale")
    assert "has another digest than 'base.txt' has" in str(imported.note)
    assert [node.name for node in found if node.status == "stale"] == ["train", "models/base.txt"]


def test_what_a_search_reads_of_a_commit_is_what_the_lineage_holds(team: Path, world: World) -> None:
    for number, (what, rev) in enumerate(world.revs.items()):
        for model in ("churn", "nlp=intent"):
            git(team, "tag", "--annotate", f"{model}@v1.0.{number}", rev, "--message", what)
    registry = Registry(team)
    kinds: tuple[Literal["params", "metrics"], ...] = ("params", "metrics")
    every = registry.search("params != null or metrics != null")
    assert len(every) == 2 * len(world.revs)
    read = {row["name"] + row["version"]: row for row in every.to_dicts()}
    for version in every:
        for kind in kinds:
            nodes = [node for node in version.lineage.of_kind(kind) if node.repository is None]
            said = {(key, str(value)) for node in nodes for key, value in flat(node.values)}
            found = read[version.name + version.version][kind]
            assert {(key.rpartition(":")[2], str(value)) for key, value in found.items()} == said, (
                version.message
            )
    churn = read["churnv1.0.0"]
    assert churn["metrics"] == {"auc": 0.9, "by_part.north": 1, "recall": 0.8}
    assert churn["params"]["train.epochs"] == 3


def test_what_dvc_leaves_out_of_a_folder_is_no_change(tmp_path: Path) -> None:
    root = start(tmp_path / "ignoring", tmp_path / "cache")
    write(root / ".dvcignore", "*.tmp\n/src/cache\n!keep.tmp\n")
    for name in ("a.py", "deep/b.py", "x.tmp", "cache/c.py", "deep/keep.tmp"):
        write(root / "src" / name, name)
    stage = "  train: {cmd: cp src/a.py model.txt, deps: [src], outs: [model.txt]}\n"
    write(root / "dvc.yaml", f"stages:\n{stage}artifacts:\n  m: {{path: model.txt, type: model}}\n")
    dvcs(root, ["repro", "--quiet"])
    commit(root)
    assert [(step.status, step.note) for step in lineage_at(root, "m").steps] == [("recorded", None)]
    write(root / "src" / "x.tmp", "another")
    write(root / "src" / "cache" / "c.py", "another")
    found = Registry(root, remote=None).register("m", rev=commit(root), version="v1.0.0").lineage
    assert [(step.status, step.note) for step in found.steps] == [("recorded", None)]
    assert "up to date" in run(root, sys.executable, "-m", "dvc", "status"), "and so says DVC"
