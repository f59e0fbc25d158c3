"""Files that differ from the commit are told of, as ``git status`` would, and nothing that the repository names runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelregistry.git.repo import GitRepo
from modelregistry.git.uncommitted import uncommitted
from tests.integration.projects import commit, git, init, write

ODD = ["a b.py", "ümlaut.py", 'quo"te.py', "new\nline.py", "deep/er/c.py"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = init(tmp_path / "project")
    for name in ["a.py", "b.py", "c.py", *ODD]:
        write(root / name, f"{name}\n")
    (root / "link").symlink_to("a.py")
    commit(root)
    return root


def found(root: Path, **options: str) -> tuple[str, ...]:
    return uncommitted(GitRepo.discover(root), **options).paths


def test_a_clean_tree_and_what_git_does_not_know_are_nothing(root: Path) -> None:
    write(root / "new.py", "?")
    os.utime(root / "a.py", (1, 1))  # touched, and the same
    assert found(root) == ()


def test_edited_staged_and_deleted_files_are_told_of_whatever_they_are_called(root: Path) -> None:
    for name in ODD:
        write(root / name, "edited")
    write(root / "a.py", "staged")
    git(root, "add", "a.py")
    write(root / "added.py", "staged too")
    git(root, "add", "added.py")
    (root / "b.py").unlink()
    git(root, "rm", "--quiet", "c.py")
    assert found(root) == tuple(sorted([*ODD, "a.py", "added.py", "b.py", "c.py"]))


def test_an_edit_that_changes_no_size_is_seen_and_so_is_one_that_was_staged_and_taken_back(
    root: Path,
) -> None:
    write(root / "a.py", "A.py\n")
    write(root / "b.py", "other")
    git(root, "add", "b.py")
    write(root / "b.py", "b.py\n")
    assert found(root) == ("a.py", "b.py")


def test_what_is_asked_to_be_left_out_is(root: Path) -> None:
    write(root / "a.py", "edited")
    write(root / "a.py.dvc", "staged")
    git(root, "add", "a.py.dvc")
    write(root / "b.py", "edited")
    assert found(root, but="a.py") == ("b.py",)


def test_files_that_git_was_told_not_to_look_at_are_not_looked_at(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", "a.py")
    git(root, "update-index", "--skip-worktree", "b.py")
    write(root / "a.py", "edited")
    (root / "b.py").unlink()
    assert found(root) == ()


def test_line_ends_that_git_changed_are_no_edit(root: Path) -> None:
    write(root / "a.py", "a.py\r\n")
    assert found(root) == ()


def test_of_many_files_some_are_named_and_all_are_counted(root: Path) -> None:
    names = [f"{number:03}.py" for number in range(50)]
    for name in names:
        write(root / name, "x")
    git(root, "add", "--all")
    told = uncommitted(GitRepo.discover(root))
    assert (list(told.paths), told.count) == (names[:20], 50)
    assert told.note is not None and told.note.startswith("'000.py' and 49 more differ from the commit")
