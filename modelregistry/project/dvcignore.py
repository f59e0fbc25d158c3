"""What ``.dvcignore`` files leave out of the folders that DVC hashes: near enough to find what it hashed, which a digest proves."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # few projects ignore anything
    from pathspec import GitIgnoreSpec

_MOST_LINES = 1_000


def ignore_lines(text: str) -> tuple[str, ...]:
    """The patterns in a file; ``*`` where there are too many."""
    lines = [line.strip() for line in text.splitlines()]
    patterns = [line for line in lines if line and not line.startswith("#")]
    return tuple(patterns) if len(patterns) <= _MOST_LINES else ("*",)


def is_ignored(path: str, files: Mapping[str, Sequence[str]]) -> bool:
    """Whether one of the files, by the folder it is in, leaves a path out."""
    for folder, lines in files.items():
        if not folder or path.startswith(f"{folder}/"):
            inner = path[len(folder) + 1 :] if folder else path
            if _spec(tuple(lines)).match_file(posixpath.normpath(inner)):
                return True
    return False


@lru_cache(maxsize=64)
def _spec(lines: tuple[str, ...]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:  # a pattern that is none
        return GitIgnoreSpec.from_lines(["*"])
