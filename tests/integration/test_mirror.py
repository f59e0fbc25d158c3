"""The private copy of a URL, and clones that leave file contents out: what they lack comes when it is read."""

from __future__ import annotations

import os
import random
import shutil
import time
import warnings
from pathlib import Path

import pytest
from filelock import FileLock

import modelregistry as mr
from modelregistry import Registry
from modelregistry.git import mirror as gitmirror
from tests.integration.crew import crew
from tests.integration.projects import commit, git, write


@pytest.fixture
def hub(plain: Path, registry: Registry, tmp_path: Path) -> Path:
    """A bare repository that serves clones without file contents; v0.1.0 of ``churn`` is current."""
    registry.register("risk")
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(tmp_path / "hub.git"))
    git(tmp_path / "hub.git", "config", "uploadpack.allowFilter", "true")
    return tmp_path / "hub.git"


def copy_of(cache: Path) -> Path:
    (found,) = (cache / "mirrors").glob("*.git")
    return found


def left_out(folder: Path) -> int:
    """How many objects the clone knows of and has not."""
    return git(folder, "rev-list", "--objects", "--all", "--missing=print").count("?")


def disappear(hub: Path) -> Path:
    return hub.rename(hub.with_name("gone.git"))


# -- contents ----------------------------------------------------------------------------------------------


def test_contents_are_left_out_of_a_mirror_until_they_are_read(hub: Path, fresh_cache: Path) -> None:
    registry = Registry(hub.as_uri())
    version = registry.get("churn#current")
    mirror = copy_of(fresh_cache)
    before = left_out(mirror)
    assert before > 3
    assert version.path == "churn.json"
    assert left_out(mirror) == before - 1  # dvc.yaml
    assert version.local_path().read_text() == '{"churn": 0}'
    assert [model.name for model in registry.models(type=None)] == ["churn", "risk"]
    assert 0 < left_out(mirror) < before - 1


def test_what_was_read_of_a_mirror_is_there_offline_and_the_rest_says_what_it_lacks(
    hub: Path, fresh_cache: Path
) -> None:
    Registry(hub.as_uri()).get("churn#current").local_path()
    disappear(hub)
    offline = Registry(hub.as_uri(), offline=True)
    assert offline.get("churn#current").local_path().read_text() == '{"churn": 0}'
    other = offline.get("churn", version="v0.1.1")
    assert other.source_rev
    with pytest.raises(mr.RemoteError, match=r"offline=True, and \d files"):
        other.local_path()


def test_offline_a_mirror_brings_nothing_although_it_could(hub: Path, fresh_cache: Path) -> None:
    Registry(hub.as_uri()).get("churn#current")
    mirror = copy_of(fresh_cache)
    before = left_out(mirror)
    offline = Registry(hub.as_uri(), offline=True)
    with pytest.raises(mr.RemoteError, match="offline=True"):
        offline.get("churn#current").local_path()
    assert left_out(mirror) == before
    assert Registry(hub.as_uri()).get("churn#current").local_path().read_text() == '{"churn": 0}'


def test_sync_brings_what_the_holders_of_stages_need_to_resolve_offline(hub: Path, fresh_cache: Path) -> None:
    registry = Registry(hub.as_uri())
    registry.sync()
    disappear(hub)
    assert Registry(hub.as_uri(), offline=True).get("churn#current").path == "churn.json"


def test_offline_without_a_copy_is_one_error(hub: Path, fresh_cache: Path) -> None:
    with pytest.raises(mr.RemoteError, match="open it once without offline=True"):
        Registry(hub.as_uri(), offline=True)


def test_a_registry_by_url_says_how_old_it_is(hub: Path, plain: Path, fresh_cache: Path) -> None:
    before = time.time() - 1
    registry = Registry(hub.as_uri(), max_age=3600)
    first = registry.synced_at
    assert first is not None and before < first.timestamp() <= time.time()
    os.utime(copy_of(fresh_cache) / "fetched", (before - 7200, before - 7200))
    disappear(hub)
    with pytest.warns(mr.PartialViewWarning, match="as it was 120 minutes ago"):
        assert Registry(hub.as_uri(), max_age=3600).get("churn#current").version == "v0.1.0"
    assert Registry(plain).synced_at is None


