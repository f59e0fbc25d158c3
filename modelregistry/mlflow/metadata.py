"""What of an MLflow version goes into its metadata here, and what has no place in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from modelregistry.mlflow.facts import MLflowModel, MLflowRun, MLflowVersion

ORIGIN = "mlflow"
"""The key that says where a version, or a model, came from."""
MOST_METADATA = 40 << 10
"""Bytes of JSON: an event has 64 KiB, and the digests of the files and what the bytes tell need some of it."""
_LARGE = ("params", "tags", "metrics", "description")


def version_metadata(
    version: MLflowVersion, run: MLflowRun, *, address: str
) -> tuple[dict[str, JsonValue], list[str]]:
    """The metadata of a version, and what of it could not be kept."""
    lost = [run.lost] if run.lost else []
    origin = origin_of(version) | {
        "registry": address, "updated_at": _time(version.updated_at), "author": version.author or run.author,
        "stage": version.stage, "aliases": [*version.aliases], "source": version.source, "run_id": version.run_id,
        "model_id": version.model_id, "run": run.name, "experiment": run.experiment, "commit": run.commit,
        "repository": run.repository, "script": run.script, "datasets": [dict(each) for each in run.datasets],
    }  # fmt: skip
    metrics: dict[str, JsonValue] = {}
    for name, value in run.metrics.items():
        if math.isfinite(value):
            metrics[name] = value
        else:
            lost.append(f"metric {name!r} is {value}, which JSON can't hold")
    said = {"said": f"models:/{version} of {address}"}  # a lineage shows where it came from
    found: dict[str, JsonValue] = _clean({
        "origin": said, "metrics": metrics, "params": dict(run.params), "tags": dict(version.tags),
        "description": version.description, ORIGIN: origin,
    })  # fmt: skip
    return _shortened(found, lost), lost


def model_metadata(
    model: MLflowModel, stages: Mapping[str, list[str]]
) -> tuple[dict[str, JsonValue], list[str]]:
    """The metadata of a model as a whole, and what could not be kept.

    All of it is below one key, which is the migration's own: what the team says of the model is never touched.

    Args:
        model: The model.
        stages: The versions that MLflow gives each stage now.
    """
    lost: list[str] = []
    said = _shortened(_clean({"description": model.description, "tags": dict(model.tags)}), lost)
    origin = {
        "model": model.name,
        **said,
        "aliases": dict(sorted(model.aliases.items())),
        "stages": dict(sorted(stages.items())),
    }
    return {ORIGIN: _clean(origin)}, lost


def origin_of(version: MLflowVersion) -> dict[str, Any]:
    """What tells the version from every other."""
    return {"model": version.model, "version": version.number, "created_at": _time(version.created_at)}


def is_from(metadata: Mapping[str, JsonValue], version: MLflowVersion) -> bool:
    """Whether metadata says that it came from that very version: one that was deleted and made anew is another."""
    origin = metadata.get(ORIGIN)
    return isinstance(origin, dict) and all(
        origin.get(key) == value for key, value in origin_of(version).items() if value is not None
    )


def stages_of(metadata: Mapping[str, JsonValue]) -> dict[str, list[str]]:
    """The stages that MLflow gave when it was last looked at."""
    origin = metadata.get(ORIGIN)
    stages = origin.get("stages") if isinstance(origin, dict) else None
    if not isinstance(stages, dict):
        return {}
    return {
        stage: [version for version in versions if isinstance(version, str)]
        for stage, versions in stages.items()
        if isinstance(versions, list)
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _clean(value: Any) -> Any:
    """Without what is empty, and with text that UTF-8 can hold."""
    if isinstance(value, dict):
        cleaned = {_clean(key): _clean(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _shortened(found: dict[str, JsonValue], lost: list[str]) -> dict[str, JsonValue]:
    """What an event has room for: the largest of the rest goes first."""
    sizes = {key: len(json.dumps(value)) for key, value in found.items()}
    while sum(sizes.values()) > MOST_METADATA and (large := [key for key in _LARGE if key in found]):
        key = max(large, key=lambda each: sizes[each])
        value = found.pop(key)
        many = f"{len(value):,} " if isinstance(value, dict) else ""
        lost.append(f"its {many}{key} are {sizes.pop(key):,} bytes, and an event has no room for them")
    return found
