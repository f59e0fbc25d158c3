"""Brings artifacts that DVC keeps into the repository: their ``.dvc`` files and what declares them, in one commit."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelregistry.errors import InvalidInputError, RefusedError, WorkingCopyError
from modelregistry.git.repo import GitRepo
from modelregistry.git.workingcopy import Author, WorkingCopy
from modelregistry.project.declarations import declaring_file, relative_path, short_name
from modelregistry.project.declarationtexts import Declaration, declare_artifact, read_artifacts
from modelregistry.project.dvcfiles import is_of_dvc

_TRIES = 10
_WILD = re.compile(r"[\\\[\]!*#?]| $")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An artifact whose bytes are in DVC's cache, or where its ``.dvc`` file says, and that the repository is to have."""

    model: str
    """Its name: ``churn``, or ``folder:churn``."""
    path: str
    """Where it is, from the Git root."""
    dvc_file: bytes
    """The text of the file that is called ``path`` and ``.dvc``."""
    type: str | None = "model"
    description: str | None = None
    labels: Sequence[str] = ()
    meta: Mapping[str, object] = field(default_factory=dict)
    beside: Mapping[str, Path] = field(default_factory=dict, hash=False)
    """Small files that Git itself is to have with it: where each goes, from the Git root, and where it lies."""


def check_arrivals(repo: GitRepo, named: Iterable[tuple[str, str]]) -> str:
    """The commit that is checked out, if artifacts could be brought in there now; for what takes long before it.

    Args:
        repo: The repository.
        named: The model and the path of each.

    Raises:
        WorkingCopyError: Bare, on no branch, something is under way, a file that would change has changes that are not
            committed, or Git itself keeps a path.
        InvalidInputError: A path is none in the repository, or DVC has it for its own.
        RevisionNotFoundError: There is no commit yet.
    """
    pairs = [*named]
    for model, path in pairs:
        relative_path(declaring_file(model), path)
        if is_of_dvc(path):
            raise InvalidInputError(f"path={path!r} is one that DVC or Git has for its own: choose another")
    copy = WorkingCopy(repo)
    head = copy.check(
        dict.fromkeys(
            file for model, path in pairs for file in (declaring_file(model), f"{path}.dvc", _ignoring(path))
        )
    )
    kept = copy.tracked([path for _, path in pairs])
    if kept:
        raise WorkingCopyError(
            f"{kept[0]!r} is kept in Git itself, where DVC can't have it too: 'git rm --cached {kept[0]}' and commit "
            "that, or choose another path"
        )
    return head


def commit_arrivals(
    repo: GitRepo,
    arrivals: Sequence[Arrival],
    message: str,
    *,
    base: str | None = None,
    author: Author | None = None,
) -> str:
    """Commit what artifacts need, all of them or none, and nothing else; returns the commit.

    That is the ``.dvc`` file of each, its line in the ``.gitignore`` beside that, its entry in ``dvc.yaml``, and small files
    that come with it. What an
    entry of that name says already stays, but for what the arrival says. HEAD itself comes back where it has all that.

    Args:
        repo: The repository.
        arrivals: The artifacts.
        message: Of the commit.
        base: The commit that they must be made from; left out: what is checked out, whoever commits meanwhile.
        author: Who made them, if somebody else did, some other time.

    Raises:
        WorkingCopyError: As of ``check_arrivals``; or another commit is checked out than ``base``.
        InvalidInputError: A path is none in the repository.
        InvalidFileError: ``dvc.yaml`` can't be read or edited.
        GitError: Another git is at work there.
    """
    for _ in range(_TRIES):
        head = check_arrivals(repo, [(arrival.model, arrival.path) for arrival in arrivals])
        try:
            files = _files(repo, base or head, arrivals)
            return WorkingCopy(repo).commit(files, message, base=base or head, author=author)
        except WorkingCopyError:
            if base is not None or repo.resolve("HEAD") == head:
                raise  # else somebody was faster, whose commit the files are to be made from
    raise WorkingCopyError("nothing was committed: others commit here again and again; try again")


def check_beside(repo: GitRepo, base: str, arrival: Arrival) -> None:
    """Refuse small files that would take the place of others.

    Args:
        repo: The repository.
        base: The commit that is checked out.
        arrival: What they come with.

    Raises:
        RefusedError: One is there, and is not that of an earlier version of the model.
        WorkingCopyError: One has changes that are not committed.
    """
    if not arrival.beside:
        return
    WorkingCopy(repo).check([*arrival.beside])
    file = declaring_file(arrival.model)
    if short_name(arrival.model) in read_artifacts(repo.read_file(base, file) or b"", file):
        return
    for path, place in arrival.beside.items():
        if repo.read_file(base, path) not in (None, place.read_bytes()):
            raise RefusedError(f"{path!r} is there already, for something else: choose another name or path")


def declared_after(repo: GitRepo, base: str, arrival: Arrival) -> Declaration:
    """What ``dvc.yaml`` will say of an artifact that arrives, its path from the Git root.

    Args:
        repo: The repository.
        base: The commit that it would be made from.
        arrival: The artifact.

    Raises:
        InvalidFileError: ``dvc.yaml`` can't be read or edited.
    """
    file = declaring_file(arrival.model)
    declared = read_artifacts(_declaring(repo.read_file(base, file), arrival), file)
    return replace(declared[short_name(arrival.model)], path=arrival.path)


def _declaring(before: bytes | None, arrival: Arrival) -> bytes:
    """The text of the ``dvc.yaml`` that declares it."""
    file = declaring_file(arrival.model)
    return declare_artifact(
        before, short_name(arrival.model), path=relative_path(file, arrival.path), type=arrival.type,
        description=arrival.description, labels=arrival.labels, meta=arrival.meta, file=file,
    )  # fmt: skip


def _files(repo: GitRepo, base: str, arrivals: Sequence[Arrival]) -> dict[str, bytes]:
    """What the files are to hold, made from what they hold in a commit."""
    files: dict[str, bytes] = {}

    def text(file: str) -> bytes | None:
        return files[file] if file in files else repo.read_file(base, file)

    for arrival in arrivals:
        declaring, ignoring = declaring_file(arrival.model), _ignoring(arrival.path)
        files[f"{arrival.path}.dvc"] = arrival.dvc_file
        files[ignoring] = _ignore(text(ignoring), posixpath.basename(arrival.path))
        files |= {path: place.read_bytes() for path, place in arrival.beside.items()}
        files[declaring] = _declaring(text(declaring), arrival)
    return files


def _ignoring(path: str) -> str:
    """The ``.gitignore`` that DVC would write for it."""
    return posixpath.join(posixpath.dirname(path), ".gitignore")


def _ignore(text: bytes | None, name: str) -> bytes:
    """The text of a ``.gitignore`` by which Git does not see that name beside it."""
    before = text or b""
    line = b"/" + _WILD.sub(lambda found: f"\\{found[0]}", name).encode()
    if line in before.splitlines():
        return before
    return before + (b"" if not before or before.endswith(b"\n") else b"\n") + line + b"\n"
