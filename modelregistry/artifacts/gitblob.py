"""Artifacts that lie plainly in Git: a file, or a folder of files."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from modelregistry.artifacts.base import Arrived, Content, Entry, Report, Storage
from modelregistry.errors import GitError, InvalidFileError, MissingBytesError
from modelregistry.git.repo import GitRepo, TreeEntry

_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_BYTES = 1024  # a pointer is smaller, by its specification
_SYMLINK = "120000"


class GitBlobStorage(Storage):
    """What is plainly in one Git repository."""

    name: ClassVar[str] = "git"

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo

    def locate(self, rev: str, path: str) -> Content | None:
        """What ``path`` consists of at commit ``rev``; None if Git has nothing there.

        Raises:
            InvalidFileError: A file is a symbolic link, a submodule or a Git LFS pointer.
        """
        path = posixpath.normpath(path)
        if path.startswith(("/", "../")) or path == "..":
            return None
        files = self._repo.list_files(rev, path)
        self._refuse_submodules(rev, path)
        if not files:
            return None
        for file in files:
            if file.mode == _SYMLINK:
                raise InvalidFileError(
                    f"{file.path!r} is a symbolic link, and what it leads to is not in the commit as {path!r}: "
                    "put the file itself there",
                    path=file.path,
                )
        sizes = self._sizes(files)
        if len(files) == 1 and files[0].path == path:
            entry = Entry(posixpath.basename(path), f"git:{files[0].oid}", sizes[0])
            return Content(self.name, path, (entry,), address=entry.address)
        top = "" if path == "." else f"{path}/"
        entries = tuple(
            Entry(file.path[len(top) :], f"git:{file.oid}", size)
            for file, size in zip(files, sizes, strict=True)
        )
        tree = self._repo.read([f"{rev}:{'' if path == '.' else path}"], limit=0)[0]
        return Content(self.name, path, entries, True, f"git:{tree.oid}" if tree else "")

    def _refuse_submodules(self, rev: str, path: str) -> None:
        """A submodule has no files here, so it would be left out without a word."""
        for line in (self._repo.read_file(rev, ".gitmodules") or b"").decode("utf-8", "replace").splitlines():
            key, _, value = (part.strip() for part in line.partition("="))
            place = posixpath.normpath(value.strip('"')) if key == "path" and value else ""
            if place and (
                path in (place, ".") or place.startswith(f"{path}/") or path.startswith(f"{place}/")
            ):
                raise InvalidFileError(
                    f"{path!r} is, holds or lies in the submodule {place!r}, whose files this repository does not "
                    "have: register it in its own repository, or copy the files here",
                    path=place,
                )

    def _sizes(self, files: Sequence[TreeEntry]) -> list[int | None]:
        """Bytes of each file. Large files in Git LFS have a few lines of text in Git in their stead: they are refused."""
        blobs = self._repo.read([file.oid for file in files], limit=_LFS_BYTES)
        for file, blob in zip(files, blobs, strict=True):
            if blob is not None and blob.data is not None and blob.data.startswith(_LFS):
                raise InvalidFileError(
                    f"{file.path!r} is a Git LFS pointer, and its bytes are in an LFS server, which this library "
                    "does not read: track it with DVC ('git rm --cached' it, then 'dvc add' it)",
                    path=file.path,
                )
        return [blob.size if blob is not None else None for blob in blobs]

    def find(self, entry: Entry) -> Path | None:
        """None: Git keeps its objects packed."""
        del entry
        return None

    def fetch(
        self, entries: Sequence[Entry], into: Path, arrived: Arrived, *, report: Report | None = None
    ) -> None:
        """Write the bytes of each entry to a file in ``into``, unverified, and give it to ``arrived``.

        Raises:
            MissingBytesError: This clone does not have some (it is a partial one, say).
            OSError: ``into`` can't be written.
        """
        sizes = [entry.size for entry in entries]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        done = 0
        for entry in entries:
            target = into / entry.address.replace(":", "-")
            try:
                self._repo.export(entry.address.removeprefix("git:"), target)
            except GitError as error:
                target.unlink(missing_ok=True)
                raise MissingBytesError(
                    f"{entry.path!r} ({entry.address}) is not in this clone: 'git fetch --refetch' brings what a partial "
                    "clone left out; 'git fsck' tells if it is damaged",
                    paths=[entry.path],
                ) from error
            done += target.stat().st_size
            if report is not None:
                report(done, total)
            arrived(entry, target)

    def missing(self, entries: Sequence[Entry], *, cached: bool = True) -> tuple[Entry, ...]:
        """None of them: what a commit names is in its repository, and is pushed with it."""
        del entries, cached
        return ()
