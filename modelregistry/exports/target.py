"""A folder, here or anywhere that fsspec can write to: its files are listed, written, read back and hashed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from modelregistry.errors import (
    AccessDeniedError,
    ExportError,
    InvalidInputError,
    MissingBytesError,
    PathNotFoundError,
    RegistryError,
)
from modelregistry.intake.remotefiles import open_remote, public_address, said_of

Moved = Callable[[int], object]
"""Called with the number of bytes that have just moved."""

_CHUNK = 1 << 20
_PARTIAL = re.compile(r"\.[0-9a-f]{12}\.partial")


class Target:
    """The folder.

    Args:
        to: A path, or a URL that fsspec knows.
        options: What the file system of the URL takes (``{"endpoint_url": …}``).

    Raises:
        InvalidInputError: It is no path or URL, or one that nobody knows.
        MissingDependencyError: The package for such URLs is not installed.
        ExportError: It can't be reached.
    """

    def __init__(self, to: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> None:
        text = os.fspath(to) if isinstance(to, str | os.PathLike) else to
        if not isinstance(text, str) or not text:
            raise InvalidInputError(f"{to!r} is neither a path nor a URL")
        try:
            opened = open_remote(text, options or {})
        except (AccessDeniedError, MissingBytesError, PathNotFoundError) as error:  # some connect at once
            raise ExportError(f"an export at {public_address(text)!r} is out of reach: {error}") from None
        self._given = text
        self.url = public_address(text)
        """For messages: without secrets."""
        self._fs, self._root = opened.filesystem, str(opened.path)
        from fsspec.implementations.local import LocalFileSystem

        self.is_local = isinstance(self._fs, LocalFileSystem)
        """Whether it is on this machine."""

    def shown(self, name: str) -> str:
        """A file, for messages."""
        return f"{self.url.rstrip('/')}/{name}"

    def files(self) -> dict[str, int | None]:
        """The size of each file, by its path in the folder; none where there is no folder.

        Raises:
            InvalidInputError: It is a file.
            ExportError: It can't be read.
        """
        with self._told("can't be read"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._root, detail=True)
            except FileNotFoundError:
                return {}
        top = f"{self._root.rstrip('/')}/"
        if self._root.rstrip("/") in found:
            raise InvalidInputError(f"{self.url!r} is a file: name a folder")
        return {
            path.removeprefix(top): facts.get("size") if facts.get("type") == "file" else None
            for path, facts in found.items()
            if path.startswith(top) and not path.endswith("/")
        }

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file; None where there is none.

        Raises:
            ExportError: It can't be read.
        """
        with self._told("can't be read", name):
            try:
                return bytes(self._fs.cat_file(self._place(name)))
            except FileNotFoundError:
                return None

    def hash(self, name: str, moved: Moved) -> str | None:
        """The sha256 of what lies there, every byte read; None where there is nothing.

        Raises:
            ExportError: It can't be read.
        """
        sha256 = hashlib.sha256()
        with self._told("can't be read", name):
            try:
                with self._fs.open(self._place(name), "rb") as file:
                    while chunk := file.read(_CHUNK):
                        sha256.update(chunk)
                        moved(len(chunk))
            except FileNotFoundError:
                return None
        return sha256.hexdigest()

    def write(self, name: str, content: Path | bytes, moved: Moved) -> str:
        """Write one file; returns the sha256 of what was sent. On this machine it appears whole or not at all.

        Raises:
            ExportError: It can't be written.
        """
        sha256 = hashlib.sha256()
        with self._told("can't be written", name), self._writing(self._place(name)) as file:
            for chunk in _chunks(content):
                sha256.update(chunk)
                file.write(chunk)
                moved(len(chunk))
        return sha256.hexdigest()

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            ExportError: It can't be removed.
        """
        with self._told("can't be removed", name):
            try:
                self._fs.rm_file(self._place(name))
            except FileNotFoundError:
                return

    def _place(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextmanager
    def _writing(self, place: str) -> Iterator[IO[bytes]]:
        if not self.is_local:
            with self._opened(place) as file:
                yield file
            return
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(f"{place}.{os.urandom(6).hex()}.partial")
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)

    def _opened(self, place: str) -> Any:
        try:
            return self._fs.open(place, "wb")
        except FileNotFoundError:
            # Never asked of what does without: to make the folders of an object store may make a bucket.
            self._fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            return self._fs.open(place, "wb")

    @contextmanager
    def _told(self, what: str, name: str = "") -> Iterator[None]:
        """Whatever a file system raises, as an error of ours."""
        try:
            yield
        except RegistryError:
            raise
        except Exception as error:  # each file system has errors of its own
            reason = said_of(error, self._given)
            failure = ExportError(f"{self.shown(name) if name else self.url!r} {what}: {reason!r}")
            if self._given != self.url:  # what another library says may have the secret in it
                raise failure from None
            raise failure from error


def is_partial(name: str) -> bool:
    """Whether it is what a killed writer left of a file that never got its name."""
    return _PARTIAL.fullmatch(name[-21:]) is not None


def _chunks(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with open(content, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
