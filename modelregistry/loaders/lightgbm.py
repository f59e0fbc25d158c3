"""LightGBM's text format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from modelregistry.errors import MissingDependencyError
from modelregistry.loaders import lightgbmestimators
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
_MOST_LINES = 100
"""Of a head."""


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
        """The features, by name where the model was trained with names; of an estimator, what comes out of it, too.

        Raises:
            UnknownFormatError: The file is malformed.
        """
        self._check(path)
        with self.reading(path):
            lines = _head_of(path)
            estimator = lightgbmestimators.noted_in(b"\n".join(lines))
            for line in lines:
                key, _, value = line.decode().partition("=")
                if key == "feature_names":
                    return Description(_signature(value.split(" "), estimator.outputs if estimator else ()))
        return Description()

    def describe_object(self, model: object) -> ModelSignature | None:
        """The features of a booster, dressed as an estimator of scikit-learn's or not."""
        dressed: Any = model
        booster = dressed.booster_ if hasattr(dressed, "booster_") else dressed
        return _signature(booster.feature_name())

    def load(self, path: Path, permit: Permit) -> object:
        """The ``LGBMClassifier``, ``LGBMRegressor`` or ``LGBMRanker`` that ``save`` was given, else a ``Booster``.

        LightGBM's own files do not tell which estimator of scikit-learn's they were dressed as. Parameters of a
        training that an estimator's constructor does not name are left out.

        Raises:
            UnknownFormatError: The file is malformed.
            MissingDependencyError: LightGBM is not installed, or scikit-learn where the model needs it.
        """
        self._check(path)
        with self.importing():
            import lightgbm

        from modelregistry.loaders import lightgbmtrees

        with self.reading(path):
            text = path.read_bytes()
            estimator = lightgbmestimators.noted_in(text.partition(b"\n\n")[0])
            if estimator is not None and not lightgbm.compat.SKLEARN_INSTALLED:
                raise MissingDependencyError(
                    f"{path.name!r} is a {estimator.name}, which needs scikit-learn: pip install scikit-learn"
                )
            booster: object = lightgbm.Booster(model_str=lightgbmtrees.checked(text).decode())
            if estimator is None:
                return booster
            return lightgbmestimators.made_again(lightgbm, estimator, booster)

    def saves(self, model: object) -> bool:
        """Boosters, dressed as estimators of scikit-learn's or not."""
        return is_own(model, "lightgbm") and is_of(model, "lightgbm", "Booster", "LGBMModel")

    def suffix_for(self, model: object) -> str:
        """As LightGBM's own pages call it."""
        return ".txt"

    def loses(self, model: object) -> str | None:
        """The dress of scikit-learn's, where it is one that can't be noted."""
        name = type(model).__name__
        if is_of(model, "lightgbm", "Booster"):
            return None
        noted = lightgbmestimators.noted_of(model)
        if noted is None:
            return (
                f"that it is a {name}, since its objective or its labels can't be written down: it loads as a Booster, whose "
                "predict gives what the objective makes of it"
            )
        return f"that it is a {name}: it loads as a {noted.name}" if noted.name != name else None

    def save(self, model: object, path: Path) -> None:
        """Write it; of an estimator of scikit-learn's with a note of what that is, which LightGBM itself passes by."""
        dressed: Any = model
        if is_of(model, "lightgbm", "Booster"):
            dressed.save_model(path)
            return
        dressed.booster_.save_model(path)
        estimator = lightgbmestimators.noted_of(model)
        if estimator is not None:
            path.write_bytes(lightgbmestimators.with_note(path.read_bytes(), estimator))

    def _check(self, path: Path) -> None:
        self.check_file(path)
        with self.reading(path):
            if head(path, len(_HEAD)) != _HEAD:
                raise ValueError("it does not begin with 'tree'")


def _head_of(path: Path) -> list[bytes]:
    """The lines before the first tree."""
    lines: list[bytes] = []
    with path.open("rb") as file:
        while (line := file.readline(_MOST_LINE).rstrip(b"\r\n")) and len(lines) < _MOST_LINES:
            lines.append(line)
    return lines


def _signature(names: list[str], outputs: tuple[Column, ...] = ()) -> ModelSignature:
    made_up = [f"Column_{number}" for number in range(len(names))]
    return ModelSignature(tuple(Column(None if names == made_up else name) for name in names), outputs)
