"""Formats in a real project: what a registration learns of each, what `dvc.yaml` says of them, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
import xgboost
from onnx import TensorProto, helper

import modelregistry as mr
from modelregistry.metadata.signature import Column
from tests.integration.projects import commit, init, write

ROWS = np.random.default_rng(0).random((40, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)


def boosted(path: Path, rounds: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    model = xgboost.XGBClassifier(n_estimators=rounds).fit(ROWS, LABELS)
    model.save_model(path.with_suffix(".ubj"))
    path.with_suffix(".ubj").rename(path)


def text(path: Path) -> None:
    lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, LABELS), 2).save_model(path)


def arrays(path: Path) -> None:
    safetensors.numpy.save_file({"a": ROWS}, path)


def graph(path: Path) -> None:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "8")):
        weights.external_data.add(key=key, value=value)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    made = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    model = helper.make_model(made, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    write(path / "model.onnx", model.SerializeToString())
    write(path / "weights.bin", np.array([2, 3], "float32").tobytes())


FORMATS: dict[str, tuple[Callable[[Path], None], str, type, list[Column]]] = {
    "model.bin": (boosted, "xgboost", xgboost.XGBClassifier, [Column()] * 3),
    "model.txt": (text, "lightgbm", lightgbm.Booster, [Column()] * 3),
    "graph": (graph, "onnx", onnxruntime.InferenceSession, [Column("x", "float32", (2,))]),
    "model.safetensors": (arrays, "safetensors", dict, []),
}


def declared(folder: Path, file: str, meta: str = "{}") -> mr.Registry:
    write(folder / "dvc.yaml", f"artifacts:\n  churn: {{path: models/{file}, type: model, meta: {meta}}}\n")
    commit(folder)
    return mr.Registry(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / "models").mkdir(parents=True)
    return init(tmp_path / "project")


@pytest.mark.parametrize("file", FORMATS)
def test_a_model_is_registered_described_and_loaded_without_a_word_of_what_it_is(
    file: str, project: Path
) -> None:
    make, loader, type_, inputs = FORMATS[file]
    make(project / "models" / file)
    registry = declared(project, file)
    version = registry.register("churn", message="first")
    assert version.metadata["loader"] == loader
    assert list(version.signature.inputs if version.signature else ()) == inputs
    assert isinstance(version.load(), type_)
    assert isinstance(mr.load_model("churn", registry=registry), type_)


def test_a_graph_in_a_folder_finds_its_data(project: Path) -> None:
    graph(project / "models" / "graph")
    session = declared(project, "graph").register("churn").load()
    assert isinstance(session, onnxruntime.InferenceSession)
    assert session.run(None, {"x": np.ones(2, "float32")})[0].tolist() == [2.0, 3.0]


def test_what_dvc_yaml_says_of_the_loader_is_heeded_and_an_argument_comes_first(project: Path) -> None:
    boosted(project / "models" / "model.bin")
    version = declared(project, "model.bin", "{loader: path}").register("churn")
    assert isinstance(version.load(), Path)
    assert isinstance(version.load(loader="xgboost"), xgboost.XGBClassifier)


def test_a_loader_in_dvc_yaml_that_is_not_there_is_an_error_and_a_framework_is_none(project: Path) -> None:
    boosted(project / "models" / "model.bin")
    version = declared(project, "model.bin", "{loader: xgbost}").register("churn")
    with pytest.raises(mr.UnknownFormatError, match=r"no loader is called 'xgbost'.*meta: in dvc.yaml"):
        version.load()
    boosted(project / "models" / "model.bin", rounds=3)
    version = declared(project, "model.bin", "{framework: of our own}").register("churn")
    assert isinstance(version.load(), xgboost.XGBClassifier)


def test_a_framework_in_dvc_yaml_decides_where_two_know_the_model(project: Path) -> None:
    boosted(project / "models" / "both" / "model.ubj")
    arrays(project / "models" / "both" / "model.safetensors")
    with pytest.raises(mr.UnknownFormatError, match="each recognise"):
        declared(project, "both").register("churn").load()
    boosted(project / "models" / "both" / "model.ubj", rounds=3)
    version = declared(project, "both", "{framework: xgboost}").register("churn")
    assert isinstance(version.load(), xgboost.XGBClassifier)


def test_nothing_in_dvc_yaml_grants_trust(project: Path) -> None:
    write(project / "models" / "english" / "meta.json", "{}")
    write(project / "models" / "english" / "config.cfg", "")
    registry = declared(project, "english", "{loader: spacy, trust: code}")
    with pytest.warns(mr.RegistryWarning, match="it can run any code"):
        version = registry.register("churn")
    with pytest.raises(mr.UntrustedModelError):
        version.load()


def test_a_candidate_whose_inputs_changed_is_said_to_be_incompatible(project: Path) -> None:
    boosted(project / "models" / "model.bin")
    registry = declared(project, "model.bin")
    registry.register("churn")
    model = xgboost.XGBClassifier(n_estimators=2).fit(np.c_[ROWS, ROWS], LABELS)
    model.save_model(project / "models" / "model.ubj")
    (project / "models" / "model.ubj").rename(project / "models" / "model.bin")
    commit(project)
    registry.register("churn")
    compared = registry.compare("churn@v0.1.0", "churn@v0.1.1")
    assert any("input 3" in reason for reason in compared.incompatibilities)
