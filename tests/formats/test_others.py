"""spaCy, CatBoost and MLflow: real models, saved by the library itself."""

from collections.abc import Callable
from pathlib import Path

import catboost
import numpy as np
import pytest
import spacy
from sklearn.linear_model import LogisticRegression

from modelregistry.errors import UnknownFormatError, UntrustedModelError
from modelregistry.loaders.catboost import CatBoostLoader
from modelregistry.loaders.mlflow import MLflowLoader
from modelregistry.metadata.signature import Column

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours
ROWS = np.random.default_rng(0).random((60, 3))
LABELS = (ROWS[:, 0] > 0.5).astype(int)
Load = Callable[..., object]


def test_a_pipeline_of_spacy_is_code(tmp_path: Path, load: Load) -> None:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    pipeline.to_disk(tmp_path / "english")
    with pytest.raises(UntrustedModelError) as caught:
        load(tmp_path / "english")
    assert caught.value.tier == "code"
    loaded = load(tmp_path / "english", trust="code")
    assert isinstance(loaded, spacy.Language)
    assert len(list(loaded("One. Two.").sents)) == 2


# ------------------------------------------------------------------ CatBoost


@pytest.mark.parametrize(
    ("class_", "loss"),
    [
        (catboost.CatBoostClassifier, "Logloss"),
        (catboost.CatBoostClassifier, "MultiClass"),
        (catboost.CatBoostRegressor, "RMSE"),
        (catboost.CatBoostRegressor, "Poisson"),
        (catboost.CatBoostRegressor, "Quantile:alpha=0.3"),
    ],
)
def test_a_catboost_model_answers_as_it_did(class_: type, loss: str, tmp_path: Path, load: Load) -> None:
    model = class_(iterations=3, verbose=0, loss_function=loss, allow_writing_files=False)
    model.fit(ROWS, LABELS)
    path = tmp_path / "model.cbm"
    model.save_model(str(path))
    loaded = load(path)
    assert type(loaded) is class_
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))
    signature = CatBoostLoader().describe(path).signature
    assert signature is not None
    assert signature.inputs == (Column(), Column(), Column())


def test_one_that_ranks_stays_what_it_is(tmp_path: Path, load: Load) -> None:
    model = catboost.CatBoost(
        {"iterations": 3, "loss_function": "YetiRank", "verbose": 0, "allow_writing_files": False}
    )
    model.fit(catboost.Pool(ROWS, LABELS, group_id=np.repeat([0, 1], 30)))
    model.save_model(str(tmp_path / "model.cbm"))
    loaded = load(tmp_path / "model.cbm")
    assert type(loaded) is catboost.CatBoost
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))


def test_a_catboost_file_that_is_cut_is_one_clear_error(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "model.cbm"
    model = catboost.CatBoostRegressor(iterations=3, verbose=0, allow_writing_files=False).fit(ROWS, LABELS)
    model.save_model(str(path))
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 23):
        path.write_bytes(content[:size])
        with pytest.raises(UnknownFormatError, match=r"'model\.cbm'"):
            load(path)


# ------------------------------------------------------------------ MLflow


@pytest.fixture(scope="session")
def mlflow() -> object:
    import mlflow.pyfunc
    import mlflow.sklearn
    import mlflow.xgboost

    return mlflow


def test_a_model_of_scikit_learn_is_read_by_our_own_loader(
    mlflow: object, tmp_path: Path, load: Load
) -> None:
    model = LogisticRegression().fit(ROWS, LABELS)
    signature = mlflow.models.infer_signature(ROWS, LABELS)
    mlflow.sklearn.save_model(
        model, str(tmp_path / "made"), signature=signature, pip_requirements=["scikit-learn==1.9.1"]
    )
    loaded = load(tmp_path / "made")
    assert isinstance(loaded, LogisticRegression)
    described = MLflowLoader().describe(tmp_path / "made")
    assert described.packages == {"scikit-learn": "1.9.1"} | {
        name: version for name, version in described.packages.items() if name == "mlflow"
    }
    assert described.signature is not None
    assert described.signature.inputs == (Column(None, "float64", (None, 3)),)
    answered = load(tmp_path / "made", loader="mlflow", trust="code")
    assert type(answered).__name__ == "PyFuncModel"
    np.testing.assert_array_equal(answered.predict(ROWS), model.predict(ROWS))


def test_a_boosted_model_too(mlflow: object, tmp_path: Path, load: Load) -> None:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3).fit(ROWS, LABELS)
    mlflow.xgboost.save_model(model, str(tmp_path / "made"), pip_requirements=[])
    loaded = load(tmp_path / "made")
    assert isinstance(loaded, xgboost.XGBClassifier)
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_is_python_code_runs_only_with_code(mlflow: object, tmp_path: Path, load: Load) -> None:
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context: object, model_input: object, params: object = None) -> object:
            return model_input

    mlflow.pyfunc.save_model(str(tmp_path / "made"), python_model=Echo(), pip_requirements=["mlflow"])
    with pytest.raises(UntrustedModelError) as caught:
        load(tmp_path / "made")
    assert (caught.value.tier, caught.value.names) == ("code", ("mlflow.pyfunc.load_model",))
    loaded = load(tmp_path / "made", trust="code")
    assert loaded.predict([1, 2]) == [1, 2]
