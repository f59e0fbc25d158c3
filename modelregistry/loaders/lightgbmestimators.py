"""The estimator of scikit-learn's around a booster of LightGBM's: noted on a line of the model's text, and made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelregistry.metadata.signature import Column

_KEY = b"modelregistry_estimator="
"""LightGBM passes by the lines of the head that it does not know."""
_CLASSIFIER = "LGBMClassifier"
_CLASSES = (_CLASSIFIER, "LGBMRegressor", "LGBMRanker")
_LABELS = frozenset(
    {
        *(
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float32",
            "float64",
        ),
        *("object", "str"),
    }
)
"""The types of labels that JSON can hold."""
_WHOLE, _NUMBER, _TEXT = (int,), (int, float), (str,)
_PARAMETERS: Mapping[str, tuple[type, ...]] = {
    "boosting_type": _TEXT, "num_leaves": _WHOLE, "max_depth": _WHOLE, "learning_rate": _NUMBER,
    "n_estimators": _WHOLE, "subsample_for_bin": _WHOLE, "objective": _TEXT, "class_weight": _TEXT,
    "min_split_gain": _NUMBER, "min_child_weight": _NUMBER, "min_child_samples": _WHOLE, "subsample": _NUMBER,
    "subsample_freq": _WHOLE, "colsample_bytree": _NUMBER, "reg_alpha": _NUMBER, "reg_lambda": _NUMBER,
    "random_state": _WHOLE, "importance_type": _TEXT,
}  # fmt: skip
"""Those that the constructors name, but for ``n_jobs``, which is for the machine. Others could tell LightGBM of files."""
_LONGEST, _LARGEST = 100, 2**31


@dataclass(frozen=True, slots=True)
class Estimator:
    """What is noted of an estimator."""

    name: str
    """Its class."""
    parameters: Mapping[str, object]
    objective: str | None
    """What it was trained for."""
    labels: Sequence[object] | None = None
    """Of a classifier, what it chooses from, in order."""
    label_type: str = "object"

    @property
    def outputs(self) -> tuple[Column, ...]:
        """What comes out of it, by the method that gives it."""
        if self.labels is None:
            return (Column("predict"),)
        spelt = None if self.label_type == "object" else self.label_type
        return (Column("predict", spelt), Column("predict_proba", shape=(None, len(self.labels))))


def noted_of(model: Any) -> Estimator | None:
    """What there is to note of a fitted estimator.

    None where that can't be kept: its objective is a function of somebody's own, or its labels are neither numbers nor
    texts.
    """
    name = type(model).__name__.removeprefix("Dask")
    objective = model.objective_
    if name not in _CLASSES or callable(objective):
        return None
    given = model.get_params(deep=False)
    parameters = {key: given[key] for key in _PARAMETERS if _is_parameter(key, given.get(key))}
    if name != _CLASSIFIER:
        return Estimator(name, parameters, objective)
    type_ = model.classes_.dtype
    label_type = "str" if type_.kind == "U" else type_.name
    labels = model.classes_.tolist()
    if label_type not in _LABELS or not all(isinstance(each, bool | int | float | str) for each in labels):
        return None
    return Estimator(name, parameters, objective, labels, label_type)


def noted_in(head: bytes) -> Estimator | None:
    """What is noted in the head of a model's text.

    Raises:
        ValueError: It is no such note.
    """
    line = next((line for line in head.split(b"\n") if line.startswith(_KEY)), None)
    if line is None:
        return None
    said = json.loads(line.removeprefix(_KEY))
    name, parameters, objective = said["class"], said["parameters"], said.get("objective")
    labels, label_type = said.get("labels"), said.get("label_type", "object")
    if (
        name not in _CLASSES
        or (labels is not None) is not (name == _CLASSIFIER)
        or label_type not in _LABELS
        or not all(isinstance(each, bool | int | float | str) for each in labels or ())
        or not all(_is_parameter(key, value) for key, value in parameters.items())
        or not (objective is None or _is_parameter("objective", objective))
    ):
        raise ValueError("a note of an estimator that this library does not write")
    return Estimator(name, parameters, objective, labels, label_type)


def with_note(text: bytes, estimator: Estimator) -> bytes:
    """The text of a model with the note in its head."""
    said: dict[str, object] = {
        "class": estimator.name,
        "parameters": dict(estimator.parameters),
        "objective": estimator.objective,
    }
    if estimator.labels is not None:
        said |= {"labels": list(estimator.labels), "label_type": estimator.label_type}
    # LightGBM takes a line for damaged that has a second equals sign.
    note = json.dumps(said, allow_nan=False).replace("=", "\\u003d")
    head, blank, rest = text.partition(b"\n\n")
    return b"".join([head, b"\n", _KEY, note.encode(), blank, rest])


def made_again(lightgbm: Any, estimator: Estimator, booster: Any) -> object:
    """The estimator around a booster, as it is after ``fit``.

    Raises:
        ValueError: It does not go with the booster.
    """
    made: Any = getattr(lightgbm, estimator.name)(**estimator.parameters)
    names = booster.feature_name()
    # LightGBM has no other way to put an estimator around a booster than what fit() leaves, since 4.0 the same.
    made._Booster = booster
    made._n_features = made._n_features_in = booster.num_feature()
    made._fitted_with_feature_names = names != [f"Column_{number}" for number in range(len(names))]
    made._best_iteration = booster.best_iteration
    made._objective = estimator.objective
    if estimator.labels is not None:
        trees = booster.num_model_per_iteration()
        if len(estimator.labels) != trees and not (trees == 1 and len(estimator.labels) in {1, 2}):
            raise ValueError("another number of labels than the model has classes")
        encoder = lightgbm.compat._LGBMLabelEncoder().fit(list(estimator.labels))
        encoder.classes_ = encoder.classes_.astype(estimator.label_type)
        if encoder.classes_.tolist() != list(estimator.labels):
            raise ValueError("labels that are in no order")
        made._le, made._classes, made._n_classes = encoder, encoder.classes_, len(estimator.labels)
        made._class_map = {label: number for number, label in enumerate(encoder.classes_)}
    made.fitted_ = True
    return made


def _is_parameter(name: str, value: object) -> bool:
    if value is None:
        return name in {"objective", "class_weight", "random_state"}
    if not isinstance(value, _PARAMETERS.get(name, ())) or isinstance(value, bool):
        return False
    return len(value) <= _LONGEST if isinstance(value, str) else abs(value) < _LARGEST  # type: ignore[arg-type]
