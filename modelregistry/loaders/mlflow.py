"""MLflow's model folders: the model in them is read by its own loader where there is one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

from modelregistry.errors import InvalidFileError, UnknownFormatError
from modelregistry.loaders.base import (
    Description,
    Inspection,
    Likeness,
    Loader,
    Permit,
    Tier,
    UntrustedNamesError,
)
from modelregistry.loaders.folders import contained
from modelregistry.metadata.signature import Column, ModelSignature
from modelregistry.project.yamltext import parse, typed

_FILE = "MLmodel"
_PYFUNC = "python_function"
_DATA = ("data", "pickled_model", "model_data", "model_path")
"""Where flavours say which file or folder holds the model."""
_TYPES = {
    "binary": "bytes",
    "boolean": "bool",
    "datetime": "datetime64[ns]",
    "double": "float64",
    "float": "float32",
    "integer": "int32",
    "long": "int64",
    "string": "str",
}
_MOST_REQUIREMENTS = 1 << 20


class MLflowLoader(Loader):
    """The folder that ``save_model`` and ``log_model`` of any flavour write."""

    name: ClassVar[str] = "mlflow"
    requires: ClassVar[str] = "mlflow>=2.10"
    extra: ClassVar[str] = "mlflow"
    distributions: ClassVar[tuple[str, ...]] = ("mlflow",)

    def recognises(self, path: Path, name: str) -> Likeness:
        """Whether the folder has MLflow's file."""
        return Likeness.MARKER if (path / _FILE).is_file() else Likeness.NONE

    def part(self, path: Path) -> Path | None:
        """What the one flavour beside ``python_function`` names as its data, unless it brings code along."""
        try:
            flavors = {
                name: flavor
                for name, flavor in _settings(path).get("flavors", {}).items()
                if name != _PYFUNC and isinstance(flavor, dict)
            }
            if len(flavors) != 1 or (path / "components").exists():
                return None
            (flavor,) = flavors.values()
            named = [flavor[key] for key in _DATA if isinstance(flavor.get(key), str)]
            return contained(path, named[0]) if len(named) == 1 and not flavor.get("code") else None
        except (InvalidFileError, UnknownFormatError, AttributeError):
            return None

    def inspect(self, path: Path) -> Inspection:
        """Code: MLflow imports and unpickles what the folder says.

        Raises:
            UnknownFormatError: It is no folder of MLflow's.
            InvalidFileError: Its settings are malformed.
        """
        _settings(path)
        return Inspection(Tier.CODE, ("mlflow.pyfunc.load_model",))

    def describe(self, path: Path) -> Description:
        """The signature in the settings, and the pinned requirements.

        Raises:
            UnknownFormatError: It is no folder of MLflow's, or its signature is malformed.
            InvalidFileError: Its settings are malformed.
        """
        signature = _settings(path).get("signature")
        with self.reading(path):
            described = None
            if isinstance(signature, dict):
                described = ModelSignature(_columns(signature, "inputs"), _columns(signature, "outputs"))
            return Description(described, dict(_pinned(path / "requirements.txt")))

    def load(self, path: Path, permit: Permit) -> object:
        """MLflow's ``PyFuncModel``.

        Raises:
            UntrustedNamesError: Code may not run.
            UnknownFormatError: It is no folder of MLflow's.
            MissingDependencyError: MLflow is not installed.
        """
        _settings(path)
        if not permit.code:
            raise UntrustedNamesError(("mlflow.pyfunc.load_model",))
        if "mlflow" not in sys.modules:
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        with self.importing():
            import mlflow.pyfunc
        model: object = mlflow.pyfunc.load_model(str(path))
        return model


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / _FILE
    if not file.is_file():
        raise UnknownFormatError(f"{folder.name!r} is no folder of MLflow's: it has no {_FILE}")
    with file.open("rb") as opened:
        found = typed(parse(opened.read((8 << 20) + 1), _FILE))
    if not isinstance(found, dict):
        raise UnknownFormatError(f"{_FILE} in {folder.name!r} holds no settings")
    return cast("dict[str, Any]", found)


def _columns(signature: Mapping[str, object], key: str) -> tuple[Column, ...]:
    """The columns that MLflow keeps as JSON within its YAML."""
    text = signature.get(key)
    if not isinstance(text, str):
        return ()
    return tuple(map(_column, cast("list[dict[str, Any]]", json.loads(text))))


def _column(spec: Mapping[str, Any]) -> Column:
    name, required = spec.get("name"), spec.get("required", True) is True
    if spec["type"] == "tensor":
        tensor = spec["tensor-spec"]
        shape = tuple(None if length == -1 else int(length) for length in tensor["shape"])
        return Column(name, str(tensor["dtype"]), shape, required)
    return Column(name, _TYPES.get(str(spec["type"])), required=required)


def _pinned(path: Path) -> Iterator[tuple[str, str]]:
    """The requirements that name one version exactly."""
    from packaging.requirements import InvalidRequirement, Requirement

    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = file.read(_MOST_REQUIREMENTS).splitlines()
    for line in lines:
        try:
            requirement = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:  # an option, an address, or nothing
            continue
        match [*requirement.specifier]:
            case [only] if only.operator == "==" and "*" not in only.version:
                yield requirement.name, only.version
            case _:
                pass
