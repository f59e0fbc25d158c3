"""Where a reader of the whole log stands, written down as text: which events it has had.

A moment would not do, nor an event to go on after: a model that is written often is dated ahead of the others, and an
event that was staged yesterday is published today, below what was read in between.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

from modelregistry.errors import InvalidInputError
from modelregistry.log.events import Event

_PREFIX = "v1."
_BYTES = 6
"""Of each event's mark: 8 characters an event, and one in a billion events taken for another in a log of 100,000."""


class Cursor:
    """The events that a reader has had.

    Args:
        marks: Theirs.
    """

    def __init__(self, marks: Iterable[bytes] = ()) -> None:
        self._marks = frozenset(marks)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that was written down as ``text``.

        Raises:
            InvalidInputError: It is none.
        """
        try:
            if not isinstance(text, str) or not text.startswith(_PREFIX):
                raise ValueError(text)
            data = base64.b64decode(text.removeprefix(_PREFIX), altchars=b"-_", validate=True)
            if len(data) % _BYTES:
                raise ValueError(text)
        except (binascii.Error, ValueError) as error:
            raise InvalidInputError(
                f"not a cursor: {str(text)[:40]!r}; it is what events().cursor gave, whole"
            ) from error
        return cls(data[start : start + _BYTES] for start in range(0, len(data), _BYTES))

    @classmethod
    def at(cls, events: Iterable[Event]) -> Cursor:
        """The cursor of a reader who had these."""
        return cls(map(_mark, events))

    def __str__(self) -> str:
        return _PREFIX + base64.b64encode(b"".join(sorted(self._marks)), altchars=b"-_").decode()

    def __contains__(self, event: Event) -> bool:
        return bool(self._marks) and _mark(event) in self._marks


def _mark(event: Event) -> bytes:
    name = f"{event.source}\0{event.id}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(name, digest_size=_BYTES).digest()
