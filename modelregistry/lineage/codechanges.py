"""What Git says changed in the code between two commits: lines by file, and the commits between."""

from __future__ import annotations

from collections.abc import Sequence

from modelregistry.errors import GitError
from modelregistry.git.repo import GitRepo
from modelregistry.lineage.lineage import CodeChanges, FileChange

MOST_COMMITS = 1_000
_MOST_PATHS = 500  # that fit on a command line; more are chosen from all that changed
_NO_PROGRAMS = ("--no-renames", "--no-ext-diff", "--no-textconv")


def compare(repo: GitRepo, old: str, new: str, paths: Sequence[str]) -> CodeChanges:
    """What changed at ``paths`` (files and folders) from one commit to the other; nothing where one is not in this repository.

    Raises:
        GitError: Git can't tell.
    """
    if old == new or None in repo.read([old, new], limit=0):
        return CodeChanges()
    return CodeChanges(_files(repo, old, new, paths) if paths else (), _commits(repo, old, new))


def _files(repo: GitRepo, old: str, new: str, paths: Sequence[str]) -> tuple[FileChange, ...]:
    asked = paths if len(paths) <= _MOST_PATHS else ["."]
    try:
        output = _diff(repo, "--numstat", old, new, asked)
    except GitError as error:
        if "from promisor remote" not in error.stderr:
            raise
        fields = _diff(repo, "--raw", old, new, asked).split("\0")
        oids = {oid for head in fields[::2] for oid in head.split()[2:4] if oid.strip("0")}
        repo.read(sorted(oids), limit=0)  # which brings them
        output = _diff(repo, "--numstat", old, new, asked)
    changes = []
    for record in output.split("\0")[:-1]:
        added, removed, path = record.split("\t", 2)
        if asked is paths or any(path == each or path.startswith(f"{each}/") for each in paths):
            changes.append(FileChange(path, _number(added), _number(removed)))
    return tuple(changes)


def _diff(repo: GitRepo, form: str, old: str, new: str, paths: Sequence[str]) -> str:
    output = repo.run(
        "--literal-pathspecs",
        "diff-tree",
        "-r",
        "-z",
        form,
        *_NO_PROGRAMS,
        "--end-of-options",
        old,
        new,
        "--",
        *paths,
    )
    return output.decode("utf-8", "surrogateescape")


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _commits(repo: GitRepo, old: str, new: str) -> tuple[str, ...]:
    output = repo.run(
        "rev-list", f"--max-count={MOST_COMMITS}", "--no-commit-header", "--format=%H %s", "--end-of-options",
        f"{old}..{new}", "--",
    )  # fmt: skip
    return tuple(output.decode("utf-8", "replace").splitlines())
