"""Brings objects out of a remote into files, in order, so that a fetch that died can be gone on with."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelregistry.artifacts.base import Entry, Report

_RANGE = 4 << 20
_AT_ONCE = 8
"""Ranges that are on their way, of all files together: as many are in memory."""
_IN_RANGES = frozenset({"s3", "gs", "azure"})
"""Object stores. What fsspec has for them writes the parts of a large file as they come, so that after a kill its size
says nothing of what is there; and holds hundreds of megabytes meanwhile."""
_IN_ORDER = frozenset({"local", "http", "https"})
"""Where a file is written from its beginning to its end by what fsspec has for that."""
_log = logging.getLogger("modelregistry")


class Fetcher:
    """Brings objects; one for all that are brought together.

    Args:
        entries: What will be brought.
        report: Who is told of the bytes of all of them.
    """

    def __init__(self, entries: Sequence[Entry], report: Report | None) -> None:
        self._counter = _Counter(entries, report)
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """Give up what is on its way, at its next bytes; what came of it stays, to be gone on with."""
        self._counter.stopped = True

    def bring(self, filesystem: Any, path: str, entry: Entry, part: Path) -> bool:
        """Bring the object at ``path`` into the file ``part``; whether some of it was there, and was gone on with.

        Args:
            filesystem: DVC's file system.
            path: The object in it.
            entry: What it is of.
            part: Where it goes; only this method may have written to it.
        """
        if part.is_dir():  # a folder was in the place of the object
            shutil.rmtree(part)
        done = part.stat().st_size if part.exists() else 0
        if done and entry.size is not None and done > entry.size:
            part.unlink()
            done = 0
        if filesystem.protocol in _IN_RANGES:
            if done or entry.size is None or entry.size > _RANGE:
                self._bring_ranges(filesystem, path, entry, part, done)
                return done > 0
        elif (done or filesystem.protocol not in _IN_ORDER) and self._stream(
            filesystem, path, entry, part, done
        ):
            return done > 0
        self._bring_whole(filesystem, path, entry, part)
        return False

    def _bring_whole(self, filesystem: Any, path: str, entry: Entry, part: Path) -> None:
        from fsspec.callbacks import Callback

        hook = Callback(hooks={"count": partial(self._counter.count, entry)})
        filesystem.get_file(path, os.fspath(part), callback=hook)
        self._counter.count(entry, None, part.stat().st_size)

    def _bring_ranges(self, filesystem: Any, path: str, entry: Entry, part: Path, done: int) -> None:
        """Several at once, each written when all before it are."""
        size = filesystem.info(path)["size"]
        coming: deque[Future[bytes]] = deque()
        start = done
        try:
            with part.open("ab") as target:
                while coming or start < size:
                    # Whoever has a range on its way waits for that, and for no other file's.
                    if start < size and self._slots.acquire(blocking=not coming):
                        end = min(start + _RANGE, size)
                        coming.append(self._pool.submit(filesystem.cat_file, path, start=start, end=end))
                        start = end
                        continue
                    target.write(coming[0].result())
                    coming.popleft()
                    self._slots.release()
                    self._counter.count(entry, None, target.tell())
        finally:
            for range_ in coming:
                range_.cancel()
                self._slots.release()

    def _stream(self, filesystem: Any, path: str, entry: Entry, part: Path, done: int) -> bool:
        """From what is there to the end; False where the file system can't begin there."""
        try:
            with filesystem.open(path, "rb") as source, part.open("ab") as target:
                if done:
                    source.seek(done)
                while chunk := source.read(_RANGE):
                    target.write(chunk)
                    self._counter.count(entry, None, target.tell())
        except (ValueError, NotImplementedError) as error:  # io.UnsupportedOperation is a ValueError
            if not done:
                raise
            _log.debug("%s can't be gone on with: %s", entry.path, error)
            return False
        return True


class Stopped(Exception):  # noqa: N818 - no error, and nobody gets to see it
    """Whoever waited for the bytes does not any more."""


class _Counter:
    """Adds up what the threads report; what is brought once more does not count back."""

    def __init__(self, entries: Sequence[Entry], report: Report | None) -> None:
        sizes = [entry.size for entry in entries]
        self._total = None if None in sizes else sum(size for size in sizes if size is not None)
        self._done: dict[str, int] = {}
        self._sum = 0
        self._report = report
        self._lock = threading.Lock()
        self.stopped = False

    def count(self, entry: Entry, size: int | None, value: int, **_: object) -> None:
        del size
        if self.stopped:
            raise Stopped
        if self._report is None:
            return
        with self._lock:
            before = self._done.get(entry.address, 0)
            if value > before:
                self._sum += value - before
                self._done[entry.address] = value
                self._report(self._sum, self._total)
