"""Commits chosen files on the branch that is checked out, and nothing else: all of them, or none.

What else is staged or edited stays as it is; no hook and no filter runs. The files and the index come first and the
branch last, so whoever looks while it is under way, or after a kill, finds the files as if they were edited and staged.
What a killed call left so is put back by the next one, by the note in its journal.
"""

from __future__ import annotations

import errno
import os
import posixpath
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from modelregistry.errors import GitError, InvalidInputError, WorkingCopyError
from modelregistry.git.indexlock import Journal, index_lock
from modelregistry.git.repo import GitRepo
from modelregistry.givenpath import given_path
from modelregistry.log.tags import clean_person

_FILE = "100644"
_IN_GIT = ("modelregistry-file", "modelregistry-index")
"""What is written in Git's own folder before it gets its name: there nobody commits it, wherever this ends."""
_UNDER_WAY = {
    "MERGE_HEAD": ("a merge", "git merge --abort"),
    "rebase-merge": ("a rebase", "git rebase --abort"),
    "rebase-apply": ("a rebase", "git rebase --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --abort"),
}


class _Blob(NamedTuple):
    """A file, as a commit or the index has it."""

    mode: str
    oid: str


class Author(NamedTuple):
    """Who made what a commit brings, and when, where that was not who commits it, now."""

    name: str | None
    """None for who commits it."""
    email: str
    at: datetime


