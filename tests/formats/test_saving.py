"""Models of every library are saved in its own format, and come back as they were."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import keras
import numpy as np
import pytest
import spacy
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from modelregistry.errors import InvalidInputError
from modelregistry.intake.saving import Saved, plan, save

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours
Load = Callable[..., Any]
ROWS = np.random.default_rng(0).random((60, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]


@pytest.fixture
def kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Saved]:
    """Saves a model as ``m``, and prints nothing."""

    def kept(model: object) -> Saved:
        capfd.readouterr()
        (tmp_path / "scratch").mkdir()
        plans = plan(model, "m", wanted=None, path=None, declared=None)
        saved = save(model, plans, tmp_path / "scratch")
        assert capfd.readouterr() == ("", "")
        return saved

    return kept


def bert() -> transformers.BertConfig:
    return transformers.BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16,
    )  # fmt: skip


def tokenizer() -> Any:
    return transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)})


@pytest.mark.parametrize(
    "class_", [catboost.CatBoostClassifier, catboost.CatBoostRegressor, catboost.CatBoostRanker]
)
def test_catboost(class_: type, kept: Callable[..., Saved], load: Load) -> None:
    options = {"group_id": np.arange(60) // 6} if class_ is catboost.CatBoostRanker else {}
    model = class_(iterations=3, verbose=0, allow_writing_files=False).fit(ROWS, LABELS, **options)
    saved = kept(model)
    assert saved.path == "models/m.cbm"
    np.testing.assert_array_equal(load(saved.place).predict(ROWS), model.predict(ROWS))


def test_keras(kept: Callable[..., Saved], load: Load) -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    saved = kept(model)
    assert saved.path == "models/m.keras"
    np.testing.assert_array_equal(load(saved.place).predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))


def test_a_state_dict_is_arrays(kept: Callable[..., Saved], load: Load) -> None:
    module = torch.nn.Linear(3, 2)
    state = module.state_dict()
    state["tied"] = state["weight"]  # the same memory
    state["turned"] = state["weight"].T  # whose numbers do not lie in order
    saved = kept(state)
    assert saved.path == "models/m.safetensors"
    assert "torch.from_numpy" in str(saved.loader.loses(state))
    loaded = load(saved.place)
    assert {
        name: torch.from_numpy(value).equal(state[name]) for name, value in loaded.items()
    } == dict.fromkeys(state, True)


def test_numbers_that_numpy_does_not_have_are_a_checkpoint(kept: Callable[..., Saved], load: Load) -> None:
    state = OrderedDict(weight=torch.ones(2, dtype=torch.bfloat16))
    saved = kept(state)
    assert saved.path == "models/m.pt"
    assert load(saved.place)["weight"].equal(state["weight"])


def test_an_exported_program(kept: Callable[..., Saved], load: Load) -> None:
    module = torch.nn.Linear(3, 2)
    saved = kept(torch.export.export(module, (torch.ones(1, 3),)))
    assert saved.path == "models/m.pt2"
    assert torch.equal(load(saved.place, trust="code")(torch.ones(1, 3)), module(torch.ones(1, 3)))


def test_a_module_says_what_to_pass_instead() -> None:
    with pytest.raises(InvalidInputError, match=r"state_dict\(\).*torch\.export"):
        plan(torch.nn.Linear(3, 2), "m", wanted=None, path=None, declared=None)


def test_a_spacy_pipeline(kept: Callable[..., Saved], load: Load) -> None:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    saved = kept(pipeline)
    assert saved.path == "models/m"
    assert len(list(load(saved.place, trust="code")("One. Two.").sents)) == 2


@pytest.mark.parametrize("with_tokenizer", [True, False])
def test_transformers(with_tokenizer: bool, kept: Callable[..., Saved], load: Load) -> None:
    model = transformers.BertForSequenceClassification(bert()).eval()
    saved = kept((model, tokenizer()) if with_tokenizer else model)
    assert saved.path == "models/m"
    loaded = load(saved.place)
    assert type(loaded.model) is type(model)
    assert (loaded.processor is not None) is with_tokenizer
    words = torch.tensor([[2, 5, 7, 3]])
    assert torch.equal(loaded.model(words).logits, model(words).logits)


def test_a_pipeline_of_transformers_is_its_model_and_tokenizer_and_says_so(
    kept: Callable[..., Saved], load: Load
) -> None:
    model = transformers.BertForSequenceClassification(bert()).eval()
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer())
    saved = kept(pipeline)
    assert "transformers.pipeline('text-classification'" in str(saved.loader.loses(pipeline))
    loaded = load(saved.place)
    again = transformers.pipeline("text-classification", model=loaded.model, tokenizer=loaded.processor)
    assert again("good film") == pipeline("good film")


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (np.ones(3), "safetensors"), (torch.ones(3), "safetensors"), ({"w": np.ones(3), "b": 1}, "metadata="),
        (keras.layers.Dense(1), "keras.Model"),
    ],
)  # fmt: skip
def test_what_is_nearly_a_model_says_what_to_pass_instead(model: object, advice: str) -> None:
    with pytest.raises(InvalidInputError, match=advice):
        plan(model, "m", wanted=None, path=None, declared=None)


def test_a_sentence_transformer(kept: Callable[..., Saved], load: Load, tmp_path: Path) -> None:
    transformers.BertModel(bert()).save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    model = SentenceTransformer(modules=[modules.Transformer(str(tmp_path / "base")), modules.Pooling(8)])
    saved = kept(model)
    assert saved.path == "models/m"
    np.testing.assert_allclose(
        load(saved.place).encode("good film", show_progress_bar=False),
        model.encode("good film", show_progress_bar=False), rtol=1e-6,
    )  # fmt: skip
