"""Skops files: a zip of data and a schema, built by skops from types it is told to trust."""

from __future__ import annotations

import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

from modelregistry.loaders import estimators, zips
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
)
from modelregistry.modelsignature import ModelSignature

_SCHEMA = "schema.json"


class SkopsLoader(Loader):
    """What ``skops.io.dump`` writes."""

    name: ClassVar[str] = "skops"
    suffixes: ClassVar[tuple[str, ...]] = (".skops",)
    library: ClassVar[str] = "skops.io"
    requires: ClassVar[str] = "skops>=0.12"  # before, a file could run code past its own list of types
    extra: ClassVar[str] = "skops"

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the file is a zip with a schema in it, or is called so."""
        return Likeness.MAGIC if _SCHEMA in zips.members(path) else self.by_name(path, name)

    def inspect(self, path: Path) -> Inspection:
        """The types that skops does not trust by itself. Constructs none of them.

        Raises:
            UnknownFormatError: The file is not one that skops writes.
            MissingDependencyError: skops is not installed, or too old to be safe.
        """
        names = tuple(sorted(self._untrusted(path)))
        return Inspection(Tier.NAMED if names else Tier.CONFINED, names)

    def describe(self, path: Path) -> Description:
        """The libraries that the objects in the file are of.

        Raises:
            UnknownFormatError: The file is not one that skops writes.
        """
        self._check(path)
        with self.reading(path), zipfile.ZipFile(path) as archive, archive.open(_SCHEMA) as schema:
            return estimators.describe(schema)

    def describe_object(self, model: object) -> ModelSignature | None:
        """What an estimator tells."""
        return estimators.signature_of(model)

    def saves(self, model: object) -> bool:
        """Estimators of scikit-learn's."""
        return estimators.is_estimator(model)

    def save(self, model: object, path: Path) -> None:
        """Write the object as such a file.

        Raises:
            MissingDependencyError: skops is not installed, or too old to be safe.
        """
        self._library().dump(model, path)

    def load(self, path: Path, permit: Permit) -> object:
        """The object, built from types that skops or the permit trusts; from any if code may run.

        Raises:
            UntrustedNamesError: The file needs a type that is not permitted.
            UnknownFormatError: The file is not one that skops writes.
            MissingDependencyError: skops is not installed, or too old to be safe.
        """
        skops = self._library()
        self._check(path)
        trusted = self._untrusted(path) if permit.code else permit.names
        # What types of the caller's own raise is theirs to see.
        with self.reading(path) if permit == Permit() else nullcontext():
            try:
                loaded: object = skops.load(path, trusted=sorted(trusted))
            except skops.exceptions.UntrustedTypesFoundException as error:
                raise UntrustedNamesError(tuple(sorted(self._untrusted(path) - trusted))) from error
        return loaded

    def _check(self, path: Path) -> None:
        self.check_file(path)
        zips.check(path)

    def _untrusted(self, path: Path) -> set[str]:
        skops = self._library()
        self._check(path)
        with self.reading(path):
            return set(skops.get_untrusted_types(file=path))

    def _library(self) -> Any:
        with self.importing():
            import skops.io
            import skops.io.exceptions
        return skops.io
