"""From a version to its bytes: what the commit declares, where the bytes lie, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from modelregistry.artifacts.base import Content, Entry, Storage
from modelregistry.collector import paused
from modelregistry.declarations import Declarations, declaring_file
from modelregistry.deserialize import deserialize
from modelregistry.dvcfiles import Declaration
from modelregistry.errors import (
    InvalidFileError,
    MissingBytesError,
    PathNotFoundError,
    RegistryError,
    WithdrawnError,
)
from modelregistry.events import Bytes, FileDigest
from modelregistry.gitrepo import GitRepo
from modelregistry.plugins import import_library, loaders_for
from modelregistry.store import Store, verify_file
from modelregistry.trust import Ledger
from modelregistry.trust import Trust as TrustValue
from modelregistry.version import ModelVersion, Progress, Trust

MOST_FILES_IN_EVENT = 200
_MUCH = 16 << 20
MANIFEST = ".modelregistry/manifest.json"


class ContentReader:
    """Brings and verifies the bytes of versions; the ``Reader`` of every ``ModelVersion`` of one registry."""

    def __init__(
        self, repo: GitRepo, declarations: Declarations, storages: Sequence[Storage], store: Store
    ) -> None:
        self._repo = repo
        self._declarations = declarations
        self._storages = {storage.name: storage for storage in storages}
        self._store = store
        self._locate = lru_cache(maxsize=1024)(self._read_content)

    # -- what the commit says ------------------------------------------------------------------------------

    def declaration(self, version: ModelVersion) -> Declaration:
        """The entry of ``artifacts:`` at the version's commit, its path from the Git root."""
        found = self._declarations.at(version.rev, version.name)
        if found is None:
            raise PathNotFoundError(
                f"{declaring_file(version.name)} at {version.rev[:10]} does not declare {version.name!r} under "
                f"artifacts:, so nothing says where {version.reference} is; register the next version with it declared"
            )
        return found

    def _read_content(self, rev: str, path: str) -> Content:
        for storage in self._storages.values():
            content = storage.locate(rev, path)
            if content is not None:
                return content
        raise PathNotFoundError(
            f"{path!r} is not in commit {rev[:10]}, neither as an output of DVC nor in Git: commit dvc.lock or the "
            "'.dvc' file with it, or name another rev="
        )

    def locate_all(self, versions: Sequence[ModelVersion]) -> None:
        """Have on this machine what says where the bytes of the versions are; what can't be had is left out."""
        files = {version.rev: posixpath.dirname(declaring_file(version.name)) for version in versions}
        # At once what most need; what else one of them needs comes with it.
        self._repo.read(
            [
                f"{rev}:{posixpath.join(folder, file)}"
                for rev, folder in files.items()
                for file in ("dvc.yaml", "dvc.lock")
            ]
        )
        for version in versions:
            with suppress(RegistryError):
                self._locate(version.rev, version.path)

    # -- registration --------------------------------------------------------------------------------------

    def describe(
        self, rev: str, path: str, *, allow_missing: bool, published: bool = False, push: bool = False
    ) -> tuple[Bytes, Content]:
        """What a registration records of the bytes of ``path`` at ``rev``, each file hashed and checked.

        Args:
            rev: The commit.
            path: The artifact.
            allow_missing: Take bytes that are nowhere to be had as DVC's md5 alone.
            published: Others will learn of it at once, so the bytes must be where they can fetch them.
            push: Put them there.

        Raises:
            PathNotFoundError: The commit does not have it.
            MissingBytesError: Some bytes are nowhere to be had, and ``allow_missing`` is false.
            IntegrityError: Bytes are not what DVC or Git says.
        """
        content = self._locate(rev, path)
        storage = self._storages[content.storage]
        missing = storage.missing(
            [entry for entry in content.entries if self._find(content, entry, None) is None]
        )
        if missing:
            names = [entry.path for entry in missing]
            if allow_missing:
                return Bytes(None, content.address, content.size), content
            raise MissingBytesError(
                f"{len(names)} of {len(content.entries)} files of {path!r} are neither in the DVC cache nor in the "
                f"remote, {names[0]!r} for one: run 'dvc push' where they are, or register with allow_missing=True",
                paths=names,
            )
        if published and not allow_missing:
            if push:
                storage.push(content)
            self._check_shared(
                content, "register with push_data=True (push=False keeps the registration in this clone)"
            )
        files = []
        sources = self._bring(content, content.entries, {}, progress=None)
        for entry in content.entries:
            found = verify_file(sources[entry.path], entry.address, name=entry.path)
            files.append(
                FileDigest(path=entry.path, sha256=found.sha256[7:], size=found.size, md5=_md5(entry))
            )
        described = tuple(files)
        size = sum(file.size or 0 for file in described)
        digest = whole_digest(described, is_directory=content.is_directory)
        return Bytes(digest, content.address, size, described), content

    def check_shared(self, rev: str, path: str) -> None:
        """Make sure that others can fetch the bytes of ``path`` at ``rev``.

        Raises:
            MissingBytesError: They can't.
        """
        self._check_shared(self._locate(rev, path), "leave the registration in this clone")

    def _check_shared(self, content: Content, alternative: str) -> None:
        here = self._storages[content.storage].missing(content.entries, cached=False)
        if here:
            raise MissingBytesError(
                f"{len(here)} of {len(content.entries)} files of {content.path!r} are in this DVC cache and not in the "
                f"remote, {here[0].path!r} for one, so nobody else could load them: run 'dvc push', or {alternative}",
                paths=[entry.path for entry in here],
            )

    def made_here(self, rev: str, content: Content) -> bool:
        """Whether this user's own pipeline made these bytes on this machine."""
        return self._storages[content.storage].made_here(rev, content)

    # -- the Reader protocol -------------------------------------------------------------------------------

    def files(self, version: ModelVersion) -> tuple[FileDigest, ...]:
        """The version's files: as registered, else as the commit says."""
        registered = version.registered
        if registered.files:
            return registered.files
        if registered.manifest is not None:
            return self._read_manifest(version)
        content = self._locate(version.rev, version.path)
        return tuple(
            FileDigest(path=entry.path, size=entry.size, md5=_md5(entry)) for entry in content.entries
        )

    def local_path(self, version: ModelVersion, *, progress: Progress | None = None) -> Path:
        """The verified file or folder on this machine."""
        return self._verified(version, None, progress)[0]

    def open(self, version: ModelVersion, path: str | None) -> BinaryIO:
        """One verified file, opened for reading."""
        if path is None:
            files = self.files(version)
            if len(files) != 1:
                raise PathNotFoundError(f"{version.reference} has {len(files)} files: say which, open('…')")
            path = files[0].path
        found, _ = self._verified(version, path, None)
        return open(found, "rb")

    def load(
        self,
        version: ModelVersion,
        *,
        trust: Trust = None,
        loader: str | None = None,
        progress: Progress | None = None,
    ) -> object:
        """The object, through the one choke point."""
        trusted = TrustValue.parse(trust)
        path, digest = self._verified_while(
            lambda: import_library(posixpath.basename(version.path), loader), version, progress
        )
        with paused():
            return deserialize(
                path, path.name, digest=digest, reference=version.reference,
                loaders=loaders_for(path, path.name, loader), loader=loader, trust=trusted,
                made_here=digest in Ledger(),
            )  # fmt: skip

    def _verified_while(
        self, work: Callable[[], None], version: ModelVersion, progress: Progress | None
    ) -> tuple[Path, str]:
        """``_verified`` of the whole, with ``work`` done meanwhile where there is much to hash."""
        if (version.size or 0) < _MUCH:
            return self._verified(version, None, progress)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=1) as pool:
            verified = pool.submit(self._verified, version, None, progress)
            work()
            return verified.result()

    # -- bytes ---------------------------------------------------------------------------------------------

    def _verified(
        self, version: ModelVersion, only: str | None, progress: Progress | None
    ) -> tuple[Path, str]:
        """The path of the whole (or of the file ``only``) and the sha256 that stands for the whole version."""
        if version.state == "withdrawn":
            raise WithdrawnError(f"{version.reference} was withdrawn: its bytes are never served again")
        content = self._locate(version.rev, version.path)
        recorded = {file.path: f"sha256:{file.sha256}" for file in self.files(version) if file.sha256}
        entries = {entry.path: entry for entry in content.entries}
        if recorded and recorded.keys() != entries.keys():
            odd = sorted(recorded.keys() ^ entries.keys())
            raise InvalidFileError(
                f"{version.reference} was registered with other files than its commit has, {odd[0]!r} for one",
                path=content.path,
            )
        if only is not None and only not in entries:
            raise PathNotFoundError(f"{version.reference} has no file {only!r}: files() lists what it has")
        wanted = [entries[only]] if only is not None else list(content.entries)
        sources = self._bring(content, wanted, recorded, progress=progress)
        view = self._store.view(version.digest or content.address)
        whole = view / posixpath.basename(content.path)
        found: list[FileDigest] = []
        for entry in wanted:
            expected = recorded.get(entry.path, entry.address)
            checked = verify_file(sources[entry.path], expected, name=f"{version.reference}:{entry.path}")
            found.append(FileDigest(path=entry.path, sha256=checked.sha256[7:], size=checked.size))
            target = whole / entry.path if content.is_directory else whole
            self._store.name(sources[entry.path], target)
        if only is not None:
            return target, ""
        return whole, whole_digest(tuple(found), is_directory=content.is_directory)

    def _bring(
        self,
        content: Content,
        entries: Sequence[Entry],
        recorded: dict[str, str],
        *,
        progress: Progress | None,
    ) -> dict[str, Path]:
        """Where the bytes of each entry lie, by its path; fetches and verifies those that are not here."""
        storage = self._storages[content.storage]
        found = {entry.path: self._find(content, entry, recorded.get(entry.path)) for entry in entries}
        absent = [entry for entry in entries if found[entry.path] is None]
        if absent:
            with self._store.staging() as folder:
                unique = {entry.address: entry for entry in absent}
                storage.fetch(list(unique.values()), folder, progress=progress)
                for entry in absent:
                    staged = folder / entry.address.replace(":", "-")
                    if not staged.exists():  # the same bytes under two names: kept a moment ago
                        found[entry.path] = self._find(content, entry, recorded.get(entry.path))
                        continue
                    checked = verify_file(staged, recorded.get(entry.path, entry.address), name=entry.path)
                    found[entry.path] = self._store.keep(staged, checked.sha256, entry.address)
        return {path: source for path, source in found.items() if source is not None}

    def _find(self, content: Content, entry: Entry, sha256: str | None) -> Path | None:
        place = self._storages[content.storage].find(entry)
        if place is None and sha256 is not None:
            place = self._store.find(sha256)
        return place if place is not None else self._store.find(entry.address)

    def _read_manifest(self, version: ModelVersion) -> tuple[FileDigest, ...]:
        path = version.registered.manifest or MANIFEST
        text = self._repo.read_file(version.rev, path, limit=1 << 28)
        try:
            return tuple(FileDigest.model_validate(file) for file in json.loads(text or b""))
        except ValueError as error:
            raise InvalidFileError(
                f"{path!r} at {version.rev[:10]} is not a manifest: {error}", path=path
            ) from error


def _md5(entry: Entry) -> str | None:
    """DVC's md5 of the file, where that is its address."""
    algorithm, _, value = entry.address.partition(":")
    return value if algorithm == "md5" else None


def manifest_text(files: Sequence[FileDigest]) -> bytes:
    """The canonical manifest: a JSON list by path, sorted keys, no spaces, UTF-8."""
    listed = [
        {"path": file.path, "sha256": file.sha256, "size": file.size}
        for file in sorted(files, key=lambda file: file.path)
    ]
    return json.dumps(listed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def whole_digest(files: Sequence[FileDigest], *, is_directory: bool) -> str:
    """The identity of a version's bytes: of its one file, or of the canonical manifest of its folder."""
    if not is_directory:
        return f"sha256:{files[0].sha256}"
    return f"sha256:{hashlib.sha256(manifest_text(files)).hexdigest()}"
