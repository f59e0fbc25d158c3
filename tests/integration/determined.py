"""Time and chance of one process, said beforehand: the same calls at the same moment write the same events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from modelregistry.log import changes, writing

START = 1_767_225_600
"""The first moment, in seconds."""


class Determined:
    """The clock that dates events, and where their random ids come from."""

    def __init__(self, second: int = START, last_id: int = 0) -> None:
        self.second = second
        self.last_id = last_id

    def install(self, replace: Callable[[object, str, object], object] = setattr) -> None:
        """Take the place of the clock and of chance in the modules that write events."""
        here = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.fromtimestamp(here.second, tz or UTC)

        replace(writing, "datetime", Clock)
        replace(writing, "secrets", self)
        replace(changes, "secrets", self)

    def token_hex(self, count: int) -> str:
        self.last_id += 1
        return f"{self.last_id:0{2 * count}x}"
