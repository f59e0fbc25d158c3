"""A whole MLflow registry is brought here, and nothing is changed over there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, everything, git, visible, write
from tests.mlflow.conftest import Source

ARRIVED = {
    "churn/1": "churn@v1.0.0",
    "churn/2": "churn@v2.0.0",
    "churn/4": "churn@v4.0.0",
    "Iris, scaled (2024)/1": "Iris-scaled-2024@v1.0.0",
    "Iris, scaled (2024)/2": "Iris-scaled-2024@v2.0.0",
    "trees/1": "trees@v1.0.0",
    "leaves/1": "leaves@v1.0.0",
    "cautious/1": "cautious@v1.0.0",
}


def steps(report: mr.Migration, *actions: str) -> list[tuple[str, str]]:
    return [(step.source, step.target) for step in report if step.action in actions]


def test_every_version_answers_here_as_it_does_there(there: Source, registry: Registry) -> None:
    report = registry.import_mlflow(there.uri)
    assert dict(steps(report, "register")) == ARRIVED
    rows = pd.DataFrame(there.rows)
    for source, reference in ARRIVED.items():
        model = registry.get(reference).load(trust="code" if source == "cautious/1" else None)
        answer = model.predict_proba(rows) if source.startswith("churn") else model.predict(rows)
        assert np.allclose(answer, there.predictions[source]), source


def test_what_was_said_of_a_version_is_in_its_metadata(there: Source, registry: Registry) -> None:
    report = registry.import_mlflow(there.uri, models=["churn"])
    version = registry.get("churn@v2.0.0")
    assert version.message == "Less regularised.\nBetter on the young."
    assert version.description == "Who leaves."
    metadata = version.metadata
    assert metadata["metrics"] == {"accuracy": 0.9}
    assert metadata["params"] == {"C": "0.5", "solver": "lbfgs"}
    assert metadata["tags"] == {"validated": "yes"}
    origin = metadata["mlflow"]
    assert isinstance(origin, dict)
    assert (origin["model"], origin["version"], origin["author"]) == ("churn", 2, "grace@example.com")
    assert origin["aliases"] == ["champion"]
    assert origin["run"] == "train churn"
    assert origin["commit"] == "c0ffee" * 6 + "c0ff"
    assert origin["experiment"] == "training"
    assert origin["datasets"][0]["name"] == "iris"
    assert metadata["origin"] == {"said": f"models:/churn/2 of {there.uri}"}
    assert [node.name for node in version.lineage.sources] == [f"models:/churn/2 of {there.uri}"]
    assert [step.note for step in report.lost if step.source == "churn/2"] == [
        "metric 'loss' is nan, which JSON can't hold"
    ]
    assert version.signature is not None
    assert [column.name for column in version.signature.inputs] == [*there.rows]
    assert version.environment is not None


def test_a_version_is_a_commit_of_its_own_by_its_author_at_its_time(
    there: Source, registry: Registry, project: Path
) -> None:
    head = git(project, "rev-parse", "HEAD")
    registry.import_mlflow(there.uri, models=["churn", "Iris, scaled (2024)"])
    revs = [
        registry.get(reference).rev
        for source, reference in ARRIVED.items()
        if source.startswith(("churn", "Iris"))
    ]
    assert len({*revs}) == 5
    version = registry.get("churn@v2.0.0")
    name, email, date = git(project, "show", "-s", "--format=%an%n%ae%n%aI", version.rev).split("\n")
    assert (name, email) == ("grace@example.com", "grace@example.com")
    assert date[:19] == version.metadata["mlflow"]["created_at"][:19]
    assert git(project, "show", "-s", "--format=%cn", version.rev) == "Ann Author"
    changed = git(project, "show", "--format=", "--name-only", version.rev).split()
    assert changed == ["models/churn.dvc"]
    assert git(project, "status", "--porcelain") == ""
    assert (
        git(project, "rev-list", "--count", f"{head}..HEAD") == "4"
    )  # twins have one, and a commit off the branch


def test_a_dry_run_tells_the_same_and_writes_nothing(
    there: Source, registry: Registry, project: Path
) -> None:
    before, over_there = everything(project), everything(there.folder)
    dry = registry.import_mlflow(there.uri, dry_run=True)
    assert everything(project) == before
    assert everything(there.folder) == over_there
    wet = registry.import_mlflow(there.uri)
    assert [(step.source, step.action, step.target) for step in dry] == [
        (step.source, step.action, step.target) for step in wet
    ]
    assert dry.dry_run and not wet.dry_run
    assert everything(there.folder) == over_there


def test_what_can_not_come_along_is_told(there: Source, registry: Registry) -> None:
    report = registry.import_mlflow(there.uri, dry_run=True)
    assert report.renamed == {"Iris, scaled (2024)": "Iris-scaled-2024"}
    notes = {step.source: step.note for step in report.skipped}
    assert "names={'!!!': …}" in notes["!!!"]
    assert "'cafê' would be 'cafe' too" in notes["café"]
    assert "'café' would be 'cafe' too" in notes["cafê"]
    assert (
        notes["churn@canary"]
        == "no stage here: stages={'canary': …} makes it one; v4.0.0 keeps the word in its metadata"
    )
    assert notes["churn/1 in Production"] == "'current' goes to v2.0.0, by another alias or stage"
    assert "lost/1" in notes
    assert "there" in str(report) and "<table" in report._repr_html_()


def test_a_second_call_does_nothing(there: Source, registry: Registry, project: Path) -> None:
    registry.import_mlflow(there.uri)
    before = visible(project)
    report = registry.import_mlflow(there.uri)
    assert not report.made
    assert dict(steps(report, "present")).keys() >= ARRIVED.keys()
    assert visible(project) == before


def test_aliases_and_old_stages_are_stages(there: Source, registry: Registry) -> None:
    registry.import_mlflow(there.uri)
    assert registry.get("churn#current").version == "v2.0.0"
    assert registry.get("churn#shadow").version == "v4.0.0"
    assert registry.get("Iris-scaled-2024#shadow").version == "v1.0.0"
    assert registry.get("churn@v1.0.0").state == "inactive"


def test_the_caller_says_which_alias_is_which_stage(there: Source, registry: Registry) -> None:
    registry.import_mlflow(there.uri, models=["churn"], stages={"canary": "current", "challenger": None})
    assert registry.get("churn#current").version == "v4.0.0"
    with pytest.raises(mr.StageEmptyError):
        registry.get("churn#shadow")


def test_the_stages_of_a_team_are_known_by_their_names(
    there: Source, registry: Registry, project: Path
) -> None:
    write(project / ".modelregistry.toml", "[stages]\ncanary = {}\nprod = {}\n")
    commit(project)
    report = registry.import_mlflow(there.uri, models=["churn"], stages={"champion": "prod"})
    assert registry.get("churn#canary").version == "v4.0.0"
    assert registry.get("churn#prod").version == "v2.0.0"
    assert "churn@challenger" in {step.source for step in report.skipped}


def test_a_stage_that_moved_here_is_not_moved_back_unless_asked(there: Source, registry: Registry) -> None:
    registry.import_mlflow(there.uri, models=["churn"])
    registry.promote("churn", "v1.0.0", "current")
    registry.demote("churn", "shadow")
    report = registry.import_mlflow(there.uri, models=["churn"])
    assert not report.made
    notes = {step.source: step.note for step in report.skipped}
    assert (
        notes["churn@champion"]
        == "v1.0.0 holds it, and it was moved here: move_stages=True moves it as MLflow says"
    )
    assert (
        notes["churn@challenger"]
        == "it was emptied, and it was moved here: move_stages=True moves it as MLflow says"
    )
    assert registry.get("churn#current").version == "v1.0.0"
    registry.import_mlflow(there.uri, models=["churn"], move_stages=True)
    assert registry.get("churn#current").version == "v2.0.0"
    assert registry.get("churn#shadow").version == "v4.0.0"


@pytest.fixture
def copy(there: Source, tmp_path: Path) -> Source:
    """A copy of the database, to be changed."""
    shutil.copy(there.folder / "mlflow.db", tmp_path / "mlflow.db")
    return Source(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")


def change(source: Source, *statements: str) -> None:
    database = sqlite3.connect(source.folder / "mlflow.db")
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_what_is_new_there_is_all_that_a_later_call_brings(copy: Source, registry: Registry) -> None:
    change(copy, "UPDATE model_versions SET current_stage = 'Deleted_Internal' WHERE name = 'churn' AND version = 4",
           "UPDATE registered_model_aliases SET version = 1 WHERE alias = 'champion'")  # fmt: skip
    registry.import_mlflow(copy.uri, models=["churn"])
    assert registry.get("churn#current").version == "v1.0.0"
    change(copy, "UPDATE model_versions SET current_stage = 'None' WHERE name = 'churn' AND version = 4",
           "UPDATE registered_model_aliases SET version = 4 WHERE alias = 'champion'")  # fmt: skip
    report = registry.import_mlflow(copy.uri, models=["churn"])
    assert steps(report, "register", "promote") == [
        ("churn/4", "churn@v4.0.0"), ("churn@champion", "churn#current"), ("churn@challenger", "churn#shadow"),
    ]  # fmt: skip
    assert registry.get("churn#current").version == "v4.0.0"


def test_a_version_that_was_made_anew_over_there_is_another_one(copy: Source, registry: Registry) -> None:
    registry.import_mlflow(copy.uri, models=["churn"])
    change(
        copy,
        "UPDATE model_versions SET creation_time = creation_time + 1 WHERE name = 'churn' AND version = 1",
    )
    report = registry.import_mlflow(copy.uri, models=["churn"])
    assert {step.source for step in report.skipped} >= {"churn/1"}
    assert not report.made


def test_what_is_too_large_for_an_event_is_left_out_and_told(copy: Source, registry: Registry) -> None:
    change(copy, "UPDATE model_version_tags SET value = hex(zeroblob(40000)) WHERE name = 'churn'")
    report = registry.import_mlflow(copy.uri, models=["churn"])
    version = registry.get("churn@v2.0.0")
    assert "tags" not in version.metadata and "metrics" in version.metadata
    assert any("its 1 tags are 80," in step.note for step in report.lost)


def test_bytes_that_were_withdrawn_here_do_not_come_back_as_another_version(
    copy: Source, registry: Registry, project: Path
) -> None:
    twin = "UPDATE model_versions SET current_stage = '{}' WHERE name LIKE 'Iris%' AND version = 2"
    change(copy, twin.format("Deleted_Internal"))
    registry.import_mlflow(copy.uri, models=["Iris, scaled (2024)"])
    registry.withdraw("Iris-scaled-2024", "v1.0.0", then=mr.EMPTY)
    change(copy, twin.format("None"))
    before = visible(project)
    for _ in range(2):
        report = registry.import_mlflow(copy.uri, models=["Iris, scaled (2024)"], move_stages=True)
        assert not report.made
        assert [step.note for step in report.skipped] == [
            "these bytes are Iris-scaled-2024@v1.0.0, which was withdrawn here",
            "v1.0.0 was withdrawn here",
        ]
        assert visible(project) == before


def test_what_there_is_to_say_of_a_version_is_in_the_report(there: Source, registry: Registry) -> None:
    report = registry.import_mlflow(there.uri, models=["cautious"])  # a warning would be an error here
    assert "is not loaded by others unless they trust it" in report.made[0].note
    with pytest.raises(mr.UntrustedModelError):
        registry.get("cautious").load()


def test_what_does_not_fit_the_schema_of_the_team_is_left_out_before_anything_of_it_is_written(
    there: Source, registry: Registry, project: Path
) -> None:
    write(project / "version.schema.json", '{"required": ["description"]}')
    write(project / "model.schema.json", '{"additionalProperties": false}')
    settings = '[metadata]\nversion = "version.schema.json"\nmodel = "model.schema.json"\n'
    write(project / ".modelregistry.toml", settings)
    head = commit(project)
    report = registry.import_mlflow(there.uri, models=["churn", "leaves"])
    assert dict(steps(report, "register")) == {"churn/2": "churn@v2.0.0"}
    notes = {step.source: step.note for step in report.skipped}
    assert "description" in notes["churn/1"]
    assert "mlflow" in notes["churn"]
    assert git(project, "rev-list", "--count", f"{head}..HEAD") == "1"


def test_imported_bytes_never_count_as_made_here(
    there: Source, registry: Registry, environment: Path
) -> None:
    registry.import_mlflow(there.uri)
    assert not [path for path in environment.rglob("made-here") if path.read_text().strip()]


def test_a_model_that_the_project_has_already_is_left_alone(
    there: Source, registry: Registry, project: Path
) -> None:
    write(project / "dvc.yaml", "artifacts:\n  churn: {path: train.py, type: model}\n")
    write(project / "models" / "trees", "of mine")
    commit(project)
    registry.register("churn")
    report = registry.import_mlflow(there.uri)
    notes = {step.source: step.note for step in report.skipped}
    assert "dvc.yaml declares 'churn' at 'train.py'" in notes["churn"]
    assert "'models/trees' is something else already" in notes["trees"]
    assert [version.version for version in registry.versions("churn")] == ["v0.1.0"]
    registry.import_mlflow(there.uri, models=["churn"], names={"churn": "churn-of-mlflow"})
    assert registry.get("churn-of-mlflow#current").version == "v2.0.0"


def test_models_may_be_in_a_folder_that_has_its_own_declarations(
    there: Source, registry: Registry, project: Path
) -> None:
    registry.import_mlflow(
        there.uri, models=["leaves"], names={"leaves": "plants:tree/leaves"}, into="all/models"
    )
    version = registry.get("plants:tree/leaves")
    assert version.path == "plants/all/models/tree/leaves"
    assert (project / "plants" / "dvc.yaml").is_file()
    assert np.allclose(version.load().predict(pd.DataFrame(there.rows)), there.predictions["leaves/1"])
    assert not registry.import_mlflow(
        there.uri, models=["leaves"], names={"leaves": "plants:tree/leaves"}, into="all/models"
    ).made


def test_bytes_and_events_reach_the_others(there: Source, project: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "hub.git")
    git(project, "remote", "add", "origin", os.fspath(tmp_path / "hub.git"))
    write(
        project / ".dvc" / "config",
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n",
    )
    commit(project)
    git(project, "push", "--quiet", "origin", "HEAD")
    Registry(project).import_mlflow(there.uri, models=["leaves"])
    git(tmp_path, "clone", "--quiet", os.fspath(tmp_path / "hub.git"), "elsewhere")
    shutil.rmtree(project)
    model = Registry(tmp_path / "elsewhere").get("leaves").load()
    assert np.allclose(model.predict(pd.DataFrame(there.rows)), there.predictions["leaves/1"])


def test_without_a_place_to_push_to_nothing_is_written(there: Source, project: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "hub.git")
    git(project, "remote", "add", "origin", os.fspath(tmp_path / "hub.git"))
    before = git(project, "rev-parse", "HEAD")
    with pytest.raises(mr.RefusedError, match="dvc remote add"):
        Registry(project).import_mlflow(there.uri)
    assert git(project, "rev-parse", "HEAD") == before


OLDER = """
import sys
import mlflow.store.db.utils as tables
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
config = tables._get_alembic_config(sys.argv[1])
tables.InitialBase.metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))
command.upgrade(config, ScriptDirectory.from_config(config).get_revision("head").down_revision)
"""


def test_a_database_of_an_older_mlflow_is_read_and_stays_as_it_is(
    registry: Registry, tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    source = Source(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    done = python(OLDER, source.uri)
    assert done.returncode == 0, done.stderr
    change(source, "INSERT INTO registered_models (name, creation_time) VALUES ('old', 1)")
    before = (tmp_path / "mlflow.db").read_bytes()
    assert [step.source for step in registry.import_mlflow(source.uri)] == ["old"]
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_file_store_is_read_too(file_store: Source, registry: Registry) -> None:
    before = everything(file_store.folder)
    registry.import_mlflow(file_store.uri)
    model = registry.get("little#current").load()
    assert np.allclose(model.predict(pd.DataFrame(file_store.rows)), file_store.predictions["little/1"])
    assert everything(file_store.folder) == before


def test_a_server_is_asked_and_never_says_which_files_of_this_machine_are_taken(
    server: Source, registry: Registry
) -> None:
    report = registry.import_mlflow(server.uri)
    assert dict(steps(report, "register")) == {"little/1": "little@v1.0.0"}
    model = registry.get("little#current").load()
    assert np.allclose(model.predict(pd.DataFrame(server.rows)), server.predictions["little/1"])
    refused = next(step.note for step in report.skipped if step.source == "churn/1")
    assert "are on this machine" in refused and "open its database instead" in refused


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:///nowhere.db", "no database of MLflow's"),
        ("nowhere", "no model registry of MLflow's"),
        ("sqlite:///notes.db", "no table of registered models"),
    ],
)
def test_what_is_no_registry_is_said_so_and_not_made(
    uri: str, message: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = sqlite3.connect("notes.db")
    database.execute("CREATE TABLE notes (text)")
    database.close()
    before = everything(tmp_path)
    with pytest.raises(mr.InvalidInputError, match=message):
        registry.import_mlflow(uri)
    assert everything(tmp_path) == before


def test_bad_input_is_refused_before_anything_is_written(
    there: Source, registry: Registry, project: Path
) -> None:
    before = visible(project)
    with pytest.raises(mr.ModelNotFoundError, match="'curn'"):
        registry.import_mlflow(there.uri, models=["curn"])
    with pytest.raises(mr.InvalidInputError, match="a list of names"):
        registry.import_mlflow(there.uri, models="churn")
    for into in ("../elsewhere", "/elsewhere", "."):
        with pytest.raises(mr.InvalidInputError):
            registry.import_mlflow(there.uri, into=into)
    with pytest.raises(mr.ModelNotFoundError, match="'curn'"):
        registry.import_mlflow(there.uri, names={"curn": "churn"})
    with pytest.raises(mr.InvalidNameError, match="no stage of this registry"):
        registry.import_mlflow(there.uri, stages={"canary": "prod"})
    with pytest.raises(mr.InvalidNameError, match="not a model name"):
        registry.import_mlflow(there.uri, names={"café": "café"})
    write(project / "dvc.yaml", "artifacts: {}\n")
    with pytest.raises(mr.WorkingCopyError, match=r"'dvc\.yaml'"):
        registry.import_mlflow(there.uri)
    (project / "dvc.yaml").unlink()
    assert visible(project) == before


KILLED = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
from modelregistry import Registry
verb, moment, countdown = sys.argv[3], sys.argv[4], int(sys.argv[5])
whole = getattr(Registry, verb)
def dying(self, *arguments, **options):
    global countdown
    countdown -= 1
    if countdown == 0 and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = whole(self, *arguments, **options)
    if countdown == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(Registry, verb, dying)
Registry(sys.argv[1]).import_mlflow(sys.argv[2], models=["churn", "Iris, scaled (2024)"])
"""


