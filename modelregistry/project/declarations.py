"""Which artifacts the project declares: the ``artifacts:`` sections of its ``dvc.yaml`` files, at a commit."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from modelregistry.errors import InvalidFileError, InvalidInputError, NotDeclaredError, RegistryError
from modelregistry.git.halving import each_answered
from modelregistry.git.objects import GitObject
from modelregistry.git.repo import GitRepo
from modelregistry.project.declarationtexts import (
    Declaration,
    artifact_entry,
    declare_artifact,
    read_artifacts,
)
from modelregistry.project.dvcfiles import resolve

_MOST_KNOWN = 10_000


class Declared(NamedTuple):
    """What a commit says of a model."""

    entry: Declaration | None
    """None where there is none."""
    problem: str | None = None
    """Why there may be more."""


class Declarations:
    """Reads, and on request completes, what a repository's ``dvc.yaml`` files declare."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self._known: dict[tuple[str, str], Declaration | None] = {}
        self._read = lru_cache(maxsize=256)(read_artifacts)  # most commits have the same text
        self._texts: dict[tuple[str, str], bytes] = {}

    def at(self, rev: str, model: str) -> Declaration | None:
        """The model's entry at the commit, its path from the Git root; None where there is none.

        Raises:
            InvalidFileError: ``dvc.yaml`` can't be read, or the entry's path can't be used.
        """
        key = (rev, model)
        known = self._known  # another thread may put another one in its place
        if key in known:
            return known[key]
        found = self._at(rev, model)
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        self._known[key] = found
        return found

    def _at(self, rev: str, model: str) -> Declaration | None:
        file = declaring_file(model)
        known = self._texts.get((rev, file))
        text = known if known is not None else self._repo.read_file(rev, file)
        found = self._read(text, file).get(short_name(model)) if text is not None else None
        return rooted(found, file) if found is not None else None

    def bring(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Have what each commit declares of each model, for (commit, model) pairs, in one read; in place of earlier ones."""
        places = list(
            dict.fromkeys(
                (rev, declaring_file(model)) for rev, model in wanted if (rev, model) not in self._known
            )
        )
        found = self._repo.read([f"{rev}:{file}" for rev, file in places])
        same: dict[str, bytes] = {}
        self._texts = {
            place: same.setdefault(blob.oid, blob.data)
            for place, blob in zip(places, found, strict=True)
            if blob is not None and blob.kind == "blob" and blob.data is not None
        }

    def all_at_head(self) -> tuple[dict[str, Declaration], dict[str, str]]:
        """Every artifact that some ``dvc.yaml`` declares at HEAD, by model name; and which of those can't be read, and why."""
        try:
            head = self._repo.resolve("HEAD")
        except RegistryError:
            return {}, {}
        files = [
            entry.path
            for entry in self._repo.list_files(head, "")
            if posixpath.basename(entry.path) == "dvc.yaml"
        ]
        found: dict[str, Declaration] = {}
        problems: dict[str, str] = {}
        for path, text in zip(files, self._repo.read([f"{head}:{path}" for path in files]), strict=True):
            folder = posixpath.dirname(path)
            declared = _parsed(text, path) if text is not None else {}
            if isinstance(declared, str):
                problems[path] = declared
                continue
            for name, declaration in declared.items():
                found[f"{folder}:{name}" if folder else name] = declaration
        return found, problems

    def many_at(self, wanted: Sequence[tuple[str, str]]) -> list[Declared]:
        """What each commit declares of each model, for (commit, model) pairs, in one read; its path as it is written."""
        places = [(rev, declaring_file(model)) for rev, model in wanted]
        found = dict(each_answered(self._texts_at, [list(dict.fromkeys(places))], str))
        # Most models are declared by one file that seldom changes: each text is parsed once.
        texts = {(text.oid, file): text for (_, file), text in found.items() if isinstance(text, GitObject)}
        parsed = {key: _parsed(text, key[1]) for key, text in texts.items()}
        return [
            _declared(parsed[text.oid, place[1]], short_name(model))
            if isinstance(text := found[place], GitObject)
            else Declared(None, text)
            for place, (_, model) in zip(places, wanted, strict=True)
        ]

    def _texts_at(self, places: Sequence[tuple[str, str]]) -> list[GitObject | str | None]:
        """The file at each commit; None where there is none, or why it can't be had."""
        with self._repo.reading() as read:
            found = read([f"{rev}:{file}" for rev, file in places])
            revs = list(
                dict.fromkeys(rev for (rev, _), blob in zip(places, found, strict=True) if blob is None)
            )
            lost = {rev for rev, commit in zip(revs, read(revs, limit=0), strict=True) if commit is None}
        return [not_here(rev) if rev in lost else blob for (rev, _), blob in zip(places, found, strict=True)]

    def require(self, rev: str, model: str, path: str | None) -> Declaration:
        """The model's entry at the commit, if it has one and its path is ``path`` (or that is None).

        Raises:
            NotDeclaredError: There is none, or it has another path; the error has the entry to paste.
            InvalidInputError: ``path`` is not one in the repository.
            InvalidFileError: ``dvc.yaml`` can't be read.
        """
        found = self.at(rev, model)
        if found is not None and path in (None, found.path):
            return found
        file = declaring_file(model)
        entry = artifact_entry(
            short_name(model), relative_path(file, path or posixpath.join(posixpath.dirname(file), "…"))
        )
        what = f"declares it at {found.path!r}, not at {path!r}" if found else "does not declare it"
        raise NotDeclaredError(
            f"{model!r} can't be registered: {file} at {rev[:10]} {what}. Paste this and commit it, or pass path= and "
            f"declare=True:\n\n{entry}",
            entry=entry,
        )

    def check(self, head: str, rev: str, model: str, path: str) -> None:
        """Refuse what ``write`` could not declare.

        Raises:
            InvalidInputError: ``path`` is not one in the repository, or ``rev`` is not what is checked out.
        """
        relative_path(declaring_file(model), path)
        if head != rev:
            raise InvalidInputError(
                f"declare=True makes a commit on HEAD, and rev= is another commit, {rev[:10]}"
            )

    def write(self, head: str, model: str, path: str) -> str:
        """Add or correct the model's entry and commit just that on the branch; returns the commit.

        Raises:
            InvalidInputError: ``path`` is not one in the repository.
            InvalidFileError: ``dvc.yaml`` can't be read or edited.
            WorkingCopyError: Bare, on no branch, or ``dvc.yaml`` has changes that are not committed.
        """
        from modelregistry.git.workingcopy import WorkingCopy

        file = declaring_file(model)
        text = declare_artifact(
            self._repo.read_file(head, file),
            short_name(model),
            path=relative_path(file, path),
            type="model",
            file=file,
        )
        return WorkingCopy(self._repo).commit({file: text}, f"Declare {model} in {file}", base=head)


def declaring_file(model: str) -> str:
    """The ``dvc.yaml`` that declares the model: ``folder:churn`` is declared in ``folder``."""
    return posixpath.join(model.rpartition(":")[0], "dvc.yaml")


def short_name(model: str) -> str:
    """The model's name in that file."""
    return model.rpartition(":")[2]


def relative_path(file: str, path: str) -> str:
    """``path`` from the Git root, as ``file`` spells it.

    Raises:
        InvalidInputError: It is not one in the repository.
    """
    is_text = isinstance(path, str) and path
    relative = posixpath.relpath(path, posixpath.dirname(file) or ".") if is_text else ""
    if resolve(file, relative) != path:
        raise InvalidInputError(f"not a path in the repository: {path!r}; write it relative to the Git root")
    return relative


def rooted(declaration: Declaration, file: str) -> Declaration:
    """The declaration with its path from the Git root instead of from its ``dvc.yaml``.

    Raises:
        InvalidFileError: The path can't be used.
    """
    problem = declaration.problem or ("it is templated (${…})" if declaration.templated else None)
    path = None if problem else resolve(file, declaration.path)
    if path is None:
        raise InvalidFileError(
            f"{file}: the path of artifact {declaration.name!r} can't be used: {declaration.path!r}: "
            f"{problem or 'it leaves the repository'}",
            path=file,
        )
    return replace(declaration, path=path)


def not_here(rev: str) -> str:
    """Why nothing can be told of a commit."""
    return f"its commit {rev[:10]} is not here: 'git fetch' may bring it"


def _parsed(text: GitObject, path: str) -> dict[str, Declaration] | str:
    """The declarations of one file, or why it can't be read."""
    if text.data is None:
        return f"{path!r} is not read: it has {text.size:,} bytes"
    try:
        return read_artifacts(text.data, path)
    except RegistryError as error:
        return str(error)


def _declared(found: Mapping[str, Declaration] | str, name: str) -> Declared:
    if isinstance(found, str):
        return Declared(None, found)
    entry = found.get(name)
    return Declared(entry, entry.problem if entry is not None else None)
