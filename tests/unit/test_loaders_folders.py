"""Folders of MLflow, transformers, sentence-transformers and spaCy, and Keras files, judged without their libraries."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression

from modelregistry.errors import (
    InvalidFileError,
    MissingDependencyError,
    RegistryError,
    UnknownFormatError,
    UntrustedModelError,
)
from modelregistry.loaders.base import Likeness, Tier
from modelregistry.loaders.keras import KerasLoader
from modelregistry.loaders.mlflow import MLflowLoader
from modelregistry.loaders.sentencetransformers import SentenceTransformersLoader
from modelregistry.loaders.spacy import SpacyLoader
from modelregistry.loaders.transformers import TransformersLoader
from modelregistry.loading.loaderchoice import choose
from modelregistry.metadata.signature import Column
from modelregistry.plugins import loaders_for
from tests.formatloading import load

ROWS = np.random.default_rng(0).random((40, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)

# ------------------------------------------------------------------ MLflow

MLMODEL = """\
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: %(data)s
  %(flavor)s
mlflow_version: 3.17.2
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string", "name": "city",
    "required": false}, {"type": "datetime", "name": "since"}, {"type": "of our own", "name": "odd"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 2]}}]'
  params: null
"""
SKLEARN = "sklearn: {pickled_model: %(data)s, serialization_format: skops, skops_trusted_types: [os.system]}"


def saved(folder: Path, flavor: str = SKLEARN, data: str = "model.skops") -> Path:
    folder.mkdir(exist_ok=True)
    skops.io.dump(LogisticRegression().fit(ROWS, LABELS), folder / "model.skops")
    (folder / "MLmodel").write_text(MLMODEL % {"data": data, "flavor": flavor % {"data": data}})
    (folder / "requirements.txt").write_text(
        "mlflow==3.17.2\nscikit-learn==1.9.1  # as it was\nnumpy<3,>=2\n--index-url https://example.com\nskops==0.*\n\n"
    )
    for name in ("conda.yaml", "python_env.yaml"):
        (folder / name).write_text("{}")
    return folder


def test_the_model_in_a_folder_of_mlflow_is_read_by_its_own_loader(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    choice = choose(folder, "model", loaders_for(folder, "model", None))
    assert (choice.loader.name, choice.path) == ("skops", folder / "model.skops")
    assert choice.around is not None
    assert choice.around.name == "mlflow"
    assert isinstance(load(folder), LogisticRegression)


def test_its_settings_tell_the_signature_and_the_pinned_requirements(tmp_path: Path) -> None:
    described = MLflowLoader().describe(saved(tmp_path / "model"))
    assert described.packages == {"mlflow": "3.17.2", "scikit-learn": "1.9.1"}
    assert described.signature is not None
    assert described.signature.inputs == (
        Column("age", "float64"),
        Column("city", "str", required=False),
        Column("since", "datetime64[ns]"),
        Column("odd"),
    )
    assert described.signature.outputs == (Column(None, "int64", (None, 2)),)


def test_what_is_in_the_file_counts_and_not_what_the_settings_say_of_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "xgboost: {data: %(data)s, model_class: os.system}", "model.bin")
    xgboost.XGBClassifier(n_estimators=2).fit(ROWS, LABELS).save_model(tmp_path / "made.ubj")
    (tmp_path / "made.ubj").rename(folder / "model.bin")
    assert isinstance(load(folder), xgboost.XGBClassifier)


@pytest.mark.parametrize(
    "flavor",
    [
        "sklearn: {pickled_model: ../secret.skops}",
        "sklearn: {pickled_model: /etc/passwd}",
        "sklearn: {pickled_model: missing.skops}",
        "sklearn: {pickled_model: MLmodel}",
        "sklearn: {pickled_model: model.skops, code: code}",
        "sklearn: {pickled_model: model.skops, data: conda.yaml}",
        "sklearn: {pickled_model: [model.skops]}",
        "sklearn: {pickled_model: model.skops}\n  onnx: {data: model.skops}",
        "sklearn: model.skops",
        "sklearn: {}",
    ],
)
def test_what_does_not_lead_to_one_model_is_code(flavor: str, tmp_path: Path) -> None:
    skops.io.dump(1, tmp_path / "secret.skops")
    with pytest.raises(UntrustedModelError) as caught:
        load(saved(tmp_path / "model", flavor))
    assert (caught.value.tier, caught.value.names) == ("code", ("mlflow.pyfunc.load_model",))


def test_who_wants_mlflow_gets_code(tmp_path: Path) -> None:
    with pytest.raises(UntrustedModelError):
        load(saved(tmp_path / "model"), loader="mlflow")
    with pytest.raises(MissingDependencyError, match=r"modelregistry\[mlflow\]"):
        load(saved(tmp_path / "model"), loader="mlflow", trust="code")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", UnknownFormatError),
        ("- a", UnknownFormatError),
        ("a: [", InvalidFileError),
        ("a: &a [x]\nb: [*a" + ",*a" * 20_000 + "]", InvalidFileError),
        ("flavors: !!python/object/apply:os.system [id]\nsignature: {inputs: 'no JSON'}", UnknownFormatError),
        ("signature: {inputs: '[1]'}", UnknownFormatError),
        ('signature: {inputs: \'[{"type": "tensor"}]\'}', UnknownFormatError),
    ],
)
def test_malformed_settings_are_one_clear_error(
    text: str, error: type[RegistryError], tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text(text)
    assert MLflowLoader().part(tmp_path) is None
    with pytest.raises(error, match=r"MLmodel|can't be read by loader 'mlflow'"):
        MLflowLoader().describe(tmp_path)


def test_a_folder_without_the_file_is_not_mlflows(tmp_path: Path) -> None:
    assert MLflowLoader().recognises(tmp_path, "model") is Likeness.NONE
    with pytest.raises(UnknownFormatError, match="has no MLmodel"):
        load(tmp_path, loader="mlflow")


# ------------------------------------------------------------------ transformers and sentence-transformers


def folder_of(place: Path, files: Mapping[str, object]) -> Path:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return place


BERT = {
    "config.json": {"architectures": ["BertModel"], "model_type": "bert", "transformers_version": "5.24.0"},
    "model.safetensors": b"weights",
    "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "tokenizer_file": None},
}


def test_a_folder_of_transformers_is_one_by_its_configuration_and_weights(tmp_path: Path) -> None:
    found = TransformersLoader()
    folder = folder_of(tmp_path / "bert", BERT)
    assert found.recognises(folder, "bert") is Likeness.MARKER
    assert (found.inspect(folder).tier, found.inspect(folder).names) == (Tier.CONFINED, ())
    assert found.describe(folder).packages == {"transformers": "5.24.0"}
    with pytest.raises(MissingDependencyError, match=r"modelregistry\[transformers\]"):
        load(folder)
    (folder / "model.safetensors").unlink()
    assert found.recognises(folder, "bert") is Likeness.NONE


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"config.json": {"auto_map": {"AutoModel": "a.B"}}}, "config.json: auto_map"),
        ({"config.json": {"vision": [{"trust_remote_code": True}]}}, "config.json: trust_remote_code"),
        ({"config.json": {"quantization_config": {"quant_method": "x"}}}, "config.json: quantization_config"),
        (
            {"config.json": {"attn_implementation": {"": "eager", "text": "some/kernel"}}},
            "config.json: attn_implementation",
        ),
        ({"tokenizer_config.json": {"vocab_file": "/etc/passwd"}}, "tokenizer_config.json: vocab_file"),
        (
            {"preprocessor_config.json": {"auto_map": {"AutoProcessor": "a.B"}}},
            "preprocessor_config.json: auto_map",
        ),
        (
            {"generation_config.json": {"custom_pipelines": {"a": "b"}}},
            "generation_config.json: custom_pipelines",
        ),
    ],
)
def test_settings_that_lead_to_code_or_elsewhere_are_code(
    files: Mapping[str, object], name: str, tmp_path: Path
) -> None:
    with pytest.raises(UntrustedModelError) as caught:
        load(folder_of(tmp_path / "bert", {**BERT, **files}))
    assert (caught.value.tier, caught.value.names) == ("code", (name,))


def test_settings_that_say_nothing_of_it_are_not(tmp_path: Path) -> None:
    quiet = {
        "auto_map": None,
        "trust_remote_code": False,
        "attn_implementation": "sdpa",
        "quantization_config": None,
    }
    folder = folder_of(tmp_path / "bert", {**BERT, "config.json": quiet})
    assert TransformersLoader().inspect(folder).tier is Tier.CONFINED


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_settings_that_are_no_json_are_one_clear_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"'config\.json' (is no JSON|holds no object)"):
        load(folder_of(tmp_path / "bert", {**BERT, "config.json": content}))


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "missing.safetensors"])
def test_weights_outside_the_folder_are_refused(shard: str, tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path / "bert", {**BERT, "model.safetensors.index.json": {"weight_map": {"a": shard}}}
    )
    with pytest.raises(UnknownFormatError, match=r"which is not in it|has no such file"):
        load(folder)


EMBEDDER = {
    **BERT,
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.base.modules.dense.Dense"},
    ],
    "1_Pooling/config.json": {"pooling_mode": "mean"},
    "2_Dense/config.json": {"activation_function": "torch.nn.modules.activation.Tanh"},
    "2_Dense/model.safetensors": b"weights",
    "sentence_bert_config.json": {"max_seq_length": 16, "do_lower_case": False},
    "config_sentence_transformers.json": {
        "__version__": {"sentence_transformers": "6.2.0", "pytorch": "2.13.0"}
    },
}


def test_a_folder_with_modules_is_of_sentence_transformers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "embedder", EMBEDDER)
    assert (
        choose(folder, "embedder", loaders_for(folder, "embedder", None)).loader.name
        == "sentence-transformers"
    )
    assert SentenceTransformersLoader().inspect(folder).tier is Tier.CONFINED
    assert SentenceTransformersLoader().describe(folder).packages == {
        "sentence-transformers": "6.2.0",
        "torch": "2.13.0",
    }
    with pytest.raises(MissingDependencyError, match=r"modelregistry\[sentence-transformers\]"):
        load(folder)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"modules.json": [{"path": "", "type": "custom.Mine"}]}, "custom.Mine"),
        (
            {"modules.json": [{"path": "", "type": "sentence_transformers.util.http_get"}]},
            "sentence_transformers.util.http_get",
        ),
        ({"2_Dense/config.json": {"activation_function": "os.abort"}}, "os.abort"),
        ({"config.json": {"auto_map": {"AutoModel": "a.B"}}}, "config.json: auto_map"),
        ({"sentence_bert_config.json": {"model_args": {}}}, "sentence_bert_config.json: model_args"),
        ({"config_sentence_transformers.json": {"model_type": "CrossEncoder"}}, "model_type 'CrossEncoder'"),
    ],
)
def test_modules_and_settings_that_are_not_listed_are_code(
    files: Mapping[str, object], name: str, tmp_path: Path
) -> None:
    with pytest.raises(UntrustedModelError) as caught:
        load(folder_of(tmp_path / "embedder", {**EMBEDDER, **files}))
    assert (caught.value.tier, caught.value.names) == ("code", (name,))


@pytest.mark.parametrize(
    "modules", [b"", {}, [1], [{}], [{"type": 1, "path": ""}], [{"type": "a.B", "path": "../elsewhere"}]]
)
def test_a_malformed_list_of_modules_is_one_clear_error(modules: object, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "embedder", {**EMBEDDER, "modules.json": modules})
    if modules == {}:  # no modules, so nothing that runs
        assert SentenceTransformersLoader().inspect(folder).tier is Tier.CONFINED
        return
    with pytest.raises(UnknownFormatError):
        load(folder)


def test_a_pipeline_of_spacy_is_code(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "english", {"meta.json": {}, "config.cfg": b""})
    assert SpacyLoader().recognises(folder, "english") is Likeness.MARKER
    with pytest.raises(UntrustedModelError) as caught:
        load(folder, trust=["spacy.load"])
    assert caught.value.tier == "code"
    with pytest.raises(MissingDependencyError, match=r"modelregistry\[spacy\]"):
        load(folder, trust="code")


# ------------------------------------------------------------------ Keras


def kept(path: Path, config: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", config if isinstance(config, bytes) else json.dumps(config))
        archive.writestr("model.weights.h5", b"")
    return path


def layer(class_: str, module: str | None = "keras.layers", **more: object) -> dict[str, object]:
    return {"module": module, "class_name": class_, "config": {}, "registered_name": None, **more}


def model(*layers: object) -> dict[str, object]:
    return {**layer("Sequential", "keras"), "config": {"name": "s", "layers": list(layers)}}


def test_a_keras_file_of_listed_classes_is_confined(tmp_path: Path) -> None:
    path = kept(tmp_path / "model", model(layer("Dense"), layer("LSTM"), layer("Add", "keras.src.ops.numpy")))
    assert KerasLoader().recognises(path, "model") is Likeness.MAGIC
    assert KerasLoader().inspect(path).tier is Tier.CONFINED
    assert KerasLoader().describe(path).packages == {"keras": "3.15.1"}
    with pytest.raises(MissingDependencyError, match=r"modelregistry\[keras\]"):
        load(path)


@pytest.mark.parametrize(
    ("odd", "name", "tier"),
    [
        (layer("Lambda"), "keras.layers.Lambda", "code"),
        (layer("TorchModuleWrapper"), "keras.layers.TorchModuleWrapper", "code"),
        (layer("__lambda__", "builtins"), "__lambda__", "code"),
        (layer("Clipper", "mypkg.layers", registered_name="mypkg>Clipper"), "mypkg.layers.Clipper", "named"),
        (layer("Dense", registered_name="mypkg>Dense"), "keras.layers.Dense", "named"),
        (layer("Clipper", None), "Clipper", "named"),
        (layer("StringLookup"), "keras.layers.StringLookup", "named"),
        (layer("get_file", "keras.utils"), "keras.utils.get_file", "named"),
        (layer("While", "keras.src.ops.core"), "keras.src.ops.core.While", "named"),
        ({**layer("function", "builtins"), "config": "exec"}, "builtins.exec", "named"),
        ({**layer("TimeDistributed"), "config": {"layer": layer("Lambda")}}, "keras.layers.Lambda", "code"),
    ],
)
def test_a_class_or_function_outside_the_list_is_named_or_code(
    odd: object, name: str, tier: str, tmp_path: Path
) -> None:
    path = kept(tmp_path / "model.keras", model(layer("Dense"), odd))
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    assert (caught.value.names, caught.value.tier) == ((name,), tier)


def test_how_it_was_compiled_is_not_asked(tmp_path: Path) -> None:
    config = {
        **model(layer("Dense")),
        "compile_config": {"loss": {**layer("function", "mypkg"), "config": "loss"}},
    }
    assert KerasLoader().inspect(kept(tmp_path / "model.keras", config)).tier is Tier.CONFINED


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        {"class_name": 1, "config": {}},
        {"class_name": "A", "config": {}, "module": 1},
    ],
)
def test_a_malformed_configuration_is_one_clear_error(config: object, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"'model\.keras' can't be read by loader 'keras'"):
        load(kept(tmp_path / "model.keras", config))
