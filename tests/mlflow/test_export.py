"""What is exported for MLflow is loaded by MLflow, in a process of its own, and answers as the model does here."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skl2onnx
import skops.io
import xgboost
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, everything, write
from tests.mlflow.conftest import Source

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
DATA, TARGET = load_iris(return_X_y=True)
FRAME = pd.DataFrame(DATA, columns=FEATURES)
ROWS = FRAME.iloc[::15]
LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
import mlflow.pyfunc
rows = pd.DataFrame(json.load(sys.stdin)).astype("float32" if sys.argv[2:] == ["mlflow.onnx"] else "float64")
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(rows)
answer = next(iter(answer.values())) if isinstance(answer, dict) else answer
found = {"answer": getattr(answer, "to_numpy", lambda: answer)().tolist(), "metadata": model.metadata.metadata}
found["signature"] = model.metadata.signature.to_dict() if model.metadata.signature else None
if len(sys.argv) > 2:
    import importlib
    found["native"] = type(importlib.import_module(sys.argv[2]).load_model(sys.argv[1])).__name__
print(json.dumps(found))
"""


def linear() -> LogisticRegression:
    return LogisticRegression(max_iter=400).fit(FRAME, TARGET)


def booster() -> lightgbm.Booster:
    dataset = lightgbm.Dataset(FRAME, DATA[:, 0])
    return lightgbm.train({"objective": "regression", "verbose": -1}, dataset, 5)


def write_onnx(path: Path) -> None:
    graph = skl2onnx.to_onnx(linear(), DATA[:1].astype("float32"), options={"zipmap": False})
    path.write_bytes(graph.SerializeToString())


MAKERS: dict[str, Callable[[Path], object]] = {
    "linear.skops": lambda path: skops.io.dump(linear(), path),
    "linear.joblib": lambda path: joblib.dump(linear(), path),
    "linear.pkl": lambda path: path.write_bytes(pickle.dumps(linear())),
    "linear.onnx": write_onnx,
    "trees.ubj": lambda path: xgboost.XGBClassifier(n_estimators=5).fit(FRAME, TARGET).save_model(path),
    "trees.json": lambda path: xgboost.train(
        {"objective": "reg:squarederror"}, xgboost.DMatrix(FRAME, DATA[:, 0]), 5
    ).save_model(path),
    "leaves.txt": lambda path: booster().save_model(path),
}
NATIVE = {
    "linear.skops": ("mlflow.sklearn", "LogisticRegression"),
    "linear.pkl": ("mlflow.sklearn", "LogisticRegression"),
    "linear.onnx": ("mlflow.onnx", "ModelProto"),
    "trees.ubj": ("mlflow.xgboost", "XGBClassifier"),
    "trees.json": ("mlflow.xgboost", "Booster"),
    "leaves.txt": ("mlflow.lightgbm", "Booster"),
}


@pytest.fixture
def register(project: Path) -> Callable[..., mr.ModelVersion]:
    """Registers a file that is in Git."""

    def register(file: str, **more: object) -> mr.ModelVersion:
        (project / "models").mkdir(exist_ok=True)
        MAKERS[file](project / "models" / file)
        write(project / "dvc.yaml", f"artifacts:\n  it: {{path: models/{file}, type: model}}\n")
        commit(project)
        return Registry(project).register("it", **more)  # type: ignore[arg-type]

    return register


