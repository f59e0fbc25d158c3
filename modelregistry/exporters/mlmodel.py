"""The texts by which MLflow knows a model: ``MLmodel``, and what an environment for it is made by."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from modelregistry.exporters.base import Source
from modelregistry.lineage.node import Kind
from modelregistry.metadata.signature import Column, ModelSignature

MLMODEL = "MLmodel"
_REQUIREMENTS, _CONDA, _PYTHON = "requirements.txt", "conda.yaml", "python_env.yaml"
_TYPES = {
    "bool": "boolean",
    "bytes": "binary",
    "datetime64[ns]": "datetime",
    "float32": "float",
    "float64": "double",
    "int32": "integer",
    "int64": "long",
    "str": "string",
}
"""MLflow's words for the types of columns."""
_KINDS: tuple[Kind, ...] = ("dataset", "params", "source", "repository", "run", "step")
"""What of the lineage is written down; ``manifest.json`` has all of it."""
_STANDS_FOR = {"xgboost": "xgboost-cpu"}
"""Distributions that bring the same module."""


def files(
    source: Source,
    pyfunc: Mapping[str, Any],
    flavors: Mapping[str, Mapping[str, Any]],
    needs: Iterable[str],
) -> dict[str, bytes]:
    """The files beside the model, by name.

    Args:
        source: The version.
        pyfunc: How ``mlflow.pyfunc`` loads it.
        flavors: How MLflow loads it otherwise.
        needs: The distributions that loading takes.
    """
    environment = environment_of(source)
    python = environment.get("python")
    lines = _requirements(environment, needs)
    conda = ["pip", {"pip": lines}]
    return {
        MLMODEL: _mlmodel(source, pyfunc, flavors, python),
        _REQUIREMENTS: "".join(f"{line}\n" for line in lines).encode(),
        _CONDA: _yaml({
            "name": "mlflow-env", "channels": ["conda-forge"],
            "dependencies": [f"python={python}" if python else "python", *conda],
        }),
        _PYTHON: _yaml(_known({
            "python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {_REQUIREMENTS}"],
        })),
    }  # fmt: skip


def environment_of(source: Source) -> Mapping[str, str]:
    """What the version was made with, as its registration says."""
    found = source.version.registered.metadata.get("environment")
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def zipped(name: str, data: bytes) -> bytes:
    """A zip with one file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), data)  # dated 1980, whenever that is
    return target.getvalue()


def _requirements(environment: Mapping[str, str], needs: Iterable[str]) -> list[str]:
    """MLflow itself, what was recorded, and what loading needs besides."""
    pinned = {name: version for name, version in environment.items() if name != "python"}
    more = [name for name in needs if name not in pinned and _STANDS_FOR.get(name) not in pinned]
    return ["mlflow", *(f"{name}=={version}" for name, version in sorted(pinned.items())), *more]


def _mlmodel(
    source: Source, pyfunc: Mapping[str, Any], flavors: Mapping[str, Mapping[str, Any]], python: str | None
) -> bytes:
    registered = source.version.registered
    env = {"conda": _CONDA, "virtualenv": _PYTHON}
    return _yaml(_known({
        "flavors": {
            "python_function": _known({**pyfunc, "env": env, "python_version": python}),
            **{name: _known(flavor) for name, flavor in flavors.items()},
        },
        "metadata": {"modelregistry": _origin(source)},
        "model_size_bytes": sum(file.size or 0 for file in source.files),
        "model_uuid": source.digest.removeprefix("sha256:")[:32],
        "signature": _signature(ModelSignature.from_dict(registered.metadata.get("signature"))),
        "utc_time_created": f"{registered.at:%Y-%m-%d %H:%M:%S.%f}",
    }))  # fmt: skip


def _origin(source: Source) -> dict[str, Any]:
    """Where it came from. What is found in other repositories may be there one day only, and so is left out."""
    version, registered = source.version, source.version.registered
    nodes = [
        _known({
            "kind": node.kind, "name": node.name, "path": node.path, "digest": node.digest, "rev": node.rev,
            "version": node.version, "values": dict(node.values) if node.kind in ("params", "step") else None,
        })
        for node in source.lineage.of_kind(*_KINDS)
        if node.repository is None
    ]  # fmt: skip
    return _known({
        "name": version.name, "version": version.version, "digest": source.digest, "rev": version.rev,
        "source_rev": version.source_rev, "path": version.path, "registry": registered.registry,
        "registered_at": registered.at.isoformat(), "registered_by": registered.author, "message": registered.message,
        "lineage": nodes,
    })  # fmt: skip


def _signature(signature: ModelSignature | None) -> dict[str, str | None] | None:
    """The signature in MLflow's words; what it has none for, or was not recorded, is left out: MLflow refuses what differs."""
    if signature is None:
        return None
    # Of scikit-learn's estimators each method is an output; MLflow calls one.
    predicted = [column for column in signature.outputs if column.name == "predict"]
    inputs = _schema(signature.inputs)
    outputs = _schema([Column(type=each.type, shape=each.shape) for each in predicted] or signature.outputs)
    return {"inputs": inputs, "outputs": outputs, "params": None} if inputs or outputs else None


def _schema(columns: Sequence[Column]) -> str | None:
    """MLflow's text for inputs or outputs: tensors, where one has more than one dimension, else columns."""
    spec = _tensor if any(len(column.shape or ()) > 1 for column in columns) else _column
    specs = [spec(column) for column in columns]
    if not specs or None in specs:
        return None
    if (
        len(specs) == 1 and spec is _tensor
    ):  # without a name it may be an array or a table, and is passed by its place
        specs[0] = {key: value for key, value in specs[0].items() if key != "name"} if specs[0] else None
    return json.dumps(specs)


def _tensor(column: Column) -> dict[str, Any] | None:
    if column.shape is None or column.type in (None, "str"):
        return None
    shape = [-1 if length is None else length for length in column.shape]
    return _known(
        {"type": "tensor", "tensor-spec": {"dtype": column.type, "shape": shape}, "name": column.name}
    )


def _column(column: Column) -> dict[str, Any] | None:
    word = _TYPES.get(column.type or "")
    return (
        _known({"type": word, "name": column.name, "required": column.required}) if word is not None else None
    )


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what nobody knows."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def _yaml(value: Mapping[str, Any]) -> bytes:
    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=True, default_flow_style=False)
    return text.encode()
