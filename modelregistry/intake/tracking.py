"""Brings in models that were made elsewhere and are in no repository: a file, a folder, or what is at a URL."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from modelregistry.content.identity import whole_digest
from modelregistry.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidInputError,
    PathNotFoundError,
    RefusedError,
    RegistryError,
)
from modelregistry.git.repo import GitRepo
from modelregistry.git.workingcopy import WorkingCopy
from modelregistry.intake.arrivals import Arrival
from modelregistry.intake.receiving import ORIGIN, Intake, Received, Receiver, described_files, files_below
from modelregistry.intake.remotefiles import is_remote, open_remote, public_address
from modelregistry.names import check_model
from modelregistry.progress import Progress, Report, reported
from modelregistry.project.declarations import Declarations
from modelregistry.project.dvcfiles import DvcFile, is_of_dvc, read_dvc_file
from modelregistry.project.dvcfiletexts import added_text, suggested_path

_OF_DVC = frozenset(
    {
        "s3", "gs", "gcs", "azure", "http", "https", "ssh", "hdfs", "webhdfs", "webdav", "webdavs", "oss", "gdrive",
        "remote",
    }
)  # fmt: skip
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True, slots=True)
class Tracking:
    """A wish to track something; see ``Registry.track``."""

    source: str
    model: str
    path: str | None = None
    checksum: str | None = None
    origin: str | None = None
    license: str | None = None
    description: str | None = None
    labels: Sequence[str] = ()
    version_aware: bool | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what can't be right, whatever there is.

        Raises:
            InvalidInputError: It is that.
        """
        check_model(self.model)
        if not isinstance(self.source, str) or not self.source or "\0" in self.source:
            raise InvalidInputError(f"{self.source!r} is neither a path nor a URL")
        if self.checksum is not None and not (
            isinstance(self.checksum, str) and _CHECKSUM.fullmatch(self.checksum)
        ):
            raise InvalidInputError(
                f"checksum={self.checksum!r} is none: 'sha256:' and 64 hexadecimal digits in lower case, or 'md5:' and 32"
            )
        if not all(isinstance(text, str | None) for text in (self.license, self.origin, self.description)):
            raise InvalidInputError("license=, origin= and description= are a text each")
        if not isinstance(self.labels, list | tuple) or not all(
            isinstance(label, str) for label in self.labels
        ):
            raise InvalidInputError(f"labels={self.labels!r} must be a list of texts, such as ['tabular']")
        if self.version_aware and not (self.is_remote and self.is_of_dvc):
            raise InvalidInputError(
                f"version_aware=True is for a URL that DVC reads by itself, without a login in it and without "
                f"storage_options: {self.public!r} is not"
            )

    @property
    def is_remote(self) -> bool:
        """Whether the source is a URL."""
        return is_remote(self.source)

    @property
    def is_of_dvc(self) -> bool:
        """Whether the source is a URL that DVC reads by itself, and nothing in it must not be kept."""
        is_plain = not self.storage_options and "::" not in self.source and self.public == self.source
        return is_plain and self.source.partition("://")[0] in _OF_DVC

    @property
    def public(self) -> str:
        """The source without what must not be kept."""
        return public_address(self.source)

    @property
    def name(self) -> str:
        """What it is called where it is."""
        text = (
            public_address(self.source).partition("?")[0] if self.is_remote else os.path.abspath(self.source)
        )
        return re.split(r"[/\\]", text.rstrip("/"))[-1]

    def moved(self, url: str | os.PathLike[str]) -> Tracking:
        """The same from another URL.

        Raises:
            InvalidInputError: It is none that DVC itself follows.
        """
        found = replace(self, source=os.fspath(url))
        found.check()
        if not (found.is_remote and found.is_of_dvc):
            raise InvalidInputError(
                f"url={found.public!r} is none that DVC follows, without a login in it: track(url, {self.model!r}) brings what "
                "is there now"
            )
        return found

    def as_said(self, metadata: Mapping[str, JsonValue]) -> Tracking:
        """The same, with the license and the origin that a version of it has: no store tells them."""
        terms, origin = metadata.get("license"), metadata.get(ORIGIN)
        said = origin.get("said") if isinstance(origin, Mapping) else None
        return replace(
            self,
            license=terms if isinstance(terms, str) else None,
            origin=said if isinstance(said, str) else None,
        )

    def facts(self, told: Mapping[str, str]) -> Mapping[str, JsonValue]:
        """What the registration says of where it is from, beside what the store told."""
        origin: dict[str, JsonValue] = {}
        if self.is_remote:
            origin["url"] = self.public
        if self.origin is not None:
            origin["said"] = public_address(self.origin)
        origin |= told
        found: dict[str, JsonValue] = {ORIGIN: origin or {"file": self.name}}
        if self.license is not None:
            found["license"] = self.license
        return found


