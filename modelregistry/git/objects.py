"""Objects of a repository, as one git that is asked again and again gives them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from modelregistry.errors import GitTimeoutError
from modelregistry.git.call import LOCAL_SECONDS, GitCall

# Requests of under 100 bytes: a chunk of them always fits into the pipe, so that nobody waits for the other.
_PIPE_CHUNK = 400


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object as it lies in the repository; ``data`` is None when it is larger than the reader allowed."""

    oid: str
    kind: str
    size: int
    data: bytes | None


class ObjectReader:
    """A git that answers as long as it is asked, until it is closed; one that died is started anew.

    Args:
        call: Calls git on the repository.
    """

    def __init__(self, call: GitCall) -> None:
        self._call = call
        self._stack = ExitStack()
        self._talk: tuple[Callable[[bytes], None], IO[bytes]] | None = None
        self._since = 0.0

    def close(self) -> None:
        """Let it end.

        Raises:
            GitError: It did not end well.
        """
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
        if not names:
            return []
        if self._talk is not None and time.monotonic() - self._since > LOCAL_SECONDS / 2:
            self.close()  # before its time is up, which is that of one question
        if self._talk is None:
            self._since = time.monotonic()
            command = ["cat-file", "--batch-command", "--buffer"]
            self._talk = self._stack.enter_context(self._call.conversation(command, timeout=LOCAL_SECONDS))
        try:
            return _answers(*self._talk, names, limit, float("inf") if most is None else most)
        except (OSError, ValueError, IndexError) as error:
            self._talk = None
            # The conversation knows what git complained of, and raises that.
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
    """Name, mode and object id of what is in one folder (Git's format: mode, space, name, NUL, raw id)."""
    data, width = tree.data or b"", len(tree.oid) // 2
    at = 0
    while at < len(data):
        space = data.index(b" ", at)
        end = data.index(b"\0", space)
        name = data[space + 1 : end].decode("utf-8", "surrogateescape")
        yield name, data[at:space].decode(), data[end + 1 : end + 1 + width].hex()
        at = end + 1 + width
