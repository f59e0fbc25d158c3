"""The log in memory: the specification that other backends are compared with."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator

from modelregistry.backends.base import Backend, Log
from modelregistry.events import Event


class MemoryBackend(Backend):
    """Keeps the log as long as the process lives; safe for threads."""

    name = "memory"

    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = {}
        self._lock = threading.Lock()

    def _read(self, model: str) -> Log:
        with self._lock:
            events = tuple(self._events.get(model, ()))
        numbers: dict[str, int] = {}
        for event in events:
            numbers[event.slot] = max(event.number, numbers.get(event.slot, 0))
        return Log(model, head=str(len(events)), events=events, numbers=numbers)

    def _read_all(self) -> Iterator[Log]:
        with self._lock:
            models = sorted(self._events)
        return map(self._read, models)

    def _append(self, event: Event) -> Event | None:
        with self._lock:
            kept = self._events.setdefault(event.model, [])
            if any(other.slot == event.slot and other.number == event.number for other in kept):
                return None
            kept.append(event)
        return event

    def _watch(self, model: str) -> Hashable | None:
        with self._lock:
            return len(self._events.get(model, ()))
