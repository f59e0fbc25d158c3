"""What registering says of bytes that lie in the working copy and are not the commit's, and of a commit nobody else has."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.git import drift as drifts
from tests.integration.projects import commit, dvc, git, write

CHURN = "models/churn.joblib"


def _flip(path: Path) -> None:
    """Other bytes, as many."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _train_again(root: Path) -> None:
    write(root / "params.yaml", "scale: 0.25\n")
    dvc(root, "repro", "--quiet")


WAYS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a file that was trained again by hand": (
        "churn", lambda root: _flip(root / CHURN), rf"'{CHURN}' is not what commit .* has.*'dvc commit' it"
    ),
    "a step that ran and is not committed": ("churn", _train_again, rf"'{CHURN}' is not.*'git commit' 'dvc\.lock'"),
    "a file that was added and is not committed": (
        "risk",
        lambda root: (write(root / "models/risk.skops", "other"), dvc(root, "add", "--quiet", "models/risk.skops")),
        r"'git commit' 'models/risk\.skops\.dvc'",
    ),
    "a file in a folder": ("bundle", lambda root: write(root / "bundle/b.json", "[]"), r"'bundle/b\.json' is not"),
    "a file too many": ("bundle", lambda root: write(root / "bundle/c.json", "{}"), r"'bundle/c\.json' is not"),
    "a file too few": ("bundle", lambda root: (root / "bundle/b.json").unlink(), r"'bundle/b\.json' is not"),
    "a file of Git's": ("rules", lambda root: _flip(root / "plain/rules.json"), r"'git commit' it, and register"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_other_bytes_than_the_commit_has_are_a_warning_and_the_commit_s_are_registered(
    way: str, project: Path
) -> None:
    name, change, words = WAYS[way]
    change(project)
    with pytest.warns(mr.RegistryWarning, match=words) as said:
        made = Registry(project).register(name)
    assert made.rev == git(project, "rev-parse", "HEAD")
    assert len([each for each in said if "is not what commit" in str(each.message)]) == 1


@pytest.mark.parametrize("name", ["churn", "risk", "bundle", "rules", "tables"])
def test_what_lies_there_as_committed_is_no_warning(name: str, project: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Registry(project).register(name)


def test_what_is_not_checked_out_is_no_warning(project: Path) -> None:
    shutil.rmtree(project / "models")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Registry(project).register("churn")


def test_a_commit_that_is_named_is_meant(project: Path) -> None:
    _flip(project / CHURN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Registry(project).register("churn", rev="main")


def test_a_large_file_is_hashed_only_where_it_is_younger_than_its_record(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drifts, "_SMALL", 1)
    _flip(project / CHURN)
    lock = (project / "dvc.lock").stat().st_mtime_ns
    os.utime(project / CHURN, ns=(lock - 1, lock - 1))  # it is not: so old that DVC must have seen it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Registry(project).register("churn", dry_run=True)
    os.utime(project / CHURN, ns=(lock + 1, lock + 1))
    with pytest.warns(mr.RegistryWarning, match="is not what commit"):
        Registry(project).register("churn", dry_run=True)


def test_a_commit_that_no_branch_of_the_remote_has_is_told_of_once(
    plain: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    git(plain, "remote", "add", "origin", os.fspath(tmp_path / "hub.git"))
    git(plain, "fetch", "--quiet", "origin")
    caplog.set_level(logging.WARNING, "modelregistry")

    Registry(plain).register("churn")
    assert not caplog.records

    write(plain / "churn.json", '{"churn": 9}')
    rev = commit(plain)
    Registry(plain).register("churn")
    assert f"churn@v0.1.1: commit {rev[:10]} is on no branch of 'origin' yet: 'git push' it" in caplog.text
    assert len(caplog.records) == 1
    git(plain, "push", "--quiet", "origin", "HEAD")
    caplog.clear()
    Registry(plain).register("risk")
    assert not caplog.records
