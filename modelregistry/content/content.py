"""From a version to its bytes: what the commit declares, where the bytes lie, and whether they are the right ones."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from modelregistry.artifacts.base import Content, Storage
from modelregistry.collector import paused
from modelregistry.content.delivery import Delivery, check_verify, described, md5_of
from modelregistry.content.identity import whole_digest
from modelregistry.content.privatecopy import copy_out
from modelregistry.content.store import Store, hash_file
from modelregistry.errors import (
    CacheError,
    IntegrityError,
    InvalidFileError,
    MissingBytesError,
    PathNotFoundError,
    RegistryError,
    WithdrawnError,
)
from modelregistry.git.repo import GitRepo
from modelregistry.givenpath import given_place
from modelregistry.loading.deserialize import deserialize
from modelregistry.loading.environment import warn_of_mismatch
from modelregistry.loading.loaderchoice import hinted_framework, wanted_loader
from modelregistry.log.events import Bytes, FileDigest, Registered
from modelregistry.names import WITHDRAWN
from modelregistry.plugins import import_library, loaders_for
from modelregistry.progress import Progress, check_progress, reported
from modelregistry.project.declarations import Declarations, declaring_file
from modelregistry.project.declarationtexts import Declaration
from modelregistry.trust.trust import Trust as TrustValue
from modelregistry.trust.trust import Vouching
from modelregistry.version import ModelVersion, Trust, Verify

if TYPE_CHECKING:  # few ask for it
    from modelregistry.cards.card import ModelCard
    from modelregistry.cards.sources import Surroundings
    from modelregistry.exporters.base import Source
    from modelregistry.exports.manifest import Exported
    from modelregistry.lineage.lineage import Lineage
    from modelregistry.lineage.provenance import Provenance
    from modelregistry.lineage.reproduced import Reproduction
    from modelregistry.project.measurements import Measurements
    from modelregistry.project.measuring import Answer, Kind

MOST_FILES_IN_EVENT = 200
_MUCH = 16 << 20
MANIFEST = ".modelregistry/manifest.json"


class Obtained(NamedTuple):
    """Verified bytes on this machine."""

    content: Bytes
    is_directory: bool
    place: Path
    """Where the file or folder is."""
    is_ours: bool
    """Whether the files are this user's own store's: those of a DVC cache are another's to write to."""


