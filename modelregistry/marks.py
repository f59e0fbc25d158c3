"""How far this user has seen the log of each model, so that what vanishes or is slipped in below is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from modelregistry.checks import Problem
from modelregistry.events import Event


class Marks:
    """The events that this user has seen in one repository, by model.

    Args:
        folder: Where this user keeps them.
        repository: What tells repositories apart.
    """

    def __init__(self, folder: Path, repository: str) -> None:
        name = hashlib.sha256(os.fsencode(repository)).hexdigest()[:32]
        self._path = folder / f"{name}.json"
        self._seen: dict[str, dict[str, str]] = {}
        with suppress(OSError, ValueError):
            kept = json.loads(self._path.read_bytes())
            if isinstance(kept, dict):
                self._seen = kept

    @property
    def models(self) -> tuple[str, ...]:
        """The models of which events were seen."""
        return tuple(self._seen)

    def compare(self, model: str, events: Sequence[Event]) -> Iterator[Problem]:
        """What happened to the log but that it grew at its end.

        Args:
            model: Its name.
            events: Its events, in their order.
        """
        seen = self._seen.get(model, {})
        now = {event.id for event in events}
        for event_id, source in seen.items():
            if event_id not in now:
                yield Problem(
                    model, source, "this event was there when this user last checked, and is gone: the log was rewound",
                    "fetch the tag from a clone that still has it; if that is right, check(accept=True)",
                )  # fmt: skip
        end = max((at for at, event in enumerate(events) if event.id in seen), default=-1)
        for event in events[: end + 1]:
            if event.id not in seen:
                yield Problem(
                    model, event.source,
                    f"{event.author}'s event came after this user last checked, and is dated before what was there: a "
                    "clock is wrong, another clone wrote at that time, or somebody rewrites the past",
                    "look at it; if that is right, check(accept=True)",
                )  # fmt: skip

    def extend(self, model: str, events: Iterable[Event], *, accept: bool) -> None:
        """Remember what came at the end; all there is, and nothing else, if ``accept``."""
        listed = list(events)
        seen = {} if accept else self._seen.get(model, {})
        end = max((at for at, event in enumerate(listed) if event.id in seen), default=-1)
        self._seen[model] = seen | {event.id: event.source for event in listed[end + 1 :]}

    def forget(self, model: str) -> None:
        """Remember nothing of the model."""
        self._seen.pop(model, None)

    def save(self) -> None:
        """Keep them on disk; a disk that can't be written is no matter."""
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._path.with_name(f".{os.getpid()}-{os.urandom(6).hex()}")
            temporary.write_text(json.dumps(self._seen))
            temporary.replace(self._path)
