"""Schemas for metadata: what does not fit is named, and a hostile schema neither reaches out nor hangs."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from modelregistry.errors import InvalidInputError, InvalidSettingsError
from modelregistry.metadata.schema import MOST_BYTES, MetadataSchema, Misfit, check_model, model_misfits


def schema(document: object) -> MetadataSchema:
    return MetadataSchema.parse(json.dumps(document).encode(), "schema.json")


def told(document: object, value: dict[str, Any]) -> list[str]:
    return [str(each) for each in schema(document).misfits([value])[0]]


OWNED = {
    "type": "object",
    "required": ["owner"],
    "properties": {
        "owner": {"enum": ["risk", "fraud"]},
        "limits": {"type": "array", "items": {"$ref": "#/$defs/limit"}},
    },
    "additionalProperties": False,
    "$defs": {"limit": {"type": "object", "properties": {"age": {"minimum": 18}}}},
}


def test_each_misfit_has_the_path_the_value_and_the_wish() -> None:
    assert told(OWNED, {"owner": "risk", "limits": [{"age": 18}]}) == []
    assert told(OWNED, {"owner": "hr", "limits": [{"age": 20}, {"age": 3}]}) == [
        "owner: 'hr' is not one of ['risk', 'fraud']",
        "limits[1].age: 3 is less than the minimum of 18",
    ]
    assert told(OWNED, {}) == ["'owner' is a required property"]


def test_what_this_library_writes_is_judged_only_where_the_schema_names_it() -> None:
    learned = {"loader": "skops", "environment": {}, "signature": {}, "metrics": {"auc": 1}, "evaluated": {}}
    assert told(OWNED, {"owner": "risk", **learned}) == []
    named = {"required": ["signature"], "properties": {"metrics": {"required": ["f1"]}}}
    assert sorted(told(named, {"metrics": {"auc": 1}})) == [
        "'signature' is a required property",
        "metrics: 'f1' is a required property",
    ]


def test_many_are_judged_at_once_each_by_itself() -> None:
    found = schema(OWNED).misfits([{"owner": "risk"}, {"owner": 1}, {}])
    assert [len(each) for each in found] == [0, 1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not in the repository"),
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "must be an object"),
        (b'{"$ref": "https://example.com/schema.json"}', r"\$ref 'https://example.com/schema.json' is not read"),
        (b'{"properties": {"a": {"$ref": "other.json#/x"}}}', r"\$ref 'other.json#/x' is not read"),
        (b'{"$dynamicRef": "file:///etc/passwd"}', "is not read"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested deeper"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_schema_of_its_own_is_refused(text: bytes | None, words: str) -> None:
    with pytest.raises(InvalidSettingsError, match=words):
        MetadataSchema.parse(text, "schema.json")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"type": "thing"}, "type: 'thing' is not valid"),
        ({"properties": 3}, "properties: 3 is not of type 'object'"),
        ({"$ref": "#/$defs/none"}, r"its \$ref '/\$defs/none' leads nowhere"),
        ({"$id": "https://example.com/a", "properties": {"a": {"$ref": "#nowhere"}}}, "leads nowhere"),
        ({"$ref": "#"}, "without end"),
        ({"properties": {"a": {"pattern": "("}}}, "could not be judged by: re.error: missing"),
        ({"$schema": ["x"]}, "schema"),
    ],
)
def test_a_schema_that_can_not_be_used_is_an_error_and_not_a_verdict(document: object, words: str) -> None:
    with pytest.raises(InvalidSettingsError, match=words):
        schema(document).misfits([{"a": "x"}])


def doubling(depth: int) -> dict[str, Any]:
    """Each level asks twice for the next one."""
    steps = {
        f"s{step}": {"allOf": [{"$ref": f"#/$defs/s{step + 1}"}] * 2} for step in range(depth)
    }  # fmt: skip
    return {"$defs": {**steps, f"s{depth}": {}}, "$ref": "#/$defs/s0"}


@pytest.mark.parametrize(
    "document",
    [
        {"properties": {"a": {"pattern": "^(a+)+$"}}},
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        doubling(60),
    ],
    ids=["pattern", "name", "doubling"],
)
def test_a_schema_that_would_run_for_ever_is_ended(document: object) -> None:
    bait = "a" * 60 + "!"
    began = time.monotonic()
    with pytest.raises(
        InvalidSettingsError, match="could not be judged by within 1 seconds: make it simpler"
    ):
        schema(document).misfits([{"a": bait, bait: 1}], seconds=1)
    assert time.monotonic() - began < 10


def test_a_large_schema_is_not_read() -> None:
    assert MOST_BYTES < 1 << 20
    many = {f"field{number}": {"type": "string", "maxLength": number} for number in range(5000)}
    assert len(json.dumps({"properties": many})) < MOST_BYTES
    assert told({"properties": many}, {"field3": "long", "field4": "long"}) == ["field3: 'long' is too long"]


def test_a_long_value_is_told_in_short() -> None:
    (found,) = told({"properties": {"a": {"type": "integer"}}}, {"a": "x" * 10_000})
    assert len(found) < 500
    assert found.endswith("is not of type 'integer'")


class Owned(BaseModel):
    model_config = ConfigDict(extra="forbid")

    owner: str
    ticket: int = 0


def test_a_pydantic_model_judges_json_as_it_is() -> None:
    assert model_misfits(Owned, {"owner": "risk", "ticket": 3, "loader": "skops"}) == ()
    assert [each.path for each in model_misfits(Owned, {"ticket": "3", "other": 1})] == [
        "owner",
        "ticket",
        "other",
    ]
    (found,) = model_misfits(Owned, {"owner": 7})
    assert found == Misfit("owner", "Input should be a valid string, and it is 7")


@pytest.mark.parametrize("given", ["mypkg.Model", Owned(owner="x"), dict, {"type": "object"}])
def test_nothing_but_a_pydantic_model_is_taken_and_nothing_is_imported_by_its_name(given: object) -> None:
    with pytest.raises(InvalidInputError, match="it must be a pydantic model"):
        check_model(given)
