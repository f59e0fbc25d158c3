"""Which files this user has verified, and what they looked like then: while they look the same they need no hashing."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from modelregistry.keptfile import load_values, save_text
from modelregistry.trust.privatefile import doubt_of

_TICK = 20_000_000
"""Nanoseconds in which two writes may get one time: the kernel's tick is 10 ms at most."""
_COARSE_TICK = 2_000_000_000
"""The same on a file system that keeps whole seconds (FAT: two of them)."""
_SECOND = 1_000_000_000


class Facts(NamedTuple):
    """What a file looks like from outside; writing to it changes at least one of them."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Facts:
        """Those of a file that was looked at."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def settled(self, now: int) -> bool:
        """Whether the last write is so old that another one, after ``now`` (ns), must show in the mtime.

        The ctime may be of just now: it tells of those who set the mtime back, and of a new name.
        """
        return self.mtime_ns < now - (_TICK if self.mtime_ns % _SECOND else _COARSE_TICK)

    def linked(self, later: Facts) -> bool:
        """Whether ``later`` may be the same file with one more name, which moves its ctime and nothing else."""
        return self[:4] == later[:4]


def look(path: str | os.PathLike[str]) -> Facts | None:
    """The facts of the regular file that ``path`` leads to; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Facts.of(status) if stat.S_ISREG(status.st_mode) else None


class Receipt:
    """The files of one artifact that were verified under the name it has in one view.

    Attributes:
        files: What each looked like, by its path inside the artifact (``""`` where that is one file).
        whole: Whether these are all of them.
    """

    def __init__(self, files: Mapping[str, Facts] | None = None, *, whole: bool = False) -> None:
        self.files = dict(files or {})
        self.whole = whole

    @classmethod
    def load(cls, path: Path) -> Receipt:
        """What the file says; an empty one where there is none, or one that somebody else could have written."""
        try:
            if doubt_of(os.lstat(path)):
                return cls()
            values = load_values(path)
            files = {str(name): Facts(*map(int, facts)) for name, facts in values["files"].items()}
            return cls(files, whole=values["whole"] is True)
        except (OSError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            return cls()

    def save(self, path: Path) -> None:
        """Keep it for the next process. One that can't be written is no matter: the bytes are hashed again."""
        save_text(path, json.dumps({"whole": self.whole, "files": self.files}))

    def holds(self, place: Path, only: str | None = None) -> bool:
        """Whether the artifact at ``place`` (or its file ``only``) is there and still looks as it did."""
        if only is not None:
            return only in self.files and look(place / only) == self.files[only]
        if not (self.whole and self.files):
            return False
        return all(look(place / name if name else place) == facts for name, facts in self.files.items())


def date_back(path: Path) -> None:
    """Date a file that was just written to a moment ago, so that every later change shows in its times."""
    before = time.time_ns() - _COARSE_TICK
    os.utime(path, ns=(before, before))
