"""Which files of a working copy differ from the commit that is checked out; no filter and no hook runs."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from modelregistry.git.repo import GitRepo

_MOST = 20
"""Files that are named."""
_LARGEST = 64 << 20
"""Bytes of a file that is read to see whether it changed; a larger one with another date is taken for changed."""
_LOOKED_AWAY = 1 << 15 | 1 << 30
"""The flags of a file that Git was told to take for unchanged, or that a sparse checkout leaves out."""
_FACTS = re.compile(
    rb"  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev: .*\n  uid: .*\n  size: (\d+)\tflags: ([0-9a-f]+)\n"
)


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """Files that Git keeps and that are not as the commit has them."""

    paths: tuple[str, ...]
    """The first of them, by name."""
    count: int

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def note(self) -> str | None:
        """What to know about it, in a sentence; None where there are none."""
        if not self.count:
            return None
        several = f" and {self.count - 1} more differ" if self.count > 1 else " differs"
        return (
            f"{self.paths[0]!r}{several} from the commit, so nobody else may have what made this: commit first, and "
            "train again if it matters"
        )

    def to_metadata(self) -> dict[str, JsonValue]:
        """The entry for the registration's metadata."""
        return {"uncommitted": [*self.paths]}


def uncommitted(repo: GitRepo, *, but: str | None = None) -> Uncommitted:
    """The files, edited or staged, that differ from HEAD. What Git does not know is none of them.

    Args:
        repo: The repository; one without a working copy has none.
        but: A path that does not count, nor what is beside it for DVC.
    """
    if repo.root is None:
        return Uncommitted((), 0)
    left = {but, f"{but}.dvc"}
    found = sorted({*_staged(repo), *_edited(repo, repo.root)} - left)
    return Uncommitted(tuple(found[:_MOST]), len(found))


def _staged(repo: GitRepo) -> list[str]:
    output = repo.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "HEAD")
    return [os.fsdecode(name) for name in output.split(b"\0")[1::2]]


def _edited(repo: GitRepo, root: Path) -> Iterator[str]:
    """The files that are not as the index has them, by their facts; by their bytes where those moved."""
    oids = dict(_listed(repo))
    output = repo.run("ls-files", "--debug", "-z")
    at = 0
    while at < len(output):
        end = output.index(b"\0", at)
        name = os.fsdecode(output[at:end])
        facts = _FACTS.match(output, end + 1)
        if facts is None:
            return  # another git writes it otherwise: better silent than wrong
        at = facts.end()
        oid = oids.get(name)
        *numbers, flags = facts.groups()
        if oid is None or int(flags, 16) & _LOOKED_AWAY:
            continue
        if _is_edited(root / name, oid, [*map(int, numbers)]):
            yield name


def _listed(repo: GitRepo) -> Iterator[tuple[str, str]]:
    """The plain files of the index, and their objects."""
    for record in repo.run("ls-files", "--stage", "-z").split(b"\0")[:-1]:
        facts, _, name = record.partition(b"\t")
        mode, oid, stage = facts.decode().split()
        if mode.startswith("100") and stage == "0":
            yield os.fsdecode(name), oid


def _is_edited(path: Path, oid: str, facts: Sequence[int]) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return True
    seconds, nanoseconds, size = facts
    if size == status.st_size and seconds * 10**9 + nanoseconds == status.st_mtime_ns:
        return False
    if status.st_size > _LARGEST:
        return True
    data = path.read_bytes()
    # What Git changed when it wrote the file is no edit.
    return oid not in {blob_id(data, len(oid)), blob_id(data.replace(b"\r\n", b"\n"), len(oid))}


def blob_id(data: bytes, width: int) -> str:
    """What Git calls a file with that content, in a repository whose ids have that many digits."""
    kind = "sha1" if width == 40 else "sha256"
    return hashlib.new(kind, b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()
