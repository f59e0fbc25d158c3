"""The private store of this user: verified bytes under their digests, and folders of links that give them names."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelregistry.errors import IntegrityError, InvalidFileError

_CHUNK = 1 << 20
_DIGEST = re.compile(r"(sha256|md5|md5-dos2unix|git):([0-9a-f]{32,64}(?:\.dir)?)")


@dataclass(frozen=True, slots=True)
class Digests:
    """What one file's bytes hash to, algorithm first."""

    sha256: str
    size: int
    other: str | None = None
    """Under the algorithm of the storage's own address, where that was asked for."""


def hash_file(path: Path, address: str | None = None) -> Digests:
    """Hash a file in one pass: sha256, and what ``address`` (``md5:…`` or ``git:…``) is checked against."""
    algorithm = address.partition(":")[0] if address else None
    sha256 = hashlib.sha256()
    size = 0
    with open(path, "rb", buffering=0) as file:
        if algorithm is None:
            hashlib.file_digest(file, lambda: sha256)
            return Digests(f"sha256:{sha256.hexdigest()}", os.fstat(file.fileno()).st_size)
        if algorithm == "git":
            # By sha256 where a repository was made so (gitrepository-layout, extensions.objectFormat).
            kind = "sha256" if len(str(address)) == len("git:") + 64 else "sha1"
            head = f"blob {os.fstat(file.fileno()).st_size}\0".encode()
            other = hashlib.new(kind, head, usedforsecurity=False)
        else:
            other = hashlib.md5(usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            other.update(chunk)
            size += len(chunk)
    return Digests(f"sha256:{sha256.hexdigest()}", size, f"{algorithm}:{other.hexdigest()}")


def verify_file(path: Path, expected: str, *, name: str) -> Digests:
    """Hash the file and compare it with ``expected``: a sha256, or a storage's address where that is all there is.

    Raises:
        IntegrityError: It is something else.
    """
    found = hash_file(path, None if expected.startswith("sha256:") else expected)
    actual = found.sha256 if expected.startswith("sha256:") else found.other
    if actual != expected:
        raise IntegrityError(
            f"{name!r} at {os.fspath(path)!r} is not what was registered: expected {expected}, found {actual}; nothing "
            "was parsed; move that file away and its bytes will be fetched again",
            path=os.fspath(path),
            expected=expected,
            found=str(actual),
        )
    return found


class Store:
    """Read-only files under ``folder``, which only this user may enter; safe for many processes.

    A file appears whole, by a rename, or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, digest: str) -> Path | None:
        """Where the bytes with this digest are, if they are here."""
        path = self._object(digest)
        return path if path.is_file() else None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A fresh folder on the store's file system, gone afterwards."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="staging-") as folder:
            yield Path(folder)

    def keep(self, staged: Path, *digests: str) -> Path:
        """Move a verified file into the store, to be found under each of its digests."""
        staged.chmod(0o444)
        for digest in digests:
            self.name(staged, self._object(digest))
        return self._object(digests[0])

    def name(self, source: Path, target: Path) -> None:
        """Let ``target`` (in the store) be another name of the file ``source``, without a copy of its bytes."""
        if not Path(os.path.normpath(target)).is_relative_to(self.folder):
            raise InvalidFileError(
                f"a file named {target.name!r} would leave the store", path=os.fspath(target)
            )
        if target.exists() and target.samefile(source):
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = target.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
        try:
            os.link(source.resolve(), temporary)
        except OSError:  # another file system, or a file of another owner
            os.symlink(source.resolve(), temporary)
        temporary.replace(target)
        temporary.unlink(missing_ok=True)  # to rename one link of a file to another does nothing

    def view(self, digest: str) -> Path:
        """The folder in which the artifact with this digest has its name."""
        algorithm, value = _split(digest)
        return self.folder / "views" / algorithm / value[:2] / value

    def _object(self, digest: str) -> Path:
        algorithm, value = _split(digest)
        return self.folder / "objects" / algorithm / value[:2] / value


def _split(digest: str) -> tuple[str, str]:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise InvalidFileError(
            f"not a digest: {digest!r}; it must be 'sha256:' and 64 hexadecimal digits", path=digest
        )
    return match[1], match[2]
