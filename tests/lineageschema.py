"""Holds lineages and their differences to the published schema, closed: what it does not name is an error too."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from modelregistry.lineage.lineage import Lineage, LineageDiff

PLACE = Path(__file__).parents[1] / "docs" / "reference" / "lineage.schema.json"


@cache
def published() -> Any:
    """The schema as it is in the docs."""
    schema = json.loads(PLACE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def check(found: Lineage | LineageDiff) -> None:
    """Fail where ``to_dict`` gives what the schema does not say."""
    name = "lineage" if isinstance(found, Lineage) else "difference"
    schema = {**_closed(published()), "$ref": f"#/$defs/{name}"}
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(found.to_dict(), allow_nan=False)))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _closed(each) for key, each in schema.items()}
    is_object = isinstance(inner.get("properties"), dict) and inner.get("type") == "object"
    return {**inner, "additionalProperties": False} if is_object else inner
