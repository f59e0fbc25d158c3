"""Takes bytes that came from elsewhere into the repository: into DVC's cache, in one commit, into the working copy."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from modelregistry.callers import warn
from modelregistry.content.content import ContentReader
from modelregistry.content.identity import whole_digest
from modelregistry.content.store import hash_file
from modelregistry.errors import (
    InvalidInputError,
    RefusedError,
    RegistryWarning,
    WorkingCopyError,
)
from modelregistry.git.repo import GitRepo
from modelregistry.git.workingcopy import WorkingCopy
from modelregistry.intake.arrivals import Arrival, check_arrivals, commit_arrivals
from modelregistry.log.events import Bytes, FileDigest
from modelregistry.metadata.jsonvalues import check_json
from modelregistry.names import Bump, check_version
from modelregistry.plugins import ADDERS, DVC_INTAKE, load_class
from modelregistry.project.declarations import Declarations
from modelregistry.project.dvcfiles import ListedFile
from modelregistry.project.dvcfiletexts import Tracked, listing_text
from modelregistry.project.dvcignore import ignore_lines, is_ignored

ORIGIN = "origin"
"""The metadata that says where a version came from."""
BROUGHT = "brought"
"""In that: the other entries of the metadata that came along from there."""


class Intake(Protocol):
    """What a DVC project takes in; see ``artifacts/dvcintake.py``."""

    def has_remote(self) -> bool:
        """Whether the project has a default remote to push to."""

    def copies(self) -> bool:
        """Whether what lies in the working copy is a copy of what is in the cache, and no link to it."""

    def keeps(self, md5: str) -> bool:
        """Whether the cache has an object."""

    def keep(self, objects: Mapping[str, Path | bytes], *, given: bool) -> None:
        """Have objects in the cache."""

    def import_url(self, url: str, into: Path, name: str, *, version_aware: bool) -> bytes:
        """Have DVC import a URL into a project of its own."""


class Adder(Protocol):
    """What has the files of DVC projects lie in a working copy; see ``artifacts/dvcadd.py``."""

    def place(self, path: str) -> None:
        """Have what the ``*.dvc`` file says lie at ``path``."""

    def scratch(self, path: str) -> AbstractContextManager[Path]:
        """A folder for what is on its way, which Git does not see."""


@dataclass(frozen=True, slots=True)
class Received:
    """Verified bytes that came from elsewhere, and how the repository is to have them."""

    arrival: Arrival
    place: Path
    """The file or folder."""
    files: tuple[FileDigest, ...]
    """With the md5 of each."""
    is_directory: bool
    given: bool
    """Whether nobody else writes to those files, so that they need not be copied."""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    version: str | None = None
    """The version that is asked for."""
    bump: Bump | None = None

    def with_text(self, text: bytes) -> Received:
        """The same with that text of its ``*.dvc`` file."""
        return replace(self, arrival=replace(self.arrival, dvc_file=text))

    @property
    def lies(self) -> set[tuple[str, str | None]]:
        """Path and md5 of each file, as they are found where it lies."""
        if self.is_directory:
            return {(file.path, file.md5) for file in self.files}
        return {(posixpath.basename(self.arrival.path), self.files[0].md5)}

    @property
    def tracked(self) -> Tracked:
        """As DVC tracks them."""
        return Tracked.of(self._listed, is_directory=self.is_directory)

    @property
    def content(self) -> Bytes:
        """As a registration records them."""
        digest = whole_digest(self.files, is_directory=self.is_directory)
        tracked = self.tracked
        return Bytes(digest, f"md5:{tracked.md5}", tracked.size, self.files)

    @property
    def objects(self) -> Mapping[str, Path | bytes]:
        """As DVC's cache keeps them."""
        if not self.is_directory:
            return {str(self.files[0].md5): self.place}
        found: dict[str, Path | bytes] = {str(file.md5): self.place / file.path for file in self.files}
        return found | {self.tracked.md5: listing_text(self._listed)}

    @property
    def _listed(self) -> Sequence[ListedFile]:
        return [ListedFile(file.path, str(file.md5), file.size) for file in self.files]


def described_files(place: Path, known: Sequence[FileDigest] = ()) -> tuple[FileDigest, ...]:
    """The files of a file or folder, hashed for a registration and for DVC.

    Args:
        place: The file or folder.
        known: What is known of its files already: what has an md5 is not hashed again.
    """
    if known:
        return tuple(
            file
            if file.md5 is not None
            else _described(place / file.path if place.is_dir() else place, file.path)
            for file in known
        )
    if not place.is_dir():
        return (_described(place, place.name),)
    inside = sorted(path.relative_to(place).as_posix() for path in files_below(place))
    return tuple(_described(place / path, path) for path in inside)


