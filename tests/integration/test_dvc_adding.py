"""What is on its way into a DVC project has a folder of its own, which only a dead process's is taken from."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from modelregistry.artifacts.dvcadd import DvcAdder
from modelregistry.git.repo import GitRepo
from tests.integration.projects import init


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    root = init(tmp_path / "project")
    (root / ".dvc").mkdir()
    return GitRepo.discover(root)


@pytest.mark.parametrize("before", ["open", "flock"])
def test_a_folder_that_another_call_took_before_it_was_locked_is_made_anew_and_kept(
    before: str, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"open": os, "flock": fcntl}[before]
    real, taken = getattr(module, before), []
    top = repo.git_dir.parent / ".dvc" / "tmp"

    def late(*arguments: object, **options: object) -> object:
        if not taken and top.is_dir():
            taken.extend(top.iterdir())
            taken[0].rmdir()
        return real(*arguments, **options)

    monkeypatch.setattr(module, before, late)
    with DvcAdder(repo).scratch("model.bin") as folder:
        assert len(taken) == 1
        with DvcAdder(repo).scratch("other.bin") as other:  # which removes those of the dead
            assert folder.is_dir()
            assert other.is_dir()
    assert list(top.iterdir()) == []


def test_what_a_dead_process_left_goes(repo: GitRepo) -> None:
    left = repo.git_dir.parent / ".dvc" / "tmp" / "modelregistry-0123"
    left.mkdir(parents=True)
    with DvcAdder(repo).scratch("model.bin"):
        assert not left.exists()
