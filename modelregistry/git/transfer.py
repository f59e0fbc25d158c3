"""What git says of a transfer while it runs: how many objects have come, and what else it has to say."""

from __future__ import annotations

import re

from modelregistry.progress import Report

OPTION = "--progress"
_OBJECTS = re.compile(rb"(?:Receiving|Unpacking) objects: +\d+% \((\d+)/(\d+)\)")
_STEP = re.compile(
    rb"(remote: +)?[A-Z][a-z]+ [a-z ]*: +(\d+% \()?\d+[\d/,)]|remote: Total \d+ |remote: Enumerating "
)


class Listener:
    """Takes what git writes on standard error, piece by piece.

    Args:
        report: Told of the objects that have come.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rest = b""
        self._kept: list[bytes] = []

    def hear(self, piece: bytes) -> None:
        """The next piece."""
        *lines, self._rest = re.split(rb"(?<=[\r\n])", self._rest + piece)
        for line in lines:
            if found := _OBJECTS.match(line):
                self._report(int(found[1]), int(found[2]))
            elif not _STEP.match(line) and line.strip():
                self._kept.append(line)

    @property
    def said(self) -> bytes:
        """All that was no progress."""
        return b"".join(self._kept) + self._rest