class WorkingCopy:
    """The files of a repository that has some.

    Args:
        repo: The repository.

    Raises:
        WorkingCopyError: It is bare.
    """

    def __init__(self, repo: GitRepo) -> None:
        if repo.root is None:
            raise WorkingCopyError(
                f"{os.fspath(repo.git_dir)!r} is bare: nothing can be committed there; open a clone of it"
            )
        self._repo = repo
        self._root = repo.root

    def check(self, paths: Iterable[str]) -> str:
        """The commit that is checked out, if files could be committed there now; for what takes long before it.

        Args:
            paths: The files, from the Git root.

        Raises:
            WorkingCopyError: On no branch, or a merge or the like is under way, or a file has changes that are not
                committed.
            InvalidInputError: A path is none of a file in the repository.
            RevisionNotFoundError: There is no commit yet.
        """
        self._branch()
        head = self._repo.resolve("HEAD")
        # Those of a call that was killed are put back by the commit, and are no changes of the user's.
        self._check(head, dict.fromkeys(paths), self._left_by_a_kill())
        return head

    def tracked(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths that Git itself keeps, or has something below, by what is staged."""
        wanted = [*paths]
        staged = self._in_index(wanted)
        return [path for path in wanted if staged.get(path)]

    def ignored(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths that Git is told not to see, and does not keep already."""
        wanted = "".join(f"{path}\0" for path in paths)
        try:
            found = self._repo.run("check-ignore", "-z", "--stdin", stdin=os.fsencode(wanted))
        except GitError as error:
            if error.status == 1:  # none of them
                return []
            raise
        return [os.fsdecode(path) for path in found.split(b"\0")[:-1]]

    def commit(
        self,
        files: Mapping[str, bytes],
        message: str,
        *,
        base: str | None = None,
        author: Author | None = None,
    ) -> str:
        """Commit the files as given, and nothing else; returns the commit. HEAD itself, where it has them all so.

        Args:
            files: What each is to hold, by its path from the Git root.
            message: Of the commit.
            base: The commit that they were made from, which must be checked out still; left out: whatever is.
            author: Who made them, if somebody else did, some other time.

        Raises:
            WorkingCopyError: On no branch, or a merge or the like is under way; a file has changes that are not
                committed; ``base`` is not checked out any more; or the files can't be written.
            InvalidInputError: A path is none of a file in the repository.
            RevisionNotFoundError: There is no commit yet.
            GitError: Another git is at work there, or git does not know who is writing.
        """
        self._branch()
        self._repo.identity()
        with index_lock(self._repo.git_dir) as journal:
            self._undo(journal)
            branch, head = self._branch(), self._repo.resolve("HEAD")
            if base not in (None, head):
                raise WorkingCopyError(
                    f"nothing was committed: HEAD moved from {str(base)[:10]} to {head[:10]} meanwhile; try again"
                )
            known = self._check(head, files)
            oids = {path: self._hash(data, write=True) for path, data in files.items()}
            blobs = {path: _Blob(_mode(known.get(path)), oid) for path, oid in oids.items()}
            if blobs == known:
                return head
            commit = self._write_commit(head, blobs, message, author)
            journal.note(oids)
            try:
                self._place(head, files, blobs)
                self._repo.run("update-ref", "-m", f"commit: {message.splitlines()[0]}", branch, commit, head)
            except BaseException:
                self._undo(journal)
                raise
            journal.clear()
        return commit

    # -- looking -------------------------------------------------------------------------------------------

    def _branch(self) -> str:
        """The branch that is checked out, with nothing under way on it."""
        for name, (what, undo) in _UNDER_WAY.items():
            if (self._repo.git_dir / name).exists():
                raise WorkingCopyError(
                    f"nothing can be committed while {what} is under way: finish it, or {undo!r}"
                )
        try:
            return self._repo.run("symbolic-ref", "--quiet", "HEAD").decode().strip()
        except GitError as error:
            raise WorkingCopyError(
                "nothing can be committed: HEAD is detached; 'git switch' to a branch first"
            ) from error

    def _check(
        self, head: str, files: Mapping[str, bytes | None], left: Mapping[str, str] | None = None
    ) -> dict[str, _Blob]:
        """What ``head`` has of the files; refuses those that differ from it, and from what they are to be."""
        for path in files:
            self._check_path(path)
        known, staged = self._in_commit(head, files), self._in_index(files)
        for path, data in files.items():
            target = self._root / path
            before, there = known.get(path), staged.get(path, [])
            after = self._hash(data) if data is not None else (left or {}).get(path)
            fine = {before.oid if before is not None else None} | ({after} if after is not None else set())
            lying = self._hash(target.read_bytes()) if target.is_file() else None
            stages: set[str | None] = {blob.oid for blob in there} or {None}
            if lying not in (None, after) and before is None and not there:
                raise WorkingCopyError(
                    f"{path!r} is there already, and Git does not know it: commit it, or move it away"
                )
            if lying not in fine or len(there) > 1 or not stages <= fine:
                raise WorkingCopyError(f"{path!r} has changes that are not committed: commit them first")
        return known

    def _check_path(self, path: str) -> None:
        parts = path.split("/")
        if path != posixpath.normpath(path) or path.startswith("/") or parts[0] in ("..", ".git", "."):
            raise InvalidInputError(
                f"not a file in the repository: {path!r}; write it relative to the Git root"
            )
        given_path(self._root / path, "path")  # which may be too long
        places = [self._root.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        for place in places:
            if place.is_symlink():
                raise WorkingCopyError(f"{path!r} can't be written: {os.fspath(place)!r} is a link")
        if places[-1].is_dir() or any(place.exists() and not place.is_dir() for place in places[:-1]):
            raise WorkingCopyError(f"{path!r} can't be written: a file stands where a folder is needed, or a "
                                   "folder where the file is")  # fmt: skip

    def _in_commit(self, head: str, paths: Iterable[str]) -> dict[str, _Blob]:
        wanted = [*paths]
        output = self._repo.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", head, "--", *wanted)
        found = {}
        for record in output.split(b"\0")[:-1]:
            facts, _, name = record.partition(b"\t")
            mode, _, oid = facts.decode().split()
            found[os.fsdecode(name)] = _Blob(mode, oid)
        return found

    def _in_index(self, paths: Iterable[str]) -> dict[str, list[_Blob]]:
        """What is staged at each path; several, where a merge left several. What is below it counts as well."""
        wanted = [*paths]
        output = self._repo.run("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *wanted)
        found: dict[str, list[_Blob]] = {}
        for record in output.split(b"\0")[:-1]:
            facts, _, name = record.partition(b"\t")
            mode, oid, _ = facts.decode().split()
            path = os.fsdecode(name)
            top = next((each for each in wanted if path == each or path.startswith(f"{each}/")), path)
            found.setdefault(top, []).append(_Blob(mode, oid))
        return found

    def _hash(self, data: bytes, *, write: bool = False) -> str:
        options = ["-w"] if write else []
        return self._repo.run("hash-object", *options, "--stdin", stdin=data).decode().strip()

    # -- writing -------------------------------------------------------------------------------------------

    def _write_commit(
        self, head: str, blobs: Mapping[str, _Blob], message: str, author: Author | None
    ) -> str:
        with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
            index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
            self._repo.run("read-tree", head, environment=index)
            self._repo.run(
                "update-index", "-z", "--index-info", stdin=_lines(blobs, len(head)), environment=index
            )
            tree = self._repo.run("write-tree", "--missing-ok", environment=index).decode().strip()
        made = self._repo.run(
            "commit-tree", tree, "-p", head, stdin=message.encode(), environment=_as_git_takes(author)
        )
        return made.decode().strip()

    def _place(self, head: str, files: Mapping[str, bytes | None], blobs: Mapping[str, _Blob | None]) -> None:
        """Have the files, and the index, hold that; None stands for nothing."""
        try:
            for path, data in files.items():
                target = self._root / path
                if data is None:
                    target.unlink(missing_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    _put(self._repo.git_dir / _IN_GIT[0], target, data)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    _put(_beside(target), target, data)
            self._place_in_index(head, blobs)
        except OSError as error:
            raise WorkingCopyError(
                f"nothing was committed: {error.filename2 or error.filename!r} can't be written: {error.strerror}"
            ) from error

    def _place_in_index(self, head: str, blobs: Mapping[str, _Blob | None]) -> None:
        index, news = self._repo.git_dir / "index", self._repo.git_dir / _IN_GIT[1]
        with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
            copy = Path(folder, "index")
            before = index.stat().st_mtime_ns if index.exists() else None
            if before is not None:
                copy.write_bytes(index.read_bytes())
                # Dated to come, so that git sees no need to look into files and run their filters.
                os.utime(copy, (4_000_000_000, 4_000_000_000))
            self._repo.run(
                "update-index", "-z", "--index-info", stdin=_lines(blobs, len(head)),
                environment={"GIT_INDEX_FILE": os.fspath(copy)},
            )  # fmt: skip
            _write(news, copy.read_bytes())
        if before is not None:
            os.utime(news, ns=(before, before))  # so that git looks into them later, as it would have
            news.chmod(index.stat().st_mode & 0o777)
        news.replace(index)

    def _undo(self, journal: Journal) -> None:
        """Put back what is noted: files, and what is staged, that are as a call made them whose commit never came."""
        if not journal.noted:
            return
        noted = journal.noted
        head = self._repo.resolve("HEAD")
        known = self._in_commit(head, noted)
        staged = self._in_index(noted)
        undone = {path: oid for path, oid in noted.items() if _oid(known.get(path)) != oid}
        files: dict[str, bytes | None] = {}
        for path, oid in undone.items():
            target = self._root / path
            if target.is_file() and self._hash(target.read_bytes()) == oid:
                before = known.get(path)
                found = self._repo.read([before.oid])[0] if before is not None else None
                files[path] = found.data if found is not None else None
        blobs = {path: known.get(path) for path, oid in undone.items() if _oids(staged.get(path)) == [oid]}
        if files or blobs:
            self._place(head, files, blobs)
        for path in noted:
            _beside(self._root / path).unlink(missing_ok=True)
        for name in _IN_GIT:
            (self._repo.git_dir / name).unlink(missing_ok=True)
        journal.clear()

    def _left_by_a_kill(self) -> dict[str, str]:
        try:
            descriptor = os.open(self._repo.git_dir / "modelregistry-commit", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return {}
        try:
            return Journal(descriptor).noted
        finally:
            os.close(descriptor)


def _as_git_takes(author: Author | None) -> dict[str, str]:
    if author is None:
        return {}
    environment = {"GIT_AUTHOR_DATE": f"{int(author.at.timestamp())} +0000"}
    if name := clean_person(author.name or ""):
        environment |= {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": clean_person(author.email)}
    return environment


def _lines(blobs: Mapping[str, _Blob | None], width: int) -> bytes:
    """What ``update-index --index-info`` takes, with object ids of that width; with mode 0, a path is taken out."""
    lines = [
        f"{blob.mode} {blob.oid}\t{path}" if blob is not None else f"0 {'0' * width}\t{path}"
        for path, blob in blobs.items()
    ]
    return b"".join(os.fsencode(line) + b"\0" for line in lines)


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put(temporary: Path, target: Path, data: bytes) -> None:
    _write(temporary, data)
    if target.exists():
        temporary.chmod(target.stat().st_mode & 0o777)
    temporary.replace(target)


def _beside(target: Path) -> Path:
    """Where a file is written first that is on another disk than Git's folder."""
    return target.with_name(f".{target.name}.modelregistry")


def _mode(known: _Blob | None) -> str:
    """A file that can be run stays one."""
    return known.mode if known is not None and known.mode.startswith("100") else _FILE


def _oid(blob: _Blob | None) -> str | None:
    return blob.oid if blob is not None else None


def _oids(blobs: Iterable[_Blob] | None) -> list[str]:
    return [blob.oid for blob in blobs or ()]
