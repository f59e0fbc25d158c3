"""The loaders keep the laws; so does the one that the documentation shows, as anybody's would."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import safetensors.numpy
import skops.io
import xgboost
from npz_loader import NpzLoader
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from modelregistry.loaders.base import Loader, Permit
from modelregistry.loaders.lightgbm import LightGBMLoader
from modelregistry.loaders.onnx import OnnxLoader
from modelregistry.loaders.paths import GGUFLoader
from modelregistry.loaders.pickles import JoblibLoader, PickleLoader
from modelregistry.loaders.safetensors import SafetensorsLoader
from modelregistry.loaders.skops import SkopsLoader
from modelregistry.loaders.spacy import SpacyLoader
from modelregistry.loaders.xgboost import XGBoostLoader
from modelregistry.testing import LoaderSuite

ROWS = np.random.default_rng(0).random((40, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)


class Touching:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def answers_alike(saved: Any, loaded: Any) -> bool:
    return type(saved) is type(loaded) and np.array_equal(saved.predict(ROWS), loaded.predict(ROWS))


def negation() -> Any:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])


class TestNpzLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return NpzLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        np.savez(tmp_path / "model.npz", a=np.arange(3))
        return tmp_path / "model.npz"


class TestPickleLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return PickleLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": [1, 2], "b": "text"}))
        return tmp_path / "model.pkl"

    @pytest.fixture
    def hostile(self, tmp_path: Path, mark: Path) -> Path:
        (tmp_path / "hostile.pkl").write_bytes(pickle.dumps(Touching(mark)))
        return tmp_path / "hostile.pkl"

    @pytest.fixture
    def model(self) -> object:
        return {"a": [1, 2], "b": "text"}

    def alike(self, saved: object, loaded: object) -> bool:
        return saved == loaded


class TestJoblibLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return JoblibLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        joblib.dump(LogisticRegression().fit(ROWS, LABELS), tmp_path / "model.joblib")
        return tmp_path / "model.joblib"

    @pytest.fixture
    def model(self) -> object:
        return RandomForestClassifier(3).fit(ROWS, LABELS)

    def alike(self, saved: object, loaded: object) -> bool:
        return answers_alike(saved, loaded)


class TestSkopsLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return SkopsLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        skops.io.dump(LogisticRegression().fit(ROWS, LABELS), tmp_path / "model.skops")
        return tmp_path / "model.skops"

    @pytest.fixture
    def hostile(self, tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "runs_when_imported.py").write_text(
            f"open({str(mark)!r}, 'w').close()\nclass Model: pass\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        path = tmp_path / "hostile.skops"
        skops.io.dump(LogisticRegression(), path)
        with zipfile.ZipFile(path) as archive:
            schema = archive.read("schema.json").decode()
        schema = schema.replace('"sklearn.linear_model._logistic"', '"runs_when_imported"')
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", schema.replace('"LogisticRegression"', '"Model"'))
        return path

    @pytest.fixture
    def model(self) -> object:
        return LogisticRegression().fit(ROWS, LABELS)

    def alike(self, saved: object, loaded: object) -> bool:
        return answers_alike(saved, loaded)


class TestOnnxLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return OnnxLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        (tmp_path / "model.onnx").write_bytes(negation().SerializeToString())
        return tmp_path / "model.onnx"

    @pytest.fixture
    def model(self) -> object:
        return negation()

    def alike(self, saved: object, loaded: Any) -> bool:
        return loaded.run(None, {"x": np.array([1, 2], np.float32)})[0].tolist() == [-1, -2]


class TestSafetensorsLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return SafetensorsLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        safetensors.numpy.save_file({"a": np.arange(3)}, tmp_path / "model.safetensors")
        return tmp_path / "model.safetensors"

    @pytest.fixture
    def model(self) -> object:
        return {"a": np.arange(6).reshape(2, 3).T, "b": np.float32(1) * np.ones(2, np.float32)}

    def alike(self, saved: Any, loaded: Any) -> bool:
        return saved.keys() == loaded.keys() and all(
            np.array_equal(saved[name], loaded[name]) and saved[name].dtype == loaded[name].dtype
            for name in saved
        )


class TestXGBoostLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return XGBoostLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        xgboost.XGBClassifier(n_estimators=2).fit(ROWS, LABELS).save_model(tmp_path / "model.ubj")
        return tmp_path / "model.ubj"

    @pytest.fixture
    def model(self) -> object:
        return xgboost.XGBClassifier(n_estimators=2).fit(ROWS, LABELS)

    def alike(self, saved: object, loaded: object) -> bool:
        return answers_alike(saved, loaded)


class TestLightGBMLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return LightGBMLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, LABELS), 2).save_model(tmp_path / "model.txt")
        return tmp_path / "model.txt"

    @pytest.fixture
    def model(self) -> object:
        return lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, LABELS), 2)

    def alike(self, saved: object, loaded: object) -> bool:
        return answers_alike(saved, loaded)


class TestGGUFLoader(LoaderSuite):
    @pytest.fixture
    def loader(self) -> Loader:
        return GGUFLoader()

    @pytest.fixture
    def artifact(self, tmp_path: Path) -> Path:
        (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(20))
        return tmp_path / "model.gguf"


class Careless(PickleLoader):
    """Breaks the law that the suite is there for."""

    def load(self, path: Path, permit: Permit) -> object:
        return self.load_freely(path)


def test_the_suite_sees_a_loader_that_breaks_the_laws(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps(Touching(mark)))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        LoaderSuite().test_hostile_code_runs_only_where_code_may(Careless(), path, mark)
    with pytest.raises(AssertionError):
        LoaderSuite().test_its_own_format_is_recognised_and_loads(SpacyLoader(), path, Permit())
