"""XGBoost's own formats, JSON and UBJSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    head,
    is_of,
    is_own,
)
from modelregistry.metadata.signature import Column, ModelSignature

_JSON = re.compile(rb'\s*\{\s*"(learner|version)"\s*:')
_UBJSON = re.compile(rb"\{L\0\0\0\0\0\0\0\x07(learner|version)")
_ESTIMATOR = re.compile(rb'_estimator_type\\?":\s*\\?"(classifier|regressor|ranker)')
"""What scikit-learn's dress of a booster notes in it, among the attributes at the beginning."""
_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]\s*\}\s*$')
_END = 4096


class XGBoostLoader(Loader):
    """What ``save_model`` writes, whatever the file is called."""

    name: ClassVar[str] = "xgboost"
    suffixes: ClassVar[tuple[str, ...]] = (".ubj",)
    library: ClassVar[str] = "xgboost"
    requires: ClassVar[str] = "xgboost>=2"
    extra: ClassVar[str] = "xgboost"
    distributions: ClassVar[tuple[str, ...]] = ("xgboost", "xgboost-cpu")

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the file begins as XGBoost begins it, or is called so."""
        return Likeness.MAGIC if _is_model(path) else self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """Nothing: trees are data.

        Raises:
            UnknownFormatError: The file does not begin as XGBoost begins it.
        """
        self._check(path)
        return Inspection(Tier.DATA)

    def describe(self, path: Path) -> Description:
        """The features, what comes out of an estimator, and the version that wrote it where that is JSON.

        Features have names where the model has them.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: XGBoost is not installed.
        """
        booster = self._loaded(path, "Booster")
        with self.reading(path):
            signature = self.describe_object(booster)
        if signature is not None and (kind := _ESTIMATOR.search(head(path, _END))) is not None:
            methods = ["predict", "predict_proba"] if kind[1] == b"classifier" else ["predict"]
            signature = replace(signature, outputs=tuple(map(Column, methods)))
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _END))
            version = _VERSION.search(file.read())
        packages = {"xgboost": b".".join(version.groups()).decode()} if version else {}
        return Description(signature, packages)

    def describe_object(self, model: object) -> ModelSignature | None:
        """The features of a booster, dressed as an estimator of scikit-learn's or not."""
        booster: Any = model.get_booster() if hasattr(model, "get_booster") else model
        names = booster.feature_names or [None] * booster.num_features()
        return ModelSignature(tuple(map(Column, names)))

    def load(self, path: Path, permit: Permit) -> object:
        """The ``XGBClassifier``, ``XGBRegressor`` or ``XGBRanker`` that was saved, else a ``Booster``.

        Raises:
            UnknownFormatError: The file is malformed, or of the binary format that XGBoost has given up.
            MissingDependencyError: XGBoost is not installed, or scikit-learn where the model needs it.
        """
        kind = _ESTIMATOR.search(head(path, _END))
        return self._loaded(path, f"XGB{kind[1].decode().capitalize()}" if kind else "Booster")

    def saves(self, model: object) -> bool:
        """Boosters, dressed as estimators of scikit-learn's or not."""
        return is_own(model, "xgboost") and is_of(model, "xgboost", "Booster", "XGBModel")

    def loses(self, model: object) -> str | None:
        """The kind of estimator, where the file has no word for it."""
        name = type(model).__name__
        if name in {"Booster", "XGBClassifier", "XGBRegressor", "XGBRanker"}:
            return None
        return f"that it is a {name}: it loads as what such a file can tell of"

    def save(self, model: object, path: Path) -> None:
        """Write it, as JSON if the file is called so, else as UBJSON."""
        booster: Any = model
        booster.save_model(path)

    def _loaded(self, path: Path, class_: str) -> object:
        self._check(path)
        with self.importing():
            import xgboost

        from modelregistry.loaders import ubjson, xgboosttrees

        # From memory, because XGBoost judges a file by its suffix.
        content = bytearray(path.stat().st_size)
        with path.open("rb") as file:
            file.readinto(content)
        with self.importing():  # scikit-learn, by an estimator
            model: Any = getattr(xgboost, class_)()
        with self.reading(path):
            xgboosttrees.check(ubjson.parse(content) if _UBJSON.match(content) else _json(content))
            model.load_model(content)
        loaded: object = model
        return loaded

    def _check(self, path: Path) -> None:
        self.check_file(path)
        with self.reading(path):
            if not _is_model(path):
                raise ValueError("it is neither JSON nor UBJSON of XGBoost's")


def _is_model(path: Path) -> bool:
    begin = head(path, 256)
    return bool(_JSON.match(begin) or _UBJSON.match(begin))


def _json(content: bytearray) -> Any:
    return json.loads(content, object_pairs_hook=_once)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:  # which of the two counts is anybody's guess
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found
