"""Whoever is to be told how far something is, is told by every verb that may take long."""

from __future__ import annotations

import io
import os
import sys
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
