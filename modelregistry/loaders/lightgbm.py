"""LightGBM's text format."""

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

_HEAD = b"tree\n"
_MOST_LINE = 1 << 26
"""Bytes of a line; the names of all features are on one."""


class LightGBMLoader(Loader):
    """What ``Booster.save_model`` writes, whatever the file is called."""

    name: ClassVar[str] = "lightgbm"
    library: ClassVar[str] = "lightgbm"
    requires: ClassVar[str] = "lightgbm>=4"
    extra: ClassVar[str] = "lightgbm"
    distributions: ClassVar[tuple[str, ...]] = ("lightgbm",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the first line is LightGBM's."""
        return Likeness.MAGIC if head(path, len(_HEAD)) == _HEAD else Likeness.NONE

    def inspect(self, path: Path) -> Inspection:
        """Nothing: trees are data.

        Raises:
            UnknownFormatError: The file does not begin as LightGBM begins it.
        """
        self._check(path)
        return Inspection(Tier.DATA)

    def describe(self, path: Path) -> Description:
        """The features, by name where the model was trained with names.

        Raises:
            UnknownFormatError: The file is malformed.
        """
        self._check(path)
        with self.reading(path), path.open("rb") as file:
            while line := file.readline(_MOST_LINE):
                key, _, value = line.decode().rstrip().partition("=")
                if key == "feature_names":
                    return Description(_signature(value.split(" ")))
        return Description()

    def describe_object(self, model: object) -> ModelSignature | None:
        """The features of a booster."""
        booster: Any = model
        return _signature(booster.feature_name())

    def load(self, path: Path, permit: Permit) -> object:
        """A ``Booster``, without the parameters of its training.

        The file does not tell which estimator of scikit-learn's it was dressed as.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: LightGBM is not installed.
        """
        self._check(path)
        with self.importing():
            import lightgbm

        from modelregistry.loaders import lightgbmtrees

        with self.reading(path):
            text = lightgbmtrees.checked(path.read_bytes())
            booster: object = lightgbm.Booster(model_str=text.decode())
        return booster

    def saves(self, model: object) -> bool:
        """Boosters, dressed as estimators of scikit-learn's or not."""
        return is_own(model, "lightgbm") and is_of(model, "lightgbm", "Booster", "LGBMModel")

    def suffix_for(self, model: object) -> str:
        """As LightGBM's own pages call it."""
        return ".txt"

    def loses(self, model: object) -> str | None:
        """The dress of scikit-learn's."""
        if is_of(model, "lightgbm", "Booster"):
            return None
        name = type(model).__name__
        return (
            f"that it is a {name}: it loads as a Booster, whose predict gives probabilities for a classifier"
        )

    def save(self, model: object, path: Path) -> None:
        """Write it."""
        dressed: Any = model
        booster = dressed.booster_ if is_of(model, "lightgbm", "LGBMModel") else dressed
        booster.save_model(path)

    def _check(self, path: Path) -> None:
        self.check_file(path)
        with self.reading(path):
            if head(path, len(_HEAD)) != _HEAD:
                raise ValueError("it does not begin with 'tree'")


def _signature(names: list[str]) -> ModelSignature:
    made_up = [f"Column_{number}" for number in range(len(names))]
    return ModelSignature(tuple(Column(None if names == made_up else name) for name in names))
