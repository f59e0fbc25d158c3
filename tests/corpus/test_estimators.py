"""What people make of scikit-learn loads without a word, and answers as before; what does not is listed with its reason."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest

from modelregistry.errors import UntrustedModelError
from modelregistry.loading.deserialize import deserialize
from modelregistry.plugins import loaders_for
from modelregistry.trust.trust import Trust, Vouching
from tests.corpus.estimators import answers, differing, fitted, kinds
from tests.corpus.pipelines import Case, doubled, pipelines

CASES = dict(pipelines())


def write(model: Any, path: Path) -> None:
    if path.suffix == ".joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model))


def load(path: Path, trust: list[str] | None = None) -> object:
    return deserialize(
        path,
        path.name,
        digest="sha256:" + "ab" * 32,
        reference="churn@v1.0.0",
        loaders=loaders_for(path, path.name, None),
        loader=None,
        trust=Vouching(Trust.parse(trust)),
    )


@pytest.mark.parametrize("name", kinds())
def test_an_estimator_loads_without_a_word_and_answers_as_before(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of small data and of what it will change
        model, rows = fitted(name)
        before = answers(model, rows)
        assert before
        for file in ("model.joblib", "model.pkl"):
            write(model, tmp_path / file)
            loaded = load(tmp_path / file)
            assert type(loaded) is type(model)
            assert differing(before, answers(loaded, rows)) == []


@pytest.mark.parametrize("title", CASES)
def test_a_pipeline_loads_without_a_word_or_is_refused_for_its_reason(title: str, tmp_path: Path) -> None:
    make: Callable[[], Case] = CASES[title]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, rows, reason = make()
        before = answers(model, rows)
        for file in ("model.joblib", "model.pkl"):
            write(model, tmp_path / file)
            if reason:
                with pytest.raises(UntrustedModelError) as caught:
                    load(tmp_path / file)
                loaded = load(tmp_path / file, list(caught.value.names))
            else:
                loaded = load(tmp_path / file)
            assert differing(before, answers(loaded, rows)) == []


def test_a_function_of_ones_own_is_the_only_name_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    write(CASES["a function of one's own as a step"]().model, path)
    with pytest.raises(UntrustedModelError) as caught:
        load(path)
    assert caught.value.names == (f"{doubled.__module__}.doubled",)


def test_there_are_as_many_pipelines_as_promised() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused = [title for title, make in CASES.items() if make().refused]
    assert len(CASES) - len(refused) >= 22
    assert len(refused) == 3
