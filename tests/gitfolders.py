"""Git repositories for tests, made with the fewest calls."""

from __future__ import annotations

import subprocess
from pathlib import Path


def run_git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What git prints in ``folder``; raises where git fails."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=True
    ).stdout


def make_repository(folder: Path) -> str:
    """A repository with one empty commit, whose id comes back."""
    folder.mkdir(exist_ok=True)
    run_git(folder, "init", "--quiet", "--template=")
    tree = run_git(folder, "mktree").decode().strip()
    commit = run_git(folder, "commit-tree", tree, "-m", "First").decode().strip()
    run_git(folder, "update-ref", "HEAD", commit)
    return commit
