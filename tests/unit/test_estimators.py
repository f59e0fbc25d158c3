"""What a fitted estimator tells of its inputs and outputs, and a file that holds one of what it was made with."""

import io
import json
import pickle
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from modelregistry.errors import UnknownFormatError
from modelregistry.loaders import estimators
from modelregistry.loaders.pickles import JoblibLoader, PickleLoader
from modelregistry.loaders.skops import SkopsLoader
from modelregistry.metadata.signature import Column, ModelSignature

FEATURES, TARGET = np.arange(40.0).reshape(20, 2), np.array([0, 1] * 10)
FRAME = pd.DataFrame(FEATURES, columns=["age", "income"])
ARRAY = (Column(shape=(None, 2)),)
BOTH = (Column("predict", "int64"), Column("predict_proba", shape=(None, 2)))
SKLEARN = version("scikit-learn")


@pytest.mark.parametrize(
    ("model", "inputs", "outputs"),
    [
        (LogisticRegression().fit(FEATURES, TARGET), ARRAY, BOTH),
        (LogisticRegression().fit(FRAME, TARGET), (Column("age"), Column("income")), BOTH),
        (
            make_pipeline(StandardScaler(), RandomForestClassifier(2)).fit(FRAME, TARGET.astype(str)),
            (Column("age"), Column("income")),
            (Column("predict", "str"), Column("predict_proba", shape=(None, 2))),
        ),
        (
            GridSearchCV(LinearSVC(), {"C": [1]}, cv=2).fit(FEATURES, TARGET),
            ARRAY,
            (Column("predict", "int64"),),
        ),
        (LinearRegression().fit(FEATURES, TARGET), ARRAY, (Column("predict"),)),
        (StandardScaler().fit(FEATURES), ARRAY, (Column("transform"),)),
        (KMeans(2).fit(FEATURES), ARRAY, (Column("predict"),)),
        (
            RandomForestClassifier(2).fit(FEATURES, np.stack([TARGET, TARGET], 1)),
            ARRAY,
            (Column("predict"), Column("predict_proba")),
        ),
        (TfidfVectorizer().fit(["a text", "another"]), (), (Column("transform"),)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_estimator_tells_what_it_was_fitted_with(
    model: object, inputs: tuple[Column, ...], outputs: tuple[Column, ...]
) -> None:
    assert estimators.signature_of(model) == ModelSignature(inputs, outputs)


class Odd:
    @property
    def feature_names_in_(self) -> list[str]:
        raise RuntimeError("not today")

    n_features_in_ = "many"


@pytest.mark.parametrize("value", [{"a": 1}, None, 3, LogisticRegression, Odd(), SimpleNamespace(classes_=7)])
def test_what_is_no_fitted_estimator_tells_nothing(value: object) -> None:
    found = estimators.signature_of(value)
    assert found is None or not found.inputs


def test_of_very_many_columns_only_the_number_is_told() -> None:
    frame = pd.DataFrame(np.zeros((2, 201)), columns=[f"column {number}" for number in range(201)])
    found = estimators.signature_of(StandardScaler().fit(frame))
    assert found is not None
    assert found.inputs == (Column(shape=(None, 201)),)
    found = estimators.signature_of(StandardScaler().fit(frame.iloc[:, :200]))
    assert found is not None
    assert len(found.inputs) == 200


# -- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(1, 6))
def test_a_pickle_says_which_scikit_learn_made_it(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression().fit(FEATURES, TARGET), protocol))
    packages = PickleLoader().describe(path).packages
    assert packages == {"numpy": version("numpy"), "scikit-learn": SKLEARN}


@pytest.mark.parametrize("compress", [0, 3, ("xz", 3)])
def test_a_joblib_file_says_it_compressed_or_not(compress: object, tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(FEATURES, TARGET), path, compress=compress)
    assert JoblibLoader().describe(path).packages["scikit-learn"] == SKLEARN


def test_a_skops_file_says_it(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(LogisticRegression().fit(FEATURES, TARGET), path)
    assert SkopsLoader().describe(path).packages["scikit-learn"] == SKLEARN


def elsewhere(text: bytes) -> bytes:
    """The same with another version of the same length."""
    return text.replace(SKLEARN.encode(), b"0.1" + b"5" * (len(SKLEARN) - 3))


def test_a_file_of_another_version_says_that_one_and_nothing_of_what_is_here(tmp_path: Path) -> None:
    other = elsewhere(SKLEARN.encode()).decode()
    path = tmp_path / "model.pkl"
    path.write_bytes(elsewhere(pickle.dumps(LogisticRegression().fit(FEATURES, TARGET))))
    assert PickleLoader().describe(path).packages == {"scikit-learn": other}
    skops.io.dump(LogisticRegression().fit(FEATURES, TARGET), tmp_path / "model.skops")
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        schema = elsewhere(archive.read("schema.json"))
    with zipfile.ZipFile(tmp_path / "other.skops", "w") as archive:
        archive.writestr("schema.json", schema)
    assert SkopsLoader().describe(tmp_path / "other.skops").packages == {"scikit-learn": other}


def test_the_version_is_found_where_two_pieces_of_the_file_meet() -> None:
    text = pickle.dumps(LogisticRegression().fit(FEATURES, TARGET))
    place = text.index(b"_sklearn_version")
    for cut in range(0, 40, 3):
        filled = b"\0" * (estimators._CHUNK - place - cut) + text
        assert estimators.describe(io.BytesIO(filled)).packages["scikit-learn"] == SKLEARN


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"_sklearn_version",
        b"_sklearn_version\x94\x8c\x051.",
        b"_sklearn_version\x94\x8c\xff" + b"9" * 300,
        b"_sklearn_version\x94\x8c\x05evil\x1b",
        b"_sklearn_versionX\xff\xff\xff\xff1.2.3",
        json.dumps({"_sklearn_version": {"content": '"\\u001b[2J"'}}).encode(),
        b"sklearn" * 100,
    ],
)
def test_text_that_only_looks_like_a_version_is_none(text: bytes) -> None:
    assert estimators.describe(io.BytesIO(text)).packages == {}


def test_a_plain_value_names_no_library(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": [1, 2]}))
    assert PickleLoader().describe(path).packages == {}


def test_a_zip_without_a_schema_is_an_unknown_format(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(UnknownFormatError, match=r"model\.skops"):
        SkopsLoader().describe(path)
    path.write_bytes(b"no zip")
    with pytest.raises(UnknownFormatError, match=r"model\.skops"):
        SkopsLoader().describe(path)
