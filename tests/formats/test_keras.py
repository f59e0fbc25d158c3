"""Keras files are built of listed classes; other classes are named, and code is code."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from modelregistry.errors import UnknownFormatError, UntrustedModelError
from modelregistry.loaders import keras as module
from modelregistry.loaders.base import Tier
from modelregistry.loaders.keras import KerasLoader

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours
LOADER = KerasLoader()
ROWS = np.linspace(0, 1, 12).reshape(4, 3)
Load = Callable[..., object]


@pytest.fixture(scope="session")
def model() -> keras.Model:
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "relu", kernel_regularizer="l2")(inputs)
    hidden = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(hidden))
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden + 1.0) * 2.0)
    model.compile("adam", "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("name", ["model.keras", "model.zip", "model"])
def test_a_model_of_keras_own_layers_loads_whatever_it_is_called(
    name: str, model: keras.Model, tmp_path: Path, load: Load
) -> None:
    path = tmp_path / name
    model.save(tmp_path / "made.keras")
    (tmp_path / "made.keras").rename(path)
    assert LOADER.inspect(path).names == ()
    assert LOADER.describe(path).packages == {"keras": keras.__version__}
    loaded = load(path)
    assert isinstance(loaded, keras.Model)
    np.testing.assert_array_equal(loaded.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_lambda_runs_only_with_code(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "model.keras"
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(path)
    assert LOADER.inspect(path).tier is Tier.CODE
    for trust in (None, ["keras.layers.Lambda"]):
        with pytest.raises(UntrustedModelError) as caught:
            load(path, trust=trust)
        assert caught.value.tier == "code"
    loaded = load(path, trust="code")
    assert isinstance(loaded, keras.Model)
    np.testing.assert_allclose(loaded.predict(ROWS, verbose=0), ROWS * 2, rtol=1e-6)


def test_a_class_of_ones_own_is_named_and_loads_when_it_is_given(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clipping.py").write_text(
        "import keras\n"
        "class Clipper(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        return keras.ops.clip(inputs, 0.2, 0.8)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from clipping import Clipper  # type: ignore[import-not-found]

    path = tmp_path / "model.keras"
    inputs = keras.Input((3,))
    keras.Model(inputs, Clipper()(inputs)).save(path)
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    assert (caught.value.tier, caught.value.names) == ("named", ("clipping.Clipper",))
    loaded = load(path, trust=["clipping.Clipper"])
    assert isinstance(loaded, keras.Model)
    assert loaded.predict(ROWS, verbose=0).max() < 0.81


def test_every_listed_class_is_keras_own() -> None:
    for place, names in module._LISTED.items():
        if place == "builtins" or place.startswith("keras.src"):
            continue
        for name in names:
            assert hasattr(getattr(keras, place.removeprefix("keras.")) if "." in place else keras, name), (
                name
            )


def test_no_listed_class_is_one_that_keras_itself_refuses(tmp_path: Path) -> None:
    refused = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup"}
    assert not refused & module._LISTED["keras.layers"]


def change(path: Path, **news: object) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps({**json.loads(members["config.json"]), **news}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_what_is_registered_under_another_name_is_not_taken_for_keras_own(
    model: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.keras"
    model.save(path)
    change(path, registered_name="mine>Functional")
    assert LOADER.inspect(path).names == ("keras.src.models.functional.Functional",)


def test_a_cut_file_is_one_clear_error(model: keras.Model, tmp_path: Path, load: Load) -> None:
    path = tmp_path / "model.keras"
    model.save(path)
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 23):
        path.write_bytes(content[:size])
        with pytest.raises(UnknownFormatError, match=r"'model\.keras'"):
            load(path)
