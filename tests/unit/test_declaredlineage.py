"""What an author may say that a version was made from, and what is kept of it."""

from __future__ import annotations

import pytest

from modelregistry.errors import InvalidInputError, PathNotFoundError
from modelregistry.lineage.declared import MOST_BYTES, Input, declared, looked_up
from modelregistry.log.events import DeclaredInput, DeclaredLineage

SHA256 = "sha256:" + "5" * 64
MD5 = "md5:" + "5" * 32
COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data/customers.csv", Input(path="data/customers.csv")),
        ("./data//customers.csv", Input(path="data/customers.csv")),
        ("data/a@b.csv", Input(path="data/a@b.csv")),
        ("base", Input(path="base")),
        ("base@v1.2.0", Input(version="base@v1.2.0")),
        ("nlp:base#current", Input(version="nlp:base#current")),
        ("models:/base@current", Input(version="models:/base@current")),
        (SHA256, Input(digest=SHA256)),
        (f"{MD5}.dir", Input(digest=f"{MD5}.dir")),
        (f"git:{COMMIT}", Input(digest=f"git:{COMMIT}")),
        ("s3://bucket/a.parquet?versionId=7", Input(url="s3://bucket/a.parquet?versionId=7")),
        ("file:///mnt/data", Input(url="file:///mnt/data")),
        (f"https://git.example.com/code@{COMMIT}", Input(url="https://git.example.com/code", rev=COMMIT)),
        ("https://example.com/pkg@1.0", Input(url="https://example.com/pkg@1.0")),
        (f"ssh://git@example.com/code@{COMMIT}", Input(url="ssh://example.com/code", rev=COMMIT)),
    ],
)
def test_a_text_is_taken_for_what_it_looks_like(text: str, found: Input) -> None:
    assert Input.parse(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an input"),
        (7, "not an input"),
        ("/mnt/data/x.csv", "not a path in the repository"),
        ("../x.csv", "not a path in the repository"),
        ("a\nb", "not a path in the repository"),
        ("sha256:abc", "is no digest"),
        ("sha256:" + "A" * 64, "is no digest"),
        ("md5:" + "g" * 32, "is no digest"),
        ("https://user:hunter2@example.com/x", "credentials"),
        ("https://ghp_hunter2@example.com/x", "credentials"),
        ("https://example.com/x?X-Amz-Signature=hunter2", "credentials"),
        ("https://example.com/a b", "not a URL"),
        ("://x", "not a URL"),
        ("https://[x", "credentials|not a URL"),
    ],
)
def test_what_can_not_be_right_is_refused_without_telling_a_secret(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        Input.parse(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"name": "x"},
        {"path": "a", "url": "https://x/y"},
        {"path": "a", "version": "b@v1.0.0"},
        {"path": "a", "digest": SHA256},
        {"version": "b@v1.0.0", "size": 1},
        {"path": "a", "rev": COMMIT},
        {"url": "https://x/y", "rev": "main"},
        {"url": "https://x/y", "size": -1},
        {"url": "https://x/y", "size": True},
        {"url": "https://x/y", "digest": ""},
        {"url": 5},
        {"version": "no version"},
    ],
)
def test_an_input_is_one_thing(facts: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Input(**facts)  # type: ignore[arg-type]


def test_what_is_known_of_a_url_may_be_said() -> None:
    found = Input(url="s3://b/x", digest=SHA256, size=0, name="claims")
    assert (found.digest, found.size, str(found)) == (SHA256, 0, "s3://b/x")


def look(said: object) -> DeclaredLineage | None:
    return looked_up(
        said,  # type: ignore[arg-type]
        lambda path: (MD5, 3),
        lambda reference: ("base@v1.2.0", (SHA256, 9)),
    )


def test_paths_and_versions_are_kept_with_their_digests_and_each_once() -> None:
    said = declared(
        ["a.csv", "base#current", "a.csv", SHA256], Input(path="train.py"), {"C": 1}, {"auc": 0.5}
    )
    assert look(said) == DeclaredLineage(
        inputs=(
            DeclaredInput(path="a.csv", digest=MD5, size=3),
            DeclaredInput(version="base@v1.2.0", digest=SHA256, size=9),
            DeclaredInput(digest=SHA256),
        ),
        code=(DeclaredInput(path="train.py", digest=MD5, size=3),),
        params={"C": 1},
        metrics={"auc": 0.5},
    )


def test_nothing_that_is_said_is_nothing_that_is_kept() -> None:
    assert look(declared((), (), {}, {})) is None


def test_what_is_not_there_is_not_kept() -> None:
    def missing(path: str) -> tuple[None, None]:
        raise PathNotFoundError(path)

    with pytest.raises(PathNotFoundError):
        looked_up(declared("a.csv", (), {}, {}), missing, lambda reference: (reference, (None, None)))


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        (5, (), "inputs=5"),
        ([5], (), "not an input: 5"),
        ((), "base@v1.2.0", "is a model version"),
        (["x" * 100 + str(number) for number in range(400)], (), f"{MOST_BYTES:,} is the most"),
    ],
)
def test_lists_are_checked_as_a_whole(inputs: object, code: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        declared(inputs, code, {}, {})  # type: ignore[arg-type]
