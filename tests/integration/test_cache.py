"""The store of a user, as one looks into it, checks it and makes room in it."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.content.cache import Cached

LONG_AGO = time.time() - 90 * 86400


@pytest.fixture
def fetched(project: Path, fresh_cache: Path) -> Registry:
    """A registry whose bytes are only in the remote, and were fetched: churn v0.1.0 (current), v0.2.0, and a folder."""
    shutil.rmtree(project / ".dvc" / "cache")
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn", bump="minor")
    registry.register("bundle")
    registry.promote("churn", "v0.1.0", "current")
    return registry


def let_age(registry: Registry, *names: str, seconds: float = LONG_AGO) -> None:
    """As if the artifacts had been used last at that time (all of them, if none is named)."""
    digests = {registry.get(name).digest for name in names}
    for path in (registry.cache.folder / "receipts").rglob("*"):
        if path.is_file() and (not names or any(digest and digest[7:] in path.name for digest in digests)):
            os.utime(path, (seconds, seconds))


@pytest.fixture(autouse=True)
def _mtimes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test can set the time of a use, and not that of a change of an inode."""
    import modelregistry.content.cache

    def changed(path: Path) -> float:
        return path.lstat().st_mtime if path.exists() else 0.0

    monkeypatch.setattr(modelregistry.content.cache, "_changed", changed)


def rows(registry: Registry) -> dict[str | None, Cached]:
    return {
        row.name: row for row in registry.cache.list() if not row.versions or "v0.2.0" not in row.versions[0]
    }


# -- listing -------------------------------------------------------------------------------------------------


def test_a_list_says_what_is_there_for_whom_and_since_when(fetched: Registry) -> None:
    before = datetime.now(UTC)
    fetched.get("bundle").local_path()
    found = fetched.cache.list()
    assert {row.name for row in found} == {"churn.joblib", "bundle"}
    assert len(found) == 3
    bundle = rows(fetched)["bundle"]
    assert (bundle.files, bundle.size) == (2, 6)
    assert bundle.frees == bundle.size
    assert bundle.digest == fetched.get("bundle").digest
    assert bundle.versions == ("bundle@v0.1.0",)
    assert bundle.used_at >= before - timedelta(seconds=1)
    assert rows(fetched)["churn.joblib"].stages == ("churn#current",)
    assert fetched.cache.size == sum(row.size for row in found)
    assert "churn.joblib" in str(found)
    assert os.fspath(fetched.cache.folder) in repr(fetched.cache)


def test_bytes_that_lie_in_the_cache_of_dvc_are_listed_and_free_nothing(
    project: Path, fresh_cache: Path
) -> None:
    registry = Registry(project)
    registry.register("churn")
    (row,) = registry.cache.list()
    assert (row.size > 0, row.frees, registry.cache.size) == (True, 0, 0)


def test_an_empty_store_is_an_empty_list(plain: Path, fresh_cache: Path) -> None:
    cache = Registry(plain).cache
    assert (len(cache.list()), cache.size, len(cache.verify())) == (0, 0, 0)
    assert len(cache.prune(max_size=0)) == 0


# -- verifying -----------------------------------------------------------------------------------------------


def test_what_is_damaged_is_named_set_aside_and_fetched_anew(fetched: Registry) -> None:
    assert len(fetched.cache.verify()) == 0
    version = fetched.get("churn@v0.1.0")
    path = version.local_path()
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-1] + b"?")
    found = fetched.cache.verify()
    assert len(found) == 1
    assert found[0].set_aside is not None
    assert Path(found[0].set_aside).read_bytes() == good[:-1] + b"?"
    assert len(fetched.cache.verify()) == 0
    assert version.local_path().read_bytes() == good


# -- pruning -------------------------------------------------------------------------------------------------


def test_what_was_not_used_for_long_goes_and_comes_back_when_it_is_needed(fetched: Registry) -> None:
    let_age(fetched, "bundle")
    size = fetched.cache.size
    asked = fetched.cache.prune(older_than=timedelta(days=30), dry_run=True)
    assert fetched.cache.size == size
    gone = fetched.cache.prune(older_than=timedelta(days=30))
    assert asked == gone
    assert [row.name for row in gone] == ["bundle"]
    assert fetched.cache.size == size - gone[0].frees
    assert sorted(row.name or "" for row in fetched.cache.list()) == ["churn.joblib", "churn.joblib"]
    assert (fetched.get("bundle").local_path() / "weights" / "a.bin").read_bytes() == b"\0one"


def test_the_least_recently_used_goes_until_it_fits(fetched: Registry) -> None:
    let_age(fetched)
    let_age(fetched, "bundle", seconds=LONG_AGO + 10)
    let_age(fetched, "churn@v0.2.0", seconds=LONG_AGO + 20)
    last = rows(fetched)["bundle"].frees + next(
        row.frees for row in fetched.cache.list() if row.versions == ("churn@v0.2.0",)
    )
    gone = fetched.cache.prune(max_size=last)
    assert [row.versions for row in gone] == [("churn@v0.1.0",)]
    assert fetched.cache.size == last
    assert fetched.cache.prune(max_size=f"{last}B") == []
    fetched.cache.prune(max_size="0 GB")
    assert fetched.cache.size == 0


def test_what_no_stage_holds_goes_and_what_other_registries_have_stays(
    fetched: Registry, plain: Path
) -> None:
    other = Registry(plain)
    other.register("churn")
    let_age(fetched)
    let_age(other)
    gone = fetched.cache.prune(unheld=True)
    assert sorted(row.versions for row in gone) == [("bundle@v0.1.0",), ("churn@v0.2.0",)]
    assert sorted(row.name or "" for row in other.cache.list()) == ["churn.joblib", "churn.json"]


def test_what_was_just_handed_out_stays(fetched: Registry) -> None:
    assert len(fetched.cache.prune(older_than=timedelta(0), max_size=0, unheld=True)) == 0


def test_a_file_that_two_artifacts_share_stays_for_the_other(project: Path, fetched: Registry) -> None:
    one, two = (fetched.get(f"churn@{name}") for name in ("v0.1.0", "v0.2.0"))
    let_age(fetched, "churn@v0.1.0")
    fetched.cache.prune(older_than=timedelta(days=1))
    assert two.digest != one.digest
    shutil.rmtree(project.parent / "storage")
    assert two.local_path().exists()
    with pytest.raises(mr.MissingBytesError):
        one.local_path()


@pytest.mark.parametrize(
    "options",
    [{}, {"max_size": -1}, {"max_size": "much"}, {"max_size": "1 PB"}, {"older_than": timedelta(days=-1)}],
)
def test_a_condition_that_is_none_is_refused(options: dict[str, object], fetched: Registry) -> None:
    let_age(fetched)
    size = fetched.cache.size
    with pytest.raises(mr.InvalidInputError):
        fetched.cache.prune(**options)  # type: ignore[arg-type]
    assert fetched.cache.size == size
