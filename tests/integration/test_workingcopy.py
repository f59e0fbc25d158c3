"""Committing chosen files: on real repositories, with real work of the user's in the way, and killed at every step."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelregistry as mr
from modelregistry.git import indexlock
from modelregistry.git.repo import GitRepo
from modelregistry.git.workingcopy import WorkingCopy
from tests.integration.projects import commit, git, init, visible, write

FILES = {"a.txt": b"new a\n", "deep/er/b.txt": b"new b\n", "run.sh": b"new run\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = init(tmp_path / "project")
    write(root / "a.txt", "a\n")
    write(root / "run.sh", "run\n").chmod(0o755)
    write(root / "mine.txt", "mine\n")
    write(root / "theirs.txt", "theirs\n")
    commit(root)
    return root


def copy_of(root: Path) -> WorkingCopy:
    return WorkingCopy(GitRepo.discover(root))


def committed(root: Path, *revs: str) -> set[str]:
    """The files that the last commit changed."""
    return set(git(root, "diff-tree", "-r", "--name-only", "--no-commit-id", *(revs or ("HEAD",))).split())


def test_the_files_are_committed_and_what_else_is_staged_or_edited_stays(root: Path) -> None:
    write(root / "mine.txt", "staged\n")
    git(root, "add", "mine.txt")
    write(root / "mine.txt", "edited\n")
    write(root / "theirs.txt", "edited too\n")
    write(root / "untracked.txt", "?")

    made = copy_of(root).commit(FILES, "Bring them\n\nwith a body")

    assert made == git(root, "rev-parse", "main")
    assert committed(root) == set(FILES)
    assert git(root, "log", "-1", "--format=%an %s %b").strip() == "Ann Author Bring them with a body"
    assert git(root, "reflog", "-1", "--format=%gs") == "commit: Bring them"
    for name, data in FILES.items():
        assert (root / name).read_bytes() == data
    left = git(root, "status", "--porcelain").split()
    assert left == ["MM", "mine.txt", "M", "theirs.txt", "??", "untracked.txt"]
    assert git(root, "show", ":mine.txt") == "staged"


def test_a_file_that_can_be_run_stays_one(root: Path) -> None:
    copy_of(root).commit(FILES, "x")
    assert git(root, "ls-tree", "HEAD", "run.sh").startswith("100755")
    assert os.access(root / "run.sh", os.X_OK)
    assert git(root, "status", "--porcelain") == ""


def test_a_file_that_can_t_be_written_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        if Path(target).name == "b.txt":
            raise PermissionError(
                errno.EACCES, "Permission denied", os.fspath(source), None, os.fspath(target)
            )
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    before = visible(root)
    with pytest.raises(mr.WorkingCopyError, match=r"deep/er/b\.txt' can't be written: Permission denied"):
        copy_of(root).commit(FILES, "x")
    after = visible(root)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} <= {".git/index"}


def test_what_is_committed_so_already_is_no_commit(root: Path) -> None:
    first = copy_of(root).commit(FILES, "x")
    before = visible(root)
    assert copy_of(root).commit(FILES, "y") == first
    assert visible(root) == before


def test_a_file_that_is_edited_to_what_is_to_be_committed_is_committed(root: Path) -> None:
    write(root / "a.txt", FILES["a.txt"])
    git(root, "add", "a.txt")
    write(root / "deep/er/b.txt", FILES["deep/er/b.txt"])
    copy_of(root).commit(FILES, "x")
    assert git(root, "status", "--porcelain") == ""


def _edit(root: Path) -> None:
    write(root / "a.txt", "mine\n")


def _stage(root: Path) -> None:
    write(root / "a.txt", "mine\n")
    git(root, "add", "a.txt")
    write(root / "a.txt", "a\n")


def _delete(root: Path) -> None:
    (root / "a.txt").unlink()


def _conflict(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "other")
    write(root / "a.txt", "other\n")
    commit(root)
    git(root, "checkout", "--quiet", "main")
    write(root / "a.txt", "main\n")
    commit(root)
    with pytest.raises(AssertionError):
        git(root, "merge", "other")


def _unmerged(root: Path) -> None:
    _conflict(root)
    (root / ".git" / "MERGE_HEAD").unlink()


def _link_out(root: Path) -> None:
    (root / "deep").symlink_to(root.parent, target_is_directory=True)


def _rebase(root: Path) -> None:
    (root / ".git" / "rebase-merge").mkdir()


WAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (_edit, "commit them first"),
    "staged": (_stage, "commit them first"),
    "deleted": (_delete, "commit them first"),
    "left unmerged": (_unmerged, "commit them first"),
    "untracked": (lambda root: write(root / "deep/er/b.txt", "mine"), "Git does not know it"),
    "a folder where the file is": (lambda root: write(root / "deep/er/b.txt/x", "mine"), "folder"),
    "a file where a folder is needed": (lambda root: write(root / "deep", "mine"), "folder"),
    "a link": (_link_out, "is a link"),
    "detached": (lambda root: git(root, "checkout", "--quiet", "--detach"), "git switch"),
    "a merge": (_conflict, "a merge is under way"),
    "a rebase": (_rebase, "a rebase is under way"),
    "a cherry-pick": (lambda root: write(root / ".git/CHERRY_PICK_HEAD", "x"), "a cherry-pick is under way"),
    "a revert": (lambda root: write(root / ".git/REVERT_HEAD", "x"), "a revert is under way"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_in_the_way_is_refused_and_nothing_is_written(way: str, root: Path) -> None:
    spoil, words = WAYS[way]
    spoil(root)
    before = visible(root)
    with pytest.raises(mr.WorkingCopyError, match=words):
        copy_of(root).commit(FILES, "x")
    with pytest.raises(mr.WorkingCopyError, match=words):
        copy_of(root).check(FILES)
    assert visible(root) == before


@pytest.mark.parametrize("path", ["../out.txt", "/out.txt", ".git/config", "a//b", "./a", ""])
def test_a_path_that_is_none_of_a_file_in_the_repository_is_refused(path: str, root: Path) -> None:
    before = visible(root)
    with pytest.raises(mr.InvalidInputError, match="not a file in the repository"):
        copy_of(root).commit({path: b""}, "x")
    assert visible(root) == before


def test_a_bare_repository_and_one_without_a_commit_are_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    with pytest.raises(mr.WorkingCopyError, match="bare"):
        copy_of(tmp_path / "bare.git")
    with pytest.raises(mr.RevisionNotFoundError, match="no commit yet"):
        copy_of(init(tmp_path / "empty")).commit(FILES, "x")


def test_files_made_from_another_commit_are_refused(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD")
    write(root / "mine.txt", "more\n")
    commit(root)
    before = visible(root)
    with pytest.raises(mr.WorkingCopyError, match="HEAD moved"):
        copy_of(root).commit(FILES, "x", base=base)
    assert visible(root) == before


def test_a_lock_of_another_git_is_left_alone(root: Path) -> None:
    write(root / ".git" / "index.lock", "")
    before = visible(root)
    with pytest.raises(mr.GitError, match=r"index\.lock.*delete that file"):
        copy_of(root).commit(FILES, "x")
    assert visible(root) == before


def test_a_branch_that_moves_while_it_is_written_leaves_all_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = GitRepo.discover(root)
    real, moved = repo.run, git(root, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "theirs")
    before = {}

    def run(*arguments: str, **options: Any) -> bytes:
        if arguments[0] == "update-ref":
            git(root, "update-ref", "refs/heads/main", moved)
            before.update(
                {name: data for name, data in visible(root).items() if not name.startswith(".git/")}
            )
        return real(*arguments, **options)

    there = visible(root)
    monkeypatch.setattr(repo, "run", run)
    with pytest.raises(mr.GitError):
        WorkingCopy(repo).commit(FILES, "x")
    assert before["a.txt"] == FILES["a.txt"]  # it was that far
    after = visible(root)
    changed = {name for name in {*there, *after} if there.get(name) != after.get(name)}
    assert changed <= {".git/refs/heads/main", ".git/logs/HEAD", ".git/logs/refs/heads/main", ".git/index"}
    assert git(root, "status", "--porcelain") == ""


def test_files_on_another_disk_than_git_s_folder_are_written_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if self.parent.name == ".git" and Path(target).parent.name != ".git":
            raise OSError(errno.EXDEV, "Invalid cross-device link", os.fspath(self))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    copy_of(root).commit(FILES, "x")
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "show", "HEAD:a.txt") == "new a"


def test_a_file_that_can_t_be_written_leaves_all_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if Path(target).name == "run.sh":
            raise OSError(errno.ENOSPC, "No space left on device", os.fspath(target))
        return real(self, target)

    before = visible(root)
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(mr.WorkingCopyError, match=r"run\.sh.*No space left"):
        copy_of(root).commit(FILES, "x")
    monkeypatch.undo()
    after = visible(root)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} <= {
        ".git/index"
    }  # fmt: skip
    assert git(root, "status", "--porcelain", "--untracked-files=no") == ""


def _killed_at(step: int, root: Path, files: dict[str, bytes]) -> bool:
    """Commit in a process that is killed before its given step; whether it came that far."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = step

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return real(*arguments, **options)

        return call

    for place, name in [
        (GitRepo, "run"), (Path, "replace"), (Path, "unlink"), (os, "link"), (os, "ftruncate"), (os, "pwrite"),
        (os, "fsync"), (indexlock.fcntl, "flock"),
    ]:  # fmt: skip
        setattr(place, name, counted(getattr(place, name)))
    try:
        copy_of(root).commit(files, "killed")
    finally:
        os._exit(0)


