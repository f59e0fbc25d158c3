"""The contract of an exporter: from a verified version to the files that a target gets."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar, cast

from modelregistry.errors import IntegrityError
from modelregistry.lineage.lineage import Lineage
from modelregistry.log.events import FileDigest
from modelregistry.version import ModelVersion


@dataclass(frozen=True, slots=True)
class Source:
    """A version whose bytes were verified, and what is known of it."""

    version: ModelVersion
    digest: str
    """``sha256:…`` of the file, or of the manifest of the folder."""
    name: str
    """What the file or folder is called in the repository."""
    place: Path
    """Where the file or folder lies on this machine: read-only, and perhaps under another name."""
    files: tuple[FileDigest, ...]
    """Its files, each with sha256 and size: by their paths in the folder, or the file's own name."""
    loader: str | None
    """The loader that reads it, such as ``skops``; None where nobody knows."""
    lineage: Lineage
    """What it was made from."""
    bom: bytes | None = None
    """The bill of materials, where that was asked for. It is put beside the files, unless the exporter packs it."""

    @property
    def is_directory(self) -> bool:
        """Whether the artifact is a folder."""
        return self.place.is_dir()

    def local(self, file: FileDigest) -> Path:
        """Where one of the files lies."""
        return self.place / file.path if self.is_directory else self.place

    @contextmanager
    def reading(self, file: FileDigest) -> Iterator[BinaryIO]:
        """One of the files, open, for an exporter that packs it: read it whole, and in order.

        Raises:
            IntegrityError: At the end: what was read is not what was registered.
        """
        with open(self.local(file), "rb", buffering=0) as opened:
            hashing = _Hashing(opened)
            yield cast("BinaryIO", hashing)
        if (found := hashing.sha256.hexdigest()) != file.sha256:
            raise IntegrityError(
                f"{file.path!r} of {self.version.reference} changed while it was exported: expected {file.sha256}, found "
                f"{found}; try again",
                path=file.path, expected=f"sha256:{file.sha256}", found=f"sha256:{found}",
            )  # fmt: skip


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file that the target gets."""

    path: str
    """In the target, with ``/`` between."""
    content: Path | bytes
    """A file on this machine, or the bytes."""
    sha256: str | None = None
    """What it hashes to, where that is known: nothing else is ever written. Left out, it is computed."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All that the target gets, but for its ``manifest.json``."""

    files: Sequence[ExportFile]
    artifact: str | None = None
    """The path in the target under which the files of the artifact lie as they are, ``"."`` for its root; None where they
    are packed."""
    has_bom: bool = False
    """Whether the bill of materials is packed with the files."""


class Exporter(ABC):
    """Lays out a version for those who take it from the target.

    It says which files there are to be, and nothing more: whoever calls it writes and verifies them, and writes
    ``manifest.json`` last. An instance holds no state. It deserialises nothing.
    """

    name: ClassVar[str]
    """How ``format=`` spells it."""
    schemes: ClassVar[tuple[str, ...]] = ()
    """The schemes of the URLs that ``deliver`` takes; to all others the files go by fsspec."""

    @abstractmethod
    def arrange(self, source: Source, scratch: Path) -> Arrangement:
        """The files for the target.

        The same version gives the same bytes, whenever and wherever: so what a killed export left is told from what
        others put there. What changes later (a stage, an annotation, the time of day) belongs in no file; the manifest
        has it.

        Args:
            source: The verified version.
            scratch: An empty folder for what has to be made; it is removed when all is written.

        Raises:
            ExportError: The version can't be laid out so.
            MissingDependencyError: A library that it needs is not installed.
        """

    def deliver(
        self,
        files: Mapping[str, ExportFile],
        target: str,
        *,
        overwrite: bool,
        options: Mapping[str, Any],
        report: Callable[[int, int | None], None],
    ) -> tuple[str, Sequence[str]]:
        """Bring the files where no file system is, such as a registry; for URLs of ``schemes`` only.

        Whole or not at all for whoever reads there; again, nothing is written.

        Args:
            files: The arrangement, by path, each with its sha256: check what is sent against it.
            target: The URL.
            overwrite: Whether something else there may be replaced.
            options: What the caller passed as ``storage_options``.
            report: Called with (bytes done, bytes in all).

        Returns:
            What the caller is told of the place, without secrets; and what was written.

        Raises:
            InvalidInputError: Something else is there, or it is no target.
            ExportError: It can't be written.
        """
        raise NotImplementedError(f"exporter {self.name!r} has schemes, and no deliver()")


def artifact_files(source: Source, under: str = "") -> tuple[ExportFile, ...]:
    """The files of the artifact as they are, in the folder ``under`` of the target (``""``: at its root)."""
    return tuple(
        ExportFile(f"{under}/{file.path}" if under else file.path, source.local(file), file.sha256)
        for file in source.files
    )
