"""The private bare copy of the repository at a URL: cloned once, fetched anew when it is old, shared by processes.

File contents are left out where the server can do that, and come when they are read. All who change the copy's
references hold its lock in turn, so a lock file of git's own that is a minute old when this one is held was left by a
git that died: it is deleted. (In a user's repository such a file is explained and never deleted.)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from modelregistry.callers import warn
from modelregistry.errors import GitError, GitTimeoutError, PartialViewWarning, RemoteError
from modelregistry.git.call import NETWORK_SECONDS, GitCall
from modelregistry.git.remote import GitRemote
from modelregistry.git.repo import GitRepo, check_url
from modelregistry.git.transfer import OPTION
from modelregistry.git.transport import Transport
from modelregistry.progress import Progress, reported
from modelregistry.urlsecrets import without_secrets

_STALE_SECONDS = 60.0
_PATIENCE = 10.0
"""Seconds that a read waits for another process that fetches; then it reads what is there."""
_ORIGIN = "origin"


class GitMirror:
    """The copy of one URL.

    Attributes:
        repo: The copy.
        remote: What it is a copy of.
    """

    def __init__(self, url: str, place: Path) -> None:
        self._place = place
        self._lock: tuple[int, FileLock] | None = None
        self._stamp = place / "fetched"
        self._looked_at = float("-inf")
        self.repo = GitRepo(place)
        self.repo.guard = self.guard
        self.remote = GitRemote(self.repo, url, name=_ORIGIN)
        self.repo.bring = self.remote.bring

    @classmethod
    def open(cls, url: str, directory: Path, *, max_age: float, progress: Progress = None) -> GitMirror:
        """The copy of ``url`` below ``directory``, cloned if it is not there, else fetched as ``refresh`` does.

        Raises:
            InvalidInputError: See ``check_url``.
            RemoteError: There is no copy yet, and the URL can't be cloned.
        """
        place = directory / (hashlib.sha256(check_url(url).encode()).hexdigest()[:32] + ".git")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        cloned = False
        if not place.exists():
            if max_age == float("inf"):
                raise RemoteError(
                    f"there is no copy of {without_secrets(url)!r} here yet: open it once without offline=True"
                )
            with _held(FileLock(f"{place}.lock", mode=0o600), NETWORK_SECONDS):
                cloned = not place.exists()  # else another process did
                if cloned:
                    _clone(url, place, progress)
        mirror = cls(url, place)
        mirror.remote.progress = progress
        if not cloned:
            mirror.refresh(max_age)
        mirror._looked_at = time.monotonic()
        return mirror

    @property
    def synced_at(self) -> datetime:
        """When the copy was last brought up to date.

        Raises:
            GitError: The copy was deleted.
        """
        return datetime.fromtimestamp(self._fetched_at(), UTC)

    def _fetched_at(self) -> float:
        try:
            return self._stamp.stat().st_mtime
        except FileNotFoundError as error:
            raise GitError(
                f"the copy of {self.remote} at {os.fspath(self._place)!r} was deleted: open the registry anew"
            ) from error

    def refresh(self, max_age: float) -> None:
        """Fetch what the remote has, if the copy is older than ``max_age`` seconds.

        What can't be fetched is read as it is, with a warning that says how old that is, unless ``max_age`` is 0.

        Raises:
            RemoteError: It can't be fetched, and ``max_age`` is 0.
            GitTimeoutError: Another process holds the copy, and ``max_age`` is 0.
            GitError: The copy was deleted.
        """
        if max_age > 0 and time.monotonic() - self._looked_at <= max_age:
            return
        self._looked_at = time.monotonic()
        age = time.time() - self._fetched_at()
        if max_age > 0 and 0 <= age <= max_age:
            return  # whoever holds the lock need not be waited for
        try:
            with self.guard(_PATIENCE if max_age > 0 else NETWORK_SECONDS):
                age = time.time() - self._fetched_at()  # whoever had the lock may have fetched meanwhile
                if 0 <= age <= max_age:
                    return
                self.remote.mirror()
                self.repo.run("pack-refs", "--all")
                self._stamp.touch()
        except GitError as error:
            if max_age <= 0:
                raise
            warn(
                f"{self.remote} can't be fetched; reading it as it was {age / 60:.0f} minutes ago ({error})",
                PartialViewWarning,
            )

    @contextmanager
    def guard(self, patience: float | None = None) -> Iterator[None]:
        """Nobody else changes the copy's references meanwhile; locks of the dead are gone.

        Raises:
            GitTimeoutError: Somebody else did for more than ``patience`` seconds (as long as a fetch may take).
            GitError: The copy was deleted.
        """
        self._fetched_at()
        if self._lock is None or self._lock[0] != os.getpid():  # a lock does not survive a fork
            self._lock = os.getpid(), FileLock(f"{self._place}.lock", mode=0o600)
        with _held(self._lock[1], NETWORK_SECONDS if patience is None else patience):
            packed = self._place / "packed-refs.new"  # left behind like a lock, and in the way like one
            for path in [packed, *self._place.glob("*.lock"), *self._place.glob("refs/**/*.lock")]:
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                        path.unlink()
            yield


@contextmanager
def _held(lock: FileLock, patience: float) -> Iterator[None]:
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise GitTimeoutError(
            f"another process holds {lock.lock_file!r} for more than {patience:g} seconds: it fetches, or it hangs"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _clone(url: str, place: Path, progress: Progress) -> None:
    """Clone, so that the copy is there whole or not at all; its lock is held."""
    for left in place.parent.glob(f"{place.name}-*"):  # by one that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"{place.name}-") as folder:
        call = GitCall(None, Path(folder))
        # Nothing to check: git clone heeds no repository around it.
        transport = Transport(lambda *arguments: call.run(arguments))
        clone = Path(folder, "new.git")
        try:
            with reported(progress, f"cloning {without_secrets(url)}", "objects") as report:
                call.run(
                    [
                        "clone", OPTION, "--bare", "--filter=blob:none", "--template=",
                        "--upload-pack=git-upload-pack", "--", url, os.fspath(clone),
                    ],
                    timeout=NETWORK_SECONDS, environment=transport.environment, report=report,
                )  # fmt: skip
        except GitError as error:
            raise RemoteError(
                str(error), arguments=error.arguments, stderr=error.stderr, status=error.status
            ) from error
        GitRepo(clone).run("pack-refs", "--all")
        Path(clone, "fetched").touch()
        clone.rename(place)
