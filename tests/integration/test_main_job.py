"""The main job, on a real DVC project: register, promote, load somewhere else, go back; and what is left alone."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue

import modelregistry as mr
from modelregistry import Registry
from modelregistry.content.receipts import Receipt
from tests.integration.projects import (
    commit,
    dvc,
    everything,
    git,
    gto,
    init,
    python,
    run,
    visible,
    write,
)

NAMES = [
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
]
PREDICT = """\
import json, sys
import modelregistry as mr
reference, registry = sys.argv[1:]
model = mr.load_model(reference, registry=registry or None)
print(json.dumps([type(model).__name__, model.predict([[5.1, 3.5, 1.4, 0.2]]).tolist()]))
"""
LOG = """\
import sys
from dvclive import Live
with Live(save_dvc_exp=False, dvcyaml="dvc.yaml", report=None) as live:
    live.log_artifact("models/logged.bin", type="model", name="logged", desc="from the training script", labels=["live"])
"""


def said(metadata: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """What people said, without what the bytes tell."""
    return {
        name: value for name, value in metadata.items() if name not in {"loader", "environment", "signature"}
    }


@pytest.fixture
def team(project: Path) -> Registry:
    """The project's registry: churn v0.1.0 (of ``main~1``) is current, v0.2.0 (of ``main``) is shadow."""
    registry = Registry(project)
    registry.register("churn", rev="main~1", message="the first")
    registry.register("churn", bump="minor", message="less regular", metadata={"auc": 0.9})
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.2.0", "shadow")
    return registry


# -- register, promote, load -------------------------------------------------------------------------------


