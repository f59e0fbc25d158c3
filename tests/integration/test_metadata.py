"""Metadata that must fit: a team's schema, a caller's model and the library's own blocks, asked before anything is written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sklearn.linear_model import LinearRegression

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, git, visible, write

WANTED = {
    "required": ["owner"],
    "properties": {"owner": {"type": "string"}, "auc": {"type": "number"}},
    "additionalProperties": False,
}


@pytest.fixture
def strict(registry: Registry, plain: Path) -> Registry:
    """The small project, whose versions of ``churn`` were there before its schema was."""
    return ask_for(plain, version=WANTED, model={"properties": {"runbook": {"pattern": "^wiki/"}}})


def ask_for(plain: Path, **schemas: object) -> Registry:
    settings = "[metadata]\n"
    for name, schema in schemas.items():
        write(plain / "schemas" / f"{name}.json", json.dumps(schema))
        settings += f'{name} = "schemas/{name}.json"\n'
    write(plain / ".modelregistry.toml", settings)
    commit(plain, "Say what metadata must be")
    return Registry(plain)


def refused(registry: Registry, plain: Path, words: str, **facts: Any) -> None:
    """An annotation of v0.1.1 is refused in these words, and nothing is written."""
    before = visible(plain)
    with pytest.raises(mr.InvalidInputError, match=words):
        registry.annotate("churn", "v0.1.1", **facts)
    assert visible(plain) == before


def test_an_annotation_is_held_to_the_schema_of_versions(strict: Registry, plain: Path) -> None:
    refused(strict, plain, r"churn@v0.1.1 .*nothing was written: auc: 'high' is not of type 'number' \(schemas/version.json\)",
            metadata={"owner": "risk", "auc": "high"})  # fmt: skip
    refused(strict, plain, "'colour' was unexpected", metadata={"owner": "risk", "colour": "red"})
    strict.annotate("churn", "v0.1.1", {"owner": "risk", "auc": 0.9})
    refused(strict, plain, "'owner' is a required property", metadata={"owner": None})


def test_what_did_not_fit_before_hinders_nobody_and_check_tells_it(strict: Registry) -> None:
    strict.annotate("churn", "v0.1.1", {"auc": 0.9})
    strict.annotate("churn", "v0.1.0", {"owner": "risk"})
    assert strict.get("churn").metadata["auc"] == 0.9
    (problem,) = strict.check()
    assert (problem.model, problem.where) == ("churn", "metadata of v0.1.1")
    assert problem.what == "does not fit 'schemas/version.json': 'owner' is a required property"
    assert problem.mend == 'registry.annotate("churn", "v0.1.1", …)'


def test_a_registration_is_held_to_it_and_what_the_bytes_tell_is_left_alone(
    strict: Registry, plain: Path
) -> None:
    before = visible(plain)
    with pytest.raises(mr.InvalidInputError, match="'owner' is a required property"):
        strict.register("churn")
    with pytest.raises(mr.InvalidInputError, match="owner: 3 is not of type 'string'"):
        strict.register("churn", metadata={"owner": 3})
    with pytest.raises(mr.InvalidInputError, match="'owner' is a required property"):
        strict.register("churn", dry_run=True)
    assert visible(plain) == before
    assert strict.register("churn", metadata={"owner": "risk"}).metadata["owner"] == "risk"


def test_the_model_as_a_whole_has_a_schema_of_its_own(strict: Registry) -> None:
    with pytest.raises(mr.InvalidInputError, match="runbook: 'http://x' does not match"):
        strict.annotate("churn", None, {"runbook": "http://x"})
    strict.annotate("churn", None, {"runbook": "wiki/churn", "anything": 1})
    assert strict.model("churn").metadata == {"runbook": "wiki/churn", "anything": 1}
    assert strict.models()[0].metadata == strict.model("churn").metadata
    assert strict.model("churn") == strict.models()[0]
    with pytest.raises(mr.ModelNotFoundError):
        strict.model("nobody")


def test_the_schema_is_that_of_the_commit_and_not_of_the_working_copy(strict: Registry, plain: Path) -> None:
    write(plain / "schemas" / "version.json", "{}")
    with pytest.raises(mr.InvalidInputError, match="'colour' was unexpected"):
        strict.annotate("churn", "v0.1.0", {"colour": "red"})
    commit(plain)
    strict.annotate("churn", "v0.1.0", {"colour": "red"})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://example.com/x"}, "is not read: a schema may only refer to itself"),
        ({"type": 3}, "is no JSON Schema that can be used: type: 3 is not valid"),
    ],
)
def test_a_schema_that_can_not_be_used_stops_writers_and_no_reader(
    registry: Registry, plain: Path, schema: object, words: str
) -> None:
    strict = ask_for(plain, version=schema)
    with pytest.raises(mr.InvalidSettingsError, match=words):
        strict.annotate("churn", "v0.1.0", {"a": 1})
    assert strict.get("churn#current").version == "v0.1.0"
    (problem,) = strict.check()
    assert (problem.where, words in problem.what) == (".modelregistry.toml", True)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none.json", "'none.json', which .modelregistry.toml names, is not in the repository"),
        ("schemas", "'schemas', which .modelregistry.toml names, is not in the repository"),
        ("../outside.json", "not a path in the repository: '../outside.json'"),
        ("/etc/passwd", "not a path in the repository"),
    ],
)
def test_a_schema_that_is_not_there_is_told(registry: Registry, plain: Path, path: str, words: str) -> None:
    write(plain / "schemas" / "x.json", "{}")
    write(plain / ".modelregistry.toml", f'[metadata]\nversion = "{path}"\n')
    commit(plain)
    with pytest.raises(mr.InvalidSettingsError, match=words):
        Registry(plain).annotate("churn", "v0.1.0", {"a": 1})


def test_a_bare_repository_has_the_schema_too(strict: Registry, plain: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "bare")
    with pytest.raises(mr.InvalidInputError, match="'colour' was unexpected"):
        Registry(tmp_path / "bare", remote=None).annotate("churn", "v0.1.0", {"colour": "red"})


def test_what_is_logged_from_memory_is_held_to_it_before_anything_is_saved(project: Path) -> None:
    # The bytes tell the second, and that counts.
    schema = {**WANTED, "required": ["owner", "signature"], "additionalProperties": True}
    strict = ask_for(project, version=schema)
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    before = kept(project)
    with pytest.raises(mr.InvalidInputError, match="'owner' is a required property"):
        strict.log_model(model, "line")
    with pytest.raises(mr.InvalidInputError, match="the card's 'license' is 3"):
        strict.log_model(model, "line", metadata={"owner": "risk", "card": {"license": 3}})
    with pytest.raises(mr.InvalidInputError, match="owner: Input should be"):
        strict.log_model(model, "line", metadata={"owner": "risk", "auc": 1}, schema=Numbered)
    assert kept(project) == before
    assert strict.log_model(model, "line", metadata={"owner": "risk"}).metadata["owner"] == "risk"


def test_what_is_brought_in_is_held_to_it_before_anything_is_committed(project: Path, tmp_path: Path) -> None:
    strict = ask_for(project, version=WANTED)
    source = write(tmp_path / "elsewhere" / "rules.json", '{"rule": 2}')
    before = kept(project)
    with pytest.raises(mr.InvalidInputError, match="'owner' is a required property"):
        strict.track(source, "brought", path="brought.json", license="mit")
    assert kept(project) == before
    found = strict.track(source, "brought", path="brought.json", license="mit", metadata={"owner": "risk"})
    assert found.metadata["owner"] == "risk"
    assert found.card.front_matter["license"] == "mit"


def kept(project: Path) -> dict[str, object]:
    """What can be seen, but for DVC's locks."""
    return {name: data for name, data in visible(project).items() if not name.startswith(".dvc/tmp/")}


