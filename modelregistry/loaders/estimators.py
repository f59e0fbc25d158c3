"""What a fitted scikit-learn estimator, or a file that holds one, tells of the model; nothing of scikit-learn is imported."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import IO, Any

from modelregistry.loaders.base import Description, is_of, is_own
from modelregistry.loading.environment import installed
from modelregistry.metadata.signature import Column, ModelSignature

_SCIKIT_LEARN = "scikit-learn"
_MODULES = {
    b"catboost.": "catboost",
    b"imblearn.": "imbalanced-learn",
    b"lightgbm.": "lightgbm",
    b"numpy": "numpy",
    b"pandas.": "pandas",
    b"scipy.": "scipy",
    b"sklearn.": _SCIKIT_LEARN,
    b"xgboost.": "xgboost",
}
"""How a file names what it is made of, and the distributions that these are."""
_APART = ("catboost", "lightgbm", "xgboost")
_MOST_COLUMNS = 200
"""Of more columns the names are left out: a registration has to fit into a tag."""
_MOST_READ = 512 << 20
_CHUNK = 1 << 20
_LONGEST = 400
"""Bytes that a key, its value and what is between them take at most."""
_PICKLED = re.compile(
    rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x95.{8})?(?:\x8c(?P<short>.)|X(?P<long>.{4}))(?P<text>.{1,40})",
    re.DOTALL,
)
_IN_SCHEMA = re.compile(rb'"_sklearn_version": \{[^{}]{0,200}?"content": "\\"(?P<text>[0-9][\w.+]{1,40})\\""')
_VERSION = re.compile(r"\d+\.\d+[\w.+]*", re.ASCII)


def is_estimator(model: object) -> bool:
    """Whether it is an estimator or a pipeline in the manner of scikit-learn's, of a package without a format of its own."""
    return is_of(model, "sklearn", "BaseEstimator") and not any(is_own(model, each) for each in _APART)


def signature_of(model: object) -> ModelSignature | None:
    """The inputs and outputs that an estimator was fitted with; None for what tells nothing.

    Outputs are named by the method that gives them.
    """
    inputs, outputs = _inputs(model), _outputs(model)
    return ModelSignature(inputs, outputs) if inputs or outputs else None


def _inputs(model: object) -> tuple[Column, ...]:
    names = _told(model, "feature_names_in_")
    if names is not None and len(names) <= _MOST_COLUMNS:
        return tuple(Column(str(name)) for name in names)
    count = _told(model, "n_features_in_")
    return (Column(shape=(None, count)),) if isinstance(count, int) else ()


def _outputs(model: object) -> tuple[Column, ...]:
    classes = _told(model, "classes_")
    dtype = getattr(classes, "dtype", None)  # where there are several targets, it is a list
    found: list[Column] = []
    if _told(model, "predict") is not None:
        found.append(Column("predict", _spelt(dtype)))
    if _told(model, "predict_proba") is not None:
        found.append(Column("predict_proba", shape=None if dtype is None else (None, len(classes))))
    if not found and _told(model, "transform") is not None:
        found.append(Column("transform"))
    return tuple(found)


def _told(model: object, name: str) -> Any:
    """The attribute; None where there is none: the properties of an estimator raise anything."""
    with suppress(Exception):
        return getattr(model, name)
    return None


def _spelt(dtype: Any) -> str | None:
    """The type of labels, whose length is no part of it."""
    kind = getattr(dtype, "kind", "O")
    return {"O": None, "U": "str", "S": "bytes"}.get(kind, getattr(dtype, "name", None))


def describe(file: IO[bytes]) -> Description:
    """The libraries that a pickle, or the schema of a skops file, is made of; runs and builds nothing.

    Estimators say the version of scikit-learn. The other versions are those installed here, unless that is another one.
    """
    named, told = _scan(file)
    here = installed(named)
    if told is not None and here.get(_SCIKIT_LEARN) != told:
        return Description(packages={_SCIKIT_LEARN: told})
    return Description(packages=here)


def _scan(file: IO[bytes]) -> tuple[list[str], str | None]:
    """The distributions that are named, and the version of scikit-learn that is, in the first part of a file."""
    kept, left = b"", _MOST_READ
    named: set[str] = set()
    told = None
    while left > 0 and (chunk := file.read(_CHUNK)):
        left -= len(chunk)
        kept = kept[-_LONGEST:] + chunk
        named.update(name for mark, name in _MODULES.items() if name not in named and mark in kept)
        told = told or _version_in(kept)
    return sorted(named), told


def _version_in(part: bytes) -> str | None:
    found = [match["text"] for match in _IN_SCHEMA.finditer(part)]
    for match in _PICKLED.finditer(part):
        length = int.from_bytes(match["short"] or match["long"], "little")
        found += [match["text"][:length]] if length <= len(match["text"]) else []
    texts = (each.decode("ascii", "replace") for each in found)
    return next(filter(_VERSION.fullmatch, texts), None)
