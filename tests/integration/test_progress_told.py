"""Whoever is to be told how far something is, is told by every verb that may take long."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, dvc, git, write


class Told:
    """What a function was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int | None]] = []

    def __call__(self, done: int, total: int | None) -> None:
        self.calls.append((done, total))


@pytest.fixture
def hub(plain: Path, registry: Registry, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    return tmp_path / "hub.git"


def test_a_clone_and_a_fetch_are_told_in_objects(hub: Path, plain: Path, fresh_cache: Path) -> None:
    told, again = Told(), Told()
    registry = Registry(hub.as_uri(), progress=told)
    assert told.calls[-1][0] == told.calls[-1][1] > 0

    write(plain / "churn.json", '{"churn": "more"}')
    commit(plain)
    git(plain, "push", "--quiet", os.fspath(hub), "main")
    before = len(told.calls)
    registry.sync(progress=again)
    assert again.calls
    assert len(told.calls) == before
    registry.sync(progress=False)


def test_what_fails_is_told_as_without_progress(tmp_path: Path, fresh_cache: Path) -> None:
    url = (tmp_path / "nowhere.git").as_uri()
    messages = []
    for progress in (False, Told()):
        with pytest.raises(mr.RemoteError) as caught:
            Registry(url, progress=progress)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_an_error_of_who_is_told_is_its_own(hub: Path, fresh_cache: Path) -> None:
    def tell(done: int, total: int | None) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Registry(hub.as_uri(), progress=tell)
    assert Registry(hub.as_uri()).get("churn")  # the clone is not half there


INTERRUPTED = """
import os, signal, sys
import modelregistry as mr

signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background ignores it

def tell(done, total):
    os.killpg(0, signal.SIGINT)

try:
    mr.Registry(sys.argv[1]).impact("churn.json", progress=tell)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_in_a_terminal_is_no_error_though_git_is_ended_by_it_too(
    registry: Registry, plain: Path
) -> None:
    git(plain, "gc", "--quiet")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, os.fspath(plain)], start_new_session=True, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_an_interrupt_does_not_wait_for_a_git_that_has_more_to_say(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelregistry.git import objects

    for name in ("a.bin", "b.bin"):
        write(plain / name, os.urandom(1 << 20))
    commit(plain)
    git(plain, "gc", "--quiet")
    whole = objects.GitObject

    def interrupt(oid: str, kind: str, size: int, data: bytes | None) -> objects.GitObject:
        if data is not None:
            raise KeyboardInterrupt
        return whole(oid, kind, size, data)

    monkeypatch.setattr(objects, "GitObject", interrupt)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Registry(plain)._repo.read(["HEAD:a.bin", "HEAD:b.bin"])
    assert time.monotonic() - began < 20


VERBS: dict[str, Callable[[Registry, Path, Told], object]] = {
    "impact": lambda r, place, told: r.impact("churn.json", progress=told),
    "export_site": lambda r, place, told: r.export_site(place / "public", progress=told),
    "bundle": lambda r, place, told: r.bundle("churn", place / "churn.bundle", progress=told),
    "export": lambda r, place, told: r.get("churn").export(place / "out", progress=told),
    "catalog": lambda r, place, told: mr.Catalog([r]).impact("churn.json", progress=told),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_long_verb_tells_how_far_it_is_and_comes_to_its_end(
    verb: str, registry: Registry, tmp_path: Path
) -> None:
    told = Told()
    VERBS[verb](registry, tmp_path, told)
    assert [done for done, _ in told.calls] == sorted(done for done, _ in told.calls)
    assert told.calls[-1][0] == told.calls[-1][1] != 0


def test_a_bundle_is_told_while_it_is_checked(registry: Registry, tmp_path: Path) -> None:
    told = Told()
    file = registry.bundle("churn", tmp_path / "churn.bundle").path
    Registry.unbundle(file, tmp_path / "away.git", progress=told)
    assert told.calls[-1][0] == told.calls[-1][1] > 1000


def test_a_push_is_told_by_register_and_what_was_pushed_is_not_fetched_again(project: Path) -> None:
    write(project / "plain.bin", b"x" * 100_000)
    dvc(project, "add", "--quiet", "plain.bin")
    text = (project / "dvc.yaml").read_text()
    write(project / "dvc.yaml", text.replace("artifacts:\n", "artifacts:\n  big: {path: plain.bin}\n"))
    commit(project)
    git(project.parent, "clone", "--quiet", "--bare", os.fspath(project), "origin.git")
    git(project, "remote", "add", "origin", os.fspath(project.parent / "origin.git"))

    told = Told()
    Registry(project).register("big", push_data=True, progress=told)
    assert told.calls == [(0, 100_000), (100_000, 100_000)]


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_printed_unasked(
    verb: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    VERBS[verb](registry, tmp_path, None)  # type: ignore[arg-type]
    assert stream.getvalue() == ""
