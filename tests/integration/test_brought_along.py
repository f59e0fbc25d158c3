"""What the source's registry says of a version comes along when it is imported, with where it was said; the rest stays."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.makers import World, build, copy_of, seen
from tests.integration.projects import commit, git, write

CARD = "---\nlicense: apache-2.0\n---\n\n# Churn\n\n## Intended use\n\nTo keep them.\n"
SAID: dict[str, Any] = {
    "license": "apache-2.0", "signature": {"inputs": [{"name": "age"}], "outputs": []}, "environment": {"python": "3.11.1"},
    "usage": {"text": "Ask it.", "example": "examples/churn.json"},
    "evaluation": {"command": ["python", "measure.py"], "metrics": {"auc": {"direction": "higher"}}},
    "owner": "growth", "rows": 80,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("makers")
    build(top)
    return top


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    return copy_of(made, tmp_path / "world")


def say(world: World) -> mr.ModelVersion:
    """The maker says all that there is to say of the version that is current: in ``dvc.yaml``, of the model, of it."""
    write(world.maker / "examples" / "churn.json", "[[30]]")
    write(world.maker / "docs" / "churn.md", CARD)
    text = (world.maker / "dvc.yaml").read_text()
    write(world.maker / "dvc.yaml", text.replace("{loader: path}", "{loader: path, card: docs/churn.md}"))
    commit(world.maker, "Say more")
    maker = Registry(world.maker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mr.RegistryWarning)
        maker.register("churn", version="v1.0.0", metadata=SAID, metrics={"f1": 0.7}, message="Theirs")
    maker.annotate("churn", None, {"card": {"contact": "growth@example.com"}})
    maker.annotate("churn", "v1.0.0", {"metrics": {"auc": 0.9}})
    maker.promote("churn", "v1.0.0", "current")
    return maker.get("churn#current")


def test_what_is_true_of_the_model_comes_along_and_says_where_it_was_said(world: World) -> None:
    theirs = say(world)
    with warnings.catch_warnings():
        warnings.simplefilter("error", mr.RegistryWarning)  # its card is named in their dvc.yaml by a file
        found = world.registry.import_model(world.maker, "churn#current")
    said = dict(found.metadata)
    origin = said.pop("origin")
    assert said == {
        "license": "apache-2.0", "signature": SAID["signature"], "environment": SAID["environment"],
        "usage": {"text": "Ask it.", "example": "models/churn.example.json"}, "evaluation": {"metrics": {"auc": {"direction": "higher"}}},
        "metrics": {"auc": 0.9, "f1": 0.7},
        "card": {"intended_use": "To keep them.", "license": "apache-2.0", "contact": "growth@example.com"},
    }  # fmt: skip
    assert isinstance(origin, dict)
    assert (origin["registry"], origin["model"], origin["version"], origin["event"]) == (
        theirs.registered.registry, "churn", "v1.0.0", theirs.registered.id,
    )  # fmt: skip
    assert (origin["brought"], origin["left"], origin["head"]) == (
        sorted(said),
        ["owner", "rows"],
        theirs.head,
    )
    assert (found.stages, found.labels, found.description) == ((), ("tabular",), "who leaves")
    assert found.metrics == {"auc": 0.9, "f1": 0.7}


def test_the_example_of_its_input_comes_along_as_a_file(world: World) -> None:
    say(world)
    found = world.registry.import_model(world.maker, "churn#current", as_name="leavers")
    assert found.usage is not None
    assert found.usage.example == "models/leavers.example.json"
    assert git(world.team, "show", "HEAD:models/leavers.example.json") == "[[30]]"
    assert git(world.team, "status", "--porcelain") == ""
    other = world.registry.import_model(
        world.maker, "churn#current", as_name="other", metadata={"usage": {"text": "Ours."}}
    )
    assert other.metadata["usage"] == {"text": "Ours."}
    assert "other.example" not in git(world.team, "ls-files")


def test_an_example_does_not_take_the_place_of_another_file(world: World) -> None:
    say(world)
    write(world.team / "models" / "churn.example.json", "[[1]]")
    commit(world.team, "Ours")
    before = seen(world.team)
    for dry_run in (True, False):
        with pytest.raises(mr.errors.RefusedError, match="for something else"):
            world.registry.import_model(world.maker, "churn#current", dry_run=dry_run)
    assert seen(world.team) == before
    assert not (world.top / "shelf").exists(), "nothing was pushed"
    assert world.registry.import_model(world.maker, "churn#current", as_name="theirs")


def test_an_example_that_is_lost_keeps_nothing_else_from_coming(world: World, fresh_cache: Path) -> None:
    theirs = say(world)
    oid = git(world.maker, "rev-parse", f"{theirs.rev}:examples/churn.json")
    (world.maker / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    shutil.rmtree(fresh_cache)
    found = world.registry.import_model(world.maker, "churn#current")
    assert found.metadata["usage"] == {"text": "Ask it."}


def test_an_example_that_dvc_would_take_for_its_own_stays_where_it_is(world: World) -> None:
    write(world.maker / "examples" / "evil.dvc", "cmd: touch owned\nouts: [{path: x}]\n")
    (world.maker / ".dvcignore").write_text("examples\n")
    commit(world.maker, "A trap")
    maker = Registry(world.maker)
    maker.register(
        "churn", version="v1.0.0", metadata={"usage": {"text": "Ask it.", "example": "examples/evil.dvc"}}
    )
    found = world.registry.import_model(world.maker, "churn@v1.0.0")
    assert found.metadata["usage"] == {"text": "Ask it."}
    assert "example" not in git(world.team, "ls-files")


def test_card_and_lineage_show_it_when_the_source_is_gone(world: World) -> None:
    theirs = say(world)
    world.registry.import_model(world.maker, "churn#current")
    shutil.rmtree(world.maker)
    registry = world.registry
    found = registry.get("churn")
    assert found.lineage.nodes[0].values["origin"] == {
        "url": os.fspath(world.maker), "registry": theirs.registered.registry, "model": "churn", "version": "v1.0.0",
        "event": theirs.registered.id,
    }  # fmt: skip
    facts = found.card.facts
    assert facts.origin == (
        f"churn@v1.0.0 of {world.maker} at commit {theirs.source_rev[:10]}, event {theirs.registered.id}"
    )
    assert (facts.text.intended_use, facts.text.contact) == ("To keep them.", "growth@example.com")
    assert {"license", "metrics"} <= {*facts.said_there}
    assert f"event {theirs.registered.id}" in str(found.card).replace("\\", "")
    registry.annotate("churn", found.version, {"metrics": {"auc": 0.8}})
    assert "metrics" not in registry.get("churn").card.facts.said_there


def test_what_the_caller_says_comes_first_and_did_not_come_along(world: World) -> None:
    say(world)
    found = world.registry.import_model(
        world.maker, "churn#current", metadata={"license": "mit", "owner": "risk", "card": None, "none": None}
    )
    origin = found.metadata["origin"]
    assert isinstance(origin, dict)
    assert (found.metadata["license"], found.metadata["owner"]) == ("mit", "risk")
    assert not {"license", "card"} & {*json.loads(json.dumps(origin["brought"]))}
    assert "card" not in found.metadata


def test_an_update_brings_what_is_said_of_the_new_version(world: World) -> None:
    world.registry.import_model(world.maker, "churn#current")
    world.retrain("three\n")
    theirs = say(world)
    found = world.registry.update_import("churn")
    assert found
    origin = found.version.metadata["origin"]
    assert isinstance(origin, dict)
    assert (found.version.metadata["license"], origin["event"]) == ("apache-2.0", theirs.registered.id)


def test_what_does_not_fit_the_schema_of_who_imports_is_told_with_where_it_is_from(world: World) -> None:
    say(world)
    schema = {"properties": {"license": {"enum": ["mit"]}}}
    write(world.team / "version.json", json.dumps(schema))
    write(world.team / ".modelregistry.toml", '[metadata]\nversion = "version.json"\n')
    commit(world.team, "Schema")
    before = seen(world.team)
    with pytest.raises(mr.errors.InvalidInputError, match="license") as caught:
        world.registry.import_model(world.maker, "churn#current")
    assert any("came along from its source" in note for note in caught.value.__notes__)
    assert seen(world.team) == before
    assert world.registry.import_model(world.maker, "churn#current", metadata={"license": "mit"})


def test_a_card_that_is_a_file_of_the_source_comes_along_without_a_registry_there(world: World) -> None:
    write(world.maker / "docs" / "churn.md", CARD)
    text = (world.maker / "dvc.yaml").read_text()
    write(world.maker / "dvc.yaml", text.replace("{loader: path}", "{loader: path, card: docs/churn.md}"))
    commit(world.maker, "A card")
    found = world.registry.import_model(world.maker, "models/churn.txt")
    assert found.card.facts.text.intended_use == "To keep them."
    assert "docs/churn.md" not in git(world.team, "show", "HEAD:dvc.yaml")


def test_a_card_that_nobody_can_read_keeps_nothing_else_from_coming(world: World) -> None:
    text = (world.maker / "dvc.yaml").read_text()
    write(world.maker / "dvc.yaml", text.replace("{loader: path}", "{loader: path, card: docs/none.md}"))
    commit(world.maker, "No card")
    found = world.registry.import_model(world.maker, "churn")
    origin = found.metadata["origin"]
    assert isinstance(origin, dict)
    assert (origin["left"], found.card.facts.text.intended_use) == (["card"], None)
