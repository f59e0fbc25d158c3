"""The published JSON Schemas are those of the classes that read the files, and what is written fits them."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from modelregistry.bundles import file as bundlefile
from modelregistry.log.events import Event
from modelregistry.log.tags import render
from tests import schemas, strategies

PUBLISHED = schemas.published()
SETTINGS = """
backend = "git"
[stages]
canary = { exclusive = false }
[metadata]
version = "schemas/version.json"
[cards]
required = ["limits"]
"""
POLICY = """
registry = "c9f0"
strict = true
[[signer]]
principal = "ci@example.com"
key = "SHA256:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
may = ["promote:shadow"]
[[require]]
stages = ["current"]
[trust]
signers = ["ci@example.com"]
"""


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Of the published schema, in which what it does not name is an error."""
    schema = json.loads((schemas.FOLDER / name).read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schemas.closed(schema))


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_is_what_the_classes_say(name: str) -> None:
    """``python -m tests.schemas`` writes them anew."""
    assert (schemas.FOLDER / name).read_text(encoding="utf-8") == schemas.text_of(PUBLISHED[name])
    jsonschema.Draft202012Validator.check_schema(PUBLISHED[name])


def test_every_schema_in_the_reference_is_shown_there() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in schemas.FOLDER.glob("*.md"))
    for path in schemas.FOLDER.glob("*.json"):
        assert f"<{path.name}>" in text or f"`{path.name}`" in text, path.name
        assert path.name in {*PUBLISHED, "lineage.schema.json"}, "made by nobody"


@given(strategies.events())
def test_the_trailer_of_any_event_fits_its_schema(event: Event) -> None:
    known = {name: value for name, value in event if name in type(event).model_fields}
    trailer = render(type(event).model_validate(known)).rpartition(b"\nModel-Registry: ")[2]
    validator("event.schema.json").validate(json.loads(trailer))


@pytest.mark.parametrize(
    "trailer",
    [
        {"kind": "assign", "id": "1"},
        {"kind": "assign", "id": "1", "schema_version": 1},
        {"kind": "assign", "id": "1", "schema_version": 2, "stage": "current"},
        {"kind": "register", "id": "1", "schema_version": 1},
        {"kind": "deregister", "id": "1", "schema_version": 1, "version": "v0.1.0"},
        {"kind": "annotate", "id": "1", "schema_version": 1, "metadata": []},
        {"kind": "annotate", "id": "1", "schema_version": 1, "model": "what the tag says is not said again"},
    ],
)
def test_what_is_no_trailer_does_not_fit(trailer: dict[str, Any]) -> None:
    assert not validator("event.schema.json").is_valid(trailer)


@pytest.mark.parametrize(
    ("name", "text", "slip"),
    [
        ("settings.schema.json", SETTINGS, "[stage]"),
        ("settings.schema.json", SETTINGS, "[stages]\ncurrent = 1"),
        ("policy.schema.json", POLICY, "[[signer]]\nprincipal = 'ann@example.com'"),
        ("policy.schema.json", POLICY, "signers = 1"),
        (
            "config.schema.json",
            '[backends]\n"/home/ann/churn" = "sqlite:////home/ann/churn.db"',
            "backends = 1",
        ),
    ],
)
def test_files_that_people_write_fit_and_slips_do_not(name: str, text: str, slip: str) -> None:
    validator(name).validate(tomllib.loads(text))
    assert not validator(name).is_valid(tomllib.loads(slip))


def test_the_blocks_of_metadata_fit_and_slips_do_not() -> None:
    blocks = {
        "card": {"limits": "Not for new customers.", "license": "apache-2.0", "tags": ["tabular"]},
        "usage": {"text": "Ask it monthly.", "example": "examples/churn.json"},
        "evaluation": {"command": ["python", "m.py"], "metrics": {"auc": {"direction": "higher", "threshold": 0.7}}},
    }  # fmt: skip
    check = jsonschema.Draft202012Validator(PUBLISHED["metadata.schema.json"])
    check.validate(blocks | {"owner": "risk"})
    assert not check.is_valid({"card": {"licence": "apache-2.0"}})
    assert not check.is_valid({"evaluation": {"metrics": {"auc": {"direction": "up"}}}})


def test_the_manifest_of_a_bundle_fits(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"1")
    target = tmp_path / "churn.bundle"
    bundlefile.write(
        target, [bundlefile.Source("history.bundle", tmp_path / "history")],
        registry="c9f0", branch="main", versions=["churn@v0.1.0"], check=lambda _: None,
    )  # fmt: skip
    with bundlefile.BundleFile.open(target) as bundle:
        validator("bundle-manifest.schema.json").validate(json.loads(bundle.manifest.model_dump_json()))
