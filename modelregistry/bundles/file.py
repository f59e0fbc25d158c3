"""The file that a bundle is: a plain tar that begins with the digests of what is in it, and is read only as it was written.

Every byte of it is held by another one. The first member is ``manifest-<its sha256>.json``, which has the size and the
sha256 of all others, in their order. A header is the one that is written for that name and size, byte for byte, so there
are no links, owners, modes, sparse files or extensions; and the file is exactly as long as the manifest says.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from modelregistry.errors import IntegrityError, InvalidFileError, InvalidInputError, RegistryError
from modelregistry.progress import Report

FORMAT = 1
"""What this library writes, and the newest that it reads."""
_BLOCK = 512
_CHUNK = 1 << 20
_MOST_MANIFEST = 64 << 20
_LONGEST_NAME = 100  # of a plain header
_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
_END = bytes(2 * _BLOCK)


class Member(BaseModel):
    """One file in a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    registry: str | None
    """The id of the registry."""
    branch: str | None
    """Its default branch, which comes along."""
    versions: tuple[str, ...]
    """The versions whose bytes are here, as ``name@version``."""
    files: tuple[Member, ...]


class Source(NamedTuple):
    """What becomes a member: its name in the bundle, and the file with its bytes."""

    path: str
    file: Path


def write(
    target: Path,
    sources: Sequence[Source],
    *,
    registry: str | None,
    branch: str | None,
    versions: Sequence[str],
    check: Callable[[Path], object],
    report: Report = lambda _done, _total: None,
) -> int:
    """Make the file: the same bytes for the same sources, there whole or not at all; returns its size.

    Args:
        target: The file; one that is there is replaced.
        sources: What is in it, in that order.
        registry: As ``Manifest`` has it.
        branch: As ``Manifest`` has it.
        versions: As ``Manifest`` has it.
        check: Called with the file before it gets its name.
        report: Told of the bytes of the sources that are written.

    Raises:
        IntegrityError: A source changed meanwhile.
        InvalidInputError: The file can't be written.
    """
    members = tuple(
        Member(path=source.path, size=source.file.stat().st_size, sha256=_sha256(source.file))
        for source in sources
    )
    manifest = Manifest(
        format=FORMAT, registry=registry, branch=branch, versions=tuple(versions), files=members
    )
    text = manifest.model_dump_json().encode()
    first = Member(path=_manifest_name(text), size=len(text), sha256="")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb") as file:
            file.write(_header(first) + text + _padding(len(text)))
            done, total = 0, sum(member.size for member in members)
            for source, member in zip(sources, members, strict=True):
                for size in _append(file, source.file, member):
                    report(done := done + size, total)
            file.write(_END)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        check(temporary)
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, RegistryError):
            raise
        raise InvalidInputError(f"the bundle can't be written to {os.fspath(target)!r}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size


class BundleFile:
    """A bundle that is read.

    Attributes:
        manifest: What it says of itself.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.manifest = self._read_manifest()

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[BundleFile]:
        """The bundle at ``path``, of which nothing but the manifest is read yet.

        Raises:
            InvalidInputError: It can't be read.
            InvalidFileError: It is no bundle, or not a whole one.
            IntegrityError: Its manifest was changed.
        """
        try:
            file = open(path, "rb")  # noqa: SIM115 (what its body raises must not pass for this)
        except OSError as error:
            raise InvalidInputError(
                f"the bundle {os.fspath(path)!r} can't be read: {error.strerror}"
            ) from error
        with file:
            yield cls(file, os.fspath(path))

    def members(
        self, report: Report = lambda _done, _total: None
    ) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each member and its bytes, which are to be read before the next one is asked for.

        The last of the bytes comes before the digest is compared: nothing of them may be used until the iteration has
        ended.

        Args:
            report: Told of the bytes that were read.

        Raises:
            IntegrityError: Bytes were changed.
            InvalidFileError: It is no bundle, or not a whole one.
        """
        done, total = 0, sum(member.size for member in self.manifest.files)
        for member in self.manifest.files:
            self._expect(_header(member), f"the header of {member.path!r}")
            yield member, self._bytes(member)
            report(done := done + member.size, total)
            self._expect(_padding(member.size), f"what follows {member.path!r}")
        self._expect(_END, "its end")
        if self._file.read(1):
            raise self._broken("there is more after its end")

    def _bytes(self, member: Member) -> Iterator[bytes]:
        left, found = member.size, hashlib.sha256()
        while left:
            chunk = self._file.read(min(_CHUNK, left))
            if not chunk:
                raise self._broken(f"it ends within {member.path!r}: copy it again")
            left -= len(chunk)
            found.update(chunk)
            yield chunk
        self._compare(member.path, member.sha256, found.hexdigest())

    def _read_manifest(self) -> Manifest:
        head = self._file.read(_BLOCK)
        name = head[:_LONGEST_NAME].rstrip(b"\0").decode("ascii", "replace")
        said = re.fullmatch(r"manifest-([0-9a-f]{64})\.json", name)
        size = head[124:136].rstrip(b"\0 ")
        if said is None or not re.fullmatch(rb"[0-7]{1,11}", size):
            raise self._broken("it does not begin as one")
        member = Member(path=name, size=int(size, 8), sha256=said[1])
        if head != _header(member):
            raise self._broken("it does not begin as one")
        if member.size > _MOST_MANIFEST:
            raise self._broken(f"its manifest has {member.size:,} bytes, and {_MOST_MANIFEST:,} is the most")
        text = b"".join(self._bytes(member))
        self._expect(_padding(member.size), "what follows its manifest")
        manifest = self._parse(text)
        length = sum(
            _BLOCK + each.size + len(_padding(each.size)) for each in (member, *manifest.files)
        ) + len(_END)
        found = os.fstat(self._file.fileno()).st_size
        if found != length:
            what = "it was cut off: copy it again" if found < length else "there is more in it"
            raise self._broken(f"it has {found:,} bytes, and its manifest makes {length:,}: {what}")
        return manifest

    def _parse(self, text: bytes) -> Manifest:
        try:
            values = from_json(text)
            newer = (
                isinstance(values, dict)
                and isinstance(values.get("format"), int)
                and values["format"] > FORMAT
            )
            manifest = None if newer else Manifest.model_validate_json(text)
        except (ValueError, RecursionError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is no JSON"
            raise self._broken(f"its manifest can't be read: {why}") from error
        if manifest is None:
            raise self._broken(
                f"a newer modelregistry wrote it (format {values['format']}, this one knows {FORMAT}): upgrade"
            )
        names = [member.path for member in manifest.files]
        for member in manifest.files:
            if not _NAME.fullmatch(member.path) or len(member.path) > _LONGEST_NAME or member.size < 0:
                raise self._broken(
                    f"it has a file {member.path[:200]!r} of {member.size:,} bytes, which no bundle has"
                )
        if len(set(names)) < len(names) or manifest.format < 1:
            raise self._broken("its manifest names a file twice")
        return manifest

    def _expect(self, wanted: bytes, what: str) -> None:
        if self._file.read(len(wanted)) != wanted:
            raise self._broken(f"{what} is not as it was written")

    def _compare(self, name: str, expected: str, found: str) -> None:
        if found != expected:
            raise IntegrityError(
                f"{name!r} in the bundle {self._name!r} is not what was bundled: expected sha256:{expected}, found "
                f"sha256:{found}; nothing was written: copy the file again",
                path=self._name, expected=f"sha256:{expected}", found=f"sha256:{found}",
            )  # fmt: skip

    def _broken(self, why: str) -> InvalidFileError:
        return InvalidFileError(
            f"{self._name!r} is no whole bundle: {why}; nothing was written", path=self._name
        )


def _header(member: Member) -> bytes:
    """The one header that a member can have."""
    info = tarfile.TarInfo(member.path)
    info.size = member.size
    return info.tobuf(tarfile.GNU_FORMAT)  # which knows sizes of 8 GB and more


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _manifest_name(text: bytes) -> str:
    return f"manifest-{hashlib.sha256(text).hexdigest()}.json"


def _append(target: IO[bytes], file: Path, member: Member) -> Iterator[int]:
    """Write a member, giving the sizes of its pieces."""
    target.write(_header(member))
    found = hashlib.sha256()
    with open(file, "rb") as source:
        while chunk := source.read(_CHUNK):
            found.update(chunk)
            target.write(chunk)
            yield len(chunk)
    if found.hexdigest() != member.sha256:
        raise IntegrityError(
            f"{os.fspath(file)!r} changed while it was bundled: bundle again",
            path=os.fspath(file), expected=f"sha256:{member.sha256}", found=f"sha256:{found.hexdigest()}",
        )  # fmt: skip
    target.write(_padding(member.size))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
