"""The private store of this user: verified bytes under their digests, and folders of links that give them names."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from modelregistry.content.receipts import Facts, Receipt
from modelregistry.errors import CacheError, IntegrityError, InvalidFileError
from modelregistry.trust.privatefile import make_private

_log = logging.getLogger("modelregistry")

_CHUNK = 1 << 20
_DIGEST = re.compile(r"(sha256|md5|md5-dos2unix|git):([0-9a-f]{32,64}(?:\.dir)?)")
_ADVICE = {
    errno.ENOSPC: "registry.cache.prune(…) makes room",
    errno.EDQUOT: "registry.cache.prune(…) makes room",
}


@dataclass(frozen=True, slots=True)
class Digests:
    """What one file's bytes hash to, algorithm first."""

    sha256: str
    size: int
    other: str | None = None
    """Under the algorithm of the storage's own address, where that was asked for."""
    facts: Facts | None = None
    """What the file looked like; None where it was written to while it was hashed, or so shortly before that another
    write would not show."""


def hash_file(path: Path, address: str | None = None) -> Digests:
    """Hash a file in one pass: sha256, and what ``address`` (``md5:…`` or ``git:…``) is checked against."""
    algorithm = address.partition(":")[0] if address else None
    sha256 = hashlib.sha256()
    began = time.time_ns()
    with open(path, "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        size = before.st_size
        if algorithm is None:
            hashlib.file_digest(file, lambda: sha256)
            found = None
        else:
            if algorithm == "git":
                # By sha256 where a repository was made so (gitrepository-layout, extensions.objectFormat).
                kind = "sha256" if len(str(address)) == len("git:") + 64 else "sha1"
                other = hashlib.new(kind, f"blob {size}\0".encode(), usedforsecurity=False)
            else:
                other = hashlib.md5(usedforsecurity=False)
            size = 0
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
                other.update(chunk)
                size += len(chunk)
            found = f"{algorithm}:{other.hexdigest()}"
        facts = Facts.of(before)
        same = Facts.of(os.fstat(file.fileno())) == facts and facts.settled(began)
    return Digests(f"sha256:{sha256.hexdigest()}", size, found, facts if same else None)


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
            "was parsed",
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
        path = self.place(digest)
        return path if self.holds(path) else None

    def holds(self, path: Path) -> bool:
        """Whether there is a file at ``path`` in the store, and no link on the way leads out of its part of the store.

        A part itself (``objects``, ``views``, …) may be a link, within the file system. The file may be one too.
        """
        return os.path.isfile(path) and not self._is_led_out(path)  # False too where this user may not look

    def _is_led_out(self, path: Path) -> bool:
        part = self.folder / path.relative_to(self.folder).parts[0]
        return not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(part))

    def place(self, digest: str) -> Path:
        """Where the bytes with this digest would be."""
        algorithm, value = _split(digest)
        return self.folder / "objects" / algorithm / value[:2] / value

    @contextmanager
    def incoming(self, digest: str) -> Iterator[Path]:
        """The folder in which the bytes with this digest arrive: this process's alone meanwhile, and gone afterwards.

        What another process brought halfway when it died is in it.

        Raises:
            CacheError: It can't be made.
        """
        from filelock import FileLock, Timeout

        name = "-".join(_split(digest))
        locks, folder = self.folder / "locks", self.folder / "incoming" / name
        with _told(self.folder):
            make_private(locks)
            make_private(folder.parent)
            lock = FileLock(locks / name)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                _log.info("another process is fetching %s: waiting for it", digest)
                lock.acquire()
        try:
            with _told(self.folder):
                folder.mkdir(mode=0o700, exist_ok=True)
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()

    def keep(self, staged: Path, *digests: str) -> Path:
        """Move a verified file into the store, to be found under each of its digests.

        Raises:
            CacheError: The store can't be written.
        """
        with _told(self.folder):
            staged.chmod(0o444)
        for digest in digests:
            self.name(staged, self.place(digest))
        staged.unlink(missing_ok=True)
        return self.place(digests[0])

    def name(self, source: Path, target: Path) -> None:
        """Let ``target`` (in the store) be another name of the file ``source``, without a copy of its bytes.

        Raises:
            CacheError: The store can't be written.
        """
        if not Path(os.path.normpath(target)).is_relative_to(self.folder):
            raise InvalidFileError(
                f"a file named {target.name!r} would leave the store", path=os.fspath(target)
            )
        if self._is_led_out(target):
            raise CacheError(
                errno.ELOOP,
                f"a link on the way to {os.fspath(target)!r} leads out of the cache folder: remove the link, then load again",
            )
        if target.exists() and target.samefile(source):
            return
        with _told(self.folder):
            make_private(target.parent)
            # Not beside it: one that was killed here would leave a file too many in the folder that is handed out.
            make_private(self.folder / "links")
            temporary = self.folder / "links" / f"{os.getpid()}-{os.urandom(6).hex()}"
            try:
                os.link(source.resolve(), temporary)
            except OSError:  # another file system, or a file of another owner
                os.symlink(source.resolve(), temporary)
            temporary.replace(target)
            temporary.unlink(missing_ok=True)  # to rename one link of a file to another does nothing

    def set_aside(self, bad: Path, names: Iterable[Path] = ()) -> Path | None:
        """Move a damaged file away, to be looked at; where it is now, or None if it can't be moved.

        Args:
            bad: The file.
            names: Other names it may have.
        """
        target = self.folder / "set-aside" / f"{time.strftime('%Y%m%dT%H%M%S')}-{bad.name}"
        others = [name for name in names if name.exists() and name.samefile(bad)]
        try:
            make_private(target.parent)
            shutil.move(bad, target)
            for name in others:
                name.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s is damaged and can't be moved away: %s", bad, error)
            return None
        return target

    def view(self, digest: str) -> Path:
        """The folder in which the artifact with this digest has its names."""
        algorithm, value = _split(digest)
        return self.folder / "views" / algorithm / value[:2] / value

    def receipt(self, digest: str, name: str) -> Path:
        """Where it is noted which files of the artifact were verified under that name."""
        algorithm, value = _split(digest)
        key = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        return self.folder / "receipts" / algorithm / value[:2] / f"{value}-{key}"

    def read_receipt(self, digest: str, name: str) -> Receipt:
        """That note, and a sign that it was of use just now."""
        path = self.receipt(digest, name)
        found = Receipt.load(path)
        if found.files:
            with suppress(OSError):  # a store that can't be written does not grow old
                os.utime(path)
        return found


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the operating system says of the store, as an error of ours."""
    try:
        yield
    except OSError as error:
        raise cache_error(folder, error) from error


def cache_error(folder: Path, error: OSError) -> CacheError:
    """The error for a store that can't be written."""
    advice = _ADVICE.get(error.errno or 0, "make it writable")
    return CacheError(
        error.errno,
        f"the cache folder {os.fspath(folder)!r} can't be written ({error.strerror or error}): {advice}, or set "
        "$MODELREGISTRY_CACHE to another folder",
    )


def _split(digest: str) -> tuple[str, str]:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise InvalidFileError(
            f"not a digest: {digest!r}; it must be 'sha256:' and 64 hexadecimal digits", path=digest
        )
    return match[1], match[2]
