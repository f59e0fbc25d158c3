"""The lock that Git keeps on the index of a working copy, with a note of what was under way when its holder was killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelregistry.errors import GitError

_PATIENCE = 30.0
_TICK = 0.02


class Journal:
    """What is being changed, noted where the next holder of the lock finds it if this one is killed.

    Args:
        descriptor: The file, locked by this process.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.noted = self._read()

    def note(self, changes: Mapping[str, str]) -> None:
        """Note it, before anything of it is done."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(dict(changes)).encode(), 0)
        os.fsync(self._descriptor)
        self.noted = dict(changes)

    def clear(self) -> None:
        """All of it is done, or undone."""
        os.ftruncate(self._descriptor, 0)
        self.noted = {}

    def _read(self) -> dict[str, str]:
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        try:
            noted: object = json.loads(data or b"{}")
        except ValueError:  # its writer was killed in the middle of it, so before anything was changed
            return {}
        return {str(path): str(oid) for path, oid in noted.items()} if isinstance(noted, dict) else {}


@contextmanager
def index_lock(git_dir: Path) -> Iterator[Journal]:
    """While the body runs, no git writes the index. A lock that a killed process of ours left is taken over.

    The lock is a second name of the journal, and the journal is locked for as long as its process lives: so a lock that
    is left behind tells whose it was, and that they are gone.

    Args:
        git_dir: Where the index is.

    Raises:
        GitError: Another git holds it, or it can't be written.
    """
    path, lock = git_dir / "modelregistry-commit", git_dir / "index.lock"
    try:
        descriptor = _hold(path)
    except OSError as error:
        raise GitError(f"{os.fspath(path)!r} can't be written: {error.strerror}") from error
    journal = Journal(descriptor)
    try:
        if _same(path, lock):
            lock.unlink()
        _take(path, lock)
        try:
            yield journal
        finally:
            lock.unlink(missing_ok=True)
    finally:
        if not journal.noted:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _hold(path: Path) -> int:
    """The file, made if need be, and locked."""
    end = time.monotonic() + _PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _wait_for(descriptor, end, path)
            if _same(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who had it before took it away: it is another file now


def _wait_for(descriptor: int, end: float, path: Path) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise GitError(
                    f"another process has been committing here for {_PATIENCE:g} seconds (it holds "
                    f"{os.fspath(path)!r}): try again once it is done"
                ) from None
            time.sleep(_TICK)
        else:
            return


def _take(path: Path, lock: Path) -> None:
    try:
        try:
            os.link(path, lock)
        except FileExistsError:
            raise
        except (
            OSError
        ):  # a file system without second names: a lock that is left there stays until it is deleted
            with open(lock, "xb"):
                pass
    except FileExistsError as error:
        raise GitError(
            f"another git is writing the index: {os.fspath(lock)!r} exists; if none is at work there, delete that "
            "file and try again"
        ) from error
    except OSError as error:
        raise GitError(f"{os.fspath(lock)!r} can't be written: {error.strerror}") from error


def _same(one: Path, other: Path | int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(one), os.stat(other))
    return False
