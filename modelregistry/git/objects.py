"""Objects of a repository, as one git that is asked again and again gives them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, Protocol

from modelregistry.errors import GitTimeoutError
from modelregistry.git.call import LOCAL_SECONDS, GitCall

# Requests of under 100 bytes: a chunk of them always fits into the pipe, so that nobody waits for the other.
_PIPE_CHUNK = 400
# Of a folder: mode, space, name, NUL, raw id.
_ENTRY = rb"([0-7]{5,6}) ([^\0]+)\0(.{%d})"
_ENTRIES = {
    width: (re.compile(rb"(?:%b)*+" % (_ENTRY % width), re.DOTALL), re.compile(_ENTRY % width, re.DOTALL))
    for width in (20, 32)
}


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object as it lies in the repository; ``data`` is None when it is larger than the reader allowed."""

    oid: str
    kind: str
    size: int
    data: bytes | None


class Files(Protocol):
    """Where objects may be had without a git that is started for it."""

    def read(self, names: Sequence[str], limit: int, most: float) -> list[GitObject | None] | None:
        """The objects, as ``ObjectReader.read`` has them; None where git is to be asked."""

    def close(self) -> None:
        """Nothing more is asked for now."""


class ObjectReader:
    """A git that answers as long as it is asked, until it is closed; one that died is started anew.

    Args:
        call: Calls git on the repository.
        files: Has some of the objects without it.
    """

    def __init__(self, call: GitCall, files: Files) -> None:
        self._call = call
        self._files = files
        self._stack = ExitStack()
        self._talk: tuple[Callable[[bytes], None], IO[bytes]] | None = None
        self._since = 0.0

    def close(self) -> None:
        """Let it end.

        Raises:
            GitError: It did not end well.
        """
        self._files.close()
        self._talk = None
        # Its time was up while nobody asked it anything, such as when another repository was fetched meanwhile.
        with suppress(GitTimeoutError):
            self._stack.close()

    def read(self, names: Sequence[str], limit: int, most: int | None) -> list[GitObject | None]:
        """The objects that ``names`` stand for; None where there is none.

        Args:
            names: Object ids, or ``rev:path``.
            limit: Bytes above which an object comes without its data.
            most: Bytes in all, after which the others do.

        Raises:
            GitError: It died, which it does of an object that a partial clone left out.
            GitTimeoutError: It took too long.
        """
        left = float("inf") if most is None else most
        if (known := self._files.read(names, limit, left)) is not None:
            return known
        if self._talk is not None and time.monotonic() - self._since > LOCAL_SECONDS / 2:
            self.close()  # before its time is up, which is that of one question
        if self._talk is None:
            self._since = time.monotonic()
            command = ["cat-file", "--batch-command", "--buffer"]
            self._talk = self._stack.enter_context(self._call.conversation(command, timeout=LOCAL_SECONDS))
        try:
            return _answers(*self._talk, names, limit, left)
        except (OSError, ValueError, IndexError) as error:
            self._talk = None
            # The conversation knows what git complained of, and raises that.
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        except BaseException as error:  # interrupted, with answers left that nobody reads
            self._talk = None
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise


def _answers(
    send: Callable[[bytes], None], receive: IO[bytes], names: Sequence[str], limit: int, left: float
) -> list[GitObject | None]:
    found: list[GitObject | None] = []
    asked = [name if name.isprintable() else "" for name in names]
    for start in range(0, len(asked), _PIPE_CHUNK):
        chunk = asked[start : start + _PIPE_CHUNK]
        send(b"".join(b"info %s\n" % (name.encode() or b"?") for name in chunk) + b"flush\n")
        heads = [_head(receive.readline()) for _ in chunk]
        wanted = []
        for head in heads:
            takes = head is not None and head.size <= min(limit, left)
            left -= head.size if head is not None and takes else 0
            wanted.append(takes)
        contents = [head for head, takes in zip(heads, wanted, strict=True) if head and takes]
        send(b"".join(b"contents %s\n" % head.oid.encode() for head in contents) + b"flush\n")
        for head, takes in zip(heads, wanted, strict=True):
            if head is None or not takes:
                found.append(head)
                continue
            receive.readline()
            data = receive.read(head.size)
            receive.read(1)
            found.append(GitObject(head.oid, head.kind, head.size, data))
    return found


def _head(line: bytes) -> GitObject | None:
    """What ``info`` says of an object, without its data; None if there is none."""
    parts = line.decode("utf-8", "replace").split()
    if len(parts) == 3 and parts[2].isdigit():
        return GitObject(parts[0], parts[1], int(parts[2]), None)
    if not line:
        raise ValueError("git cat-file ended early")
    return None


def entries_of(tree: GitObject) -> Iterator[tuple[str, str, str]]:
    """Name, mode and object id of what is in one folder.

    Raises:
        ValueError: It is none.
    """
    for mode, name, oid in raw_entries(tree):
        yield name.decode("utf-8", "surrogateescape"), mode.decode(), oid.hex()


def raw_entries(tree: GitObject) -> list[tuple[bytes, bytes, bytes]]:
    """Mode, name and object id of what is in one folder, as Git writes them; raises as ``entries_of`` does."""
    data, (whole, entry) = tree.data or b"", _ENTRIES[len(tree.oid) // 2]
    if whole.fullmatch(data) is None:
        raise ValueError(f"not a folder of Git's: {tree.oid}")
    return entry.findall(data)