def loaded_by_mlflow(
    python: Callable[..., subprocess.CompletedProcess[str]], folder: Path, *more: str
) -> dict[str, object]:
    done = python(LOAD, os.fspath(folder), *more, stdin=json.dumps(ROWS.to_dict("list")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answer_here(version: mr.ModelVersion) -> object:
    model = version.load()
    if hasattr(model, "get_inputs"):
        return model.run(None, {model.get_inputs()[0].name: ROWS.to_numpy("float32")})[0]
    return model.predict(xgboost.DMatrix(ROWS) if isinstance(model, xgboost.Booster) else ROWS)


@pytest.mark.parametrize("file", MAKERS)
def test_mlflow_loads_it_and_it_answers_as_it_does_here(
    file: str, register: Callable[..., mr.ModelVersion], tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    version = register(file)
    exported = version.export(tmp_path / "out", format="mlflow")
    module, kind = NATIVE.get(file, (None, None))
    found = loaded_by_mlflow(python, tmp_path / "out", *([module] if module else []))
    assert np.allclose(found["answer"], answer_here(version))
    assert found.get("native") == kind
    assert found["metadata"]["modelregistry"]["digest"] == version.digest
    assert exported.artifact == os.fspath(tmp_path / "out" / file)
    assert mr.verify_export(tmp_path / "out").reference == "it@v0.1.0"  # and MLflow left nothing there


def test_what_it_is_and_where_it_came_from_is_in_mlflows_own_file(
    register: Callable[..., mr.ModelVersion], tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    columns = [{"name": name, "type": "float64"} for name in FEATURES]
    signature = {
        "inputs": columns,
        "outputs": [{"name": "predict", "type": "int64"}, {"name": "predict_proba"}],
    }
    version = register("linear.skops", metadata={"signature": signature}, message="as good as any")
    version.export(tmp_path / "out", format="mlflow")
    found = loaded_by_mlflow(python, tmp_path / "out")
    origin = found["metadata"]["modelregistry"]
    wanted = {
        "name": "it", "version": "v0.1.0", "rev": version.rev, "path": "models/linear.skops",
        "registered_by": "Ann Author", "message": "as good as any", "registry": version.registered.registry,
    }  # fmt: skip
    assert {key: origin[key] for key in wanted} == wanted
    assert {"kind": "run"}.items() <= origin["lineage"][0].items()
    assert [column["type"] for column in json.loads(found["signature"]["inputs"])] == ["double"] * 4
    assert json.loads(found["signature"]["outputs"]) == [{"type": "long", "required": True}]
    environment = version.environment
    requirements = (tmp_path / "out" / "requirements.txt").read_text().splitlines()
    assert requirements[0] == "mlflow"
    assert f"scikit-learn=={environment['scikit-learn']}" in requirements
    assert any(line.partition("==")[0] == "skops" for line in requirements)
    assert (
        yaml.safe_load((tmp_path / "out" / "python_env.yaml").read_text())["python"] == environment["python"]
    )


def test_the_same_version_gives_the_same_bytes(
    register: Callable[..., mr.ModelVersion], tmp_path: Path
) -> None:
    version = register("linear.joblib")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        version.export(folder, format="mlflow")
    one, two = (
        {path: data for path, data in everything(folder).items() if path != "manifest.json"}
        for folder in folders
    )
    assert one == two
    assert {*one} == {
        "MLmodel",
        "linear.joblib",
        "code.zip",
        "requirements.txt",
        "conda.yaml",
        "python_env.yaml",
    }
    assert not version.export(folders[0], format="mlflow").written


def test_what_came_from_mlflow_goes_back_as_it_was(
    there: Source, registry: Registry, tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    registry.import_mlflow(there.uri, models=["trees"])
    exported = registry.get("trees").export(tmp_path / "out", format="mlflow")
    assert exported.artifact == os.fspath(tmp_path / "out")
    assert np.allclose(loaded_by_mlflow(python, tmp_path / "out")["answer"], there.predictions["trees/1"])
    (original,) = [path.parent for path in there.folder.rglob("MLmodel") if "xgboost" in path.read_text()]
    assert everything(original).items() <= everything(tmp_path / "out").items()
    assert mr.verify_export(tmp_path / "out").reference == "trees@v1.0.0"


def test_what_skops_does_not_trust_is_not_trusted_for_being_exported(
    project: Path, tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    skops.io.dump(DecisionTreeClassifier().fit(FRAME, TARGET), project / "tree.skops")
    write(project / "dvc.yaml", "artifacts:\n  it: {path: tree.skops, type: model}\n")
    commit(project)
    with pytest.warns(mr.RegistryWarning, match="nobody vouches for"):
        version = Registry(project).register("it")
    version.export(tmp_path / "out", format="mlflow")
    done = python(LOAD, os.fspath(tmp_path / "out"), stdin="{}")
    assert "Untrusted types found in the file" in done.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"it/a.json": "{}", "it/b.json": "{}"}, "a folder of 2 files, and none of MLflow's"),
        ({"it": "plain text"}, "by a loader that nobody recorded"),
    ],
)
def test_what_mlflow_can_not_load_is_not_exported_for_it(
    files: dict[str, str], message: str, project: Path, tmp_path: Path
) -> None:
    for path, text in files.items():
        write(project / path, text)
    write(project / "dvc.yaml", "artifacts:\n  it: {path: it, type: model}\n")
    commit(project)
    version = Registry(project).register("it")
    with pytest.raises(mr.ExportError, match=message):
        version.export(tmp_path / "out", format="mlflow")
    assert not (tmp_path / "out").exists()


def test_a_file_that_xgboost_would_misread_by_its_name_is_refused(project: Path, tmp_path: Path) -> None:
    MAKERS["trees.ubj"](project / "trees.ubj")
    (project / "trees.ubj").rename(project / "trees.model")
    write(project / "dvc.yaml", "artifacts:\n  it: {path: trees.model, type: model}\n")
    commit(project)
    with pytest.raises(mr.ExportError, match=r"'\.ubj'"):
        Registry(project).register("it").export(tmp_path / "out", format="mlflow")
