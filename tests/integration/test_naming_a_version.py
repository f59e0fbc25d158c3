"""A version may be named in every way at every verb: by text, by a model and its version, by what was read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import ModelVersion, Registry
from tests.integration.projects import commit, git, init, visible, write

Name = Callable[[ModelVersion], dict[str, object]]

WAYS: dict[str, Name] = {
    "the name and the version": lambda v: {"model": v.name, "version": v.version},
    "the name and what was read": lambda v: {"model": v.name, "version": v},
    "what was read": lambda v: {"model": v},
    "a reference": lambda v: {"model": v.reference},
    "the latest": lambda v: {"model": v.name, "version": "latest"},
    "the latest, in a reference": lambda v: {"model": f"{v.name}@latest"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_verb_that_writes_takes_a_version_in_each_way(way: str, registry: Registry) -> None:
    newest = registry.get("churn")
    named = WAYS[way](newest)

    assert registry.promote(**named, stage="shadow").reference == newest.reference  # type: ignore[arg-type]
    assert registry.annotate(**named, metadata={"owner": "risk"})["owner"] == "risk"  # type: ignore[arg-type]
    assert registry.get(newest).metadata["owner"] == "risk"
    withdrawn = registry.withdraw(**named, then=mr.EMPTY)  # type: ignore[arg-type]
    assert (withdrawn.version, withdrawn.state) == (newest.version, "withdrawn")
    assert registry.get("churn").version == "v0.1.0"


def test_the_holder_of_a_stage_is_promoted_annotated_and_withdrawn_by_the_stage(registry: Registry) -> None:
    registry.promote("churn", "latest", "shadow")

    assert registry.promote("churn#shadow", stage="current").version == "v0.1.1"
    registry.annotate("churn#current", metadata={"a": 1})
    assert registry.get("churn@v0.1.1").metadata["a"] == 1
    assert registry.withdraw("models:/churn@current", then=registry.get("churn@v0.1.0")).version == "v0.1.1"
    assert registry.get("churn#current").version == "v0.1.0"


@pytest.mark.parametrize("ask", ["get", "compare", "trust", "bundle"])
def test_what_takes_a_reference_takes_what_was_read(ask: str, registry: Registry, tmp_path: Path) -> None:
    version = registry.get("churn#current")
    registry.annotate(version, metadata={"a": 1})

    match ask:
        case "get":  # anew: what was read stays as it was
            assert registry.get(version).metadata == {**version.metadata, "a": 1}
            assert registry.get("churn", version=version) == registry.get("churn@v0.1.0")
        case "compare":
            assert registry.compare(version, "churn").base.reference == "churn@v0.1.0"
        case "trust":
            with pytest.raises(mr.UnknownFormatError):  # it got as far as the bytes
                registry.trust(version, dry_run=True)
            registry.distrust(version)
        case _:
            assert registry.bundle(version, tmp_path / "one.bundle").versions == ("churn@v0.1.0",)


def test_the_holders_that_a_caller_believes_in_may_be_what_was_read(registry: Registry) -> None:
    first, second = registry.get("churn#current"), registry.get("churn")
    with pytest.raises(mr.ConflictError, match=r"you expected v0\.1\.1"):
        registry.promote(second, stage="current", expected=second)
    assert registry.promote(second, stage="current", expected=first).stages == ("current",)
    assert registry.demote("churn", "current", version=second).stages == ()


WRITES: dict[str, Callable[[Registry, ModelVersion], object]] = {
    "get": lambda r, v: r.get(v),
    "get by name": lambda r, v: r.get("churn", version=v),
    "promote": lambda r, v: r.promote(v, stage="shadow"),
    "promote by name": lambda r, v: r.promote("churn", v, "shadow"),
    "promote, expecting it": lambda r, v: r.promote("churn", "v0.1.1", "current", expected=v),
    "demote": lambda r, v: r.demote("churn", "current", version=v),
    "withdraw": lambda r, v: r.withdraw(v, then=mr.EMPTY),
    "withdraw, then": lambda r, v: r.withdraw("churn#current", then=v),
    "annotate": lambda r, v: r.annotate(v, metadata={"a": 1}),
    "compare": lambda r, v: r.compare("churn", v),
    "trust": lambda r, v: r.trust(v),
    "distrust": lambda r, v: r.distrust(v),
    "evaluate": lambda r, v: r.evaluate(v, data="nowhere", command=["true"]),
    "bundle": lambda r, v: r.bundle([v], "nowhere/x.bundle"),
}


@pytest.mark.parametrize("verb", WRITES)
def test_a_version_of_another_registry_is_refused_by_every_verb(
    verb: str, plain: Path, registry: Registry, tmp_path: Path
) -> None:
    root = init(tmp_path / "other")
    write(root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json}\n")
    write(root / "churn.json", '{"churn": "another"}')
    commit(root, "Train elsewhere")
    foreign = Registry(root).register("churn")
    assert foreign.reference == registry.get("churn#current").reference

    before = visible(plain)
    with pytest.raises(mr.InvalidInputError, match="not read from this registry, which has another churn@v0"):
        WRITES[verb](registry, foreign)
    assert visible(plain) == before


def test_a_version_that_another_clone_of_the_registry_read_is_the_same(
    registry: Registry, plain: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", os.fspath(plain), "clone")
    theirs = Registry(tmp_path / "clone").get("churn")
    assert registry.promote(theirs, stage="shadow").reference == theirs.reference


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda r, v: r.promote("churn", stage="current"), "which version of 'churn'"),
        (lambda r, v: r.withdraw("churn"), "which version of 'churn'"),
        (lambda r, v: r.promote(v, "current"), "stage="),
        (lambda r, v: r.promote(v), "to which stage"),
        (lambda r, v: r.promote(v, "v0.1.0", "current"), "says which version already"),
        (lambda r, v: r.promote("risk", v, "current"), "is no version of 'risk'"),
        (lambda r, v: r.get(v, stage="current"), "more than one version"),
        (lambda r, v: r.get("risk", version=v), "is no version of 'risk'"),
        (lambda r, v: r.promote("churn@v0.1.0", "v0.1.1", "current"), "not a model name"),
        (lambda r, v: r.annotate(v, {"a": 1}), "metadata="),
        (lambda r, v: r.annotate(v), "at least one key"),
    ],
)
def test_a_version_that_is_not_named_or_named_twice_is_refused(
    wish: Callable[[Registry, ModelVersion], object], words: str, plain: Path, registry: Registry
) -> None:
    version = registry.get("churn")
    before = visible(plain)
    with pytest.raises(mr.InvalidInputError, match=words):
        wish(registry, version)
    assert visible(plain) == before


def test_what_was_made_from_a_version_is_asked_by_the_version_itself(registry: Registry) -> None:
    registry.register("risk", inputs=["churn@v0.1.0"])
    made = registry.impact(registry.get("churn@v0.1.0"))
    assert [row.version.reference for row in made] == ["risk@v0.1.0"]
    assert mr.Catalog([registry]).impact(registry.get("churn@v0.1.1")) == []


def test_a_version_that_was_read_is_downloaded_and_loaded_from_where_it_was_read(
    served: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no registry
    version = served.get("churn#current")
    assert mr.download(version, tmp_path / "there").name == "churn.joblib"
    model = mr.load_model(version)
    assert mr.load_model(version) is model
    assert mr.load_model("churn#current", registry=served) is model
    assert mr.load_model(version, registry=served) is model
    with pytest.raises(mr.InvalidReferenceError, match="more than one version"):
        mr.load_model(version, version="v0.2.0", registry=served)


def test_what_latest_means_must_not_move_while_it_is_withdrawn(
    registry: Registry, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer registers a version after this one has looked, and before it has written."""
    read = registry._backend.append

    def meanwhile(*arguments: object, **named: object) -> object:
        monkeypatch.setattr(registry._backend, "append", read)
        Registry(plain).register("churn", rev="main")  # and takes a number that is wanted here, too
        Registry(plain).withdraw("churn", "v0.1.1")
        return read(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(registry._backend, "append", meanwhile)
    with pytest.raises(mr.ConflictError, match="moved while this was being written"):
        registry.withdraw("churn", "latest")
    assert registry.get("churn").version == "v0.1.2"