class ContentReader:
    """Brings and verifies the bytes of versions; the ``Reader`` of every ``ModelVersion`` of one registry."""

    def __init__(
        self,
        repo: GitRepo,
        declarations: Declarations,
        storages: Sequence[Storage],
        store: Store,
        *,
        offline: bool = False,
        signer: Callable[[ModelVersion], str | None],
        around: Callable[[ModelVersion], Surroundings],
        home: Path,
        url: str | None = None,
        registered: Callable[[str, str], Registered | None],
    ) -> None:
        self._signer = signer
        self._around = around
        self._registered = registered
        self._repo = repo
        self._offline = offline
        self._home = home
        self._url = url
        self._declarations = declarations
        self._storages = {storage.name: storage for storage in storages}
        self._delivery = Delivery(store, offline=offline)
        self._locate = lru_cache(maxsize=1024)(self._read_content)
        self._read_manifest = lru_cache(maxsize=16)(self._parse_manifest)

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

    def has(self, rev: str, path: str) -> bool:
        """Whether a commit has an artifact at the path."""
        try:
            self._locate(rev, path)
        except PathNotFoundError:
            return False
        return True

    # -- registration --------------------------------------------------------------------------------------

    def describe(
        self,
        rev: str,
        path: str,
        *,
        allow_missing: bool,
        published: bool = False,
        push: bool = False,
        progress: Progress = None,
    ) -> tuple[Bytes, Content]:
        """What a registration records of the bytes of ``path`` at ``rev``, each file hashed and checked.

        Args:
            rev: The commit.
            path: The artifact.
            allow_missing: Take bytes that are nowhere to be had as DVC's md5 alone.
            published: Others will learn of it at once, so the bytes must be where they can fetch them.
            push: Put them there.
            progress: Who is told while bytes move.

        Raises:
            PathNotFoundError: The commit does not have it.
            MissingBytesError: Some bytes are nowhere to be had, and ``allow_missing`` is false.
            IntegrityError: Bytes are not what DVC or Git says.
        """
        content = self._locate(rev, path)
        storage = self._storages[content.storage]
        missing = storage.missing(
            [entry for entry in content.entries if not self._delivery.has(storage, entry)]
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
                self._push(content, progress)
            self._check_shared(
                content, "push=False keeps the registration in this clone",
                push="run 'dvc push', or register with push_data=True",
            )  # fmt: skip
        found = self._delivery.bring(storage, content, content.entries, {}, reference=path, progress=progress)
        files = described(content.entries, found)
        digest = whole_digest(files, is_directory=content.is_directory)
        with suppress(CacheError):  # the next to load it need not hash it again
            self._delivery.name(content, digest, found)
        return Bytes(digest, content.address, sum(file.size or 0 for file in files), files), content

    def push(self, rev: str, path: str, *, progress: Progress = None) -> None:
        """Have the bytes of ``path`` at ``rev``, which are on this machine, where others can fetch them.

        Raises:
            PathNotFoundError: The commit does not have it.
            MissingBytesError: That can't be done.
        """
        self._push(self._locate(rev, path), progress)

    def _push(self, content: Content, progress: Progress) -> None:
        size = content.size or 0
        with reported(progress, f"pushing {content.path!r}") as report:
            report(0, size)
            self._storages[content.storage].push(content)
            report(size, size)

    def size_of(self, rev: str, path: str) -> int | None:
        """Bytes of ``path`` at ``rev``, where its storage records them; raises as ``obtain`` does."""
        return self._locate(rev, path).size

    def obtain(self, rev: str, path: str, *, progress: Progress = None) -> Obtained:
        """The verified bytes of ``path`` at ``rev``, on this machine.

        Raises:
            PathNotFoundError: The commit does not have it.
            MissingBytesError: Some bytes are nowhere to be had.
            IntegrityError: Bytes are not what DVC or Git says.
            CacheError: They can't be kept.
        """
        content = self._locate(rev, path)
        storage = self._storages[content.storage]
        found = self._delivery.bring(storage, content, content.entries, {}, reference=path, progress=progress)
        files = described(content.entries, found)
        digest = whole_digest(files, is_directory=content.is_directory)
        place = self._delivery.name(content, digest, found)
        size = sum(file.size or 0 for file in files)
        is_ours = all(self._delivery.is_ours(file) for file, _ in found.values())
        return Obtained(Bytes(digest, content.address, size, files), content.is_directory, place, is_ours)

    def address_at(self, rev: str, path: str) -> str | None:
        """What the storage calls ``path`` at ``rev``; None where the commit does not have it.

        Raises:
            InvalidFileError: A metadata file on the way can't be read.
        """
        try:
            return self._locate(rev, path).address
        except PathNotFoundError:
            return None

    def local(self, bytes_: Bytes, content: Content) -> Path | None:
        """Where what ``describe`` has just verified lies under its own name, if it could be given that."""
        if bytes_.digest is None:
            return None
        return self._delivery.at_hand(bytes_.digest, posixpath.basename(content.path))

    def check_shared(self, rev: str, path: str) -> None:
        """Make sure that others can fetch the bytes of ``path`` at ``rev``.

        Raises:
            MissingBytesError: They can't.
        """
        self._check_shared(
            self._locate(rev, path), "a registry that is opened with remote=None shares nothing"
        )

    def _check_shared(self, content: Content, keep: str, *, push: str = "run 'dvc push'") -> None:
        try:
            here = self._storages[content.storage].missing(content.entries, cached=False)
        except MissingBytesError as error:
            paths = [entry.path for entry in content.entries]
            raise MissingBytesError(
                f"nobody else could load {content.path!r}: {error}; {keep}", paths=paths
            ) from error
        if here:
            raise MissingBytesError(
                f"{len(here)} of {len(content.entries)} files of {content.path!r} are in this DVC cache and not in the "
                f"remote, {here[0].path!r} for one, so nobody else could load them: {push}; {keep}",
                paths=[entry.path for entry in here],
            )

    def identify(self, rev: str, path: str) -> tuple[str | None, int | None]:
        """The digest and the size of what a commit has at a path, as far as it says that; fetches nothing.

        Raises:
            PathNotFoundError: The commit has nothing there.
        """
        return self._provenance.identify(rev, path)

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
            return self._read_manifest(version.rev, registered.manifest)
        content = self._locate(version.rev, version.path)
        return tuple(
            FileDigest(path=entry.path, size=entry.size, md5=md5_of(entry)) for entry in content.entries
        )

    @cached_property
    def _provenance(self) -> Provenance:
        from modelregistry.lineage.provenance import Provenance

        return Provenance(
            self._repo, home=self._home, url=self._url, offline=self._offline,
            cached=self._storages["dvc"].cached if self._repo.root is not None else None, registered=self._registered,
        )  # fmt: skip

    def lineage(self, version: ModelVersion) -> Lineage:
        """What it was made from."""
        return self._provenance.of(version, lambda: self.declaration(version).path)

    def listing(self, version: ModelVersion, digest: str) -> bytes | None:
        """What DVC's cache on this machine has for the digest of a folder in the version's lineage; None where nothing."""
        if self._repo.root is not None:
            for address in (digest, digest.replace("md5:", "md5-dos2unix:")):
                place = self._storages["dvc"].cached(address, declaring_file(version.name), version.rev)
                with suppress(OSError):
                    if place is not None:
                        return place.read_bytes()
        return None

    @cached_property
    def _measurements(self) -> Measurements:
        from modelregistry.project.measurements import Measurements

        return Measurements(
            self._repo, self._home / "measured", self._url or os.fspath(self._repo.common_dir),
            self._storages["dvc"].cached if self._repo.root is not None else None,
        )  # fmt: skip

    def measured(self, versions: Sequence[ModelVersion], kind: Kind) -> list[Answer]:
        """The metrics or parameters that DVC recorded of each version, all read at once."""
        return self._measurements.of(versions, kind)

    def glance(self, version: ModelVersion) -> Mapping[str, object]:
        """The metrics that DVC recorded of a version, as far as a quick look on this machine tells."""
        with suppress(RegistryError, OSError):
            return self._measurements.at_hand(version, "metrics")
        return {}

    def reproduce(
        self,
        version: ModelVersion,
        *,
        tolerance: float | Mapping[str, float],
        timeout: float | None,
        progress: Progress,
    ) -> Reproduction:
        """What comes of running its pipeline again."""
        from modelregistry.lineage.reproduction import reproduce

        check_progress(progress)

        def bring(path: str, folder: Path) -> None:
            place = self.beside(version.rev, path, progress=progress)
            copy_out(place, folder, posixpath.basename(path), {}, overwrite=False)

        return reproduce(
            self._repo, self.lineage(version), rev=version.source_rev, reference=version.reference, bring=bring,
            tolerance=tolerance, timeout=timeout, progress=progress,
        )  # fmt: skip

    def beside(self, rev: str, path: str, *, progress: Progress = None) -> Path:
        """The verified bytes of anything else that a commit has at a path.

        Raises:
            PathNotFoundError: The commit does not have it.
            MissingBytesError: They are nowhere to be had.
            IntegrityError: They are not what DVC or Git says.
        """
        content = self._locate(rev, path)
        storage = self._storages[content.storage]
        return self._delivery.deliver(storage, content, {}, digest=None, reference=path, progress=progress)[0]

    def card(self, version: ModelVersion) -> ModelCard:
        """What is known of it, as a page."""
        from modelregistry.cards.sources import MOST_BYTES, card

        declared = None
        with suppress(RegistryError):  # the card tells what is known without it
            declared = self._declarations.at(version.rev, version.name)
        return card(
            version, self._around(version), declared=declared, file=declaring_file(version.name),
            read=lambda path: self._repo.read_file(version.rev, path, limit=MOST_BYTES),
        )  # fmt: skip

    def card_problem(self, rev: str, model: str) -> str | None:
        """Why what ``dvc.yaml`` says for its card at a commit can't be read; None where it can."""
        from modelregistry.cards.sources import MOST_BYTES, check_declared

        declared = self._declarations.at(rev, model)
        try:
            if declared is not None:
                check_declared(
                    declared,
                    rev,
                    declaring_file(model),
                    lambda path: self._repo.read_file(rev, path, limit=MOST_BYTES),
                )
        except InvalidFileError as error:
            return f"{model} will have no card: {error}"
        return None

    def local_path(
        self, version: ModelVersion, *, verify: Verify = "once", progress: Progress = None
    ) -> Path:
        """The verified file or folder on this machine."""
        return self._verified(version, None, verify, progress)[0]

    def open(
        self,
        version: ModelVersion,
        path: str | os.PathLike[str] | None,
        *,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> BinaryIO:
        """One verified file, opened for reading."""
        if path is None:
            files = self.files(version)
            if len(files) != 1:
                raise PathNotFoundError(f"{version.reference} has {len(files)} files: say which, open('…')")
            path = files[0].path
        path = given_place(path, "path")
        found, _ = self._verified(version, path, verify, progress)
        return open(found, "rb")

    def objects(self, version: ModelVersion, *, progress: Progress = None) -> Mapping[str, Path | bytes]:
        """What has to travel beside the Git history: verified files, or their bytes, by where the storage keeps them."""
        place = self.local_path(version, verify="always", progress=progress)
        content = self._locate(version.rev, version.path)
        files = {
            entry.path: place / entry.path if content.is_directory else place for entry in content.entries
        }
        return self._storages[content.storage].objects(content, version.rev, files)

    def download(
        self,
        version: ModelVersion,
        to: Path,
        *,
        overwrite: bool = False,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> Path:
        """A copy of the verified file or folder in the folder ``to``."""
        path, _ = self._verified(version, None, verify, progress)
        digests = {file.path: f"sha256:{file.sha256}" for file in self.files(version) if file.sha256}
        return copy_out(path, to, posixpath.basename(version.path), digests, overwrite=overwrite)

    def load(
        self,
        version: ModelVersion,
        *,
        trust: Trust = None,
        loader: str | None = None,
        verify: Verify = "once",
        progress: Progress = None,
    ) -> object:
        """The object, through the one choke point."""
        trusted = TrustValue.parse(trust)
        name = posixpath.basename(version.path)
        meta = self.declaration(version).meta
        loader = loader or wanted_loader(meta)
        made_of = version.environment or ()
        path, digest = self._verified_while(
            lambda: import_library(name, loader, made_of), version, verify, progress
        )
        warn_of_mismatch(version.reference, version.environment)
        with paused():
            return deserialize(
                path, name, digest=digest, reference=version.reference,
                loaders=loaders_for(path, name, loader), loader=loader, framework=hinted_framework(meta),
                trust=Vouching(trusted, version.registered.digest, lambda: self._signer(version)),
            )  # fmt: skip

    def convert(
        self,
        version: ModelVersion,
        to: Path,
        *,
        format: str,  # noqa: A002
        trust: Trust,
        loader: str | None,
        example: object,
        progress: Progress,
    ) -> Path:
        """The same model in another format."""
        from modelregistry.loading.convert import check_wish, convert
        from modelregistry.loading.example import rows_of

        check_wish(format, to)
        example = None if example is None else rows_of(example)
        model = self.load(version, trust=trust, loader=loader, progress=progress)
        return convert(model, posixpath.basename(version.path), to, format=format, example=example)

    def export(
        self,
        version: ModelVersion,
        target: str | os.PathLike[str],
        *,
        format: str,  # noqa: A002
        bom: bool,
        overwrite: bool,
        storage_options: Mapping[str, Any] | None,
        verify: Verify,
        progress: Progress,
    ) -> Exported:
        """The version at a target, in some format."""
        from modelregistry.exports.exporting import export
        from modelregistry.plugins import find_exporter

        check_verify(verify)
        check_progress(progress)
        _check_served(version)
        return export(
            version, target, find_exporter(format), bring=lambda: self._source(version, verify, progress, bom=bom),
            bom=bom, overwrite=overwrite, storage_options=storage_options, progress=progress,
        )  # fmt: skip

    def _source(self, version: ModelVersion, verify: Verify, progress: Progress, *, bom: bool) -> Source:
        """What an exporter lays out."""
        from modelregistry.exporters.base import Source
        from modelregistry.exports.bom import bom_text

        name, meta = posixpath.basename(version.path), self.declaration(version).meta
        place, digest = self._verified(version, None, verify, progress)
        files = tuple(
            file if file.sha256 and file.size is not None else _hashed(file, place)
            for file in self.files(version)
        )
        recorded = version.metadata.get("loader")
        loader = wanted_loader(meta) or (recorded if isinstance(recorded, str) else None)
        lineage = self.lineage(version)
        text = bom_text(self._bom(version, files, lineage, digest)) if bom else None
        return Source(version, digest, name, place, files, loader, lineage, text)

    def cyclonedx(self, version: ModelVersion) -> dict[str, Any]:
        """Its bill of materials."""
        return self._bom(version, self.files(version), self.lineage(version), version.digest)

    def _bom(
        self, version: ModelVersion, files: Sequence[FileDigest], lineage: Lineage, digest: str | None
    ) -> dict[str, Any]:
        from modelregistry.exports.bom import cyclonedx

        return cyclonedx(version, files, lineage, self.card(version).facts, digest)

    def _verified_while(
        self, work: Callable[[], None], version: ModelVersion, verify: Verify, progress: Progress
    ) -> tuple[Path, str]:
        """``_verified`` of the whole, with ``work`` done meanwhile where there is much to hash."""
        if (version.size or 0) < _MUCH:
            return self._verified(version, None, verify, progress)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=1) as pool:
            verified = pool.submit(self._verified, version, None, verify, progress)
            work()
            return verified.result()

    # -- bytes ---------------------------------------------------------------------------------------------

    def _verified(
        self, version: ModelVersion, only: str | None, verify: Verify, progress: Progress
    ) -> tuple[Path, str]:
        """The path of the whole (or of the file ``only``) and the sha256 that stands for the whole version."""
        check_verify(verify)
        check_progress(progress)
        _check_served(version)
        name = posixpath.basename(version.path)
        if verify == "once" and version.digest is not None:
            place = self._delivery.at_hand(version.digest, name, only)
            if place is not None:
                return place, version.digest
        content = self._locate(version.rev, version.path)
        content = content.sized({file.path: file.size for file in self.files(version)})
        recorded = self._recorded(version, content)
        if only is not None and all(entry.path != only for entry in content.entries):
            raise PathNotFoundError(f"{version.reference} has no file {only!r}: files() lists what it has")
        part = only if content.is_directory else None
        place, found = self._delivery.deliver(
            self._storages[content.storage], content, recorded, digest=version.digest, reference=version.reference,
            only=part, progress=progress,
        )  # fmt: skip
        if part is None and version.digest not in (None, found):  # and the registration has no files
            raise IntegrityError(
                f"the bytes that the commit of {version.reference} has are not the registered ones: expected "
                f"{version.digest}, found {found}; nothing was parsed",
                path=content.path, expected=version.digest, found=found,
            )  # fmt: skip
        return place, found

    def _recorded(self, version: ModelVersion, content: Content) -> dict[str, str]:
        """The sha256 of each file, as registered; nothing where only the storage's addresses were.

        Raises:
            InvalidFileError: They are of other files than the commit has.
            IntegrityError: They are not what the version's digest stands for.
        """
        files = [file for file in self.files(version) if file.sha256]
        recorded = {file.path: f"sha256:{file.sha256}" for file in files}
        if not recorded:
            return {}
        entries = {entry.path for entry in content.entries}
        if recorded.keys() != entries:
            odd = sorted(recorded.keys() ^ entries)
            raise InvalidFileError(
                f"{version.reference} was registered with other files than its commit has, {odd[0]!r} for one",
                path=content.path,
            )
        said = whole_digest(files, is_directory=content.is_directory)
        if said != version.digest:
            raise IntegrityError(
                f"the registration of {version.reference} contradicts itself: its digest is {version.digest}, and its "
                f"files are {said}; nothing was read: register the next version",
                path=content.path, expected=str(version.digest), found=said,
            )  # fmt: skip
        return recorded

    def _parse_manifest(self, rev: str, path: str) -> tuple[FileDigest, ...]:
        text = self._repo.read_file(rev, path, limit=1 << 28)
        try:
            return tuple(FileDigest.model_validate(file) for file in json.loads(text or b""))
        except ValueError as error:
            raise InvalidFileError(f"{path!r} at {rev[:10]} is not a manifest: {error}", path=path) from error


def _check_served(version: ModelVersion) -> None:
    if version.state == WITHDRAWN:
        raise WithdrawnError(f"{version.reference} was withdrawn: its bytes are never served again")


def _hashed(file: FileDigest, place: Path) -> FileDigest:
    """A file that the registration knows by DVC's digest alone, with the sha256 of its verified bytes."""
    found = hash_file(place / file.path if place.is_dir() else place)
    return file.model_copy(update={"sha256": found.sha256.removeprefix("sha256:"), "size": found.size})