class Tracker:
    """Brings such models into one repository.

    Args:
        repo: The repository.
        declarations: What it declares.
        receiver: What takes things in there.
        is_known: Whether the log has a model.
    """

    def __init__(
        self,
        repo: GitRepo,
        declarations: Declarations,
        receiver: Receiver,
        *,
        is_known: Callable[[str], bool],
    ) -> None:
        self._repo = repo
        self._declarations = declarations
        self._receiver = receiver
        self._is_known = is_known

    @contextmanager
    def received(self, wanted: Tracking, *, progress: Progress) -> Iterator[tuple[str, Received]]:
        """The commit that is checked out, and the verified bytes, which are gone when the body has ended.

        Raises:
            InvalidInputError: The wish can't be right.
            RefusedError: The name is taken.
            WorkingCopyError: It could not be committed here.
            PathNotFoundError: Nothing is there.
            AccessDeniedError: This user may not read it.
            MissingBytesError: It can't be had.
            MissingDependencyError: A package is missing.
            IntegrityError: It is not what the checksum says.
        """
        wanted.check()
        self._receiver.check(())
        path = self._choose_path(wanted)
        head = self._receiver.check([(wanted.model, path)])
        intake = self._receiver.intake(path)
        if not wanted.is_remote:
            yield head, self._local(wanted, path)
            return
        with (
            self._receiver.adder.scratch(path) as folder,
            reported(progress, f"tracking {wanted.model!r}") as report,
        ):
            yield head, self._remote(wanted, path, intake, folder, report)

    def url_of(self, head: str, model: str) -> Tracking | None:
        """The wish to track what a model came from by its URL, once more; None where DVC has no URL of it.

        Raises:
            InvalidFileError: Its ``*.dvc`` file can't be read.
        """
        declared = self._declarations.at(head, model)
        file = f"{declared.path}.dvc" if declared is not None else ""
        text = self._repo.read_file(head, file) if declared is not None else None
        found = read_dvc_file(text, file) if text is not None else None
        if declared is None or found is None or len(found.deps) != 1 or found.deps[0].url is not None:
            return None
        (dep,) = found.deps
        if not is_remote(dep.path):
            return None
        return Tracking(dep.path, model, declared.path, version_aware=True if dep.version_id else None)

    def note(self, head: str, received: Received, url: str) -> str:
        """Commit where it is from now on, where the bytes are those that are here; returns the commit.

        Raises:
            WorkingCopyError: The ``*.dvc`` file can't be changed and committed now.
        """
        arrival = received.arrival
        message = f"Follow {url} for {arrival.model}"
        return WorkingCopy(self._repo).commit({f"{arrival.path}.dvc": arrival.dvc_file}, message, base=head)

    def _choose_path(self, wanted: Tracking) -> str:
        """Where it goes, if the name is not taken by something of another kind.

        Raises:
            RefusedError: It is.
        """
        head = self._repo.resolve("HEAD")
        declared = self._declarations.at(head, wanted.model)
        if declared is None:
            if self._is_known(wanted.model):
                raise RefusedError(
                    f"{wanted.model!r} is registered here already, and dvc.yaml does not declare it: choose another name"
                )
            return wanted.path or self._inside(wanted) or suggested_path(wanted.model, wanted.name)
        file = f"{declared.path}.dvc"
        text = self._repo.read_file(head, file)
        known = read_dvc_file(text, file) if text is not None else None
        if known is None or _is_import(known):
            how = "was imported: update_import() brings its next version" if known else "is made or kept here"
            raise RefusedError(f"dvc.yaml declares {wanted.model!r} already, and {declared.path!r} {how}")
        return wanted.path or declared.path

    def _inside(self, wanted: Tracking) -> str | None:
        """Where the source is in the repository, if it is in there."""
        root = self._repo.root
        place = Path(os.path.abspath(wanted.source))
        if root is None or wanted.is_remote or not place.is_relative_to(root) or place == root:
            return None
        return place.relative_to(root).as_posix()

    # -- this machine --------------------------------------------------------------------------------------

    def _local(self, wanted: Tracking, path: str) -> Received:
        place = Path(os.path.realpath(wanted.source))
        inside = self._inside(wanted)
        if inside is not None and is_of_dvc(inside):
            raise InvalidInputError(f"{inside!r} is a file of DVC's own, or of Git's, and no model")
        try:
            _check_local(place)
            return self._received(wanted, path, place, given=False, told={}, text=None)
        except RegistryError:
            raise
        except PermissionError as error:
            raise AccessDeniedError(f"{error.filename!r} can't be read by you") from error
        except OSError as error:
            raise PathNotFoundError(f"{os.fspath(place)!r} can't be read: {error}") from error

    # -- elsewhere -----------------------------------------------------------------------------------------

    def _remote(self, wanted: Tracking, path: str, intake: Intake, folder: Path, report: Report) -> Received:
        name, url = posixpath.basename(path), wanted.source
        scheme = url.partition("://")[0]
        place = folder / name
        if not wanted.is_of_dvc:
            remote = open_remote(url, wanted.storage_options)
            told = remote.facts()
            remote.bring(place, report)
            return self._received(wanted, path, place, given=True, told=told, text=None)
        version_aware = wanted.version_aware
        if version_aware is None:
            version_aware = scheme == "s3" and open_remote(url, {"version_aware": True}).is_versioned()
        try:
            text = intake.import_url(url, folder, name, version_aware=version_aware)
        except PathNotFoundError:
            if scheme in ("http", "https"):  # which is what DVC says of a refusal and of a broken line, too
                open_remote(url, {}).facts()
            raise
        file = read_dvc_file(text, f"{path}.dvc")
        told = {
            key: value.strip('"')
            for key in ("etag", "version_id", "checksum")
            if isinstance(value := getattr(file.deps[0], key), str)
        }
        received = self._received(wanted, path, place, given=True, told=told, text=text)
        report(received.tracked.size, received.tracked.size)
        if file.outs[0].md5 not in (None, received.tracked.md5):
            raise IntegrityError(
                f"{url!r} changed on its way: try again", path=path, expected=f"md5:{file.outs[0].md5}",
                found=f"md5:{received.tracked.md5}",
            )  # fmt: skip
        return received

    def _received(
        self,
        wanted: Tracking,
        path: str,
        place: Path,
        *,
        given: bool,
        told: Mapping[str, str],
        text: bytes | None,
    ) -> Received:
        files = described_files(place)
        is_directory = place.is_dir()
        if not is_directory:
            files = (files[0].model_copy(update={"path": posixpath.basename(path)}),)
        arrival = Arrival(
            wanted.model, path, b"", type="model", description=wanted.description, labels=tuple(wanted.labels)
        )
        received = Received(arrival, place, files, is_directory, given=given, metadata=wanted.facts(told))
        _check_sum(wanted, received)
        return received.with_text(text or added_text(posixpath.basename(path), received.tracked))


