"""Folders of transformers and sentence-transformers load from themselves alone, and run no code of theirs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from modelregistry.errors import UnknownFormatError, UntrustedModelError
from modelregistry.loaders.sentencetransformers import SentenceTransformersLoader
from modelregistry.loaders.transformers import Pretrained, TransformersLoader

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]
Load = Callable[..., object]


def config() -> transformers.BertConfig:
    return transformers.BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16,
    )  # fmt: skip


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "sentiment"
    transformers.BertForSequenceClassification(config()).save_pretrained(folder)
    tokenizer = transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def embedder(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "embedder"
    base = folder.with_name("base")
    shutil.copytree(classifier, base)
    transformers.BertModel(config()).save_pretrained(base)
    parts = [modules.Transformer(str(base)), modules.Pooling(8), modules.Dense(8, 4), modules.Normalize()]
    SentenceTransformer(modules=parts).save(str(folder))
    return folder


@pytest.fixture
def folder(classifier: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classifier, tmp_path / "sentiment"))


def change(path: Path, **news: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **news}))


def test_the_model_comes_with_its_tokenizer(classifier: Path, load: Load) -> None:
    model, tokenizer = load(classifier)  # type: ignore[misc]
    assert type(model).__name__ == "BertForSequenceClassification"
    assert not model.training
    encoded = tokenizer("good film", return_tensors="pt")
    assert model(**encoded).logits.shape == (1, 2)
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)
    assert pipeline("good film")[0]["label"].startswith("LABEL")
    assert TransformersLoader().describe(classifier).packages == {"transformers": transformers.__version__}


def test_a_model_without_a_tokenizer_comes_alone(folder: Path, load: Load) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    loaded = load(folder)
    assert isinstance(loaded, Pretrained)
    assert loaded.processor is None


def test_progress_bars_are_as_they_were(classifier: Path, load: Load) -> None:
    load(classifier)
    assert transformers.utils.logging.is_progress_bar_enabled()


MODELING = """
import transformers
open({mark!r}, "w").close()
class Config(transformers.BertConfig):
    pass
class Model(transformers.BertForSequenceClassification):
    config_class = Config
"""


def test_code_in_the_folder_runs_only_with_code(
    folder: Path, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    (folder / "modeling.py").write_text(MODELING.format(mark=str(mark)))
    remote = {"AutoConfig": "modeling.Config", "AutoModelForSequenceClassification": "modeling.Model"}
    change(folder / "config.json", auto_map=remote, architectures=["Model"])
    with pytest.raises(UntrustedModelError) as caught:
        load(folder)
    assert (caught.value.tier, caught.value.names) == ("code", ("config.json: auto_map",))
    assert not mark.exists()
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    loaded = load(folder, trust="code")
    assert isinstance(loaded, Pretrained)
    assert type(loaded.model).__name__ == "Model"
    assert mark.exists()


def test_weights_that_are_pickles_are_code(folder: Path, load: Load) -> None:
    model, _ = load(folder)  # type: ignore[misc]
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UntrustedModelError) as caught:
        load(folder)
    assert caught.value.names == ("weights other than safetensors",)
    assert isinstance(load(folder, trust="code"), Pretrained)


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("config.json", {"trust_remote_code": True}),
        ("config.json", {"text_config": {"auto_map": {"AutoConfig": "modeling.Config"}}}),
        ("config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}),
        ("config.json", {"_attn_implementation": "somebody/attention"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tokenizing.Tokenizer", None]}}),
        ("tokenizer_config.json", {"vocab_file": "/etc/passwd"}),
    ],
)
def test_settings_that_lead_to_code_or_elsewhere_are_code(
    file: str, setting: dict[str, object], folder: Path, load: Load
) -> None:
    change(folder / file, **setting)
    with pytest.raises(UntrustedModelError) as caught:
        load(folder)
    assert caught.value.tier == "code"
    assert all(name.startswith(file) for name in caught.value.names)


def test_an_adapter_says_that_its_base_is_elsewhere(folder: Path, load: Load) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/somewhere"}')
    with pytest.raises(UnknownFormatError, match="base model is elsewhere"):
        load(folder)


def test_shards_outside_the_folder_are_refused(folder: Path, load: Load) -> None:
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"metadata": {}, "weight_map": {"a": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnknownFormatError, match="which is not in it"):
        load(folder)


def test_a_name_that_is_no_model_is_refused(folder: Path, load: Load) -> None:
    for name in ("pipeline", "BertTokenizerFast", "NoSuchModel"):
        change(folder / "config.json", architectures=[name])
        with pytest.raises(UnknownFormatError, match=f"'{name}' is no model"):
            load(folder)


def test_damaged_weights_are_one_clear_error(folder: Path, load: Load) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    for size in (0, 4, 100, len(content) - 1):
        weights.write_bytes(content[:size])
        with pytest.raises(UnknownFormatError, match="'sentiment' can't be read"):
            load(folder)


# ------------------------------------------------------------------ sentence-transformers


def test_an_embedder_loads(embedder: Path, load: Load) -> None:
    loaded = load(embedder)
    assert isinstance(loaded, SentenceTransformer)
    assert loaded.encode(["good film"]).shape == (1, 4)
    packages = SentenceTransformersLoader().describe(embedder).packages
    assert packages["transformers"] == transformers.__version__
    assert {"torch", "sentence-transformers"} <= packages.keys()


def test_a_module_of_the_folder_runs_only_with_code(
    embedder: Path, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mark = Path(shutil.copytree(embedder, tmp_path / "embedder")), tmp_path / "mark"
    (folder / "custom.py").write_text(
        f"open({str(mark)!r}, 'w').close()\n"
        "from sentence_transformers.sentence_transformer.modules import Normalize\n"
        "class Mine(Normalize): pass\n"
    )
    listed = json.loads((folder / "modules.json").read_text())
    listed[-1]["type"] = "custom.Mine"
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UntrustedModelError) as caught:
        load(folder)
    assert caught.value.names == ("custom.Mine",)
    assert not mark.exists()
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    load(folder, trust="code")
    assert mark.exists()


@pytest.mark.parametrize(
    ("file", "setting", "name"),
    [
        ("2_Dense/config.json", {"activation_function": "torch.hub.load"}, "torch.hub.load"),
        (
            "sentence_bert_config.json",
            {"model_args": {"weights_only": False}},
            "sentence_bert_config.json: model_args",
        ),
        ("config_sentence_transformers.json", {"model_type": "CrossEncoder"}, "model_type 'CrossEncoder'"),
        ("config.json", {"auto_map": {"AutoModel": "a.B"}}, "config.json: auto_map"),
    ],
)
def test_other_settings_of_an_embedder_are_code(
    file: str, setting: dict[str, object], name: str, embedder: Path, tmp_path: Path, load: Load
) -> None:
    folder = Path(shutil.copytree(embedder, tmp_path / "embedder"))
    change(folder / file, **setting)
    with pytest.raises(UntrustedModelError) as caught:
        load(folder)
    assert caught.value.names == (name,)


def test_a_module_outside_the_folder_is_refused(embedder: Path, tmp_path: Path, load: Load) -> None:
    folder = Path(shutil.copytree(embedder, tmp_path / "embedder"))
    listed = json.loads((folder / "modules.json").read_text())
    listed[1]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UnknownFormatError, match="which is not in it"):
        load(folder)
