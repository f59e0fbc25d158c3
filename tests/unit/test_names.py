"""How models, versions, stages and references are spelt."""

from __future__ import annotations

import pytest

from modelregistry.errors import InvalidInputError, InvalidNameError, InvalidReferenceError
from modelregistry.names import (
    Reference,
    bumped,
    check_model,
    check_path,
    check_stage,
    check_version,
    is_prerelease,
    version_key,
)


@pytest.mark.parametrize(
    "name", ["churn", "C", "0", "team/churn", "a-b_c", "models:churn", "a.b/c-d:team/churn", "m" * 120]
)
def test_a_model_may_be_called(name: str) -> None:
    assert check_model(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a ", "-a", "a-", "a/", "/a", "a//b", "a.b", "a:b:c", ":a", "a:", "a=b", "a@b", "a#b", "é", "a\n", "../x:m", "./x:m",
     "a/./b:m", "a/:m", "/d:m", "d.lock/x:m", "x..y:m", ".hidden:m", "m" * 121, None, 1, b"churn"],
)  # fmt: skip
def test_a_model_may_not_be_called(name: str) -> None:
    with pytest.raises(InvalidNameError, match="not a model name") as caught:
        check_model(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("stage", ["current", "prod/eu", "1", "A-b_c"])
def test_a_stage_may_be_called(stage: str) -> None:
    assert check_stage(stage) == stage


@pytest.mark.parametrize(
    "stage", ["", "a.b", "a/", "a//b", "a!", "a:b", "inactive", "withdrawn", "s" * 41, "a\n", None]
)
def test_a_stage_may_not_be_called(stage: str) -> None:
    with pytest.raises(InvalidNameError, match="not a stage"):
        check_stage(stage)


@pytest.mark.parametrize(
    "version", ["v0.0.0", "v1.2.3", "v1.2.3-rc.1", "v1.2.3-alpha.beta+b.007", "v10.20.30--"]
)
def test_a_version_is_semver_after_a_v(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version",
    ["", "1.2.3", "v1", "v1.2", "v01.2.3", "v1.2.3-", "v1.2.3-01", "v1.2.3+", "V1.2.3", "v1.2.3 ", "v1.2.3\n", "v1.2.3-x.lock",
     "v1.2.3-" + "a" * 60, "latest", None, 1.2],
)  # fmt: skip
def test_another_text_is_no_version(version: str) -> None:
    with pytest.raises(InvalidNameError, match="not a version"):
        check_version(version)


def test_a_version_without_its_v_is_told_so() -> None:
    with pytest.raises(InvalidNameError, match=r"write 'v1\.2\.3'"):
        check_version("1.2.3")


def test_precedence_is_that_of_semver() -> None:
    ordered = [
        "v0.9.0",
        "v1.0.0-1",
        "v1.0.0-2",
        "v1.0.0-10",
        "v1.0.0-alpha",
        "v1.0.0-alpha.1",
        "v1.0.0-alpha.beta",
        "v1.0.0-beta",
        "v1.0.0-beta.2",
        "v1.0.0-beta.11",
        "v1.0.0-rc.1",
        "v1.0.0",
        "v1.0.0+1",
        "v1.0.1",
        "v1.2.0",
        "v1.10.0",
        "v10.0.0",
    ]
    assert sorted(set(ordered), key=version_key) == ordered
    assert [version for version in ordered if is_prerelease(version)] == ordered[1:11]


def test_a_bump_drops_what_follows_the_numbers() -> None:
    assert bumped("v1.2.3", "patch") == "v1.2.4"
    assert bumped("v1.2.3", "minor") == "v1.3.0"
    assert bumped("v1.2.3+b", "major") == "v2.0.0"
    assert bumped("v2.0.0-rc.1", "patch") == "v2.0.1"
    with pytest.raises(InvalidNameError, match="not a bump: 'huge'"):
        bumped("v1.0.0", "huge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("churn", Reference("churn")),
        ("churn@latest", Reference("churn")),
        ("churn@greatest", Reference("churn")),
        ("churn@v1.2.0", Reference("churn", version="v1.2.0")),
        ("churn#current", Reference("churn", stage="current")),
        ("churn#1", Reference("churn", stage="1")),
        ("dir/sub:team/churn#prod/eu", Reference("dir/sub:team/churn", stage="prod/eu")),
        ("models:/churn@current", Reference("churn", stage="current")),
        ("models:/churn/v1.2.0", Reference("churn", version="v1.2.0")),
        ("models:/churn/latest", Reference("churn")),
        ("models:/team/churn", Reference("team/churn")),
        ("models:/team/churn/v1.2.0", Reference("team/churn", version="v1.2.0")),
        ("models:/team/churn/latest", Reference("team/churn")),
        ("models:churn", Reference("models:churn")),
    ],
)
def test_a_reference_is_taken_apart(text: str, reference: Reference) -> None:
    assert Reference.parse(text) == reference
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    ["", "@", "#", "churn@", "churn#", "@v1.0.0", "#current", "churn@1.2.0", "churn@current", "a#b#c", "a@v1.0.0#current",
     "a#current@v1.0.0", "models:/", "models:/@current", "models:/churn@", "churn@v1.0.0 ", "churn#inactive", None, 3, b"churn"],
)  # fmt: skip
def test_another_text_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="not a reference") as caught:
        Reference.parse(text)
    assert repr(text) in str(caught.value)


def test_a_version_number_of_mlflow_is_told_that_it_is_none() -> None:
    with pytest.raises(InvalidReferenceError, match="MLflow's version number 3 is no version here"):
        Reference.parse("models:/churn/3")


@pytest.mark.parametrize(
    "name", [".:churn", "./a:churn", "a/.:churn", "a/./b:team/churn", "a/.:b", "a/:churn", "a/b/:churn"]
)
def test_the_folder_of_a_model_is_spelt_in_one_way(name: str) -> None:
    with pytest.raises(InvalidNameError, match=r"parts that start with '\.'|without the last '/'") as caught:
        check_model(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    "path", ["a", "models/churn.skops", ".github/x", "a/..b/c.", "models/Kündigung 1.skops"]
)
def test_a_path_in_the_repository_may_be_called(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "./a", "a/.", "..", "../a", "a/../b", "a\nb", "a\x00"]
)
def test_another_path_is_none_in_the_repository(path: str) -> None:
    with pytest.raises(InvalidInputError, match="write it relative to the Git root") as caught:
        check_path(path)
    assert repr(path) in str(caught.value)
