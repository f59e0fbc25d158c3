"""Skops files: a zip of data and a schema, built by skops from types it is told to trust."""

from __future__ import annotations

import json
import shutil
import zipfile
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
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
from modelregistry.metadata.signature import ModelSignature

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
        """Write the object as such a file: the same object as the same bytes, whenever it is.

        Raises:
            MissingDependencyError: skops is not installed, or too old to be safe.
        """
        scratch = path.with_name(f"{path.name}.scratch")
        try:
            self._library().dump(model, scratch)
            _settle(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)

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


def _settle(source: Path, target: Path) -> None:
    """Copy a file of skops', whose parts it numbers by where they lay in memory, and dates, with numbers of their own."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as settled:
        schema = json.loads(archive.read(_SCHEMA))
        numbers: dict[int, int] = {}
        names: dict[str, str] = {}
        _renumber(schema, numbers, names, set(archive.namelist()))
        for before, after in names.items():
            part = zipfile.ZipInfo(after)
            part.file_size = archive.getinfo(before).file_size
            with archive.open(before) as reader, settled.open(part, "w") as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)
        settled.writestr(zipfile.ZipInfo(_SCHEMA), json.dumps(schema, indent=2))


def _renumber(node: Any, numbers: dict[int, int], names: dict[str, str], files: set[str]) -> None:
    """Number objects and files in the order in which the schema comes upon them."""
    if isinstance(node, list):
        for each in node:
            _renumber(each, numbers, names, files)
    elif isinstance(node, dict):
        if isinstance(number := node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(number, len(numbers) + 1)
        if isinstance(file := node.get("file"), str) and file in files:
            node["file"] = names.setdefault(file, f"{len(names) + 1}{PurePosixPath(file).suffix}")
        for each in node.values():
            _renumber(each, numbers, names, files)
