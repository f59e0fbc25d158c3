"""CatBoost's binary format."""

from __future__ import annotations

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

_HEAD = b"CBM1"
_CLASSIFYING = frozenset({"Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss"})
_RANKING = frozenset(
    {
        "LambdaMart",
        "PairLogit",
        "PairLogitPairwise",
        "QueryCrossEntropy",
        "QueryRMSE",
        "QuerySoftMax",
        "StochasticRank",
    }
) | {"StochasticFilter", "YetiRank", "YetiRankPairwise"}


_DRESSED = ("CatBoostClassifier", "CatBoostRegressor")


class CatBoostLoader(Loader):
    """What ``save_model`` writes as ``cbm``."""

    name: ClassVar[str] = "catboost"
    suffixes: ClassVar[tuple[str, ...]] = (".cbm",)
    library: ClassVar[str] = "catboost"
    requires: ClassVar[str] = "catboost>=1.2"
    extra: ClassVar[str] = "catboost"
    distributions: ClassVar[tuple[str, ...]] = ("catboost",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the file begins as CatBoost begins it, or is called so."""
        return Likeness.MAGIC if head(path, len(_HEAD)) == _HEAD else self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """Nothing: trees are data.

        Raises:
            UnknownFormatError: The file does not begin as CatBoost begins it.
        """
        self._check(path)
        return Inspection(Tier.DATA)

    def describe(self, path: Path) -> Description:
        """The features by their names.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: CatBoost is not installed.
        """
        return Description(self.describe_object(self.load(path, Permit())))

    def describe_object(self, model: object) -> ModelSignature | None:
        """The features of a model, and what comes out of one that classifies or counts."""
        loaded: Any = model
        methods = [
            each
            for each in ("predict", "predict_proba")
            if is_of(model, "catboost", *_DRESSED) and hasattr(loaded, each)
        ]
        names: list[str] = loaded.feature_names_
        made_up = [str(number) for number in range(len(names))]
        inputs = tuple(Column(None if names == made_up else name) for name in names)
        return ModelSignature(inputs, tuple(map(Column, methods)))

    def load(self, path: Path, permit: Permit) -> object:
        """A ``CatBoostClassifier`` or ``CatBoostRegressor``, as the loss says; a ``CatBoost`` that ranks.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: CatBoost is not installed.
        """
        self._check(path)
        with self.importing():
            import catboost
        with self.reading(path):
            model: Any = catboost.CatBoost().load_model(str(path), format="cbm")
            loss = str(model.get_all_params().get("loss_function")).partition(":")[0]
            if loss in _CLASSIFYING:
                model = catboost.to_classifier(model)
            elif loss not in _RANKING:
                model = catboost.to_regressor(model)
        loaded: object = model
        return loaded

    def saves(self, model: object) -> bool:
        """Its models, whatever they are for."""
        return is_own(model, "catboost") and is_of(model, "catboost", "CatBoost")

    def save(self, model: object, path: Path) -> None:
        """Write it."""
        trained: Any = model
        trained.save_model(str(path), format="cbm")

    def _check(self, path: Path) -> None:
        self.check_file(path)
        with self.reading(path):
            if head(path, len(_HEAD)) != _HEAD:
                raise ValueError("it does not begin with 'CBM1'")
