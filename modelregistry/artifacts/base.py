"""The contract of a storage: from a path in a commit to the addresses of its bytes, and to the bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

Report = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in all or None) while bytes move."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact, as its storage addresses it."""

    path: str
    """Posix path inside the artifact; the file's own name when the artifact is one file."""
    address: str
    """``"md5:<hex>"`` in DVC, ``"git:<object id>"`` in Git."""
    size: int | None = None
    """Bytes, if the storage records it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an artifact consists of at one commit."""

    storage: str
    """The name of the storage that located it."""
    path: str
    """Where the artifact is, relative to the Git root."""
    entries: tuple[Entry, ...]
    """Its files, by path."""
    is_directory: bool = False
    address: str = ""
    """The storage's own address of the whole, such as ``"md5:….dir"``."""

    @property
    def size(self) -> int | None:
        """Bytes in all, or None where the storage does not record it."""
        sizes = [entry.size for entry in self.entries]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def sized(self, sizes: Mapping[str, int | None]) -> Content:
        """The same, where ``sizes`` (bytes, by path) say what the storage does not record."""
        if None not in (entry.size for entry in self.entries):
            return self
        entries = [
            entry if entry.size is not None else replace(entry, size=sizes.get(entry.path))
            for entry in self.entries
        ]
        return replace(self, entries=tuple(entries))


Arrived = Callable[[Entry, Path], object]
"""Called with what has arrived."""


class Storage(ABC):
    """Finds and brings bytes; verifies nothing and parses no model: its caller does the first, loaders the second."""

    name: ClassVar[str]

    @abstractmethod
    def locate(self, rev: str, path: str) -> Content | None:
        """What ``path`` (relative to the Git root) consists of at commit ``rev``; None if not kept here.

        Raises:
            InvalidFileError: A metadata file on the way can't be read.
            MissingBytesError: A directory listing is needed and can't be found.
        """

    @abstractmethod
    def find(self, entry: Entry) -> Path | None:
        """Where the bytes of ``entry`` lie on this machine already (unverified), or None."""

    @abstractmethod
    def fetch(
        self, entries: Sequence[Entry], into: Path, arrived: Arrived, *, report: Report | None = None
    ) -> None:
        """Bring the bytes of each entry into a file in ``into``, unverified, and give each to ``arrived``.

        A file that an earlier call left half-written may be gone on with; where ``arrived`` then says that it is
        damaged, it is brought anew.

        Args:
            entries: What to bring, each address once.
            into: A folder that nobody else uses meanwhile.
            arrived: Called with an entry and its file as soon as that is whole, from any thread; it takes the file
                away. What it raises ends the call.
            report: Called while bytes move, from any thread.

        Raises:
            MissingBytesError: Some are not to be had; the message says which and what to do.
            OSError: ``into`` can't be written.
        """

    @abstractmethod
    def missing(self, entries: Sequence[Entry], *, cached: bool = True) -> tuple[Entry, ...]:
        """Those of ``entries`` whose bytes are neither on this machine nor where they are fetched from.

        Args:
            entries: What to look for.
            cached: Whether bytes on this machine count.
        """

    def push(self, content: Content) -> None:
        """Bring the bytes from this machine to where they are fetched from, unless they are there.

        Raises:
            MissingBytesError: That can't be done.
        """
        del content

    def objects(self, content: Content, rev: str, files: Mapping[str, Path]) -> Mapping[str, Path | bytes]:
        """What has to travel beside the Git history for others to find the artifact; nothing where Git has it all.

        Args:
            content: The artifact.
            rev: The commit it was located at.
            files: Where its verified files lie, by their path in it.

        Returns:
            Files, or their bytes, by where the storage keeps them.
        """
        return {}

    def cached(self, address: str, file: str, rev: str) -> Path | None:
        """Where bytes lie on this machine already (unverified), by what records them; None where they don't.

        Args:
            address: What the storage calls them.
            file: The file of the project that records them, from the Git root.
            rev: The commit that file is of.
        """
        return None

    def made_here(self, rev: str, content: Content) -> bool:
        """Whether there is evidence that this user's own pipeline made these bytes on this machine."""
        return False