def told_of(text: bytes, file: str) -> str:
    """What tells the content that a ``*.dvc`` file tracks: as its store calls it, else its md5."""
    found = read_dvc_file(text, file)
    dep = found.deps[0] if found.deps else None
    told = (dep.version_id or dep.etag or dep.checksum) if dep is not None else None
    return (told or found.outs[0].md5 or "").strip('"')


def _check_sum(wanted: Tracking, received: Received) -> None:
    if wanted.checksum is None:
        return
    if wanted.checksum.startswith("md5:"):
        found = f"md5:{received.tracked.md5}"
    else:
        found = whole_digest(received.files, is_directory=received.is_directory)
    if found != wanted.checksum:
        raise IntegrityError(
            f"{wanted.public!r} is not what was expected: expected {wanted.checksum}, found {found}; "
            "nothing was kept",
            path=wanted.public, expected=wanted.checksum, found=found,
        )  # fmt: skip


def _is_import(file: DvcFile) -> bool:
    return any(dep.url is not None for dep in file.deps)


def _check_local(place: Path) -> None:
    """Refuse what is no file, and no folder of files.

    Raises:
        PathNotFoundError: Nothing is there.
        AccessDeniedError: This user may not read it.
        InvalidInputError: There is something else in a folder, or nothing.
        OSError: This user may not look into a folder.
    """
    if not place.exists():
        raise PathNotFoundError(f"nothing is at {os.fspath(place)!r}")
    inside = [place]
    if place.is_dir():
        found = [*place.rglob("*")]
        own = next((path for path in found if path.name in (".git", ".dvc", ".dvcignore")), None)
        if own is not None:
            raise InvalidInputError(
                f"{os.fspath(own)!r} is of Git's own, or DVC's, which keep nothing of it: track a copy without it"
            )
        inside = [path for path in found if path.is_symlink()] or [*files_below(place)]
        if not inside:
            raise InvalidInputError(f"{os.fspath(place)!r} has no file in it")
    for path in inside:
        if path.is_symlink() or not path.is_file():
            raise InvalidInputError(f"{os.fspath(path)!r} is no file: put the file itself in its place")
        if not os.access(path, os.R_OK):
            raise AccessDeniedError(f"{os.fspath(path)!r} can't be read by you")