def test_a_version_says_what_was_registered_and_where_it_came_from(project: Path, team: Registry) -> None:
    found = team.get("churn")

    assert (found.version, found.state, found.stages) == ("v0.2.0", "shadow", ("shadow",))
    assert found.rev == found.source_rev == git(project, "rev-parse", "main")
    assert (found.path, found.type) == ("models/churn.joblib", "model")
    assert (found.description, found.labels) == ("who leaves", ("tabular", "iris"))
    assert (found.author, found.message, said(found.metadata)) == ("Ann Author", "less regular", {"auc": 0.9})
    lying = project / "models" / "churn.joblib"
    assert found.digest == "sha256:" + run(project, "sha256sum", os.fspath(lying)).split()[0]
    assert found.size == lying.stat().st_size
    assert [file.path for file in found.files()] == ["churn.joblib"]
    assert abs(found.created_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_versions_move_from_shadow_to_current_and_back(team: Registry) -> None:
    team.promote("churn", "v0.2.0", "current", expected="v0.1.0", message="better")

    assert team.get("churn#current").version == "v0.2.0"
    with pytest.raises(mr.StageEmptyError, match="no version of 'churn' holds stage 'shadow'"):
        team.get("churn", stage="shadow")
    assert [(row.version, row.state) for row in team.versions("churn")] == [
        ("v0.2.0", "current"),
        ("v0.1.0", "inactive"),
    ]

    assert team.rollback("churn", "current", message="worse after all").version == "v0.1.0"
    assert team.get("churn#current").version == "v0.1.0"
    assert team.demote("churn", "current").version == "v0.1.0"
    with pytest.raises(mr.StageEmptyError):
        team.get("churn#current")
    assert [event.kind for event in team.history("churn")] == [
        "register", "register", "assign", "assign", "assign", "assign", "unassign",
    ]  # fmt: skip
    assert not team.check()


@pytest.mark.parametrize("way", ["path", "file URL", "bare clone", "$MODELREGISTRY_URL"])
def test_another_process_in_another_folder_loads_what_is_current(
    way: str, project: Path, team: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = os.fspath(project)
    if way == "file URL":
        target = project.as_uri()
    elif way == "bare clone":
        git(
            elsewhere,
            "clone",
            "--quiet",
            "--bare",
            os.fspath(project),
            os.fspath(project.parent / "bare.git"),
        )
        target = os.fspath(project.parent / "bare.git")
    elif way == "$MODELREGISTRY_URL":
        monkeypatch.setenv("MODELREGISTRY_URL", project.as_uri())
        target = ""

    assert python(elsewhere, PREDICT, "churn#current", target) == ["LogisticRegression", [0]]
    assert list(elsewhere.iterdir()) == []


def test_a_skops_model_and_one_of_a_monorepo_load(project: Path) -> None:
    registry = Registry(project)
    registry.register("risk")
    registry.register("nlp:intent", path="nlp/intent.joblib")

    assert registry.get("nlp:intent").path == "nlp/intent.joblib"
    for name in ("risk", "nlp:intent"):
        assert type(mr.load_model(name, registry=registry, trust=NAMES)).__name__ == "Pipeline"
    assert {"nlp=intent@v0.1.0", "risk@v0.1.0"} == set(git(project, "tag").split())


def test_a_directory_is_registered_file_by_file_and_comes_back_whole(project: Path) -> None:
    registry = Registry(project)
    found = registry.register("bundle")

    assert [(file.path, file.size) for file in found.files()] == [("b.json", 2), ("weights/a.bin", 4)]
    assert all(file.sha256 for file in found.files())
    folder = found.local_path()
    assert folder.name == "bundle"
    assert (folder / "weights" / "a.bin").read_bytes() == b"\0one"
    with found.open("b.json") as file:
        assert file.read() == b"{}"


def test_what_is_plainly_in_git_is_registered_too(project: Path) -> None:
    registry = Registry(project)
    rules, tables = registry.register("rules"), registry.register("tables")

    assert rules.local_path().read_text() == '{"rule": 1}'
    assert [file.path for file in tables.files()] == ["deep/y.csv", "x.csv"]
    assert (tables.local_path() / "deep" / "y.csv").read_text() == "3,4\n"
    shutil.rmtree(project / "plain")
    assert Registry(project).get("rules").local_path().read_text() == '{"rule": 1}'


def test_a_model_logged_by_dvclive_registers_as_it_is(project: Path) -> None:
    write(project / "models" / "logged.bin", "logged")
    run(project, sys.executable, "-c", LOG)
    commit(project, "Log")
    registry = Registry(project)
    found = registry.register("logged")

    assert (found.path, found.type, found.labels) == ("models/logged.bin", "model", ("live",))
    assert found.description == "from the training script"
    assert found.local_path().read_text() == "logged"


def test_models_lists_what_is_declared_and_not_registered_yet(team: Registry) -> None:
    rows = {row.name: row for row in team.models()}

    assert set(rows) == {"churn", "risk", "bundle", "rules", "tables", "idle", "nlp:intent"}
    assert [name for name, row in rows.items() if row.registered] == ["churn"]
    assert rows["churn"].stages == {"current": ("v0.1.0",), "shadow": ("v0.2.0",)}
    assert (rows["churn"].latest, rows["idle"].latest, rows["idle"].description) == (
        "v0.2.0",
        None,
        "not yet",
    )
    assert {row.name for row in team.models(type="dataset")} == {"iris"}
    assert {row.name for row in team.models(type=None)} == {*rows, "iris"}


# -- which bytes -------------------------------------------------------------------------------------------


def test_bytes_that_have_a_version_are_not_registered_again(project: Path, team: Registry) -> None:
    before = everything(project)
    with pytest.warns(mr.RegistryWarning, match="churn@v0.2.0 has these bytes already"):
        again = team.register("churn")

    assert again.version == "v0.2.0"
    assert everything(project) == before


def test_withdrawn_bytes_are_not_registered_again(project: Path, team: Registry) -> None:
    team.withdraw("churn", "v0.2.0", then=mr.EMPTY, message="biased")
    before = visible(project)

    with pytest.raises(mr.WithdrawnError, match=r"churn@v0\.2\.0, which was withdrawn"):
        team.register("churn")
    with pytest.raises(mr.WithdrawnError):
        team.register("churn", version="v3.0.0")
    assert visible(project) == before
    assert team.get("churn").version == "v0.1.0"
    assert [row.version for row in team.versions("churn", stage="withdrawn")] == ["v0.2.0"]


def test_a_second_version_of_one_commit_gets_a_commit_of_its_own(project: Path, team: Registry) -> None:
    head = git(project, "rev-parse", "main")
    second = team.register("churn", version="v2.0.0")

    assert second.source_rev == head
    assert second.rev != head
    assert git(project, "rev-parse", f"{second.rev}^") == head
    assert git(project, "diff", "--name-only", head, second.rev) == ""
    assert git(project, "rev-parse", "main") == head
    assert second.digest == team.get("churn@v0.2.0").digest
    assert second.load() is not None
    assert not team.check()
    shown = gto(project, "show", "churn", "--json")
    assert {row["version"] for row in json.loads(shown)} >= {"v2.0.0", "v0.2.0", "v0.1.0"}


def test_more_than_200_files_are_listed_in_a_commit_of_the_version(project: Path) -> None:
    for number in range(201):
        write(project / "plain" / "many" / f"{number:03}.txt", str(number))
    with (project / "dvc.yaml").open("a") as file:
        file.write("  many: {path: plain/many, type: model}\n")
    head = commit(project, "many")
    registry = Registry(project)
    found = registry.register("many")

    assert found.source_rev == head
    assert git(project, "diff", "--name-only", head, found.rev) == ".modelregistry/manifest.json"
    assert git(project, "status", "--porcelain") == ""
    assert len(found.files()) == 201
    assert all(file.sha256 for file in found.files())
    assert (found.local_path() / "200.txt").read_text() == "200"
    with pytest.warns(mr.RegistryWarning):
        assert Registry(project).register("many").version == found.version


def test_files_with_long_names_are_listed_wherever_they_fit(project: Path) -> None:
    long = "/".join(["x" * 90] * 4)
    for number in range(190):
        write(project / "plain" / "many" / long / f"{number:03}.txt", str(number))
    with (project / "dvc.yaml").open("a") as file:
        file.write("  many: {path: plain/many, type: model}\n")
    commit(project, "many")
    Registry(project).register("many")
    found = Registry(project).get("many")

    assert len(found.files()) == 190
    assert (found.local_path() / long / "189.txt").read_text() == "189"


def test_bytes_that_are_nowhere_are_registered_only_when_told_to(project: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project.parent / "storage")
    registry = Registry(project)
    with pytest.raises(mr.MissingBytesError, match=r"'dvc push'.*allow_missing=True") as caught:
        registry.register("churn")
    assert caught.value.paths == ("churn.joblib",)
    found = registry.register("churn", allow_missing=True)

    assert found.digest is None
    assert found.files()[0].md5
    with pytest.raises(mr.MissingBytesError, match="dvc push"):
        found.load()


def test_bytes_that_are_only_in_the_remote_are_fetched_verified_and_kept(
    project: Path, fresh_cache: Path
) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    registry = Registry(project)
    found = [registry.register("churn"), registry.register("bundle")]
    shutil.rmtree(project.parent / "storage")

    again = Registry(project)
    assert type(again.get("churn").load(trust=NAMES)).__name__ == "LogisticRegression"
    assert (again.get("bundle").local_path() / "weights" / "a.bin").read_bytes() == b"\0one"
    assert found[0].local_path().stat().st_mode & 0o222 == 0
    assert not (project / ".dvc" / "cache").exists()
    assert fresh_cache.stat().st_mode & 0o077 == 0
    receipts = [Receipt.load(path) for path in (fresh_cache / "receipts").rglob("*") if path.is_file()]
    assert [receipt.whole for receipt in receipts] == [True, True], "none of it is hashed again"


# -- declare=True ------------------------------------------------------------------------------------------


def test_declare_commits_the_entry_and_nothing_else(project: Path) -> None:
    write(project / "staged.txt", "staged")
    write(project / "train.py", "# edited and staged\n")
    git(project, "add", "staged.txt", "train.py")
    write(project / "train.py", "# edited again\n")
    write(project / "loose.txt", "untracked")
    write(project / "params.yaml", "scale: 7\n")
    before, head = git(project, "status", "--porcelain=v2"), git(project, "rev-parse", "HEAD")
    files = {name: data for name, data in visible(project).items() if not name.startswith(".git/")}
    found = Registry(project).register("tabular", path="plain/tables", declare=True)

    assert git(project, "rev-parse", "main~1") == head
    assert found.rev == git(project, "rev-parse", "main")
    assert git(project, "diff", "--name-only", "main~1", "main") == "dvc.yaml"
    added = git(project, "diff", "--unified=0", "main~1", "main").splitlines()[5:]
    assert added == ["+  tabular:", "+    path: plain/tables", "+    type: model"]
    assert git(project, "status", "--porcelain=v2") == before
    after = {name: data for name, data in visible(project).items() if not name.startswith(".git/")}
    assert {name for name in files if files[name] != after[name]} == {"dvc.yaml"}
    assert after.keys() == files.keys()
    assert (project / "dvc.yaml").read_text().startswith("# The models of the team.\n")


def test_declare_makes_the_first_dvc_yaml_of_a_folder(project: Path) -> None:
    found = Registry(project).register("plain:rules", path="plain/rules.json", declare=True)

    assert (project / "plain" / "dvc.yaml").read_text().split() == [
        "artifacts:", "rules:", "path:", "rules.json", "type:", "model",
    ]  # fmt: skip
    assert found.path == "plain/rules.json"
    assert git(project, "status", "--porcelain") == ""


def test_declare_in_a_folder_that_is_not_there_yet_makes_it(project: Path) -> None:
    found = Registry(project).register("teams/eu:rules", path="plain/rules.json", declare=True)

    assert (project / "teams" / "eu" / "dvc.yaml").is_file()
    assert found.path == "plain/rules.json"
    assert git(project, "status", "--porcelain") == ""


def test_declare_does_nothing_where_it_is_declared(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert Registry(project).register("churn", path="models/churn.joblib", declare=True).rev == head
    assert git(project, "rev-parse", "HEAD") == head


@pytest.mark.parametrize(
    "how", ["edited", "staged", "staged and gone", "detached", "bare", "an older commit"]
)
def test_declare_is_refused_where_it_would_mix_with_other_work(
    how: str, project: Path, tmp_path: Path
) -> None:
    target, rev, path, name = project, "HEAD", "plain/tables", "tabular"
    expected: type[mr.RegistryError] = mr.WorkingCopyError
    words = "commit them first"
    if how == "edited":
        (project / "dvc.yaml").write_text((project / "dvc.yaml").read_text() + "# mine\n")
    elif how == "staged":
        text = (project / "dvc.yaml").read_text()
        write(project / "dvc.yaml", text + "# mine\n")
        git(project, "add", "dvc.yaml")
        write(project / "dvc.yaml", text)
    elif how == "staged and gone":
        write(project / "plain" / "dvc.yaml", "# mine\n")
        git(project, "add", "plain/dvc.yaml")
        (project / "plain" / "dvc.yaml").unlink()
        name = "plain:tabular"
    elif how == "detached":
        git(project, "checkout", "--quiet", "--detach")
        words = "git switch"
    elif how == "bare":
        target = tmp_path / "bare.git"
        git(tmp_path, "clone", "--quiet", "--bare", os.fspath(project), os.fspath(target))
        words = "bare"
    else:
        rev, expected, words = "main~1", mr.InvalidInputError, "another commit"
    before = visible(target)

    with pytest.raises(expected, match=words):
        Registry(target).register(name, path=path, rev=rev, declare=True)
    assert visible(target) == before


REFUSED: dict[str, dict[str, object]] = {
    "a misspelt version": {"version": "1.0"},
    "a version that exists": {"version": "v1.0.0"},
    "a version and a bump": {"version": "v3.0.0", "bump": "minor"},
    "a message with a NUL": {"message": "a\0b"},
    "too much metadata": {"metadata": {"x": "y" * 70_000}},
}


@pytest.mark.parametrize("why", REFUSED)
def test_declare_commits_nothing_when_the_registration_is_refused(why: str, project: Path) -> None:
    registry = Registry(project)
    registry.register("rules", version="v1.0.0")
    text = (project / "dvc.yaml").read_text().replace("  rules: {path: plain/rules.json, type: model}\n", "")
    write(project / "dvc.yaml", text)
    commit(project, "Forget")
    before = visible(project)

    with pytest.raises((mr.InvalidInputError, mr.RefusedError)):
        registry.register("rules", path="plain/tables", declare=True, **REFUSED[why])
    assert visible(project) == before


def test_declare_commits_nothing_when_the_bytes_are_missing(project: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project.parent / "storage")
    before = visible(project)
    with pytest.raises(mr.MissingBytesError):
        Registry(project).register("another", path="models/risk.skops", declare=True)
    assert visible(project) == before


def test_declare_leaves_nothing_behind_when_another_git_holds_the_index(project: Path) -> None:
    write(project / ".git" / "index.lock", "")
    before = visible(project)
    with pytest.raises(mr.GitError, match=r"index\.lock"):
        Registry(project).register("tabular", path="plain/tables", declare=True)
    assert visible(project) == before


# -- dry runs ----------------------------------------------------------------------------------------------

VERBS: dict[str, Callable[[Registry], object]] = {
    "register": lambda registry: registry.register("risk", dry_run=True),
    "register a second version of a commit": lambda registry: registry.register(
        "churn", version="v5.0.0", dry_run=True
    ),
    "register and declare": lambda registry: registry.register(
        "tabular", path="plain/tables", declare=True, dry_run=True
    ),
    "promote": lambda registry: registry.promote("churn", "v0.2.0", "current", dry_run=True),
    "rollback": lambda registry: registry.rollback("churn", "shadow", dry_run=True),
    "demote": lambda registry: registry.demote("churn", "current", dry_run=True),
    "withdraw": lambda registry: registry.withdraw("churn", "v0.1.0", then="v0.2.0", dry_run=True),
    "annotate": lambda registry: registry.annotate("churn", "v0.1.0", {"a": 1}, dry_run=True),
    "deprecate": lambda registry: registry.deprecate("churn", dry_run=True),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_dry_run_writes_nothing_at_all(verb: str, project: Path, team: Registry) -> None:
    team.promote("churn", "v0.1.0", "shadow", keep=True)  # so that there is somebody to roll back to
    before = everything(project)
    VERBS[verb](team)
    assert everything(project) == before


def test_a_dry_run_says_what_would_be(team: Registry) -> None:
    would = team.register("risk", bump="major", dry_run=True, metadata={"a": 1})
    assert (would.version, would.state, said(would.metadata)) == ("v0.1.0", "inactive", {"a": 1})
    assert would.digest
    assert team.promote("churn", "v0.2.0", "current", dry_run=True).stages == ("current",)
    assert team.withdraw("churn", "v0.1.0", then=mr.EMPTY, dry_run=True).state == "withdrawn"
    assert said(team.annotate("churn", "v0.2.0", {"auc": None, "b": 2}, dry_run=True)) == {"b": 2}
    assert team.get("churn#current").version == "v0.1.0"


def test_a_dry_run_of_declare_says_what_would_be(project: Path) -> None:
    would = Registry(project).register("tabular", path="plain/tables", declare=True, dry_run=True)
    assert (would.name, would.version) == ("tabular", "v0.1.0")


# -- the rest of the verbs ---------------------------------------------------------------------------------


def test_the_past_is_answered_as_it_was(project: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "current")
    registry.withdraw("churn", "v0.1.0", then=mr.EMPTY)
    first, promoted, emptied, withdrawn = (event.at for event in registry.history("churn"))
    while (
        datetime.now(UTC) <= withdrawn
    ):  # events of one second are dated a second apart: let them be the past
        time.sleep(0.05)

    assert registry.get("churn", as_of=first).state == "inactive"
    with pytest.raises(mr.StageEmptyError):
        registry.get("churn#current", as_of=first)
    assert registry.get("churn#current", as_of=promoted).version == "v0.1.0"
    assert [row.state for row in registry.versions("churn", as_of=emptied)] == ["inactive"]
    with pytest.raises(mr.WithdrawnError):
        registry.get("churn@v0.1.0", as_of=withdrawn)
    with pytest.raises(mr.ModelNotFoundError):
        registry.get("churn", as_of=first - timedelta(seconds=1))
    with pytest.raises(mr.InvalidInputError, match="time zone"):
        registry.get("churn", as_of=datetime.now())  # noqa: DTZ005


def test_metadata_is_attached_after_the_fact_and_its_history_stays(project: Path, team: Registry) -> None:
    head = git(project, "rev-parse", "main")
    assert said(team.annotate("churn", "v0.2.0", {"owner": "risk", "auc": None})) == {"owner": "risk"}
    assert team.annotate("churn", None, {"team": "growth"}) == {"team": "growth"}

    assert said(Registry(project).get("churn").metadata) == {"owner": "risk"}
    assert said(team.get("churn@v0.1.0").metadata) == {}
    assert [event.metadata for event in team.history("churn") if event.kind == "annotate"] == [
        {"owner": "risk", "auc": None},
        {"team": "growth"},
    ]
    assert git(project, "rev-parse", "main") == head


def test_a_deprecated_model_is_hidden_and_loads_with_a_warning(project: Path, team: Registry) -> None:
    team.deprecate("churn", message="use risk")

    assert "churn" not in {row.name for row in team.models()}
    assert {row.name: row.deprecated for row in team.models(deprecated=True)}["churn"]
    with pytest.warns(mr.DeprecatedModelWarning, match="'churn' is deprecated"):
        assert mr.load_model("churn#current", registry=project) is not None
    team.promote("churn", "v0.2.0", "current")
    assert "churn" in {row.name for row in team.models()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mr.load_model("churn", registry=project)


@pytest.mark.parametrize(
    ("file", "text"),
    [(".modelregistry.toml", "[stages]\nstaging = {}\nprod = {}\n"), (".gto", "stages: [staging, prod]\n")],
)
def test_a_team_has_stages_of_its_own(file: str, text: str, project: Path) -> None:
    write(project / file, text)
    commit(project, "Stages")
    registry = Registry(project)
    registry.register("rules")
    registry.promote("rules", "v0.1.0", "staging")
    found = registry.promote("rules", "v0.1.0", "prod", keep=True)

    assert (found.stages, found.state) == (("prod", "staging"), "prod")
    with pytest.raises(mr.InvalidNameError, match=r"its stages are staging, prod.*\.modelregistry\.toml"):
        registry.promote("rules", "v0.1.0", "current")


def test_a_shared_stage_has_several_holders(project: Path) -> None:
    write(project / ".modelregistry.toml", "[stages]\nshadow = {exclusive = false}\ncurrent = {}\n")
    commit(project, "Stages")
    registry = Registry(project)
    registry.register("churn", rev="main~2")
    registry.register("churn")
    for version in ("v0.1.0", "v0.1.1"):
        registry.promote("churn", version, "shadow")

    assert {row.version for row in registry.versions("churn", stage="shadow")} == {"v0.1.0", "v0.1.1"}
    with pytest.raises(mr.SeveralHoldersError, match="versions\\('churn', stage='shadow'\\)") as caught:
        registry.get("churn#shadow")
    assert set(caught.value.holders) == {"v0.1.0", "v0.1.1"}
    registry.demote("churn", "shadow", version="v0.1.0")
    assert registry.get("churn#shadow").version == "v0.1.1"


def test_the_verbs_work_in_a_linked_working_tree_and_from_a_folder_below(
    project: Path, tmp_path: Path
) -> None:
    git(project, "worktree", "add", "--quiet", os.fspath(tmp_path / "linked"), "-b", "side")
    linked = Registry(tmp_path / "linked" / "plain")
    linked.register("rules")
    linked.register("tabular", path="plain/tables", declare=True)

    assert Registry(project / "models").get("rules").version == "v0.1.0"
    assert git(project, "rev-parse", "side~1") == git(project, "rev-parse", "main")
    assert git(tmp_path / "linked", "status", "--porcelain") == ""
    assert git(project, "status", "--porcelain") == ""


def test_what_gto_wrote_is_read_and_gto_reads_what_we_wrote(project: Path) -> None:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn", version="v0.2.0")
    gto(project, "assign", "churn", "--version", "v0.2.0", "--stage", "current")
    assert registry.get("churn#current").version == "v0.2.0"
    registry.promote("churn", "v0.1.0", "current")
    shown = gto(project, "show", "churn#current", "--json")
    assert json.loads(shown)[0]["version"] == "v0.1.0"


def test_a_url_registry_shows_in_every_list_what_was_written_since(
    project: Path, team: Registry, fresh_cache: Path
) -> None:
    remote = Registry(project.as_uri(), max_age=0)
    assert {row.name for row in remote.models() if row.registered} == {"churn"}
    team.register("risk")
    assert {row.name for row in remote.models() if row.registered} == {"churn", "risk"}
    team.register("rules")
    assert "rules" in {event.model for event in remote.events()}
    git(project, "tag", "aaa@v1.0.0", "main")
    assert [problem.where for problem in remote.check()] == ["aaa@v1.0.0"]


def test_a_url_registry_writes_where_it_came_from_and_offline_it_is_what_it_was(
    project: Path, team: Registry, fresh_cache: Path
) -> None:
    remote = Registry(project.as_uri(), max_age=0)
    assert remote.get("churn#current").version == "v0.1.0"
    team.promote("churn", "v0.2.0", "current")
    offline = Registry(project.as_uri(), offline=True)
    assert offline.get("churn#current").version == "v0.1.0"
    with pytest.raises(mr.RemoteError, match="offline"):
        offline.rollback("churn", "current")
    assert remote.get("churn#current").version == "v0.2.0"
    assert remote.rollback("churn", "current").version == "v0.1.0"
    assert Registry(project).get("churn#current").version == "v0.1.0"


def test_a_first_project_becomes_a_registry_from_nothing(tmp_path: Path) -> None:
    root = init(tmp_path / "new")
    dvc(root, "init", "--quiet")
    write(root / "model.json", '{"w": 1}')
    dvc(root, "add", "--quiet", "model.json")
    commit(root, "first")
    registry = Registry(root)

    assert registry.models() == []
    with pytest.raises(mr.NotDeclaredError, match="artifacts:") as caught:
        registry.register("first", path="model.json")
    write(root / "dvc.yaml", caught.value.entry)
    commit(root, "as the error says")
    assert registry.register("first").version == "v0.1.0"
    assert registry.get("first").local_path().read_text() == '{"w": 1}'
