"""Every estimator of the installed scikit-learn, fitted with simple data, and what it answers."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

METHODS = (
    "predict", "predict_proba", "decision_function", "transform", "score_samples", "kneighbors", "apply",
    "decision_path", "inverse_transform", "mahalanobis",
)  # fmt: skip
"""What an estimator is asked."""


def simple_data() -> tuple[Any, Any, Any]:
    """Features, classes and a number to predict, of 60 samples."""
    random = np.random.RandomState(0)
    features = np.abs(random.normal(size=(60, 4))).round(3)
    classes = (features[:, 0] + features[:, 1] > 1.5).astype(int)
    return features, classes, features @ np.array([1.0, 2.0, 0.5, 0.25])


def kinds() -> dict[str, type[Any]]:
    """Every estimator class, by its name."""
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401

    return dict(all_estimators())


_SMALL = {"n_estimators": 5, "n_clusters": 3, "random_state": 0}
_NEEDED: dict[str, Any] = {
    "estimator": LogisticRegression(),
    "estimators": [("first", LogisticRegression()), ("second", LogisticRegression(C=0.1))],
    "param_grid": {"C": [0.1, 1.0]},
    "param_distributions": {"C": [0.1, 1.0]},
    "steps": [("scale", StandardScaler()), ("last", LogisticRegression())],
    "transformer_list": [("one", StandardScaler()), ("two", StandardScaler())],
    "transformers": [("few", StandardScaler(), [0, 1])],
    "dictionary": np.eye(4),
}
_NUMBERS = [("a", LinearRegression()), ("b", KNeighborsRegressor())]
_OF_ITS_OWN: dict[str, dict[str, Any]] = {
    "BernoulliRBM": {"n_components": 2},
    "FrozenEstimator": {"estimator": LogisticRegression().fit(*simple_data()[:2])},
    "GaussianRandomProjection": {"n_components": 2},
    "MiniBatchNMF": {"n_components": 2},
    "MultiOutputRegressor": {"estimator": LinearRegression()},
    "NMF": {"n_components": 2},
    "RandomizedSearchCV": {"n_iter": 2},
    "RegressorChain": {"estimator": LinearRegression()},
    "SelectKBest": {"k": 2},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "SparseRandomProjection": {"n_components": 2},
    "StackingRegressor": {"estimators": _NUMBERS},
    "TSNE": {"perplexity": 5},
    "VotingRegressor": {"estimators": _NUMBERS},
}
"""What an estimator can't do without, or takes long without."""


def _made(name: str, kind: type[Any]) -> Any:
    needed = inspect.signature(kind).parameters.values()
    arguments = {each.name: _NEEDED.get(each.name) for each in needed if each.default is each.empty}
    made = kind(**{**arguments, **_OF_ITS_OWN.get(name, {})})
    own = made.get_params(deep=False)
    small = {
        key: value for key, value in _SMALL.items() if key in own and type(own[key]) in {int, type(None)}
    }
    return made.set_params(**small) if small else made


def _targets(name: str) -> list[tuple[Any, ...]]:
    features, classes, number = simple_data()
    one, other = (number, classes) if "Regress" in name or name.endswith("SVR") else (classes, number)
    partly = np.where(np.arange(60) % 4, classes, -1)
    if name == "PatchExtractor":
        return [(features.reshape(10, 6, 4),)]
    if name == "HashingVectorizer":
        return [(["a text", "another text"] * 30,)]
    if name == "FeatureHasher":
        return [([{"a": 1, "b": 2}, {"b": 3}] * 30,)]
    return [
        (features, partly if name == "SelfTrainingClassifier" else one),
        (features, other),
        (features, np.column_stack([one, one[::-1]])),
        (features,),
        (features[:, 0], number),
        (features @ features.T,),
        (classes,),
        ([["a"], ["b"]] * 30,),
        ([(0, 2), (1,)] * 30,),
        (["a text", "another text", "more"] * 20, classes),
        ([{"a": 1, "b": 2}, {"b": 3}] * 30, classes),
    ]


def fitted(name: str) -> tuple[Any, Any]:
    """An estimator that was fitted, and the rows that it can be asked about.

    Raises:
        ValueError: None of the simple data fits.
    """
    errors = []
    for data in _targets(name):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _made(name, kinds()[name]).fit(*data), data[0]
        except Exception as error:  # noqa: BLE001 the next data may fit
            errors.append(f"{type(error).__name__}: {error}"[:200])
    raise ValueError(f"{name} fits none of the simple data: {errors}")


def answers(model: Any, rows: Any) -> dict[str, Any]:
    """What a model answers, by method, and what it learnt; an error is an answer too."""
    learnt = {name: value for name, value in vars(model).items() if isinstance(value, np.ndarray)}
    found: dict[str, Any] = {name: value for name, value in learnt.items() if value.dtype.kind != "O"}
    for method in METHODS:
        if hasattr(model, method):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found[method] = getattr(model, method)(rows)
            except Exception as error:  # noqa: BLE001 some methods take other rows
                found[method] = f"{type(error).__name__}: {error}"
    return found


def differing(before: Any, after: Any) -> list[str]:
    """What two models answer differently, but for the last bits of a number, which hang on where it lies in memory."""
    return sorted(name for name in {*before, *after} if not _alike(before.get(name), after.get(name)))


def _alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if hasattr(one, "tocoo"):
        one, other = one.tocoo(), other.tocoo()
        return one.shape == other.shape and all(
            map(_alike, (one.row, one.col, one.data), (other.row, other.col, other.data))
        )
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind == "f" and one.dtype == other.dtype and one.shape == other.shape:
        return np.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)
    return one.dtype == other.dtype and repr(one.tolist()) == repr(other.tolist())