def test_a_clone_without_contents_is_completed_as_far_as_it_is_read(hub: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", hub.as_uri(), os.fspath(clone))
    registry = Registry(clone)
    before = left_out(clone)
    assert registry.get("churn#current").local_path().read_text() == '{"churn": 0}'
    assert [model.name for model in registry.models(type=None)] == ["churn", "risk"]
    assert registry.register("churn").version == "v0.1.2"
    assert Registry(hub).get("churn").version == "v0.1.2"
    assert 0 < left_out(clone) < before
    assert "partialclonefilter = blob:none" in (clone / ".git" / "config").read_text()
    assert (clone / ".git" / "config").read_text().count("[remote") == 1
    disappear(hub)
    shutil.rmtree(registry.cache.folder / "objects")  # what was registered on this machine is here, too
    shutil.rmtree(registry.cache.folder / "views")
    with pytest.raises(mr.RemoteError):
        registry.get("churn", version="v0.1.1").local_path()


def test_a_partial_clone_that_names_no_remote_says_so(hub: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", hub.as_uri(), os.fspath(clone))
    git(clone, "config", "--unset", "remote.origin.url")
    with pytest.raises(mr.RemoteError, match="'origin' has no URL"):
        Registry(clone, remote=None).get("churn#current").local_path()


def test_to_complete_a_clone_runs_nothing_that_its_configuration_names(hub: Path, tmp_path: Path) -> None:
    clone, mark = tmp_path / "clone", tmp_path / "mark"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", hub.as_uri(), os.fspath(clone))
    program = write(tmp_path / "program", f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    for key in (
        "remote.origin.uploadpack",
        "core.sshCommand",
        "core.fsmonitor",
        "core.gitProxy",
        "credential.helper",
    ):
        git(clone, "config", key, os.fspath(program))
    assert Registry(clone).get("churn#current").local_path().read_text() == '{"churn": 0}'
    assert not mark.exists()


# -- shared by processes -----------------------------------------------------------------------------------


def test_processes_that_write_through_one_mirror_or_one_clone_are_not_in_each_other_s_way(
    hub: Path, fresh_cache: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", hub.as_uri(), os.fspath(clone))
    for place in (hub.as_uri(), os.fspath(clone)):
        with crew(tmp_path / f"reports-{place == hub.as_uri()}") as workers:
            workers.start(
                *(
                    {
                        "job": "write", "seed": who, "root": place,
                        "steps": [
                            ("annotate", {"args": ["churn", f"v0.1.{who % 2}", {f"{who}": turn}]}, f"{place} {who}.{turn}")
                            for turn in range(4)
                        ],
                    }
                    for who in range(4)
                )
            )  # fmt: skip
            assert workers.wait() == [0] * 4, workers.reports()
            lines = [line for report in workers.reports() for line in report]
        done = {line["done"] for line in lines if "done" in line}
        assert len(done) == 16, lines
        assert done <= {event.message for event in Registry(hub).history("churn")}
    assert not Registry(hub).check()
    for folder in (hub, copy_of(fresh_cache), clone):
        git(folder, "fsck", "--full")


def test_a_version_of_many_files_is_registered_where_contents_are_left_out(
    hub: Path, plain: Path, fresh_cache: Path
) -> None:
    for number in range(201):  # so many that their manifest is in a commit of the version's own
        write(plain / "many" / f"{number}.txt", str(number))
    write(plain / "dvc.yaml", "artifacts:\n  churn: {path: many, type: model}\n")
    commit(plain)
    git(plain, "push", "--quiet", os.fspath(hub), "main")
    assert len(Registry(hub.as_uri()).register("churn", rev="main").files()) == 201


def test_a_registry_by_url_goes_on_in_a_process_that_is_forked_from_one_that_opened_it(
    hub: Path, fresh_cache: Path
) -> None:
    registry = Registry(hub.as_uri(), max_age=0)
    assert registry.get("churn#current").version == "v0.1.0"
    child = os.fork()  # as a web server does that loads the application first
    if not child:
        try:
            registry.promote("churn", "v0.1.1", "current")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert registry.get("churn#current").version == "v0.1.1"


def test_a_lock_that_a_dead_git_left_in_the_mirror_is_broken_once_it_is_a_minute_old(
    hub: Path, fresh_cache: Path
) -> None:
    registry = Registry(hub.as_uri())
    mirror = copy_of(fresh_cache)
    locks = [
        write(mirror / name, "")
        for name in ("packed-refs.lock", "refs/tags/churn#shadow#1.lock", "shallow.lock")
    ]
    with pytest.raises(mr.GitError, match=r"\.lock"):
        registry.promote("churn", "v0.1.1", "shadow")
    assert all(lock.exists() for lock in locks)
    for lock in locks:
        os.utime(lock, (time.time() - 61,) * 2)
    assert registry.promote("churn", "v0.1.1", "shadow").stages == ("shadow",)
    assert not any(lock.exists() for lock in locks)


def test_what_a_dead_packing_left_in_the_mirror_is_broken_too(hub: Path, fresh_cache: Path) -> None:
    Registry(hub.as_uri())
    left = write(copy_of(fresh_cache) / "packed-refs.new", "")
    with pytest.raises(
        mr.GitError, match=r"packed-refs\.new: File exists; another git is at work there, or one died"
    ):
        Registry(hub.as_uri(), max_age=0)
    os.utime(left, (time.time() - 61,) * 2)
    assert Registry(hub.as_uri(), max_age=0).get("churn#current").version == "v0.1.0"
    assert not left.exists()


def test_a_clone_that_was_killed_leaves_nothing_in_the_way(hub: Path, fresh_cache: Path) -> None:
    Registry(hub.as_uri())
    mirror = copy_of(fresh_cache)
    left = mirror.rename(mirror.with_name(f"{mirror.name}-killed"))
    assert Registry(hub.as_uri()).get("churn#current").version == "v0.1.0"
    assert mirror.exists() and not left.exists()


def test_a_repository_around_the_cache_has_no_say_in_what_is_cloned(
    hub: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELREGISTRY_CACHE", os.fspath(plain / "cache"))
    git(plain, "config", f"remote.{hub.as_uri()}.uploadpack", "false")
    git(plain, "config", f"url.{hub.as_uri()}x.insteadOf", hub.as_uri())
    assert Registry(hub.as_uri()).get("churn#current").version == "v0.1.0"


def test_the_mirror_is_private(hub: Path, fresh_cache: Path) -> None:
    Registry(hub.as_uri())
    assert (fresh_cache / "mirrors").stat().st_mode & 0o077 == 0


def test_a_mirror_follows_what_is_rewritten_there(hub: Path, plain: Path, fresh_cache: Path) -> None:
    registry = Registry(hub.as_uri(), max_age=0)
    assert registry.get("churn#current").version == "v0.1.0"
    write(plain / "churn.json", f'{{"churn": {random.random()}}}')
    commit(plain)
    git(hub, "tag", "-d", "churn#current#1")
    git(plain, "push", "--quiet", "--force", os.fspath(hub), "main")
    with pytest.raises(mr.StageEmptyError):
        registry.get("churn#current")


def test_a_reader_does_not_wait_for_ever_for_another_that_fetches_and_a_writer_says_for_whom_it_waited(
    hub: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, write_now = Registry(hub.as_uri()), Registry(hub.as_uri(), max_age=3600)
    monkeypatch.setattr(gitmirror, "_PATIENCE", 0.05)
    monkeypatch.setattr(gitmirror, "NETWORK_SECONDS", 0.05)
    os.utime(copy_of(fresh_cache) / "fetched", (0, 0))
    with FileLock(f"{copy_of(fresh_cache)}.lock"):
        with pytest.warns(mr.PartialViewWarning, match="another process holds"):
            assert Registry(hub.as_uri()).get("churn#current").version == "v0.1.0"
        for call in (registry.sync, lambda: write_now.promote("churn", "v0.1.1", "current")):
            with pytest.raises(mr.GitTimeoutError, match=r"another process holds .*\.git\.lock"):
                call()
    registry.sync()


def test_a_copy_that_is_young_enough_is_read_whoever_holds_its_lock(hub: Path, fresh_cache: Path) -> None:
    Registry(hub.as_uri())
    with FileLock(f"{copy_of(fresh_cache)}.lock"), warnings.catch_warnings(action="error"):
        for offline in (False, True):
            assert (
                Registry(hub.as_uri(), max_age=3600, offline=offline).get("churn#current").version == "v0.1.0"
            )


def test_a_mirror_that_was_deleted_while_it_was_open_is_told(hub: Path, fresh_cache: Path) -> None:
    registry = Registry(hub.as_uri())
    shutil.rmtree(copy_of(fresh_cache))
    for ask in (lambda: registry.synced_at, registry.sync):
        with pytest.raises(mr.GitError, match="was deleted: open the registry anew"):
            ask()
    with pytest.raises(mr.GitError, match="not a git repository"):
        registry.promote("churn", "v0.1.0", "shadow")
    mirror = gitmirror.GitMirror.open(hub.as_uri(), fresh_cache / "mirrors", max_age=3600)
    shutil.rmtree(fresh_cache)
    with pytest.raises(mr.GitError, match="was deleted: open the registry anew"):
        mirror.remote.fetch(["refs/tags/*"])
    assert Registry(hub.as_uri()).get("churn#current").version == "v0.1.0"