AFTER = ["the same files", "other files", "a commit of the user's"]


@pytest.mark.parametrize("after", AFTER)
def test_a_commit_that_is_killed_at_any_step_is_whole_or_mended_by_the_next(
    after: str, tmp_path: Path
) -> None:
    files = dict(FILES) if after != "other files" else {"a.txt": b"newer\n", "c.txt": b"c\n"}
    step = AFTER.index(after)
    while True:
        root = init(tmp_path / f"at{step}")
        write(root / "a.txt", "a\n")
        write(root / "mine.txt", "mine\n")
        commit(root)
        write(root / "mine.txt", "staged\n")
        git(root, "add", "mine.txt")
        write(root / "mine.txt", "edited\n")
        base = git(root, "rev-parse", "HEAD")

        was_killed = _killed_at(step, root, dict(FILES))

        head = git(root, "rev-parse", "HEAD")
        assert committed(root) == (set(FILES) if head != base else set())
        for name, data in FILES.items():  # never torn
            assert not (root / name).exists() or (root / name).read_bytes() in (data, b"a\n")
        if after == "a commit of the user's" and was_killed:
            (root / ".git" / "index.lock").unlink(missing_ok=True)
            git(root, "add", "--all")
            git(root, "commit", "--quiet", "--allow-empty", "-m", "all of it")
        made = copy_of(root).commit(files, "again")
        assert made == git(root, "rev-parse", "HEAD")
        for name, data in files.items():
            assert (root / name).read_bytes() == data
            assert git(root, "show", f"HEAD:{name}") + "\n" == data.decode()
        left = git(root, "status", "--porcelain").split()
        assert left == ([] if after == "a commit of the user's" and was_killed else ["MM", "mine.txt"])
        assert not [*(root / ".git").glob("modelregistry-*")]
        assert not [*root.rglob(".*.modelregistry")]
        assert not (root / ".git" / "index.lock").exists()
        if not was_killed:
            break
        step += len(AFTER)
    assert step > 30
