"""Where the working copy, and the branches of the remote, have drifted from what is registered, in words for who registers."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from modelregistry.artifacts.base import Content, Entry
from modelregistry.errors import GitError
from modelregistry.git.repo import GitRepo
from modelregistry.git.uncommitted import blob_id

_SMALL = 64 << 20
"""Bytes of a file that is hashed whatever its date."""


def drift(repo: GitRepo, rev: str, content: Content) -> str | None:
    """Whether what lies at the artifact's path is other bytes than the commit has, in a sentence; None if not.

    Nothing there is no other bytes: they need not be checked out. A large file is hashed where its date says that it may
    have changed since.

    Args:
        repo: The repository.
        rev: The commit, which is checked out.
        content: What the artifact consists of there.
    """
    if repo.root is None:
        return None
    top = repo.root / content.path
    if not top.exists():
        return None
    places = {entry: top / entry.path if content.is_directory else top for entry in content.entries}
    recorded, moved = _recorded_at(repo, repo.root, rev, content.path)
    other = next((place for entry, place in places.items() if _differs(entry, place, recorded)), None)
    if other is None and content.is_directory:
        known = set(places.values())
        other = next((path for path in _files(top) if path not in known), None)
    if other is None:
        return None
    name = other.relative_to(repo.root).as_posix()
    how = "'dvc commit' it, then 'git commit'" if content.storage == "dvc" else "'git commit' it"
    if moved is not None:
        how = f"'git commit' {moved!r}"
    return (
        f"{name!r} is not what commit {rev[:10]} has, and the commit's bytes are what is registered: to register what "
        f"lies there, {how}, and register again"
    )


def unpushed(repo: GitRepo, rev: str, remote: str) -> str | None:
    """Whether a commit is on no branch of the remote, as far as this clone knows, in a sentence; None if not.

    Args:
        repo: The repository.
        rev: The commit.
        remote: What the clone calls the remote.
    """
    try:
        found = repo.run("rev-list", "--max-count=1", rev, "--not", f"--remotes={remote}")
    except GitError:  # a shallow clone, say
        return None
    if not found.strip():
        return None
    return f"commit {rev[:10]} is on no branch of {remote!r} yet: 'git push' it, so that others find it in its history"


def _recorded_at(repo: GitRepo, root: Path, rev: str, path: str) -> tuple[int | None, str | None]:
    """When DVC wrote down what lies at a path, if that is what the commit has; else the file that has moved on."""
    files, folder = [f"{path}.dvc"], posixpath.dirname(path)
    while True:
        files += [posixpath.join(folder, "dvc.lock"), f"{folder}.dvc"]
        if not folder:
            break
        folder = posixpath.dirname(folder)
    dates = []
    for file, blob in zip(files, repo.read([f"{rev}:{file}" for file in files]), strict=True):
        if blob is None or blob.kind != "blob":
            continue
        lying = root / file
        if not lying.is_file() or lying.read_bytes() != blob.data:
            return None, file
        dates.append(lying.stat().st_mtime_ns)
    return max(dates, default=None), None


def _differs(entry: Entry, place: Path, recorded: int | None) -> bool:
    try:
        status = place.stat()
    except OSError:
        return True
    if entry.size is not None and status.st_size != entry.size:
        return True
    if status.st_size > _SMALL and recorded is not None and status.st_mtime_ns <= recorded:
        return False
    kind, _, value = entry.address.partition(":")
    if kind == "git":
        return blob_id(place.read_bytes(), len(value)) != value
    if kind != "md5":  # an older DVC's, over text with its line ends changed
        return False
    with place.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest() != value


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield Path(place, name)
