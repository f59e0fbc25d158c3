"""Where a URL in a file of DVC's may lead."""

from __future__ import annotations

import pytest

from modelregistry.errors import InvalidInputError
from modelregistry.lineage.sources import places

HERE = ["/data/team", "https://example.com/team/app.git"]


@pytest.mark.parametrize(
    ("url", "bases", "found"),
    [
        ("https://example.com/a.git", HERE, ["https://example.com/a.git"]),
        ("git@example.com:a/b.git", HERE, ["git@example.com:a/b.git"]),
        ("ssh://git@example.com/a", HERE, ["ssh://git@example.com/a"]),
        ("file:///srv/a%20b", HERE, ["/srv/a b"]),
        ("/srv/a", HERE, ["/srv/a"]),
        ("../lake", HERE, ["/data/lake", "/data/team/lake", "https://example.com/team/lake"]),
        ("../lake", ["git@example.com:team/app.git"], ["git@example.com:team/lake"]),
        ("../../lake", ["ssh://h/~/a/b/c"], ["ssh://h/~/a/lake"]),
        ("../lake", ["file:///srv/git/app"], ["/srv/git/lake"]),
        ("../lake", [], []),
    ],
)
def test_a_url_leads_where_git_would_look(url: str, bases: list[str], found: list[str]) -> None:
    assert list(places(url, lambda: bases, "data/x.dvc")) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ext::sh -c id",
        "--upload-pack=id",
        "-x",
        "https://user:secret@example.com/a",
        "ftp://example.com/a",
        "git://example.com/a",
        "fd::17",
        "file://otherhost/a",
        "a\0b",
        "https://example.com/a b",
    ],
)
def test_what_could_run_code_or_tell_a_secret_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        places(url, lambda: HERE, "x.dvc")
    assert "secret" not in str(caught.value)


def test_what_a_relative_url_is_relative_to_is_asked_only_for_one() -> None:
    def fail() -> list[str]:
        raise AssertionError

    assert places("https://example.com/a", fail, "x.dvc")
    with pytest.raises(AssertionError):
        places("../a", fail, "x.dvc")
