"""What is meant by an import: which bytes of which commit of another repository, and where they go here."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import JsonValue

from modelregistry.cards.sources import MOST_BYTES, text_of
from modelregistry.cards.text import CardText
from modelregistry.content.content import ContentReader
from modelregistry.display.shown import Shown
from modelregistry.errors import (
    InvalidFileError,
    InvalidInputError,
    InvalidNameError,
    PathNotFoundError,
    RegistryError,
    RepositoryNotFoundError,
)
from modelregistry.git.repo import GitRepo, check_url, is_url
from modelregistry.givenpath import given_place
from modelregistry.intake.broughtalong import BroughtAlong, brought_along
from modelregistry.intake.receiving import ORIGIN
from modelregistry.log.tags import tag_prefix
from modelregistry.metadata.usage import MOST_EXAMPLE_BYTES, usage_in
from modelregistry.names import Bump, Reference, check_model
from modelregistry.project.declarations import Declarations, declaring_file
from modelregistry.project.declarationtexts import Declaration, read_artifacts
from modelregistry.project.dvcfiles import is_of_dvc, resolve
from modelregistry.project.dvcfiletexts import (
    Imported,
    suggested_name,
    suggested_path,
)
from modelregistry.urlsecrets import has_secrets
from modelregistry.version import ModelVersion

_OF_EXAMPLES = frozenset(
    {
        *(".json", ".jsonl", ".csv", ".tsv", ".txt", ".parquet", ".arrow", ".feather", ".npy"),
        *(".png", ".jpg", ".jpeg", ".webp", ".wav", ".flac"),
    }
)
"""What an example that is brought may be called: data, and nothing that DVC, Git or another tool takes for its own."""


@dataclass(frozen=True, slots=True, repr=False)
class Import(Shown):
    """One model to bring in from the repository that makes it.

    Attributes:
        url: That repository: a Git URL, or a path on this machine.
        name_or_path: A reference (``churn#current``), an artifact that its ``dvc.yaml`` declares, or a path in it.
        rev: The commit, branch or tag; left out: what the repository has at its head.
        reference: In place of ``rev``: what its own registry calls the version, in full or what follows the name.
        as_name: What the model is called here; left out: as there, without a folder.
        path: Where it goes, from the Git root; left out: ``models/<name>`` with the ending that it has there.
        metadata: Of the version, beside where it is from, and before what the source says of it.
        version: An explicit version here.
        bump: As ``Registry.register`` takes it.
    """

    url: str | os.PathLike[str]
    name_or_path: str | None = None
    rev: str | None = None
    reference: str | None = None
    as_name: str | None = None
    path: str | os.PathLike[str] | None = None
    metadata: Mapping[str, JsonValue] | None = field(default=None, hash=False)
    version: str | None = None
    bump: Bump | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ImportUpdate(Shown):
    """What became of a look at where a model comes from.

    Attributes:
        updated: Whether there was something new.
        version: The version that has what the source has now.
        old: The commit, or what else tells the content, that was here.
        new: That of the source now.
    """

    updated: bool
    version: ModelVersion
    old: str
    new: str

    def __bool__(self) -> bool:
        return self.updated


@dataclass(frozen=True, slots=True)
class SourceProject:
    """A repository that models are imported from."""

    url: str
    repo: GitRepo
    declarations: Declarations
    content: ContentReader
    get: Callable[[str], ModelVersion]
    """The version that a reference names."""
    said_of_model: Callable[[str], Mapping[str, JsonValue]]
    """What is said of a model as a whole."""


@dataclass(frozen=True, slots=True)
class Located:
    """What is to be imported, and where it goes."""

    source: SourceProject
    origin: Imported
    model: str
    path: str
    version: ModelVersion | None = None
    """Where it was asked for by a reference."""
    declaration: Declaration | None = None
    """What the source says of it."""
    declared_in: str = ""
    """The ``dvc.yaml`` that says it."""

    @property
    def size(self) -> int | None:
        """Bytes, where they are known before they come."""
        return self.source.content.size_of(self.origin.rev_lock, self.origin.path)

    @property
    def facts(self) -> Mapping[str, JsonValue]:
        """Where it is from, for the registration."""
        origin = self.origin
        found: dict[str, JsonValue] = {
            "url": origin.url, "rev": origin.rev, "rev_lock": origin.rev_lock, "path": origin.path,
            "model": self.version.name if self.version is not None else origin.model, "reference": origin.reference,
        }  # fmt: skip
        if self.version is not None:
            event = self.version.registered
            before = self.version.metadata.get(ORIGIN)
            found |= {
                "version": self.version.version, "digest": self.version.digest, "registry": event.registry,
                "event": event.id, "head": self.version.head, "created_at": event.at.isoformat(),
                "origin": before if isinstance(before, dict) else None,
            }  # fmt: skip
        return {key: value for key, value in found.items() if value is not None}

    def brought_along(self) -> BroughtAlong:
        """What the source says of it that is as true here."""
        source, version, declared = self.source, self.version, self.declaration
        rev = version.rev if version is not None else self.origin.rev_lock
        model = source.said_of_model(version.name) if version is not None else {}
        bad: tuple[str, ...] = ()
        try:
            card = text_of(
                version, model, declared=declared, rev=rev, file=self.declared_in,
                read=lambda path: source.repo.read_file(rev, path, limit=MOST_BYTES),
            )  # fmt: skip
        except InvalidFileError:  # one that nobody can read there either
            card, bad = CardText(), ("card",)
        measured = source.content.measured([version], "metrics")[0].values if version is not None else {}
        found = brought_along(version, model=model, card=card, measured=measured)
        metadata = dict(found.metadata)
        if (example := self.example()) is not None:
            said = metadata.get("usage")
            metadata["usage"] = {**(said if isinstance(said, dict) else {}), "example": example[0]}
        return BroughtAlong(metadata, (*bad, *(name for name in found.left if name not in bad)))

    def example(self) -> tuple[str, Path] | None:
        """The example of its input: where it goes here, and where its verified bytes lie; None where there is none."""
        version = self.version
        if version is None:
            return None
        usage = usage_in(version.metadata) or usage_in(self.source.said_of_model(version.name))
        suffix = posixpath.splitext(usage.example or "")[1].lower() if usage is not None else ""
        if usage is None or usage.example is None or suffix not in _OF_EXAMPLES:
            return None
        try:
            place = self.source.content.beside(version.rev, usage.example)
        except RegistryError:  # the model is of use without it
            return None
        if place.is_dir() or place.stat().st_size > MOST_EXAMPLE_BYTES:
            return None
        folder, short = posixpath.dirname(self.path), self.model.rpartition(":")[2].replace("/", "-")
        return posixpath.join(folder, f"{short}.example{suffix}"), place


def source_place(url: str | os.PathLike[str]) -> str:
    """The URL, or the absolute path, of a repository to import from.

    Raises:
        InvalidInputError: A URL of a kind that this library does not open, or with a login in it.
        RepositoryNotFoundError: No Git repository has its top there.
    """
    text = os.fspath(url) if isinstance(url, os.PathLike) else url
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInputError(f"{text!r} is neither a Git URL nor a path")
    if not is_url(text):
        place = os.path.abspath(text)
        try:
            repo = GitRepo.discover(place)
        except RepositoryNotFoundError as error:  # which would have one made there
            raise RepositoryNotFoundError(f"no Git repository is at {place!r}") from error
        if Path(place).resolve() not in {each.resolve() for each in (repo.root, repo.git_dir) if each}:
            raise RepositoryNotFoundError(
                f"{place!r} is not the top of a Git repository: that is {os.fspath(repo.root or repo.git_dir)!r}"
            )
        return place
    check_url(text)
    parts = urlsplit(text) if "://" in text else None
    if parts is not None and parts.scheme in ("http", "https") and ("@" in parts.netloc or has_secrets(text)):
        raise InvalidInputError(
            f"the URL of host {parts.netloc.rpartition('@')[2]!r} carries a login, which would be kept in the '.dvc' file: "
            "leave it out and let Git ask its credential helper or GIT_ASKPASS"
        )
    return text


def locate(source: SourceProject, wanted: Import) -> Located:
    """What a wish means in the repository that it names.

    Raises:
        InvalidInputError: The wish contradicts itself, or a name can't be made of it.
        NotFoundError: No such version, revision or path.
        WithdrawnError: The version was withdrawn.
    """
    reference = _reference(wanted)
    if reference is not None:
        return _locate_version(source, wanted, reference)
    if wanted.name_or_path is None:
        raise InvalidInputError("import what? A reference, the name of an artifact or a path says it")
    rev = source.repo.resolve(wanted.rev or "HEAD")
    declared = _declared(source, rev, wanted.name_or_path)
    if declared is not None:
        path, model, file = declared.path, wanted.name_or_path, declaring_file(wanted.name_or_path)
        name = wanted.as_name or model.rpartition(":")[2]
    else:
        model, path = None, _path(wanted.name_or_path)
        declared, file = _declared_at(source.repo, rev, path)
        if source.content.address_at(rev, path) is None:
            raise PathNotFoundError(
                f"{wanted.name_or_path!r} is not in {source.url!r} at {rev[:10]}: no dvc.yaml declares an artifact of that "
                "name, and there is no such file, folder or output of DVC"
            )
        name = wanted.as_name or (
            declared.name if declared is not None else suggested_name(posixpath.basename(path))
        )
    origin = Imported(source.url, path, rev, wanted.rev, model=model)
    return _named(Located(source, origin, name, "", None, declared, file), wanted)


def _reference(wanted: Import) -> Reference | None:
    """The reference that is asked for, if one is."""
    name = wanted.name_or_path
    text = wanted.reference
    if text is not None:
        if wanted.rev is not None:
            raise InvalidInputError(
                f"rev={wanted.rev!r} and reference={text!r} both say which version: pass one of them"
            )
        found = Reference.parse(f"{name}{text}" if name is not None and text[:1] in ("#", "@") else text)
        if name is not None and found.model != name:
            raise InvalidInputError(f"{name!r} and reference={text!r} are not the same model")
        return found
    if name is None or wanted.rev is not None or not ("#" in name or "@" in name):
        return None
    try:
        return Reference.parse(name)
    except InvalidInputError:  # a path, then
        return None


def _locate_version(source: SourceProject, wanted: Import, reference: Reference) -> Located:
    version = source.get(str(reference))
    # The commit that it was made from has the same files, and is on a branch; one of its own has a tag at best.
    rev = version.source_rev
    tag = f"{tag_prefix(version.name)}@{version.version}"
    is_tagged = [ref.oid for ref in source.repo.refs(f"refs/tags/{tag}")] and source.repo.resolve(tag) == rev
    origin = Imported(
        source.url, version.path, rev, tag if is_tagged else rev, model=None, reference=str(reference)
    )
    name = wanted.as_name or version.name.rpartition(":")[2]
    declared = source.declarations.at(version.rev, version.name)
    return _named(Located(source, origin, name, "", version, declared, declaring_file(version.name)), wanted)


def _named(found: Located, wanted: Import) -> Located:
    """With its name and its place here."""
    source = found.origin.path
    if is_of_dvc(source):
        bytes_of = source.removesuffix(".dvc")
        is_note = bytes_of not in ("", source) and not bytes_of.endswith("/")
        kept = f"; it says which bytes {bytes_of!r} has: import that" if is_note else ""
        raise InvalidInputError(f"{source!r} is a file of DVC's own, or of Git's, and no model{kept}")
    try:
        model = check_model(found.model)
    except InvalidNameError as error:
        if wanted.as_name is not None:
            raise
        raise InvalidInputError(f"{error}: as_name= says what it is called here") from error
    path = (
        given_place(wanted.path, "path")
        if wanted.path is not None
        else suggested_path(model, posixpath.basename(found.origin.path))
    )
    if _path(path) != path:
        raise InvalidInputError(
            f"path={path!r} is not one in the repository; write it relative to the Git root"
        )
    return replace(found, model=model, path=path)


def _declared(source: SourceProject, rev: str, name: str) -> Declaration | None:
    try:
        return source.declarations.at(rev, check_model(name))
    except InvalidNameError:
        return None


def _declared_at(repo: GitRepo, rev: str, path: str) -> tuple[Declaration | None, str]:
    """What a ``dvc.yaml`` beside a path, or above it, says of it, and which; nothing where that can't be read."""
    folders = [posixpath.dirname(path)]
    while folders[-1]:
        folders.append(posixpath.dirname(folders[-1]))
    files = [posixpath.join(folder, "dvc.yaml") for folder in folders]
    for file, blob in zip(files, repo.read([f"{rev}:{file}" for file in files]), strict=True):
        if blob is None or blob.kind != "blob" or blob.data is None:
            continue
        try:
            declared = read_artifacts(blob.data, file)
        except RegistryError:
            continue
        for each in declared.values():
            if each.problem is None and not each.templated and resolve(file, each.path) == path:
                return each, file
    return None, ""


def _path(text: str) -> str:
    """A path in a repository, in one spelling.

    Raises:
        InvalidInputError: It is none.
    """
    path = posixpath.normpath(text.lstrip("/")) if text.strip("/") else "."
    if path in (".", "..") or path.startswith("../") or "\0" in path or "\\" in path:
        raise InvalidInputError(f"{text!r} is not a path in a repository")
    return path
