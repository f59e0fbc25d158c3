"""Skops files: a zip of data and a schema, built by skops from types it is told to trust."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, ClassVar

from modelregistry.errors import MissingDependencyError, UnknownFormatError
from modelregistry.loaders import estimators
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


class SkopsLoader(Loader):
    """What ``skops.io.dump`` writes."""

    name: ClassVar[str] = "skops"
    suffixes: ClassVar[tuple[str, ...]] = (".skops",)
    library: ClassVar[str] = "skops.io"
    requires: ClassVar[str] = "skops>=0.12"  # before, a file could run code past its own list of types

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the file is a zip with a schema in it, or is called so."""
        if not path.is_file():
            return Likeness.NONE
        if _has_schema(path):
            return Likeness.MAGIC
        return Likeness.SUFFIX if name.lower().endswith(self.suffixes) else Likeness.NONE

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
        import zipfile

        try:
            with zipfile.ZipFile(path) as archive, archive.open("schema.json") as schema:
                return estimators.describe(schema)
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, NotImplementedError, EOFError) as error:
            raise UnknownFormatError(f"{path.name!r} has no schema: {str(error)!r}") from error

    def describe_object(self, model: object) -> ModelSignature | None:
        """What an estimator tells."""
        return estimators.signature_of(model)

    def write(self, model: object, path: Path) -> None:
        """Write the object as such a file.

        Raises:
            MissingDependencyError: skops is not installed, or too old to be safe.
        """
        _library(self.requires).dump(model, path)

    def load(self, path: Path, permit: Permit) -> object:
        """The object, built from types that skops or the permit trusts; from any if code may run.

        Raises:
            UntrustedNamesError: The file needs a type that is not permitted.
            UnknownFormatError: The file is not one that skops writes.
            MissingDependencyError: skops is not installed, or too old to be safe.
        """
        skops = _library(self.requires)
        trusted = self._untrusted(path) if permit.code else permit.names
        try:
            loaded: object = skops.load(path, trusted=sorted(trusted))
        except skops.exceptions.UntrustedTypesFoundException as error:
            raise UntrustedNamesError(tuple(sorted(self._untrusted(path) - trusted))) from error
        return loaded

    def _untrusted(self, path: Path) -> set[str]:
        skops = _library(self.requires)
        if path.is_dir():
            raise UnknownFormatError(f"{path.name!r} is a folder; loader 'skops' reads one file")
        with path.open("rb"):  # a file that can't be opened is no matter of formats
            pass
        try:
            return set(skops.get_untrusted_types(file=path))
        except Exception as error:  # a malformed schema can make skops raise anything
            reason = f"{type(error).__name__}: {error}"[:300]
            raise UnknownFormatError(f"{path.name!r} can't be read as a skops file: {reason!r}") from error


def _has_schema(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return "schema.json" in archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _library(requirement: str) -> Any:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    try:
        found = version("skops")
    except PackageNotFoundError:
        found = None
    if found is None or not Requirement(requirement).specifier.contains(found, prereleases=True):
        raise MissingDependencyError(
            f"loader 'skops' needs {requirement}, found {found or 'none'}: pip install {requirement!r}"
        )
    import skops.io
    import skops.io.exceptions

    return skops.io
