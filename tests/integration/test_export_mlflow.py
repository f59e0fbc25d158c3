"""A folder that is exported for MLflow says what the registry knows; `nox -s mlflow` has MLflow itself load it."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.loaders.mlflow import MLflowLoader
from modelregistry.project.yamltext import parse, typed
from tests.integration.projects import everything


@pytest.fixture
def exported(project: Path, tmp_path: Path) -> tuple[mr.ModelVersion, Path]:
    columns = [{"name": "age", "type": "int64"}, {"name": "plan", "type": "str", "required": False}]
    metadata = {"signature": {"inputs": columns, "outputs": [{"name": "predict", "type": "int64"}]}}
    version = Registry(project).register("risk", metadata=metadata, message="good\nenough: yes")
    version.export(tmp_path / "out", format="mlflow")
    return version, tmp_path / "out"


def test_it_is_a_folder_of_mlflows_with_the_registered_bytes_in_it(
    exported: tuple[mr.ModelVersion, Path],
) -> None:
    version, folder = exported
    assert (folder / "risk.skops").read_bytes() == version.local_path().read_bytes()
    loader = MLflowLoader()
    assert loader.recognises(folder, "out")
    assert loader.part(folder) == folder / "risk.skops"
    described = loader.describe(folder)
    assert described.packages.items() <= version.environment.items()
    assert described.packages["scikit-learn"]
    assert version.signature is not None and described.signature is not None
    assert described.signature.inputs == version.signature.inputs
    assert mr.verify_export(folder).digest == version.digest


def test_its_origin_is_in_it(exported: tuple[mr.ModelVersion, Path]) -> None:
    version, folder = exported
    text = (folder / "MLmodel").read_bytes()
    origin = typed(parse(text, "MLmodel"))["metadata"]["modelregistry"]
    assert origin["digest"] == version.digest
    assert origin["message"] == "good\nenough: yes"
    assert origin["rev"] == version.rev
    assert [node["kind"] for node in origin["lineage"]] == ["run"]


def test_a_pipelines_data_and_params_are_in_it(project: Path, tmp_path: Path) -> None:
    Registry(project).register("churn").export(tmp_path / "out", format="mlflow")
    origin = typed(parse((tmp_path / "out" / "MLmodel").read_bytes(), "MLmodel"))["metadata"]["modelregistry"]
    found = {node["kind"]: node for node in origin["lineage"]}
    assert found["params"]["values"] == {"scale": 0.5}
    assert "train.py" in found["step"]["values"]["cmd"]
    assert {"code.zip", "churn.joblib", "MLmodel"} <= everything(tmp_path / "out").keys()


def test_what_is_said_later_changes_no_byte_of_it(project: Path, tmp_path: Path) -> None:
    registry = Registry(project)
    registry.register("risk")
    registry.get("risk").export(tmp_path / "one", format="mlflow")
    registry.promote("risk", "v0.1.0", "current")
    registry.annotate("risk", "v0.1.0", {"signature": None, "environment": {"python": "2.7.18"}})
    registry.get("risk").export(tmp_path / "two", format="mlflow")
    one, two = (everything(tmp_path / name) for name in ("one", "two"))
    assert one.pop("manifest.json") != two.pop("manifest.json")
    assert one == two
