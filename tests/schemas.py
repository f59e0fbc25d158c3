"""The JSON Schemas that the reference publishes, made of the classes that read the files: ``python -m tests.schemas`` writes them."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from modelregistry.bundles.file import Manifest as BundleManifest
from modelregistry.cards.text import CardText
from modelregistry.config import Settings, UserSettings
from modelregistry.exports.manifest import ExportManifest
from modelregistry.log.events import KINDS, Deregistered, FileDigest
from modelregistry.log.tags import _IN_TAG
from modelregistry.metadata.evaluation import Evaluation
from modelregistry.metadata.usage import Usage
from modelregistry.trust.signertexts import _PolicyText

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
OURS = [kind for kind in KINDS.values() if kind is not Deregistered]
"""The kinds of events that this library writes."""


class MetadataBlocks(BaseModel):
    """Those entries of a version's metadata that have a meaning and are written by people; there may be any others."""

    model_config = ConfigDict(extra="allow")

    card: CardText | None = None
    """What a team says of the model."""
    usage: Usage | None = None
    """How it is called."""
    evaluation: Evaluation | None = None
    """How it is measured."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow")


class MadeFrom(_Row):
    """Something in a version's lineage."""

    kind: str
    name: str
    digest: str | None
    repository: str | None
    """Another one that it is in."""
    version: str | None
    """The model version it is, as a reference."""


class CatalogueVersion(_Row):
    """One version, withdrawn ones too."""

    version: str
    state: str
    stages: Sequence[str]
    rev: str
    source_rev: str
    digest: str | None
    size: int | None
    """Bytes."""
    created_at: datetime
    author: str
    message: str
    metadata: Mapping[str, JsonValue]
    metrics: Mapping[str, float]
    params: Mapping[str, JsonValue]
    signed_by: str | None
    """Whom the policy of the one who made the site knows as the signer of its registration."""
    files: Sequence[FileDigest]
    made_from: Sequence[MadeFrom]
    page: str
    """Its page, relative to the file."""


class CatalogueEvent(_Row):
    """What happened once."""

    at: datetime
    kind: str
    model: str
    version: str | None
    stage: str | None
    before: Sequence[str] | str | None
    """Who held the stage before."""
    author: str
    message: str


class CatalogueModel(_Row):
    """One model."""

    name: str
    registry: str | None = None
    """What its registry is called, where the site shows several."""
    page: str
    """Its page, relative to the file."""
    latest: str | None
    """Null where no version may be served."""
    stages: Mapping[str, Sequence[str]]
    """The holders of each stage that is held."""
    type: str
    """Empty where nobody said."""
    labels: Sequence[str]
    description: str
    deprecated: bool
    changed: str
    """When the last event was: date and minutes, UTC."""
    metadata: Mapping[str, JsonValue]
    """What was said of the model as a whole."""
    versions: Sequence[CatalogueVersion]
    """The greatest first."""
    events: Sequence[CatalogueEvent]
    """The oldest first."""


class Catalogue(_Row):
    """``catalogue.json`` of a site."""

    schema_version: Literal[1]
    title: str
    models: Sequence[CatalogueModel]


class _Plain(GenerateJsonSchema):
    """Without a title for each field, which says its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(model: type[BaseModel], title: str, *, written: bool = False) -> dict[str, Any]:
    """The schema of a file that ``model`` reads, or one that is as this library writes it."""
    mode: Literal["serialization", "validation"] = "serialization" if written else "validation"
    schema = model.model_json_schema(mode=mode, schema_generator=_Plain)
    return _described({"$schema": DRAFT, **schema, "title": title}, model)


def event_schema() -> dict[str, Any]:
    """What follows ``Model-Registry: ``: the event, less what its tag says."""
    _, schema = models_json_schema([(kind, "validation") for kind in OURS], schema_generator=_Plain)
    schema = _described(schema)
    for kind in OURS:
        facts = schema["$defs"][kind.__name__]
        facts["properties"] = {
            name: fact for name, fact in facts["properties"].items() if name not in _IN_TAG
        }
        facts["required"] = [
            "schema_version",
            "kind",
            *(name for name in facts["required"] if name not in _IN_TAG),
        ]
        facts["properties"]["schema_version"] = {"const": 1}
    return {
        "$schema": DRAFT, "title": "Event", "description": "The trailer of a tag of ours",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in OURS], **schema,
    }  # fmt: skip


def catalogue_schema() -> dict[str, Any]:
    """``schema`` is no name for a field of a class."""
    schema = schema_of(Catalogue, "Catalogue", written=True)
    schema["properties"] = {"schema": schema["properties"].pop("schema_version"), **schema["properties"]}
    schema["required"] = ["schema", *(name for name in schema["required"] if name != "schema_version")]
    return schema


def published() -> dict[str, dict[str, Any]]:
    """Each schema by the name of its file."""
    return {
        "bundle-manifest.schema.json": schema_of(BundleManifest, "Manifest of a bundle", written=True),
        "catalogue.schema.json": catalogue_schema(),
        "config.schema.json": schema_of(UserSettings, "config.toml"),
        "event.schema.json": event_schema(),
        "export-manifest.schema.json": schema_of(ExportManifest, "Manifest of an export", written=True),
        "metadata.schema.json": schema_of(MetadataBlocks, "Metadata"),
        "policy.schema.json": schema_of(_PolicyText, "policy.toml"),
        "settings.schema.json": schema_of(Settings, ".modelregistry.toml"),
    }


def text_of(schema: Mapping[str, Any]) -> str:
    """The file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def closed(schema: Any) -> Any:
    """The same where fields that it does not name are errors: so a test sees what is missing in it."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(each) for key, each in schema.items()}
    if isinstance(inner.get("properties"), dict) and inner.get("type") == "object":
        inner["additionalProperties"] = False
    return inner


def _described(schema: dict[str, Any], root: type[BaseModel] = BaseModel) -> dict[str, Any]:
    """With what the classes say of each field."""
    known = {model.__name__: model for model in _subclasses(BaseModel)}
    parts = {name: (part, known.get(name, BaseModel)) for name, part in schema.get("$defs", {}).items()}
    for part, model in [(schema, root), *parts.values()]:
        if part is not schema:
            part.pop("title", None)  # the name that it has in $defs
        if "description" in part:
            part["description"] = _on_one_line(part["description"])
        for field, words in _words(model).items():
            if field in part.get("properties", {}):
                part["properties"][field].setdefault("description", words)
    return schema


def _subclasses(model: type[BaseModel]) -> list[type[BaseModel]]:
    return [each for child in model.__subclasses__() for each in (child, *_subclasses(child))]


def _words(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a class and of those that it is made of, on one line."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(each))).body[0]
            assert isinstance(body, ast.ClassDef)
            for field, below in zip(body.body, body.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                    assert isinstance(field.target, ast.Name) and isinstance(below.value, ast.Constant)
                    found[field.target.id] = _on_one_line(str(below.value.value))
    return found


def _on_one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    for name, schema in published().items():
        (FOLDER / name).write_text(text_of(schema), encoding="utf-8")