@pytest.mark.parametrize(
    ("verb", "moment", "times"),
    [("register", "before", 2), ("register", "after", 5), ("promote", "after", 1), ("annotate", "before", 1)],
)
def test_a_call_that_was_killed_is_completed_by_the_next(
    verb: str, moment: str, times: int, there: Source, registry: Registry, project: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    done = python(KILLED, os.fspath(project), there.uri, verb, moment, str(times))
    assert done.returncode == -9, done.stderr
    registry.import_mlflow(there.uri, models=["churn", "Iris, scaled (2024)"])
    assert git(project, "status", "--porcelain") == ""
    subjects = git(project, "log", "--format=%s", "main").split("\n")
    assert sorted(subjects) == sorted([
        "Begin",
        *(f"Import churn version {number} from MLflow as churn" for number in (1, 2, 4)),
        "Import Iris, scaled (2024) version 1 from MLflow as Iris-scaled-2024",
    ])  # fmt: skip
    assert [version.version for version in registry.versions("churn")] == ["v4.0.0", "v2.0.0", "v1.0.0"]
    assert len(registry.versions("Iris-scaled-2024")) == 2
    events = [
        (event.kind, event.model, getattr(event, "version", None), getattr(event, "stage", None))
        for event in registry.events()
    ]
    assert len(events) == len({*events}) == 5 + 3 + 2  # versions, stages, and a note of each model
    assert registry.get("churn#current").version == "v2.0.0"
    assert not registry.import_mlflow(there.uri, models=["churn", "Iris, scaled (2024)"]).made