def files_below(folder: Path) -> Iterator[Path]:
    """Whatever is in a folder and is no folder, at any depth; links to folders are left out.

    Raises:
        OSError: A folder in it can't be read, whose files would be missing else.
    """

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def _described(place: Path, path: str) -> FileDigest:
    found = hash_file(place, "md5:")
    md5 = str(found.other).removeprefix("md5:")
    return FileDigest(path=path, sha256=found.sha256.removeprefix("sha256:"), size=found.size, md5=md5)


class Receiver:
    """Takes what came from elsewhere into one repository.

    Args:
        repo: The repository.
        content: What tells which bytes a commit has.
        declarations: What tells which models it declares.
    """

    def __init__(self, repo: GitRepo, content: ContentReader, declarations: Declarations) -> None:
        self._repo = repo
        self._content = content
        self._declarations = declarations
        self.adder: Adder = load_class(ADDERS["dvc"])(repo)

    def intake(self, path: str) -> Intake:
        """The DVC project that a path belongs to.

        Raises:
            WorkingCopyError: The repository is bare, or there is none.
        """
        found: Intake = load_class(DVC_INTAKE)(self._repo, path)
        return found

    def check(self, named: Sequence[tuple[str, str]]) -> str:
        """The commit that is checked out, if artifacts could be taken in there; for what takes long before it.

        Args:
            named: The model and the path of each, from the Git root.

        Raises:
            WorkingCopyError: They can't: see ``check_arrivals``; or a path is in something that DVC tracks as a whole.
            RefusedError: A path is that of something else which DVC keeps, or Git, or DVC, is told not to see it.
            InvalidInputError: A path is none in the repository.
        """
        head = check_arrivals(self._repo, named)
        for model, path in named:
            self.intake(path)
            declared = self._declarations.at(head, model)
            is_own = declared is not None and declared.path == path
            if not is_own and self._content.address_at(head, path) is not None:
                raise RefusedError(
                    f"{path!r} is kept by DVC already, for something else: choose another path"
                )
            parent = posixpath.dirname(path)
            while parent:
                if (self._content.address_at(head, parent) or "").startswith("md5"):
                    raise WorkingCopyError(
                        f"{path!r} would be in {parent!r}, which DVC tracks as a whole: choose another path"
                    )
                parent = posixpath.dirname(parent)
        for _, path in named:
            if self._is_passed_by(path):
                raise RefusedError(
                    f"a '.dvcignore' has DVC pass by {path!r}: take the pattern out of it, or choose another path"
                )
        unseen = WorkingCopy(self._repo).ignored(f"{path}.dvc" for _, path in named)
        if unseen:
            raise RefusedError(
                f"{unseen[0]!r} is git-ignored, and then DVC does not see it: take the pattern out of '.gitignore', or choose "
                "another path"
            )
        return head

    def _is_passed_by(self, path: str) -> bool:
        """Whether a ``.dvcignore`` of the project hides what is to be there, or its ``*.dvc`` file."""
        root = self._repo.root
        assert root is not None, "checked before"
        patterns: dict[str, tuple[str, ...]] = {}
        folder = path
        while folder:
            folder = posixpath.dirname(folder)
            with suppress(OSError, UnicodeDecodeError):  # most folders have none
                patterns[folder] = ignore_lines((root / folder / ".dvcignore").read_text("utf-8"))
            if (root / folder / ".dvc").is_dir():
                break
        return any(is_ignored(each, patterns) for each in (path, f"{path}/file", f"{path}.dvc"))

    def take_in(
        self,
        received: Sequence[Received],
        message: str,
        *,
        base: str,
        share: Callable[[str, str, bool], None],
    ) -> str:
        """Commit all of it, or nothing; returns the commit.

        Args:
            received: What came.
            message: Of the commit.
            base: The commit that ``check`` gave, by which it is seen beforehand whether others could fetch it.
            share: Called with a commit that nobody sees yet, a path, and whether its DVC project has a remote: makes sure
                that others can fetch the bytes.

        Raises:
            WorkingCopyError: Something else is where a file or folder goes, or see ``check``.
            MissingBytesError: Others could not fetch the bytes.
            CacheError: DVC's cache can't be written.
        """
        intakes = [self.intake(each.arrival.path) for each in received]
        there = [self._look(each, intake) for each, intake in zip(received, intakes, strict=True)]
        for each, intake in zip(received, intakes, strict=True):
            intake.keep(each.objects, given=each.given)
        texts = {f"{each.arrival.path}.dvc": each.arrival.dvc_file for each in received}
        rehearsed = self._repo.write_commit(base, message, files=texts)
        for each, intake in zip(received, intakes, strict=True):
            share(rehearsed, each.arrival.path, intake.has_remote())
        # Made from whatever is checked out by now: others may have brought in models of their own.
        commit = commit_arrivals(self._repo, [each.arrival for each in received], message)
        for each, intake, is_there in zip(received, intakes, there, strict=True):
            if not is_there:
                self._place(each, intake)
        return commit

    def _place(self, received: Received, intake: Intake) -> None:
        """Put it into the working copy: by our own copy, since DVC leaves pieces of its own where it is killed."""
        path = received.arrival.path
        assert self._repo.root is not None
        target = self._repo.root / path
        try:
            if intake.copies():
                with self.adder.scratch(path) as folder:
                    _swap(received.place, target, folder)
            else:
                self.adder.place(path)
        except (OSError, RefusedError, WorkingCopyError) as error:
            warn(
                f"{path!r} is committed, and could not be put into the working copy ({error}): 'dvc checkout' does it",
                RegistryWarning,
            )

    def _look(self, received: Received, intake: Intake) -> bool:
        """Whether it lies there already; what else is there may be replaced.

        Raises:
            WorkingCopyError: Something else is there.
        """
        path = received.arrival.path
        assert self._repo.root is not None
        target = self._repo.root / path
        if not os.path.lexists(target):
            return False
        try:
            files = described_files(target) if target.is_dir() == received.is_directory else ()
        except OSError as error:
            raise WorkingCopyError(
                f"{path!r} is there already, and can't be read ({error}): move it away, or choose another path"
            ) from error
        if files and {(file.path, file.md5) for file in files} == received.lies:
            return True
        # As DVC has it: nothing is lost where the cache has it all. So is a folder of which a killed call left a part.
        if not files or not all(intake.keeps(str(file.md5)) for file in files):
            raise WorkingCopyError(
                f"{path!r} is there already, and has other bytes: move it away, or choose another path"
            )
        return False