class Numbered(BaseModel):
    owner: int


class Owned(BaseModel):
    owner: str
    ticket: int = 0


def test_a_pydantic_model_holds_one_call(registry: Registry, plain: Path) -> None:
    refused(registry, plain, r"ticket: Input should be a valid integer, and it is '3' \(Owned\)",
            metadata={"owner": "risk", "ticket": "3"}, schema=Owned)  # fmt: skip
    registry.annotate("churn", "v0.1.1", {"owner": "risk", "ticket": 3}, schema=Owned)
    refused(registry, plain, "owner: Field required", metadata={"owner": None}, schema=Owned)
    refused(registry, plain, "must be a pydantic model", metadata={"a": 1}, schema="mypkg.Model")
    with pytest.raises(mr.InvalidInputError, match="owner: Field required"):
        registry.register("churn", schema=Owned)
    assert registry.register("churn", metadata={"owner": "risk"}, schema=Owned).version == "v0.1.2"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"usage": "call predict()"}, "usage: .*it is 'call predict"),
        ({"usage": {"sample": "x.json"}}, r"usage.sample: Extra inputs are not permitted"),
        ({"evaluation": {"command": "python evaluate.py"}}, r"evaluation.command: Input should be a valid array"),
        ({"evaluation": {"metrics": {"auc": {"direction": "up"}}}}, r"evaluation.metrics.auc.direction: .*'higher' or 'lower'"),
        ({"evaluation": {"metrics": {"auc": {"direction": "higher", "threshold": "0.9"}}}}, r"auc.threshold: .*it is '0.9'"),
        ({"card": {"license": 3}}, "the card's 'license' is 3"),
        ({"card": {"licence": "mit"}}, "the card's 'licence' is 'mit': no field of a card; there are summary"),
    ],
)  # fmt: skip
def test_the_blocks_that_the_library_reads_are_typed(
    registry: Registry, plain: Path, metadata: dict[str, Any], words: str
) -> None:
    refused(registry, plain, words, metadata=metadata)


SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "calls", "type": "float64"}, {"name": "months", "type": "int64"}],
    "outputs": [],
}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '[{"calls": 1}]', "input 'months' is needed and is not there"),
        (
            "a.json",
            '[{"calls": "many", "months": 1}]',
            "input 'calls' is float64, and the example has 'many'",
        ),
        ("a.json", "[[1, 2, 3]]", "2 features are needed, and a row has 3"),
        ("a.json", "{", "can't be read as JSON"),
        ("a.csv", "calls\n1\n", "input 'months' is needed"),
        ("a.csv", "1,2,3\n", "2 features are needed, and a row has 3"),
    ],
)
def test_an_example_of_the_input_is_held_against_the_signature(
    registry: Registry, plain: Path, name: str, text: str, words: str
) -> None:
    write(plain / "examples" / name, text)
    commit(plain)
    before = visible(plain)
    said = {"usage": {"example": f"examples/{name}"}, "signature": SIGNATURE}
    with pytest.raises(mr.InvalidInputError, match=words):
        registry.register("churn", metadata=said)
    assert visible(plain) == before


def test_an_example_that_fits_is_kept_by_its_path(registry: Registry, plain: Path) -> None:
    write(plain / "examples" / "a.json", '[{"calls": 1.5, "months": 2}]')
    write(plain / "examples" / "a.csv", "months,calls\n2,1.5\n")
    commit(plain)
    found = registry.register(
        "churn", metadata={"usage": {"example": "examples/a.csv"}, "signature": SIGNATURE}
    )
    assert found.usage is not None
    assert found.usage.example == "examples/a.csv"
    registry.annotate("churn", found.version, {"usage": {"example": "examples/a.json"}})
    with pytest.raises(
        mr.PathNotFoundError, match=r"usage.example of churn@v0.1.2: its commit has no 'examples/b.json'"
    ):
        registry.annotate("churn", found.version, {"usage": {"example": "examples/b.json"}})


def test_an_example_may_be_an_output_of_dvc(project: Path) -> None:
    registry = Registry(project)
    found = registry.register("bundle", metadata={"usage": {"example": "bundle/b.json"}})
    assert found.usage is not None
    with pytest.raises(mr.PathNotFoundError, match=r"bundle/none.json"):
        registry.annotate("bundle", found.version, {"usage": {"example": "bundle/none.json"}})


def test_blocks_that_another_tool_wrote_are_nothing_to_a_reader_and_check_tells_them(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelregistry.metadata.check import MetadataCheck

    with monkeypatch.context() as patch:
        patch.setattr(MetadataCheck, "refuse", lambda *_, **__: None)
        registry.annotate("churn", "v0.1.1", {"usage": "x", "evaluation": ["x"]})
    version = registry.get("churn@v0.1.1")
    assert (version.usage, version.evaluation) == (None, None)
    (problem,) = registry.check()
    assert "usage: " in problem.what
    assert "evaluation: " in problem.what
