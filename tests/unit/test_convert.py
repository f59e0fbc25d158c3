"""A model in another format answers as it did, or is not written."""

import math
import os
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelregistry.errors import ConversionError, InvalidInputError
from modelregistry.loaders.base import Permit
from modelregistry.loaders.skops import SkopsLoader
from modelregistry.loading.convert import alike, convert
from modelregistry.loading.example import column_of

RANDOM = np.random.default_rng(1)
FEATURES, TARGET = RANDOM.normal(size=(60, 3)), np.array(["no", "yes"] * 30)
FRAME = pd.DataFrame({"age": FEATURES[:, 0], "city": ["Bern", "Rome", "Oslo"] * 20})
CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression()).fit(FEATURES, TARGET)
REGRESSOR = GradientBoostingRegressor(n_estimators=5).fit(FEATURES, FEATURES[:, 0] * 2)
MIXED = make_pipeline(
    make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(sparse_output=False), ["city"])),
    LogisticRegression(),
).fit(FRAME, TARGET)


@pytest.mark.parametrize("sample", [None, FEATURES[:5]], ids=["no sample", "sample"])
@pytest.mark.parametrize(
    "model", [CLASSIFIER, RandomForestClassifier(5).fit(FEATURES, TARGET), REGRESSOR, StandardScaler().fit(FEATURES)],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_a_skops_file_holds_the_same_model(model: object, sample: object, tmp_path: Path) -> None:
    path = convert(model, "models/churn.joblib", tmp_path, format="skops", example=sample)
    assert path == tmp_path / "churn.skops"
    again = SkopsLoader().load(path, Permit(code=True))
    assert type(again) is type(model)
    assert os.listdir(tmp_path) == ["churn.skops"]


@pytest.mark.parametrize(
    ("model", "sample"),
    [
        (CLASSIFIER, None),
        (CLASSIFIER, FEATURES[:5]),
        (CLASSIFIER, FEATURES[:5].astype(np.float32)),
        (CLASSIFIER, FEATURES[:5].tolist()),
        (CLASSIFIER, tuple(tuple(row) for row in FEATURES[:5].tolist())),
        (CLASSIFIER, [[1, 2, 3], [4, 5, 6]]),
        (REGRESSOR, FEATURES.astype(np.float32)),
        (StandardScaler().fit(FEATURES), FEATURES[:5]),
        (MIXED, FRAME[:5]),
        (LogisticRegression().fit(FRAME[["age"]], TARGET), FRAME[["age"]]),
        (LogisticRegression().fit(FRAME.assign(city=2)[["age", "city"]], TARGET), FRAME.assign(city=2)),
    ],
)
def test_an_onnx_file_answers_as_the_model_does(model: object, sample: object, tmp_path: Path) -> None:
    path = convert(model, "churn.joblib", tmp_path, format="onnx", example=sample)
    assert path == tmp_path / "churn.onnx"
    session = onnxruntime.InferenceSession(path)
    if sample is None:
        inputs = FEATURES.astype(np.float32)
        assert session.run(None, {"X": inputs})[0].tolist() == CLASSIFIER.predict(inputs).tolist()


def test_a_file_that_has_the_name_is_replaced_and_what_it_is_linked_to_is_not(tmp_path: Path) -> None:
    cached = tmp_path / "cached"
    cached.write_bytes(b"old")
    (tmp_path / "out").mkdir()
    os.link(cached, tmp_path / "out" / "churn.skops")
    convert(CLASSIFIER, "churn.joblib", tmp_path / "out", format="skops")
    assert cached.read_bytes() == b"old"
    assert (tmp_path / "out" / "churn.skops").read_bytes()[:2] == b"PK"


class Fickle(LogisticRegression):
    """It never answers twice the same."""

    asked = 0

    def predict(self, X: object) -> object:  # noqa: N803
        Fickle.asked += 1
        return np.array([Fickle.asked])


def nothing_left(folder: Path) -> bool:
    return not list(folder.iterdir())


def test_what_answers_otherwise_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"answers otherwise than the model: \[2\] and not \[1\]"):
        convert(Fickle().fit(FEATURES, TARGET), "churn.joblib", tmp_path, format="skops", example=FEATURES)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("model", "to", "sample", "why"),
    [
        (lambda: 1, "skops", None, "function as 'skops' does not work"),
        (DBSCAN().fit(FEATURES), "onnx", FEATURES, "DBSCAN as 'onnx' does not work"),
        (TfidfVectorizer().fit(["a text", "another"]), "onnx", None, "pass an example="),
        ({"a": 1}, "onnx", None, "pass an example="),
        (CLASSIFIER, "skops", FEATURES[:, :2], "does not work"),
    ],
)
def test_what_can_not_be_converted_is_an_error_with_the_librarys_words(
    model: object, to: str, sample: object, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=why):
        convert(model, "churn.joblib", tmp_path, format=to, example=sample)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("to", ["skops", "onnx"])
@pytest.mark.parametrize(
    ("sample", "why"),
    [
        ("text", "no list of rows"), (3, "no list of rows"), ({"age": [1.0]}, "no list of rows"), ([], "no row"),
        ([1.0, 2.0, 3.0], r"\[example\]"), ([{"age": 1.0}], "pandas.DataFrame"), ([[1.0], [1.0, 2.0]], "one length"),
    ],
)  # fmt: skip
def test_a_sample_that_is_no_rows_is_told_before_anything_is_written(
    to: str, sample: object, why: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        convert(CLASSIFIER, "churn.joblib", tmp_path, format=to, example=sample)
    assert nothing_left(tmp_path)


def test_texts_are_a_sample_of_what_takes_texts(tmp_path: Path) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(
        ["good film", "bad film"] * 3, [1, 0] * 3
    )
    assert convert(model, "mood.joblib", tmp_path, format="skops", example=["good", "bad film"]).exists()
    assert column_of(["good", "bad film"]).tolist() == [["good"], ["bad film"]]


@pytest.mark.parametrize("to", ["", "pickle", "SKOPS", "../skops"])
def test_another_format_is_refused_with_those_there_are(to: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'skops' or 'onnx'"):
        convert(CLASSIFIER, "churn.joblib", tmp_path, format=to)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is no folder"):
        convert(CLASSIFIER, "churn.joblib", tmp_path / "nowhere", format="skops")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, math.nan], [1.0, math.nan], True),
        ([1.0, 1000.0], [1.00001, 1000.01], True),
        ([1.0], [1.001], False),
        ([1.0, 2.0], [1.0], False),
        ([1], [1.0], True),
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        ([math.nan], [1.0], False),
        (["1"], [1], False),
    ],
)
def test_numbers_may_be_off_by_a_little_and_all_else_by_nothing(
    one: list[object], other: list[object], same: bool
) -> None:
    assert alike(one, other, 1e-4) is same