def _swap(source: Path, target: Path, folder: Path) -> None:
    """Have a copy of a file or folder at ``target``, at once; what was there goes.

    Args:
        source: The file or folder.
        target: The place.
        folder: One on the same disk, for what is not ready and what is not needed any more.
    """
    new, old = folder / "new", folder / "old"
    if source.is_dir():
        # What nobody may write to there, has to be replaced here some day.
        for file in files_below(source):
            place = new / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    else:
        shutil.copyfile(source, new)
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        target.rename(old)
    new.rename(target)


def check_words(
    metadata: Mapping[str, JsonValue] | None, version: str | None, *, own: Sequence[str] = ()
) -> None:
    """Refuse what a registration would refuse, before anything moves.

    Args:
        metadata: What the caller says of the version.
        version: The version that is asked for.
        own: What has an argument of its own.

    Raises:
        InvalidInputError: Metadata that JSON can't hold, or that is not the caller's to say; a misspelt version.
    """
    taken = sorted({ORIGIN, *own} & {*check_json(metadata or {})})
    if taken and taken[0] in own:
        raise InvalidInputError(f"metadata={taken[0]!r} has an argument of its own: pass {taken[0]}=")
    if taken:
        raise InvalidInputError(
            f"metadata={taken[0]!r} is what is recorded of where it came from: name yours otherwise"
        )
    if version is not None:
        check_version(version)


def with_wish(
    received: Received,
    metadata: Mapping[str, JsonValue] | None,
    *,
    version: str | None = None,
    bump: Bump | None = None,
) -> Received:
    """The same with what the caller says, after ``check_words``."""
    if metadata and "usage" in metadata:  # which brings an example of its own, if any
        received = replace(received, arrival=replace(received.arrival, beside={}))
    return replace(received, metadata=joined(received.metadata, metadata), version=version, bump=bump)


def joined(found: Mapping[str, JsonValue], said: Mapping[str, JsonValue] | None) -> Mapping[str, JsonValue]:
    """What was found out and what the caller says, which comes before what was brought along; None leaves that out."""
    origin, said, words = found.get(ORIGIN), said or {}, brought(found)
    if isinstance(origin, dict) and words:
        found = {**found, ORIGIN: {**origin, BROUGHT: [word for word in words if word not in said]}}
    return {key: value for key, value in {**found, **said}.items() if value is not None or key not in words}


def brought(metadata: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The entries of the metadata that came along from where the version was imported from."""
    origin = metadata.get(ORIGIN)
    words = origin.get(BROUGHT) if isinstance(origin, dict) else None
    return tuple(word for word in words if isinstance(word, str)) if isinstance(words, list) else ()
