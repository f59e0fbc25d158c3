"""The files of a commit in a folder of their own, where commands may do with them what they like."""

from __future__ import annotations

import os
from pathlib import Path

from modelregistry.git.call import LOCAL_SECONDS, GitCall
from modelregistry.git.repo import GitRepo


def check_out(repo: GitRepo, rev: str, folder: Path, tree: Path) -> None:
    """Put the files of the commit into ``tree``, in a repository of their own: DVC wants one around it.

    Args:
        repo: The repository, which is left alone.
        rev: The commit.
        folder: A folder that is there.
        tree: The folder to make.
    """
    files = repo.list_files(rev, "")
    repo.read([file.oid for file in files], limit=0)  # a mirror brings what it left out, all at once
    call = GitCall(None, folder)
    source, target = os.fspath(repo.common_dir), os.fspath(tree)
    call.run(
        ["clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", source, target],
        environment={"GIT_ALLOW_PROTOCOL": "file"},
    )
    own = GitCall(tree / ".git", tree)
    own.run(["checkout", "--quiet", "--detach", rev], timeout=10 * LOCAL_SECONDS)
